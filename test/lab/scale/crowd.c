/*-------------------------------------------------------------------------
 *
 * crowd.c
 *	  Sessions that exist in shared memory only: slots of ours, entries of
 *	  core's, and no processes.
 *
 * Owns: crowd(n), for test/lab/scale.  It is compiled into a copy of the
 * library, beside the files of session/, and is in no other.
 *
 * They sit in the slots, and in the entries, that PostgreSQL would give away
 * last; their process ids are beyond all that a system has, so a signal to one
 * reaches nobody.  What they are counted as comes about as for any session.
 *
 *-------------------------------------------------------------------------
 */
#include "session/admission.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "shared/members.h"

#define FIRST_PID 5000000		/* more than Linux's largest pid_max */
#define N_NAMES 200

PG_FUNCTION_INFO_V1(crowd);

/* Core keeps the array to itself, but one entry is ours. */
static PgBackendStatus *
core_entries(void)
{
#if PG_VERSION_NUM >= 170000
	return MyBEEntry - MyProcNumber;
#else
	return MyBEEntry - (MyBackendId - 1);
#endif
}

/* What core would say of it; every second one idles in a transaction. */
static void
fill_entry(PgBackendStatus *entry, int pid, Oid role, const char *name,
		   bool open)
{
	TimestampTz now = GetCurrentTimestamp();
	PgBackendStatus mine = *MyBEEntry;

	mine.st_appname = entry->st_appname;
	mine.st_activity_raw = entry->st_activity_raw;
	mine.st_clienthostname = entry->st_clienthostname;
	mine.st_sslstatus = entry->st_sslstatus;
	mine.st_gssstatus = entry->st_gssstatus;
	mine.st_ssl = mine.st_gss = false;
	mine.st_changecount = 2;
	mine.st_procpid = pid;
	mine.st_userid = role;
	mine.st_proc_start_timestamp = mine.st_state_start_timestamp = now;
	mine.st_activity_start_timestamp = now - 1;
	mine.st_xact_start_timestamp = open ? now - 1 : 0;
	mine.st_state = open ? STATE_IDLEINTRANSACTION : STATE_IDLE;
	*entry = mine;
	strlcpy(entry->st_appname, name, NAMEDATALEN);
	snprintf(entry->st_activity_raw, 200,
			 "SELECT * FROM orders WHERE id = %d /* route='/%s' */", pid, name);
}

static void
fill_proc(PGPROC *proc, int pid, Oid role, bool open)
{
	proc->pid = pid;
	proc->roleId = role;
	proc->procLatch.owner_pid = pid;
#if PG_VERSION_NUM >= 170000
	proc->vxid.lxid = open ? 1 : InvalidLocalTransactionId;
#else
	proc->lxid = open ? 1 : InvalidLocalTransactionId;
#endif
}

static PghAnswer
let_in(void *arg)
{
	return PGH_ANSWER_COME;
}

/* As admission.c does for a session that may come. */
static void
claim(int index, PgBackendStatus *entry, int pid, Oid role, const char *name)
{
	PghSlot    *slot = &pgh_slots[index];
	PghSlot    *mine = pgh_my_slot;
	PghLogin	login = mine->login;
	PghStanding standing;

	login.roleid = role;
	login.superuser = false;
	strlcpy(login.user, "app", PGH_NAME_LEN);
	(void) pgh_member_ask(slot, name, role, false, &standing, let_in, NULL);
	pgh_slot_claim(slot, &login, name);
	slot->login.pid = pid;
	slot->login.beentry = entry;
	pgh_my_slot = mine;
	pgh_member_stay(slot, role, standing.connections, 0);
	pg_atomic_write_u64(&slot->transactions, 5);
	pgh_member_establish(slot);
}

/* crowd(n integer, role oid): so many sessions more. */
Datum
crowd(PG_FUNCTION_ARGS)
{
	int			n = PG_GETARG_INT32(0);
	Oid			role = PG_GETARG_OID(1);
	PgBackendStatus *entries = core_entries();

	for (int i = 0; i < n; i++)
	{
		/* until 15 the last slots are given away first */
		int			last = pgh_n_slots - 1 - i;
		int			index = PG_VERSION_NUM < 160000 ? i : last;
		PgBackendStatus *entry = &entries[last];
		int			pid = FIRST_PID + i;
		bool		open = i % 2 == 0;
		char		name[PGH_NAME_LEN];

		/* letters, lest they are all of one family */
		snprintf(name, sizeof(name), "service-%c%c", 'g' + i % N_NAMES / 14,
				 'g' + i % N_NAMES % 14);
		fill_entry(entry, pid, role, name, open);
		fill_proc(&ProcGlobal->allProcs[index], pid, role, open);
		claim(index, entry, pid, role, name);
	}
	PG_RETURN_INT32(n);
}
