/*-------------------------------------------------------------------------
 *
 * shared/shmem.c
 *	  Asks for shared memory, lays it out, and holds the locks.
 *
 * Owns: the start-up hooks and the pointers to what is shared.  Must not:
 * know what the slots, counters and events mean.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/shmem.h"

#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

PghShared  *pgh_shared = NULL;
PghSlot    *pgh_slots = NULL;
PghApplication *pgh_applications = NULL;
PghEvents  *pgh_events = NULL;
PghLeak    *pgh_leaks = NULL;
PghSamples *pgh_samples = NULL;

static LWLockPadded *locks = NULL;
static void (*after_startup) (void) = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

/*
 * Places in the table of applications: one for the overflow, and half as
 * many again as there may be names, so that probing stays short.
 */
static int
application_places(void)
{
	return 1 + pgh_max_applications + pgh_max_applications / 2;
}

static Size
events_size(void)
{
	return add_size(offsetof(PghEvents, ring),
					mul_size(pgh_max_events, sizeof(PghEvent)));
}

Size
pgh_shmem_size(void)
{
	Size		size = MAXALIGN(sizeof(PghShared));

	size = add_size(size, CACHELINEALIGN(mul_size(MaxConnections,
												  sizeof(PghSlot))));
	size = add_size(size, CACHELINEALIGN(mul_size(application_places(),
												  sizeof(PghApplication))));
	size = add_size(size, CACHELINEALIGN(PGH_MAX_LEAKS * sizeof(PghLeak)));
	size = add_size(size, CACHELINEALIGN(sizeof(PghSamples)));
	return add_size(size, CACHELINEALIGN(events_size()));
}

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(pgh_shmem_size());
	RequestNamedLWLockTranche("pg_hygiene", PGH_N_LOCKS);
}

static void
init_slots(void)
{
	for (int i = 0; i < MaxConnections; i++)
	{
		PghSlot    *slot = &pgh_slots[i];

		memset(slot, 0, sizeof(*slot));
		pg_atomic_init_u32(&slot->changecount, 0);
		pg_atomic_init_u32(&slot->application, PGH_NO_APPLICATION);
		pg_atomic_init_u64(&slot->transactions, 0);
		pg_atomic_init_u64(&slot->credited, 0);
		pg_atomic_init_u32(&slot->listening, 0);
		pg_atomic_init_u32(&slot->renames, 0);
		pg_atomic_init_u64(&slot->cancelled_at, 0);
		pg_atomic_init_u64(&slot->cancelled_xact_start, 0);
		pg_atomic_init_u64(&slot->failed_xact_start, 0);
		pg_atomic_init_u64(&slot->failed_transaction, 0);
		pg_atomic_init_u32(&slot->rolled_back_for, PGH_REASON_NONE);
		pg_atomic_init_u64(&slot->rolled_back_transaction, 0);
		pg_atomic_init_u64(&slot->accepted_in, 0);
		pg_atomic_init_u32(&slot->request_state, PGH_REQUEST_FREE);
	}
}

static void
init_applications(void)
{
	for (int i = 0; i < application_places(); i++)
	{
		PghApplication *app = &pgh_applications[i];

		memset(app, 0, sizeof(*app));
		pg_atomic_init_u32(&app->connections, 0);
		pg_atomic_init_u32(&app->peak, 0);
		pg_atomic_init_u64(&app->peak_at, 0);
		pg_atomic_init_u64(&app->opened, 0);
		pg_atomic_init_u64(&app->closed, 0);
		pg_atomic_init_u64(&app->ended, 0);
		pg_atomic_init_u64(&app->transactions, 0);
		pg_atomic_init_u64(&app->session_time, 0);
		for (int j = 0; j < PGH_N_COUNTERS; j++)
			pg_atomic_init_u64(&app->count[j], 0);
		for (int j = 0; j < PGH_N_REFUSAL_REASONS; j++)
		{
			pg_atomic_init_u32(&app->refusals[j], 0);
			pg_atomic_init_u32(&app->observed_refusals[j], 0);
		}
		pg_atomic_init_u32(&app->peak_busy, 0);
		pg_atomic_init_u32(&app->leaking, 0);
		pg_atomic_init_u64(&app->leaking_since, 0);
		pg_atomic_init_u64(&app->leaking_key, 0);
		pg_atomic_init_u64(&app->lost_at, 0);
	}
}

