/*-------------------------------------------------------------------------
 *
 * session/hooks.c
 *	  What the extension does inside a client backend.
 *
 * Owns: the authentication hook (claim a slot), the exit callback (give it
 * back), the transaction callback (count), and the log hook (say why).  Must
 * not: look at other sessions.
 *
 *-------------------------------------------------------------------------
 */
#include "session/hooks.h"

#include <sys/socket.h>
#include <netinet/in.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "libpq/auth.h"
#include "libpq/libpq-be.h"
#include "pgstat.h"
#include "replication/walsender.h"
#include "storage/ipc.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "look/wire.h"
#include "session/admission.h"
#include "session/listen.h"
#include "session/name.h"
#include "session/refusal.h"
#include "session/rollback.h"
#include "session/tell.h"
#include "session/victim.h"
#include "shared/members.h"
#include "shared/rule_counters.h"
#include "shared/settings.h"
#include "shared/worker_state.h"

static ClientAuthentication_hook_type prev_client_authentication = NULL;
static emit_log_hook_type prev_emit_log = NULL;

/*
 * Transactions of this session that ended.  The first one that ends is the
 * start-up's own, which no client asked for.
 */
static int64 transactions_ended = -1;

/*
 * One that has ended so many under its name is no newcomer; while slots are
 * short, a session so old.
 */
#define PGH_ESTABLISHING_TRANSACTIONS 3
#define PGH_ESTABLISHING_AGE USECS_PER_SEC
static int64 established_at = PGH_ESTABLISHING_TRANSACTIONS;

/* ----------
 * The message
 * ----------
 */

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

/*
 * Somebody tried ALTER ROLE ... SET, SET or PGOPTIONS with one of our settings:
 * core only says that it cannot be changed now.
 */
static void
complete_setting_error(ErrorData *edata)
{
	if (edata->elevel >= ERROR && edata->hint == NULL &&
		edata->sqlerrcode == ERRCODE_CANT_CHANGE_RUNTIME_PARAM &&
		edata->message != NULL &&
		strstr(edata->message, "\"pg_hygiene.") != NULL)
		edata->hint = pstrdup("Settings of pg_hygiene belong to the whole server: use ALTER SYSTEM SET and SELECT pg_reload_conf(). What one role, database or application needs is a rule in pg_hygiene.rules.");
}

static void
emit_log(ErrorData *edata)
{
	static bool busy = false;

	if (prev_emit_log)
		prev_emit_log(edata);
	if (busy || !pgh_attached || edata->elevel < ERROR)
		return;
	busy = true;
	if (edata->elevel == ERROR)
		pgh_rollback_go_on_explaining();
	complete_setting_error(edata);
	if (!pgh_refusal_complete_message(edata) &&
		!pgh_victim_complete_message(edata) && is_server_refusal(edata))
		pg_atomic_fetch_add_u64(&pgh_totals->refused_by_server, 1);
	busy = false;
}

/* ----------
 * Login, transactions, exit
 * ----------
 */

/*
 * The application name was set: a pooler does so whenever it gives the session
 * to another client, and a tracer with each statement.  The counters must
 * follow, and what may not have the name is ended.  The transaction that set
 * it counts for the new name.
 */
static void
follow_name(PghSlot *slot)
{
	if (!pgh_name_follow(slot, Max(transactions_ended - 1, 0)))
		return;
	established_at = Max(transactions_ended, 1) +
		PGH_ESTABLISHING_TRANSACTIONS - 1;
	if (transactions_ended > 0)
		pg_atomic_write_u32(&slot->renames,
							pg_atomic_read_u32(&slot->renames) + 1);
}

/*
 * Remember when a transaction ended: another one of the same message is not
 * older than that.  (Core notes when a commit began that waits for a disk or
 * a standby, which may be long before.)
 */
static void
note_end(PghSlot *slot, TimestampTz xact_start)
{
	pg_atomic_uint64 *since = &pgh_worker_state->timing_since;
	bool		timing = pg_atomic_read_u64(since) != 0;

	pg_atomic_write_u64(&slot->ended_at,
						unlikely(timing) ? GetCurrentTimestamp() : 0);
	pg_write_barrier();
	pg_atomic_write_u64(&slot->ended_xact_start, xact_start);
}

/*
 * Remember a transaction that failed, for its block may go on; before its end
 * is noted, since it may follow another one of the same message.
 */
static void
note_failure(PghSlot *slot, TimestampTz xact_start)
{
	pg_atomic_write_u64(&slot->failed_xact_start,
						pgh_slot_own_start(slot, xact_start));
	pg_write_barrier();
	pg_atomic_write_u64(&slot->failed_transaction, transactions_ended);
}

