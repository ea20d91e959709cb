/*-------------------------------------------------------------------------
 *
 * behaviour_test.c
 *	  What is remembered of an application, on workloads whose pauses are
 *	  known: all of them are kept beside, and what the histograms say is
 *	  compared with what they hold.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/behaviour.h"
#include "table.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define MAX_PERIODS 20000

typedef struct Period
{
	PghTime		length;
	bool		resumed;
} Period;

/* A workload: all that happened, and what was made of it. */
static Period periods[MAX_PERIODS];
static int	n_periods;
static PghBehaviour behaviour;
static uint64_t seed;

/* The same numbers on every machine. */
static uint32_t
draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t) (seed >> 33);
}

/* From a to b seconds, evenly. */
static PghTime
draw_uniform(double a, double b)
{
	return (PghTime) ((a + (b - a) * draw() / 2147483648.0) * SECOND);
}

/* Half of them are longer than twice "a" seconds, a tenth than ten times. */
static PghTime
draw_long_tailed(double a)
{
	double		u = (draw() + 1.0) / 2147483648.0;

	return (PghTime) (a / (u > 0.0002 ? u : 0.0002) * SECOND);
}

static void
begin(void)
{
	memset(&behaviour, 0, sizeof(behaviour));
	behaviour.since = SECOND;
	n_periods = 0;
	seed = UINT64_C(0x9E3779B97F4A7C15);
}

static void
add(PghTime length, bool resumed)
{
	periods[n_periods].length = length;
	periods[n_periods++].resumed = resumed;
	pgh_behaviour_add(&behaviour, PGH_PERIOD_IDLE_IN_TRANSACTION, length,
					  resumed);
}

static void
make_uniform(void)
{
	for (int i = 0; i < 400; i++)
		add(draw_uniform(0.5, 4), true);
}

static void
make_long_tailed(void)
{
	for (int i = 0; i < 2000; i++)
		add(draw_long_tailed(0.8), true);
}

static void
make_two_groups(void)
{
	for (int i = 0; i < 500; i++)
		add(i % 3 ? draw_uniform(1, 2.5) : draw_uniform(20, 50), true);
}

static void
make_leak_beside(void)
{
	for (int i = 0; i < 600; i++)
	{
		if (i % 4)
			add(draw_uniform(1, 5), true);
		else
			add(draw_uniform(2, 600), false);
	}
}

static const struct
{
	const char *name;
	void		(*make) (void);
	double		limit[5];		/* in seconds */
}			workloads[] = {
	{"uniform", make_uniform, {1, 1.7, 2, 2.9, 3.7}},
	{"long-tailed", make_long_tailed, {1, 2, 7.3, 20, 100}},
	{"two groups", make_two_groups, {1.3, 2, 10, 30, 45}},
	{"a leak beside", make_leak_beside, {1.5, 3, 4.7, 15, 300}},
};
#define N_WORKLOADS ((int) (sizeof(workloads) / sizeof(workloads[0])))

/* Within so many percent, and one is always near enough. */
static bool
is_near(double got, double want, double percent)
{
	double		off = got > want ? got - want : want - got;

	return off <= 1 || off * 100 <= want * percent;
}

/* What this limit would have done, counted one by one. */
static void
count_effect(PghTime limit, PghEffect *effect)
{
	memset(effect, 0, sizeof(*effect));
	for (int i = 0; i < n_periods; i++)
	{
		if (periods[i].length < limit)
			continue;
		effect->would_end++;
		effect->of_which_resumed += periods[i].resumed;
		effect->slot_time_freed += periods[i].length - limit;
	}
}

