/*-------------------------------------------------------------------------
 *
 * shared/request.c
 *	  The hand-over between the worker and a victim.
 *
 * Owns: PghSlot.request and request_state (the arrows are drawn beside
 * PghRequestState).  Must not: decide what is asked.
 *
 * Why the victim decides
 * ----------------------
 * Between the moment at which the worker reads a session's state and the
 * moment at which a signal arrives, the client may have sent its next
 * statement.  Whoever ends the session on what the worker saw ends honest
 * work.  So the signal only asks, and the handler, inside the victim, answers
 * from the victim's own state, which cannot change while the handler runs:
 *
 * - The state is still idle and began when the worker says it began.  A
 *	 session that worked in between has a newer state_start.
 * - The backend waits in ClientRead.  A backend that has received a statement
 *	 leaves ClientRead before it does anything with it, so one that is still
 *	 in there has not begun to execute.  (It reports "active" only a little
 *	 later; this is the window that a check of the state alone leaves open.)
 *
 * Then ProcDiePending is set, and from there it is core's own path: the wait
 * ends, or the read returns, and ProcessClientReadInterrupt() looks at
 * interrupts before the message is looked at.  A statement that arrives in
 * those microseconds was never begun.
 *
 * A transaction that is too old is told from the next one by its number.  From
 * the victim's answer to the moment at which PostgreSQL heeds it, the
 * transaction may come to its end.  So before it commits the answer is heeded,
 * while it commits none is given, and a cancel that is still there at its end
 * is withdrawn (see at_transaction_event() in session/hooks.c).  An end that is given
 * while the transaction rolls back is not withdrawn, since it cannot be told
 * from somebody else's SIGTERM.  It comes between two statements: core looks at
 * interrupts before it begins with the next one, so that nothing of another
 * transaction is lost.
 *
 * Why the signal reaches nobody else
 * ----------------------------------
 * A backend installs its handler before it claims a slot, and gives the slot
 * back under the lock of the slots before it exits.  The worker sends the signal
 * under the same lock after it has seen that the claim is still the one that
 * it read.  So the process exists and has the handler.  (A backend that was
 * killed gives nothing back, but then the postmaster restarts everything.)
 *
 *-------------------------------------------------------------------------
 */
#include "shared/request.h"

#include <signal.h>

#include "utils/timestamp.h"

#include "shared/leaks.h"
#include "shared/members.h"
#include "shared/rule_counters.h"
#include "shared/worker_state.h"

/* Under the lock: is this claim still there, with its request in "state"? */
static bool
may_signal(int index, uint32 changecount, PghRequestState state)
{
	return pgh_slot_is(index, changecount) &&
		pgh_slots[index].login.pid != 0 &&
		pg_atomic_read_u32(&pgh_slots[index].request_state) == state;
}

/* Under the lock: make the request visible, then ask. */
static void
signal_victim(PghSlot *slot)
{
	pg_write_barrier();
	pg_atomic_write_u32(&slot->request_state, PGH_REQUEST_PENDING);
	pg_memory_barrier();
	(void) kill(slot->login.pid, SIGUSR2);
}

bool
pgh_request_post(int index, uint32 changecount, const PghRequest *request)
{
	PghSlot    *slot = &pgh_slots[index];
	bool		ok;

	pgh_lock(&pgh_slots_part, LW_SHARED);
	ok = may_signal(index, changecount, PGH_REQUEST_FREE);
	if (ok)
	{
		slot->request = *request;
		signal_victim(slot);
	}
	pgh_unlock(&pgh_slots_part);
	return ok;
}

bool
pgh_request_repeat(int index, uint32 changecount)
{
	bool		ok;

	pgh_lock(&pgh_slots_part, LW_SHARED);
	ok = may_signal(index, changecount, PGH_REQUEST_SPARED);
	if (ok)
		signal_victim(&pgh_slots[index]);
	pgh_unlock(&pgh_slots_part);
	return ok;
}