/* Is no more than the headroom free? */
static bool
slots_run_short(void)
{
	int			headroom = pgh_effective_headroom();
	int			kept = pgh_reserved_slots() + headroom;

	return headroom > 0 && pgh_count_free_slots(kept + 1) <= kept;
}

/*
 * It has ended enough transactions to establish its application, unless slots
 * are short: a program that ends some at once and leaks then, under another
 * name each time, would be established with each of them.  One that comes back
 * after a while is another matter, so its next transaction asks again.
 */
static void
establish(PghSlot *slot)
{
	if (GetCurrentTimestamp() - slot->login.login_at < PGH_ESTABLISHING_AGE &&
		slots_run_short())
		established_at = transactions_ended + 1;
	else
		pgh_member_establish(slot);
}

/*
 * Is this session between pg_backup_start() and pg_backup_stop()?  Core tells
 * only the session itself.
 */
static void
follow_backup(PghSlot *slot)
{
	static bool known = false;
	bool		in_backup = get_backup_status() != SESSION_BACKUP_NONE;

	if (likely(in_backup == known))
		return;
	known = in_backup;
	pgh_slot_set_purpose(slot, PGH_IN_BACKUP, in_backup);
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
		pgh_victim_before_commit(slot);
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	if (slot != NULL)
	{
		TimestampTz xact_start = GetCurrentTransactionStartTimestamp();

		pg_atomic_write_u64(&slot->transactions, ++transactions_ended);
		/* one that only its session's end ended tells nothing of it */
		if (unlikely(transactions_ended == established_at) &&
			!proc_exit_inprogress)
			establish(slot);
		if (event == XACT_EVENT_ABORT)
			note_failure(slot, xact_start);
		note_end(slot, xact_start);
		follow_backup(slot);
	}
	pgh_victim_after_transaction(slot, event == XACT_EVENT_ABORT);
	if (slot != NULL)
	{
		if (unlikely(pgh_name_was_set) && event != XACT_EVENT_ABORT)
			follow_name(slot);
		if (unlikely(transactions_ended == 0) && event == XACT_EVENT_COMMIT)
			pgh_tell_newcomer(slot);
	}
	if (pgh_listen_pending())
		pgh_listen_end(event == XACT_EVENT_COMMIT);
}

/* before_shmem_exit callback: core has not rolled the transaction back yet. */
static void
begin_end(int code, Datum arg)
{
	if (pgh_my_slot != NULL)
		pgh_slot_leave_word(pgh_my_slot);
}

/*
 * on_shmem_exit callback: the transaction has been rolled back.  As long as
 * that takes, the session has its locks and its connection, and counts.  After
 * a crash of some backend it is not run; shared memory is then made anew.
 */
static void
end_session(int code, Datum arg)
{
	PghSlot    *slot = pgh_my_slot;
	TimestampTz login_at;
	int64		transactions;
	int64		credited;
	bool		in_good_order = code == 0 &&
		pgStatSessionEndCause == DISCONNECT_NORMAL;

	if (slot == NULL)
	{
		slot = pgh_slot_of_mine();
		if (slot != NULL)
			pgh_member_give_up(slot);
		return;
	}

	transactions = Max(transactions_ended, 0);
	login_at = slot->login.login_at;
	credited = pg_atomic_read_u64(&slot->credited);
	pgh_victim_record(slot);
	pgh_slot_release();
	pgh_rule_member_leave(pgh_my_proc_number());
	pgh_victim_finish(slot);
	pgh_member_leave(slot, slot->login.roleid,
					 transactions - Min(credited, transactions),
					 GetCurrentTimestamp() - login_at, in_good_order);
}

/*
 * Who logs in: the role's oid and whether it is a superuser.  A transaction
 * is open here, and core is about to look the same row up.
 */
static void
look_up_role(const char *name, PghLogin *login)
{
	HeapTuple	tuple = SearchSysCache1(AUTHNAME, PointerGetDatum(name));

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_authid role = (Form_pg_authid) GETSTRUCT(tuple);

		login->roleid = role->oid;
		login->superuser = role->rolsuper;
		ReleaseSysCache(tuple);
	}
}

