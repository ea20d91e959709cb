/*-------------------------------------------------------------------------
 *
 * views/events.c
 *	  The SQL functions behind hygiene.events, and hygiene.reset().
 *
 * Owns: what is shown of the past.  Must not: act on a session.
 *
 *-------------------------------------------------------------------------
 */
#include "views/views.h"

#include "funcapi.h"
#include "utils/timestamp.h"

#include "shared/applications.h"
#include "shared/events.h"
#include "shared/leaks.h"
#include "message.h"
#include "pure/policy.h"
#include "worker/sampler.h"

PG_FUNCTION_INFO_V1(pgh_event_list);
PG_FUNCTION_INFO_V1(pgh_reset);

static const char *const action_names[] = {
	[PGH_ACTION_NONE] = "none",
	[PGH_ACTION_CANCEL] = "cancel",
	[PGH_ACTION_TERMINATE] = "terminate",
	[PGH_ACTION_EVICT] = "evict",
	[PGH_ACTION_REFUSE] = "refuse",
	[PGH_ACTION_WARN] = "warn",
	[PGH_ACTION_ROLLBACK] = "rollback",
};

static const char *const outcome_names[] = {
	[PGH_OUTCOME_PENDING] = "pending",
	[PGH_OUTCOME_DONE] = "done",
	[PGH_OUTCOME_SPARED] = "spared",
	[PGH_OUTCOME_OBSERVED] = "observed",
};

/* What was measured, in a form that casts to interval where it is a time. */
static void
append_measured(PghRow *row, const PghEvent *event)
{
	char		buf[32];

	if (event->reason < PGH_REASON_HORIZON ||
		event->action == PGH_ACTION_EVICT)
		snprintf(buf, sizeof(buf), "%.3f s", event->measured / 1e6);
	else
		snprintf(buf, sizeof(buf), INT64_FORMAT, event->measured);
	pgh_row_text(row, buf);
}

static void
append_decision(PghRow *row, const PghEvent *event)
{
	char		setting[32];

	pgh_print_limit(event->reason, event->limit, setting, sizeof(setting));
	pgh_row_text(row, action_names[event->action]);
	pgh_row_text(row, outcome_names[event->outcome]);
	pgh_row_text(row, pgh_reason_name(event->reason));
	if (event->rule > 0)
		pgh_row_int32(row, event->rule);
	else
		pgh_row_null(row);
	append_measured(row, event);
	pgh_row_text(row, setting);
}

static void
append_victim(PghRow *row, const PghEvent *event)
{
	bool		visible = pgh_may_see(event->roleid);

	pgh_row_int32(row, event->pid);
	pgh_row_text(row, event->who.application);
	pgh_row_text(row, event->who.user);
	pgh_row_text(row, event->who.database);
	if (visible)
		pgh_row_address(row, &event->who.address);
	else
		pgh_row_null(row);
	pgh_row_text(row, pgh_state_name(event->state));
	pgh_row_interval(row, event->transaction_age);
	pgh_row_bool(row, event->wrote);
	pgh_row_int32(row, event->blocking);
	if (visible && event->query_id != 0)
		pgh_row_int64(row, (int64) event->query_id);
	else
		pgh_row_null(row);
	if (visible)
		pgh_row_query(row, event->query);
	else
		pgh_row_text(row, "<insufficient privilege>");
}

#define PGH_VICTIM_COLUMNS 11

Datum
pgh_event_list(PG_FUNCTION_ARGS)
{
	uint64		first;
	uint64		next;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	pgh_event_range(&first, &next);
	for (uint64 id = first; id < next; id++)
	{
		PghEvent	event;
		PghRow		row;

		if (!pgh_event_read(id, &event))
			continue;
		pgh_row_begin(&row);
		pgh_row_int64(&row, event.event_id);
		pgh_row_timestamp(&row, event.occurred_at);
		append_decision(&row, &event);
		if (event.has_session)
			append_victim(&row, &event);
		else
			for (int i = 0; i < PGH_VICTIM_COLUMNS; i++)
				pgh_row_null(&row);
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}

Datum
pgh_reset(PG_FUNCTION_ARGS)
{
	pgh_require_shared();
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		pg_atomic_write_u64(&pgh_shared->total[i], 0);
	pg_atomic_write_u64(&pgh_shared->refused_by_server, 0);
	for (int i = 0; i < PGH_MAX_RULES; i++)
	{
		pg_atomic_write_u64(&pgh_shared->rules[i].refused, 0);
		pg_atomic_write_u64(&pgh_shared->rules[i].ended, 0);
		pg_atomic_write_u64(&pgh_shared->rules[i].last_used, 0);
	}
	pgh_slots_reset();
	pgh_applications_reset();
	pgh_events_reset();
	pgh_leaks_reset();
	pgh_sampler_reset();
	pg_atomic_write_u64(&pgh_shared->stats_since, GetCurrentTimestamp());
	PG_RETURN_VOID();
}
