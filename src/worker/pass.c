/*-------------------------------------------------------------------------
 *
 * worker/pass.c
 *	  One look at all sessions: decide, and act on what is due.
 *
 * Owns: the pass.  Must not: sleep.
 *
 * A session at rest costs a pass two or three cache lines: while neither the
 * slot's nor core's changecount has moved, everything that a decision rests
 * on is as it was, and the deadline that was computed then still holds.
 * Rules are matched when a session is new, takes another application name,
 * or the settings change.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/pass.h"

#include "look/clock.h"
#include "look/rule_sessions.h"
#include "pure/policy.h"
#include "shared/leaks.h"
#include "shared/members.h"
#include "shared/totals.h"
#include "worker/act.h"
#include "worker/caps.h"
#include "worker/evict.h"
#include "worker/ledger.h"
#include "worker/leave.h"
#include "worker/periods.h"
#include "worker/reap.h"
#include "worker/resolved.h"
#include "worker/stall.h"
#include "worker/usage.h"
#include "worker/watch.h"

/*
 * A session stamps its idle state before it sends the reply that lets its
 * client see it.  What the client calls the limit therefore ends a little
 * later; it must not be cut short.
 */
#define PGH_REPLY_MARGIN 1000

/* A session that was of use only while its pool was filled tells nothing. */
#define PGH_POOL_FILLS (5 * USECS_PER_SEC)

static TimestampTz last_look = 0;	/* around, see look_around() */
static TimestampTz known_since = 0; /* stats_since when leaks were noted */
static PghUse *uses;

/*
 * Who waits for whom, seen in this pass; in its memory, NULL = not yet.  When
 * nobody waits, as at most moments, it is always the same and all zeroes.
 */
static const PghBlocked *blocked_seen = NULL;
static const PghBlocked *blocked_nobody;

void
pgh_pass_start(void)
{
	pgh_watch_start();
	pgh_resolved_start();
	pgh_ledger_start();
	pgh_periods_start();
	pgh_stall_start();
	uses = palloc0(mul_size(pgh_n_slots, sizeof(PghUse)));
	blocked_nobody = palloc0(mul_size(pgh_n_slots, sizeof(PghBlocked)));
	pgh_usage_start();
}

/* Has it just been of use to a pool that had been filled before? */
static bool
went_back(const PghFacts *facts)
{
	return facts->state == PGH_STATE_IDLE &&
		facts->state_start - facts->backend_start > PGH_POOL_FILLS;
}

/* A session that is new, or took another name: whose, and which rules'. */
static void
identify(int index, PghWatch *watch, PghSession *session)
{
	const PghRuleBits *bits;

	watch->details->limits = *pgh_resolved(&session->who, &bits);
	pgh_count_session(index, &session->who, bits);
	strlcpy(watch->details->application, session->who.application,
			PGH_NAME_LEN);
}

/* What it does, and what others do that matters to it. */
static void
follow_state(PghWatch *watch, const PghFacts *facts)
{
	const PghState state = pgh_state_for_limits(facts);
	const int64 *limit = watch->details->limits.value;

	watch->idle_transaction = pgh_state_in_transaction_idle(state);
	watch->busy = state == PGH_STATE_ACTIVE || watch->idle_transaction;
	watch->ages = watch->idle_transaction && limit[PGH_LIMIT_HORIZON] > 0;
	watch->locks_count = watch->idle_transaction ||
		(facts->advisory && limit[PGH_LIMIT_ADVISORY_BLOCKER] > 0);
}

