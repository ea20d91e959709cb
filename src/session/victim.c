/*-------------------------------------------------------------------------
 *
 * session/victim.c
 *	  A backend that is asked to end, or to cancel its statement.
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

#include "message.h"
#include "pure/limits.h"

/* From the point of no return of a transaction to its end. */
static volatile sig_atomic_t committing = false;

/* This transaction's statement is to be cancelled, or was. */
static volatile sig_atomic_t cancelling = false;

/* ----------
 * The signal handler: nothing here but loads, stores and SetLatch().
 * ----------
 */

static void
handle_request(SIGNAL_ARGS)
{
	int			save_errno = errno;
	PghSlot    *slot = pgh_my_slot;

	if (slot != NULL && pgh_request_answer(slot, committing))
	{
		if (slot->request.decision.action == PGH_ACTION_CANCEL)
			cancelling = QueryCancelPending = true;
		else
			ProcDiePending = true;
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
	return pgh_request_accepted(slot) && edata->elevel == FATAL &&
		edata->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN;
}

/* What the session has reached by now, in the unit of its limit. */
static int64
measure_now(const PghRequest *request)
{
	if (pgh_limit_unit(request->decision.reason) == PGH_UNIT_XIDS)
		return request->decision.measured;
	return request->decision.measured +
		Max(GetCurrentTimestamp() - request->measured_at, 0);
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
							measure_now(request), &message);

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
 * An accepted one was carried out, whatever the last words on the wire were.  A
 * statement that was to be cancelled ended with its session.
 */
void
pgh_victim_finish(PghSlot *slot)
{
	PghOutcome	accepted = slot->request.decision.action == PGH_ACTION_CANCEL ?
		PGH_OUTCOME_SPARED : PGH_OUTCOME_DONE;

	pgh_request_finish(slot, PGH_REQUEST_ACCEPTED, accepted);
	pgh_request_finish(slot, PGH_REQUEST_DONE, PGH_OUTCOME_DONE);
	pgh_request_finish(slot, PGH_REQUEST_PENDING, PGH_OUTCOME_SPARED);
	pgh_request_finish(slot, PGH_REQUEST_SPARED, PGH_OUTCOME_SPARED);
}
