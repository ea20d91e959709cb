/*-------------------------------------------------------------------------
 *
 * look/scan.c
 *	  From shared state to facts.
 *
 * Owns: every read of core's PgBackendStatus and PGPROC.  Must not: write
 * anything shared, hold a lock of ours, or decide.  Any process that has a
 * PGPROC may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "look/scan.h"

#include "access/transam.h"

#include "look/wire.h"
#include "shared/members.h"
#include "shared/waiting.h"

/*
 * How often a changing entry is read again.  A backend changes its entry for
 * a few dozen instructions at a time, so more than a few rounds mean that it
 * was stopped in the middle, and the next pass will do.
 */
#define PGH_MAX_READS 1000

static PghState
state_from_core(BackendState state)
{
	switch (state)
	{
		case STATE_IDLE:
			return PGH_STATE_IDLE;
		case STATE_RUNNING:
		case STATE_FASTPATH:
			return PGH_STATE_ACTIVE;
		case STATE_IDLEINTRANSACTION:
			return PGH_STATE_IDLE_IN_TRANSACTION;
		case STATE_IDLEINTRANSACTION_ABORTED:
			return PGH_STATE_IDLE_IN_TRANSACTION_ABORTED;
		case STATE_DISABLED:
			return PGH_STATE_DISABLED;
		default:
			return PGH_STATE_UNKNOWN;
	}
}

/*
 * Read the entry with core's changecount protocol.  False when it is not (or
 * no longer) this session's.
 */
static bool
read_activity(PghSession *session)
{
	volatile PgBackendStatus *entry = session->login.beentry;

	for (int i = 0; i < PGH_MAX_READS; i++)
	{
		int			before;
		int			after;
		int			pid;

		pgstat_begin_read_activity(entry, before);
		pid = entry->st_procpid;
		session->facts.state = state_from_core(entry->st_state);
		session->facts.backend_start = entry->st_proc_start_timestamp;
		session->facts.state_start = entry->st_state_start_timestamp;
		session->facts.xact_start = entry->st_xact_start_timestamp;
		session->query_id = (uint64) entry->st_query_id;
		session->activity_start = entry->st_activity_start_timestamp;
		session->databaseid = entry->st_databaseid;
		memcpy(session->name, entry->st_appname, NAMEDATALEN);
		pgstat_end_read_activity(entry, after);

		if (pgstat_read_activity_complete(before, after))
		{
			session->activity_changecount = after;
			session->name[NAMEDATALEN - 1] = '\0';
			return pid == session->login.pid;
		}
	}
	return false;
}

/*
 * The name that rules see: without the client that a pooler appends; of one
 * that calls itself like a trace, the name that it keeps.
 */
static void
read_name(PghSession *session)
{
	if (pgh_read_traceparent(session->name, session->trace_id))
		pgh_slot_name(&pgh_slots[session->index], session->who.application);
	else
		strlcpy(session->who.application, session->name,
				pgh_application_length(session->name) + 1);
}

/*
 * How far behind the next transaction id the older of xid and xmin is: what
 * VACUUM sees of this process.
 */
int64
pgh_scan_xmin_age(int proc_number, TransactionId next)
{
	volatile PGPROC *proc = &ProcGlobal->allProcs[proc_number];
	TransactionId xid = proc->xid;
	TransactionId oldest = proc->xmin;

	if (!TransactionIdIsNormal(oldest) ||
		(TransactionIdIsNormal(xid) && TransactionIdPrecedes(xid, oldest)))
		oldest = xid;
	if (!TransactionIdIsNormal(oldest))
		return -1;

	/* One that was begun this moment is not a whole round old. */
	return TransactionIdPrecedes(oldest, next) ? next - oldest : 0;
}

/*
 * What the session holds.  Each is one word that its owner writes without
 * telling us; between the states of a session they stand still while it is
 * idle, which is when they matter.
 */
static void
read_proc(PghSession *session)
{
	PGPROC	   *proc = &ProcGlobal->allProcs[session->index];
	PghFacts   *facts = &session->facts;

	facts->pid = session->login.pid;
	session->lxid = pgh_proc_lxid(proc);
	facts->open = session->lxid != InvalidLocalTransactionId;
	facts->wrote = TransactionIdIsValid(((volatile PGPROC *) proc)->xid);
	session->xmin_age = pgh_scan_xmin_age(session->index,
										  ReadNextTransactionId());
	facts->xmin_age = Max(session->xmin_age, 0);

	/* Outside a transaction, what is still locked is so for the session. */
	facts->advisory = facts->state == PGH_STATE_IDLE &&
		pgh_proc_has_locks(proc);
}

