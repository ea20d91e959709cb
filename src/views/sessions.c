/*-------------------------------------------------------------------------
 *
 * views/sessions.c
 *	  The SQL function behind hygiene.sessions.
 *
 * Owns: what is shown of a session.  Must not: act on one.
 *
 *-------------------------------------------------------------------------
 */
#include "views/views.h"

#include "catalog/pg_type.h"
#include "common/ip.h"
#include "funcapi.h"
#include "libpq/pqcomm.h"
#include "utils/array.h"
#include "utils/timestamp.h"

#include "look/blockers.h"
#include "look/clock.h"
#include "message.h"
#include "pure/limits.h"
#include "pure/policy.h"

PG_FUNCTION_INFO_V1(pgh_sessions);

const char *
pgh_state_name(PghState state)
{
	static const char *const names[] = {
		[PGH_STATE_UNKNOWN] = "starting",
		[PGH_STATE_DISABLED] = "disabled",
		[PGH_STATE_ACTIVE] = "active",
		[PGH_STATE_IDLE] = "idle",
		[PGH_STATE_IDLE_IN_TRANSACTION] = "idle in transaction",
		[PGH_STATE_IDLE_IN_TRANSACTION_ABORTED] = "idle in transaction (aborted)",
		[PGH_STATE_WAITING] = "waiting for admission",
	};

	return names[state];
}

static void
append_client(PghRow *row, const PghSession *session)
{
	SockAddr	socket;
	char		port[NI_MAXSERV];

	if (!pgh_scan_client(session, &socket))
	{
		pgh_row_nulls(row, 2);
		return;
	}
	pgh_row_address(row, &session->login.address);

	/* As in pg_stat_activity: -1 for a Unix-domain socket. */
	if (socket.addr.ss_family == AF_UNIX)
		pgh_row_int32(row, -1);
	else if (pg_getnameinfo_all(&socket.addr, socket.salen, NULL, 0,
								port, sizeof(port), NI_NUMERICSERV) == 0)
		pgh_row_int32(row, atoi(port));
	else
		pgh_row_null(row);
}

/* Why a session is never ended, or null. */
static void
append_exemption(PghRow *row, const PghSession *session,
				 const PghLimits *limits)
{
	const char *why = pgh_exemption(&session->facts, limits);

	if (why != NULL && limits->exempt_rule != 0 && strcmp(why, "rule") == 0)
		why = psprintf("rule %d", limits->exempt_rule);
	pgh_row_text(row, why);
}

static void
append_rules(PghRow *row, const PghRuleBits *bits)
{
	Datum		numbers[PGH_MAX_RULES];
	int			n = 0;

	for (int i = 0; i < PGH_MAX_RULES; i++)
		if (pgh_bits_test(bits, i))
			numbers[n++] = Int32GetDatum(i + 1);
	pgh_row_datum(row, PointerGetDatum(construct_array(numbers, n, INT4OID,
													   sizeof(int32), true,
													   TYPALIGN_INT)));
}

/* limit_name, limit_setting, ends_in */
static void
append_fate(PghRow *row, const PghSession *session, const PghLimits *limits,
			TimestampTz now)
{
	PghFacts	facts = session->facts;
	PghVerdict	verdict;
	char		setting[32];

	pgh_clock_correct(&facts, now);
	verdict = pgh_foresee(&facts, limits, now);
	if (facts.state == PGH_STATE_WAITING ||
		verdict.deadline == PGH_NEVER || limits->mode == PGH_MODE_OFF)
	{
		pgh_row_nulls(row, 3);
		return;
	}
	pgh_print_limit(verdict.decision.reason, verdict.decision.limit,
					setting, sizeof(setting));
	pgh_row_text(row, pgh_limit_name(verdict.decision.reason));
	pgh_row_text(row, setting);
	if (limits->mode == PGH_MODE_ENFORCE)
		pgh_row_interval(row, Max(verdict.deadline - now, 0));
	else
		pgh_row_null(row);
}

static void
append_query(PghRow *row, const PghSession *session)
{
	char		query[PGH_QUERY_LEN];

	if (session->query_id != 0)
		pgh_row_int64(row, (int64) session->query_id);
	else
		pgh_row_null(row);
	pgh_scan_query(session, query, sizeof(query));
	pgh_row_query(row, query);
}

