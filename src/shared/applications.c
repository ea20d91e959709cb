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

PghApplication *pgh_applications = NULL;
int			pgh_n_applications = 0;

static int *n_names;			/* places that are taken, but for the overflow */

/*
 * Walk the probe sequence of "name": the index of its place, or of the free
 * place where it would go, or 0 when the table is full.  The caller holds the
 * lock.
 */
static uint32
probe(const char *name)
{
	const uint32 places = pgh_n_applications - 1;
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

	pgh_lock(&pgh_applications_part, LW_EXCLUSIVE);
	index = probe(name);
	if (index != 0 && !pgh_applications[index].used)
	{
		if (*n_names >= pgh_max_applications)
			index = 0;
		else
		{
			strlcpy(pgh_applications[index].name, name, PGH_NAME_LEN);
			pgh_applications[index].used = true;
			(*n_names)++;
		}
	}
	if (index == 0 && !pgh_applications[0].used)
	{
		strlcpy(pgh_applications[0].name, PGH_OTHER_APPLICATIONS,
				PGH_NAME_LEN);
		pgh_applications[0].used = true;
	}
	pgh_unlock(&pgh_applications_part);
	return index;
}

uint32
pgh_application_index(const char *name)
{
	uint32		index;
	bool		known;

	/* A longer one would never be found, and get a place each time. */
	Assert(strlen(name) < PGH_NAME_LEN);
	pgh_lock(&pgh_applications_part, LW_SHARED);
	index = probe(name);
	known = index != 0 && pgh_applications[index].used;
	pgh_unlock(&pgh_applications_part);
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

/* The worker alone raises horizon_xids. */
void
pgh_application_charge(uint32 index, const PghCost *cost)
{
	PghApplication *app = &pgh_applications[index];

	pg_atomic_fetch_add_u64(&app->blocked_time, cost->blocked_time);
	pg_atomic_fetch_add_u64(&app->slot_time, cost->slot_time);
	if (cost->horizon_xids > (int64) pg_atomic_read_u64(&app->horizon_xids))
		pg_atomic_write_u64(&app->horizon_xids, cost->horizon_xids);
	pgh_note_change();
}

void
pgh_application_undo_enter(uint32 index)
{
	pg_atomic_fetch_sub_u32(&pgh_applications[index].connections, 1);
	pg_atomic_fetch_sub_u64(&pgh_applications[index].opened, 1);
}

void
pgh_count(uint32 application, PghCounter counter)
{
	pg_atomic_fetch_add_u64(&pgh_totals->count[counter], 1);
	if (application != PGH_NO_APPLICATION)
		pg_atomic_fetch_add_u64(&pgh_applications[application].count[counter], 1);
}

/* ----------
 * The part
 * ----------
 */

/*
 * One for the overflow, and half as many again as there may be names, so that
 * probing stays short.
 */
int
pgh_application_places(void)
{
	return 1 + pgh_max_applications + pgh_max_applications / 2;
}

static Size
size_applications(void)
{
	return add_size(MAXALIGN(sizeof(*n_names)),
					mul_size(pgh_application_places(), sizeof(PghApplication)));
}

static void
init_application(PghApplication *app)
{
	pg_atomic_init_u32(&app->connections, 0);
	pg_atomic_init_u32(&app->peak, 0);
	pg_atomic_init_u64(&app->peak_at, 0);
	pg_atomic_init_u64(&app->opened, 0);
	pg_atomic_init_u64(&app->closed, 0);
	pg_atomic_init_u64(&app->ended, 0);
	pg_atomic_init_u64(&app->transactions, 0);
	pg_atomic_init_u64(&app->session_time, 0);
	pg_atomic_init_u64(&app->blocked_time, 0);
	pg_atomic_init_u64(&app->slot_time, 0);
	pg_atomic_init_u64(&app->horizon_xids, 0);
	for (int j = 0; j < PGH_N_COUNTERS; j++)
		pg_atomic_init_u64(&app->count[j], 0);
	for (int j = 0; j < PGH_N_LIMITS; j++)
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

static void
init_applications(void *area)
{
	n_names = area;
	pgh_applications = (PghApplication *)
		((char *) area + MAXALIGN(sizeof(*n_names)));
	pgh_n_applications = pgh_application_places();
	for (int i = 0; i < pgh_n_applications; i++)
		init_application(&pgh_applications[i]);
}

/* Clear every counter but the numbers of open connections. */
static void
reset_applications(void)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < pgh_n_applications; i++)
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
		pg_atomic_write_u64(&app->blocked_time, 0);
		pg_atomic_write_u64(&app->slot_time, 0);
		pg_atomic_write_u64(&app->horizon_xids, 0);
		for (int j = 0; j < PGH_N_COUNTERS; j++)
			pg_atomic_write_u64(&app->count[j], 0);
	}
}

