/*-------------------------------------------------------------------------
 *
 * blockers.c
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
#include "blockers.h"

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
	for (int i = 0; i < pgh_shared->n_slots; i++)
		if (pgh_slots[i].pid == pid)
			return i;
	return -1;
}

/* Of the locks on what a process waits for, find its own request. */
static const LockInstanceData *
find_request(const BlockedProcsData *data, const BlockedProcData *waiter)
{
	for (int i = 0; i < waiter->num_locks; i++)
	{
		const LockInstanceData *lock = &data->locks[waiter->first_lock + i];

		if (lock->pid == waiter->pid)
			return lock;
	}
	return NULL;
}

/*
 * Add one for every session that holds what "waiter" waits for.  Each session
 * has one entry for one lock, so none is counted twice; a parallel worker's
 * entry counts for its leader, who is active then and not looked at.
 */
static void
count_holders(const BlockedProcsData *data, const BlockedProcData *waiter,
			  int32 *blocking)
{
	const LockInstanceData *request = find_request(data, waiter);
	LOCKMASK	conflicts;

	if (request == NULL)
		return;
	conflicts = GetLockTagsMethodTable(&request->locktag)->conflictTab[request->waitLockMode];
	for (int i = 0; i < waiter->num_locks; i++)
	{
		const LockInstanceData *lock = &data->locks[waiter->first_lock + i];
		int			slot;

		if (lock == request || lock->leaderPid == request->leaderPid ||
			(lock->holdMask & conflicts) == 0)
			continue;
		slot = slot_of(lock->pid);
		if (slot >= 0)
			blocking[slot]++;
	}
}

int32 *
pgh_blocking_now(void)
{
	int32	   *blocking = palloc0(mul_size(pgh_shared->n_slots,
											sizeof(int32)));

	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		BlockedProcsData *data;

		if (!waits(i))
			continue;
		data = GetBlockerStatusData(ProcGlobal->allProcs[i].pid);
		for (int j = 0; j < data->nprocs; j++)
			if (data->procs[j].pid == ProcGlobal->allProcs[i].pid)
				count_holders(data, &data->procs[j], blocking);
	}
	return blocking;
}
