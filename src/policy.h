/*-------------------------------------------------------------------------
 *
 * policy.h
 *	  The decisions: what happens to a session, and when; who is let in; who
 *	  is evicted.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, time is an
 * argument, no globals that change, no allocation, no error raised.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_POLICY_H
#define PGH_POLICY_H

#include "facts.h"

/* The setting's name for a limit, without the prefix: "idle_in_transaction_timeout". */
extern const char *pgh_limit_name(PghLimit limit);

/* The name a reason has in hygiene.events. */
extern const char *pgh_reason_name(PghReason reason);

/* Is this state an idle one inside a transaction, aborted or not? */
extern bool pgh_state_in_transaction_idle(PghState state);

/*
 * Why this session is never refused, ended or evicted, or NULL if it may be:
 * "superuser", "rule", "track_activities".
 */
extern const char *pgh_exemption(const PghFacts *facts, const PghLimits *limits);

/*
 * What happens to a session if it goes on doing what it does: the earliest
 * of the limits that apply, with the moment at which it acts.  The verdict is
 * due when deadline <= now.  "mode" is not looked at: the caller decides
 * whether to act, to record or to do nothing.
 */
extern PghVerdict pgh_decide(const PghFacts *facts, const PghLimits *limits,
							 PghTime now);

#endif							/* PGH_POLICY_H */