static void
check_limit(const char *workload, double seconds)
{
	PghTime		limit = (PghTime) (seconds * SECOND);
	PghEffect	got = pgh_predict(&behaviour, PGH_PERIOD_IDLE_IN_TRANSACTION,
								  limit);
	PghEffect	want;

	count_effect(limit, &want);
	tap_ok(is_near(got.would_end, want.would_end, 10),
		   "%s: a limit of %g s would end %d of %d, by the histograms %d",
		   workload, seconds, (int) want.would_end, n_periods,
		   (int) got.would_end);
	tap_ok(is_near(got.of_which_resumed, want.of_which_resumed, 10),
		   "%s: %d of them came back, by the histograms %d", workload,
		   (int) want.of_which_resumed, (int) got.of_which_resumed);
	tap_ok(is_near((double) got.slot_time_freed / SECOND,
				   (double) want.slot_time_freed / SECOND, 10),
		   "%s: that frees %g s, by the histograms %g s", workload,
		   (double) want.slot_time_freed / SECOND,
		   (double) got.slot_time_freed / SECOND);
}

static int
compare_lengths(const void *a, const void *b)
{
	const Period *left = a;
	const Period *right = b;

	return left->length < right->length ? -1 : left->length > right->length;
}

/* The length that so many percent do not exceed, of a second and more. */
static PghTime
find_percentile(int percent)
{
	int			first = 0;

	qsort(periods, n_periods, sizeof(Period), compare_lengths);
	while (periods[first].length < SECOND)
		first++;
	return periods[first + (n_periods - first - 1) * percent / 100].length;
}

static void
check_sums(const char *workload)
{
	PghPeriods	sum = pgh_behaviour_sum_up(&behaviour,
										   PGH_PERIOD_IDLE_IN_TRANSACTION);
	PghPeriods	want = {0};

	for (int i = 0; i < n_periods; i++)
	{
		const Period *period = &periods[i];

		if (period->length < SECOND)
			continue;
		want.periods++;
		want.resumed += period->resumed;
		if (period->length > want.longest)
			want.longest = period->length;
		if (period->resumed && period->length > want.longest_resumed)
			want.longest_resumed = period->length;
	}
	tap_is_int(sum.periods, want.periods, "%s: periods", workload);
	tap_is_int(sum.resumed, want.resumed, "%s: resumed", workload);
	tap_is_int(sum.longest, want.longest, "%s: the longest, exact", workload);
	tap_is_int(sum.longest_resumed, want.longest_resumed,
			   "%s: the longest that came back, exact", workload);
	tap_ok(is_near(sum.p50, find_percentile(50), 8) &&
		   is_near(sum.p90, find_percentile(90), 8) &&
		   is_near(sum.p99, find_percentile(99), 15),
		   "%s: p50 %g, p90 %g, p99 %g s, in truth %g, %g, %g", workload,
		   (double) sum.p50 / SECOND, (double) sum.p90 / SECOND,
		   (double) sum.p99 / SECOND, (double) find_percentile(50) / SECOND,
		   (double) find_percentile(90) / SECOND,
		   (double) find_percentile(99) / SECOND);
}

static void
test_workloads(void)
{
	for (int i = 0; i < N_WORKLOADS; i++)
	{
		begin();
		workloads[i].make();
		for (int j = 0; j < 5; j++)
			check_limit(workloads[i].name, workloads[i].limit[j]);
		check_sums(workloads[i].name);
	}
}

