/*-------------------------------------------------------------------------
 *
 * worker/sampler.c
 *	  Takes the samples of who holds the slots.
 *
 * Owns: when a sample is taken, what goes into it, and the lock.  Must not:
 * allocate in the worker's pass, or end or refuse anything.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/sampler.h"

static bool
is_due(TimestampTz now)
{
	bool		due;

	pgh_lock(PGH_LOCK_SAMPLES, LW_SHARED);
	due = pgh_sample_due(pgh_samples, now);
	pgh_unlock(PGH_LOCK_SAMPLES);
	return due;
}

static void
add_applications(PghSample *sample)
{
	for (int i = 0; i < pgh_shared->n_applications; i++)
		pgh_sample_holding(sample, i,
						   pg_atomic_read_u32(&pgh_applications[i].connections));
	pgh_watch_sample(sample);
}

static void
read_totals(PghSampleTotals *totals)
{
	totals->ended =
		pg_atomic_read_u64(&pgh_shared->total[PGH_COUNT_TERMINATED]) +
		pg_atomic_read_u64(&pgh_shared->total[PGH_COUNT_EVICTED]);
	totals->refused = pg_atomic_read_u64(&pgh_shared->total[PGH_COUNT_REFUSED]);
	totals->refused_by_server =
		pg_atomic_read_u64(&pgh_shared->refused_by_server);
}

void
pgh_sampler_look(int used, TimestampTz now)
{
	static int	most_used = 0;
	PghSample	sample;
	PghSampleTotals totals;

	most_used = Max(most_used, used);
	if (!is_due(now))
		return;
	memset(&sample, 0, sizeof(sample));
	sample.at = now;
	sample.used = used;
	sample.most_used = most_used;
	add_applications(&sample);

	pgh_lock(PGH_LOCK_SAMPLES, LW_EXCLUSIVE);
	read_totals(&totals);
	pgh_samples_add(pgh_samples, &sample, &totals);
	pgh_unlock(PGH_LOCK_SAMPLES);
	most_used = used;
}

PghSample *
pgh_sampler_read(int *n)
{
	PghSample  *copy = palloc(PGH_MAX_SAMPLES * sizeof(PghSample));

	pgh_lock(PGH_LOCK_SAMPLES, LW_SHARED);
	*n = pgh_samples->n;
	for (int i = 0; i < *n; i++)
		copy[i] = *pgh_samples_get(pgh_samples, i);
	pgh_unlock(PGH_LOCK_SAMPLES);
	return copy;
}

void
pgh_sampler_reset(void)
{
	pgh_lock(PGH_LOCK_SAMPLES, LW_EXCLUSIVE);
	pgh_samples_clear(pgh_samples);
	pgh_unlock(PGH_LOCK_SAMPLES);
}
