/*-------------------------------------------------------------------------
 *
 * look/blockers.h
 *	  Who waits for whom.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_BLOCKERS_H
#define PGH_BLOCKERS_H

#include "shared/slot.h"

/*
 * For each slot, how many processes wait for a lock that its session holds.
 * Looks at the lock table once for each lock that is waited for, and not at all
 * while nobody waits.  Allocates in the current memory context.
 */
extern int32 *pgh_blocking_now(void);

#endif							/* PGH_BLOCKERS_H */
