/*-------------------------------------------------------------------------
 *
 * worker/reap.c
 *	  What has become of the requests that were posted.
 *
 * Owns: when a request is closed, and when it is repeated.  Must not: decide
 * anew; what is asked was decided in worker/pass.c or worker/evict.c.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/reap.h"

#include "look/clock.h"
#include "shared/request.h"

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
		return session.facts.state != PGH_STATE_ACTIVE &&
			session.facts.state_start == request->state_start;
	return session.facts.state == PGH_STATE_ACTIVE &&
		session.facts.xact_start == request->xact_start &&
		session.lxid == request->lxid;
}

/*
 * A spared request: ask again if the session was only between two waits, else
 * let it go.  The event stays pending while the session may yet be ended.
 */
static void
reap_spared(int index, PghWatch *watch, TimestampTz now)
{
	PghSlot    *slot = &pgh_slots[index];

	if (!still_due(index, &slot->request))
	{
		/* A statement that was not cancelled has no grace to use up. */
		if (slot->request.decision.action == PGH_ACTION_CANCEL)
			pg_atomic_write_u64(&slot->cancelled_xact_start, 0);
		pgh_request_finish(slot, PGH_REQUEST_SPARED, PGH_OUTCOME_SPARED);
		return;
	}
	if (pgh_watch_retry(watch, now))
		(void) pgh_request_repeat(index, pg_atomic_read_u32(&slot->changecount));
}

/*
 * A cancel that was accepted but not raised: the transaction has ended
 * meanwhile, or the statement does not react (it may wait for its client)
 * until its grace is over.  Either way nothing was cancelled, and the session
 * is judged anew.
 *
 * Or it came just when what was running was over, and core ignored it.  So a
 * session that has gone on to something else is asked again.  While it is at the
 * same, it is not: it may be cleaning up.
 */
static void
reap_cancel(int index, PghWatch *watch, TimestampTz now)
{
	PghSlot    *slot = &pgh_slots[index];
	PghSession	session;
	TimestampTz grace_ends = 0;
	bool		goes_on = false;

	if (pgh_scan_session(index, &session) &&
		session.facts.xact_start == slot->request.xact_start)
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
		if (pgh_watch_retry(watch, now) && goes_on)
			(void) pgh_request_repeat_cancel(index, pg_atomic_read_u32(&slot->changecount));
		watch->retry_at = Min(watch->retry_at, grace_ends);
	}
	else
		pgh_request_finish(slot, PGH_REQUEST_ACCEPTED, PGH_OUTCOME_SPARED);
}

void
pgh_reap(int index, PghWatch *watch, TimestampTz now)
{
	PghSlot    *slot = &pgh_slots[index];
	PghRequestState state = pg_atomic_read_u32(&slot->request_state);

	if (state == PGH_REQUEST_SPARED)
		reap_spared(index, watch, now);
	else if (state == PGH_REQUEST_DONE)
		pgh_request_finish(slot, PGH_REQUEST_DONE, PGH_OUTCOME_DONE);
	else if (state == PGH_REQUEST_ACCEPTED &&
			 slot->request.decision.action == PGH_ACTION_CANCEL)
		reap_cancel(index, watch, now);
	else if (watch->retry_at != 0)
		(void) pgh_watch_retry(watch, now); /* not answered, or leaving */

	if (pg_atomic_read_u32(&slot->request_state) == PGH_REQUEST_FREE)
	{
		watch->asked = false;
		watch->retry_at = 0;
		watch->activity_changecount = PGH_NO_CHANGECOUNT;
	}
}
