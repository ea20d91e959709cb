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

#include "shared/applications.h"
#include "shared/samples.h"
#include "shared/totals.h"

static bool
is_due(TimestampTz now)
{
	bool		due;

	pgh_lock(&pgh_samples_part, LW_SHARED);
	due = pgh_sample_due(pgh_samples, now);
	pgh_unlock(&pgh_samples_part);
	return due;
}

static void
add_applications(PghSample *sample)
{
	pgh_lock(&pgh_applications_part, LW_SHARED);
	for (int i = 0; i < pgh_n_applications; i++)
		pgh_sample_holding(sample, pgh_applications[i].id,
						   pgh_applications[i].account.connections);
	pgh_watch_sample(sample);
	pgh_unlock(&pgh_applications_part);
}

void
pgh_sampler_look(int used, int peak, TimestampTz now)
{
	static int	most_used = 0;
	PghSample	sample;
	PghSampleTotals totals;

	most_used = Max(most_used, peak);
	if (!is_due(now))
		return;
	memset(&sample, 0, sizeof(sample));
	sample.at = now;
	sample.used = used;
	sample.most_used = most_used;
	add_applications(&sample);

	pgh_lock(&pgh_samples_part, LW_EXCLUSIVE);
	pgh_sample_totals(&totals);
	pgh_samples_add(pgh_samples, &sample, &totals);
	pgh_unlock(&pgh_samples_part);
	most_used = used;
}
