/*-------------------------------------------------------------------------
 *
 * worker/leave.c
 *	  Sessions that are to leave between two transactions: those that are older
 *	  than session_lifetime, and those that are drained.
 *
 * Owns: who is asked to leave, how, and how often.  Must not: end a session;
 * that is for itself to do, see PghLeave and shared/request.c.  For the worker
 * only.
 *
 * A busy session is idle for moments only, and none of them is told to
 * anybody.  So it is asked every few milliseconds until it happens to be
 * idle.  A question costs it a signal, so there is none while it still does
 * what it did at the last one: then it is only looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/leave.h"

#include "utils/timestamp.h"

#include "look/clock.h"
#include "pure/policy.h"
#include "shared/drains.h"
#include "worker/act.h"

/* From the first question to the second, and most between two later ones. */
#define PGH_LEAVE_FIRST 2000
#define PGH_LEAVE_BUSY (20 * INT64CONST(1000))

/* While it is at the same: an eighth of how long it has been, at most this. */
#define PGH_LEAVE_SAME (500 * INT64CONST(1000))

/* Why a session is to leave. */
typedef struct PghReason
{
	PghDecision decision;
	PghLeave	leave;
	int32		drain;			/* its number; 0 = a limit */
} PghReason;

/* The drains as of the last news. */
static PghDrain drains[PGH_MAX_DRAINS];

static uint32 known_news = 0;

void
pgh_leave_follow(void)
{
	uint32		news = pg_atomic_read_u32(&pgh_drains->news);

	pgh_drains_settle();
	if (news == known_news)
		return;
	known_news = news;
	pg_read_barrier();
	for (int place = 0; place < PGH_MAX_DRAINS; place++)
	{
		int32		remaining;

		(void) pgh_drain_read(place, &drains[place], &remaining);
	}
	for (int i = 0; i < pgh_n_slots; i++)
		pgh_watches[i].activity_changecount = PGH_NO_CHANGECOUNT;
}

/* Of the drains of a session, the one whose deadline comes first, or NULL. */
static const PghDrain *
find_drain(int index, uint32 changecount)
{
	uint32		places = pgh_drains_of(index, changecount);
	const PghDrain *first = NULL;

	/*
	 * What began since is for the next pass: its place may have been
	 * another's.
	 */
	if (places == 0)
		return NULL;
	pg_read_barrier();
	if (pg_atomic_read_u32(&pgh_drains->news) != known_news)
		return NULL;
	for (int place = 0; place < PGH_MAX_DRAINS; place++)
	{
		const PghDrain *drain = &drains[place];

		if ((places >> place & 1) == 0)
			continue;
		if (first == NULL || (drain->deadline != 0 &&
							  (first->deadline == 0 ||
							   drain->deadline < first->deadline)))
			first = drain;
	}
	return first;
}

bool
pgh_leave_is_overdue(int index)
{
	const PghDrain *drain =
	find_drain(index, pg_atomic_read_u32(&pgh_slots[index].changecount));

	return drain != NULL && drain->deadline != 0 &&
		drain->deadline <= GetCurrentTimestamp();
}

static void
reason_from_drain(const PghDrain *drain, TimestampTz now, PghReason *reason)
{
	PghDecision *decision = &reason->decision;

	decision->action = PGH_ACTION_TERMINATE;
	decision->reason = PGH_LIMIT_DRAIN;
	decision->limit = drain->deadline != 0 ?
		drain->deadline - drain->started_at : 0;
	decision->measured = Max(now - drain->started_at, 0);
	reason->drain = drain->number;
	reason->leave = drain->deadline != 0 && drain->deadline <= now ?
		PGH_LEAVE_AT_ONCE : PGH_LEAVE_BETWEEN;
}

/*
 * When the session's lifetime ends, PGH_NEVER if it has none; fills *reason.
 * One that LISTENs or holds an advisory lock when it is asked stays, unless a
 * rule says otherwise.
 */
