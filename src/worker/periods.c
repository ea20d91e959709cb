/*-------------------------------------------------------------------------
 *
 * worker/periods.c
 *	  How long sessions idle, work and last, from one look to the next.
 *
 * Owns: the worker's private note of what each session was doing when it was
 * last read, and from that what has ended.  Must not: decide or act.
 *
 * A look is a second after the last at most, so a period of a second or more
 * is seen at least once, and only those are noted.  When a pause began is
 * exact: core's entry says it.  It ended when the client's next statement
 * began; if several came between two looks, the last of them is known, so the
 * pause may be taken for longer by what they took.  A session that has left
 * has stamped what it was doing then (PghDeparture): a pause that was not its
 * last one was come back to.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/periods.h"

#include "look/clock.h"
#include "pure/policy.h"
#include "shared/applications.h"
#include "shared/behaviour.h"
#include "shared/events.h"
#include "shared/leaks.h"

/* Nobody is taken for idle without need before that; see is_needed(). */
#define PGH_NEEDED_TIME (2 * USECS_PER_SEC)

/* What a session was doing when it was last read. */
typedef struct PghOpen
{
	uint32		claim;			/* its slot's changecount; 0 = nobody */
	uint32		empty_since;	/* the same, when nobody was found there */
	uint32		application;
	uint32		application_id;
	Oid			roleid;
	PghPeriodKind kind;			/* of idle_since */
	TimestampTz idle_since;		/* 0 = not idle */
	TimestampTz state_start;	/* later, if we rolled back what it idles in */
	uint64		leak;			/* that the pause was noted under before that */
	bool		outlasts;		/* and that it lasts */
	bool		singled_out;	/* and that it was */
	TimestampTz xact_since;		/* 0 = in no transaction */
	TimestampTz since;			/* when it began */
} PghOpen;

static PghOpen *opens;
static int32 *needs;			/* for each place in the table of names */
static bool *changed;			/* the same: did one of its sessions change? */
static bool any_changed = false;

void
pgh_periods_start(void)
{
	opens = palloc0(mul_size(pgh_n_slots, sizeof(PghOpen)));
	needs = palloc0(mul_size(pgh_n_applications, sizeof(int32)));
	changed = palloc0(mul_size(pgh_n_applications, sizeof(bool)));
}

/* A step of the clock lies in no period. */
static int64
length_of(TimestampTz since, TimestampTz until)
{
	PghFacts	facts = {.state_start = since};

	pgh_clock_correct(&facts, until);
	return until - facts.state_start;
}

static void
note(const PghOpen *open, PghPeriodKind kind, int64 length, bool resumed)
{
	if (length >= PGH_SHORTEST_PERIOD &&
		open->application != PGH_NO_APPLICATION)
		pgh_behaviour_note(pgh_application_follow(open->application,
												  open->application_id),
						   open->roleid, kind, length, resumed);
}

/* A pause is over; what was noted of it learns how it ended. */
static void
end_pause(PghOpen *open, PghWatch *watch, TimestampTz until, bool resumed)
{
	PghWatchDetails *details = watch->details;
	int64		length = length_of(open->idle_since, until);
	bool		known = details->spell == open->idle_since;
	uint64		leak = open->leak != 0 ? open->leak :
		known ? details->leak : 0;

	note(open, open->kind, length, resumed);
	if (leak != 0)
	{
		PghPause	pause = {length, resumed, open->outlasts,
			open->singled_out};

		pause.outlasted |= known && details->outlasts;
		pause.singled_out |= known && details->singled_out;
		pgh_leak_pause_ended(leak, &pause);
	}
	if (details->observed_event != 0 && resumed)
		pgh_event_resumed(details->observed_event, until);
	details->observed_event = 0;
	open->idle_since = 0;
	open->leak = 0;
	open->outlasts = false;
	open->singled_out = false;
}

static void
end_transaction(PghOpen *open, TimestampTz until, bool resumed)
{
	note(open, PGH_PERIOD_TRANSACTION, length_of(open->xact_since, until),
		 resumed);
	open->xact_since = 0;
}

/*
 * When did the client come back to this pause?  When its last statement began
 * that is known, if that was after the pause began.
 */
static TimestampTz
return_time(const PghOpen *open, TimestampTz activity_start,
			TimestampTz state_start)
{
	return activity_start > open->idle_since && activity_start < state_start ?
		activity_start : state_start;
}

/*
 * The session that was seen has left.  What it did last is known, but after a
 * crash of an earlier worker; then all of it ended with it.
 */
static void
end_all(int index, PghOpen *open, PghWatch *watch, TimestampTz now)
{
	PghDeparture departure;
	bool		known = pgh_slot_departure(index, open->claim, &departure);
	TimestampTz left = known ? departure.at : now;

	if (open->claim == 0)
		return;					/* nobody that was seen */
	if (open->idle_since != 0 && known &&
		departure.state_start != open->state_start)
		end_pause(open, watch,
				  return_time(open, departure.activity_start,
							  departure.state_start), true);
	else if (open->idle_since != 0)
		end_pause(open, watch, left, false);
	if (open->xact_since != 0 && known &&
		departure.xact_start != open->xact_since)
		end_transaction(open, departure.state_start, true);
	else if (open->xact_since != 0)
		end_transaction(open, left, false);
	note(open, PGH_PERIOD_SESSION, length_of(open->since, left), false);
	open->claim = 0;
}

