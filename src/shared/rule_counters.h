/*-------------------------------------------------------------------------
 *
 * shared/rule_counters.h
 *	  What is kept for each rule, by its number.
 *
 * field						who and how
 * ---------------------------	--------------------------------------------
 * hash, generation, bucket, filled_at
 *								W, R under the lock exclusive; R of hash by
 *								the process that writes the file, shared.  A
 *								process with older settings than the last one
 *								leaves them alone
 * refused, ended, last_used	W anyone; R anyone; atomics
 *
 * The lock is the one under which connections are admitted where rules count
 * sessions: from the count to the claim of the slot.
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
	uint32		generation;		/* of the newest settings that said so */
	int64		bucket;			/* connections allowed now, in millionths */
	TimestampTz filled_at;		/* when the bucket was last filled up */
	pg_atomic_uint64 refused;
	pg_atomic_uint64 ended;
	pg_atomic_uint64 last_used; /* TimestampTz */
} PghRuleState;

extern PghPart pgh_rule_counters_part;
extern PghRuleState *pgh_rule_states;	/* PGH_MAX_RULES */

/* Note that a rule (from 1) refused a connection or ended a session. */
extern void pgh_count_rule(int rule, PghCounter counter);

/*
 * Bring what is kept for each rule in line with the rules of this process:
 * a rule that changed begins anew.  Takes the lock.
 */
extern void pgh_rule_counters_sync(void);

/*
 * The same for rule "i" (from 0), under the lock.  Nothing is done for rules
 * that are older than those of somebody who came before.
 */
extern void pgh_rule_counter_sync(int i);

/*
 * Under the lock: has the rate of rule "i" been used up?  Not for rules that
 * are older than what is kept.
 */
extern bool pgh_rule_rate_is_used_up(int i, TimestampTz now);

/* Under the lock: a connection of rule "i" was let in. */
extern void pgh_rule_rate_take(int i);

#endif							/* PGH_RULE_COUNTERS_H */
