/*-------------------------------------------------------------------------
 *
 * session/wait.h
 *	  A login that waits for a place.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_WAIT_H
#define PGH_WAIT_H

#include "session/refusal.h"

/*
 * May it wait, and how?  For the judge of pgh_member_ask(): the arrival's
 * facts, refusal and self are filled in.  Puts it into the queue, or takes it
 * out.
 */
extern PghAnswer pgh_wait_or_go(PghArrival *arrival);

/*
 * For the same: it comes in, and is in the queue no more; whoever waits where
 * slots are missing by now is sent away.
 */
extern void pgh_wait_is_over(PghArrival *arrival);

/*
 * Sleep until a place may be free, or the time is over.  Raises what a signal
 * asks for, and ends the process when the client or the postmaster is gone.
 * "naps" is how often in a row nothing has come of it, and is counted here.
 */
extern void pgh_wait_for_place(const PghArrival *arrival, int *naps);

/* Until when this login may wait, if it may for so many microseconds. */
extern TimestampTz pgh_wait_until(TimestampTz since, int64 most);

#endif							/* PGH_WAIT_H */