/* A session that was not seen before. */
static void
begin(PghOpen *open, const PghSession *session)
{
	memset(open, 0, sizeof(*open));
	open->claim = session->changecount;
	open->application = PGH_NO_APPLICATION;
	open->roleid = session->login.roleid;
	open->since = session->facts.backend_start != 0 ?
		session->facts.backend_start : session->login.login_at;
}

static void
meet(const PghOpen *open, const PghSession *session, TimestampTz now)
{
	PghSeen		seen = {
		session->login.roleid, session->databaseid, &session->login.address
	};

	if (open->application != PGH_NO_APPLICATION)
		pgh_behaviour_meet(open->application, &seen, now);
}

static bool
is_idle(PghState state)
{
	return state == PGH_STATE_IDLE || pgh_state_in_transaction_idle(state);
}

/*
 * Is it still the pause that it was?  When we roll back what a session idles
 * in, its state begins anew, but its client has not come back by that.
 */
static bool
is_same_pause(const PghOpen *open, const PghFacts *facts)
{
	return open->state_start == facts->state_start ||
		(facts->rolled_back_for != PGH_LIMIT_NONE &&
		 open->kind == PGH_PERIOD_IDLE_IN_TRANSACTION &&
		 facts->state == PGH_STATE_IDLE_IN_TRANSACTION_ABORTED);
}

/* What it does now goes on until it is read again. */
static void
follow(PghOpen *open, PghWatch *watch, const PghSession *session)
{
	const PghFacts *facts = &session->facts;

	if (open->idle_since != 0 && is_same_pause(open, facts))
	{
		if (watch->details->spell == open->idle_since)
		{
			open->leak = open->leak != 0 ? open->leak : watch->details->leak;
			open->outlasts |= watch->details->outlasts;
			open->singled_out |= watch->details->leak != 0 &&
				watch->details->singled_out;
		}
	}
	else if (open->idle_since != 0)
		end_pause(open, watch,
				  return_time(open, session->activity_start,
							  facts->state_start), true);
	if (open->xact_since != 0 && open->xact_since != facts->xact_start)
		end_transaction(open, facts->xact_start != 0 ?
						facts->xact_start : facts->state_start, true);
	open->xact_since = facts->xact_start;
	if (open->idle_since == 0 && is_idle(facts->state))
		open->idle_since = facts->state_start;
	open->state_start = facts->state_start;
	open->kind = facts->state == PGH_STATE_IDLE ?
		PGH_PERIOD_IDLE : PGH_PERIOD_IDLE_IN_TRANSACTION;
}

void
pgh_periods_follow(int index, PghWatch *watch, const PghSession *session,
				   TimestampTz now)
{
	PghOpen    *open = &opens[index];
	uint32		changecount = pg_atomic_read_u32(&pgh_slots[index].changecount);
	bool		same = session != NULL && open->claim == session->changecount;

	/* nobody has come and gone meanwhile */
	if (session == NULL && open->claim == 0 &&
		open->empty_since == changecount)
		return;
	if (!same)
		end_all(index, open, watch, now);
	open->empty_since = changecount;
	if (session == NULL)
		return;
	if (!same)
		begin(open, session);
	if (session->facts.state != PGH_STATE_UNKNOWN)
		follow(open, watch, session);
	if (open->application != session->counted_as ||
		open->application_id != pgh_application_id(open->application))
	{
		open->application = session->counted_as;
		open->application_id = pgh_application_id(open->application);
		meet(open, session, now);
	}
	if (open->application != PGH_NO_APPLICATION)
		changed[open->application] = any_changed = true;
}

void
pgh_periods_reset(TimestampTz now)
{
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;

		if (opens[i].claim != 0 && pgh_scan_session(i, &session) &&
			session.changecount == opens[i].claim)
			meet(&opens[i], &session, now);
	}
}

/*
 * A session that idles for longer than any of its application came back from
 * may be a leak, or what a pool keeps without need.
 */
static bool
is_needed(const PghOpen *open, TimestampTz now)
{
	int64		most = PGH_NEEDED_TIME;

	if (open->idle_since == 0)
		return true;
	most = Max(most, pgh_behaviour_longest(open->application, open->kind));
	return length_of(open->idle_since, now) <= most;
}

/* While all sessions of an application are at rest it needs no more of them. */
void
pgh_periods_count_needs(TimestampTz now)
{
	if (!any_changed)
		return;
	for (int i = 0; i < pgh_n_slots; i++)
	{
		const PghOpen *open = &opens[i];

		if (open->claim != 0 && open->application != PGH_NO_APPLICATION &&
			changed[open->application] && is_needed(open, now))
			needs[open->application]++;
	}
	for (int i = 0; i < pgh_n_applications; i++)
	{
		if (!changed[i])
			continue;
		pgh_behaviour_needs(i, needs[i]);
		needs[i] = 0;
		changed[i] = false;
	}
	any_changed = false;
}
