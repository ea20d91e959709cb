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

#include "common/hashfn.h"
#include "funcapi.h"
#include "utils/timestamp.h"

#include "pure/diagnosis.h"
#include "pure/policy.h"
#include "shared/applications.h"
#include "shared/behaviour.h"
#include "shared/leaks.h"

PG_FUNCTION_INFO_V1(pgh_application_list);

/* ----------
 * What is counted from the sessions of this moment
 * ----------
 */

typedef struct PghLive
{
	int			connections;
	int			active;
	int			idle;
	int			idle_in_transaction;
	int64		transactions;
	int			abandoned;		/* as pgh_session_is_abandoned() has it */
	int			at_work;		/* of those, as count_at_once() goes by */
	int			at_once;		/* the most that this was */
	int			late;			/* of the abandoned: began when others had
								 * been silent for a while */
	TimestampTz first_silence;	/* when the first of them fell silent; or 0 */
	int			used_again;		/* as pgh_session_is_used_again() has it */
	int			silent;			/* idle outside of a transaction for a while */
	int			processes;		/* of clients */
	bool		process_unknown;	/* of one at least */
	int			renamed;		/* had another name before */
	int			lent;			/* as pgh_session_is_lent() has it */
	int			n_clients;
	uint32		clients[PGH_MAX_LEAK_CLIENTS];	/* hashes of addresses */
	int			arrived;		/* took this name, not yet counted so */
	int			departed;		/* counted under it, has another by now */
	TimestampTz oldest_xact;	/* 0 = none */
	int			hidden;			/* whose states the current user may not see */
} PghLive;

/* Count distinct client addresses, up to a bound. */
static void
add_client(PghLive *live, const PghAddress *address)
{
	uint32		hash = hash_bytes((const unsigned char *) address,
								  sizeof(PghAddress));

	for (int i = 0; i < live->n_clients; i++)
		if (live->clients[i] == hash)
			return;
	if (live->n_clients < PGH_MAX_LEAK_CLIENTS)
		live->clients[live->n_clients++] = hash;
}

/* With the one that is open. */
static int64
transactions_of(const PghSession *session)
{
	return session->transactions +
		(session->facts.xact_start != 0 &&
		 session->facts.state != PGH_STATE_IDLE_IN_TRANSACTION_ABORTED);
}

static bool
is_abandoned(const PghSession *session, TimestampTz now)
{
	return pgh_session_is_abandoned(&session->facts,
									transactions_of(session), now);
}

static void
add_session(PghLive *live, const PghSession *session, TimestampTz now)
{
	TimestampTz xact_start = session->facts.xact_start;

	live->connections++;
	live->hidden += !pgh_may_see(session->login.roleid);
	live->transactions += session->transactions - session->credited;
	live->renamed += session->facts.renames > 0;
	live->lent += pgh_session_is_lent(&session->facts);
	live->abandoned += is_abandoned(session, now);
	live->used_again += pgh_session_is_used_again(&session->facts,
												  transactions_of(session));
	live->silent += session->facts.state == PGH_STATE_IDLE &&
		now - session->facts.state_start >= PGH_CALL_SILENCE;
	add_client(live, &session->login.address);
	if (session->facts.state == PGH_STATE_ACTIVE)
		live->active++;
	else if (session->facts.state == PGH_STATE_IDLE)
		live->idle++;
	else if (pgh_state_in_transaction_idle(session->facts.state))
		live->idle_in_transaction++;
	if (xact_start != 0 &&
		(live->oldest_xact == 0 || xact_start < live->oldest_xact))
		live->oldest_xact = xact_start;
}

/* ----------
 * Were abandoned sessions at work at the same time, or one after the other?
 * ----------
 */

typedef struct PghTurn
{
	TimestampTz at;
	int			change;			/* 1: a session began; -1: it fell silent */
	uint32		application;
} PghTurn;

static int
compare_turns(const void *a, const void *b)
{
	const PghTurn *left = a;
	const PghTurn *right = b;

	if (left->at != right->at)
		return left->at < right->at ? -1 : 1;
	return left->change - right->change;
}