static void
init_shared(void)
{
	memset(pgh_shared, 0, sizeof(*pgh_shared));
	pg_atomic_init_u32(&pgh_shared->worker_pid, 0);
	pg_atomic_init_u32(&pgh_shared->worker_proc, 0);
	pg_atomic_init_u32(&pgh_shared->dozing, 0);
	pg_atomic_init_u64(&pgh_shared->last_pass, 0);
	pg_atomic_init_u64(&pgh_shared->pass_duration, 0);
	pg_atomic_init_u64(&pgh_shared->clock_set_at, 0);
	pg_atomic_init_u64(&pgh_shared->clock_set_from, 0);
	pg_atomic_init_u64(&pgh_shared->stats_since, GetCurrentTimestamp());
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		pg_atomic_init_u64(&pgh_shared->total[i], 0);
	pg_atomic_init_u64(&pgh_shared->refused_by_server, 0);
	pg_atomic_init_u64(&pgh_shared->headroom_refused_at, 0);
	pg_atomic_init_u32(&pgh_shared->slots_wanted, PGH_SLOTS_ENOUGH);
	pg_atomic_init_u32(&pgh_shared->refusals_to_report, 0);
	pg_atomic_init_u32(&pgh_shared->warned, 0);
	pg_atomic_init_u64(&pgh_shared->growth, 0);
	pg_atomic_init_u64(&pgh_shared->changes, 0);
	for (int i = 0; i < PGH_TOLD; i++)
		pg_atomic_init_u64(&pgh_shared->told[i], 0);
	for (int i = 0; i < PGH_MAX_RULES; i++)
	{
		pg_atomic_init_u64(&pgh_shared->rules[i].refused, 0);
		pg_atomic_init_u64(&pgh_shared->rules[i].ended, 0);
		pg_atomic_init_u64(&pgh_shared->rules[i].last_used, 0);
	}
	pgh_shared->n_slots = MaxConnections;
	pgh_shared->n_applications = application_places();
}

/*
 * Runs in the postmaster, also again after a crash: then the segment is new,
 * and the pointers left from the last one must not be believed.
 */
static void
startup_shmem(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	pgh_shared = ShmemInitStruct("pg_hygiene", sizeof(PghShared), &found);
	if (!found)
		init_shared();
	pgh_slots = ShmemInitStruct("pg_hygiene slots",
								mul_size(MaxConnections, sizeof(PghSlot)),
								&found);
	if (!found)
		init_slots();
	pgh_applications = ShmemInitStruct("pg_hygiene applications",
									   mul_size(application_places(),
												sizeof(PghApplication)),
									   &found);
	if (!found)
		init_applications();
	pgh_events = ShmemInitStruct("pg_hygiene events", events_size(), &found);
	if (!found)
	{
		memset(pgh_events, 0, events_size());
		pgh_events->next_id = 1;
	}
	pgh_leaks = ShmemInitStruct("pg_hygiene leaks",
								PGH_MAX_LEAKS * sizeof(PghLeak), &found);
	if (!found)
		memset(pgh_leaks, 0, PGH_MAX_LEAKS * sizeof(PghLeak));
	pgh_samples = ShmemInitStruct("pg_hygiene samples", sizeof(PghSamples),
								  &found);
	if (!found)
		memset(pgh_samples, 0, sizeof(PghSamples));
	locks = GetNamedLWLockTranche("pg_hygiene");
	LWLockRelease(AddinShmemInitLock);
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

/*
 * The postmaster has no PGPROC to wait with, and is alone when it comes here:
 * at start-up and at the end of a shutdown.
 */
void
pgh_lock(PghLockId lock, LWLockMode mode)
{
	if (IsUnderPostmaster)
		LWLockAcquire(&locks[lock].lock, mode);
}

void
pgh_unlock(PghLockId lock)
{
	if (IsUnderPostmaster)
		LWLockRelease(&locks[lock].lock);
}

/*
 * The worker may be gone when we look: its latch then has no owner, and
 * setting it does nothing that hurts.
 */
void
pgh_wake_worker(void)
{
	if (pg_atomic_read_u32(&pgh_shared->worker_pid) != 0)
	{
		uint32		proc = pg_atomic_read_u32(&pgh_shared->worker_proc);

		SetLatch(&ProcGlobal->allProcs[proc].procLatch);
	}
}

void
pgh_want_slots(void)
{
	if (pg_atomic_exchange_u32(&pgh_shared->slots_wanted,
							   PGH_SLOTS_WANTED) == PGH_SLOTS_ENOUGH)
		pgh_wake_worker();
}

void
pgh_require_shared(void)
{
	if (pgh_shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_hygiene must be loaded via \"shared_preload_libraries\""),
				 errhint("Add pg_hygiene to \"shared_preload_libraries\" in postgresql.conf and restart the server.")));
}

PghCounter
pgh_counter_for(PghAction action)
{
	switch (action)
	{
		case PGH_ACTION_CANCEL:
			return PGH_COUNT_CANCELLED;
		case PGH_ACTION_EVICT:
			return PGH_COUNT_EVICTED;
		case PGH_ACTION_REFUSE:
			return PGH_COUNT_REFUSED;
		case PGH_ACTION_ROLLBACK:
			return PGH_COUNT_ROLLED_BACK;
		default:
			return PGH_COUNT_TERMINATED;
	}
}

void
pgh_count(uint32 application, PghCounter counter)
{
	pg_atomic_fetch_add_u64(&pgh_shared->total[counter], 1);
	if (application != PGH_NO_APPLICATION)
		pg_atomic_fetch_add_u64(&pgh_applications[application].count[counter], 1);
}

void
pgh_count_rule(int rule, PghCounter counter)
{
	PghRuleState *state;

	if (rule <= 0 || rule > PGH_MAX_RULES)
		return;
	state = &pgh_shared->rules[rule - 1];
	pg_atomic_fetch_add_u64(counter == PGH_COUNT_REFUSED ?
							&state->refused : &state->ended, 1);
	pg_atomic_write_u64(&state->last_used, GetCurrentTimestamp());
}
