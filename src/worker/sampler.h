/*-------------------------------------------------------------------------
 *
 * worker/sampler.h
 *	  Takes the samples of who holds the slots.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SAMPLER_H
#define PGH_SAMPLER_H

#include "worker/watch.h"

/*
 * Take a sample if it is time for one; "used" is the number of slots in use,
 * "peak" the most that were since the last call.  The worker calls this at
 * least once a second, after its pass.
 */
extern void pgh_sampler_look(int used, int peak, TimestampTz now);

#endif							/* PGH_SAMPLER_H */
