/*-------------------------------------------------------------------------
 *
 * pure/slots.h
 *	  The decisions about connection slots: who is let in, who is evicted.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, time is an
 * argument, no globals that change, no allocation, no error raised.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SLOTS_H
#define PGH_SLOTS_H

#include "pure/behaviour.h"

/*
 * How many slots to keep free where nobody has said so: 5 % of all, at least 3,
 * but never more than a quarter of the "usable" ones, those that ordinary roles
 * can have: on a tiny server the headroom must not be all there is.
 */
extern int32_t pgh_automatic_headroom(int32_t max_connections, int32_t usable);

/* ----------
 * Admission
 * ----------
 */

/*
 * What an application holds is, for a session of one role, what that role
 * holds, and so much for each other one at the most.
 */
#define PGH_OTHER_ROLE_SHARE 3

/* So many applications may be new without being suspected to be one. */
#define PGH_FEW_NEWCOMERS 2

/*
 * What is known of the server when a client has authenticated.  The
 * newcomer's own slot is not counted as taken, nor its connection as held.
 */
typedef struct PghNewcomer
{
	int32_t		available;		/* slots that ordinary roles can have now */
	int32_t		headroom;		/* free slots to keep */
	int32_t		held;			/* connections that its application holds: its
								 * role's, and a few for each other's */
	int32_t		newcomers;		/* how many others are not established, in the
								 * same way, if its own application is one of
								 * those; else 0 */
	int32_t		per_application;	/* most that one may hold; 0 = no limit */
	int32_t		waiting;		/* logins that wait to be of them */
	int32_t		kept_for_others;	/* slots of reserves that are not used up
									 * and that it has no part in */
	int32_t		reserve_rule;	/* the first rule with such a reserve, or 0 */
	int32_t		cap_rule;		/* the first matching rule whose cap is
								 * reached, or 0 */
	int32_t		rate_rule;		/* the first matching rule whose rate is used
								 * up, or 0 */
	bool		has_reserve;	/* a matching rule's reserve is not used up */
	bool		may_use_reserved;	/* its role may have core's reserved slots */
	bool		keeps_slot;		/* it has held its own for long, and asks for
								 * another name only */
} PghNewcomer;

/* Why a connection is not let in, and the rule that says so. */
typedef struct PghRefusal
{
	PghLimit	reason;			/* PGH_LIMIT_NONE: it is let in */
	int32_t		rule;			/* 0 = server-wide */
} PghRefusal;

/*
 * What its account holds, for this role: an application, or all that are new,
 * where they are more than a few.
 */
extern int32_t pgh_held_in_account(int32_t held, int32_t newcomers);

/*
 * May this connection stay?  Caps and rates first, for they hold whatever
 * else is free; then the last slots go to those who hold the fewest.
 */
extern PghRefusal pgh_admit(const PghNewcomer *newcomer);

/* ----------
 * Eviction
 * ----------
 */

/* Sessions that have something in common, counted. */
typedef struct PghTally
{
	int32_t		connections;
	int32_t		idle_transactions;
	int32_t		idle_sessions;
	int32_t		roles;			/* that have one */
} PghTally;

/*
 * A session that may be evicted.  An account is an application, or all those
 * that are not established.  The tallies that it is counted in are indexes
 * into one array: of all sessions of its account, of those that have its role
 * as well, of those idle in a transaction with the same last statement, and
 * of these again those of its role.  Where it is not idle in a transaction, it
 * has none of the last two, which are -1.
 */
typedef struct PghCandidate
{
	int32_t		session;		/* the caller's number for it */
	int32_t		account;
	int32_t		own;
	int32_t		alike;
	int32_t		own_alike;
	PghState	state;
	PghOutlook	outlook;		/* where it idles in a transaction */
	PghTime		state_start;
	PghTime		min_idle;		/* it stays until it has been idle this long */
	bool		min_idle_by_rule;	/* a rule says so */
	bool		untouchable;	/* counted, never evicted */
} PghCandidate;

/* How short slots are. */
typedef struct PghShortage
{
	int32_t		available;		/* with those that are on their way out */
	int32_t		undecided;		/* of those in use: their clients have not
								 * been let in yet, and may never be */
	int32_t		headroom;
	bool		refused_lately; /* somebody was refused for headroom */
	bool		spare_idle;		/* only transactions are evicted */
} PghShortage;

/*
 * This many transactions of one account idle behind the same statement are a
 * leak, if they are one role's or those of PGH_EVIDENT_ROLES.  So is each one
 * whose like were never come back to.
 */
#define PGH_LEAK_SIZE 3

/* Is anything to be evicted at all? */
extern bool pgh_slots_are_short(const PghShortage *shortage);

/* Count a session in the tallies that it names, or take it out again. */
extern void pgh_tally_add(PghTally *tallies, const PghCandidate *candidate);
extern void pgh_tally_take(PghTally *tallies, const PghCandidate *candidate);

/*
 * How full a cap is, that is "connections" of a rule or
 * "connections_per_application", and what its sessions do.
 */
typedef struct PghCap
{
	int32_t		limit;
	int32_t		held;			/* its sessions */
	int32_t		departing;		/* of those, asked to leave already */
	int32_t		idle;			/* of those, idle outside a transaction */
	int32_t		idle_transactions;	/* of those, idle in one */
	bool		refused_lately; /* somebody was refused because of it */
} PghCap;

/*
 * Is room to be made within a cap?  When somebody was refused because of it
 * and there is little room, or when it is full and all of its sessions are in
 * a transaction: then nobody can work unless one of them goes on.
 */
extern bool pgh_cap_is_short(const PghCap *cap);

/* The same as a shortage of slots, to choose from its sessions. */
extern PghShortage pgh_cap_shortage(const PghCap *cap);

/*
 * How long this one of the cap's sessions may idle, from what
 * headroom_min_idle says of it and what is to be expected of it.
 */
extern PghTime pgh_cap_min_idle(const PghCap *cap,
								const PghCandidate *candidate);

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

#endif							/* PGH_SLOTS_H */
