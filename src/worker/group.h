/*-------------------------------------------------------------------------
 *
 * worker/group.h
 *	  Which candidates for eviction have much in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_GROUP_H
#define PGH_GROUP_H

#include "compat.h"

#include "pure/slots.h"

/*
 * What a candidate has in common with others.  Sessions of applications that
 * are not established are of one account; but one that holds enough of them
 * to be a leak by itself is judged by itself, too.
 *
 * Whether it leaks is asked of all the small ones together, established or
 * not: a name says little, and what they idle behind says more.
 */
#define PGH_NEWCOMERS_ACCOUNT PG_UINT32_MAX
#define PGH_SMALL_ONES PG_UINT32_MAX

typedef struct PghCommon
{
	uint32		account;
	uint32		leaking_as;		/* its application, or the small ones */
	Oid			role;
	uint64		statement;		/* 0 = not idle in a transaction */
	int			candidate;
} PghCommon;

/*
 * Give each of n candidates the tallies that it is counted in, by what "common"
 * says of it; that is put in another order.  Returns how many tallies that
 * are, four for each candidate at the most.
 */
extern int	pgh_group_candidates(PghCandidate *candidates, PghCommon *common,
								 int n);

#endif							/* PGH_GROUP_H */
