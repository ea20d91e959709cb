/*-------------------------------------------------------------------------
 *
 * look/blockers.h
 *	  Who waits for whom.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_BLOCKERS_H
#define PGH_BLOCKERS_H

#include "look/scan.h"
#include "pure/lock_queue.h"

/*
 * For each slot, who hangs on its session.  "after" has for each slot the
 * moment from which on it is counted how long they waited; NULL = 0, for all.
 *
 * Looks at the lock table once for each lock that is waited for, and not at
 * all while nobody waits.  Allocates in the current memory context.
 */
extern const PghBlocked *pgh_blocked_now(const TimestampTz *after);

/* Does anybody wait for a lock?  A look at each process, and no more. */
extern bool pgh_somebody_waits(void);

/* Put what was found into what is known of a session. */
extern void pgh_note_blocked(PghSession *session, const PghBlocked *blocked);

/*
 * For each slot, how many advisory locks its session holds, as pg_locks would
 * list them.  Takes the lock of each partition of the lock table, shared, one
 * after the other: for views only.  Allocates likewise.
 */
extern const int32 *pgh_advisory_locks_now(void);

#endif							/* PGH_BLOCKERS_H */
