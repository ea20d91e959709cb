/*-------------------------------------------------------------------------
 *
 * worker/pass.h
 *	  What the worker remembers of each session between two passes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_WATCH_H
#define PGH_WATCH_H

#include "look/scan.h"

/* Allocate the memory of the worker; once, in the current context. */
extern void pgh_watch_start(void);

/* Forget what was resolved: the settings have changed. */
extern void pgh_watch_forget(void);

/* The system clock was set: look at everybody anew. */
extern void pgh_watch_clock_set(TimestampTz now);

/*
 * One pass over all sessions: record outcomes, follow renamed applications,
 * decide, act.  Returns when the next session is due (PGH_NEVER if none is),
 * and how many sessions there are.
 */
extern TimestampTz pgh_watch_pass(TimestampTz now, int *n_sessions);

/*
 * The limits of the session in slot "index", or NULL if it is not one that
 * was seen in the last pass, or is already being asked to end.
 */
extern const PghLimits *pgh_watch_limits(int index, uint32 changecount);

/* A request was posted to slot "index"; its outcome is to be recorded. */
extern void pgh_watch_expect_outcome(int index);

/* The key of the leak that this session was noted under; 0 = it was not. */
extern uint64 pgh_watch_leak(int index);

/*
 * Count the sessions that were idle in a transaction, aborted or not, in the
 * last pass: all of them, and those of the applications in the sample.
 */
extern void pgh_watch_sample(PghSample *sample);

/* How many sessions were idle in a transaction in the last pass. */
extern int	pgh_watch_idle_transactions(void);

/* How many sessions have been asked to end, and will be gone soon. */
extern int	pgh_watch_departing(void);

#endif							/* PGH_WATCH_H */
