/*-------------------------------------------------------------------------
 *
 * session/rollback.c
 *	  Rolling an idle transaction back while its connection stays.
 *
 * Owns: the abort, and what the statements that follow in its block are told.
 * Must not: send anything at the moment itself (the client does not read, so
 * it could block), or end a block that its client has not ended.
 *
 * The way of a request
 * --------------------
 * The worker asks as for an end: PENDING, SIGUSR2.  The handler answers
 * ACCEPTED if the session is as idle as it was seen and waits in ClientRead,
 * and has pgh_roll_back() called in the main context (look/interrupt.c).  That
 * looks once more and leaves DONE or SPARED.  In between
 *
 * - the client's next message may arrive.  The read that the backend waits in
 *	 looks at interrupts before it returns, so pgh_roll_back() is called before
 *	 anything is done with that message.  What still lies in the socket spares
 *	 the transaction.  What the read has just taken out of it cannot be seen:
 *	 that statement finds its transaction rolled back, as if it had come a few
 *	 microseconds later.  Either way none has begun.
 * - the session may end, by its client, a superuser or core's own timers.  All
 *	 of these come first, since core looks at them before; the request is
 *	 closed as spared at the exit.
 * - the worker does not ask again: it posts only where the state is FREE and
 *	 repeats only what was SPARED.  A second signal finds no PENDING request,
 *	 and the handler does nothing.
 * - the callback cannot be registered twice; see look/interrupt.c.
 *
 * The abort
 * ---------
 * It is done in place: the block is left as after an error in a statement, so
 * portals, prepared statements and the client's own state stay as each driver
 * knows them from any error.  Subtransactions go first, since aborting only
 * the innermost would keep the rest.  If it raises an error, which may be that
 * of another extension's callback, some of it has been done and some not, and
 * the session ends instead.  But core would repeat the abort at its exit, and
 * if that fails again, it leaves the locks behind that the transaction holds;
 * so it is repeated here, some times, until there is nothing left to fail.
 *
 * The reason
 * ----------
 * The statements that follow fail by core's own "current transaction is
 * aborted".  An error context callback at the bottom of the stack gives that
 * error our words.  Core empties the stack at each error, and the log hook puts
 * it back; where errors are not logged, only the first statement hears why.
 *
 * Core answers COMMIT of an aborted block by ROLLBACK, which is no error, and
 * most drivers report success.  So we raise one; and the block is over then, as
 * it would be without us, for a driver that was refused a COMMIT may not know
 * that it has to roll back.
 *
 *-------------------------------------------------------------------------
 */
#include "session/rollback.h"

#include <poll.h>

#include "access/xact.h"
#include "libpq/libpq-be.h"
#include "storage/latch.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/snapmgr.h"

#include "message.h"
#include "session/answer.h"
#include "shared/request.h"

bool		pgh_rolled_back = false;

/* What is told, and about which transaction: PghSlot.transactions then. */
static PghMessage reason;
static uint64 transaction;

/* ----------
 * The reason
 * ----------
 */

/*
 * Is this session still in the block whose transaction we rolled back?  None
 * has ended since.  In one that has begun since, no more than a subtransaction
 * can have failed.
 */
static bool
in_rolled_back_block(void)
{
	if (!pgh_rolled_back || pgh_my_slot == NULL)
		return false;
	if (IsAbortedTransactionBlockState() &&
		GetCurrentTransactionNestLevel() == 1 &&
		pg_atomic_read_u64(&pgh_my_slot->transactions) == transaction)
		return true;
	pgh_rolled_back = false;
	return false;
}

/* Give core's message for a statement in an aborted block our words. */
static void
explain(void *arg)
{
	if (geterrcode() != ERRCODE_IN_FAILED_SQL_TRANSACTION ||
		!in_rolled_back_block())
		return;
	errcode(reason.sqlerrcode);
	errmsg_internal("%s", reason.primary);
	errdetail_internal("%s", reason.detail);
	errhint("%s", reason.hint);
}

static ErrorContextCallback explanation = {.callback = explain};

/*
 * Lie at the bottom of the stack, where it stays until the next error.  It may
 * be there from an earlier rollback.
 */
static void
go_on_explaining(void)
{
	ErrorContextCallback *callback = error_context_stack;

	while (callback != NULL && callback != &explanation)
		callback = callback->previous;
	if (callback != NULL)
		return;
	explanation.previous = error_context_stack;
	error_context_stack = &explanation;
}

void
pgh_rollback_go_on_explaining(void)
{
	if (in_rolled_back_block())
		go_on_explaining();
}

