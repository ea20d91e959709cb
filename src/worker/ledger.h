/*-------------------------------------------------------------------------
 *
 * worker/ledger.h
 *	  What idle sessions cost others.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_LEDGER_H
#define PGH_LEDGER_H

#include "worker/watch.h"

/* Allocate the memory of the worker; once, in the current context. */
extern void pgh_ledger_start(void);

/* hygiene.reset() was called: what was not put down yet is forgotten. */
extern void pgh_ledger_reset(void);

/*
 * For each slot, from when on its session's cost has not been put down yet:
 * what pgh_blocked_now() is to count from.
 */
extern const TimestampTz *pgh_ledger_moments(void);

/*
 * Once a second, after all sessions were looked at: put down what they have
 * cost since the last time.  "blocked" is who hangs on whom since
 * pgh_ledger_moments(); NULL where nobody does, or it matters to nobody.
 */
extern void pgh_ledger_look(const PghBlocked *blocked, TimestampTz now);

#endif							/* PGH_LEDGER_H */
