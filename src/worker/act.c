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

#include "look/clock.h"
#include "look/describe.h"
#include "message.h"
#include "pure/limits.h"
#include "pure/policy.h"
#include "shared/leaks.h"
#include "shared/members.h"
#include "shared/request.h"
#include "shared/rule_labels.h"
#include "shared/settings.h"
#include "worker/stall.h"
#include "worker/watch.h"

static void
fill_request(PghRequest *request, const PghSession *session,
			 const PghVerdict *verdict, TimestampTz now)
{
	memset(request, 0, sizeof(*request));
	request->decision = verdict->decision;
	request->generation = pgh_settings_here();
	request->measured_at = now;
	request->state_start = session->facts.state_start;
	request->xact_start = session->xact_start;
	request->lxid = session->lxid;
	request->still = session->still;

	/*
	 * One that is idle now is ended only while it still is.  A transaction
	 * that is too old and at work is cancelled, and ended whatever it does
	 * once its grace is over.
	 */
	request->must_be_idle =
		pgh_state_for_limits(&session->facts) != PGH_STATE_ACTIVE;
	request->rolled_back =
		session->facts.rolled_back_for != PGH_LIMIT_NONE &&
		session->facts.blocking == 0;
	request->rules_version = pgh_rule_labels_version();
}

/*
 * One that idles on after its transaction was rolled back was seen in that
 * already, and shows nothing of its program that is new.
 */
uint64
pgh_note_leak(const PghSession *session)
{
	char		query[PGH_QUERY_LEN];
	PghIdentity who = pgh_scan_leaker(session);
	PghSighting sighting;
	uint64		fingerprint;

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
	if (session->facts.rolled_back_for != PGH_LIMIT_NONE)
		return pgh_leak_key(&sighting, &fingerprint);
	return pgh_leak_see(&sighting);
}

/* An idle transaction that is ended belongs to a leak, with its advice. */
static void
attach_leak(PghRequest *request, const PghSession *session, TimestampTz now)
{
	static PghLeak leak;		/* large, and only the worker is here */
	PghFacts	facts = session->facts;

	pgh_clock_correct(&facts, now);
	if (!pgh_ends_leak(&facts, &request->decision, now))
	{
		pgh_watch_ends_in_leak(session, session->leak, now);
		return;
	}
	request->leak = session->leak;
	if (request->leak == 0 || !pgh_leak_find(request->leak, &leak))
		request->leak = pgh_note_leak(session);
	pgh_watch_ends_in_leak(session, request->leak, now);
	if (request->leak != 0 && pgh_leak_find(request->leak, &leak))
	{
		leak.ended++;			/* this one */
		request->pattern =
			pgh_leak_pattern(&leak, Max(now - facts.state_start, 1));
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
	pgh_describe_session(session, &event, now);
	return pgh_event_add(&event);
}

/* When what this sort of limit is about began. */
static TimestampTz
start_of(const PghSession *session, PghLimitKind kind)
{
	switch (kind)
	{
		case PGH_KIND_TRANSACTION:
			return session->facts.xact_start;
		case PGH_KIND_SESSION:
			return session->facts.backend_start;
		default:
			return session->facts.state_start;
	}
}

/*
 * Observing frees nothing, so what was due stays due.  It is counted once for
 * each spell or transaction, and recorded once an hour for each limit of a
 * session: a pool that comes back to its pauses must not wash out the ring.
 * Nor must one that leaks a session every five seconds, so of each application
 * and limit there is an allowance, too.
 */
static bool
is_to_be_counted(PghWatchDetails *details, const PghSession *session,
				 PghLimit reason)
{
	TimestampTz *counted = &details->counted_start[reason];
	TimestampTz start = start_of(session, pgh_limit_kind(reason));

	if (*counted == start)
		return false;
	*counted = start;
	return true;
}

static bool
is_to_be_recorded(PghWatchDetails *details, PghLimit reason, TimestampTz now)
{
	TimestampTz *recorded_at = &details->recorded_at[reason];

	if (*recorded_at != 0 && now - *recorded_at < USECS_PER_HOUR &&
		now >= *recorded_at)
		return false;
	*recorded_at = now;
	return true;
}

static void
observe(const PghSession *session, const PghVerdict *verdict,
		const PghRequest *request, TimestampTz now)
{
	PghMessage	message;
	PghWatchDetails *details = pgh_watches[session->index].details;
	PghLimit	reason = verdict->decision.reason;
	uint64		event_id;

	if (!is_to_be_counted(details, session, reason))
		return;
	pgh_member_count(&pgh_slots[session->index],
					 pgh_counter_for_observed(verdict->decision.action));
	if (!is_to_be_recorded(details, reason, now) ||
		!pgh_watch_may_record(session->counted_as, reason, now))
		return;
	event_id = record(session, verdict, PGH_OUTCOME_OBSERVED, now);
	if (reason == PGH_LIMIT_CLIENT_STALL)
		pgh_stall_observed(session->index, event_id);
	else if (session->facts.state != PGH_STATE_ACTIVE)
		details->observed_event = event_id;
	pgh_message_for_request(request, session->name, session->who.application,
							verdict->decision.measured, &message);
	ereport(LOG,
			(verdict->decision.action == PGH_ACTION_CANCEL ?
			 errmsg("pg_hygiene would cancel the statement of process %d, but only observes: %s",
					session->login.pid, pgh_limit_name(reason)) :
			 verdict->decision.action == PGH_ACTION_ROLLBACK ?
			 errmsg("pg_hygiene would roll back the transaction of process %d, but only observes: %s",
					session->login.pid, pgh_limit_name(reason)) :
			 errmsg("pg_hygiene would end process %d, but only observes: %s",
					session->login.pid, pgh_limit_name(reason)),
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
pgh_act_leave(const PghSession *session, const PghDecision *decision,
			  PghLeave leave, int32 drain, TimestampTz now)
{
	PghRequest	request;

	memset(&request, 0, sizeof(request));
	request.decision = *decision;
	request.leave = leave;
	request.generation = pgh_settings_here();
	request.measured_at = now;
	request.rules_version = pgh_rule_labels_version();
	request.drain = drain;
	return pgh_request_post(session->index, session->changecount, &request);
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
	attach_leak(&request, session, now);
	request.event_id = record(session, verdict, PGH_OUTCOME_PENDING, now);
	if (pgh_request_post(session->index, session->changecount, &request))
		return true;

	/* It left between our look and our signal. */
	pgh_event_finish(request.event_id, request.decision.action,
					 PGH_OUTCOME_SPARED);
	pgh_member_count(&pgh_slots[session->index], PGH_COUNT_SPARED);
	return false;
}
