/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between PostgreSQL 15, 17, 18 and 19.
 *
 * Owns: every test of PG_VERSION_NUM.  Must not: hold logic of the
 * extension.  Each wrapper has the newest signature.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_COMPAT_H
#define PGH_COMPAT_H

#include "postgres.h"

#include "access/parallel.h"
#include "catalog/pg_authid.h"
#include "common/string.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000
#error "pg_hygiene needs PostgreSQL 15 or later"
#endif

/* The server's major version: files of another one are not read. */
#define PGH_SERVER_MAJOR (PG_VERSION_NUM / 10000)

/*
 * Backends read each other's PgBackendStatus through a pointer, so shared
 * memory must sit at the same address in every process.
 */
#ifdef EXEC_BACKEND
#error "pg_hygiene needs a platform where backends are forked"
#endif

/*
 * A signal handler writes 64 bits at once.  Where PostgreSQL does that under a
 * spinlock, the handler could wait for what it has interrupted, forever.
 */
#if defined(PG_HAVE_ATOMIC_U64_SIMULATION) || \
	defined(PG_HAVE_ATOMIC_U32_SIMULATION)
#error "pg_hygiene needs a processor that writes 64 bits at once"
#endif

/*
 * Added in 17 (commit 51efe38cb); its SQLSTATE is used for a transaction that
 * is ended for its age on every version.
 */
#ifndef ERRCODE_TRANSACTION_TIMEOUT
#define ERRCODE_TRANSACTION_TIMEOUT MAKE_SQLSTATE('2', '5', 'P', '0', '4')
#endif

/*
 * Connection slots that ordinary roles cannot have.  16 split one setting in
 * two (commit 6e2775e4d).
 */
static inline int
pgh_reserved_slots(void)
{
#if PG_VERSION_NUM >= 160000
	return SuperuserReservedConnections + ReservedConnections;
#else
	return ReservedBackends;
#endif
}

/*
 * May this role have the slots of reserved_connections (16, commit
 * 6e2775e4d)?  Asked only where there are such slots, since it reads the
 * role's memberships.
 *
 * At login core does not know the database yet, and so not whose owner the role
 * is; but it keeps the memberships of the role that was asked about last.  Ask
 * about another one, so that what was found too early is forgotten.
 */
static inline bool
pgh_may_use_reserved_connections(Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	bool		may;

	if (ReservedConnections == 0)
		return false;
	may = has_privs_of_role(roleid, ROLE_PG_USE_RESERVED_CONNECTIONS);
	(void) has_privs_of_role(ROLE_PG_USE_RESERVED_CONNECTIONS,
							 ROLE_PG_DATABASE_OWNER);
	return may;
#else
	return false;
#endif
}

/*
 * Does this backend hold or await a lock in the shared lock table?  One
 * pointer for each partition is compared without a lock: for an idle session
 * nothing changes there.  16 made the lists dlists (commit d137cb52c).
 */
static inline bool
pgh_proc_has_locks(PGPROC *proc)
{
	for (int i = 0; i < NUM_LOCK_PARTITIONS; i++)
	{
#if PG_VERSION_NUM >= 160000
		if (!dlist_is_empty(&proc->myProcLocks[i]))
			return true;
#else
		if (!SHMQueueEmpty(&proc->myProcLocks[i]))
			return true;
#endif
	}
	return false;
}

/*
 * How many advisory locks a backend holds in one partition of the lock table.
 * The caller holds that partition's lock.
 */
