/*-------------------------------------------------------------------------
 *
 * fuzz_behaviour.c
 *	  Periods of any length, of any kind, in any order.
 *
 * What must hold: sums are exact; a limit never ends more than there was, a
 * longer limit never more than a shorter one, and never anything beyond the
 * longest; percentiles rise and stay below the longest; a suggestion for no
 * harm is beyond all that came back, and more harm never makes it longer; two
 * halves merged are the whole.
 *
 * Each period takes ten bytes of the input: kind, how it ended, length.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "fuzz.h"
#include "pure/behaviour.h"

#define BYTES_EACH 10

/* Lengths of every order, and any number at all. */
static PghTime
read_length(const uint8_t *data)
{
	uint64_t	length;

	memcpy(&length, data + 2, sizeof(length));
	if (data[1] & 2)
		length >>= data[1] >> 2;
	return (PghTime) length;
}

static void
check_limits(const PghBehaviour *behaviour, PghPeriodKind kind)
{
	PghPeriods	sum = pgh_behaviour_sum_up(behaviour, kind);
	uint64_t	last = UINT64_MAX;

	for (int i = 0; i <= PGH_BUCKETS; i += 3)
	{
		PghTime		limit = pgh_bucket_begins(i);
		PghEffect	effect = pgh_predict(behaviour, kind, limit);

		REQUIRE(effect.would_end <= last);
		REQUIRE(effect.would_end <= sum.periods);
		REQUIRE(effect.of_which_resumed <= effect.would_end);
		REQUIRE(effect.slot_time_freed >= 0);
		REQUIRE(limit <= sum.longest || effect.would_end == 0);
		REQUIRE(limit > sum.longest || effect.would_end > 0);
		last = effect.would_end;
	}
}

static void
check_sums(const PghBehaviour *behaviour, PghPeriodKind kind)
{
	PghPeriods	sum = pgh_behaviour_sum_up(behaviour, kind);

	REQUIRE(sum.resumed <= sum.periods);
	REQUIRE(0 <= sum.p50 && sum.p50 <= sum.p90 && sum.p90 <= sum.p99);
	REQUIRE(sum.p99 <= sum.longest && sum.longest_resumed <= sum.longest);
	REQUIRE((sum.periods > 0) == (sum.longest >= PGH_SHORTEST_PERIOD));
	REQUIRE((sum.periods > 0) == (sum.p50 >= PGH_SHORTEST_PERIOD));
}

static void
check_suggestions(const PghBehaviour *behaviour, PghPeriodKind kind)
{
	PghTime		last = PGH_NEVER;

	for (int percent = 0; percent <= 100; percent += 10)
	{
		PghTime		limit = pgh_suggest_limit(behaviour, kind, percent / 100.0);

		REQUIRE(limit <= last);
		REQUIRE(limit == 0 || limit == PGH_NEVER ||
				limit == pgh_round_up_time(limit));
		if (percent == 0 && limit != 0 && limit != PGH_NEVER)
			REQUIRE(pgh_predict(behaviour, kind, limit).of_which_resumed == 0);
		last = limit;
	}
}

static void
check_merged(const PghBehaviour *whole, const PghBehaviour *halves)
{
	PghBehaviour merged = halves[0];

	pgh_behaviour_merge(&merged, &halves[1]);
	for (int kind = 0; kind < PGH_N_PERIOD_KINDS; kind++)
	{
		PghPeriods	a = pgh_behaviour_sum_up(whole, kind);
		PghPeriods	b = pgh_behaviour_sum_up(&merged, kind);

		REQUIRE(a.periods == b.periods && a.resumed == b.resumed);
		REQUIRE(a.longest == b.longest && a.p50 == b.p50);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PghBehaviour whole;
	PghBehaviour halves[2];
	size_t		n = size / BYTES_EACH;

	memset(&whole, 0, sizeof(whole));
	memset(halves, 0, sizeof(halves));
	whole.since = halves[0].since = halves[1].since = 1;
	for (size_t i = 0; i < n; i++)
	{
		const uint8_t *its = data + i * BYTES_EACH;
		PghPeriodKind kind = its[0] % PGH_N_PERIOD_KINDS;
		PghTime		length = read_length(its);

		pgh_behaviour_add(&whole, kind, length, its[1] & 1);
		pgh_behaviour_add(&halves[i % 2], kind, length, its[1] & 1);
	}
	for (int kind = 0; kind < PGH_N_PERIOD_KINDS; kind++)
	{
		check_limits(&whole, kind);
		check_sums(&whole, kind);
		if (kind < PGH_N_JUDGED_KINDS)
			check_suggestions(&whole, kind);
	}
	check_merged(&whole, halves);
	return 0;
}