/* Read a session again, and resolve its limits if it became another one. */
static bool
refresh(int index, PghWatch *watch, PghSession *session, TimestampTz now)
{
	bool		known;

	if (!pgh_scan_session(index, session))
	{
		pgh_periods_follow(index, watch, NULL, now);
		watch->live = false;
		return false;
	}
	known = watch->live &&
		watch->changecount == session->changecount &&
		strcmp(watch->details->application, session->who.application) == 0;
	if (!known)
		identify(index, watch, session);
	pgh_periods_follow(index, watch, session, now);
	if (watch->changecount != session->changecount)
	{
		pgh_watch_begin(watch);
	}
	if (watch->details->spell != session->facts.state_start)
	{
		watch->details->spell = session->facts.state_start;
		watch->note_at = PGH_NEVER;
		watch->noted = false;
		watch->details->leak = 0;
		watch->details->outlasts = false;
		watch->details->singled_out = false;
		watch->details->statement = 0;
		watch->used |= went_back(&session->facts);
	}
	if (watch->blocks)
		pgh_note_blocked(session, &watch->details->blocked);
	session->leak = watch->details->leak;
	watch->details->role = session->login.roleid;
	follow_state(watch, &session->facts);
	watch->live = true;
	watch->changecount = session->changecount;
	watch->activity_changecount = session->activity_changecount;
	watch->beentry = session->login.beentry;
	return true;
}

/* Is a session still what it was when its deadline was computed? */
static bool
at_rest(int index, const PghWatch *watch)
{
	return watch->live &&
		watch->activity_changecount != PGH_NO_CHANGECOUNT &&
		pgh_slot_is(index, watch->changecount) &&
		pgh_activity_changecount(watch->beentry) == watch->activity_changecount;
}

/*
 * A transaction that has been idle for a tenth of what it may be is noted as
 * a leak.  The worker is not woken for that: the next pass will do.  While
 * others wait it may be for less time, and so those that are noted are few.
 */
static void
plan_note(PghWatch *watch, const PghSession *session,
		  const PghVerdict *verdict)
{
	if (watch->noted)
		return;
	watch->note_at = pgh_leak_begins(&session->facts, verdict);
	watch->details->singled_out =
		verdict->decision.reason == PGH_LIMIT_IDLE_BLOCKER;
}

static void
note(int index, PghWatch *watch)
{
	PghWatchDetails *details = watch->details;
	int64		tenth = watch->note_at - details->spell;
	PghSession	session;

	watch->note_at = PGH_NEVER;
	if (!pgh_scan_session(index, &session) ||
		session.facts.state_start != details->spell ||
		!pgh_slot_is(index, watch->changecount))
		return;
	if (watch->noted)
	{
		details->outlasts = true;
		pgh_leak_pause_outlasts(details->leak);
		return;
	}
	details->leak = pgh_note_leak(&session);
	watch->noted = details->leak != 0;
	if (watch->noted && !details->singled_out)
		watch->note_at = details->spell + PGH_OUTLASTING_TENTHS * tenth;
}

/*
 * Who waits for whom is up to a second old, and the session may have ended
 * the transaction that others waited for since then.  So before it is ended
 * for blocking, the lock table is looked at once more in this pass.
 */
static const PghBlocked *
blocked_in_pass(void)
{
	if (blocked_seen == NULL)
		blocked_seen = pgh_somebody_waits() ?
			pgh_blocked_now(pgh_ledger_moments()) : blocked_nobody;
	return blocked_seen;
}

/* Take over who hangs on a session; returns whether limits may ask for that. */
static bool
follow_blocked(PghWatch *watch, const PghBlocked *blocked)
{
	PghBlocked *before = &watch->details->blocked;
	bool		blocks = false;
	bool		changed = false;

	for (int i = 0; i < PGH_N_QUEUE_KINDS; i++)
		blocks |= blocked->queue[i].n > 0;
	if (!blocks && !watch->blocks)
		return false;
	for (int i = 0; i < PGH_N_QUEUE_KINDS; i++)
		changed |= blocked->queue[i].n != before->queue[i].n;
	changed |= blocked->advisory_since != before->advisory_since;
	watch->blocks = blocks;
	*before = *blocked;
	return changed;
}

/*
 * What others do that matters to a session may have changed since it was seen.
 * Returns whether there was something to look at again.
 */
static bool
look_again(int index, PghWatch *watch, PghSession *session, PghLimit reason)
{
	switch (reason)
	{
		case PGH_LIMIT_IDLE_BLOCKER:
		case PGH_LIMIT_ADVISORY_BLOCKER:
			(void) follow_blocked(watch, &blocked_in_pass()[index]);
			pgh_note_blocked(session, &watch->details->blocked);
			return true;
		case PGH_LIMIT_CLIENT_STALL:
			if (!pgh_stall_goes_on(index, &session->still))
				session->facts.client_since = 0;
			return true;
		default:
			return false;
	}
}