static inline int
pgh_count_advisory_locks(PGPROC *proc, int partition)
{
	int			n = 0;

#if PG_VERSION_NUM >= 160000
	dlist_iter	iter;

	dlist_foreach(iter, &proc->myProcLocks[partition])
	{
		PROCLOCK   *held = dlist_container(PROCLOCK, procLink, iter.cur);
#else
	SHM_QUEUE  *queue = &proc->myProcLocks[partition];

	for (PROCLOCK *held = (PROCLOCK *)
		 SHMQueueNext(queue, queue, offsetof(PROCLOCK, procLink));
		 held != NULL;
		 held = (PROCLOCK *)
		 SHMQueueNext(queue, &held->procLink, offsetof(PROCLOCK, procLink)))
	{
#endif
		n += held->holdMask != 0 &&
			held->tag.myLock->tag.locktag_type == LOCKTAG_ADVISORY;
	}
	return n;
}

/*
 * How many slots for client backends are free, but no more than "most":
 * core walks its list of free ones under a spinlock, so ask for little.
 * 16 reports the number (commit 6e2775e4d); before it is searched for.
 */
static inline int
pgh_count_free_slots(int most)
{
#if PG_VERSION_NUM >= 160000
	int			nfree = 0;

	if (most <= 0)
		return 0;
	(void) HaveNFreeProcs(most, &nfree);
	return nfree;
#else
	int			low = 0;
	int			high = Max(most, 0);

	/* The usual answer is "at least that many": ask for it first. */
	if (HaveNFreeProcs(high))
		return high;
	while (high - low > 1)
	{
		int			middle = low + (high - low) / 2;

		if (HaveNFreeProcs(middle))
			low = middle;
		else
			high = middle;
	}
	return low;
#endif
}

/*
 * Memory for what a check hook leaves beside a setting.  GUC frees it itself,
 * from a context of its own since 16 (commit 80b6f7a8b), with free() before.
 */
static inline void *
pgh_guc_malloc(size_t size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return malloc(size);
#endif
}

static inline void
pgh_guc_free(void *ptr)
{
#if PG_VERSION_NUM >= 160000
	guc_free(ptr);
#else
	free(ptr);
#endif
}

/*
 * The number of the transaction that a backend is in, its own count of them;
 * InvalidLocalTransactionId outside of one.  17 moved it (commit ab355e3a8).
 */
static inline LocalTransactionId
pgh_proc_lxid(volatile PGPROC *proc)
{
#if PG_VERSION_NUM >= 170000
	return proc->vxid.lxid;
#else
	return proc->lxid;
#endif
}

/*
 * Do errors reach the server's log, and so emit_log_hook?  LOG sorts above
 * ERROR there.  19 has a level for each sort of process.
 */
static inline bool
pgh_errors_are_logged(void)
{
#if PG_VERSION_NUM >= 190000
	int			least = log_min_messages[MyBackendType];
#else
	int			least = log_min_messages;
#endif

	return least != LOG && least <= ERROR;
}

/*
 * A setting of core's by its name; 16 exported the function that finds one
 * (commit 0a20ff54f).
 */
static inline struct config_generic *
pgh_find_setting(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, true, LOG);
#else
	struct config_generic **settings = get_guc_variables();

	for (int i = 0; i < GetNumConfigOptions(); i++)
		if (strcmp(settings[i]->name, name) == 0)
			return settings[i];
	return NULL;
#endif
}

/*
 * A copy of a text in which every byte that is not ASCII is replaced, as in an
 * application name; since 16 core makes the copy itself.
 */
static inline char *
pgh_clean_ascii(const char *text)
{
#if PG_VERSION_NUM >= 160000
	return pg_clean_ascii(text, 0);
#else
	char	   *copy = pstrdup(text);

	pg_clean_ascii(copy);
	return copy;
#endif
}

/*
 * Where core keeps the hook that it calls with each new value of a setting of
 * text; 19 put all kinds of settings into one struct.
 */
static inline GucStringAssignHook *
pgh_setting_assign_hook(struct config_generic *setting)
{
#if PG_VERSION_NUM >= 190000
	return &setting->_string.assign_hook;
#else
	return &((struct config_string *) setting)->assign_hook;
#endif
}

/*
 * Take what parallel workers have sent: what core does when it looks at
 * interrupts and ParallelMessagePending is set.  18 gave it another name.
 */
static inline void
pgh_process_parallel_messages(void)
{
#if PG_VERSION_NUM >= 180000
	ProcessParallelMessages();
#else
	HandleParallelMessages();
#endif
}

/*
 * When core ends a login that has not come to an end, or PGH_NEVER:
 * authentication_timeout, for which it uses the timer of a statement, and
 * transaction_timeout (17, commit 51efe38cb), since a transaction is open.
 */
static inline TimestampTz
pgh_login_ends_at(void)
{
	TimestampTz end = PG_INT64_MAX;

	if (get_timeout_active(STATEMENT_TIMEOUT))
		end = Min(end, get_timeout_finish_time(STATEMENT_TIMEOUT));
#if PG_VERSION_NUM >= 170000
	if (get_timeout_active(TRANSACTION_TIMEOUT))
		end = Min(end, get_timeout_finish_time(TRANSACTION_TIMEOUT));
#endif
	return end;
}

/*
 * A wait event of our own; 17 made that possible (commit c9af05465).  0 where
 * there is none, and when there are no more to be had.  For the worker: others
 * use what it has got.
 */
static inline uint32
pgh_make_wait_event(const char *name)
{
	volatile uint32 event = 0;

#if PG_VERSION_NUM >= 170000
	PG_TRY();
	{
		event = WaitEventExtensionNew(name);
	}
	PG_CATCH();
	{
		LWLockReleaseAll();
		FlushErrorState();
	}
	PG_END_TRY();
#endif
	return event;
}

/* 17 moved the number of a PGPROC (commit 024c52111); this holds everywhere. */
static inline int
pgh_my_proc_number(void)
{
	return (int) (MyProc - ProcGlobal->allProcs);
}

/*
 * A hint that this will be read soon; any address will do.  Where one place of
 * a large array after the other is looked at, that of PGH_AHEAD places further
 * on is asked for: so nearly no time goes by waiting for memory.
 */
#define PGH_AHEAD 8
#ifdef __GNUC__
#define pgh_prefetch(address) __builtin_prefetch((const void *) (address))
#else
#define pgh_prefetch(address) ((void) (address))
#endif

#endif							/* PGH_COMPAT_H */
