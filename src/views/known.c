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

/* A period that goes on has lasted for so long by now. */
static void
add_open(PghKnown *known, PghPeriodKind kind, TimestampTz since,
		 TimestampTz now)
{
	known->open[kind]++;
	if (now - since >= PGH_SHORTEST_PERIOD)
		pgh_behaviour_add(&known->behaviour, kind, now - since, false);
}

static void
add_session(PghKnown *known, const PghSession *session, TimestampTz now)
{
	const PghFacts *facts = &session->facts;

	if (facts->state == PGH_STATE_IDLE)
		add_open(known, PGH_PERIOD_IDLE, facts->state_start, now);
	else if (pgh_state_in_transaction_idle(facts->state))
		add_open(known, PGH_PERIOD_IDLE_IN_TRANSACTION, facts->state_start,
				 now);
	if (facts->xact_start != 0)
		add_open(known, PGH_PERIOD_TRANSACTION, facts->xact_start, now);
	add_open(known, PGH_PERIOD_SESSION, facts->backend_start != 0 ?
			 facts->backend_start : session->login.login_at, now);
}

/*
 * What is known is not kept for each role.  So of an application that has a
 * session which is hidden, or had one last, nothing is known.
 */
PghKnown *
pgh_known_load(TimestampTz now)
{
	/* two gigabytes where max_applications is as large as can be */
	PghKnown   *all = palloc_extended(mul_size(pgh_n_applications,
											   sizeof(PghKnown)),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (int i = 0; i < pgh_n_applications; i++)
	{
		if (!pgh_applications[i].used)
			continue;
		all[i].known = pgh_behaviour_read(i, &all[i].behaviour) &&
			pgh_may_see(all[i].behaviour.roleid);
		if (!all[i].known)
			memset(&all[i].behaviour, 0, sizeof(PghBehaviour));
		all[i].peak = pg_atomic_read_u32(&pgh_applications[i].peak);
	}
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;

		CHECK_FOR_INTERRUPTS();
		if (!pgh_scan_session(i, &session) ||
			session.counted_as == PGH_NO_APPLICATION ||
			!all[session.counted_as].known)
			continue;
		if (pgh_may_see(session.login.roleid))
			add_session(&all[session.counted_as], &session, now);
		else
			all[session.counted_as].known = false;
	}
	return all;
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
