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
#include "views/views.h"

#include "funcapi.h"
#include "utils/timestamp.h"

#include "look/live.h"
#include "pure/diagnosis.h"
#include "shared/leaks.h"
#include "shared/members.h"

PG_FUNCTION_INFO_V1(pgh_application_list);

/* ----------
 * hygiene.applications
 * ----------
 */

/* What is said of an application, and since when. */
typedef struct PghAdvice
{
	PghPattern	pattern;
	TimestampTz since;
	TimestampTz last;
} PghAdvice;

/* For how long what was wrong stays, when the sessions have gone. */
#define PGH_ADVICE_STAYS (7 * USECS_PER_DAY)

/* What the worker has noted of how it connects. */
static PghAdvice
noted_advice(PghApplication *app)
{
	PghAdvice	noted;

	noted.pattern = pg_atomic_read_u32(&app->diagnosis);
	noted.since = pg_atomic_read_u64(&app->diagnosed_since);
	noted.last = pg_atomic_read_u64(&app->diagnosed_at);
	return noted;
}

/* What is wrong with the transactions of a leak, and what they cost. */
typedef struct PghLeakAdvice
{
	char		application[PGH_NAME_LEN];
	int64		cost;
	PghAdvice	advice;
} PghLeakAdvice;

typedef struct PghLeakAdvices
{
	PghLeakAdvice *leak;
	int			n;
} PghLeakAdvices;

/* Of all leaks that may be seen: once for all applications. */
static PghLeakAdvices
read_leaks(void)
{
	PghLeakAdvices all = {
		palloc(mul_size(PGH_MAX_LEAKS, sizeof(PghLeakAdvice))), 0
	};

	for (int i = 0; i < PGH_MAX_LEAKS; i++)
	{
		PghLeakAdvice *place = &all.leak[all.n];
		PghLeak		leak;

		if (!pgh_leak_read(i, &leak) || !pgh_may_see(leak.roleid))
			continue;
		place->advice.pattern = pgh_leak_pattern(&leak, 0);
		if (place->advice.pattern == PGH_PATTERN_NONE)
			continue;
		strlcpy(place->application, leak.who.application, PGH_NAME_LEN);
		place->cost = leak.slot_time + leak.blocked_time;
		place->advice.since = leak.first_seen;
		place->advice.last = leak.last_seen;
		all.n++;
	}
	return all;
}

/* What is wrong with the transactions of which it lost the most time. */
static PghAdvice
costliest_leak(const PghApplication *app, const PghLeakAdvices *leaks)
{
	PghAdvice	worst = {PGH_PATTERN_NONE, 0, 0};
	int64		most = -1;

	for (int i = 0; i < leaks->n; i++)
	{
		const PghLeakAdvice *leak = &leaks->leak[i];

		if (leak->cost <= most || strcmp(leak->application, app->name) != 0)
			continue;
		most = leak->cost;
		worst = leak->advice;
	}
	return worst;
}

/*
 * Of this moment, or else of lately: who wants to know in the morning what was
 * wrong at night finds no session any more.
 */
static PghAdvice
find_advice(PghApplication *app, const PghLive *live,
			const PghLeakAdvices *leaks, TimestampTz now)
{
	PghAdvice	noted = noted_advice(app);
	PghPattern	pattern = pgh_live_pattern(app, live, now);

	if (pattern != PGH_PATTERN_NONE)
	{
		noted.since = noted.pattern == pattern ? noted.since : now;
		noted.pattern = pattern;
		noted.last = now;
		return noted;
	}
	if (noted.pattern != PGH_PATTERN_NONE &&
		now - noted.last < PGH_ADVICE_STAYS)
		return noted;
	return costliest_leak(app, leaks);
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
				  const PghLeakAdvices *leaks, TimestampTz now)
{
	int			usable = Max(MaxConnections - pgh_reserved_slots(), 1);
	int64		ended = pg_atomic_read_u64(&app->ended);
	int			peak = pg_atomic_read_u32(&app->peak);
	PghAdvice	advice = {PGH_PATTERN_NONE, 0, 0};

	/* of strangers nothing is known together */
	if (live->hidden == 0 && !app->tentative)
		advice = find_advice(app, live, leaks, now);
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
	pgh_row_int64(row, pg_atomic_read_u64(&app->opened));
	pgh_row_int64(row, pg_atomic_read_u64(&app->closed));
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_REFUSED]));
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_TERMINATED]));
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_EVICTED]));
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_CANCELLED]));
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_SPARED]));
	append_transactions(row, app, live);
	pgh_row_interval(row, ended == 0 ? -1 :
					 (int64) pg_atomic_read_u64(&app->session_time) / ended);
	pgh_row_text(row, pgh_pattern_advice(advice.pattern));
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_ROLLED_BACK]));
	append_observed(row, app, live);
	pgh_row_interval(row, pg_atomic_read_u64(&app->blocked_time));
	pgh_row_interval(row, live->hidden > 0 ? -1 :
					 (int64) pg_atomic_read_u64(&app->slot_time));
	pgh_row_int64(row, pg_atomic_read_u64(&app->horizon_xids));
	pgh_row_timestamp(row, advice.since);
	pgh_row_timestamp(row, advice.last);
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

/* Which places are shown in one row together. */
static bool *
fold_newcomers(void)
{
	bool	   *folded = palloc0(mul_size(pgh_n_applications, sizeof(bool)));
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
		return folded;
	qsort(rows, n, sizeof(PghNewcomerRow), compare_newcomers);
	for (int i = PGH_SHOWN_NEWCOMERS; i < n; i++)
		folded[rows[i].index] = true;
	return folded;
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

/* What is counted for place "i"; false if that is no application's. */
static bool
copy_application(int i, PghApplication *app)
{
	pgh_lock(&pgh_applications_part, LW_SHARED);
	memcpy(app, &pgh_applications[i], sizeof(*app));
	pgh_unlock(&pgh_applications_part);
	return app->used && !app->tentative;
}

Datum
pgh_application_list(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PghLive    *live;
	PghLeakAdvices leaks;
	bool	   *folded;
	PghApplication sum;
	PghLive		live_sum;
	PghRow		row;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	live = pgh_list_live(pgh_may_see, now);
	leaks = read_leaks();
	folded = fold_newcomers();
	begin_sum(&sum, &live_sum);
	for (int i = 0; i < pgh_n_applications; i++)
	{
		PghApplication app;

		if (!copy_application(i, &app))
			continue;
		if (folded[i])
		{
			sum.used = true;
			pgh_application_add(&app, &sum);
			pgh_live_sum(&live_sum, &live[i]);
			continue;
		}
		live[i].place = i;
		build_application(&row, &app, &live[i], &leaks, now);
		pgh_row_end(&row, fcinfo);
	}
	if (sum.used)
	{
		build_application(&row, &sum, &live_sum, &leaks, now);
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}
