/*-------------------------------------------------------------------------
 *
 * views/applications.c
 *	  The SQL function behind hygiene.applications.
 *
 * Owns: what is shown of an application: what was counted, and its sessions
 * of this moment.  Must not: act on a session.
 *
 *-------------------------------------------------------------------------
 */
#include "views/live.h"

#include "funcapi.h"
#include "utils/timestamp.h"

#include "pure/diagnosis.h"
#include "shared/behaviour.h"
#include "shared/members.h"

PG_FUNCTION_INFO_V1(pgh_application_list);

/* ----------
 * hygiene.applications
 * ----------
 */

/* What the worker remembers of it, and what goes on at this moment. */
static void
add_behaviour(PghApplicationFacts *facts, uint32 application,
			  const PghLive *live, TimestampTz now)
{
	PghBehaviour behaviour;
	double		resumed;

	if (application >= (uint32) pgh_n_applications ||
		!pgh_behaviour_read(application, &behaviour))
		return;
	resumed = pgh_histogram_count(&behaviour.resumed[PGH_PERIOD_IDLE],
								  PGH_CALL_SILENCE);
	facts->silences_resumed = (int64) resumed;
	facts->silences = live->silent + (int64)
		(resumed + pgh_histogram_count(&behaviour.lost[PGH_PERIOD_IDLE],
									   PGH_CALL_SILENCE));
	facts->observed_for = Max(now - behaviour.since, 0);
}

static void
append_diagnosis(PghRow *row, PghApplication *app, const PghLive *live,
				 TimestampTz now)
{
	PghApplicationFacts facts;
	int64		ended = pg_atomic_read_u64(&app->ended);

	memset(&facts, 0, sizeof(facts));
	facts.named = app->name[0] != '\0';
	facts.connections = live->connections;
	facts.active = live->active;
	facts.idle = live->idle;
	facts.idle_in_transaction = live->idle_in_transaction;
	facts.abandoned = live->abandoned;
	facts.abandoned_at_once = live->at_once;
	facts.abandoned_late = live->late;
	facts.used_again = live->used_again;
	facts.processes = live->process_unknown ? 0 : live->processes;
	facts.renamed = live->renamed;
	facts.lent = live->lent;
	facts.clients = live->n_clients;
	facts.peak = pg_atomic_read_u32(&app->peak);
	facts.peak_active = pg_atomic_read_u32(&app->peak_busy);
	facts.opened = pg_atomic_read_u64(&app->opened);
	facts.closed = pg_atomic_read_u64(&app->closed);
	facts.ended = ended;
	facts.terminated = pg_atomic_read_u64(&app->count[PGH_COUNT_TERMINATED]) +
		pg_atomic_read_u64(&app->count[PGH_COUNT_EVICTED]);
	facts.transactions = pg_atomic_read_u64(&app->transactions);
	facts.mean_session = ended == 0 ? 0 :
		(int64) pg_atomic_read_u64(&app->session_time) / ended;
	facts.live_transactions = live->transactions;
	add_behaviour(&facts, live->place, live, now);
	pgh_row_text(row, pgh_pattern_advice(pgh_diagnose_application(&facts)));
}

/* active, idle, idle_in_transaction */
static void
append_states(PghRow *row, const PghLive *live)
{
	if (live->hidden > 0)
	{
		pgh_row_nulls(row, 3);
		return;
	}
	pgh_row_int32(row, live->active);
	pgh_row_int32(row, live->idle);
	pgh_row_int32(row, live->idle_in_transaction);
}

/* Transactions that end tell when their session has been at work. */
static void
append_transactions(PghRow *row, PghApplication *app, const PghLive *live)
{
	if (live->hidden > 0)
		pgh_row_null(row);
	else
		pgh_row_int64(row, pg_atomic_read_u64(&app->transactions) +
					  live->transactions);
}

/*
 * would_terminate, would_evict, would_refuse: nothing was done then, so these
 * say only what its sessions did.
 */
static void
append_observed(PghRow *row, PghApplication *app, const PghLive *live)
{
	for (int i = PGH_COUNT_WOULD_TERMINATE; i <= PGH_COUNT_WOULD_REFUSE; i++)
		if (live->hidden > 0)
			pgh_row_null(row);
		else
			pgh_row_int64(row, pg_atomic_read_u64(&app->count[i]));
}

