/*-------------------------------------------------------------------------
 *
 * forecast_test.c
 *	  When slots are said to run out: in cases that are known, and on twenty
 *	  generated days, beside the forecast that there was before.
 *
 * A day has what servers have: load that rises and falls, pools that breathe,
 * deployments, restarts, jobs in the night.  Every second day a program leaks
 * until the slots are used up, or until somebody stops it.  An alarm is what
 * PgHygieneSlotsForecast of monitoring/alerts.yaml makes of the figure.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/forecast.h"
#include "tap.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define USABLE 97
#define DAYS 20
#define DAY_SECONDS 86400

/* The alert's bound and patience, in seconds. */
#define ALARM_BELOW 600
#define ALARM_FOR_BEFORE 120
#define ALARM_FOR 30

static PghForecast forecast;
static PghTime clock_now;

static void
begin(void)
{
	memset(&forecast, 0, sizeof(forecast));
	clock_now = 1000000 * SECOND;
}

static void
pass_second(int used, int stuck)
{
	clock_now += SECOND;
	pgh_forecast_add(&forecast, clock_now, used, stuck);
}

static void
stay(int seconds, int used, int stuck)
{
	while (seconds-- > 0)
		pass_second(used, stuck);
}

/* In slots per minute. */
static double
growth(void)
{
	return pgh_forecast_growth(&forecast, USABLE) / 1000.0;
}

static void
test_cases(void)
{
	bool		quiet = true;

	begin();
	tap_ok(growth() == 0 && pgh_reading_due(&forecast, 5), "no reading");
	stay(20, 0, 0);
	tap_ok(!pgh_reading_due(&forecast, clock_now + SECOND - 1) &&
		   pgh_reading_due(&forecast, clock_now + SECOND) &&
		   pgh_reading_due(&forecast, clock_now - 1),
		   "a reading is due after a second, or when the clock was set back");
	for (int i = 0; i < 300; i++)
	{
		pass_second(1, 0);
		quiet = quiet && growth() == 0;
	}
	tap_ok(quiet, "the first connection to an empty server");

	begin();
	stay(400, 0, 0);
	for (int i = 0; i < 600; i++)
	{
		pass_second(i < 120 ? 63 * i / 120 : 63, i % 4);
		quiet = quiet && growth() == 0;
	}
	tap_ok(quiet, "a rollout of 63 in two minutes");

	begin();
	stay(60, 10, 1);
	for (int i = 1; i <= 5; i++)
		pass_second(10 + i, 1 + i);
	tap_ok(growth() == 0, "five that may be stuck");
	stay(11, 15, 6);
	tap_ok(growth() > 4.9 && growth() < 5.1, "they are, after ten seconds");
	begin();
	stay(60, 10, 0);
	stay(15, 15, 2);
	tap_ok(growth() == 0, "two of five get stuck: not yet");

	begin();
	stay(30, 5, 0);
	for (int i = 1; i <= 240; i++)
		pass_second(5 + i / 10, 0);
	tap_ok(growth() > 5.5 && growth() < 6.5,
		   "six a minute for four minutes, wherever they are: %g", growth());
	stay(61, 29, 0);
	tap_ok(growth() == 0, "until it has stopped for a minute");

	begin();
	stay(60, 77, 0);
	pass_second(78, 0);
	tap_ok(growth() > 0.9, "one more, nearly full: at once");
	stay(10, 70, 0);
	tap_ok(growth() < 0, "fewer: at once");
	clock_now -= 3600 * SECOND;
	pass_second(70, 0);
	tap_ok(growth() == 0 && forecast.n == 1, "the clock is set back: anew");

	tap_is_int(pgh_forecast_exhaustion(30, 6000), 5 * MINUTE,
			   "30 slots at 6 a minute");
	tap_is_int(pgh_forecast_exhaustion(0, 6000), 0, "none is left");
	tap_is_int(pgh_forecast_exhaustion(30, 0), -1, "no growth");
	tap_is_int(pgh_forecast_exhaustion(30, -7), -1, "fewer");
}

/* ----------
 * Twenty days
 * ----------
 */

static uint64_t seed = UINT64_C(0x9E3779B97F4A7C15);

static int
draw(int from, int to)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return from + (int) ((seed >> 33) % (uint64_t) (to - from + 1));
}

/* A deployment: new sessions come, and the old ones leave after that. */
typedef struct Rollout
{
	int			begins;
	int			lasts;			/* until all have come */
	int			size;
} Rollout;

/* A leak, to its end. */
typedef struct Leak
{
	int			begins;			/* DAY_SECONDS = none */
	int			ends;			/* somebody stops it */
	double		per_second;
	bool		stuck;			/* in a transaction; else left idle outside */
} Leak;

#define ROLLOUTS 4

typedef struct Day
{
	int			base;
	int			breath;
	int			restart;		/* when the server was restarted */
	Rollout		rollout[ROLLOUTS];
	Leak		leak;
} Day;

static void
make_day(Day *day, int number)
{
	day->base = draw(4, 20);
	day->breath = draw(1, 4);
	day->restart = draw(0, DAY_SECONDS - 1);
	for (int i = 0; i < ROLLOUTS; i++)
	{
		day->rollout[i].begins = draw(i * 20000, i * 20000 + 15000);
		day->rollout[i].lasts = draw(5, 120);
		day->rollout[i].size = draw(10, 43);
	}
	day->leak.begins = DAY_SECONDS;
	if (number % 2 == 0)
		return;
	day->leak.begins = draw(3600, 60000);
	day->leak.ends = day->leak.begins + 3600;
	day->leak.per_second = draw(5, 60) / 100.0;
	day->leak.stuck = draw(0, 99) < 60;
}

