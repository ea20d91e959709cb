/*-------------------------------------------------------------------------
 *
 * views/drains.c
 *	  The SQL functions hygiene.drain() and stop_drain(), and the one behind
 *	  hygiene.drains.
 *
 * Owns: whom a drain is about, who may begin one, and what is shown of it.
 * Must not: end a session; the worker asks, and the session itself answers.
 *
 *-------------------------------------------------------------------------
 */
#include "views/views.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "shared/drains.h"
#include "shared/worker_state.h"

PG_FUNCTION_INFO_V1(pgh_drain_list);
PG_FUNCTION_INFO_V1(pgh_drain_sessions);
PG_FUNCTION_INFO_V1(pgh_stop_drain);

/*
 * Is this a superuser's session?  As it was at login, or is now, as for
 * pg_terminate_backend().
 */
static bool
is_superusers(const PghLogin *login)
{
	return login->superuser ||
		(OidIsValid(login->roleid) && superuser_arg(login->roleid));
}

/*
 * Whom the selectors match at this moment, but for the caller.  "left_alone"
 * is set to how many are superusers' and the caller is none.
 */
static int
find_sessions(const PghRule *rule, PghMarked *marked, int *left_alone)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		may_all = superuser();
	int			n = 0;

	*left_alone = 0;
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;

		if (!pgh_scan_session(i, &session) ||
			session.login.pid == MyProcPid ||
			!pgh_rule_matches(rule, &session.who, now))
			continue;
		if (!may_all && is_superusers(&session.login))
		{
			(*left_alone)++;
			continue;
		}
		marked[n].index = i;
		marked[n++].changecount = session.changecount;
	}
	return n;
}

/* Who counts sessions by address asks where they come from. */
static void
check_may_ask(const PghRule *rule)
{
	if (pgh_rule_has_address(rule) && !pgh_may_see_all())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to drain sessions by address"),
				 errdetail("Addresses of clients are seen by roles with the privileges of pg_read_all_stats."),
				 errhint("Leave out the address, or ask for that role.")));
}

static TimestampTz
deadline_after(TimestampTz start, Datum interval)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(start),
												   interval));
}

static int32
begin(const PghDrain *drain, const PghMarked *marked, int n)
{
	int32		number = pgh_drain_begin(drain, marked, n);

	if (number == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("cannot run more than %d drains at once", PGH_MAX_DRAINS),
				 errhint("Wait until one of hygiene.drains has none remaining, or stop it by hygiene.stop_drain().")));
	pgh_wake_worker();
	return number;
}

/*
 * hygiene.drain(selectors, deadline): have the sessions that match now end
 * between two transactions; the number of the drain.
 */
Datum
pgh_drain_sessions(PG_FUNCTION_ARGS)
{
	PghRule		rule;
	PghDrain	drain;
	PghMarked  *marked;
	int			left_alone;
	int			n;
	int32		number;

	pgh_require_shared();
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("selectors must not be null")));
	pgh_parse_selectors_or_error(text_to_cstring(PG_GETARG_TEXT_PP(0)), &rule);
	check_may_ask(&rule);
	memset(&drain, 0, sizeof(drain));
	drain.by_address = pgh_rule_has_address(&rule);
	(void) pgh_rule_print_selectors(&rule, drain.selectors,
									sizeof(drain.selectors));
	drain.started_at = GetCurrentTimestamp();
	if (!PG_ARGISNULL(1))
		drain.deadline = deadline_after(drain.started_at, PG_GETARG_DATUM(1));

	marked = palloc(mul_size(pgh_n_slots, sizeof(PghMarked)));
	n = find_sessions(&rule, marked, &left_alone);
	number = begin(&drain, marked, n);
	if (left_alone > 0)
		ereport(WARNING,
				(errmsg_plural("%d session of a superuser was left alone",
							   "%d sessions of superusers were left alone",
							   left_alone, left_alone),
				 errhint("Only a superuser may drain them.")));
	PG_RETURN_INT32(number);
}

/* hygiene.stop_drain(drain): whether one of this number was running. */
Datum
pgh_stop_drain(PG_FUNCTION_ARGS)
{
	pgh_require_shared();
	PG_RETURN_BOOL(pgh_drain_stop(PG_GETARG_INT32(0)));
}

static void
append_drain(PghRow *row, const PghDrain *drain, int32 remaining)
{
	pgh_row_int32(row, drain->number);
	pgh_row_text(row, drain->selectors);
	pgh_row_timestamp(row, drain->started_at);
	if (drain->by_address && !pgh_may_see_all())
		pgh_row_nulls(row, 3);
	else
	{
		pgh_row_int32(row, drain->matched);
		pgh_row_int32(row, drain->ended);
		pgh_row_int32(row, remaining);
	}
	pgh_row_timestamp(row, drain->deadline);
}

/* hygiene.drains */
Datum
pgh_drain_list(PG_FUNCTION_ARGS)
{
	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	for (int place = 0; place < PGH_MAX_DRAINS; place++)
	{
		PghDrain	drain;
		PghRow		row;
		int32		remaining;

		if (!pgh_drain_read(place, &drain, &remaining))
			continue;
		pgh_row_begin(&row);
		append_drain(&row, &drain, remaining);
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}
