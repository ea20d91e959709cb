/*-------------------------------------------------------------------------
 *
 * shared/request.c
 *	  The hand-over between the worker and a victim.
 *
 * Owns: PghSlot.request and request_state (the arrows are drawn beside
 * PghRequestState).  Must not: decide what is asked, or look at what a victim
 * does; that is for shared/answer.c.
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
 * - Its client has not begun to talk.  Parse, Bind, Execute, a simple query and
 *	 a function call report "active", and Sync ends the exchange and reports
 *	 the state anew.  Describe and Close do neither: the state stays the idle
 *	 one, although an exchange has begun that only a Sync can end.  A Describe
 *	 moves the start of the statement, which otherwise is earlier than the
 *	 state's, and outside of a block it opens a transaction; the answer to a
 *	 Close waits in the send buffer, which is empty when a session idles.
 *	 What is left is a Flush as the first message, and with it a Close that was
 *	 answered: they leave no trace, and nothing is lost with them, since they
 *	 asked for nothing that is not done.
 *
 * Only the session itself sees the last of these, and the worker's view of it
 * may be wrong from the first such message to the Sync.  So the victim says so
 * when it is asked (talking_in), and is not asked again in this spell.
 *
 * Then ProcDiePending is set, and from there it is core's own path: the wait
 * ends, or the read returns, and ProcessClientReadInterrupt() looks at
 * interrupts before the message is looked at.  A statement that arrives in
 * those microseconds was never begun.
 *
 * Why settings that hold no more end nobody
 * -----------------------------------------
 * A request is a lease: it holds as long as the settings by which it was
 * decided.  The postmaster raises their generation as it reads them, before any
 * other process learns of it, and the handler accepts nothing that is of an
 * older one.  Before the worker asks again it decides again, by the settings,
 * waiters and free slots of that moment.  And nothing is accepted that core
 * would only heed later, except for
 *
 * - an end, where core does not look for interrupts while it computes; it dies
 *	 at the next look,
 * - a cancel that is accepted just before the backend has to wait for its
 *	 client to read: the worker takes it back (RECALLED).  Somebody else's that
 *	 came in the meantime is forgotten with it.
 *
 * A session that is to leave between two transactions (PghLeave) is asked
 * without the first of these: any idle moment will do, so that one that is
 * never idle for long can be met at all.  What holds of the moment is the same.
 * The backend waits in ClientRead, in state idle, and its transaction state is
 * the one outside of any, so that there is nothing to break.  What it has
 * answered was handed to the kernel before it began to wait: nothing waits in
 * its send buffer.  So no acknowledgement is lost, and what the client has sent
 * meanwhile is not looked at: a statement that gets this FATAL for an answer
 * has not run.
 *
 * Transactions
 * ------------
 * A transaction that is too old is told from the next one by its number.  From
 * the victim's answer to the moment at which PostgreSQL heeds it, the
 * transaction may come to its end.  So before it commits the answer is heeded,
 * while it commits none is given, and a cancel that is still there at its end
 * is withdrawn (see at_transaction_event() in session/hooks.c).  An end that is
 * given while the transaction rolls back is not withdrawn, since it cannot be
 * told from somebody else's SIGTERM.  It comes between two statements: core
 * looks at interrupts before it begins with the next one, so that nothing of
 * another transaction is lost.
 *
 * Why the signal reaches nobody else
 * ----------------------------------
 * A backend installs its handler before it claims a slot, and gives the slot
 * back under the lock of the slots before it exits.  The worker sends the
 * signal under the same lock after it has seen that the claim is still the one
 * that it read.  So the process exists and has the handler.  (A backend that
 * was killed gives nothing back, but then the postmaster restarts everything.)
 *
 *-------------------------------------------------------------------------
 */
#include "shared/request.h"

#include <signal.h>

#include "utils/timestamp.h"

#include "pure/limits.h"
#include "shared/leaks.h"
#include "shared/members.h"
#include "shared/rule_counters.h"
#include "shared/settings.h"
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
	{
		pgh_slots[index].request.generation = pgh_settings_here();
		signal_victim(&pgh_slots[index]);
	}
	pgh_unlock(&pgh_slots_part);
	return ok;
}

/* Say something about an accepted cancel, unless it is raised this moment. */
static bool
signal_cancel(int index, uint32 changecount, PghRequestState state)
{
	PghSlot    *slot = &pgh_slots[index];
	uint32		expected = PGH_REQUEST_ACCEPTED;
	bool		ok;

	pgh_lock(&pgh_slots_part, LW_SHARED);
	ok = may_signal(index, changecount, PGH_REQUEST_ACCEPTED) &&
		pg_atomic_compare_exchange_u32(&slot->request_state, &expected, state);
	if (ok)
		(void) kill(slot->login.pid, SIGUSR2);
	pgh_unlock(&pgh_slots_part);
	return ok;
}