/* As many as came, and the same number of old ones goes five minutes later. */
static int
of_rollout(const Rollout *rollout, int second)
{
	int			since = second - rollout->begins;

	if (since < 0 || since >= rollout->lasts + 300)
		return 0;
	return since >= rollout->lasts ? rollout->size :
		rollout->size * since / rollout->lasts;
}

static int
of_leak(const Leak *leak, int second)
{
	if (second < leak->begins || second >= leak->ends)
		return 0;
	return (int) ((second - leak->begins) * leak->per_second);
}

/* The slots in use, without those of a leak. */
static int
honest_use(const Day *day, int second)
{
	int			hour = second / 3600;
	int			load = hour < 7 ? 0 : hour < 12 ? (hour - 6) * 2 :
		hour < 18 ? 12 : hour < 22 ? (22 - hour) * 2 : 0;
	int			used = day->base + load + draw(0, day->breath);

	for (int i = 0; i < ROLLOUTS; i++)
		used += of_rollout(&day->rollout[i], second);

	/* after a restart they come back within a minute, from none */
	if (second >= day->restart && second < day->restart + 90)
		used = second < day->restart + 30 ? 0 :
			used * (second - day->restart - 30) / 60;

	/* jobs: twenty at two o'clock, for as long as they take */
	if (second >= 7200 && second < 7200 + 900)
		used += second % 300 < 200 ? 20 : 5;
	return used;
}

/* One way to foretell, as it did on all the days. */
typedef struct Tally
{
	int			patience;		/* the alert's "for" */
	int			since;			/* seconds for which the alert would hold */
	int			falsely;
	int			missed;
	int			found;
	bool		alarm;			/* in this leak */
} Tally;

/* Is this second the one at which the alert fires? */
static bool
fires(Tally *tally, int available, int64_t growth_now)
{
	PghTime		left = pgh_forecast_exhaustion(available, growth_now);

	if (left < 0 || left >= ALARM_BELOW * SECOND)
	{
		tally->since = 0;
		return false;
	}
	return tally->since++ == tally->patience;
}

/* What it did before: the last minute, or what there is of it. */
static int64_t
growth_before(void)
{
	const PghForecast *f = &forecast;
	int			back = f->n > 60 ? 60 : f->n - 1;
	const PghReading *last = &f->ring[f->newest];
	const PghReading *from =
	&f->ring[(f->newest + PGH_READINGS - back) % PGH_READINGS];
	PghTime		elapsed = last->at - from->at;

	return elapsed < 5 * SECOND ? 0 :
		(int64_t) (last->used - from->used) * MINUTE * 1000 / elapsed;
}

static void
judge(Tally *tally, const Day *day, int second, int used, int64_t growth_now)
{
	bool		leaks = second >= day->leak.begins &&
		second < day->leak.ends + 120;

	if (!fires(tally, USABLE - used, growth_now))
		return;
	if (leaks)
		tally->alarm = true;
	else
		tally->falsely++;
}

/* A leak is found when the alarm came before the last slot was taken. */
static void
close_leak(Tally *tally)
{
	if (tally->alarm)
		tally->found++;
	else
		tally->missed++;
}

static void
live_through(Day *day, Tally *before, Tally *after)
{
	bool		leaks = day->leak.begins < DAY_SECONDS;

	before->alarm = after->alarm = false;
	for (int second = 0; second < DAY_SECONDS; second++)
	{
		int			leaked = of_leak(&day->leak, second);
		int			used = honest_use(day, second) + leaked;

		if (leaks && (second >= day->leak.ends || used >= USABLE))
		{
			/* one that used them up is stopped by somebody then */
			day->leak.ends = second;
			close_leak(before);
			close_leak(after);
			leaks = false;
		}
		if (second == day->restart)
			memset(&forecast, 0, sizeof(forecast));
		pass_second(used < USABLE ? used : USABLE,
					draw(0, 3) + (day->leak.stuck ? leaked : 0));
		judge(before, day, second, used, growth_before());
		judge(after, day, second, used,
			  pgh_forecast_growth(&forecast, USABLE));
	}
}

static void
test_days(void)
{
	Tally		before = {.patience = ALARM_FOR_BEFORE};
	Tally		after = {.patience = ALARM_FOR};

	begin();
	for (int number = 0; number < DAYS; number++)
	{
		Day			day;

		memset(&day, 0, sizeof(day));
		make_day(&day, number);
		live_through(&day, &before, &after);
	}
	printf("# alarms on %d days with %d rollouts, %d restarts and %d leaks:\n",
		   DAYS, DAYS * ROLLOUTS, DAYS, after.found + after.missed);
	printf("#          false  missed  found\n");
	printf("# before  %6d  %6d  %5d\n", before.falsely, before.missed,
		   before.found);
	printf("# after   %6d  %6d  %5d\n", after.falsely, after.missed,
		   after.found);
	tap_ok(after.falsely == 0 && after.falsely < before.falsely,
		   "false alarms: %d before, %d now", before.falsely, after.falsely);
	tap_ok(after.missed <= before.missed && after.found > 0,
		   "missed leaks: %d before, %d now", before.missed, after.missed);
}

int
main(void)
{
	test_cases();
	test_days();
	return tap_done();
}
