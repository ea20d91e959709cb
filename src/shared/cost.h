/*-------------------------------------------------------------------------
 *
 * shared/cost.h
 *	  What idle sessions cost others, as applications and leaks keep it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_COST_H
#define PGH_COST_H

#include "compat.h"

typedef struct PghCost
{
	int64		blocked_time;	/* microseconds that others waited, added up */
	int64		slot_time;		/* microseconds that slots were held idle in a
								 * transaction, added up */
	int64		horizon_xids;	/* transaction ids that VACUUM was held back
								 * by, at most */
} PghCost;

static inline void
pgh_cost_add(PghCost *sum, const PghCost *cost)
{
	sum->blocked_time += cost->blocked_time;
	sum->slot_time += cost->slot_time;
	sum->horizon_xids = Max(sum->horizon_xids, cost->horizon_xids);
}

#endif							/* PGH_COST_H */