static void
build_application(PghRow *row, PghApplication *app, const PghLive *live,
				  TimestampTz now)
{
	int			usable = Max(MaxConnections - pgh_reserved_slots(), 1);
	int64		ended = pg_atomic_read_u64(&app->ended);
	int			peak = pg_atomic_read_u32(&app->peak);

	pgh_row_begin(row);
	pgh_row_text(row, app->name);
	pgh_row_int32(row, live->connections);
	append_states(row, live);
	pgh_row_int32(row, Max(peak, live->connections));
	pgh_row_timestamp(row, live->connections > peak ? now :
					  (TimestampTz) pg_atomic_read_u64(&app->peak_at));
	pgh_row_float8(row, 100.0 * live->connections / usable);
	pgh_row_interval(row, live->hidden > 0 ? -1 :
					 pgh_age(live->oldest_xact, now));
	pgh_row_int64(row, pg_atomic_read_u64(&app->opened) + live->arrived);
	pgh_row_int64(row, pg_atomic_read_u64(&app->closed) + live->departed);
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_REFUSED]));
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_TERMINATED]));
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_EVICTED]));
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_CANCELLED]));
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_SPARED]));
	append_transactions(row, app, live);
	pgh_row_interval(row, ended == 0 ? -1 :
					 (int64) pg_atomic_read_u64(&app->session_time) / ended);
	if (live->hidden > 0 || app->tentative)
		pgh_row_null(row);		/* of strangers nothing is known together */
	else
		append_diagnosis(row, app, live, now);
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_ROLLED_BACK]));
	append_observed(row, app, live);
	pgh_row_interval(row, pg_atomic_read_u64(&app->blocked_time));
	pgh_row_interval(row, live->hidden > 0 ? -1 :
					 (int64) pg_atomic_read_u64(&app->slot_time));
	pgh_row_int64(row, pg_atomic_read_u64(&app->horizon_xids));
}

/* ----------
 * Applications that are new here, if they are many
 * ----------
 */

/*
 * Beyond this many they are shown as one but for a few: most of them are one
 * program that takes another name with each connection.
 */
#define PGH_MANY_NEWCOMERS 16
#define PGH_SHOWN_NEWCOMERS 8

typedef struct PghNewcomerRow
{
	uint32		index;
	uint32		id;
	int			connections;
} PghNewcomerRow;

/* The most connections first; of as many, who came first. */
static int
compare_newcomers(const void *a, const void *b)
{
	const PghNewcomerRow *left = a;
	const PghNewcomerRow *right = b;

	if (left->connections != right->connections)
		return left->connections > right->connections ? -1 : 1;
	return left->id < right->id ? -1 : left->id > right->id;
}

static void
fold_newcomers(PghListing *listing)
{
	PghNewcomerRow *rows = palloc(mul_size(pgh_n_applications,
										   sizeof(PghNewcomerRow)));
	int			n = 0;

	pgh_lock(&pgh_applications_part, LW_SHARED);
	for (int i = PGH_OTHERS + 1; i < pgh_n_applications; i++)
	{
		const PghApplication *app = &pgh_applications[i];

		if (!app->used || app->tentative || app->established)
			continue;
		rows[n].index = i;
		rows[n].id = app->id;
		rows[n++].connections = app->account.connections;
	}
	pgh_unlock(&pgh_applications_part);
	if (n <= PGH_MANY_NEWCOMERS)
		return;
	qsort(rows, n, sizeof(PghNewcomerRow), compare_newcomers);
	for (int i = PGH_SHOWN_NEWCOMERS; i < n; i++)
		listing->folded[rows[i].index] = true;
}

/* The peak of the sum is that of this moment, as far as anybody knows. */
static void
begin_sum(PghApplication *sum, PghLive *live)
{
	memset(sum, 0, sizeof(*sum));
	memset(live, 0, sizeof(*live));
	pgh_application_init(sum);
	strlcpy(sum->name, PGH_NEWCOMERS, PGH_NAME_LEN);
	sum->tentative = true;
}

/* ----------
 * All rows
 * ----------
 */

/* What is counted for row "i"; false if that is no application's. */
static bool
copy_application(const PghListing *listing, int i, PghApplication *app)
{
	memset(app, 0, sizeof(*app));
	if (i >= pgh_n_applications)
	{
		memcpy(app->name, listing->name[i - pgh_n_applications],
			   PGH_NAME_LEN);
		return true;
	}
	pgh_lock(&pgh_applications_part, LW_SHARED);
	memcpy(app, &pgh_applications[i], sizeof(*app));
	pgh_unlock(&pgh_applications_part);
	return app->used && !app->tentative;
}

Datum
pgh_application_list(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PghListing	listing;
	PghApplication sum;
	PghLive		live;
	PghRow		row;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	listing = pgh_list_live(now);
	fold_newcomers(&listing);
	begin_sum(&sum, &live);
	for (int i = 0; i < listing.n; i++)
	{
		PghApplication app;

		if (!copy_application(&listing, i, &app))
			continue;
		if (i < pgh_n_applications && listing.folded[i])
		{
			sum.used = true;
			pgh_application_add(&app, &sum);
			pgh_live_sum(&live, &listing.live[i]);
			continue;
		}
		listing.live[i].place = i;
		build_application(&row, &app, &listing.live[i], now);
		pgh_row_end(&row, fcinfo);
	}
	if (sum.used)
	{
		build_application(&row, &sum, &live, now);
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}
