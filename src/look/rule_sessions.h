/*-------------------------------------------------------------------------
 *
 * look/rule_sessions.h
 *	  How many sessions match each rule.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_RULE_SESSIONS_H
#define PGH_RULE_SESSIONS_H

#include "shared/slot.h"

/* Does any rule keep slots for its own sessions? */
extern bool pgh_rules_reserve(const PghRuleSet *rules);

/*
 * How many sessions match each rule, by the names that they were let in with;
 * but for that of "left_out", which may be NULL.  "counts" has PGH_MAX_RULES
 * places.
 */
extern void pgh_count_rule_sessions(const PghRuleSet *rules,
									const PghSlot *left_out, int32 *counts);

/* The same by the names that they have now, as hygiene.sessions shows it. */
extern void pgh_count_rule_sessions_now(const PghRuleSet *rules,
										int32 *counts);

#endif							/* PGH_RULE_SESSIONS_H */
