/*-------------------------------------------------------------------------
 *
 * pure/allowance.h
 *	  So many at once, and then one in so much time.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, time is an
 * argument, no globals that change, no allocation, no error raised.  Anyone
 * may call it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_ALLOWANCE_H
#define PGH_ALLOWANCE_H

#include "pure/facts.h"

/*
 * An allowance is one number, the moment at which all of it will be there
 * again; 0 is one of which nothing was used yet.  These are in microseconds.
 */
typedef struct PghAllowance
{
	PghTime		whole_at;
} PghAllowance;

/* What an allowance is of: "most" at once, then one in "period". */
typedef struct PghAllowed
{
	int32_t		most;
	PghTime		period;
} PghAllowed;

/* Is there something left of it? */
extern bool pgh_allowance_has(const PghAllowance *allowance,
							  const PghAllowed *allowed, PghTime now);

/* Use one, whether or not there is something left. */
extern void pgh_allowance_use(PghAllowance *allowance,
							  const PghAllowed *allowed, PghTime now);

/* ----------
 * Events of what is only observed
 * ----------
 */

/*
 * Is one more to be recorded?  The first of an application and limit always
 * is.  "one" is its allowance, "all" that of all of them.
 */
extern bool pgh_observed_is_recorded(PghAllowance *one, PghAllowance *all,
									 PghTime now);

#endif							/* PGH_ALLOWANCE_H */
