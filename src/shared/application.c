/*-------------------------------------------------------------------------
 *
 * shared/application.c
 *	  One application's counters.
 *
 * Owns: what of them is added up, cleared and kept on disk.  Must not: know
 * the table, or sessions.  Whoever calls it holds the table's lock.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/application.h"

#include "utils/timestamp.h"

#include "pure/diagnosis.h"

void
pgh_application_init(PghApplication *app)
{
	pg_atomic_init_u32(&app->peak, 0);
	pg_atomic_init_u64(&app->peak_at, 0);
	pg_atomic_init_u64(&app->since, 0);
	pg_atomic_init_u64(&app->opened, 0);
	pg_atomic_init_u64(&app->closed, 0);
	pg_atomic_init_u64(&app->ended, 0);
	pg_atomic_init_u64(&app->transactions, 0);
	pg_atomic_init_u64(&app->session_time, 0);
	pg_atomic_init_u64(&app->blocked_time, 0);
	pg_atomic_init_u64(&app->slot_time, 0);
	pg_atomic_init_u64(&app->horizon_xids, 0);
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		pg_atomic_init_u64(&app->count[i], 0);
	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		pg_atomic_init_u32(&app->refusals[i], 0);
		pg_atomic_init_u32(&app->observed_refusals[i], 0);
	}
	pg_atomic_init_u64(&app->lost_at, 0);
	pg_atomic_init_u32(&app->peak_busy, 0);
	pg_atomic_init_u32(&app->leaking, 0);
	pg_atomic_init_u32(&app->leaking_role, InvalidOid);
	pg_atomic_init_u64(&app->leaking_since, 0);
	pg_atomic_init_u64(&app->leaking_key, 0);
	pg_atomic_init_u32(&app->diagnosis, 0);
	pg_atomic_init_u64(&app->diagnosed_since, 0);
	pg_atomic_init_u64(&app->diagnosed_at, 0);
}

void
pgh_application_clear(PghApplication *app)
{
	Assert(app->account.connections == 0);
	pgh_application_reset(app);
	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		pg_atomic_write_u32(&app->refusals[i], 0);
		pg_atomic_write_u32(&app->observed_refusals[i], 0);
	}
	pg_atomic_write_u64(&app->lost_at, 0);
	pg_atomic_write_u32(&app->leaking, 0);
}

void
pgh_application_reset(PghApplication *app)
{
	int32		connections = app->account.connections;
	TimestampTz now = connections > 0 ? GetCurrentTimestamp() : 0;

	pg_atomic_write_u32(&app->peak, connections);
	pg_atomic_write_u64(&app->peak_at, now);
	pg_atomic_write_u64(&app->since, now);
	pg_atomic_write_u64(&app->opened, connections);
	pg_atomic_write_u32(&app->peak_busy, 0);
	pg_atomic_write_u64(&app->closed, 0);
	pg_atomic_write_u64(&app->ended, 0);
	pg_atomic_write_u64(&app->transactions, 0);
	pg_atomic_write_u64(&app->session_time, 0);
	pg_atomic_write_u64(&app->blocked_time, 0);
	pg_atomic_write_u64(&app->slot_time, 0);
	pg_atomic_write_u64(&app->horizon_xids, 0);
	pg_atomic_write_u32(&app->diagnosis, 0);
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		pg_atomic_write_u64(&app->count[i], 0);
}

/* Since when it has been counted: the earliest that is known. */
static void
count_since(PghApplication *app, TimestampTz since)
{
	TimestampTz known = pg_atomic_read_u64(&app->since);

	if (since > 0 && (known == 0 || since < known))
		pg_atomic_write_u64(&app->since, since);
}

void
pgh_application_open(PghApplication *app)
{
	if (pg_atomic_read_u64(&app->since) == 0)
		count_since(app, GetCurrentTimestamp());
	pg_atomic_fetch_add_u64(&app->opened, 1);
}

bool
pgh_application_did_anything(PghApplication *app)
{
	bool		did = pg_atomic_read_u64(&app->opened) > 0;

	for (int i = 0; i < PGH_N_COUNTERS; i++)
		did |= pg_atomic_read_u64(&app->count[i]) > 0;
	return did;
}

void
pgh_application_diagnose(PghApplication *app, uint32 pattern,
						 TimestampTz now)
{
	if (pg_atomic_read_u32(&app->diagnosis) != pattern)
		pg_atomic_write_u64(&app->diagnosed_since, now);
	pg_atomic_write_u32(&app->diagnosis, pattern);
	pg_atomic_write_u64(&app->diagnosed_at, now);
	pgh_note_change();
}

static void
raise_peak_to(PghApplication *app, uint32 peak, TimestampTz at)
{
	if (peak <= pg_atomic_read_u32(&app->peak))
		return;
	pg_atomic_write_u32(&app->peak, peak);
	pg_atomic_write_u64(&app->peak_at, at);
}

void
pgh_application_raise_peak(PghApplication *app, int32 connections)
{
	raise_peak_to(app, connections, GetCurrentTimestamp());
}

