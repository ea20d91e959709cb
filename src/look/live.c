/*-------------------------------------------------------------------------
 *
 * look/live.c
 *	  What the sessions of this moment add to what is counted of applications.
 *
 * Owns: one look at all sessions, and what follows from it for the advice on
 * an application.  Must not: act on one, or show anything.
 *
 *-------------------------------------------------------------------------
 */
#include "look/live.h"

#include "pure/policy.h"
#include "shared/behaviour.h"
#include "shared/members.h"

/* ----------
 * One session
 * ----------
 */

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
add_session(PghLive *live, const PghSession *session, PghMaySee may_see,
			TimestampTz now)
{
	TimestampTz xact_start = session->facts.xact_start;

	live->connections++;
	live->hidden += may_see != NULL && !may_see(session->login.roleid);
	live->transactions += session->transactions - session->credited;
	live->renamed += session->facts.renames > 0;
	live->lent += pgh_session_is_lent(&session->facts);
	live->abandoned += is_abandoned(session, now);
	live->used_again += pgh_session_is_used_again(&session->facts,
												  transactions_of(session));
	live->silent += session->facts.state == PGH_STATE_IDLE &&
		now - session->facts.state_start >= PGH_CALL_SILENCE;
	live->n_clients = pgh_count_client(live->clients, live->n_clients,
									   &session->login.address);
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
 * All of them
 * ----------
 */

/*
 * A session counts for the application that it was let in for, whatever it
 * calls itself in a transaction that is still open: so nobody sees more of them
 * than admission has counted.
 */
PghLive *
pgh_list_live(PghMaySee may_see, TimestampTz now)
{
	PghLive    *live = palloc0(mul_size(pgh_n_applications, sizeof(PghLive)));
	PghTurn    *turns = palloc(mul_size(2 * pgh_n_slots,
										sizeof(PghTurn)));
	PghClient  *clients = palloc(mul_size(pgh_n_slots, sizeof(PghClient)));
	int			n_clients = 0;
	int			n_turns = 0;

	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;
		uint32		place;

		if (!pgh_scan_session(i, &session) ||
			session.counted_as == PGH_NO_APPLICATION)
			continue;
		place = session.counted_as;
		add_session(&live[place], &session, may_see, now);
		clients[n_clients].application = place;
		clients[n_clients++].pid = session.login.client_pid;
		if (is_abandoned(&session, now))
		{
			add_turns(&turns[n_turns], &session, place);
			n_turns += 2;
		}
	}
	count_at_once(live, turns, n_turns);
	count_processes(live, clients, n_clients);
	return live;
}

/* What the worker remembers of it, and what goes on at this moment. */
static void
add_behaviour(PghApplicationFacts *facts, uint32 application,
			  const PghLive *live)
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
}

PghPattern
pgh_live_pattern(PghApplication *app, const PghLive *live, TimestampTz now)
{
	PghApplicationFacts facts;
	int64		ended = pg_atomic_read_u64(&app->ended);
	TimestampTz since = pg_atomic_read_u64(&app->since);

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
	facts.observed_for = since == 0 ? 0 : Max(now - since, 0);
	add_behaviour(&facts, live->place, live);
	return pgh_diagnose_application(&facts);
}

void
pgh_live_sum(PghLive *sum, const PghLive *live)
{
	sum->connections += live->connections;
	sum->active += live->active;
	sum->idle += live->idle;
	sum->idle_in_transaction += live->idle_in_transaction;
	sum->hidden += live->hidden;
	sum->transactions += live->transactions;
	if (live->oldest_xact != 0 &&
		(sum->oldest_xact == 0 || live->oldest_xact < sum->oldest_xact))
		sum->oldest_xact = live->oldest_xact;
}
