/*-------------------------------------------------------------------------
 *
 * worker/reap.c
 *	  What has become of the requests that were posted.
 *
 * Owns: when a request is closed, when it is repeated, and when it is taken
 * back.  Must not: decide; what is asked was decided in worker/pass.c or
 * worker/evict.c, and is decided there again before it is repeated.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/reap.h"

#include "look/clock.h"
#include "pure/policy.h"
#include "shared/events.h"
#include "shared/request.h"
#include "shared/settings.h"
#include "worker/leave.h"

/*
 * Does a spared session still sit where it was asked, or commit what it was
 * asked about?
 */
static bool
still_due(int index, const PghRequest *request)
{
	PghSession	session;

	if (!pgh_scan_session(index, &session))
		return false;
	if (request->must_be_idle)
		return pgh_state_for_limits(&session.facts) != PGH_STATE_ACTIVE &&
			session.facts.state_start == request->state_start;
	return pgh_state_for_limits(&session.facts) == PGH_STATE_ACTIVE &&
		session.xact_start == request->xact_start &&
		session.lxid == request->lxid;
}

/* When did a session that was spared go back to work? */
static void
note_return(int index, const PghRequest *request)
{
	PghSession	session;

	if (request->must_be_idle && pgh_scan_session(index, &session) &&
		session.facts.state_start > request->state_start)
		pgh_event_resumed(request->event_id,
						  Min(Max(session.activity_start,
								  request->state_start),
							  session.facts.state_start));
}

/* Is the grace over that this transaction got when it was asked to cancel? */
static bool
grace_is_over(int index, const PghWatch *watch, TimestampTz now)
{
	PghSession	session;

	if (!pgh_scan_session(index, &session) || session.facts.cancelled_at == 0)
		return false;
	pgh_clock_correct(&session.facts, now);
	return now >= session.facts.cancelled_at +
		watch->details->limits.value[PGH_LIMIT_CANCEL_GRACE];
}

/*
 * Let a spared session go; what it does is judged anew.  A statement that was
 * not cancelled has no grace to use up, unless it used it up as it was.
 */
static void
let_go(int index, PghSlot *slot, bool used_up)
{
	if (slot->request.decision.action == PGH_ACTION_CANCEL && !used_up)
		pg_atomic_write_u64(&slot->cancelled_xact_start, 0);
	note_return(index, &slot->request);
	pgh_request_finish(slot, PGH_REQUEST_SPARED, PGH_OUTCOME_SPARED);
}

/*
 * A spared request: ask again if the session was only between two waits and is
 * still to be asked, else let it go.  Whether it is to be asked is decided
 * when it is time to ask, and at once when the settings have changed.  The
 * event stays pending while the session may yet be ended.
 */
static void
reap_spared(int index, PghWatch *watch, PghDecidesAgain decides_again,
			TimestampTz now)
{
	PghSlot    *slot = &pgh_slots[index];
	bool		due = pgh_watch_retry(watch, now);
	bool		used_up;

	/* Whoever is to leave is asked anew, in worker/leave.c. */
	if (slot->request.leave != PGH_LEAVE_NONE ||
		pgh_leave_is_overdue(index) ||
		!still_due(index, &slot->request))
	{
		let_go(index, slot, false);
		return;
	}
	if (!due && slot->request.generation == pgh_settings_here())
		return;
	used_up = slot->request.decision.action == PGH_ACTION_CANCEL &&
		grace_is_over(index, watch, now);
	if (used_up || !decides_again(index, watch, &slot->request, now))
		let_go(index, slot, used_up);
	else if (due)
		(void) pgh_request_repeat(index,
								  pg_atomic_read_u32(&slot->changecount));
	else
		slot->request.generation = pgh_settings_here();
}

/*
 * A cancel that was accepted but not raised: the transaction has ended
 * meanwhile, or the statement does not react (it may wait for its client)
 * until its grace is over.  Either way nothing was cancelled, and the session
 * is judged anew.
 *
 * Or it came just when what was running was over, and core ignored it.  So a
 * session that has gone on to something else is asked again.  While it is at
 * the same, it is not: it may be cleaning up.
 *
 * Or it is not due any more, and is taken back.
 */
static void
reap_cancel(int index, PghWatch *watch, PghDecidesAgain decides_again,
			TimestampTz now)
{
	PghSlot    *slot = &pgh_slots[index];
	uint32		changecount = pg_atomic_read_u32(&slot->changecount);
	PghSession	session;
	TimestampTz grace_ends = 0;
	bool		goes_on = false;

	if (pgh_scan_session(index, &session) &&
		session.xact_start == slot->request.xact_start)
	{
		goes_on = session.facts.state == PGH_STATE_ACTIVE &&
			session.lxid == slot->request.lxid &&
			session.facts.state_start != pg_atomic_read_u64(&slot->accepted_in);
		pgh_clock_correct(&session.facts, now);
		grace_ends = session.facts.cancelled_at +
			watch->details->limits.value[PGH_LIMIT_CANCEL_GRACE];
	}
	if (now < grace_ends)
	{
		bool		due = pgh_watch_retry(watch, now);

		if ((due || slot->request.generation != pgh_settings_here()) &&
			still_due(index, &slot->request) &&
			!decides_again(index, watch, &slot->request, now))
			(void) pgh_request_recall_cancel(index, changecount);
		else if (due && goes_on)
			(void) pgh_request_repeat_cancel(index, changecount);
		watch->retry_at = Min(watch->retry_at, grace_ends);
	}
	else
		pgh_request_finish(slot, PGH_REQUEST_ACCEPTED, PGH_OUTCOME_SPARED);
}

void
pgh_reap(int index, PghWatch *watch, PghDecidesAgain decides_again,
		 TimestampTz now)
{
	PghSlot    *slot = &pgh_slots[index];
	PghRequestState state = pg_atomic_read_u32(&slot->request_state);

	if (state == PGH_REQUEST_SPARED)
		reap_spared(index, watch, decides_again, now);
	else if (state == PGH_REQUEST_DONE)
		pgh_request_finish(slot, PGH_REQUEST_DONE, PGH_OUTCOME_DONE);
	else if (state == PGH_REQUEST_ACCEPTED &&
			 slot->request.decision.action == PGH_ACTION_CANCEL)
		reap_cancel(index, watch, decides_again, now);
	else if (watch->retry_at != 0)
		(void) pgh_watch_retry(watch, now); /* not answered, or leaving */

	if (pg_atomic_read_u32(&slot->request_state) == PGH_REQUEST_FREE)
	{
		watch->asked = false;
		watch->retry_at = 0;
		watch->activity_changecount = PGH_NO_CHANGECOUNT;
	}
}