/* What is to be done about a session, and when, by what holds this moment. */
static PghVerdict
decide_now(int index, PghWatch *watch, PghSession *session, TimestampTz now)
{
	const PghLimits *limits = &watch->details->limits;
	PghFacts	facts = session->facts;
	PghVerdict	verdict;

	pgh_clock_correct(&facts, now);
	verdict = pgh_decide(&facts, limits, now);
	if (verdict.deadline + PGH_REPLY_MARGIN > now ||
		!look_again(index, watch, session, verdict.decision.reason))
		return verdict;
	facts = session->facts;
	pgh_clock_correct(&facts, now);
	return pgh_decide(&facts, limits, now);
}

/* Act on what is due of the session, and plan what is not. */
static void
heed(PghWatch *watch, const PghSession *session, const PghVerdict *verdict,
	 TimestampTz now)
{
	if (verdict->deadline == PGH_NEVER ||
		watch->details->limits.mode == PGH_MODE_OFF)
		return;
	plan_note(watch, session, verdict);
	if (verdict->deadline + PGH_REPLY_MARGIN > now)
		watch->deadline = verdict->deadline + PGH_REPLY_MARGIN;
	else if (pgh_act(session, verdict, watch->details->limits.mode, now))
	{
		watch->asked = true;
		if (verdict->decision.action == PGH_ACTION_CANCEL)
			(void) pgh_watch_retry(watch, now); /* core may ignore it */
	}
}

/*
 * Decide on a session, and act if it is due.  Whether it is to leave comes
 * last: that waits for a moment which may never come, and nothing is to wait
 * for it.
 */
static void
judge(int index, PghWatch *watch, TimestampTz now)
{
	PghSession	session;
	PghVerdict	verdict;

	watch->deadline = PGH_NEVER;
	if (!refresh(index, watch, &session, now) || watch->asked)
		return;
	verdict = decide_now(index, watch, &session, now);
	heed(watch, &session, &verdict, now);
	if (!watch->asked)
	{
		TimestampTz leaves = pgh_leave_attend(watch, &session, now);

		watch->deadline = Min(watch->deadline, leaves);
	}
}

/*
 * Is what was asked of this session still what is to be done about it?  That
 * it was asked to cancel is no reason not to be asked again.
 */
static bool
decides_again(int index, PghWatch *watch, const PghRequest *request,
			  TimestampTz now)
{
	const PghDecision *asked = &request->decision;
	PghSession	session;
	PghVerdict	verdict;

	if (!refresh(index, watch, &session, now) ||
		watch->details->limits.mode != PGH_MODE_ENFORCE)
		return false;
	if (asked->action == PGH_ACTION_EVICT)
		return asked->reason == PGH_LIMIT_HEADROOM ?
			pgh_evicts_again(&session, &watch->details->limits, now) :
			pgh_cap_evicts_again(&session, &watch->details->limits, asked,
								 now);
	if (asked->action == PGH_ACTION_CANCEL)
		session.facts.cancelled_at = 0;
	verdict = decide_now(index, watch, &session, now);
	return verdict.deadline != PGH_NEVER &&
		verdict.deadline + PGH_REPLY_MARGIN <= now &&
		verdict.decision.action == asked->action &&
		verdict.decision.reason == asked->reason &&
		verdict.decision.rule == asked->rule &&
		verdict.decision.limit == asked->limit;
}

/* After hygiene.reset() what still leaks has to be noted again. */
static void
follow_reset(TimestampTz now)
{
	TimestampTz since = pg_atomic_read_u64(&pgh_totals->stats_since);

	if (since == known_since)
		return;
	known_since = since;
	pgh_ledger_reset();
	pgh_periods_reset(now);
	for (int i = 0; i < pgh_n_slots; i++)
	{
		pgh_watches[i].noted = false;
		pgh_watches[i].details->leak = 0;
		pgh_watches[i].details->outlasts = false;
		pgh_watches[i].details->singled_out = false;
		pgh_watches[i].activity_changecount = PGH_NO_CHANGECOUNT;
	}
}