static void
add_cost(PghApplication *app, uint64 blocked_time, uint64 slot_time,
		 uint64 horizon_xids)
{
	uint64		xids = pg_atomic_read_u64(&app->horizon_xids);

	pg_atomic_fetch_add_u64(&app->blocked_time, blocked_time);
	pg_atomic_fetch_add_u64(&app->slot_time, slot_time);
	pg_atomic_write_u64(&app->horizon_xids, Max(xids, horizon_xids));
}

void
pgh_application_charge(PghApplication *app, const PghCost *cost)
{
	add_cost(app, cost->blocked_time, cost->slot_time, cost->horizon_xids);
	pgh_note_change();
}

/*
 * Peaks are not added up: they were at different times.  What both have at
 * this moment is seen when the next session comes.
 */
void
pgh_application_add(PghApplication *from, PghApplication *to)
{
	uint64		lost_at = pg_atomic_read_u64(&to->lost_at);

	raise_peak_to(to, pg_atomic_read_u32(&from->peak),
				  pg_atomic_read_u64(&from->peak_at));
	count_since(to, pg_atomic_read_u64(&from->since));
	pg_atomic_fetch_add_u64(&to->opened, pg_atomic_read_u64(&from->opened));
	pg_atomic_fetch_add_u64(&to->closed, pg_atomic_read_u64(&from->closed));
	pg_atomic_fetch_add_u64(&to->ended, pg_atomic_read_u64(&from->ended));
	pg_atomic_fetch_add_u64(&to->transactions,
							pg_atomic_read_u64(&from->transactions));
	pg_atomic_fetch_add_u64(&to->session_time,
							pg_atomic_read_u64(&from->session_time));
	add_cost(to, pg_atomic_read_u64(&from->blocked_time),
			 pg_atomic_read_u64(&from->slot_time),
			 pg_atomic_read_u64(&from->horizon_xids));
	pg_atomic_write_u64(&to->lost_at,
						Max(lost_at, pg_atomic_read_u64(&from->lost_at)));
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		pg_atomic_fetch_add_u64(&to->count[i],
								pg_atomic_read_u64(&from->count[i]));
	pg_atomic_write_u32(&to->peak_busy,
						Max(pg_atomic_read_u32(&to->peak_busy),
							pg_atomic_read_u32(&from->peak_busy)));
}

void
pgh_application_keep(PghApplication *app, PghKeptApplication *kept)
{
	memset(kept, 0, sizeof(*kept));
	strlcpy(kept->name, app->name, sizeof(kept->name));
	kept->is_family = app->is_family;
	kept->established = app->established;
	kept->peak = pg_atomic_read_u32(&app->peak);
	kept->peak_at = pg_atomic_read_u64(&app->peak_at);
	kept->since = pg_atomic_read_u64(&app->since);
	kept->opened = pg_atomic_read_u64(&app->opened);
	kept->ended = pg_atomic_read_u64(&app->ended);
	kept->transactions = pg_atomic_read_u64(&app->transactions);
	kept->session_time = pg_atomic_read_u64(&app->session_time);
	kept->blocked_time = pg_atomic_read_u64(&app->blocked_time);
	kept->slot_time = pg_atomic_read_u64(&app->slot_time);
	kept->horizon_xids = pg_atomic_read_u64(&app->horizon_xids);
	kept->lost_at = pg_atomic_read_u64(&app->lost_at);
	kept->diagnosis = pg_atomic_read_u32(&app->diagnosis);
	kept->diagnosed_since = pg_atomic_read_u64(&app->diagnosed_since);
	kept->diagnosed_at = pg_atomic_read_u64(&app->diagnosed_at);
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		kept->count[i] = pg_atomic_read_u64(&app->count[i]);
}

void
pgh_application_restore(PghApplication *app, const PghKeptApplication *kept)
{
	uint64		lost_at = pg_atomic_read_u64(&app->lost_at);

	raise_peak_to(app, kept->peak, kept->peak_at);
	count_since(app, kept->since);
	pg_atomic_fetch_add_u64(&app->opened, kept->opened);
	pg_atomic_fetch_add_u64(&app->closed, kept->opened);
	pg_atomic_fetch_add_u64(&app->ended, kept->ended);
	pg_atomic_fetch_add_u64(&app->transactions, kept->transactions);
	pg_atomic_fetch_add_u64(&app->session_time, kept->session_time);
	add_cost(app, kept->blocked_time, kept->slot_time, kept->horizon_xids);
	pg_atomic_write_u64(&app->lost_at, Max(lost_at, (uint64) kept->lost_at));
	if (kept->diagnosis < PGH_N_PATTERNS)
	{
		pg_atomic_write_u32(&app->diagnosis, kept->diagnosis);
		pg_atomic_write_u64(&app->diagnosed_since, kept->diagnosed_since);
		pg_atomic_write_u64(&app->diagnosed_at, kept->diagnosed_at);
	}
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		pg_atomic_fetch_add_u64(&app->count[i], kept->count[i]);
}