static TimestampTz
reason_from_age(const PghSession *session, const PghLimits *limits,
				TimestampTz now, PghReason *reason)
{
	PghDecision *decision = &reason->decision;
	PghFacts	facts = session->facts;

	pgh_clock_correct(&facts, now);
	decision->action = PGH_ACTION_TERMINATE;
	decision->reason = PGH_LIMIT_SESSION_LIFETIME;
	decision->rule = limits->rule[PGH_LIMIT_SESSION_LIFETIME];
	decision->limit = limits->value[PGH_LIMIT_SESSION_LIFETIME];
	decision->measured = now - facts.backend_start;
	reason->leave = decision->rule != 0 ?
		PGH_LEAVE_BETWEEN : PGH_LEAVE_UNBOUND;
	return pgh_lifetime_ends(&facts, limits);
}

/*
 * Is it worth waiting for a pause of a session that was to leave at "ends"?
 * Returns when to look again, or 0: when it has idled for as long as is asked
 * for now, which becomes only less.  A pause is missed that begins and ends
 * between two looks, which are as far apart as a quarter of it.
 */
static TimestampTz
wait_for_pause(const PghSession *session, int64 lifetime, TimestampTz ends,
			   TimestampTz now)
{
	int64		pause = pgh_lifetime_pause(lifetime, now - ends);
	int64		idle = now - session->facts.state_start;

	if (pause == 0)
		return 0;
	if (session->facts.state != PGH_STATE_IDLE)
		return now + Max(pause / 4, PGH_LEAVE_BUSY);
	if (idle < 0 || idle >= pause)
		return 0;
	return session->facts.state_start + pause;
}

/* Could it be idle outside of a transaction when the question arrives? */
static bool
may_be_between(const PghSession *session, bool moved)
{
	switch (session->facts.state)
	{
		case PGH_STATE_IDLE:
		case PGH_STATE_DISABLED:
			return true;
		case PGH_STATE_ACTIVE:
			return moved;
		default:
			return false;
	}
}

/*
 * Plan the next question: soon while the session moves on, later the longer it
 * has been at the same.
 */
static void
plan_next(PghWatchDetails *details, const PghSession *session, bool moved,
		  TimestampTz now)
{
	int64		since = now - session->facts.state_start;

	if (moved)
		details->leave_after = details->leave_after == 0 ? PGH_LEAVE_FIRST :
			Min(details->leave_after * 2, PGH_LEAVE_BUSY);
	else
		details->leave_after = Min(Max(since / 8, PGH_LEAVE_FIRST),
								   PGH_LEAVE_SAME);
	details->leave_at = now + details->leave_after;
	details->leave_activity = session->activity_changecount;
}

static TimestampTz
ask(PghWatch *watch, const PghSession *session, const PghReason *reason,
	TimestampTz now)
{
	PghWatchDetails *details = watch->details;
	bool		at_once = reason->leave == PGH_LEAVE_AT_ONCE;
	bool		moved = session->activity_changecount !=
		details->leave_activity;

	/* After a step of the clock the next question may lie far ahead. */
	if (details->leave_at > now && !at_once &&
		details->leave_at - now <= PGH_LEAVE_SAME)
		return details->leave_at;
	if (at_once || may_be_between(session, moved))
		watch->asked = pgh_act_leave(session, &reason->decision,
									 reason->leave, reason->drain, now);
	plan_next(details, session, moved, now);
	return details->leave_at;
}

TimestampTz
pgh_leave_attend(PghWatch *watch, const PghSession *session, TimestampTz now)
{
	const PghLimits *limits = &watch->details->limits;
	const PghDrain *drain = find_drain(session->index, session->changecount);
	PghReason	reason;
	TimestampTz ends;
	TimestampTz pause;

	memset(&reason, 0, sizeof(reason));
	if (drain != NULL)
	{
		TimestampTz next;

		reason_from_drain(drain, now, &reason);
		next = ask(watch, session, &reason, now);
		return drain->deadline > now ? Min(next, drain->deadline) : next;
	}
	ends = reason_from_age(session, limits, now, &reason);
	if (ends == PGH_NEVER || limits->mode == PGH_MODE_OFF)
		return PGH_NEVER;
	if (ends > now)
		return ends;
	pause = wait_for_pause(session, reason.decision.limit, ends, now);
	if (pause != 0)
		return pause;
	if (limits->mode == PGH_MODE_ENFORCE)
		return ask(watch, session, &reason, now);
	if (session->facts.state == PGH_STATE_IDLE)
	{
		PghVerdict	verdict = {reason.decision, now};

		(void) pgh_act(session, &verdict, limits->mode, now);
	}
	return PGH_NEVER;
}
