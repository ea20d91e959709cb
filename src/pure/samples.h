/*-------------------------------------------------------------------------
 *
 * pure/samples.h
 *	  A bounded history of how many slots were in use, and by whom.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, no globals that
 * change, no allocation, no error raised.  Whoever calls it holds the lock
 * that PghSamples is under, see shmem.h.
 *
 * The clock's time is cut into spans of ten seconds, and each span gets one
 * sample.  The stamps in the ring only rise: when the clock was set back, the
 * samples that it had stamped later than that are dropped.  When it was set
 * forward, or nobody took samples, a gap is left.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SAMPLES_H
#define PGH_SAMPLES_H

#include "pure/facts.h"

/* Six hours, in spans of ten seconds. */
#define PGH_SAMPLE_SPAN INT64_C(10000000)	/* microseconds */
#define PGH_MAX_SAMPLES 2160

/* Applications told apart in a sample: those with the most connections. */
#define PGH_SAMPLE_APPLICATIONS 8

/* What one application held. */
typedef struct PghHolding
{
	uint32_t	application;	/* its id, which no other one has */
	uint32_t	connections;	/* 0 = an empty place */
	uint32_t	idle_in_transaction;
} PghHolding;

typedef struct PghSample
{
	PghTime		at;
	uint32_t	used;			/* slots in use */
	uint32_t	most_used;		/* the most since the sample before */
	uint32_t	idle_in_transaction;	/* sessions */

	/* How many since the sample before. */
	uint32_t	ended;
	uint32_t	refused;
	uint32_t	refused_by_server;

	PghHolding	largest[PGH_SAMPLE_APPLICATIONS];	/* the largest first */
} PghSample;

/* Counters whose growth is sampled. */
typedef struct PghSampleTotals
{
	uint64_t	ended;
	uint64_t	refused;
	uint64_t	refused_by_server;
} PghSampleTotals;

/* Zeroed memory is an empty history. */
typedef struct PghSamples
{
	uint64_t	next;			/* place of the next sample, ever growing */
	uint32_t	n;				/* how many there are */
	bool		counting;		/* "totals" were read */
	PghSampleTotals totals;		/* at the newest sample */
	PghSample	ring[PGH_MAX_SAMPLES];
} PghSamples;

/* Is the newest sample of another span than "now"? */
extern bool pgh_sample_due(const PghSamples *samples, PghTime now);

/* Tell a sample what an application holds; the largest are kept. */
extern void pgh_sample_holding(PghSample *sample, uint32_t application,
							   uint32_t connections);

/*
 * Add a sample.  How much was ended and refused is filled in from what the
 * counters are now; the first time, that is nothing.
 */
extern void pgh_samples_add(PghSamples *samples, PghSample *sample,
							const PghSampleTotals *totals);

/* The samples, from 0 for the oldest to n - 1. */
extern const PghSample *pgh_samples_get(const PghSamples *samples, uint32_t i);

/* Forget them; the counters begin anew at 0. */
extern void pgh_samples_clear(PghSamples *samples);

#endif							/* PGH_SAMPLES_H */
