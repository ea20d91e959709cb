/*-------------------------------------------------------------------------
 *
 * pure/histogram.h
 *	  How many periods lasted how long, in half a kilobyte.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, no globals that
 * change, no allocation, no error raised.  Anyone may call it.
 *
 * From a second to 18 hours there are 16 octaves, each of twice the length of
 * the one before, and each is divided evenly: those up to 16 seconds into 16
 * parts, up to 17 minutes into 8, up to 68 minutes into 4, the rest into 2.
 * With whole octaves alone a limit would often divide one that holds most of
 * what there is, and the answer would be a guess.  Inside a part periods are
 * taken to be spread evenly.
 *
 * Shorter periods are counted, but are none of "n": whoever looks once a
 * second sees them by chance.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_HISTOGRAM_H
#define PGH_HISTOGRAM_H

#include "pure/facts.h"

/* The shortest period that counts, in microseconds. */
#define PGH_SHORTEST_PERIOD INT64_C(1000000)

/* The parts of 16 octaves, and one for all that is longer. */
#define PGH_BUCKETS (4 * 16 + 6 * 8 + 2 * 4 + 4 * 2 + 1)

/* All zero is an empty one. */
typedef struct PghHistogram
{
	uint64_t	n;				/* periods of a second or more; exact */
	PghTime		longest;		/* exact; 0 if there was none */
	uint32_t	below;			/* shorter ones; stays at its maximum */
	uint16_t	count[PGH_BUCKETS]; /* up to 4095 exact, then within one or
									 * two percent: see histogram.c */
} PghHistogram;

/* Add a period of this length in microseconds; a negative one counts as 0. */
extern void pgh_histogram_add(PghHistogram *histogram, PghTime length);

/* Add all that is in "from". */
extern void pgh_histogram_merge(PghHistogram *into, const PghHistogram *from);

/* How many periods lasted for "limit" or more; a fraction, as estimated. */
extern double pgh_histogram_count(const PghHistogram *histogram,
								  PghTime limit);

/* How far they went beyond "limit" together, in microseconds. */
extern double pgh_histogram_excess(const PghHistogram *histogram,
								   PghTime limit);

/*
 * The length that this share (0 to 1) of the periods of two histograms does
 * not exceed, in microseconds; 0 when both are empty.  "b" may be NULL.
 */
extern PghTime pgh_histogram_percentile(const PghHistogram *a,
										const PghHistogram *b, double share);

/* The shortest length, in microseconds, that a bucket takes. */
extern PghTime pgh_bucket_begins(int bucket);

/* How many periods a bucket holds. */
extern uint32_t pgh_bucket_count(const PghHistogram *histogram, int bucket);

#endif							/* PGH_HISTOGRAM_H */
