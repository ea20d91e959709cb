/*-------------------------------------------------------------------------
 *
 * worker/periods.h
 *	  How long sessions idle, work and last, from one look to the next.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_PERIODS_H
#define PGH_PERIODS_H

#include "worker/watch.h"

/* Allocate the memory of the worker; once, in the current context. */
extern void pgh_periods_start(void);

/*
 * The session of slot "index" was read anew, or is not there ("session" is
 * NULL).  What it did at the last look and does no more is a period that has
 * ended; that is noted, with the leak that the pause was noted under and the
 * event of one that was only observed.  To be called before the watch is
 * changed, and after the session was counted under its name.
 */
extern void pgh_periods_follow(int index, PghWatch *watch,
							   const PghSession *session, TimestampTz now);

/* hygiene.reset() was called: everybody who is there is seen anew. */
extern void pgh_periods_reset(TimestampTz now);

/* About once a second: how many connections does each application need? */
extern void pgh_periods_count_needs(TimestampTz now);

#endif							/* PGH_PERIODS_H */
