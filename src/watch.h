/*-------------------------------------------------------------------------
 *
 * watch.h
 *	  What the worker remembers of each session between two passes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_WATCH_H
#define PGH_WATCH_H

#include "scan.h"

/* Allocate the memory of the worker; once, in the current context. */
extern void pgh_watch_start(void);

/* Forget what was resolved: the settings have changed. */
extern void pgh_watch_forget(void);

/*
 * One pass over all sessions: record outcomes, follow renamed applications,
 * decide, act.  Returns when the next session is due (PGH_NEVER if none is),
 * and how many sessions there are.
 */
extern TimestampTz pgh_watch_pass(TimestampTz now, int *n_sessions);

#endif							/* PGH_WATCH_H */
