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
 * How many sessions match each rule now, by the names that they were let in
 * with; "counts" has PGH_MAX_RULES places.
 * For the rules that sessions are counted under in shared memory it is read
 * there; for others all sessions are looked at, which can be interrupted.
 */
extern void pgh_count_rule_sessions(const PghRuleSet *rules, TimestampTz now,
									int32 *counts);

/*
 * The rules of this process may be newer than those that sessions are counted
 * under: if so, count all of them anew.  Costs nothing otherwise.  Takes the
 * lock of the rules' counters.
 */
extern void pgh_follow_rules(void);

/* The same under that lock; returns whether they are the present rules now. */
extern bool pgh_follow_rules_locked(void);

/*
 * Count the session of slot "index" under the rules of this process that it
 * matches, if those are the present ones.  "who" and "bits" are what it was
 * and matched a moment ago; whatever it is now is what it is counted as.
 */
extern void pgh_count_session(int index, const PghIdentity *who,
							  const PghRuleBits *bits);

#endif							/* PGH_RULE_SESSIONS_H */
