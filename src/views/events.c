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

#include "message.h"
#include "pure/limits.h"
#include "shared/events.h"
#include "shared/shmem.h"

PG_FUNCTION_INFO_V1(pgh_event_list);
PG_FUNCTION_INFO_V1(pgh_reset);

static const char *const action_names[] = {
	[PGH_ACTION_NONE] = "none",
	[PGH_ACTION_CANCEL] = "cancel",
	[PGH_ACTION_TERMINATE] = "terminate",
	[PGH_ACTION_EVICT] = "evict",
	[PGH_ACTION_REFUSE] = "refuse",
	[PGH_ACTION_WARN] = "warn",
};

static const char *const outcome_names[] = {
	[PGH_OUTCOME_PENDING] = "pending",
	[PGH_OUTCOME_DONE] = "done",
	[PGH_OUTCOME_SPARED] = "spared",
	[PGH_OUTCOME_OBSERVED] = "observed",
};

/* What was measured, in a form that casts to interval where it is a time. */
static void
append_measured(PghRow *row, const PghDecision *decision)
{
	char		buf[32];

	if (pgh_limit_unit(decision->reason) == PGH_UNIT_TIME ||
		decision->action == PGH_ACTION_EVICT)
		snprintf(buf, sizeof(buf), "%.3f s", decision->measured / 1e6);
	else
		snprintf(buf, sizeof(buf), INT64_FORMAT, decision->measured);
	pgh_row_text(row, buf);
}

static void
append_decision(PghRow *row, const PghEvent *event)
{
	const PghDecision *decision = &event->decision;
	char		setting[32];

	pgh_print_limit(decision->reason, decision->limit,
					setting, sizeof(setting));
	pgh_row_text(row, action_names[decision->action]);
	pgh_row_text(row, outcome_names[event->outcome]);
	pgh_row_text(row, pgh_limit_name(decision->reason));
	if (decision->rule > 0)
		pgh_row_int32(row, decision->rule);
	else
		pgh_row_null(row);
	append_measured(row, decision);
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
	pgh_row_text(row, event->trace_id[0] == '\0' ? NULL : event->trace_id);
}

#define PGH_VICTIM_COLUMNS 12

Datum
pgh_event_list(PG_FUNCTION_ARGS)
{
	PghEvent	event;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	for (uint64 id = 0; pgh_event_next(id, &event); id = event.event_id)
	{
		PghRow		row;

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

/* hygiene.reset() */
Datum
pgh_reset(PG_FUNCTION_ARGS)
{
	pgh_require_shared();
	pgh_shmem_reset();
	PG_RETURN_VOID();
}
