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
 * So many slots are in use: take a sample, if it is time for one.  To be
 * called by the worker, at least once a second, after its pass.
 */
extern void pgh_sampler_look(int used, TimestampTz now);

#endif							/* PGH_SAMPLER_H */
