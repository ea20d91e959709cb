/*-------------------------------------------------------------------------
 *
 * shared/applications.c
 *	  Counters for each application name.
 *
 * Owns: the table of names (open addressing, linear probing; a name never
 * leaves its place) and the counters in it.  Must not: know sessions.  Any
 * process attached to shared memory may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/applications.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

/*
 * Walk the probe sequence of "name": the index of its place, or of the free
 * place where it would go, or 0 when the table is full.  The caller holds the
 * lock.
 */
static uint32
probe(const char *name)
{
	const uint32 places = pgh_shared->n_applications - 1;
	uint32		start = hash_bytes((const unsigned char *) name,
								   (int) strlen(name)) % places;

	for (uint32 i = 0; i < places; i++)
	{
		uint32		index = 1 + (start + i) % places;
		PghApplication *app = &pgh_applications[index];

		if (!app->used || strcmp(app->name, name) == 0)
			return index;
	}
	return 0;
}

/* Give a new name its place, unless max_applications names have one. */
static uint32
insert(const char *name)
{
	uint32		index;

	pgh_lock(PGH_LOCK_APPLICATIONS, LW_EXCLUSIVE);
	index = probe(name);
	if (index != 0 && !pgh_applications[index].used)
	{
		if (pgh_shared->n_names >= pgh_max_applications)
			index = 0;
		else
		{
			strlcpy(pgh_applications[index].name, name, PGH_NAME_LEN);
			pgh_applications[index].used = true;
			pgh_shared->n_names++;
		}
	}
	if (index == 0 && !pgh_applications[0].used)
	{
		strlcpy(pgh_applications[0].name, PGH_OTHER_APPLICATIONS,
				PGH_NAME_LEN);
		pgh_applications[0].used = true;
	}
	pgh_unlock(PGH_LOCK_APPLICATIONS);
	return index;
}

uint32
pgh_application_index(const char *name)
{
	uint32		index;
	bool		known;

	/* A longer one would never be found, and get a place each time. */
	Assert(strlen(name) < PGH_NAME_LEN);
	pgh_lock(PGH_LOCK_APPLICATIONS, LW_SHARED);
	index = probe(name);
	known = index != 0 && pgh_applications[index].used;
	pgh_unlock(PGH_LOCK_APPLICATIONS);
	return known ? index : insert(name);
}

/*
 * Raise the peak to "connections" if that is more.  Two sessions that raise
 * it at once may leave the earlier one's time beside the later one's number:
 * the two moments are then microseconds apart.
 */
void
pgh_application_raise_peak(uint32 index, uint32 connections)
{
	PghApplication *app = &pgh_applications[index];
	uint32		peak = pg_atomic_read_u32(&app->peak);

	while (connections > peak)
	{
		if (pg_atomic_compare_exchange_u32(&app->peak, &peak, connections))
		{
			pg_atomic_write_u64(&app->peak_at, GetCurrentTimestamp());
			return;
		}
	}
}

uint32
pgh_application_enter(uint32 index)
{
	PghApplication *app = &pgh_applications[index];
	uint32		connections = pg_atomic_add_fetch_u32(&app->connections, 1);

	pg_atomic_fetch_add_u64(&app->opened, 1);
	pgh_note_change();
	return connections;
}

void
pgh_application_leave(uint32 index)
{
	pg_atomic_fetch_sub_u32(&pgh_applications[index].connections, 1);
	pg_atomic_fetch_add_u64(&pgh_applications[index].closed, 1);
	pgh_note_change();
}

void
pgh_application_credit(uint32 index, uint64 transactions)
{
	pg_atomic_fetch_add_u64(&pgh_applications[index].transactions,
							transactions);
	pgh_note_change();
}

void
pgh_application_end(uint32 index, uint64 transactions, int64 duration)
{
	PghApplication *app = &pgh_applications[index];

	pg_atomic_fetch_add_u64(&app->transactions, transactions);
	pg_atomic_fetch_add_u64(&app->session_time, Max(duration, 0));
	pg_atomic_fetch_add_u64(&app->ended, 1);
	pgh_application_leave(index);
}

void
pgh_application_undo_enter(uint32 index)
{
	pg_atomic_fetch_sub_u32(&pgh_applications[index].connections, 1);
	pg_atomic_fetch_sub_u64(&pgh_applications[index].opened, 1);
}

void
pgh_applications_reset(void)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < pgh_shared->n_applications; i++)
	{
		PghApplication *app = &pgh_applications[i];
		uint32		connections = pg_atomic_read_u32(&app->connections);

		pg_atomic_write_u32(&app->peak, connections);
		pg_atomic_write_u64(&app->peak_at, connections > 0 ? now : 0);
		pg_atomic_write_u64(&app->opened, connections);
		pg_atomic_write_u32(&app->peak_busy, 0);
		pg_atomic_write_u64(&app->closed, 0);
		pg_atomic_write_u64(&app->ended, 0);
		pg_atomic_write_u64(&app->transactions, 0);
		pg_atomic_write_u64(&app->session_time, 0);
		for (int j = 0; j < PGH_N_COUNTERS; j++)
			pg_atomic_write_u64(&app->count[j], 0);
	}
}