static void
count_at_once(PghLive *live, PghTurn *turns, int n)
{
	qsort(turns, n, sizeof(PghTurn), compare_turns);
	for (int i = 0; i < n; i++)
	{
		PghLive    *its = &live[turns[i].application];

		its->at_work += turns[i].change;
		its->at_once = Max(its->at_once, its->at_work);
		if (turns[i].change < 0 && its->first_silence == 0)
			its->first_silence = turns[i].at;
		its->late += turns[i].change > 0 && its->first_silence != 0 &&
			turns[i].at - its->first_silence >= PGH_CALL_SILENCE;
	}
}

static void
add_turns(PghTurn *turns, const PghSession *session, uint32 application)
{
	turns[0].at = session->facts.backend_start;
	turns[0].change = 1;
	turns[1].at = session->facts.state_start;
	turns[1].change = -1;
	turns[0].application = turns[1].application = application;
}

/* ----------
 * How many processes are they of?
 * ----------
 */

typedef struct PghClient
{
	uint32		application;
	int			pid;
} PghClient;

static int
compare_clients(const void *a, const void *b)
{
	const PghClient *left = a;
	const PghClient *right = b;

	if (left->application != right->application)
		return left->application < right->application ? -1 : 1;
	return left->pid - right->pid;
}

static void
count_processes(PghLive *live, PghClient *clients, int n)
{
	qsort(clients, n, sizeof(PghClient), compare_clients);
	for (int i = 0; i < n; i++)
	{
		PghLive    *its = &live[clients[i].application];

		its->process_unknown |= clients[i].pid == 0;
		its->processes += i == 0 ||
			compare_clients(&clients[i], &clients[i - 1]) != 0;
	}
}

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

	if (!pgh_behaviour_read(application, &behaviour))
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
	add_behaviour(&facts, app - pgh_applications, live, now);
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
	if (live->hidden > 0)
		pgh_row_null(row);
	else
		append_diagnosis(row, app, live, now);
	pgh_row_int64(row, pg_atomic_read_u64(&app->count[PGH_COUNT_ROLLED_BACK]));
	append_observed(row, app, live);
	pgh_row_interval(row, pg_atomic_read_u64(&app->blocked_time));
	pgh_row_interval(row, live->hidden > 0 ? -1 :
					 (int64) pg_atomic_read_u64(&app->slot_time));
	pgh_row_int64(row, pg_atomic_read_u64(&app->horizon_xids));
}

/*
 * The sessions of this moment by the name that they have now.  A name that
 * changed a moment ago is still counted under the old one in shared memory;
 * "arrived" and "departed" say by how much that is behind.
 */
static PghLive *
count_by_application(TimestampTz now)
{
	PghLive    *live = palloc0(mul_size(pgh_n_applications,
										sizeof(PghLive)));
	PghTurn    *turns = palloc(mul_size(2 * pgh_n_slots,
										sizeof(PghTurn)));
	PghClient  *clients = palloc(mul_size(pgh_n_slots, sizeof(PghClient)));
	int			n_clients = 0;
	int			n_turns = 0;

	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;
		uint32		index;

		if (!pgh_scan_session(i, &session) ||
			session.counted_as == PGH_NO_APPLICATION)
			continue;
		index = pgh_application_index(session.who.application);
		add_session(&live[index], &session, now);
		clients[n_clients].application = index;
		clients[n_clients++].pid = session.login.client_pid;
		if (is_abandoned(&session, now))
		{
			add_turns(&turns[n_turns], &session, index);
			n_turns += 2;
		}
		if (index != session.counted_as)
		{
			live[index].arrived++;
			live[session.counted_as].departed++;
		}
	}
	count_at_once(live, turns, n_turns);
	count_processes(live, clients, n_clients);
	return live;
}

Datum
pgh_application_list(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PghLive    *live;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	live = count_by_application(now);
	for (int i = 0; i < pgh_n_applications; i++)
	{
		PghRow		row;

		if (!pgh_applications[i].used)
			continue;
		build_application(&row, &pgh_applications[i], &live[i], now);
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}
