/*-------------------------------------------------------------------------
 *
 * look/rule_sessions.h
 *	  How many sessions match each rule.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_RULE_SESSIONS_H
#define PGH_RULE_SESSIONS_H

#include "guc.h"

/* Does any rule keep slots for its own sessions? */
extern bool pgh_rules_reserve(const PghRuleSet *rules);

/* How many sessions match each rule now; "counts" has PGH_MAX_RULES places. */
extern void pgh_count_rule_sessions(const PghRuleSet *rules, TimestampTz now,
									int32 *counts);

#endif							/* PGH_RULE_SESSIONS_H */
