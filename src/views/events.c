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

/* reason, rule, measured, limit_setting */
static void
append_why(PghRow *row, const PghDecision *decision)
{
	char		setting[32];

	pgh_print_limit(decision->reason, decision->limit,
					setting, sizeof(setting));
	pgh_row_text(row, pgh_limit_name(decision->reason));
	if (decision->rule > 0)
		pgh_row_int32(row, decision->rule);
	else
		pgh_row_null(row);
	append_measured(row, decision);
	pgh_row_text(row, setting);
}

/* A statement, or what stands for one that is hidden. */
static void
append_query(PghRow *row, const PghEvent *event, bool visible)
{
	if (visible && event->query_id != 0)
		pgh_row_int64(row, (int64) event->query_id);
	else
		pgh_row_null(row);
	if (visible)
		pgh_row_query(row, event->query);
	else
		pgh_row_text(row, PGH_HIDDEN_QUERY);
}

static void
append_victim(PghRow *row, const PghEvent *event, bool visible)
{
	pgh_row_int32(row, event->pid);
	pgh_row_text(row, event->who.application);
	pgh_row_text(row, event->who.user);
	pgh_row_text(row, event->who.database);
	if (visible)
	{
		pgh_row_address(row, &event->who.address);
		pgh_row_text(row, pgh_state_name(event->state));
		pgh_row_interval(row, event->transaction_age);
	}
	else
		pgh_row_nulls(row, 3);
	pgh_row_bool(row, event->wrote);
	pgh_row_int32(row, event->blocking);
	append_query(row, event, visible);
}

#define PGH_WHY_COLUMNS 4
#define PGH_VICTIM_COLUMNS 11

static void
build_event(PghRow *row, const PghEvent *event, bool visible)
{
	pgh_row_begin(row);
	pgh_row_int64(row, event->event_id);
	pgh_row_timestamp(row, event->occurred_at);
	pgh_row_text(row, action_names[event->decision.action]);
	pgh_row_text(row, outcome_names[event->outcome]);
	if (visible)
		append_why(row, &event->decision);
	else
		pgh_row_nulls(row, PGH_WHY_COLUMNS);
	if (event->has_session)
		append_victim(row, event, visible);
	else
		pgh_row_nulls(row, PGH_VICTIM_COLUMNS);
	pgh_row_interval(row, visible ? event->resumed_after : -1);
	pgh_row_text(row, event->trace_id[0] == '\0' ? NULL : event->trace_id);
}

/*
 * hygiene.events.  Of a session that is hidden only what was done to it is
 * shown, and not why, since limits go by what a session does, and rules by
 * where its client is.  Where nothing was done there is nothing to show.
 */
Datum
pgh_event_list(PG_FUNCTION_ARGS)
{
	PghEvent	event;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	for (uint64 id = 0; pgh_event_next(id, &event); id = event.event_id)
	{
		PghRow		row;
		bool		visible;

		CHECK_FOR_INTERRUPTS();
		visible = !event.has_session || pgh_may_see(event.roleid);
		if (!visible && event.outcome != PGH_OUTCOME_DONE)
			continue;
		build_event(&row, &event, visible);
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
