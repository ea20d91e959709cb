/*-------------------------------------------------------------------------
 *
 * blockers.h
 *	  Who waits for whom.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_BLOCKERS_H
#define PGH_BLOCKERS_H

#include "slot.h"

/* Does any process wait for a lock?  Cheap: no lock is taken. */
extern bool pgh_anybody_waits(void);

/*
 * For each slot, how many processes wait for a lock that its session holds.
 * "blocking" has a place for each slot.  Looks at the lock table, once for
 * each waiting process; call it only when somebody waits.  Allocates in the
 * current memory context.
 */
extern void pgh_count_waiters(int32 *blocking);

#endif							/* PGH_BLOCKERS_H */