/* Have it published how much each application uses and leaks. */
static void
publish_usage(void)
{
	int			n = 0;

	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghWatch   *watch = &pgh_watches[i];
		PghUse	   *use = &uses[n];

		if (!watch->live || !(watch->busy || watch->used))
			continue;
		use->application = pgh_member_of(&pgh_slots[i]);
		if (use->application == PGH_NO_APPLICATION)
			continue;
		use->role = watch->details->role;
		use->busy = watch->busy;
		use->idle_since = watch->details->spell;
		use->leak = watch->idle_transaction ? watch->details->leak : 0;
		watch->used = false;
		n++;
	}
	pgh_publish_usage(uses, n);
}

/*
 * What changes about an idle session while it is at rest: others may begin to
 * wait for it, and its xmin grows old.  Is there one to be judged again?  And
 * what it costs is put down.
 */
static bool
look_around(TimestampTz now)
{
	bool		locks_count = false;
	bool		waited_for;
	bool		changed = false;

	for (int i = 0; i < pgh_n_slots && !locks_count; i++)
		locks_count = pgh_watches[i].live && pgh_watches[i].locks_count;

	/* One that was made in the middle of the pass lacks the last moments. */
	blocked_seen = NULL;
	waited_for = locks_count && blocked_in_pass() != blocked_nobody;
	for (int i = 0; locks_count && i < pgh_n_slots; i++)
	{
		PghWatch   *watch = &pgh_watches[i];

		if (((waited_for || watch->blocks) &&
			 follow_blocked(watch, &blocked_seen[i])) ||
			(watch->live && watch->ages))
		{
			watch->activity_changecount = PGH_NO_CHANGECOUNT;
			changed = true;
		}
	}
	pgh_ledger_look(waited_for ? blocked_seen : NULL, now);
	return changed;
}

/* A session's turn in a pass; returns when it is to have the next one. */
static TimestampTz
attend(int index, PghWatch *watch, TimestampTz now)
{
	if (watch->asked)
		pgh_reap(index, watch, decides_again, now);
	if (!at_rest(index, watch) || watch->deadline <= now)
		judge(index, watch, now);
	if (!watch->live)
		return PGH_NEVER;
	if (watch->note_at <= now && !watch->asked)
		note(index, watch);
	return watch->retry_at == 0 ?
		watch->deadline : Min(watch->deadline, watch->retry_at);
}

/* Have at hand what at_rest() will read. */
static void
fetch_ahead(int index)
{
	const PghWatch *watch = &pgh_watches[index];

	if (index >= pgh_n_slots || !watch->live)
		return;
	pgh_prefetch(&pgh_slots[index].changecount);
	pgh_prefetch(&watch->beentry->st_changecount);
}

static TimestampTz
attend_all(TimestampTz now, int *n_sessions)
{
	TimestampTz next = PGH_NEVER;

	*n_sessions = 0;
	for (int i = 0; i < pgh_n_slots; i++)
	{
		TimestampTz turn;

		fetch_ahead(i + PGH_AHEAD);
		turn = attend(i, &pgh_watches[i], now);
		next = Min(next, turn);
		*n_sessions += pgh_watches[i].live;
	}
	return next;
}

/*
 * Once a second everyone's surroundings are looked at, and that after all
 * had their turn: a session that came since the last pass is known then, and
 * whom it blocks must not go unseen for another second.
 */
TimestampTz
pgh_pass(TimestampTz now, int *n_sessions)
{
	TimestampTz next;
	TimestampTz next_stall_look;

	blocked_seen = NULL;
	pgh_leave_follow();
	next_stall_look = pgh_stall_look(now);
	next = attend_all(now, n_sessions);
	if (now - last_look >= USECS_PER_SEC || now < last_look)
	{
		last_look = now;
		follow_reset(now);
		publish_usage();
		pgh_periods_count_needs(now);
		if (look_around(now))
			next = attend_all(now, n_sessions);
	}
	return Min(Min(next, next_stall_look), last_look + USECS_PER_SEC);
}
