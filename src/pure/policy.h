/*-------------------------------------------------------------------------
 *
 * pure/policy.h
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

#include "pure/facts.h"

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

/*
 * When an idle transaction counts as a leak: idle for a tenth of the limit
 * that will end it.  PGH_NEVER for everything else, and for one that idles on
 * after it was rolled back: it has counted.
 */
extern PghTime pgh_leak_begins(const PghFacts *facts,
							   const PghVerdict *verdict);

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

/* ----------
 * Admission
 * ----------
 */

/*
 * What is known of the server when a client has authenticated.  The
 * newcomer's own slot is not counted as taken, nor its connection as held.
 */
typedef struct PghNewcomer
{
	int32_t		available;		/* slots that ordinary roles can have now */
	int32_t		headroom;		/* free slots to keep */
	int32_t		held;			/* connections that its application holds */
	int32_t		per_application;	/* most that one may hold; 0 = no limit */
	int32_t		kept_for_others;	/* slots of reserves that are not used up
									 * and that it has no part in */
	int32_t		reserve_rule;	/* the first rule with such a reserve, or 0 */
	int32_t		cap_rule;		/* the first matching rule whose cap is
								 * reached, or 0 */
	int32_t		rate_rule;		/* the first matching rule whose rate is used
								 * up, or 0 */
	bool		has_reserve;	/* a matching rule's reserve is not used up */
	bool		may_use_reserved;	/* its role may have core's reserved slots */
} PghNewcomer;

/* Why a connection is not let in, and the rule that says so. */
typedef struct PghRefusal
{
	PghReason	reason;			/* PGH_REASON_NONE: it is let in */
	int32_t		rule;			/* 0 = server-wide */
} PghRefusal;

/*
 * May this connection stay?  Caps and rates first, for they hold whatever
 * else is free; then the last slots go to those who hold the fewest.
 */
extern PghRefusal pgh_admit(const PghNewcomer *newcomer);

/* ----------
 * Eviction
 * ----------
 */

/* A session that may be evicted, by its state and its application. */
typedef struct PghCandidate
{
	int32_t		session;		/* the caller's number for it */
	int32_t		application;	/* an index into the tallies */
	PghState	state;
	PghTime		state_start;
	bool		untouchable;	/* counted, never evicted */
} PghCandidate;

/* What an application holds. */
typedef struct PghTally
{
	int32_t		connections;
	int32_t		idle_transactions;
	int32_t		idle_sessions;
} PghTally;

/* How short slots are. */
typedef struct PghShortage
{
	int32_t		available;		/* with those that are on their way out */
	int32_t		undecided;		/* of those in use: their clients have not
								 * been let in yet, and may never be */
	int32_t		headroom;
	bool		refused_lately; /* somebody was refused for headroom */
	PghTime		min_idle;		/* microseconds */
} PghShortage;

/* This many idle transactions of one application are a leak. */
#define PGH_LEAK_SIZE 3

/* Is anything to be evicted at all? */
extern bool pgh_slots_are_short(const PghShortage *shortage);

/*
 * The session to evict next, as an index into "candidates", or -1.  The
 * caller takes it out of the candidates and the tallies, adds one to
 * "available" and asks again.  "ripe_at" is set to the moment at which the
 * first of those becomes evictable who are not yet idle for long enough
 * (PGH_NEVER if there is none); it is exact when -1 is returned.
 */
extern int32_t pgh_choose_eviction(const PghCandidate *candidates, int32_t n,
								   const PghTally *tallies,
								   const PghShortage *shortage,
								   PghTime now, PghTime *ripe_at);

#endif							/* PGH_POLICY_H */