/* What the file keeps; its sessions have all ended by then. */
typedef struct PghKeptApplication
{
	char		name[PGH_NAME_LEN];
	uint32		peak;
	uint32		is_rest;		/* the sum of those beyond max_applications */
	TimestampTz peak_at;
	uint64		opened;
	uint64		ended;
	uint64		transactions;
	uint64		session_time;
	uint64		blocked_time;
	uint64		slot_time;
	uint64		horizon_xids;
	TimestampTz lost_at;
	uint64		count[PGH_N_COUNTERS];
} PghKeptApplication;

static void
save_application(PghStream *stream, PghApplication *app)
{
	PghKeptApplication out;

	memset(&out, 0, sizeof(out));
	strlcpy(out.name, app->name, sizeof(out.name));
	out.is_rest = app == &pgh_applications[0];
	out.peak = pg_atomic_read_u32(&app->peak);
	out.peak_at = pg_atomic_read_u64(&app->peak_at);
	out.opened = pg_atomic_read_u64(&app->opened);
	out.ended = pg_atomic_read_u64(&app->ended);
	out.transactions = pg_atomic_read_u64(&app->transactions);
	out.session_time = pg_atomic_read_u64(&app->session_time);
	out.blocked_time = pg_atomic_read_u64(&app->blocked_time);
	out.slot_time = pg_atomic_read_u64(&app->slot_time);
	out.horizon_xids = pg_atomic_read_u64(&app->horizon_xids);
	out.lost_at = pg_atomic_read_u64(&app->lost_at);
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		out.count[i] = pg_atomic_read_u64(&app->count[i]);
	pgh_put(stream, &out, sizeof(out));
}

static void
save_applications(PghStream *stream)
{
	for (int i = 0; i < pgh_n_applications; i++)
		if (pgh_applications[i].used)
			save_application(stream, &pgh_applications[i]);
}

/*
 * The rest has a place of its own, not one among the names: a client may have
 * taken the name that it is shown under.
 */
static PghApplication *
place_for(const PghKeptApplication *in)
{
	PghApplication *rest = &pgh_applications[0];

	if (!in->is_rest)
		return &pgh_applications[pgh_application_index(in->name)];
	strlcpy(rest->name, in->name, PGH_NAME_LEN);
	rest->used = true;
	return rest;
}

/* Every session that it had has ended. */
static void
restore_application(const PghKeptApplication *in)
{
	PghApplication *app = place_for(in);
	uint64		lost_at = pg_atomic_read_u64(&app->lost_at);
	uint64		horizon_xids = pg_atomic_read_u64(&app->horizon_xids);

	if (in->peak > pg_atomic_read_u32(&app->peak))
	{
		pg_atomic_write_u32(&app->peak, in->peak);
		pg_atomic_write_u64(&app->peak_at, in->peak_at);
	}
	pg_atomic_fetch_add_u64(&app->opened, in->opened);
	pg_atomic_fetch_add_u64(&app->closed, in->opened);
	pg_atomic_fetch_add_u64(&app->ended, in->ended);
	pg_atomic_fetch_add_u64(&app->transactions, in->transactions);
	pg_atomic_fetch_add_u64(&app->session_time, in->session_time);
	pg_atomic_fetch_add_u64(&app->blocked_time, in->blocked_time);
	pg_atomic_fetch_add_u64(&app->slot_time, in->slot_time);
	pg_atomic_write_u64(&app->horizon_xids,
						Max(horizon_xids, in->horizon_xids));
	pg_atomic_write_u64(&app->lost_at, Max(lost_at, (uint64) in->lost_at));
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		pg_atomic_fetch_add_u64(&app->count[i], in->count[i]);
}

static bool
load_applications(PghStream *stream)
{
	while (stream->length > 0)
	{
		PghKeptApplication in;

		if (!pgh_get(stream, &in, sizeof(in)))
			return false;
		in.name[PGH_NAME_LEN - 1] = '\0';
		restore_application(&in);
	}
	return true;
}

PghPart		pgh_applications_part = {
	.name = "applications",
	.size = size_applications,
	.init = init_applications,
	.reset = reset_applications,
	.save = save_applications,
	.load = load_applications,
	.format = PGH_FORMAT(2, sizeof(PghKeptApplication)),
};
