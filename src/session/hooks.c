/*-------------------------------------------------------------------------
 *
 * session/hooks.c
 *	  What the extension does inside a client backend.
 *
 * Owns: the authentication hook (claim a slot), the exit callback (give it
 * back), the transaction callback (count), the SIGUSR2 handler (the victim's
 * own decision), and the log hook (say why).  Must not: look at other
 * sessions.
 *
 *-------------------------------------------------------------------------
 */
#include "session/hooks.h"

#include <signal.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "libpq/auth.h"
#include "libpq/libpq-be.h"
#include "replication/walsender.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "session/admission.h"
#include "shared/applications.h"
#include "look/interrupt.h"
#include "session/listen.h"
#include "message.h"
#include "shared/request.h"
#include "session/rollback.h"
#include "session/tell.h"

static ClientAuthentication_hook_type prev_client_authentication = NULL;
static emit_log_hook_type prev_emit_log = NULL;

/*
 * Transactions of this session that ended.  The first one that ends is the
 * start-up's own, which no client asked for.
 */
static int64 transactions_ended = -1;

/*
 * Whom this session's transactions count for, and where the name lies that
 * said so: a name that is set anew lies elsewhere.
 */
static uint32 working_for = PGH_NO_APPLICATION;
static const char *working_name = NULL;

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
		switch ((PghAction) slot->request.action)
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

	pgh_message_for_request(request, MyBEEntry->st_appname,
							pgh_request_measure(request), &message);

	/* The worker may have given up waiting for the cancel just now. */
	if (request->action == PGH_ACTION_CANCEL &&
		!pgh_request_cancel_done(slot))
		return;
	edata->sqlerrcode = message.sqlerrcode;
	edata->message = pstrdup(message.primary);
	edata->detail = pstrdup(message.detail);
	edata->hint = pstrdup(message.hint);
}

/*
 * A connection that core itself refuses.  Raised in a process that may have
 * no PGPROC, so nothing but an atomic may be touched.
 */
static bool
is_server_refusal(const ErrorData *edata)
{
	return edata->elevel == FATAL &&
		edata->sqlerrcode == ERRCODE_TOO_MANY_CONNECTIONS &&
		MyProcPort != NULL;
}

static void
emit_log(ErrorData *edata)
{
	static bool busy = false;
	bool		quiet;

	if (prev_emit_log)
		prev_emit_log(edata);
	if (busy || pgh_shared == NULL || edata->elevel < ERROR)
		return;
	busy = true;
	if (edata->elevel == ERROR)
		pgh_rollback_go_on_explaining();
	if (pgh_refusing(&quiet))
		edata->output_to_server &= !quiet;
	else if (is_our_message(edata, pgh_my_slot))
		complete_message(edata, pgh_my_slot);
	else if (is_server_refusal(edata))
		pg_atomic_fetch_add_u64(&pgh_shared->refused_by_server, 1);
	busy = false;
}

/* ----------
 * Login, transactions, exit
 * ----------
 */

/*
 * The application name was set: a pooler does so whenever it gives the session
 * to another client, so that what is counted must follow.  The transaction
 * that set it is the new one's.  A name that lies by chance where the last one
 * lay is left to the worker, which looks at the text.
 */
static void
follow_name(PghSlot *slot)
{
	char		name[PGH_NAME_LEN];
	uint32		index;
	uint64		earlier = Max(transactions_ended - 1, 0);

	working_name = application_name;
	strlcpy(name, MyBEEntry->st_appname, sizeof(name));
	name[pgh_application_length(name)] = '\0';
	index = pgh_rename_session(slot, pg_atomic_read_u32(&slot->application),
							   name);
	if (index == working_for)
		return;
	if (working_for != PGH_NO_APPLICATION && transactions_ended > 0)
	{
		pgh_application_credit(working_for, pgh_slot_credit(slot, earlier));
		pg_atomic_write_u32(&slot->renames,
							pg_atomic_read_u32(&slot->renames) + 1);
	}
	working_for = index;
}

/*
 * The transaction is about to commit.  A request that was accepted is heeded
 * now or never; from here on none is.  Should this transaction wait for its
 * standby, a cancel would end the wait, not the transaction.
 */
static void
before_commit(PghSlot *slot)
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

/* How a transaction that fails is known while its block goes on. */
static void
note_failure(PghSlot *slot)
{
	pg_atomic_write_u64(&slot->failed_xact_start,
						GetCurrentTransactionStartTimestamp());
	pg_write_barrier();
	pg_atomic_write_u64(&slot->failed_transaction, transactions_ended);
}

/*
 * Called before every commit and at every transaction's end.  A store into a
 * cache line that only this backend writes; no lock, nothing that can fail
 * once the transaction has ended.  (A lock is taken when the application name
 * was set.)
 */
