/*-------------------------------------------------------------------------
 *
 * shared/rule_counters.h
 *	  What is kept for each rule, by its number, and for each session: which
 *	  rules it is counted under.
 *
 * field						who and how
 * ---------------------------	--------------------------------------------
 * generation, rules_hash		W under the lock exclusive; R anyone; atomics
 * counting						the same; set before the sessions are looked
 *								at that are counted then
 * settings						W, R under the lock exclusive
 * hash, bucket, filled_at		W, R under the lock exclusive; R of hash by
 *								the process that writes the file, shared
 * sessions						W under the lock exclusive; R anyone; atomic
 * refused, ended, last_used	W anyone; R anyone; atomics
 * members (in the .c file)		W under the lock exclusive; R under it, and
 *								without it to see whether anything is to be
 *								done
 *
 * The lock is the one under which connections are admitted where rules count
 * sessions: from the look at the counts to the claim of the slot.
 *
 * Why the counts never drift
 * --------------------------
 * "sessions" of a rule is the number of slots whose member has the rule's bit,
 * for both are changed only together, under the lock: a member is taken out of
 * the counts with the bits that it was put in with, and no others.  New rules
 * are a new generation: counts and members begin at nothing together, so that
 * a session which is taken out later takes nothing away.
 *
 * A session is put in when it claims its slot, under the lock; when it takes
 * another name, by itself at its commit and by the worker, each under the lock
 * and by the name that it has then; and when the rules change, by whoever has
 * newer rules first.  It is taken out after it has released its slot.
 * Whoever puts a session in that is not his own looks under the lock whether
 * the slot is claimed; the session looks at "counting" after the release.  So
 * one of them sees the other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_RULE_COUNTERS_H
#define PGH_RULE_COUNTERS_H

#include "shared/part.h"
#include "shared/totals.h"

typedef struct PghRuleState
{
	uint32		hash;			/* of the rule that this is about; 0 = none */
	int64		bucket;			/* connections allowed now, in millionths */
	TimestampTz filled_at;		/* when the bucket was last filled up */
	pg_atomic_uint32 sessions;	/* that match it, of the present generation */
	pg_atomic_uint64 refused;
	pg_atomic_uint64 ended;
	pg_atomic_uint64 last_used; /* TimestampTz */
} PghRuleState;

extern PghPart pgh_rule_counters_part;
extern PghRuleState *pgh_rule_states;	/* PGH_MAX_RULES */

/* Note that a rule (from 1) refused a connection or ended a session. */
extern void pgh_count_rule(int rule, PghCounter counter);

/* ----------
 * Generations of the rules
 * ----------
 */

/* Does a rule have a cap or a reserve, so that its sessions are counted? */
extern bool pgh_rules_need_counts(const PghRuleSet *rules);

/* Are these the rules that the counts are about?  Exact under the lock. */
extern bool pgh_rules_are_present(const PghRuleSet *rules);

/* Are any sessions counted?  Exact under the lock. */
extern bool pgh_rules_are_counting(void);

/*
 * Under the lock: are these rules, of this generation of the settings, newer
 * than those that the counts are about?
 */
extern bool pgh_rules_are_newer(const PghRuleSet *rules, uint32 settings);

/*
 * Under the lock: from now on the counts are about these rules, and nobody is
 * counted yet.  A rule that changed begins anew, with its counters and rate.
 */
extern void pgh_rules_begin(const PghRuleSet *rules, uint32 settings);

/* ----------
 * Sessions counted under rules
 * ----------
 */

/*
 * Under the lock: the session of slot "index" is counted under these rules and
 * no others; NULL = under none.
 */
extern void pgh_rule_member_set(int index, const PghRuleBits *bits);

/* Is it counted under just these?  Exact under the lock. */
extern bool pgh_rule_member_is(int index, const PghRuleBits *bits);

/* The slot was released: count its session out.  Takes the lock if need be. */
extern void pgh_rule_member_leave(int index);

/* ----------
 * Rates: under the lock, while the rules of this process are the present ones
 * ----------
 */

/* Has the rate of rule "i" (from 0) been used up? */
extern bool pgh_rule_rate_is_used_up(int i, TimestampTz now);

/* A connection of rule "i" was let in. */
extern void pgh_rule_rate_take(int i);

#endif							/* PGH_RULE_COUNTERS_H */
