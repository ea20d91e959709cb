/*-------------------------------------------------------------------------
 *
 * pure/rules/review.c
 *	  What may be a mistake in rules that can be read: one that has no effect,
 *	  a default that has been lost.
 *
 * Owns: when one rule hides another.  Must not: claim it where it is not
 * certain; a hidden rule that goes unnoticed does less harm than a warning
 * that is wrong.  Anyone may call it, in any process.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/rules.h"
#include "pure/rules/internal.h"

#define WILDCARDS "*?"

/* What is meant to be in front of every list of rules. */
#define DEFAULT_APPLICATION "pg_dump"

bool
pgh_selector_is_name(const PghSelector *sel)
{
	return sel->kind != PGH_SELECT_ADDRESS &&
		strpbrk(sel->pattern, WILDCARDS) == NULL;
}

/* Does what one selector asks for contain all that the other asks for? */
static bool
contains(const PghSelector *outer, const PghSelector *inner)
{
	if (outer->kind == PGH_SELECT_ADDRESS)
		return pgh_block_covers(outer, inner);
	return pgh_glob_covers(outer->pattern, inner->pattern);
}

/*
 * Have they nothing in common?  Blocks lie within each other or apart; but an
 * IPv4 client may be seen as one of IPv6, so those are not told apart.
 */
static bool
are_apart(const PghSelector *a, const PghSelector *b)
{
	if (a->kind != PGH_SELECT_ADDRESS)
		return pgh_selector_is_name(a) &&
			!pgh_glob_matches(b->pattern, a->pattern);
	if (a->address.family != b->address.family)
		return a->address.family == PGH_ADDRESS_LOCAL ||
			b->address.family == PGH_ADDRESS_LOCAL;
	return !pgh_block_covers(a, b) && !pgh_block_covers(b, a);
}

/* Does whoever fulfils "given" fulfil "asked" as well? */
static bool
implies(const PghSelector *given, const PghSelector *asked)
{
	if (given->kind != asked->kind)
		return false;
	if (!asked->negated)
		return !given->negated && contains(asked, given);
	return given->negated ? contains(given, asked) : are_apart(given, asked);
}

/* Does the first rule match whoever the second one matches? */
static bool
matches_all_of(const PghRule *rule, const PghRule *other)
{
	for (int i = 0; i < rule->n_selectors; i++)
	{
		const PghSelector *asked = &rule->selector[i];
		bool		fulfilled = asked->kind != PGH_SELECT_ADDRESS &&
			!asked->negated && strcmp(asked->pattern, "*") == 0;

		for (int j = 0; j < other->n_selectors && !fulfilled; j++)
			fulfilled = implies(&other->selector[j], asked);
		if (!fulfilled)
			return false;
	}
	return true;
}

static bool
lasts_as_long(const PghRule *rule, const PghRule *other)
{
	return !pgh_rule_sets(rule, PGH_RULE_UNTIL) ||
		(pgh_rule_sets(other, PGH_RULE_UNTIL) &&
		 rule->value[PGH_RULE_UNTIL] >= other->value[PGH_RULE_UNTIL]);
}

static bool
exempts(const PghRule *rule)
{
	return pgh_rule_sets(rule, PGH_RULE_EXEMPT) &&
		rule->value[PGH_RULE_EXEMPT] != 0;
}

/*
 * Does the first rule decide about all that the other one sets?  If whoever it
 * matches is exempt, it need not say more about limits and the mode.
 */
static bool
decides_all_of(const PghRule *rule, const PghRule *other, bool exempt)
{
	for (int i = 0; i < PGH_N_RULE_SETTINGS; i++)
	{
		if (!pgh_rule_sets(other, i) || i == PGH_RULE_UNTIL ||
			pgh_rule_sets(rule, i))
			continue;
		if (!exempt || (i >= PGH_N_LIMITS && i != PGH_RULE_MODE))
			return false;
	}
	return true;
}

static bool
has_cap(const PghRule *rule)
{
	for (int i = 0; i < PGH_N_RULE_SETTINGS; i++)
		if (pgh_setting_is_cap(i) && rule->value[i] != 0)
			return true;
	return false;
}

int32_t
pgh_rules_hider(const PghRuleSet *set, int32_t rule, PghTime now)
{
	const PghRule *hidden = &set->rule[rule - 1];
	bool		taken_back = false;

	if (has_cap(hidden))
		return 0;
	for (int32_t i = 0; i < rule - 1; i++)
	{
		const PghRule *earlier = &set->rule[i];

		if (pgh_rule_is_over(earlier, now))
			continue;
		if (matches_all_of(earlier, hidden) &&
			lasts_as_long(earlier, hidden) &&
			decides_all_of(earlier, hidden, exempts(earlier) && !taken_back))
			return i + 1;
		taken_back |= pgh_rule_sets(earlier, PGH_RULE_EXEMPT) &&
			!exempts(earlier);
	}
	return 0;
}

bool
pgh_rules_lack_default(const PghRuleSet *set, PghTime now)
{
	for (int32_t i = 0; i < set->n; i++)
	{
		const PghRule *rule = &set->rule[i];

		if (!pgh_rule_sets(rule, PGH_RULE_EXEMPT) ||
			pgh_rule_is_over(rule, now))
			continue;
		for (int j = 0; j < rule->n_selectors; j++)
		{
			const PghSelector *sel = &rule->selector[j];

			if (sel->kind == PGH_SELECT_APPLICATION && !sel->negated &&
				pgh_glob_matches(sel->pattern, DEFAULT_APPLICATION))
				return false;
		}
	}
	return set->n > 0;
}
