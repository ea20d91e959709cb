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
 */
#define PGH_NEWCOMERS_ACCOUNT PG_UINT32_MAX

typedef struct PghCommon
{
	uint32		account;
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