static void
complain(bool of_commit)
{
	ereport(ERROR,
			(errcode(reason.sqlerrcode),
			 errmsg_internal("%s%s", of_commit ? "cannot commit: " : "",
							 reason.primary),
			 errdetail_internal("%s", reason.detail),
			 errhint("%s", reason.hint)));
}

void
pgh_rollback_check(const TransactionStmt *statement)
{
	if (!in_rolled_back_block())
		return;
	switch (statement->kind)
	{
		case TRANS_STMT_COMMIT:
		case TRANS_STMT_PREPARE:
			UserAbortTransactionBlock(false);
			complain(true);
			break;
		case TRANS_STMT_ROLLBACK_TO:
			complain(false);
			break;
		default:
			break;
	}
}

/* ----------
 * The abort
 * ----------
 */

/* How often an abort that fails is repeated before the session ends. */
#define PGH_REPEATED_ABORTS 3

/* Has nothing come from the client that lies in the socket? */
static bool
client_is_silent(void)
{
	struct pollfd socket = {.fd = MyProcPort->sock,.events = POLLIN};

	return poll(&socket, 1, 0) == 0;
}

/*
 * Does this session sit between two statements of a transaction block, part
 * of which is still to be rolled back?  Where core waits for its client's next
 * message all of this is so.
 */
static bool
may_roll_back(PghSlot *slot)
{
	return pgh_request_still_holds(slot) &&
		IsTransactionBlock() &&
		(!IsAbortedTransactionBlockState() ||
		 GetCurrentTransactionNestLevel() > 1) &&
		!IsInParallelMode() &&
		CritSectionCount == 0 &&
		ActivePortal == NULL &&
		debug_query_string == NULL &&
		!ActiveSnapshotSet() &&
		client_is_silent();
}

/*
 * What is said of it in the log.  The caller takes care that nothing of it goes
 * to the client.
 */
static void
log_reason(void)
{
	ereport(LOG,
			(errcode(reason.sqlerrcode),
			 errmsg_internal("%s", reason.primary),
			 errdetail_internal("%s", reason.detail),
			 errhint("%s", reason.hint)));
}

static void
abort_block(void)
{
	while (GetCurrentTransactionNestLevel() > 1)
		RollbackAndReleaseCurrentSubTransaction();
	AbortCurrentTransaction();
	log_reason();
}

/* After an error everything is as it was, but for the transaction itself. */
static bool
try_to_abort(void)
{
	CommandDest destination = whereToSendOutput;
	MemoryContext context = CurrentMemoryContext;
	uint32		holdoff = InterruptHoldoffCount;
	uint32		cancel_holdoff = QueryCancelHoldoffCount;
	volatile bool succeeded = true;

	whereToSendOutput = DestNone;
	PG_TRY();
	{
		abort_block();
	}
	PG_CATCH();
	{
		InterruptHoldoffCount = holdoff;
		QueryCancelHoldoffCount = cancel_holdoff;
		MemoryContextSwitchTo(context);
		EmitErrorReport();
		FlushErrorState();
		succeeded = false;
	}
	PG_END_TRY();
	whereToSendOutput = destination;
	MemoryContextSwitchTo(context);
	return succeeded;
}

/* The block is aborted: say so, wherever core would. */
static void
settle(PghSlot *slot)
{
	transaction = pg_atomic_read_u64(&slot->transactions);
	pgh_rolled_back = true;
	pg_atomic_write_u32(&slot->rolled_back_for, slot->request.decision.reason);
	pg_write_barrier();
	pg_atomic_write_u64(&slot->rolled_back_transaction, transaction);
	pgstat_report_activity(STATE_IDLEINTRANSACTION_ABORTED, NULL);
	set_ps_display("idle in transaction (aborted)");
	go_on_explaining();
	pgh_request_rolled_back(slot, true);
}

static void
end_instead(PghSlot *slot)
{
	for (int i = 0; i < PGH_REPEATED_ABORTS && !try_to_abort(); i++)
		;
	pgh_request_end_instead(slot);
	ProcDiePending = true;
	InterruptPending = true;
}

/*
 * The name is taken before the abort, which takes back a name that was set in
 * the transaction.  The latch is set at the end, since whoever was called back
 * may have taken a wake-up that was not theirs.
 */
void
pgh_roll_back(void)
{
	PghSlot    *slot = pgh_my_slot;

	if (slot == NULL || !pgh_request_is_rollback(slot))
		return;
	if (!may_roll_back(slot))
	{
		pgh_request_rolled_back(slot, false);
		return;
	}
	pgh_message_for_request(&slot->request, MyBEEntry->st_appname,
							slot->name,
							pgh_request_measure(&slot->request), &reason);
	if (try_to_abort())
		settle(slot);
	else
		end_instead(slot);
	SetLatch(MyLatch);
}
