/*-------------------------------------------------------------------------
 *
 * shared/samples.c
 *	  The samples of who held the slots, in shared memory.
 *
 * Owns: PghSamples and its lock.  Must not: take a sample; that is
 * worker/sampler.c.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/samples.h"

#include "shared/totals.h"

PghSamples *pgh_samples = NULL;

PghSample *
pgh_samples_read(int *n)
{
	PghSample  *copy = palloc(PGH_MAX_SAMPLES * sizeof(PghSample));

	pgh_lock(&pgh_samples_part, LW_SHARED);
	*n = pgh_samples->n;
	for (int i = 0; i < *n; i++)
		copy[i] = *pgh_samples_get(pgh_samples, i);
	pgh_unlock(&pgh_samples_part);
	return copy;
}

void
pgh_sample_totals(PghSampleTotals *totals)
{
	totals->ended =
		pg_atomic_read_u64(&pgh_totals->count[PGH_COUNT_TERMINATED]) +
		pg_atomic_read_u64(&pgh_totals->count[PGH_COUNT_EVICTED]);
	totals->refused = pg_atomic_read_u64(&pgh_totals->count[PGH_COUNT_REFUSED]);
	totals->refused_by_server =
		pg_atomic_read_u64(&pgh_totals->refused_by_server);
}

void
pgh_samples_lack(PghSampleTotals *lacking)
{
	PghSampleTotals sampled;
	PghSampleTotals now;

	pgh_lock(&pgh_samples_part, LW_SHARED);
	pgh_sample_totals(&now);
	sampled = pgh_samples->counting ? pgh_samples->totals : now;
	pgh_unlock(&pgh_samples_part);

	/* Somebody may be clearing the counters. */
	lacking->ended = now.ended - Min(sampled.ended, now.ended);
	lacking->refused = now.refused - Min(sampled.refused, now.refused);
	lacking->refused_by_server = now.refused_by_server -
		Min(sampled.refused_by_server, now.refused_by_server);
}

static Size
size_samples(void)
{
	return sizeof(PghSamples);
}

static void
init_samples(void *area)
{
	pgh_samples = area;
}

/* The worker takes the next one within a second. */
static void
reset_samples(void)
{
	pgh_lock(&pgh_samples_part, LW_EXCLUSIVE);
	pgh_samples_clear(pgh_samples);
	pgh_unlock(&pgh_samples_part);
}

PghPart		pgh_samples_part = {
	.name = "samples",
	.size = size_samples,
	.init = init_samples,
	.reset = reset_samples,
};