/* The suggestion hurts nobody, ends the leak, and keeps to the harm allowed. */
static void
test_suggestions(void)
{
	for (int i = 0; i < N_WORKLOADS; i++)
	{
		PghTime		last = PGH_NEVER;

		begin();
		workloads[i].make();
		for (int percent = 0; percent <= 20; percent += 5)
		{
			PghTime		limit =
			pgh_suggest_limit(&behaviour, PGH_PERIOD_IDLE_IN_TRANSACTION,
							  percent / 100.0);
			PghEffect	effect;

			count_effect(limit, &effect);
			tap_ok(effect.of_which_resumed * 100.0 <=
				   percent * behaviour.resumed[0].n * 1.05,
				   "%s: for a harm of %d %%: %g s, ends %d that came back and %d that did not",
				   workloads[i].name, percent, (double) limit / SECOND,
				   (int) effect.of_which_resumed,
				   (int) (effect.would_end - effect.of_which_resumed));
			tap_ok(limit <= last && limit == pgh_round_up_time(limit),
				   "%s: a round figure, and none that is longer",
				   workloads[i].name);
			last = limit;
		}
	}
	begin();
	tap_is_int(pgh_suggest_limit(&behaviour, PGH_PERIOD_IDLE, 0), 0,
			   "nothing was seen: no suggestion");
	add(30 * MINUTE, false);
	tap_is_int(pgh_suggest_limit(&behaviour, 0, 0), 2 * SECOND,
			   "only leaks: the shortest there is");
	add(SECOND, true);
	tap_is_int(pgh_suggest_limit(&behaviour, 0, 0), 2 * SECOND,
			   "1 s came back: 2 s");
	add(SECOND + 1, true);
	tap_is_int(pgh_suggest_limit(&behaviour, 0, 0), 5 * SECOND,
			   "a little more: 5 s");
	add(20 * DAY, true);
	tap_is_int(pgh_suggest_limit(&behaviour, 0, 0), PGH_NEVER,
			   "20 days: no figure is large enough");
	tap_is_int(pgh_suggest_limit(&behaviour, 0, 0.5), 2 * SECOND,
			   "unless half may be hurt");
}

static void
test_round_figures(void)
{
	static const struct
	{
		PghTime		length;
		PghTime		round;
	}			times[] = {
		{0, SECOND}, {SECOND, SECOND}, {SECOND + 1, 2 * SECOND},
		{46 * SECOND, MINUTE}, {61 * SECOND, 90 * SECOND},
		{91 * SECOND, 2 * MINUTE}, {HOUR + 1, 90 * MINUTE},
		{18 * HOUR + 1, DAY}, {14 * DAY, 14 * DAY}, {14 * DAY + 1, PGH_NEVER},
	};
	static const int32_t numbers[][2] = {
		{0, 5}, {5, 5}, {6, 10}, {10, 10}, {11, 15}, {24, 30}, {51, 75},
		{76, 100}, {101, 150}, {1000, 1000}, {4001, 5000}
	};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		tap_is_int(pgh_round_up_time(times[i].length), times[i].round,
				   "%lld us rounded up", (long long) times[i].length);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		tap_is_int(pgh_round_up_number(numbers[i][0]), numbers[i][1],
				   "%d rounded up", (int) numbers[i][0]);
	tap_ok(pgh_round_up_number(INT64_MAX) > 0, "a number beyond all bounds");
}

/* Buckets follow one another, and each holds what begins in it. */
static void
test_buckets(void)
{
	PghHistogram histogram;
	bool		good = true;

	for (int i = 0; i < PGH_BUCKETS; i++)
	{
		PghTime		begins = pgh_bucket_begins(i);

		memset(&histogram, 0, sizeof(histogram));
		pgh_histogram_add(&histogram, begins);
		if (i + 1 < PGH_BUCKETS)
			pgh_histogram_add(&histogram, pgh_bucket_begins(i + 1) - 1);
		good = good && pgh_bucket_begins(i + 1) > begins &&
			pgh_bucket_count(&histogram, i) == (i + 1 < PGH_BUCKETS ? 2 : 1);
	}
	tap_ok(good, "each bucket holds what lies between its ends");
	tap_is_int(pgh_bucket_begins(0), SECOND, "the first one from 1 s");
	tap_is_int(pgh_bucket_begins(PGH_BUCKETS - 1), 65536 * SECOND,
			   "the last one from 18 h");
	memset(&histogram, 0, sizeof(histogram));
	pgh_histogram_add(&histogram, -5);
	pgh_histogram_add(&histogram, SECOND - 1);
	tap_ok(histogram.n == 0 && histogram.below == 2,
		   "what is shorter is none of them");
	tap_ok(pgh_histogram_count(&histogram, SECOND / 2) == 1,
		   "but a limit of half a second would reach one of the two");
	tap_ok(sizeof(PghBehaviour) <= 2048, "an application takes %d bytes",
		   (int) sizeof(PghBehaviour));
}

