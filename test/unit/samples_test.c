/*-------------------------------------------------------------------------
 *
 * samples_test.c
 *	  The ring of samples: its order, its bound, a clock that is set, what
 *	  counters grew by, and which applications are kept.
 *
 * To be run in the project's top folder.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/samples.h"
#include "tap.h"

#define SECOND INT64_C(1000000)

/* A moment at which a span begins. */
#define START (INT64_C(800000000) * SECOND)

static PghSamples samples;
static PghSampleTotals totals;

static void
add(PghTime at)
{
	PghSample	sample;

	memset(&sample, 0, sizeof(sample));
	sample.at = at;
	pgh_samples_add(&samples, &sample, &totals);
}

static PghTime
stamp(uint32_t i)
{
	return pgh_samples_get(&samples, i)->at;
}

static void
begin(void)
{
	memset(&samples, 0, sizeof(samples));
	memset(&totals, 0, sizeof(totals));
}

static bool
rises(void)
{
	for (uint32_t i = 1; i < samples.n; i++)
		if (stamp(i) <= stamp(i - 1))
			return false;
	return true;
}

static void
test_due(void)
{
	begin();
	tap_ok(pgh_sample_due(&samples, START), "the first one is due at once");
	add(START + 3 * SECOND);
	tap_ok(!pgh_sample_due(&samples, START + 3 * SECOND), "not again at once");
	tap_ok(!pgh_sample_due(&samples, START + 10 * SECOND - 1),
		   "not before the span ends");
	tap_ok(pgh_sample_due(&samples, START + 10 * SECOND), "in the next span");
	tap_ok(pgh_sample_due(&samples, START + 86400 * SECOND),
		   "when the clock was set forward");
	tap_ok(!pgh_sample_due(&samples, START),
		   "not when it was set back within the span");
	tap_ok(pgh_sample_due(&samples, START - 1), "when it was set back further");
	pgh_samples_clear(&samples);
	tap_ok(pgh_sample_due(&samples, START + 3 * SECOND),
		   "when the samples were cleared");
}

static void
test_bound(void)
{
	begin();
	for (int i = 0; i < PGH_MAX_SAMPLES; i++)
		add(START + i * PGH_SAMPLE_SPAN);
	tap_is_int(samples.n, PGH_MAX_SAMPLES, "the ring is full");
	tap_is_int(stamp(0), START, "and has the first sample");
	for (int i = 0; i < 5; i++)
		add(START + (PGH_MAX_SAMPLES + i) * PGH_SAMPLE_SPAN);
	tap_is_int(samples.n, PGH_MAX_SAMPLES, "it stays full");
	tap_is_int(stamp(0), START + 5 * PGH_SAMPLE_SPAN, "the oldest went");
	tap_is_int(stamp(samples.n - 1),
			   START + (PGH_MAX_SAMPLES + 4) * PGH_SAMPLE_SPAN,
			   "the newest is the last");
	tap_ok(rises(), "in their order");
}

static void
test_clock(void)
{
	begin();
	for (int i = 0; i < 100; i++)
		add(START + i * PGH_SAMPLE_SPAN);
	add(START + 50 * PGH_SAMPLE_SPAN);
	tap_is_int(samples.n, 51, "set back: what was stamped later is dropped");
	tap_is_int(stamp(0), START, "what was before stays");
	tap_ok(rises(), "stamps rise");
	add(START + 1000 * PGH_SAMPLE_SPAN);
	add(START + 1001 * PGH_SAMPLE_SPAN);
	add(START + 51 * PGH_SAMPLE_SPAN);
	tap_is_int(samples.n, 52, "forward and back: nothing good is lost");
	add(START - PGH_SAMPLE_SPAN);
	tap_is_int(samples.n, 1, "set back before all of them");
	tap_is_int(stamp(0), START - PGH_SAMPLE_SPAN, "the new one is there");

	/* The same in a ring that has gone round. */
	begin();
	for (int i = 0; i < PGH_MAX_SAMPLES + 10; i++)
		add(START + i * PGH_SAMPLE_SPAN);
	add(START + (PGH_MAX_SAMPLES - 10) * PGH_SAMPLE_SPAN);
	tap_is_int(samples.n, PGH_MAX_SAMPLES - 19, "set back in a full ring");
	tap_is_int(stamp(0), START + 10 * PGH_SAMPLE_SPAN, "the oldest stays");
	tap_ok(rises(), "stamps rise in it");
}

static const PghSample *
newest(void)
{
	return pgh_samples_get(&samples, samples.n - 1);
}

static void
test_totals(void)
{
	begin();
	totals = (PghSampleTotals)
	{
		1000, 2000, 3000
	};
	add(START);
	tap_ok(newest()->ended == 0 && newest()->refused == 0 &&
		   newest()->refused_by_server == 0,
		   "what was counted in an earlier life is not counted again");
	totals = (PghSampleTotals)
	{
		1001, 2002, 3003
	};
	add(START + PGH_SAMPLE_SPAN);
	tap_is_int(newest()->ended, 1, "ended since then");
	tap_is_int(newest()->refused, 2, "refused since then");
	tap_is_int(newest()->refused_by_server, 3, "by the server since then");
	add(START + 2 * PGH_SAMPLE_SPAN);
	tap_is_int(newest()->ended, 0, "nothing happened");
	pgh_samples_clear(&samples);
	tap_is_int(samples.n, 0, "cleared");
	totals = (PghSampleTotals)
	{
		4, 5, 6
	};
	add(START + 3 * PGH_SAMPLE_SPAN);
	tap_is_int(newest()->ended, 4, "all since it was cleared");
	totals = (PghSampleTotals)
	{
		1, 0, 7
	};
	add(START + 4 * PGH_SAMPLE_SPAN);
	tap_is_int(newest()->ended, 1, "a counter that was set back");
	tap_is_int(newest()->refused, 0, "and is 0");
	tap_is_int(newest()->refused_by_server, 1, "one that was not");
	totals.ended += UINT64_C(1) << 40;
	add(START + 5 * PGH_SAMPLE_SPAN);
	tap_is_int(newest()->ended, UINT32_MAX, "more than fits is the most");
}

static void
test_holdings(void)
{
	static const uint32_t held[] = {3, 0, 9, 9, 1, 70, 2, 4, 5, 6, 3, 8};
	static const uint32_t largest[] = {70, 9, 9, 8, 6, 5, 4, 3};
	static const uint32_t whose[] = {5, 2, 3, 11, 9, 8, 7, 0};
	PghSample	sample;

	memset(&sample, 0, sizeof(sample));
	for (uint32_t i = 0; i < 3; i++)
		pgh_sample_holding(&sample, i, held[i]);
	tap_ok(sample.largest[0].connections == 9 &&
		   sample.largest[1].connections == 3 &&
		   sample.largest[2].connections == 0,
		   "few: the others are empty, one without connections is not kept");

	memset(&sample, 0, sizeof(sample));
	for (uint32_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
		pgh_sample_holding(&sample, i, held[i]);
	for (int i = 0; i < PGH_SAMPLE_APPLICATIONS; i++)
		tap_ok(sample.largest[i].connections == largest[i] &&
			   sample.largest[i].application == whose[i],
			   "of many, place %d", i);
}

int
main(void)
{
	tap_is_int(sizeof(PghSample), 128, "a sample is as large as is said");
	test_due();
	test_bound();
	test_clock();
	test_totals();
	test_holdings();
	return tap_done();
}
