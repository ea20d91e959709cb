/*-------------------------------------------------------------------------
 *
 * session/victim.c
 *	  A backend that is asked to end, to cancel its statement, or to roll back
 *	  its transaction.
 *
 * Owns: the SIGUSR2 handler, what it has set, and the message that core then
 * raises.  Must not: look at other sessions.
 *
 *-------------------------------------------------------------------------
 */
#include "session/victim.h"

#include <signal.h>

#include "storage/latch.h"
#include "utils/timestamp.h"

#include "look/describe.h"
#include "look/interrupt.h"
#include "message.h"
#include "session/answer.h"
#include "session/rollback.h"
#include "shared/rule_counters.h"

/* From the point of no return of a transaction to its end. */
static volatile sig_atomic_t committing = false;

/* This transaction's statement is to be cancelled, or was. */
static volatile sig_atomic_t cancelling = false;

/* ----------
 * The signal handler: nothing here but loads, stores and SetLatch().
 * ----------
 */

/*
 * Forget a cancel, unless core has begun to raise it.
 */
static void
take_back_cancel(PghSlot *slot)
{
	bool		in_time = cancelling && QueryCancelPending;

	if (in_time)
		cancelling = QueryCancelPending = false;
	pgh_request_answer_recall(slot, in_time);
}

static void
handle_request(SIGNAL_ARGS)
{
	int			save_errno = errno;
	PghSlot    *slot = pgh_my_slot;

	if (slot != NULL && pgh_request_recalled(slot))
		take_back_cancel(slot);
	else if (slot != NULL && pgh_request_answer(slot, committing))
	{
		switch ((PghAction) slot->request.decision.action)
		{
			case PGH_ACTION_ROLLBACK:
				pgh_interrupt_raise(pgh_roll_back);
				break;
			case PGH_ACTION_CANCEL:
				cancelling = QueryCancelPending = true;
				break;
			default:
				ProcDiePending = true;
				break;
		}
		InterruptPending = true;
		SetLatch(MyLatch);
	}
	errno = save_errno;
}

void
pgh_victim_install(void)
{
	pqsignal(SIGUSR2, handle_request);
}

/* ----------
 * The message
 * ----------
 */

/* Is this the message that core raises for what our handler set? */
static bool
is_our_message(const ErrorData *edata, PghSlot *slot)
{
	if (slot == NULL)
		return false;
	if (cancelling && pgh_request_cancelling(slot))
		return edata->elevel == ERROR &&
			edata->sqlerrcode == ERRCODE_QUERY_CANCELED &&
			edata->message_id != NULL &&
			strcmp(edata->message_id,
				   "canceling statement due to user request") == 0;
	return pgh_request_accepted(slot) && !pgh_request_is_rollback(slot) &&
		edata->elevel == FATAL &&
		edata->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN;
}

/*
 * Complete core's message.  The caller has switched to the context that the
 * message lives in; the old texts stay there until it is reset.
 */
static void
complete_message(ErrorData *edata, PghSlot *slot)
{
	const PghRequest *request = &slot->request;
	PghMessage	message;

	pgh_message_for_request(request, MyBEEntry->st_appname, slot->name,
							pgh_request_measure(request), &message);

	/* The worker may have given up waiting for the cancel just now. */
	if (request->decision.action == PGH_ACTION_CANCEL &&
		!pgh_request_cancel_done(slot))
		return;
	edata->sqlerrcode = message.sqlerrcode;
	edata->message = pstrdup(message.primary);
	edata->detail = pstrdup(message.detail);
	edata->hint = pstrdup(message.hint);
}

bool
pgh_victim_complete_message(ErrorData *edata)
{
	if (!is_our_message(edata, pgh_my_slot))
		return false;
	complete_message(edata, pgh_my_slot);

	/*
	 * Whoever hears that this session ends may connect again at once, and
	 * must not be refused because of it.
	 */
	if (edata->elevel == FATAL)
		pgh_rule_member_leave(pgh_my_proc_number());
	return true;
}

/* ----------
 * The end of a transaction, and of the session
 * ----------
 */

/*
 * The transaction is about to commit.  A request that was accepted is heeded
 * now or never; from here on none is.  Should this transaction wait for its
 * standby, a cancel would end the wait, not the transaction.
 */
void
pgh_victim_before_commit(PghSlot *slot)
{
	committing = true;
	if (slot != NULL && pgh_request_accepted(slot))
		CHECK_FOR_INTERRUPTS();
}

/*
 * A cancel that was not raised until the end of its transaction would hit the
 * next one.  Somebody else's that came in the same microseconds is forgotten
 * with it.  (One that was raised has been completed by emit_log(), unless
 * errors are not logged; then one that core ignored cannot be told from it.)
 */
static void
end_cancel(PghSlot *slot, bool aborted)
{
	bool		raised = aborted && !QueryCancelPending &&
		!pgh_errors_are_logged();

	cancelling = false;
	QueryCancelPending = false;
	if (raised)
		(void) pgh_request_cancel_done(slot);
	else
		pgh_request_withdraw_cancel(slot);
}

void
pgh_victim_after_transaction(PghSlot *slot, bool aborted)
{
	committing = false;
	if (slot != NULL && cancelling)
		end_cancel(slot, aborted);
}

/*
 * Nothing was recorded of one that was asked to leave, until it was sure that
 * it does.  It still is what it was then.
 */
void
pgh_victim_record(PghSlot *slot)
{
	PghSession	session;
	PghEvent	event;

	if (slot->request.leave == PGH_LEAVE_NONE || !pgh_request_accepted(slot) ||
		!pgh_scan_session(pgh_my_proc_number(), &session))
		return;
	memset(&event, 0, sizeof(event));
	event.decision = slot->request.decision;
	event.decision.measured = pgh_request_measure(&slot->request);
	event.outcome = PGH_OUTCOME_DONE;
	pgh_describe_session(&session, &event, GetCurrentTimestamp());
	(void) pgh_event_add(&event);
}

/*
 * An accepted one was carried out, whatever the last words on the wire were.  A
 * statement that was to be cancelled, or a transaction that was to be rolled
 * back, ended with its session.
 */
void
pgh_victim_finish(PghSlot *slot)
{
	PghAction	action = slot->request.decision.action;
	PghOutcome	accepted = action == PGH_ACTION_CANCEL ||
		action == PGH_ACTION_ROLLBACK ? PGH_OUTCOME_SPARED : PGH_OUTCOME_DONE;

	pgh_request_finish(slot, PGH_REQUEST_ACCEPTED, accepted);
	pgh_request_finish(slot, PGH_REQUEST_DONE, PGH_OUTCOME_DONE);
	pgh_request_finish(slot, PGH_REQUEST_PENDING, PGH_OUTCOME_SPARED);
	pgh_request_finish(slot, PGH_REQUEST_SPARED, PGH_OUTCOME_SPARED);
	pgh_request_finish(slot, PGH_REQUEST_RECALLED, PGH_OUTCOME_SPARED);
}
