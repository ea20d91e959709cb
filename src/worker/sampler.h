/*-------------------------------------------------------------------------
 *
 * worker/sampler.h
 *	  Takes the samples of who holds the slots.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SAMPLER_H
#define PGH_SAMPLER_H

#include "worker/pass.h"

/*
 * Take a sample if it is time for one; "used" is the number of slots in use.
 * The worker calls this at least once a second, after its pass.
 */
extern void pgh_sampler_look(int used, TimestampTz now);

/*
 * All samples, the oldest first; the caller owns them.  An error may be
 * raised.  Not for the worker.
 */
extern PghSample *pgh_sampler_read(int *n);

/* Forget all samples; the worker takes the next one within a second. */
extern void pgh_sampler_reset(void);

#endif							/* PGH_SAMPLER_H */
