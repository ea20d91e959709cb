/*-------------------------------------------------------------------------
 *
 * shared/samples.h
 *	  The samples of who held the slots, in shared memory.
 *
 * W the worker (add) and reset(), under the lock exclusive; R under it
 * shared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SHARED_SAMPLES_H
#define PGH_SHARED_SAMPLES_H

#include "pure/samples.h"
#include "shared/part.h"

StaticAssertDecl(sizeof(PghSamples) <= 300 * 1000, "the samples are too large");

extern PghPart pgh_samples_part;
extern PghSamples *pgh_samples;

/*
 * All samples, the oldest first; the caller owns them.  An error may be
 * raised.  Not for the worker.
 */
extern PghSample *pgh_samples_read(int *n);

/* The counters that are sampled, as they are now. */
extern void pgh_sample_totals(PghSampleTotals *totals);

/* By how much they have grown since the newest sample. */
extern void pgh_samples_lack(PghSampleTotals *lacking);

#endif							/* PGH_SHARED_SAMPLES_H */
