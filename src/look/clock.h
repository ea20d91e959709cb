/*-------------------------------------------------------------------------
 *
 * look/clock.h
 *	  Steps of the system clock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_CLOCK_H
#define PGH_CLOCK_H

#include "compat.h"
#include "pure/facts.h"

#include "datatype/timestamp.h"

/*
 * Worker, at the start of each pass: the time, and whether the clock was set
 * since the last call.  That is logged.
 */
extern TimestampTz pgh_clock_read(bool *was_set);

/*
 * Correct the points in time in "facts" for the steps of the clock: what began
 * before the last one is taken to have begun at that moment.
 */
extern void pgh_clock_correct(PghFacts *facts, TimestampTz now);

#endif							/* PGH_CLOCK_H */
