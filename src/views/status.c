/*-------------------------------------------------------------------------
 *
 * views/status.c
 *	  The SQL function behind hygiene.status.
 *
 * Owns: what is shown of the server as a whole.  Must not: act on a session.
 *
 *-------------------------------------------------------------------------
 */
#include "views/views.h"

#include "funcapi.h"
#include "utils/timestamp.h"

#include "pure/policy.h"
#include "shared/totals.h"
#include "shared/waiting.h"
#include "shared/worker_state.h"

PG_FUNCTION_INFO_V1(pgh_status);

static const char *
mode_name(PghMode mode)
{
	return mode == PGH_MODE_ENFORCE ? "enforce" :
		mode == PGH_MODE_OBSERVE ? "observe" : "off";
}

/* The sessions of this moment. */
typedef struct PghPresent
{
	int			connections;
	int			active;
	int			idle;
	int			idle_in_transaction;
	TimestampTz oldest_xact;	/* 0 = none */
	int			hidden;			/* whose states the current user may not see */
} PghPresent;

static void
add_session(PghPresent *present, const PghSession *session)
{
	TimestampTz xact_start = session->facts.xact_start;

	present->connections++;
	present->hidden += !pgh_may_see(session->login.roleid);
	if (session->facts.state == PGH_STATE_ACTIVE)
		present->active++;
	else if (session->facts.state == PGH_STATE_IDLE)
		present->idle++;
	else if (pgh_state_in_transaction_idle(session->facts.state))
		present->idle_in_transaction++;
	if (xact_start != 0 &&
		(present->oldest_xact == 0 || xact_start < present->oldest_xact))
		present->oldest_xact = xact_start;
}

static const char *
pressure(int used, int usable, int available)
{
	if (available <= pgh_effective_headroom())
		return "critical";
	if (pgh_warn_at > 0 && (int64) used * 100 >= (int64) usable * pgh_warn_at)
		return "warning";
	return "normal";
}

/* Returns how many slots are available. */
static int
append_slots(PghRow *row, const PghPresent *present)
{
	int			reserved = pgh_reserved_slots();
	int			usable = MaxConnections - reserved;
	int			used = pgh_scan_used_slots();
	int			available = Max(usable - used, 0);

	pgh_row_text(row, pressure(used, usable, available));
	pgh_row_int32(row, MaxConnections);
	pgh_row_int32(row, reserved);
	pgh_row_int32(row, used);
	pgh_row_int32(row, Max(used - present->connections, 0));
	pgh_row_int32(row, available);
	pgh_row_int32(row, pgh_effective_headroom());
	return available;
}

/* active, idle, idle_in_transaction, oldest_transaction */
static void
append_states(PghRow *row, const PghPresent *present, TimestampTz now)
{
	if (present->hidden > 0)
	{
		pgh_row_nulls(row, 4);
		return;
	}
	pgh_row_int32(row, present->active);
	pgh_row_int32(row, present->idle);
	pgh_row_int32(row, present->idle_in_transaction);
	pgh_row_interval(row, pgh_age(present->oldest_xact, now));
}

/* growth_per_minute, exhaustion_in */
static void
append_forecast(PghRow *row, int available)
{
	double		growth;

	growth = (int64) pg_atomic_read_u64(&pgh_worker_state->growth) / 1000.0;
	pgh_row_float8(row, growth);
	pgh_row_interval(row, growth > 0 ?
					 (int64) (available / growth * USECS_PER_MINUTE) : -1);
}

static void
append_totals(PghRow *row)
{
	for (int i = PGH_COUNT_TERMINATED; i <= PGH_COUNT_REFUSED; i++)
		pgh_row_int64(row, pg_atomic_read_u64(&pgh_totals->count[i]));
	pgh_row_int64(row, pg_atomic_read_u64(&pgh_totals->refused_by_server));
}

static void
append_worker(PghRow *row)
{
	uint32		pid = pg_atomic_read_u32(&pgh_worker_state->pid);
	TimestampTz last_pass = pg_atomic_read_u64(&pgh_worker_state->last_pass);
	int64		duration = pg_atomic_read_u64(&pgh_worker_state->pass_duration);

	if (pid != 0)
		pgh_row_int32(row, pid);
	else
		pgh_row_null(row);
	pgh_row_timestamp(row, last_pass);
	pgh_row_interval(row, last_pass == 0 ? -1 : duration);
	pgh_row_timestamp(row, pg_atomic_read_u64(&pgh_totals->stats_since));
}

/* rolled_back, idle_action */
static void
append_rollback(PghRow *row)
{
	PghLimits	limits;
	pg_atomic_uint64 *rolled_back = &pgh_totals->count[PGH_COUNT_ROLLED_BACK];

	pgh_server_limits(&limits);
	pgh_row_int64(row, pg_atomic_read_u64(rolled_back));
	pgh_row_text(row, pgh_can_roll_back &&
				 limits.idle_action == PGH_IDLE_ROLLBACK ?
				 "rollback" : "terminate");
}

static void
append_waiting(PghRow *row)
{
	pgh_row_int32(row, pgh_waiting_length());
}

/*
 * A prepared transaction that nobody ends holds its locks and VACUUM back for
 * ever, and no limit can end it: it may be part of a transaction elsewhere.
 */
static void
warn_of_prepared(int64 n)
{
	if (n > 0)
		ereport(WARNING,
				(errmsg_plural("%lld prepared transaction is older than an hour",
							   "%lld prepared transactions are older than an hour",
							   (unsigned long) n, (long long) n),
				 errhint("See hygiene.horizon; end each by COMMIT PREPARED or ROLLBACK PREPARED.")));
}

Datum
pgh_status(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PghPresent	present = {0};
	PghRow		row;
	int			available;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;

		if (pgh_scan_session(i, &session))
			add_session(&present, &session);
	}

	warn_of_prepared(PG_GETARG_INT64(0));
	pgh_row_begin(&row);
	pgh_row_text(&row, PGH_VERSION);
	pgh_row_text(&row, mode_name(pgh_mode));
	available = append_slots(&row, &present);
	append_states(&row, &present, now);
	append_forecast(&row, available);
	append_totals(&row);
	append_worker(&row);
	append_rollback(&row);
	append_waiting(&row);
	pgh_row_end(&row, fcinfo);
	return (Datum) 0;
}
