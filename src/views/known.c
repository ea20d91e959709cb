/*-------------------------------------------------------------------------
 *
 * views/known.c
 *	  What is known of each application's behaviour, until this moment.
 *
 * Owns: how what the worker remembers and what sessions are doing now become
 * one.  Must not: show it; that is views/behaviour.c and views/suggest.c.
 *
 *-------------------------------------------------------------------------
 */
#include "views/known.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "pure/policy.h"
#include "shared/applications.h"
#include "shared/behaviour.h"
#include "views/row.h"

/* A session of this moment. */
typedef struct PghOpenSession
{
	bool		visible;
	TimestampTz since[PGH_N_PERIOD_KINDS];	/* 0 = none of this kind goes on */
	int32		next;			/* of its application; -1 = end */
} PghOpenSession;

struct PghOpenSessions
{
	TimestampTz now;
	int32	   *first;			/* for each application; -1 = none */
	PghOpenSession *session;	/* for each slot */
};

static void
fill_session(PghOpenSession *open, const PghSession *session)
{
	const PghFacts *facts = &session->facts;

	memset(open, 0, sizeof(*open));
	open->visible = pgh_may_see(session->login.roleid);
	if (facts->state == PGH_STATE_IDLE)
		open->since[PGH_PERIOD_IDLE] = facts->state_start;
	else if (pgh_state_in_transaction_idle(facts->state))
		open->since[PGH_PERIOD_IDLE_IN_TRANSACTION] = facts->state_start;
	open->since[PGH_PERIOD_TRANSACTION] = facts->xact_start;
	open->since[PGH_PERIOD_SESSION] = facts->backend_start != 0 ?
		facts->backend_start : session->login.login_at;
}

PghOpenSessions *
pgh_known_begin(TimestampTz now)
{
	PghOpenSessions *open = palloc(sizeof(PghOpenSessions));

	open->now = now;
	open->first = palloc(mul_size(pgh_n_applications, sizeof(int32)));
	memset(open->first, -1, pgh_n_applications * sizeof(int32));
	open->session = palloc(mul_size(pgh_n_slots, sizeof(PghOpenSession)));
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;

		CHECK_FOR_INTERRUPTS();
		if (!pgh_scan_session(i, &session) ||
			session.counted_as == PGH_NO_APPLICATION)
			continue;
		fill_session(&open->session[i], &session);
		open->session[i].next = open->first[session.counted_as];
		open->first[session.counted_as] = i;
	}
	return open;
}

/* A period that goes on has lasted for so long by now. */
static void
add_session(PghKnown *known, const PghOpenSession *open, TimestampTz now)
{
	for (int kind = 0; kind < PGH_N_PERIOD_KINDS; kind++)
	{
		TimestampTz since = open->since[kind];

		if (since == 0)
			continue;
		known->open[kind]++;
		if (now - since >= PGH_SHORTEST_PERIOD)
			pgh_behaviour_add(&known->behaviour, kind, now - since, false);
	}
}

/*
 * What is known is not kept for each role.  So of an application that has a
 * session which is hidden, or had one last, nothing is known.
 */
bool
pgh_known_read(const PghOpenSessions *open, uint32 application,
			   PghKnown *known)
{
	CHECK_FOR_INTERRUPTS();
	if (!pgh_applications[application].used ||
		!pgh_behaviour_read(application, &known->behaviour) ||
		!pgh_may_see(known->behaviour.roleid))
		return false;
	known->peak = pg_atomic_read_u32(&pgh_applications[application].peak);
	memset(known->open, 0, sizeof(known->open));
	for (int i = open->first[application]; i >= 0; i = open->session[i].next)
	{
		if (!open->session[i].visible)
			return false;
		add_session(known, &open->session[i], open->now);
	}
	return true;
}

void
pgh_known_identity(const PghKnown *known, uint32 application,
				   PghIdentity *who)
{
	const PghBehaviour *behaviour = &known->behaviour;
	char	   *name;

	memset(who, 0, sizeof(*who));
	strlcpy(who->application, pgh_applications[application].name,
			PGH_NAME_LEN);
	name = GetUserNameFromId(behaviour->roleid, true);
	if (name != NULL)
		strlcpy(who->user, name, PGH_NAME_LEN);
	name = get_database_name(behaviour->databaseid);
	if (name != NULL)
		strlcpy(who->database, name, PGH_NAME_LEN);

	/* Else many rules could ask for an address that is hidden. */
	if (pgh_may_see(behaviour->roleid))
		who->address = behaviour->address;
}