/* Many are counted to a percent or two, and few beside them not forgotten. */
static void
test_many(void)
{
	static const int goals[] = {4095, 4096, 10000, 100000, 3000000};
	int			n = 0;

	begin();
	pgh_behaviour_add(&behaviour, PGH_PERIOD_IDLE, 300 * SECOND, false);
	for (size_t i = 0; i < sizeof(goals) / sizeof(goals[0]); i++)
	{
		PghEffect	effect;

		for (; n < goals[i]; n++)
			pgh_behaviour_add(&behaviour, PGH_PERIOD_IDLE, 3 * SECOND, true);
		effect = pgh_predict(&behaviour, PGH_PERIOD_IDLE, 2 * SECOND);
		tap_ok(is_near(effect.of_which_resumed, goals[i],
					   goals[i] <= 4096 ? 0 : 3),
			   "%d in one bucket: %d", goals[i],
			   (int) effect.of_which_resumed);
		effect = pgh_predict(&behaviour, PGH_PERIOD_IDLE, MINUTE);
		tap_is_int(effect.would_end, 1, "the one beside them is still there");
	}
	tap_is_int(behaviour.resumed[PGH_PERIOD_IDLE].n, n, "their sum is exact");
}

static void
test_merge(void)
{
	static PghBehaviour other;
	PghPeriods	sum;

	begin();
	make_two_groups();
	other = behaviour;
	other.since = 5;
	other.honest_connections = 7;
	other.roleid = 16384;
	pgh_behaviour_add(&other, PGH_PERIOD_SESSION, HOUR, false);
	pgh_behaviour_add(&other, PGH_PERIOD_TRANSACTION, 2 * HOUR, false);
	pgh_behaviour_merge(&behaviour, &other);
	sum = pgh_behaviour_sum_up(&behaviour, PGH_PERIOD_IDLE_IN_TRANSACTION);
	tap_is_int(sum.periods, 2 * n_periods, "merged: the periods of both");
	tap_is_int(pgh_predict(&behaviour, 0, SECOND).would_end, 2 * n_periods,
			   "in their buckets, too");
	sum = pgh_behaviour_sum_up(&behaviour, PGH_PERIOD_SESSION);
	tap_ok(sum.periods == 1 && sum.longest == HOUR && sum.p50 == HOUR,
		   "merged: a session");
	sum = pgh_behaviour_sum_up(&behaviour, PGH_PERIOD_TRANSACTION);
	tap_ok(sum.periods == 1 && sum.resumed == 0 && sum.longest == 2 * HOUR &&
		   sum.longest_resumed == 0, "merged: a transaction that was cut off");
	tap_ok(behaviour.since == 5 && behaviour.honest_connections == 7 &&
		   behaviour.roleid == 16384, "the earlier beginning, the larger need");
	tap_is_int(pgh_suggest_connections(&behaviour), 15,
			   "7 needed at once: 15 suggested");
	memset(&other, 0, sizeof(other));
	pgh_behaviour_merge(&behaviour, &other);
	tap_is_int(behaviour.since, 5, "one that was never seen adds nothing");
}

