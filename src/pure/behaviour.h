/*-------------------------------------------------------------------------
 *
 * pure/behaviour.h
 *	  What is remembered of how an application behaves, and what follows from
 *	  it: which limit would hurt nobody, and what a limit would have done.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, time is an
 * argument, no globals that change, no allocation, no error raised.  Anyone
 * may call it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_BEHAVIOUR_H
#define PGH_BEHAVIOUR_H

#include "pure/histogram.h"

typedef enum PghPeriodKind
{
	PGH_PERIOD_IDLE_IN_TRANSACTION, /* aborted or not */
	PGH_PERIOD_IDLE,			/* outside of a transaction */
	PGH_PERIOD_TRANSACTION,
	PGH_PERIOD_SESSION
} PghPeriodKind;
#define PGH_N_PERIOD_KINDS (PGH_PERIOD_SESSION + 1)

/*
 * One role's sessions are no evidence against another's; those of so many
 * roles are, who cannot all be one.
 */
#define PGH_EVIDENT_ROLES 5

/* The kinds of which it matters how they ended: all but sessions. */
#define PGH_N_JUDGED_KINDS PGH_PERIOD_SESSION

/*
 * One application.  All zero is one that was never seen.
 *
 * A pause is resumed when the client comes back to it by itself; a
 * transaction counts as resumed when it did not end with its session.  What
 * is not resumed was left, or ended by somebody else.
 */
typedef struct PghBehaviour
{
	PghTime		since;			/* when it was first seen */
	PghHistogram resumed[PGH_N_JUDGED_KINDS];
	PghHistogram lost[PGH_N_JUDGED_KINDS];
	PghHistogram sessions;

	/* The session that was seen last, for rules that ask who it is. */
	uint32_t	roleid;
	uint32_t	databaseid;
	PghAddress	address;

	/*
	 * Most sessions at once that were not idle in a transaction for longer
	 * than any that came back.
	 */
	int32_t		honest_connections;

	/* Whose pauses in a transaction these are; 0 = no further role. */
	uint32_t	pausing_roles[PGH_EVIDENT_ROLES];
} PghBehaviour;

/* The name of a kind in hygiene.behaviour. */
extern const char *pgh_period_kind_name(PghPeriodKind kind);

/*
 * A period has ended after "length" microseconds.  For a session, "resumed"
 * is not looked at.
 */
extern void pgh_behaviour_add(PghBehaviour *behaviour, PghPeriodKind kind,
							  PghTime length, bool resumed);

/*
 * Add what is known of another application, or of another part of the same:
 * a family's names, or those that had to give their places away.
 */
extern void pgh_behaviour_merge(PghBehaviour *into, const PghBehaviour *from);

/* Is there anything in it? */
extern bool pgh_behaviour_is_empty(const PghBehaviour *behaviour);

/* ----------
 * What is shown
 * ----------
 */

typedef struct PghPeriods
{
	uint64_t	periods;		/* of a second or more */
	uint64_t	resumed;		/* of these; all, for a session */
	PghTime		p50;			/* microseconds; 0 without periods */
	PghTime		p90;
	PghTime		p99;
	PghTime		longest_resumed;	/* 0 if none was */
	PghTime		longest;
} PghPeriods;

/*
 * Sum up one kind.  A percentile is the length that so many in a hundred do
 * not exceed, with lengths spread evenly within a bucket: up to 16 s right to
 * a sixteenth of what it could be, up to 17 min to an eighth, and so on.
 */
extern PghPeriods pgh_behaviour_sum_up(const PghBehaviour *behaviour,
									   PghPeriodKind kind);

/* ----------
 * What a limit would have done
 * ----------
 */

/* What it would have done to all that was seen. */
typedef struct PghEffect
{
	uint64_t	would_end;		/* periods that lasted for the limit */
	uint64_t	of_which_resumed;	/* that came back by themselves: harm */
	PghTime		slot_time_freed;	/* by which all of them went beyond it */
} PghEffect;

/*
 * The effect of a limit (microseconds; 0 = none) on periods of a kind.  A
 * period that was ended by an earlier limit counts as long as it was.
 */
extern PghEffect pgh_predict(const PghBehaviour *behaviour,
							 PghPeriodKind kind, PghTime limit);

/* ----------
 * Which limit hurts nobody
 * ----------
 */

typedef enum PghConfidence
{
	PGH_CONFIDENCE_LOW,			/* fewer than 20 periods, or under an hour */
	PGH_CONFIDENCE_FAIR,
	PGH_CONFIDENCE_GOOD			/* a week or more */
} PghConfidence;

extern PghConfidence pgh_confidence(uint64_t periods, PghTime observed_for);
extern const char *pgh_confidence_name(PghConfidence confidence);

/*
 * The next round figure that is no less, from 1 s to 14 days: 1, 2, 5, 10,
 * 15, 20, 30, 45 of seconds, minutes, hours, and a few more.  PGH_NEVER when
 * there is none.
 */
extern PghTime pgh_round_up_time(PghTime length);

/* The same for a number of connections: 5, 10, 15, 20, 30, 40, 50, 75, .. */
extern int32_t pgh_round_up_number(int64_t number);

/*
 * The limit for periods of a kind that would have ended at most the share
 * "harm" (0 to 1) of those that came back: for 0 twice the longest of them,
 * else the shortest that keeps to it; in either case a round figure, and two
 * seconds or more, for what is shorter than one is not known.  0 when nothing
 * was seen, PGH_NEVER when no figure is large enough.
 */
extern PghTime pgh_suggest_limit(const PghBehaviour *behaviour,
								 PghPeriodKind kind, double harm);

/* The cap on connections: twice what was needed at once; 0 if not known. */
extern int32_t pgh_suggest_connections(const PghBehaviour *behaviour);

/* ----------
 * Evidence
 * ----------
 */

/*
 * Do periods of this sort not come back?  So it is when fewer than one in ten
 * did, of ten or more, those that are still open among them.
 */
extern bool pgh_never_resumes(uint64_t periods, uint64_t resumed);

/* What is to be expected of a pause in a transaction. */
typedef enum PghOutlook
{
	PGH_OUTLOOK_UNKNOWN,
	PGH_OUTLOOK_RETURNS,		/* most like it were come back to */
	PGH_OUTLOOK_LOST			/* hardly any were */
} PghOutlook;

/* A pause in a transaction was one of this role's. */
extern void pgh_behaviour_add_role(PghBehaviour *behaviour, uint32_t role);

/* Pauses in a transaction that are like one. */
typedef struct PghLike
{
	uint64_t	returned;		/* came back, of all roles */
	uint64_t	lost;			/* did not; 0 if they are no evidence */
	bool		evident;		/* all of this says something of the role */
} PghLike;

/*
 * The pauses that are like one of this role of "length" microseconds, which
 * are all that lasted for half as long or more: one that is twice as long as
 * any that came back is like none of them, and one that was ended early says
 * nothing of those that were not.  What did not come back speaks only against
 * its own role, unless it is many roles'.
 */
extern PghLike pgh_like_pauses(const PghBehaviour *behaviour, uint32_t role,
							   PghTime length);

/*
 * What is to be expected of a pause of this role that has lasted for "length"
 * microseconds?
 */
extern PghOutlook pgh_pause_outlook(const PghBehaviour *behaviour,
									uint32_t role, PghTime length);

#endif							/* PGH_BEHAVIOUR_H */
