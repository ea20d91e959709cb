/*-------------------------------------------------------------------------
 *
 * look/blockers.c
 *	  Who waits for whom.
 *
 * Owns: every look at core's lock table.  Must not: be called on a path that
 * every session takes; it is for the worker and the views, and only while
 * somebody waits for a lock.
 *
 * Core tells all about the lock that a process waits for, the others that
 * wait for it too included.  So it is asked once for each lock, not for each
 * of them; pure/lock_queue.c makes whole queues of it.
 *
 * The work is bounded: a copy of the lock table's entries for locks that are
 * waited for, and PGH_MAX_STEPS looks at a waiter.  No lock of core's is held
 * while anything is allocated or computed here.
 *
 *-------------------------------------------------------------------------
 */
#include "look/blockers.h"

#include "storage/lock.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

/*
 * How many waiters are looked at in all: a few milliseconds of work.  5,000
 * sessions that hold two locks each, for each of which 1,000 others wait, ask
 * for more; the last of them are then known to be waited for, and no more.
 */
#define PGH_MAX_STEPS 2000000

/* A process by its id: the number of its PGPROC. */
typedef struct PghPid
{
	int			pid;
	int			number;
} PghPid;

typedef struct PghCollection
{
	PghPid	   *pid;			/* in ascending order */
	int			n_pids;
	bool	   *seen;			/* for each PGPROC: its waiting was collected */
	int			parts_size;
	int			locks_size;
	TimestampTz now;
	PghLockQueues queues;
} PghCollection;

/* ----------
 * Processes
 * ----------
 */

static bool
waits(int proc_number)
{
	volatile PGPROC *proc = &ProcGlobal->allProcs[proc_number];

	return proc->waitStatus == PROC_WAIT_STATUS_WAITING && proc->pid != 0;
}

/*
 * When it began to wait for a lock.  Core leaves that out of what it tells
 * about a single lock, and it is not there yet for a moment.
 */
static TimestampTz
wait_start(int proc_number, TimestampTz now)
{
	PGPROC	   *proc = &ProcGlobal->allProcs[proc_number];
	TimestampTz since = pg_atomic_read_u64(&proc->waitStart);

	return since != 0 ? Min(since, now) : now;
}

static int
compare_pids(const void *a, const void *b)
{
	int			left = ((const PghPid *) a)->pid;
	int			right = ((const PghPid *) b)->pid;

	return left == right ? 0 : left < right ? -1 : 1;
}

/* PGPROC.pid is not cleared before 16; who owns the latch is there. */
static void
list_pids(PghCollection *all)
{
	all->pid = palloc(mul_size(ProcGlobal->allProcCount, sizeof(PghPid)));
	all->n_pids = 0;
	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		volatile PGPROC *proc = &ProcGlobal->allProcs[i];
		int			pid = proc->pid;

		if (pid == 0 || proc->procLatch.owner_pid != pid)
			continue;
		all->pid[all->n_pids].pid = pid;
		all->pid[all->n_pids++].number = i;
	}
	qsort(all->pid, all->n_pids, sizeof(PghPid), compare_pids);
}

/* The number of a process's PGPROC; -1 for a prepared transaction. */
static int
number_of(const PghCollection *all, int pid)
{
	PghPid		wanted = {pid, 0};
	const PghPid *found = bsearch(&wanted, all->pid, all->n_pids,
								  sizeof(PghPid), compare_pids);

	return found != NULL ? found->number : -1;
}

/* ----------
 * Collecting
 * ----------
 */

static void
add_part(PghCollection *all, const LockInstanceData *instance)
{
	PghLockQueues *queues = &all->queues;
	LOCKMODE	wanted = instance->waitLockMode;
	PghLockPart *part;
	int			number;

	if (queues->n_parts == all->parts_size)
	{
		all->parts_size *= 2;
		queues->part = repalloc_huge(queues->part,
									 mul_size(all->parts_size,
											  sizeof(PghLockPart)));
	}
	part = &queues->part[queues->n_parts++];
	memset(part, 0, sizeof(*part));
	part->group = number_of(all, instance->leaderPid);
	part->held = instance->holdMask;
	if (wanted == NoLock)
		return;
	part->wanted = LOCKBIT_ON(wanted);
	part->conflicts =
		GetLockTagsMethodTable(&instance->locktag)->conflictTab[wanted];

	part->since = all->now;
	number = number_of(all, instance->pid);
	if (number < 0)
		return;
	all->seen[number] = true;
	part->since = wait_start(number, all->now);
}

