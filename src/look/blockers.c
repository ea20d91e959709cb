/*-------------------------------------------------------------------------
 *
 * look/blockers.c
 *	  Who waits for whom.
 *
 * Owns: every look at core's lock table.  Must not: be called on a path that
 * every session takes; it is for the worker and the views, and only while
 * somebody waits for a lock.
 *
 * Only those who hold a lock count, as the first half of pg_blocking_pids()
 * has it.  Those who are ahead in the queue wait themselves, so they are
 * neither idle nor to blame: the one at the root of the chain is.
 *
 *-------------------------------------------------------------------------
 */
#include "look/blockers.h"

#include "storage/lock.h"

static bool
waits(int proc_number)
{
	volatile PGPROC *proc = &ProcGlobal->allProcs[proc_number];

	return proc->waitStatus == PROC_WAIT_STATUS_WAITING && proc->pid != 0;
}

/* The slot of a session by its process id, or -1. */
static int
slot_of(int pid)
{
	for (int i = 0; i < pgh_n_slots; i++)
		if (pgh_slots[i].login.pid == pid)
			return i;
	return -1;
}

/* Processes whose waiting has been counted, by their ids. */
typedef struct PghWaiters
{
	int		   *pid;
	int			n;
	int			size;
} PghWaiters;

static bool
is_counted(const PghWaiters *counted, int pid)
{
	for (int i = 0; i < counted->n; i++)
		if (counted->pid[i] == pid)
			return true;
	return false;
}

/* Does one of these keep the other from getting the same lock? */
static bool
keeps_from(const LockInstanceData *holder, const LockInstanceData *waiter)
{
	LockMethod	method = GetLockTagsMethodTable(&waiter->locktag);

	return holder->leaderPid != waiter->leaderPid &&
		(holder->holdMask & method->conflictTab[waiter->waitLockMode]) != 0;
}

/*
 * Of all who hold one lock or wait for it, add one to each session for every
 * process that it keeps waiting.  Each session has one entry for one lock, so
 * none is counted twice; a parallel worker's entry counts for its leader, who
 * is active then and not looked at.
 */
static void
count_lock(const LockInstanceData *locks, int n, PghWaiters *counted,
		   int32 *blocking)
{
	int			first_new = counted->n;

	for (int i = 0; i < n; i++)
	{
		if (locks[i].waitLockMode == NoLock || counted->n >= counted->size ||
			is_counted(counted, locks[i].pid))
			continue;
		counted->pid[counted->n++] = locks[i].pid;
	}
	for (int i = 0; i < n; i++)
	{
		int			waiting = 0;
		int			slot;

		if (locks[i].holdMask == 0)
			continue;
		for (int j = 0, next = first_new; j < n && next < counted->n; j++)
		{
			if (locks[j].waitLockMode == NoLock ||
				locks[j].pid != counted->pid[next])
				continue;
			next++;
			waiting += keeps_from(&locks[i], &locks[j]);
		}
		slot = waiting > 0 ? slot_of(locks[i].pid) : -1;
		if (slot >= 0)
			blocking[slot] += waiting;
	}
}

/*
 * Core tells all about the lock that a process waits for, the others that wait
 * for it too included.  So it is asked once for each lock, not for each of
 * them, and what it copies is given back at once.
 */
static void
look_at(int pid, PghWaiters *counted, int32 *blocking)
{
	BlockedProcsData *data = GetBlockerStatusData(pid);

	for (int i = 0; i < data->nprocs; i++)
		if (data->procs[i].pid == pid)
			count_lock(&data->locks[data->procs[i].first_lock],
					   data->procs[i].num_locks, counted, blocking);
	pfree(data->procs);
	pfree(data->locks);
	pfree(data->waiter_pids);
	pfree(data);
}

int32 *
pgh_blocking_now(void)
{
	int32	   *blocking = palloc0(mul_size(pgh_n_slots,
											sizeof(int32)));
	PghWaiters	counted = {NULL, 0, ProcGlobal->allProcCount};

	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		int			pid = ProcGlobal->allProcs[i].pid;

		if (!waits(i))
			continue;
		if (counted.pid == NULL)
			counted.pid = palloc(mul_size(counted.size, sizeof(int)));
		if (!is_counted(&counted, pid))
			look_at(pid, &counted, blocking);
	}
	return blocking;
}
