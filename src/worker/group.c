/*-------------------------------------------------------------------------
 *
 * worker/group.c
 *	  Which candidates for eviction have much in common.
 *
 * Owns: the order in which they are put for that.  Must not: choose.  For the
 * worker only.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/group.h"

#define PGH_COMPARE(a, b) ((a) < (b) ? -1 : (a) > (b))

static int
compare_roles(const void *a, const void *b)
{
	const PghCommon *left = a;
	const PghCommon *right = b;

	if (left->account != right->account)
		return PGH_COMPARE(left->account, right->account);
	return PGH_COMPARE(left->role, right->role);
}

/* Those that are not idle in a transaction come last. */
static int
compare_statements(const void *a, const void *b)
{
	const PghCommon *left = a;
	const PghCommon *right = b;

	if ((left->statement == 0) != (right->statement == 0))
		return left->statement == 0 ? 1 : -1;
	if (left->leaking_as != right->leaking_as)
		return PGH_COMPARE(left->leaking_as, right->leaking_as);
	if (left->statement != right->statement)
		return PGH_COMPARE(left->statement, right->statement);
	return PGH_COMPARE(left->role, right->role);
}

/*
 * Give each candidate the tallies of its account and of its role there; returns
 * how many tallies that are.
 */
static int
group_by_role(PghCandidate *candidates, PghCommon *common, int n)
{
	int			used = 0;

	qsort(common, n, sizeof(PghCommon), compare_roles);
	for (int i = 0; i < n; i++)
	{
		PghCandidate *its = &candidates[common[i].candidate];
		const PghCandidate *last = i == 0 ? NULL :
			&candidates[common[i - 1].candidate];
		bool		same = last && common[i].account == common[i - 1].account;

		its->account = same ? last->account : used++;
		its->own = same && common[i].role == common[i - 1].role ?
			last->own : used++;
		its->alike = its->own_alike = -1;
	}
	return used;
}

/* The same for those idle in a transaction behind the same statement. */
static int
group_by_statement(PghCandidate *candidates, PghCommon *common, int n,
				   int used)
{
	qsort(common, n, sizeof(PghCommon), compare_statements);
	for (int i = 0; i < n && common[i].statement != 0; i++)
	{
		PghCandidate *its = &candidates[common[i].candidate];
		const PghCandidate *last = i == 0 ? NULL :
			&candidates[common[i - 1].candidate];
		bool		same = last &&
			common[i].leaking_as == common[i - 1].leaking_as &&
			common[i].statement == common[i - 1].statement;

		its->alike = same ? last->alike : used++;
		its->own_alike = same && common[i].role == common[i - 1].role ?
			last->own_alike : used++;
	}
	return used;
}

int
pgh_group_candidates(PghCandidate *candidates, PghCommon *common, int n)
{
	int			used = group_by_role(candidates, common, n);

	return group_by_statement(candidates, common, n, used);
}
