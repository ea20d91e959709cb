/*-------------------------------------------------------------------------
 *
 * worker/pass.h
 *	  One look at all sessions: decide, and act on what is due.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_PASS_H
#define PGH_PASS_H

#include "compat.h"

#include "datatype/timestamp.h"

/* Allocate the memory of the worker; once, in the current context. */
extern void pgh_pass_start(void);

/*
 * One pass over all sessions: record outcomes, follow renamed applications,
 * decide, act.  Returns when the next session is due (PGH_NEVER if none is),
 * and how many sessions there are.
 */
extern TimestampTz pgh_pass(TimestampTz now, int *n_sessions);

#endif							/* PGH_PASS_H */