bool
pgh_request_repeat_cancel(int index, uint32 changecount)
{
	PghSlot    *slot = &pgh_slots[index];
	uint32		expected = PGH_REQUEST_ACCEPTED;
	bool		ok;

	/* Unless it is being raised this moment. */
	pgh_lock(&pgh_slots_part, LW_SHARED);
	ok = may_signal(index, changecount, PGH_REQUEST_ACCEPTED) &&
		pg_atomic_compare_exchange_u32(&slot->request_state, &expected,
									   PGH_REQUEST_PENDING);
	if (ok)
		(void) kill(slot->login.pid, SIGUSR2);
	pgh_unlock(&pgh_slots_part);
	return ok;
}

/* Is this session as idle as the worker saw it? */
static bool
still_idle(const PghRequest *request)
{
	volatile PgBackendStatus *entry = MyBEEntry;
	BackendState state = entry->st_state;

	/* We may have interrupted ourselves in the middle of a change. */
	if (entry->st_changecount & 1)
		return false;
	return (state == STATE_IDLE ||
			state == STATE_IDLEINTRANSACTION ||
			state == STATE_IDLEINTRANSACTION_ABORTED) &&
		entry->st_state_start_timestamp == request->state_start &&
		*(volatile uint32 *) my_wait_event_info == WAIT_EVENT_CLIENT_READ;
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
	accepted = slot->request.must_be_idle ?
		still_idle(&slot->request) : same_transaction(&slot->request) && !committing;
	if (slot->request.decision.action == PGH_ACTION_CANCEL && !is_running())
		accepted = false;
	pg_atomic_write_u64(&slot->accepted_in,
						((volatile PgBackendStatus *) MyBEEntry)->st_state_start_timestamp);
	pg_write_barrier();
	pg_atomic_write_u32(&slot->request_state, accepted ?
						PGH_REQUEST_ACCEPTED : PGH_REQUEST_SPARED);
	if (!accepted)
		pgh_wake_worker();
	return accepted;
}

bool
pgh_request_accepted(PghSlot *slot)
{
	return pg_atomic_read_u32(&slot->request_state) == PGH_REQUEST_ACCEPTED;
}

bool
pgh_request_cancelling(PghSlot *slot)
{
	PghRequestState state = pg_atomic_read_u32(&slot->request_state);

	return slot->request.decision.action == PGH_ACTION_CANCEL &&
		(state == PGH_REQUEST_ACCEPTED || state == PGH_REQUEST_PENDING);
}

bool
pgh_request_cancel_done(PghSlot *slot)
{
	uint32		expected = pg_atomic_read_u32(&slot->request_state);

	/* The worker may be asking again just now. */
	while (expected == PGH_REQUEST_ACCEPTED || expected == PGH_REQUEST_PENDING)
	{
		if (pg_atomic_compare_exchange_u32(&slot->request_state, &expected,
										   PGH_REQUEST_DONE))
		{
			pgh_wake_worker();
			return true;
		}
	}
	return false;
}

void
pgh_request_withdraw_cancel(PghSlot *slot)
{
	uint32		expected = PGH_REQUEST_ACCEPTED;

	if (slot->request.decision.action == PGH_ACTION_CANCEL &&
		pg_atomic_compare_exchange_u32(&slot->request_state, &expected,
									   PGH_REQUEST_SPARED))
		pgh_wake_worker();
}

void
pgh_request_finish(PghSlot *slot, PghRequestState state, PghOutcome outcome)
{
	uint64		event_id = slot->request.event_id;
	PghAction	action = slot->request.decision.action;
	int			rule = slot->request.decision.rule;
	uint64		leak = slot->request.leak;
	uint32		expected = state;

	if (!pg_atomic_compare_exchange_u32(&slot->request_state, &expected,
										PGH_REQUEST_FREE))
		return;
	pgh_event_finish(event_id, outcome);
	pgh_member_count(slot, outcome == PGH_OUTCOME_DONE ?
					 pgh_counter_for(action) : PGH_COUNT_SPARED);
	if (outcome != PGH_OUTCOME_DONE)
		return;
	pgh_count_rule(rule, pgh_counter_for(action));
	if (leak != 0)
	{
		pgh_leak_ended(leak);
		pgh_member_lost(slot);
	}
}
