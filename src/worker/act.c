/*-------------------------------------------------------------------------
 *
 * worker/act.c
 *	  From a verdict to a request, a signal, an event.
 *
 * Owns: what is recorded and asked when a limit is due.  Must not: decide
 * whether it is.  For the worker only.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/act.h"

#include "message.h"
#include "pure/limits.h"
#include "pure/policy.h"
#include "shared/leaks.h"
#include "shared/members.h"
#include "shared/request.h"
#include "shared/rule_labels.h"

/* The fields of an event that describe a session. */
static void
describe(PghEvent *event, const PghSession *session, TimestampTz now)
{
	const PghFacts *facts = &session->facts;

	event->has_session = true;
	event->pid = session->login.pid;
	event->roleid = session->login.roleid;
	event->who = session->who;
	memcpy(event->trace_id, session->trace_id, PGH_TRACE_ID_LEN);
	event->state = facts->state;
	event->wrote = facts->wrote;
	event->blocking = facts->blocking;
	event->transaction_age = facts->xact_start ?
		Max(now - facts->xact_start, 0) : -1;
	event->query_id = session->query_id;
	pgh_scan_query(session, event->query, sizeof(event->query));
}

static void
fill_request(PghRequest *request, const PghSession *session,
			 const PghVerdict *verdict, TimestampTz now)
{
	memset(request, 0, sizeof(*request));
	request->decision = verdict->decision;
	request->measured_at = now;
	request->state_start = session->facts.state_start;
	request->xact_start = session->facts.xact_start;
	request->lxid = session->lxid;

	/*
	 * One that is idle now is ended only while it still is.  A transaction
	 * that is too old and at work is cancelled, and ended whatever it does
	 * once its grace is over.
	 */
	request->must_be_idle = session->facts.state != PGH_STATE_ACTIVE;
	request->rules_version = pgh_rule_labels_version();
}

uint64
pgh_note_leak(const PghSession *session)
{
	char		query[PGH_QUERY_LEN];
	PghIdentity who = pgh_scan_leaker(session);
	PghSighting sighting;

	pgh_scan_query(session, query, sizeof(query));
	if (query[0] == '\0')
		return 0;				/* it has gone on meanwhile */
	sighting.who = &who;
	sighting.roleid = session->login.roleid;
	sighting.state = session->facts.state;
	sighting.wrote = session->facts.wrote;
	sighting.query_id = session->query_id;
	sighting.transactions = session->transactions;
	sighting.query = query;
	return pgh_leak_see(&sighting);
}

/* An idle transaction that is ended belongs to a leak, with its advice. */
static void
attach_leak(PghRequest *request, const PghSession *session)
{
	static PghLeak leak;		/* large, and only the worker is here */

	if (!pgh_state_in_transaction_idle(session->facts.state))
		return;
	request->leak = session->leak;
	if (request->leak == 0 || !pgh_leak_find(request->leak, &leak))
		request->leak = pgh_note_leak(session);
	if (request->leak != 0 && pgh_leak_find(request->leak, &leak))
	{
		leak.ended++;			/* this one */
		request->pattern = pgh_leak_pattern(&leak, 0);
	}
}

static uint64
record(const PghSession *session, const PghVerdict *verdict,
	   PghOutcome outcome, TimestampTz now)
{
	static PghEvent event;		/* large, and only the worker is here */

	memset(&event, 0, sizeof(event));
	event.decision = verdict->decision;
	event.outcome = outcome;
	describe(&event, session, now);
	return pgh_event_add(&event);
}

/* Was this very thing recorded already, while observing? */
static bool
already_observed(PghSlot *slot, const PghSession *session, PghLimit reason)
{
	bool		of_transaction = pgh_limit_kind(reason) == PGH_KIND_TRANSACTION;
	TimestampTz *seen = of_transaction ?
		&slot->observed_xact_start : &slot->observed_state_start;
	TimestampTz start = of_transaction ?
		session->facts.xact_start : session->facts.state_start;

	if (*seen == start)
		return true;
	*seen = start;
	return false;
}

static void
observe(const PghSession *session, const PghVerdict *verdict,
		const PghRequest *request, TimestampTz now)
{
	PghMessage	message;

	if (already_observed(&pgh_slots[session->index], session,
						 verdict->decision.reason))
		return;
	record(session, verdict, PGH_OUTCOME_OBSERVED, now);
	pgh_message_for_request(request, session->name, session->who.application,
							verdict->decision.measured, &message);
	ereport(LOG,
			(verdict->decision.action == PGH_ACTION_CANCEL ?
			 errmsg("pg_hygiene would cancel the statement of process %d, but only observes: %s",
					session->login.pid, pgh_limit_name(verdict->decision.reason)) :
			 errmsg("pg_hygiene would end process %d, but only observes: %s",
					session->login.pid, pgh_limit_name(verdict->decision.reason)),
			 errdetail_internal("%s", message.detail)));
}

/* From now on the grace of this transaction runs. */
static void
note_cancel(const PghSession *session, TimestampTz now)
{
	PghSlot    *slot = &pgh_slots[session->index];

	pg_atomic_write_u64(&slot->cancelled_at, now);
	pg_write_barrier();
	pg_atomic_write_u64(&slot->cancelled_xact_start,
						session->facts.xact_start);
}

bool
pgh_act(const PghSession *session, const PghVerdict *verdict, PghMode mode,
		TimestampTz now)
{
	PghRequest	request;

	if (mode == PGH_MODE_OFF)
		return false;
	fill_request(&request, session, verdict, now);
	if (mode == PGH_MODE_OBSERVE)
	{
		observe(session, verdict, &request, now);
		return false;
	}

	if (verdict->decision.action == PGH_ACTION_CANCEL)
		note_cancel(session, now);
	attach_leak(&request, session);
	request.event_id = record(session, verdict, PGH_OUTCOME_PENDING, now);
	if (pgh_request_post(session->index, session->changecount, &request))
		return true;

	/* It left between our look and our signal. */
	pgh_event_finish(request.event_id, PGH_OUTCOME_SPARED);
	pgh_member_count(&pgh_slots[session->index], PGH_COUNT_SPARED);
	return false;
}