/* A socket address in the form that rules match. */
static PghAddress
address_from_socket(const SockAddr *socket)
{
	const struct sockaddr_in *v4 = (const void *) &socket->addr;
	const struct sockaddr_in6 *v6 = (const void *) &socket->addr;
	PghAddress	address;

	memset(&address, 0, sizeof(address));
	switch (socket->addr.ss_family)
	{
		case AF_UNIX:
			address.family = PGH_ADDRESS_LOCAL;
			break;
		case AF_INET:
			address.family = PGH_ADDRESS_INET;
			memcpy(address.bytes, &v4->sin_addr, 4);
			break;
		case AF_INET6:
			address.family = PGH_ADDRESS_INET6;
			memcpy(address.bytes, &v6->sin6_addr, 16);
			break;
		default:
			address.family = PGH_ADDRESS_UNKNOWN;
			break;
	}
	return address;
}

/*
 * The process of the client, which Linux tells of a Unix-domain socket: a
 * prefork server has a connection in each, a pool many in one.  0 if it cannot
 * be told.
 */
static int
client_process(const Port *port)
{
#ifdef SO_PEERCRED
	struct ucred peer;
	socklen_t	size = sizeof(peer);

	if (port->raddr.addr.ss_family == AF_UNIX &&
		getsockopt(port->sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		return peer.pid;
#endif
	return 0;
}

static void
identify(const Port *port, PghLogin *login, char *name)
{
	memset(login, 0, sizeof(*login));
	pgh_name_at_login(port, name);
	strlcpy(login->user, port->user_name, PGH_NAME_LEN);
	strlcpy(login->database, port->database_name, PGH_NAME_LEN);
	login->address = address_from_socket(&port->raddr);
	login->client_pid = client_process(port);
	look_up_role(port->user_name, login);
}

static bool
rules_set_client_check(void)
{
	const PghRuleSet *rules = pgh_current_rules();

	for (int i = 0; i < rules->n; i++)
		if (pgh_rule_sets(&rules->rule[i], PGH_RULE_CLIENT_CHECK))
			return true;
	return false;
}

/*
 * A rule's client_check_interval is core's client_connection_check_interval,
 * with the priority of ALTER ROLE ALL: more than the file's, less than that of
 * a role, a database, the client or SET.  Nothing is raised if core does not
 * take it.
 */
static void
set_client_check(const PghLogin *login, const char *application)
{
	const PghRuleSet *rules = pgh_current_rules();
	PghIdentity who;
	PghRuleBits bits;
	int			rule;
	char		value[32];

	if (likely(!rules_set_client_check()))
		return;
	memset(&who, 0, sizeof(who));
	strlcpy(who.application, application, PGH_NAME_LEN);
	strlcpy(who.user, login->user, PGH_NAME_LEN);
	strlcpy(who.database, login->database, PGH_NAME_LEN);
	who.address = login->address;
	(void) pgh_rules_match(rules, &who, GetCurrentTimestamp(), &bits);
	rule = pgh_rules_decider(rules, &bits, PGH_RULE_CLIENT_CHECK);
	if (rule == 0)
		return;
	snprintf(value, sizeof(value), INT64_FORMAT "ms",
			 rules->rule[rule - 1].value[PGH_RULE_CLIENT_CHECK] / 1000);
	(void) set_config_option("client_connection_check_interval", value,
							 PGC_SUSET, PGC_S_GLOBAL, GUC_ACTION_SET, true,
							 LOG, false);
}

/*
 * A client has proved who it is.  The exit callback and the handler are there
 * before the slot is claimed, so no count is ever lost and no signal ever
 * finds this process without a handler.
 */
static void
begin_session(const Port *port)
{
	PghLogin	login;
	char		name[PGH_NAME_LEN];

	identify(port, &login, name);

	/* The postmaster may have read newer settings since it forked us. */
	(void) pgh_settings_take();
	on_shmem_exit(end_session, (Datum) 0);
	before_shmem_exit(begin_end, (Datum) 0);
	RegisterXactCallback(at_transaction_event, NULL);
	pgh_victim_install();
	pgh_admit_session(&login, name);
	set_client_check(&login, name);
	if (pgh_my_slot != NULL)
		pg_atomic_write_u32(&pgh_my_slot->wire_id, pgh_wire_id(port));

	/* The slot must be seen by a worker that goes to sleep now. */
	pg_memory_barrier();
	if (pg_atomic_read_u32(&pgh_worker_state->dozing) != 0)
		pgh_wake_worker();
}

static void
client_authentication(Port *port, int status)
{
	if (prev_client_authentication)
		prev_client_authentication(port, status);

	/* Walsenders use SIGUSR2 themselves, and are nobody's leak. */
	if (status == STATUS_OK && pgh_attached && !am_walsender &&
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
	pgh_name_install();
}