static void
add_lock(PghCollection *all, const LockInstanceData *instances, int n)
{
	PghLockQueues *queues = &all->queues;
	PghWaitedLock *lock;

	if (n == 0)
		return;
	if (queues->n_locks == all->locks_size)
	{
		all->locks_size *= 2;
		queues->lock = repalloc_huge(queues->lock,
									 mul_size(all->locks_size,
											  sizeof(PghWaitedLock)));
	}
	lock = &queues->lock[queues->n_locks++];
	memset(lock, 0, sizeof(*lock));
	lock->first = queues->n_parts;
	lock->n = n;
	lock->kind = instances[0].locktag.locktag_type == LOCKTAG_ADVISORY ?
		PGH_QUEUE_ADVISORY : PGH_QUEUE_DATA;
	for (int i = 0; i < n; i++)
		add_part(all, &instances[i]);
}

/* What core copies is given back at once. */
static void
collect_lock(PghCollection *all, int pid)
{
	BlockedProcsData *data = GetBlockerStatusData(pid);

	for (int i = 0; i < data->nprocs; i++)
		if (data->procs[i].pid == pid)
			add_lock(all, &data->locks[data->procs[i].first_lock],
					 data->procs[i].num_locks);
	pfree(data->procs);
	pfree(data->locks);
	pfree(data->waiter_pids);
	pfree(data);
}

static void
start_collection(PghCollection *all)
{
	uint32		n = ProcGlobal->allProcCount;

	list_pids(all);
	all->now = GetCurrentTimestamp();
	all->seen = palloc0(n * sizeof(bool));
	all->parts_size = 256;
	all->locks_size = 16;
	all->queues.part = palloc(all->parts_size * sizeof(PghLockPart));
	all->queues.lock = palloc(all->locks_size * sizeof(PghWaitedLock));
	all->queues.first_of_group = palloc(mul_size(n, sizeof(int32)));
	all->queues.n_groups = n;
	all->queues.steps = PGH_MAX_STEPS;
}

/* The first process from "i" on that waits; allProcCount if none does. */
static uint32
next_waiting(uint32 i)
{
	for (; i < ProcGlobal->allProcCount; i++)
	{
		/* the hint is free to name one behind the last */
		pgh_prefetch(&ProcGlobal->allProcs[i + PGH_AHEAD].waitStatus);
		if (waits(i))
			break;
	}
	return i;
}

bool
pgh_somebody_waits(void)
{
	return next_waiting(0) < ProcGlobal->allProcCount;
}

/* False when nobody waits, and then nothing was allocated. */
static bool
collect(PghCollection *all)
{
	memset(all, 0, sizeof(*all));
	for (uint32 i = next_waiting(0); i < ProcGlobal->allProcCount;
		 i = next_waiting(i + 1))
	{
		if (all->seen == NULL)
			start_collection(all);
		if (!all->seen[i])
			collect_lock(all, ProcGlobal->allProcs[i].pid);
	}
	return all->queues.n_locks > 0;
}

static void
end_collection(PghCollection *all)
{
	pfree(all->pid);
	pfree(all->seen);
	pfree(all->queues.part);
	pfree(all->queues.lock);
	pfree(all->queues.first_of_group);
	pfree(all->queues.stack);
}

const PghBlocked *
pgh_blocked_now(const TimestampTz *after)
{
	PghBlocked *blocked = palloc0(mul_size(pgh_n_slots, sizeof(PghBlocked)));
	PghCollection all;

	if (!collect(&all))
		return blocked;
	all.queues.stack = palloc_extended(mul_size(all.queues.n_parts + 1,
												sizeof(int32)),
									   MCXT_ALLOC_HUGE);
	pgh_lock_queues_arrange(&all.queues);
	for (int i = 0; i < pgh_n_slots; i++)
		if (all.queues.first_of_group[i] >= 0)
			pgh_lock_queue_of(&all.queues, i, after != NULL ? after[i] : 0,
							  &blocked[i]);
	end_collection(&all);
	return blocked;
}

void
pgh_note_blocked(PghSession *session, const PghBlocked *blocked)
{
	const PghQueue *data = &blocked->queue[PGH_QUEUE_DATA];
	const PghQueue *advisory = &blocked->queue[PGH_QUEUE_ADVISORY];

	session->facts.blocking = data->n;
	session->facts.blocking_advisory = advisory->n;
	session->facts.advisory_since = blocked->advisory_since;
	session->waited_since = data->n == 0 ? advisory->since :
		advisory->n == 0 ? data->since : Min(data->since, advisory->since);
}

/* ----------
 * Advisory locks
 * ----------
 */

const int32 *
pgh_advisory_locks_now(void)
{
	int32	   *held = palloc0(mul_size(pgh_n_slots, sizeof(int32)));

	for (int partition = 0; partition < NUM_LOCK_PARTITIONS; partition++)
	{
		LWLock	   *lock = LockHashPartitionLockByIndex(partition);

		LWLockAcquire(lock, LW_SHARED);
		for (int i = 0; i < pgh_n_slots; i++)
			held[i] += pgh_count_advisory_locks(&ProcGlobal->allProcs[i],
												partition);
		LWLockRelease(lock);
	}
	return held;
}
