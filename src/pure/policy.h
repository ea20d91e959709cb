/*-------------------------------------------------------------------------
 *
 * pure/policy.h
 *	  The decisions about a session: what happens to it, and when.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, time is an
 * argument, no globals that change, no allocation, no error raised.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_POLICY_H
#define PGH_POLICY_H

#include "pure/facts.h"

/* Is this state an idle one inside a transaction, aborted or not? */
extern bool pgh_state_in_transaction_idle(PghState state);

/* What it does for every decision: one whose client talks is at work. */
extern PghState pgh_state_for_limits(const PghFacts *facts);

/*
 * Why this session is never refused, ended or evicted, or NULL if it may be:
 * "superuser", "rule", "track_activities".
 */
extern const char *pgh_exemption(const PghFacts *facts,
								 const PghLimits *limits);

/*
 * What happens to a session if it goes on doing what it does: the earliest
 * of the limits that apply, with the moment at which it acts.  The verdict is
 * due when deadline <= now.  "mode" is not looked at: the caller decides
 * whether to act, to record or to do nothing.
 */
extern PghVerdict pgh_decide(const PghFacts *facts, const PghLimits *limits,
							 PghTime now);

/*
 * From when on a session is to leave between two transactions because of its
 * age: session_lifetime, less up to a tenth by its pid, so that those that
 * came together do not go together.  PGH_NEVER when it may stay.  The session
 * may be doing anything then: it goes at its next idle moment.
 */
extern PghTime pgh_lifetime_ends(const PghFacts *facts,
								 const PghLimits *limits);

/*
 * For how long a session that was to leave "over" ago, which is not negative,
 * is to have idled when it is asked to: a second, and less the longer it has
 * not, up to a tenth of its lifetime.  0 when any moment will do.
 */
extern int64_t pgh_lifetime_pause(int64_t lifetime, int64_t over);

/*
 * What is to be shown of a session's future: the verdict, or that it is idle
 * outside a transaction and its lifetime ends before.
 */
extern PghVerdict pgh_foresee(const PghFacts *facts, const PghLimits *limits,
							  PghTime now);

/*
 * When an idle transaction counts as a leak: idle for a tenth of the limit
 * that will end it.  PGH_NEVER for everything else, for one that idles on after
 * it was rolled back (it has counted), and where what ends it is an advisory
 * lock.
 */
extern PghTime pgh_leak_begins(const PghFacts *facts,
							   const PghVerdict *verdict);

/*
 * Is what makes this decision about a session due a pause in a transaction
 * that may be a leak?  Not one for an advisory lock: the transaction is not
 * what is wrong.  A transaction that is too old may be in any of its pauses;
 * only a long one counts: a tenth of the limit, and a second or half of it.
 */
extern bool pgh_ends_leak(const PghFacts *facts, const PghDecision *decision,
						  PghTime now);

/* ----------
 * Warning
 * ----------
 */

/* For how long a loss is worth telling, and how often it is told. */
#define PGH_REMEMBER_LOSS (INT64_C(600) * 1000000)
#define PGH_BETWEEN_WARNINGS (INT64_C(60) * 1000000)

/*
 * Is a new session to be warned that its application lost sessions?
 * "lost_at" is when the last one was lost, "told_at" when somebody of this
 * application was last told so at this address; 0 = never.
 */
extern bool pgh_warning_is_due(PghTime now, PghTime lost_at, PghTime told_at);

#endif							/* PGH_POLICY_H */