/*
 * Is its client talking, though core calls it idle?  A transaction that is
 * open outside of a block is that of a Describe.  What else there is only the
 * session itself can see, and it says so when it is asked to end.
 */
static bool
is_talking(const PghSession *session, PghSlot *slot)
{
	const PghFacts *facts = &session->facts;

	if (facts->state == PGH_STATE_IDLE &&
		session->lxid != InvalidLocalTransactionId)
		return true;
	return (TimestampTz) pg_atomic_read_u64(&slot->talking_in) ==
		facts->state_start;
}

/*
 * Since when nothing moves between it and its client, if it still waits for
 * that.  What is there may be of an earlier statement.
 */
static void
read_client(PghFacts *facts, int index)
{
	PghSlot    *slot = &pgh_slots[index];
	TimestampTz since = pg_atomic_read_u64(&slot->client_since);

	if (facts->state != PGH_STATE_ACTIVE || since == 0 ||
		since < facts->state_start ||
		pgh_wire_awaits(index) == PGH_AWAITS_NOTHING)
		return;
	pg_read_barrier();
	facts->client_since = since;
	facts->client_unsure = pg_atomic_read_u32(&slot->client_unsure) != 0;
}

/* What the extension itself keeps of the session. */
static void
read_own(PghSession *session)
{
	PghSlot    *slot = &pgh_slots[session->index];
	PghFacts   *facts = &session->facts;
	uint32		on_purpose = pg_atomic_read_u32(&slot->on_purpose);

	facts->talking = is_talking(session, slot);
	session->xact_start = facts->xact_start;
	facts->xact_start = pgh_slot_own_start(slot, facts->xact_start);

	/*
	 * Core forgets when a transaction began as soon as it fails, although its
	 * block goes on.  The session itself remembers; no transaction has ended
	 * since, by a count that is read after the state.
	 */
	if (facts->state == PGH_STATE_IDLE_IN_TRANSACTION_ABORTED &&
		facts->xact_start == 0 &&
		pg_atomic_read_u64(&slot->failed_transaction) ==
		pg_atomic_read_u64(&slot->transactions))
	{
		pg_read_barrier();
		facts->xact_start = pg_atomic_read_u64(&slot->failed_xact_start);
	}

	if (facts->state == PGH_STATE_IDLE_IN_TRANSACTION_ABORTED && !facts->open &&
		pg_atomic_read_u64(&slot->rolled_back_transaction) ==
		pg_atomic_read_u64(&slot->transactions))
	{
		pg_read_barrier();
		facts->rolled_back_for = pg_atomic_read_u32(&slot->rolled_back_for);
	}

	facts->listening = (on_purpose & PGH_LISTENS) != 0;
	facts->in_backup = (on_purpose & PGH_IN_BACKUP) != 0;
	facts->renames = pg_atomic_read_u32(&slot->renames);
	read_client(facts, session->index);
	if (facts->xact_start != 0 &&
		(TimestampTz) pg_atomic_read_u64(&slot->cancelled_xact_start) ==
		facts->xact_start)
	{
		pg_read_barrier();
		facts->cancelled_at = pg_atomic_read_u64(&slot->cancelled_at);
	}
}

/* What is said of a session of which nothing could be read. */
static void
clear(int index, PghSession *session)
{
	memset(&session->facts, 0, sizeof(session->facts));
	session->index = index;
	session->lxid = InvalidLocalTransactionId;
	session->xact_start = 0;
	session->query_id = 0;
	session->activity_start = 0;
	session->databaseid = InvalidOid;
	memset(session->who.application, 0, PGH_NAME_LEN);
	session->name[0] = '\0';
	session->trace_id[0] = '\0';
	session->leak = 0;
	session->still = 0;
	session->waited_since = session->advisory_locks = 0;
	session->xmin_age = -1;
	session->activity_changecount = PGH_NO_CHANGECOUNT;
}

/* What is known of it from its login on. */
static void
describe_login(const PghLogin *login, PghIdentity *who)
{
	who->address = login->address;
	memcpy(who->user, login->user, PGH_NAME_LEN);
	memcpy(who->database, login->database, PGH_NAME_LEN);
}

