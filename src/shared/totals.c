/*-------------------------------------------------------------------------
 *
 * shared/totals.c
 *	  What was done on the whole server, and since when it is counted.
 *
 * Owns: PghTotals.  Must not: know applications.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/totals.h"

#include "utils/timestamp.h"

PghTotals  *pgh_totals = NULL;

/* What the file keeps. */
typedef struct PghKeptTotals
{
	uint64		count[PGH_N_COUNTERS];
	uint64		refused_by_server;
	TimestampTz stats_since;
} PghKeptTotals;

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

PghCounter
pgh_counter_for_observed(PghAction action)
{
	switch (action)
	{
		case PGH_ACTION_EVICT:
			return PGH_COUNT_WOULD_EVICT;
		case PGH_ACTION_REFUSE:
			return PGH_COUNT_WOULD_REFUSE;
		default:
			return PGH_COUNT_WOULD_TERMINATE;
	}
}

static Size
size_totals(void)
{
	return sizeof(PghTotals);
}

static void
init_totals(void *area)
{
	pgh_totals = area;
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		pg_atomic_init_u64(&pgh_totals->count[i], 0);
	pg_atomic_init_u64(&pgh_totals->refused_by_server, 0);
	pg_atomic_init_u64(&pgh_totals->stats_since, GetCurrentTimestamp());
	pg_atomic_init_u64(&pgh_totals->changes, 0);
}

static void
reset_totals(void)
{
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		pg_atomic_write_u64(&pgh_totals->count[i], 0);
	pg_atomic_write_u64(&pgh_totals->refused_by_server, 0);
	pg_atomic_write_u64(&pgh_totals->stats_since, GetCurrentTimestamp());
	pgh_note_change();
}

static void
save_totals(PghStream *stream)
{
	PghKeptTotals out;

	memset(&out, 0, sizeof(out));
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		out.count[i] = pg_atomic_read_u64(&pgh_totals->count[i]);
	out.refused_by_server = pg_atomic_read_u64(&pgh_totals->refused_by_server);
	out.stats_since = pg_atomic_read_u64(&pgh_totals->stats_since);
	pgh_put(stream, &out, sizeof(out));
}

static bool
load_totals(PghStream *stream)
{
	PghKeptTotals in;

	if (!pgh_get(stream, &in, sizeof(in)))
		return false;
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		if (!pgh_take_count(stream, in.count[i]))
			return false;
	if (!pgh_take_count(stream, in.refused_by_server) ||
		!pgh_is_time(in.stats_since))
		return false;
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		pg_atomic_write_u64(&pgh_totals->count[i], in.count[i]);
	pg_atomic_write_u64(&pgh_totals->refused_by_server, in.refused_by_server);
	pg_atomic_write_u64(&pgh_totals->stats_since, in.stats_since);
	return true;
}

PghPart		pgh_totals_part = {
	.name = "totals",
	.size = size_totals,
	.init = init_totals,
	.reset = reset_totals,
	.save = save_totals,
	.load = load_totals,
	.format = PGH_FORMAT(1, sizeof(PghKeptTotals)),
};
