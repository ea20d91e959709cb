/*-------------------------------------------------------------------------
 *
 * look/rule_sessions.c
 *	  How many sessions match each rule.
 *
 * Owns: which rules a session is counted under; the counts themselves are in
 * shared/rule_counters.  Must not: decide.  Any process that has a PGPROC may
 * call it.
 *
 * All sessions are looked at only when the rules change, by whoever has the
 * new ones first: a login, or the worker.  Others wait for that: it takes 0.1
 * microseconds for each session and rule with one pattern.
 *
 *-------------------------------------------------------------------------
 */
#include "look/rule_sessions.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "look/scan.h"
#include "shared/rule_counters.h"
#include "shared/settings.h"

bool
pgh_rules_reserve(const PghRuleSet *rules)
{
	for (int i = 0; i < rules->n; i++)
		if (rules->rule[i].value[PGH_RULE_RESERVE] > 0)
			return true;
	return false;
}

static void
add(const PghRuleSet *rules, const PghIdentity *who, TimestampTz now,
	int32 *counts)
{
	PghRuleBits bits;

	(void) pgh_rules_match(rules, who, now, &bits);
	for (int r = 0; r < rules->n; r++)
		if (pgh_bits_test(&bits, r))
			counts[r]++;
}

static void
look_at_all(const PghRuleSet *rules, TimestampTz now, int32 *counts)
{
	memset(counts, 0, sizeof(int32) * PGH_MAX_RULES);
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghIdentity who;

		CHECK_FOR_INTERRUPTS();
		if (pgh_scan_who(i, &who))
			add(rules, &who, now, counts);
	}
}

void
pgh_count_rule_sessions(const PghRuleSet *rules, TimestampTz now,
						int32 *counts)
{
	if (!pgh_rules_are_present(rules) || !pgh_rules_are_counting())
	{
		look_at_all(rules, now, counts);
		return;
	}
	for (int i = 0; i < rules->n; i++)
		counts[i] = pgh_rule_is_over(&rules->rule[i], now) ? 0 :
			pg_atomic_read_u32(&pgh_rule_states[i].sessions);
}

/* Under the lock: count everybody who is there. */
static void
count_all(const PghRuleSet *rules)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghIdentity who;
		PghRuleBits bits;

		if (!pgh_scan_who(i, &who))
			continue;
		(void) pgh_rules_match(rules, &who, now, &bits);
		pgh_rule_member_set(i, &bits);
	}
}

bool
pgh_follow_rules_locked(void)
{
	const PghRuleSet *rules = pgh_current_rules();

	if (pgh_rules_are_newer(rules, pgh_settings_here()))
	{
		pgh_rules_begin(rules, pgh_settings_here());
		if (pgh_rules_are_counting())
			count_all(rules);
	}
	return pgh_rules_are_present(rules);
}

void
pgh_follow_rules(void)
{
	if (pgh_rules_are_present(pgh_current_rules()))
		return;
	pgh_lock(&pgh_rule_counters_part, LW_EXCLUSIVE);
	(void) pgh_follow_rules_locked();
	pgh_unlock(&pgh_rule_counters_part);
}

/* It counts by the name that it was let in with, whatever it shows now. */
static void
count_locked(int index, const PghIdentity *before, const PghRuleBits *matched)
{
	const PghRuleSet *rules = pgh_current_rules();
	PghIdentity who;
	PghRuleBits bits = *matched;

	if (!pgh_rules_are_present(rules) || !pgh_rules_are_counting() ||
		!pgh_scan_who(index, &who))
		return;
	if (memcmp(&who, before, sizeof(who)) != 0)
		(void) pgh_rules_match(rules, &who, GetCurrentTimestamp(), &bits);
	pgh_rule_member_set(index, &bits);
}

void
pgh_count_session(int index, const PghIdentity *who, const PghRuleBits *bits)
{
	if (!pgh_rules_are_counting() || pgh_rule_member_is(index, bits))
		return;
	pgh_lock(&pgh_rule_counters_part, LW_EXCLUSIVE);
	count_locked(index, who, bits);
	pgh_unlock(&pgh_rule_counters_part);
}
