/*-------------------------------------------------------------------------
 *
 * session/answer.c
 *	  Whether a backend is still what the worker saw when it asked.
 *
 * Owns: the victim's answer.  Must not: wait, lock, allocate or raise an
 * error: it runs in the signal handler.  The argument why the victim decides
 * is at the top of shared/request.c.
 *
 *-------------------------------------------------------------------------
 */
#include "session/answer.h"

#include "access/xact.h"
#include "libpq/libpq.h"
#include "utils/timestamp.h"

#include "look/wire.h"
#include "shared/settings.h"
#include "shared/worker_state.h"

/*
 * Has its client begun to talk since it was idle?  See shared/request.c.  A
 * transaction outside of a block may also be core's own, which looks at
 * notifications.
 */
static bool
is_talking(PghSlot *slot, const volatile PgBackendStatus *entry)
{
	if (GetCurrentStatementStartTimestamp() > entry->st_state_start_timestamp ||
		pq_is_send_pending())
	{
		pg_atomic_write_u64(&slot->talking_in, entry->st_state_start_timestamp);
		return true;
	}
	return entry->st_state == STATE_IDLE &&
		pgh_proc_lxid(MyProc) != InvalidLocalTransactionId;
}

/* Do the settings hold by which it was decided? */
static bool
is_current(const PghRequest *request)
{
	return request->generation == pgh_settings_now();
}

/* Is this session idle, and since the moment that the worker saw? */
static bool
idle_as_seen(PghSlot *slot)
{
	const PghRequest *request = &slot->request;
	volatile PgBackendStatus *entry = MyBEEntry;
	BackendState state = entry->st_state;

	/* We may have interrupted ourselves in the middle of a change. */
	if (entry->st_changecount & 1)
		return false;
	return (state == STATE_IDLE ||
			state == STATE_IDLEINTRANSACTION ||
			state == STATE_IDLEINTRANSACTION_ABORTED) &&
		entry->st_state_start_timestamp == request->state_start &&
		!is_talking(slot, entry);
}

/* And has it not left its wait for the client either? */
static bool
still_idle(PghSlot *slot)
{
	return *(volatile uint32 *) my_wait_event_info == WAIT_EVENT_CLIENT_READ &&
		idle_as_seen(slot);
}

/*
 * Does this session idle outside of a transaction, with nothing begun?  Where
 * track_activities is off core says nothing of its state.
 */
static bool
between_transactions(PghSlot *slot)
{
	volatile PgBackendStatus *entry = MyBEEntry;

	if ((entry->st_changecount & 1) != 0 ||
		*(volatile uint32 *) my_wait_event_info != WAIT_EVENT_CLIENT_READ ||
		IsTransactionOrTransactionBlock() || pq_is_send_pending())
		return false;
	return entry->st_state == STATE_DISABLED ||
		(entry->st_state == STATE_IDLE && !is_talking(slot, entry));
}

/* Is it idle on purpose, by what it waits for or holds? */
static bool
is_bound(PghSlot *slot)
{
	return pg_atomic_read_u32(&slot->on_purpose) != 0 ||
		pgh_proc_has_locks(MyProc);
}

static bool
may_leave(PghSlot *slot)
{
	switch ((PghLeave) slot->request.leave)
	{
		case PGH_LEAVE_AT_ONCE:
			return true;
		case PGH_LEAVE_BETWEEN:
			return between_transactions(slot);
		case PGH_LEAVE_UNBOUND:
			return between_transactions(slot) && !is_bound(slot);
		default:
			return false;
	}
}

/*
 * Is this session still in the transaction that the worker saw?  All that come
 * in one message begin at the same time, so its number must be the same, too.
 * That is taken away before the end of the transaction is announced to
 * at_transaction_event() in session/hooks.c.
 */
static bool
same_transaction(const PghRequest *request)
{
	volatile PgBackendStatus *entry = MyBEEntry;

	return (entry->st_changecount & 1) == 0 &&
		request->xact_start != 0 &&
		entry->st_xact_start_timestamp == request->xact_start &&
		request->lxid != InvalidLocalTransactionId &&
		pgh_proc_lxid(MyProc) == request->lxid;
}

/*
 * Would core heed at once what is accepted now?  What waits until somebody has
 * done with something waits while settings may change.  While a backend sends
 * to a client that does not read, core ends it, but does not cancel.
 */
static bool
is_heeded(const PghRequest *request)
{
	if (InterruptHoldoffCount != 0 || CritSectionCount != 0)
		return false;
	return request->decision.action != PGH_ACTION_CANCEL ||
		*(volatile uint32 *) my_wait_event_info != WAIT_EVENT_CLIENT_WRITE;
}

/*
 * Is there a statement to cancel?  Between the messages of one that comes in
 * several the state says so too, but core ignores a cancel while it reads one;
 * see reap_cancel() in worker/pass.c.
 */
static bool
is_running(void)
{
	BackendState state = ((volatile PgBackendStatus *) MyBEEntry)->st_state;

	return state == STATE_RUNNING || state == STATE_FASTPATH;
}

/*
 * Does this statement still wait for its client, and has nothing moved since
 * the worker looked?
 */
static bool
still_stalled(PghSlot *slot)
{
	const PghRequest *request = &slot->request;
	volatile PgBackendStatus *entry = MyBEEntry;

	return (entry->st_changecount & 1) == 0 && is_running() &&
		entry->st_state_start_timestamp == request->state_start &&
		pgh_wire_is_still(pg_atomic_read_u32(&slot->wire_id), request->still);
}

/*
 * Is this what the worker saw, or what it waits for?  A drain does not rest on
 * settings.
 */
static bool
is_met(PghSlot *slot, bool committing)
{
	const PghRequest *request = &slot->request;

	if (request->decision.reason == PGH_LIMIT_DRAIN)
		return may_leave(slot);
	if (!is_current(request))
		return false;
	if (request->leave != PGH_LEAVE_NONE)
		return may_leave(slot);
	if (request->decision.action == PGH_ACTION_CANCEL && !is_running())
		return false;
	if (!is_heeded(request))
		return false;
	if (request->decision.reason == PGH_LIMIT_CLIENT_STALL)
		return still_stalled(slot);
	return (request->must_be_idle ? still_idle(slot) :
			same_transaction(request) && !committing);
}

/*
 * Only a pending request asks something.  One that was accepted is final: a
 * further signal while the backend exits must not take its reason away.
 */
bool
pgh_request_answer(PghSlot *slot, bool committing)
{
	bool		accepted;

	if (pg_atomic_read_u32(&slot->request_state) != PGH_REQUEST_PENDING)
		return false;
	pg_read_barrier();
	accepted = is_met(slot, committing);
	pg_atomic_write_u64(&slot->accepted_in,
						((volatile PgBackendStatus *)
						 MyBEEntry)->st_state_start_timestamp);
	pg_write_barrier();
	pg_atomic_write_u32(&slot->request_state, accepted ?
						PGH_REQUEST_ACCEPTED : PGH_REQUEST_SPARED);

	/* Whoever is to leave is asked again at its time. */
	if (!accepted && slot->request.leave == PGH_LEAVE_NONE)
		pgh_wake_worker();
	return accepted;
}

bool
pgh_request_still_holds(PghSlot *slot)
{
	return is_current(&slot->request) && idle_as_seen(slot);
}
