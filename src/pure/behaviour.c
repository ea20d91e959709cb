/*-------------------------------------------------------------------------
 *
 * pure/behaviour.c
 *	  What follows from how an application behaves.
 *
 * Owns: the thresholds, the round figures, and what they are applied to.
 * Must not: know sessions, read a clock, a setting or shared memory, allocate,
 * or raise an error: it is compiled and tested without PostgreSQL.  Anyone may
 * call it.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/behaviour.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* Enough to go by. */
#define FAIR_PERIODS 20
#define FAIR_TIME HOUR
#define GOOD_TIME (7 * DAY)

#define EVIDENCE_PERIODS 10
#define EVIDENCE_SHARE 10		/* fewer than one in this many came back */

#define SHORTEST_SUGGESTION (2 * SECOND)

/* The largest is less than a rule may have. */
static const PghTime round_times[] = {
	1 * SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND,
	20 * SECOND, 30 * SECOND, 45 * SECOND,
	1 * MINUTE, 90 * SECOND, 2 * MINUTE, 3 * MINUTE, 5 * MINUTE, 10 * MINUTE,
	15 * MINUTE, 20 * MINUTE, 30 * MINUTE, 45 * MINUTE,
	1 * HOUR, 90 * MINUTE, 2 * HOUR, 3 * HOUR, 4 * HOUR, 6 * HOUR, 8 * HOUR,
	12 * HOUR, 18 * HOUR,
	1 * DAY, 2 * DAY, 3 * DAY, 5 * DAY, 7 * DAY, 14 * DAY
};
#define N_ROUND_TIMES (sizeof(round_times) / sizeof(round_times[0]))

/* Times a power of ten. */
static const int32_t round_numbers[] = {10, 15, 20, 30, 40, 50, 75};
#define N_ROUND_NUMBERS (sizeof(round_numbers) / sizeof(round_numbers[0]))

const char *
pgh_period_kind_name(PghPeriodKind kind)
{
	static const char *const names[PGH_N_PERIOD_KINDS] = {
		[PGH_PERIOD_IDLE_IN_TRANSACTION] = "idle in transaction",
		[PGH_PERIOD_IDLE] = "idle",
		[PGH_PERIOD_TRANSACTION] = "transaction",
		[PGH_PERIOD_SESSION] = "session",
	};

	return names[kind];
}

void
pgh_behaviour_add(PghBehaviour *behaviour, PghPeriodKind kind,
				  PghTime length, bool resumed)
{
	if (kind == PGH_PERIOD_SESSION)
		pgh_histogram_add(&behaviour->sessions, length);
	else if (resumed)
		pgh_histogram_add(&behaviour->resumed[kind], length);
	else
		pgh_histogram_add(&behaviour->lost[kind], length);
}

void
pgh_behaviour_merge(PghBehaviour *into, const PghBehaviour *from)
{
	if (pgh_behaviour_is_empty(from))
		return;
	for (int i = 0; i < PGH_N_JUDGED_KINDS; i++)
	{
		pgh_histogram_merge(&into->resumed[i], &from->resumed[i]);
		pgh_histogram_merge(&into->lost[i], &from->lost[i]);
	}
	pgh_histogram_merge(&into->sessions, &from->sessions);
	if (pgh_behaviour_is_empty(into) || from->since < into->since)
		into->since = from->since;
	if (into->roleid == 0)
	{
		into->roleid = from->roleid;
		into->databaseid = from->databaseid;
		into->address = from->address;
	}
	if (from->honest_connections > into->honest_connections)
		into->honest_connections = from->honest_connections;
	for (int i = 0; i < PGH_EVIDENT_ROLES; i++)
		pgh_behaviour_add_role(into, from->pausing_roles[i]);
}

bool
pgh_behaviour_is_empty(const PghBehaviour *behaviour)
{
	return behaviour->since == 0;
}

/* ----------
 * What is shown
 * ----------
 */

PghPeriods
pgh_behaviour_sum_up(const PghBehaviour *behaviour, PghPeriodKind kind)
{
	const PghHistogram *a = kind == PGH_PERIOD_SESSION ?
		&behaviour->sessions : &behaviour->resumed[kind];
	const PghHistogram *b = kind == PGH_PERIOD_SESSION ?
		NULL : &behaviour->lost[kind];
	PghPeriods	sum;

	sum.resumed = a->n;
	sum.periods = a->n + (b != NULL ? b->n : 0);
	sum.p50 = pgh_histogram_percentile(a, b, 0.50);
	sum.p90 = pgh_histogram_percentile(a, b, 0.90);
	sum.p99 = pgh_histogram_percentile(a, b, 0.99);
	sum.longest_resumed = a->longest;
	sum.longest = b != NULL && b->longest > a->longest ?
		b->longest : a->longest;
	return sum;
}

/* ----------
 * What a limit would have done
 * ----------
 */

static uint64_t
round_count(double count, uint64_t most)
{
	uint64_t	rounded = (uint64_t) (count + 0.5);

	return rounded < most ? rounded : most;
}

/* A limit below a second also reaches what is not among the periods. */
static uint64_t
ended_of(const PghHistogram *histogram, PghTime limit)
{
	return round_count(pgh_histogram_count(histogram, limit),
					   histogram->n + histogram->below);
}