static void
test_evidence(void)
{
	static const struct
	{
		uint64_t	periods;
		uint64_t	resumed;
		bool		never;
	}			cases[] = {
		{9, 0, false}, {10, 0, true}, {10, 1, false}, {11, 1, true},
		{20, 2, false}, {21, 2, true}, {1000, 99, true}, {1000, 100, false},
		{0, 0, false}, {UINT64_MAX, UINT64_MAX, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tap_ok(pgh_never_resumes(cases[i].periods, cases[i].resumed) ==
			   cases[i].never, "%llu of %llu came back: %s",
			   (unsigned long long) cases[i].resumed,
			   (unsigned long long) cases[i].periods,
			   cases[i].never ? "they never do" : "not enough to say so");
	tap_is_text(pgh_confidence_name(pgh_confidence(19, 8 * DAY)), "low",
				"19 periods");
	tap_is_text(pgh_confidence_name(pgh_confidence(1000, HOUR - 1)), "low",
				"less than an hour");
	tap_is_text(pgh_confidence_name(pgh_confidence(20, HOUR)), "fair",
				"20 periods in an hour");
	tap_is_text(pgh_confidence_name(pgh_confidence(20, 7 * DAY)), "good",
				"20 periods in a week");
}

/* --------------------------------------------------------- outlook.tbl */

static TestTable outlooks;

/* "3s", in microseconds, and how many after "*". */
static PghTime
read_length(char *s, int *times)
{
	char	   *star = strchr(s, '*');

	*times = star == NULL ? 1 : atoi(star + 1);
	return (PghTime) (strtod(s, NULL) * 1e6 + 0.5);
}

/* "a lost 60s*10" */
static void
add_pauses(char *s)
{
	char	   *word_end;
	char	   *role = strtok_r(s, " ", &word_end);
	char	   *word = strtok_r(NULL, " ", &word_end);
	bool		lost = word != NULL && strcmp(word, "lost") == 0;
	int			times;
	PghTime		length;

	if (lost)
		word = strtok_r(NULL, " ", &word_end);
	if (word == NULL)
		table_bail_out(&outlooks, "a length is missing");
	length = read_length(word, &times);
	for (int i = 0; i < times; i++)
	{
		add(length, !lost);
		pgh_behaviour_add_role(&behaviour, *role == '+' ? 1000 + i : *role);
	}
}

static void
test_outlook(char **field)
{
	static const char *const names[] = {"unknown", "returns", "lost"};
	char	   *part_end;
	int			times;
	PghTime		length = read_length(field[1] + 2, &times);
	char		seen[TABLE_LINE_LEN];

	begin();
	snprintf(seen, sizeof(seen), "%s", field[0]);
	for (char *part = strtok_r(seen, ";", &part_end); part != NULL;
		 part = strtok_r(NULL, ";", &part_end))
		add_pauses(part);
	tap_is_text(names[pgh_pause_outlook(&behaviour, *field[1], length)],
				field[2], "outlook.tbl:%d %s | %s", outlooks.line, field[0],
				field[1]);
}

static void
test_outlooks(void)
{
	table_open(&outlooks, "test/unit/outlook.tbl");
	while (table_next(&outlooks, 3))
		test_outlook(outlooks.field);
	tap_ok(outlooks.rows > 20, "outlook.tbl was read");
}

static void
test_nothing(void)
{
	PghPeriods	sum;

	memset(&behaviour, 0, sizeof(behaviour));
	tap_ok(pgh_behaviour_is_empty(&behaviour), "nothing was seen");
	for (int kind = 0; kind < PGH_N_PERIOD_KINDS; kind++)
	{
		PghEffect	effect = pgh_predict(&behaviour, kind, SECOND);

		sum = pgh_behaviour_sum_up(&behaviour, kind);
		tap_ok(sum.periods == 0 && sum.p50 == 0 && sum.p99 == 0 &&
			   sum.longest == 0 && effect.would_end == 0 &&
			   effect.slot_time_freed == 0, "no %s",
			   pgh_period_kind_name(kind));
	}
	begin();
	add(20 * SECOND, true);
	tap_is_int(pgh_predict(&behaviour, 0, 0).would_end, 0,
			   "a limit of 0 is none");
	tap_is_int(pgh_predict(&behaviour, 0, 20 * SECOND).would_end, 1,
			   "the longest is ended by a limit of its length");
	tap_is_int(pgh_predict(&behaviour, 0, 20 * SECOND + 1).would_end, 0,
			   "and by none that is longer");
}

int
main(void)
{
	test_buckets();
	test_workloads();
	test_suggestions();
	test_round_figures();
	test_many();
	test_merge();
	test_evidence();
	test_outlooks();
	test_nothing();
	return tap_done();
}