bool
pgh_scan_session(int index, PghSession *session)
{
	PghSlot    *slot = &pgh_slots[index];

	clear(index, session);

	/* Most slots of most servers are free, which one look tells. */
	if (((volatile PghSlot *) slot)->login.pid == 0 ||
		!pgh_slot_read(index, &session->login, &session->changecount))
		return false;

	session->counted_as = pgh_member_of(slot);
	session->transactions = pg_atomic_read_u64(&slot->transactions);
	session->credited = pg_atomic_read_u64(&slot->credited);
	session->credited = Min(session->credited, session->transactions);
	describe_login(&session->login, &session->who);
	session->facts.superuser = session->login.superuser;

	if (!read_activity(session) || session->facts.state == PGH_STATE_UNKNOWN)
	{
		/*
		 * Still starting: not in core's list, or (since 18) there without its
		 * application name.  It has the one that it was let in with.
		 */
		memset(&session->facts, 0, sizeof(session->facts));
		session->facts.superuser = session->login.superuser;
		session->activity_changecount = PGH_NO_CHANGECOUNT;
		pgh_slot_name(slot, session->who.application);
		memcpy(session->name, session->who.application, PGH_NAME_LEN);
	}
	else
	{
		read_name(session);
		read_proc(session);
		read_own(session);
	}

	/* What was read is one session's only if the slot is still the same. */
	return pgh_slot_is(index, session->changecount);
}

bool
pgh_scan_waiting(int index, PghSession *session)
{
	TimestampTz since = pgh_waiting_since(index);

	clear(index, session);
	if (since == 0 || !pgh_slot_read_announced(index, &session->login))
		return false;
	session->counted_as = PGH_NO_APPLICATION;
	session->changecount = 0;
	session->transactions = session->credited = 0;
	session->login.pid = ProcGlobal->allProcs[index].pid;
	describe_login(&session->login, &session->who);
	pgh_slot_name(&pgh_slots[index], session->who.application);
	memcpy(session->name, session->who.application, PGH_NAME_LEN);
	session->facts.superuser = session->login.superuser;
	session->facts.pid = session->login.pid;
	session->facts.state = PGH_STATE_WAITING;
	session->facts.state_start = since;
	session->xmin_age = pgh_scan_xmin_age(index, ReadNextTransactionId());

	/* It may have been let in, or gone, and another one have come. */
	return pgh_waiting_since(index) == since;
}

bool
pgh_scan_who(int index, PghIdentity *who)
{
	PghLogin	login;
	uint32		changecount;

	if (!pgh_slot_read(index, &login, &changecount))
		return false;
	describe_login(&login, who);
	pgh_slot_name(&pgh_slots[index], who->application);
	return pgh_slot_is(index, changecount);
}

PghIdentity
pgh_scan_counted(const PghSession *session)
{
	PghIdentity who = session->who;

	pgh_slot_name(&pgh_slots[session->index], who.application);
	return who;
}

PghIdentity
pgh_scan_leaker(const PghSession *session)
{
	PghIdentity who = session->who;

	pgh_member_application(&pgh_slots[session->index], who.application);
	return who;
}

void
pgh_scan_query(const PghSession *session, char *buf, size_t size)
{
	volatile PgBackendStatus *entry = session->login.beentry;
	size_t		length = Min(size, (size_t) pgstat_track_activity_query_size);
	int			after;

	buf[0] = '\0';
	if (session->activity_changecount == PGH_NO_CHANGECOUNT)
		return;
	memcpy(buf, entry->st_activity_raw, length);
	buf[length - 1] = '\0';
	pgstat_end_read_activity(entry, after);
	if (after != session->activity_changecount ||
		!pgh_slot_is(session->index, session->changecount))
		buf[0] = '\0';
}

bool
pgh_scan_client_of(int index, uint32 changecount,
				   const PgBackendStatus *beentry, SockAddr *address)
{
	volatile PgBackendStatus *entry = unconstify(PgBackendStatus *, beentry);

	memcpy(address, unvolatize(SockAddr *, &entry->st_clientaddr),
		   sizeof(*address));
	pg_read_barrier();
	return pgh_slot_is(index, changecount);
}

bool
pgh_scan_client(const PghSession *session, SockAddr *address)
{
	return session->activity_changecount != PGH_NO_CHANGECOUNT &&
		pgh_scan_client_of(session->index, session->changecount,
						   session->login.beentry, address);
}

/*
 * A process that has a PGPROC owns the latch in it from its first moment to
 * its last, on every version; PGPROC.pid is not cleared before 16.
 */
int
pgh_scan_used_slots(void)
{
	int			used = 0;

	for (int i = 0; i < pgh_n_slots; i++)
	{
		volatile Latch *latch = &ProcGlobal->allProcs[i].procLatch;

		if (latch->owner_pid != 0)
			used++;
	}
	return used;
}
