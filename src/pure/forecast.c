/*-------------------------------------------------------------------------
 *
 * pure/forecast.c
 *	  How fast connection slots fill up, and when they will be used up.
 *
 * Owns: the readings of the last minutes, and which growth is believed.  Must
 * not: read a clock, a setting or shared memory, allocate, or raise an error.
 * Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/forecast.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

/* A rate taken over less than that is noise. */
#define SHORTEST_TREND (5 * SECOND)

/*
 * Growth in each of so many spans of time that follow one another is no
 * rollout: one of two minutes reaches into seven of 20 seconds, or three of a
 * minute.  Short spans find a fast leak sooner, long ones a slow leak at all.
 */
#define SHORT_SPANS 8
#define SHORT_SPAN (20 * SECOND)
#define LONG_SPANS 4
#define LONG_SPAN MINUTE

/*
 * So many more that are stuck, and one in two of those that came, leak.  Those
 * who only pass through a transaction come and go within seconds.
 */
#define STUCK_SESSIONS 3
#define STUCK_SHARE 2
#define STUCK_TIME (10 * SECOND)

/* In percent of the usable slots. */
#define NEARLY_FULL 80

/* The last reading is 0 back, the one before 1 back. */
static const PghReading *
reading(const PghForecast *forecast, int back)
{
	return &forecast->ring[(forecast->newest + PGH_READINGS - back) %
						   PGH_READINGS];
}

bool
pgh_reading_due(const PghForecast *forecast, PghTime now)
{
	PghTime		last;

	if (forecast->n == 0)
		return true;
	last = reading(forecast, 0)->at;
	return now - last >= SECOND || now < last;
}

void
pgh_forecast_add(PghForecast *forecast, PghTime now, int used, int stuck)
{
	PghReading *next;

	if (forecast->n > 0 && now < reading(forecast, 0)->at)
		forecast->n = 0;
	forecast->newest = (forecast->newest + 1) % PGH_READINGS;
	if (forecast->n < PGH_READINGS)
		forecast->n++;
	next = &forecast->ring[forecast->newest];
	next->at = now;
	next->used = used;
	next->stuck = stuck;
}

/* The last reading that is at least this old, or NULL. */
static const PghReading *
reading_before(const PghForecast *forecast, PghTime age)
{
	PghTime		until = reading(forecast, 0)->at - age;

	for (int back = 0; back < forecast->n; back++)
		if (reading(forecast, back)->at <= until)
			return reading(forecast, back);
	return NULL;
}

/* Slots per minute, in thousandths, from one reading to a later one. */
static int64_t
rate(const PghReading *from, const PghReading *to)
{
	PghTime		elapsed = to->at - from->at;

	if (elapsed < SHORTEST_TREND)
		return 0;
	return ((int64_t) to->used - from->used) * MINUTE * 1000 / elapsed;
}

/* The slowest growth of so many spans; 0 if one is not known or had none. */
static int64_t
slowest_growth(const PghForecast *forecast, int spans, PghTime span)
{
	const PghReading *to = reading(forecast, 0);
	int64_t		slowest = INT64_MAX;

	for (int i = 1; i <= spans; i++)
	{
		const PghReading *from = reading_before(forecast, i * span);
		int64_t		growth = from == NULL ? 0 : rate(from, to);

		if (growth <= 0)
			return 0;
		if (growth < slowest)
			slowest = growth;
		to = from;
	}
	return slowest;
}

static int64_t
lasting_growth(const PghForecast *forecast)
{
	int64_t		fast = slowest_growth(forecast, SHORT_SPANS, SHORT_SPAN);
	int64_t		slow = slowest_growth(forecast, LONG_SPANS, LONG_SPAN);

	return fast > slow ? fast : slow;
}

/* How many were stuck all the time for a while, up to this reading. */
static int32_t
stuck_until(const PghForecast *forecast, const PghReading *until)
{
	int32_t		fewest = until->stuck;

	for (int back = 0; back < forecast->n; back++)
	{
		const PghReading *its = reading(forecast, back);

		if (its->at < until->at - STUCK_TIME)
			break;
		if (its->at <= until->at && its->stuck < fewest)
			fewest = its->stuck;
	}
	return fewest;
}

/* Are those who came mostly stuck in a transaction? */
static bool
is_leaking(const PghForecast *forecast, const PghReading *from,
		   const PghReading *to)
{
	int32_t		stuck = stuck_until(forecast, to) - stuck_until(forecast, from);

	return stuck >= STUCK_SESSIONS &&
		stuck >= (to->used - from->used) / STUCK_SHARE;
}

int64_t
pgh_forecast_growth(const PghForecast *forecast, int usable)
{
	const PghReading *last = reading(forecast, 0);
	const PghReading *from;
	int64_t		growth;

	if (forecast->n == 0)
		return 0;
	from = reading_before(forecast, MINUTE);
	if (from == NULL)
		from = reading(forecast, forecast->n - 1);
	growth = rate(from, last);
	if (growth <= 0 || is_leaking(forecast, from, last) ||
		(int64_t) last->used * 100 >= (int64_t) usable * NEARLY_FULL)
		return growth;
	return lasting_growth(forecast);
}

PghTime
pgh_forecast_exhaustion(int available, int64_t growth)
{
	if (growth <= 0)
		return -1;
	return (PghTime) available * MINUTE * 1000 / growth;
}
