/*-------------------------------------------------------------------------
 *
 * shared/shmem.c
 *	  Asks for shared memory and lays it out.
 *
 * Owns: the start-up hooks.  Must not: know what a part means.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/shmem.h"

#include "storage/ipc.h"
#include "storage/shmem.h"

static void (*after_startup) (void) = NULL;

/* How many bytes were asked for; the postmaster's. */
static Size requested = 0;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static int
count_parts(void)
{
	int			n = 0;

	while (pgh_parts[n] != NULL)
		n++;
	return n;
}

static Size
sum_sizes(void)
{
	Size		size = 0;

	for (int i = 0; pgh_parts[i] != NULL; i++)
		size = add_size(size, CACHELINEALIGN(pgh_parts[i]->size()));
	return size;
}

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	requested = sum_sizes();
	RequestAddinShmemSpace(requested);
	RequestNamedLWLockTranche("pg_hygiene", count_parts());
}

static void
set_up(PghPart *part, LWLock *lock)
{
	Size		size = part->size();
	bool		found;
	void	   *area;

	area = ShmemInitStruct(psprintf("pg_hygiene %s", part->name), size, &found);
	part->lock = lock;
	if (!found)
	{
		memset(area, 0, size);
		part->init(area);
	}
}

/*
 * Runs in the postmaster, also again after a crash: then the segment is new,
 * and the pointers left from the last one must not be believed.
 */
static void
startup_shmem(void)
{
	LWLockPadded *locks;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	pgh_attached = false;
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	locks = GetNamedLWLockTranche("pg_hygiene");
	for (int i = 0; pgh_parts[i] != NULL; i++)
		set_up(pgh_parts[i], &locks[i].lock);
	LWLockRelease(AddinShmemInitLock);

	/* Then a size rests on what is not known yet when it is asked for. */
	if (sum_sizes() > requested)
		elog(WARNING, "pg_hygiene requested %zu bytes of shared memory and takes %zu",
			 requested, sum_sizes());
	pgh_attached = true;
	if (after_startup)
		after_startup();
}

void
pgh_shmem_install(void (*when_ready) (void))
{
	after_startup = when_ready;
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

void
pgh_shmem_reset(void)
{
	for (int i = count_parts() - 1; i >= 0; i--)
		if (pgh_parts[i]->reset != NULL)
			pgh_parts[i]->reset();
}