bool
pgh_request_repeat_cancel(int index, uint32 changecount)
{
	pgh_slots[index].request.generation = pgh_settings_here();
	return signal_cancel(index, changecount, PGH_REQUEST_PENDING);
}

bool
pgh_request_recall_cancel(int index, uint32 changecount)
{
	return signal_cancel(index, changecount, PGH_REQUEST_RECALLED);
}

bool
pgh_request_recalled(PghSlot *slot)
{
	return pg_atomic_read_u32(&slot->request_state) == PGH_REQUEST_RECALLED;
}

void
pgh_request_answer_recall(PghSlot *slot, bool in_time)
{
	uint32		expected = PGH_REQUEST_RECALLED;

	if (pg_atomic_compare_exchange_u32(&slot->request_state, &expected,
									   in_time ? PGH_REQUEST_SPARED :
									   PGH_REQUEST_ACCEPTED))
		pgh_wake_worker();
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
		(state == PGH_REQUEST_ACCEPTED || state == PGH_REQUEST_PENDING ||
		 state == PGH_REQUEST_RECALLED);
}

bool
pgh_request_cancel_done(PghSlot *slot)
{
	uint32		expected = pg_atomic_read_u32(&slot->request_state);

	/* The worker may be asking again just now, or taking it back too late. */
	while (expected == PGH_REQUEST_ACCEPTED ||
		   expected == PGH_REQUEST_PENDING || expected == PGH_REQUEST_RECALLED)
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
	uint32		expected = pg_atomic_read_u32(&slot->request_state);

	if (slot->request.decision.action != PGH_ACTION_CANCEL)
		return;
	while (expected == PGH_REQUEST_ACCEPTED || expected == PGH_REQUEST_RECALLED)
	{
		if (pg_atomic_compare_exchange_u32(&slot->request_state, &expected,
										   PGH_REQUEST_SPARED))
		{
			pgh_wake_worker();
			return;
		}
	}
}

bool
pgh_request_is_rollback(PghSlot *slot)
{
	return pgh_request_accepted(slot) &&
		slot->request.decision.action == PGH_ACTION_ROLLBACK;
}

void
pgh_request_rolled_back(PghSlot *slot, bool done)
{
	uint32		expected = PGH_REQUEST_ACCEPTED;

	if (pg_atomic_compare_exchange_u32(&slot->request_state, &expected,
									   done ? PGH_REQUEST_DONE :
									   PGH_REQUEST_SPARED))
		pgh_wake_worker();
}

void
pgh_request_end_instead(PghSlot *slot)
{
	slot->request.decision.action = PGH_ACTION_TERMINATE;
}

int64
pgh_request_measure(const PghRequest *request)
{
	if (pgh_limit_unit(request->decision.reason) == PGH_UNIT_XIDS)
		return request->decision.measured;
	return request->decision.measured +
		Max(GetCurrentTimestamp() - request->measured_at, 0);
}

void
pgh_request_finish(PghSlot *slot, PghRequestState state, PghOutcome outcome)
{
	uint64		event_id = slot->request.event_id;
	PghAction	action = slot->request.decision.action;
	int			rule = slot->request.decision.rule;
	uint64		leak = slot->request.leak;
	int64		paused = slot->request.measured_at - slot->request.state_start;
	bool		leave = slot->request.leave != PGH_LEAVE_NONE;
	uint32		expected = state;

	if (!pg_atomic_compare_exchange_u32(&slot->request_state, &expected,
										PGH_REQUEST_FREE))
		return;

	/* One that is to leave and has not will be asked again. */
	if (leave && outcome != PGH_OUTCOME_DONE)
		return;
	if (!leave)
		pgh_event_finish(event_id, action, outcome);
	pgh_member_count(slot, outcome == PGH_OUTCOME_DONE ?
					 pgh_counter_for(action) : PGH_COUNT_SPARED);
	if (outcome != PGH_OUTCOME_DONE)
		return;
	pgh_count_rule(rule, pgh_counter_for(action));
	if (leak != 0)
	{
		pgh_leak_ended(leak, paused, action == PGH_ACTION_ROLLBACK);
		if (action != PGH_ACTION_ROLLBACK)
			pgh_member_lost(slot);
	}
}
