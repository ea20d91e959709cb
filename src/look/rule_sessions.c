/*-------------------------------------------------------------------------
 *
 * look/rule_sessions.c
 *	  How many sessions match each rule.
 *
 * Owns: the count over all sessions.  Must not: decide.  Any process that has
 * a PGPROC may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "look/rule_sessions.h"

#include "look/scan.h"

bool
pgh_rules_reserve(const PghRuleSet *rules)
{
	for (int i = 0; i < rules->n; i++)
		if (rules->rule[i].value[PGH_RULE_RESERVE] > 0)
			return true;
	return false;
}

static void
count(const PghRuleSet *rules, const PghIdentity *who, int32 *counts)
{
	PghRuleBits bits;

	(void) pgh_rules_match(rules, who, &bits);
	for (int r = 0; r < rules->n; r++)
		counts[r] += pgh_bits_test(&bits, r);
}

void
pgh_count_rule_sessions(const PghRuleSet *rules, const PghSlot *left_out,
						int32 *counts)
{
	memset(counts, 0, sizeof(int32) * PGH_MAX_RULES);
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghIdentity who;

		if (&pgh_slots[i] == left_out || !pgh_scan_who(i, &who))
			continue;
		count(rules, &who, counts);
	}
}

void
pgh_count_rule_sessions_now(const PghRuleSet *rules, int32 *counts)
{
	memset(counts, 0, sizeof(int32) * PGH_MAX_RULES);
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;

		if (pgh_scan_session(i, &session))
			count(rules, &session.who, counts);
	}
}