static void
at_transaction_event(XactEvent event, void *arg)
{
	PghSlot    *slot = pgh_my_slot;

	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		before_commit(slot);
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	committing = false;
	if (slot != NULL)
	{
		pg_atomic_write_u64(&slot->transactions, ++transactions_ended);
		if (event == XACT_EVENT_ABORT)
			note_failure(slot);
		if (cancelling)
			end_cancel(slot, event == XACT_EVENT_ABORT);
		if (unlikely(application_name != working_name) &&
			event == XACT_EVENT_COMMIT)
			follow_name(slot);
		if (unlikely(transactions_ended == 0) && event == XACT_EVENT_COMMIT)
			pgh_tell_newcomer(slot);
	}
	if (pgh_listen_pending())
		pgh_listen_end(event == XACT_EVENT_COMMIT);
}

/*
 * Record how a request ended that was still open when the session did.  An
 * accepted one was carried out, whatever the last words on the wire were.  A
 * statement that was to be cancelled, or a transaction that was to be rolled
 * back, ended with its session.
 */
static void
finish_request(PghSlot *slot, uint32 application)
{
	PghAction	action = slot->request.action;
	PghOutcome	accepted = action == PGH_ACTION_CANCEL ||
		action == PGH_ACTION_ROLLBACK ? PGH_OUTCOME_SPARED : PGH_OUTCOME_DONE;

	pgh_request_finish(slot, PGH_REQUEST_ACCEPTED, accepted, application);
	pgh_request_finish(slot, PGH_REQUEST_DONE, PGH_OUTCOME_DONE, application);
	pgh_request_finish(slot, PGH_REQUEST_PENDING, PGH_OUTCOME_SPARED,
					   application);
	pgh_request_finish(slot, PGH_REQUEST_SPARED, PGH_OUTCOME_SPARED,
					   application);
}

/*
 * before_shmem_exit callback.  After a crash of some backend it is not run;
 * shared memory is then made anew.
 */
static void
end_session(int code, Datum arg)
{
	PghSlot    *slot = pgh_my_slot;
	TimestampTz login_at;
	int64		transactions;
	int64		credited;
	uint32		application;

	if (slot == NULL)
		return;

	/* One that is rolled back with the session is not announced any more. */
	transactions = Max(transactions_ended, 0) +
		(transactions_ended >= 0 && IsTransactionState());
	login_at = slot->login_at;
	credited = pg_atomic_read_u64(&slot->credited);
	application = pgh_slot_release();
	finish_request(slot, application);
	if (application != PGH_NO_APPLICATION)
		pgh_application_end(application,
							transactions - Min(credited, transactions),
							Max(GetCurrentTimestamp() - login_at, 0));
}

/*
 * Who logs in: the role's oid and whether it is a superuser.  A transaction
 * is open here, and core is about to look the same row up.
 */
static void
look_up_role(const char *name, Oid *roleid, bool *superuser)
{
	HeapTuple	tuple = SearchSysCache1(AUTHNAME, PointerGetDatum(name));

	*roleid = InvalidOid;
	*superuser = false;
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_authid role = (Form_pg_authid) GETSTRUCT(tuple);

		*roleid = role->oid;
		*superuser = role->rolsuper;
		ReleaseSysCache(tuple);
	}
}

static void
identify(const Port *port, PghIdentity *who)
{
	memset(who, 0, sizeof(*who));
	if (port->application_name)
	{
		strlcpy(who->application, port->application_name, PGH_NAME_LEN);
		who->application[pgh_application_length(who->application)] = '\0';
	}
	strlcpy(who->user, port->user_name, PGH_NAME_LEN);
	strlcpy(who->database, port->database_name, PGH_NAME_LEN);
	who->address = pgh_address_from_socket(&port->raddr);
}

/*
 * A client has proved who it is.  The exit callback and the handler are there
 * before the slot is claimed, so no count is ever lost and no signal ever
 * finds this process without a handler.
 */
static void
begin_session(const Port *port)
{
	PghIdentity who;
	Oid			roleid;
	bool		superuser;

	identify(port, &who);
	look_up_role(port->user_name, &roleid, &superuser);
	before_shmem_exit(end_session, (Datum) 0);
	RegisterXactCallback(at_transaction_event, NULL);
	pqsignal(SIGUSR2, handle_request);
	pgh_admit_session(&who, roleid, superuser);
	if (pgh_my_slot != NULL)
		working_for = pg_atomic_read_u32(&pgh_my_slot->application);

	/* The slot must be seen by a worker that goes to sleep now. */
	pg_memory_barrier();
	if (pg_atomic_read_u32(&pgh_shared->dozing) != 0)
		pgh_wake_worker();
}

static void
client_authentication(Port *port, int status)
{
	if (prev_client_authentication)
		prev_client_authentication(port, status);

	/* Walsenders use SIGUSR2 themselves, and are nobody's leak. */
	if (status == STATUS_OK && pgh_shared != NULL && !am_walsender &&
		!IsBinaryUpgrade)
		begin_session(port);
}

void
pgh_session_install(void)
{
	prev_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = client_authentication;
	prev_emit_log = emit_log_hook;
	emit_log_hook = emit_log;
	pgh_listen_install();
}