PghEffect
pgh_predict(const PghBehaviour *behaviour, PghPeriodKind kind, PghTime limit)
{
	static const PghHistogram none;
	const PghHistogram *resumed = kind == PGH_PERIOD_SESSION ?
		&none : &behaviour->resumed[kind];
	const PghHistogram *lost = kind == PGH_PERIOD_SESSION ?
		&behaviour->sessions : &behaviour->lost[kind];
	PghEffect	effect = {0, 0, 0};
	double		freed;

	if (limit <= 0)
		return effect;
	effect.of_which_resumed = ended_of(resumed, limit);
	effect.would_end = effect.of_which_resumed + ended_of(lost, limit);
	freed = pgh_histogram_excess(resumed, limit) +
		pgh_histogram_excess(lost, limit);
	effect.slot_time_freed = freed < (double) (PGH_NEVER / 2) ?
		(PghTime) freed : PGH_NEVER / 2;
	return effect;
}

/* ----------
 * Which limit hurts nobody
 * ----------
 */

PghConfidence
pgh_confidence(uint64_t periods, PghTime observed_for)
{
	if (periods < FAIR_PERIODS || observed_for < FAIR_TIME)
		return PGH_CONFIDENCE_LOW;
	return observed_for >= GOOD_TIME ?
		PGH_CONFIDENCE_GOOD : PGH_CONFIDENCE_FAIR;
}

const char *
pgh_confidence_name(PghConfidence confidence)
{
	return confidence == PGH_CONFIDENCE_GOOD ? "good" :
		confidence == PGH_CONFIDENCE_FAIR ? "fair" : "low";
}

PghTime
pgh_round_up_time(PghTime length)
{
	for (size_t i = 0; i < N_ROUND_TIMES; i++)
		if (round_times[i] >= length)
			return round_times[i];
	return PGH_NEVER;
}

int32_t
pgh_round_up_number(int64_t number)
{
	if (number <= 5)
		return 5;
	for (int64_t ten = 1; ten <= INT32_MAX / 100; ten *= 10)
		for (size_t i = 0; i < N_ROUND_NUMBERS; i++)
			if (round_numbers[i] * ten >= number)
				return (int32_t) (round_numbers[i] * ten);
	return INT32_MAX;
}

/* The shortest round figure that ends at most this many that came back. */
static PghTime
shortest_for(const PghHistogram *resumed, double most)
{
	for (size_t i = 0; i < N_ROUND_TIMES; i++)
		if (round_times[i] >= SHORTEST_SUGGESTION &&
			pgh_histogram_count(resumed, round_times[i]) <= most)
			return round_times[i];
	return PGH_NEVER;
}

PghTime
pgh_suggest_limit(const PghBehaviour *behaviour, PghPeriodKind kind,
				  double harm)
{
	const PghHistogram *resumed = &behaviour->resumed[kind];
	PghTime		harmless;
	PghTime		shorter;

	if (resumed->n + behaviour->lost[kind].n == 0)
		return 0;
	harmless = resumed->longest > PGH_NEVER / 2 ? PGH_NEVER :
		pgh_round_up_time(2 * resumed->longest);
	if (harmless < SHORTEST_SUGGESTION)
		harmless = SHORTEST_SUGGESTION;
	if (harm <= 0)
		return harmless;
	shorter = shortest_for(resumed, harm * (double) resumed->n);
	return shorter < harmless ? shorter : harmless;
}

int32_t
pgh_suggest_connections(const PghBehaviour *behaviour)
{
	if (behaviour->honest_connections <= 0)
		return 0;
	return pgh_round_up_number(2 * (int64_t) behaviour->honest_connections);
}

/* ----------
 * Evidence
 * ----------
 */

bool
pgh_never_resumes(uint64_t periods, uint64_t resumed)
{
	return periods >= EVIDENCE_PERIODS &&
		resumed < (periods + EVIDENCE_SHARE - 1) / EVIDENCE_SHARE;
}

void
pgh_behaviour_add_role(PghBehaviour *behaviour, uint32_t role)
{
	uint32_t   *roles = behaviour->pausing_roles;

	for (int i = 0; role != 0 && i < PGH_EVIDENT_ROLES; i++)
	{
		if (roles[i] == 0)
			roles[i] = role;
		if (roles[i] == role)
			return;
	}
}

/* Does what was seen of the application say anything about this role? */
static bool
is_evidence(const PghBehaviour *behaviour, uint32_t role)
{
	const uint32_t *roles = behaviour->pausing_roles;

	return roles[PGH_EVIDENT_ROLES - 1] != 0 ||
		(roles[0] == role && roles[1] == 0);
}

PghLike
pgh_like_pauses(const PghBehaviour *behaviour, uint32_t role, PghTime length)
{
	const PghHistogram *resumed =
	&behaviour->resumed[PGH_PERIOD_IDLE_IN_TRANSACTION];
	const PghHistogram *lost =
	&behaviour->lost[PGH_PERIOD_IDLE_IN_TRANSACTION];
	PghTime		least = length / 2 > PGH_SHORTEST_PERIOD ?
		length / 2 : PGH_SHORTEST_PERIOD;
	PghLike		like;

	like.evident = is_evidence(behaviour, role);
	like.returned = ended_of(resumed, least);
	like.lost = like.evident ? ended_of(lost, least) : 0;
	return like;
}

PghOutlook
pgh_pause_outlook(const PghBehaviour *behaviour, uint32_t role,
				  PghTime length)
{
	PghLike		like = pgh_like_pauses(behaviour, role, length);
	uint64_t	periods = like.returned + like.lost;

	if (!like.evident || periods < EVIDENCE_PERIODS)
		return PGH_OUTLOOK_UNKNOWN;
	if (pgh_never_resumes(periods, like.returned))
		return PGH_OUTLOOK_LOST;
	return like.returned > periods / 2 ?
		PGH_OUTLOOK_RETURNS : PGH_OUTLOOK_UNKNOWN;
}