/* Everyone sees as much of a transaction as its ids in pg_stat_activity. */
static void
append_ids(PghRow *row, const PghSession *session)
{
	pgh_row_bool(row, session->facts.wrote);
	if (session->xmin_age >= 0)
		pgh_row_int32(row, (int32) session->xmin_age);
	else
		pgh_row_null(row);
}

/*
 * A session of which the current user sees no more than pg_stat_activity and
 * pg_locks would show.  No rule is looked at: which ones match could tell its
 * address, and which limit comes next, and when, what it does.
 */
static void
append_hidden(PghRow *row, const PghSession *session)
{
	pgh_row_nulls(row, 2);		/* client_addr, client_port */
	pgh_row_nulls(row, 1);		/* backend_start */
	pgh_row_nulls(row, 3);		/* state, state_age, transaction_age */
	append_ids(row, session);
	pgh_row_int32(row, session->facts.blocking +
				  session->facts.blocking_advisory);
	pgh_row_nulls(row, 3);		/* listening, exempt, rules */
	pgh_row_nulls(row, 3);		/* limit_name, limit_setting, ends_in */
	pgh_row_nulls(row, 1);		/* query_id */
	pgh_row_text(row, PGH_HIDDEN_QUERY);
}

static void
append_shown(PghRow *row, const PghSession *session, const PghRuleBits *bits,
			 const PghLimits *limits, TimestampTz now)
{
	const PghFacts *facts = &session->facts;

	append_client(row, session);
	pgh_row_timestamp(row, facts->backend_start ? facts->backend_start :
					  session->login.login_at);
	pgh_row_text(row, pgh_state_name(facts->state));
	pgh_row_interval(row, pgh_age(facts->state_start, now));
	pgh_row_interval(row, pgh_age(facts->xact_start, now));
	append_ids(row, session);
	pgh_row_int32(row, facts->blocking + facts->blocking_advisory);
	pgh_row_bool(row, facts->listening);
	append_exemption(row, session, limits);
	append_rules(row, bits);
	append_fate(row, session, limits, now);
	append_query(row, session);
}

/*
 * Everyone sees as much of locks in pg_locks, but not how long a session waits
 * for its client.
 */
static void
append_waits(PghRow *row, const PghSession *session, bool visible,
			 TimestampTz now)
{
	PghFacts	facts = session->facts;

	pgh_row_int32(row, session->advisory_locks);
	pgh_row_interval(row, pgh_age(session->waited_since, now));
	pgh_clock_correct(&facts, now);
	pgh_row_interval(row, visible ? pgh_age(facts.client_since, now) : -1);
}

bool
pgh_append_session(PghRow *row, const PghSession *session,
				   const PghRuleSet *rules, const PghLimits *server_wide,
				   TimestampTz now, PghLimits *limits)
{
	bool		visible = pgh_may_see(session->login.roleid);
	PghRuleBits bits;

	pgh_row_int32(row, session->login.pid);
	pgh_row_text(row, session->name);
	pgh_row_text(row, session->who.user);
	pgh_row_text(row, session->who.database);
	if (visible)
	{
		pgh_limits_under(rules, server_wide, &session->who, now, &bits,
						 limits);
		append_shown(row, session, &bits, limits, now);
	}
	else
		append_hidden(row, session);
	append_waits(row, session, visible, now);
	return visible;
}

Datum
pgh_sessions(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PghLimits	server_wide;
	const PghBlocked *blocked;
	const int32 *advisory_locks;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	pgh_server_limits(&server_wide);
	blocked = pgh_blocked_now(NULL);
	advisory_locks = pgh_advisory_locks_now();
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;
		PghLimits	limits;
		PghRow		row;

		CHECK_FOR_INTERRUPTS();
		if (!pgh_scan_session(i, &session) && !pgh_scan_waiting(i, &session))
			continue;
		pgh_note_blocked(&session, &blocked[i]);
		session.advisory_locks = advisory_locks[i];
		pgh_row_begin(&row);
		(void) pgh_append_session(&row, &session, pgh_current_rules(),
								  &server_wide, now, &limits);
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}
