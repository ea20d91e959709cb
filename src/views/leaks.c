/*-------------------------------------------------------------------------
 *
 * views/leaks.c
 *	  The SQL function behind hygiene.leaks.
 *
 * Owns: what is shown of leaks: what was noted, joined with the sessions that
 * are idle now.  Must not: note anything.
 *
 *-------------------------------------------------------------------------
 */
#include "views/views.h"

#include "funcapi.h"
#include "utils/timestamp.h"

#include "pure/comment.h"
#include "pure/policy.h"
#include "shared/leaks.h"

PG_FUNCTION_INFO_V1(pgh_leak_list);

/*
 * The sessions of this moment that are idle for a tenth of their limit, of
 * those that the current user may see.
 */
typedef struct PghIdling
{
	uint64		key;
	TimestampTz since;
} PghIdling;

static bool
is_leaking(const PghSession *session, TimestampTz now)
{
	PghRuleBits bits;
	PghLimits	limits;
	PghVerdict	verdict;

	if (!pgh_state_in_transaction_idle(session->facts.state))
		return false;
	pgh_limits_for(&session->who, now, &bits, &limits);
	verdict = pgh_decide(&session->facts, &limits, now);
	return pgh_leak_begins(&session->facts, &verdict) <= now;
}

static uint64
key_of(const PghSession *session)
{
	char		query[PGH_QUERY_LEN];
	PghIdentity who = pgh_scan_leaker(session);
	PghSighting sighting;
	uint64		fingerprint;

	memset(&sighting, 0, sizeof(sighting));
	pgh_scan_query(session, query, sizeof(query));
	sighting.who = &who;
	sighting.roleid = session->login.roleid;
	sighting.query_id = session->query_id;
	sighting.query = query;
	return pgh_leak_key(&sighting, &fingerprint);
}

static PghIdling *
list_leaking(TimestampTz now, int *n)
{
	PghIdling  *leaking = palloc(mul_size(pgh_n_slots,
										  sizeof(PghIdling)));

	*n = 0;
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;

		if (!pgh_scan_session(i, &session) ||
			!pgh_may_see(session.login.roleid) ||
			!is_leaking(&session, now))
			continue;
		leaking[*n].key = key_of(&session);
		leaking[*n].since = session.facts.state_start;
		(*n)++;
	}
	return leaking;
}

/* source, trace_id, client_addrs: what a client said, and who it is. */
static void
append_origin(PghRow *row, const PghLeak *leak)
{
	char		source[128];
	char		trace[PGH_TRACE_ID_LEN];

	if (pgh_find_source(leak->query, source, sizeof(source)))
		pgh_row_query(row, source);
	else
		pgh_row_null(row);
	pgh_row_text(row, pgh_find_trace(leak->query, trace) ? trace : NULL);
	pgh_row_addresses(row, leak->addresses,
					  Min(leak->n_clients, PGH_LEAK_ADDRESSES));
}

static void
append_place(PghRow *row, const PghLeak *leak)
{
	pgh_row_begin(row);
	pgh_row_text(row, leak->who.application);
	pgh_row_text(row, leak->who.user);
	pgh_row_text(row, leak->who.database);
}

static void
build_leak(PghRow *row, const PghLeak *leak, const PghIdling *leaking, int n,
		   TimestampTz now)
{
	TimestampTz oldest = PGH_NEVER;
	int			sessions = 0;
	int64		held = 0;
	PghPattern	pattern;

	for (int i = 0; i < n; i++)
	{
		if (leaking[i].key != leak->key)
			continue;
		sessions++;
		oldest = Min(oldest, leaking[i].since);
		held += Max(now - leaking[i].since, 0);
	}
	pattern = pgh_leak_pattern(leak, 0);

	append_place(row, leak);
	pgh_row_int64(row, (int64) leak->fingerprint);
	pgh_row_int32(row, sessions);
	pgh_row_interval(row, sessions == 0 ? -1 : Max(now - oldest, 0));
	pgh_row_int64(row, leak->ended);
	pgh_row_timestamp(row, leak->first_seen);
	pgh_row_timestamp(row, sessions == 0 ? leak->last_seen : now);
	pgh_row_int32(row, leak->n_clients);
	pgh_row_query(row, leak->query);
	pgh_row_text(row, pattern == PGH_PATTERN_NONE ? NULL :
				 pgh_pattern_advice(pattern));
	pgh_row_int64(row, leak->rolled_back);
	pgh_row_int64(row, leak->resumed);
	pgh_row_interval(row, Max(leak->longest_pause,
							  sessions == 0 ? -1 : now - oldest));
	pgh_row_interval(row, leak->slot_time + held);
	append_origin(row, leak);
	pgh_row_interval(row, leak->blocked_time);
	pgh_row_int64(row, leak->horizon_xids);
}

/* Of a role whose sessions are hidden: how many were ended. */
static void
build_hidden(PghRow *row, const PghLeak *leak)
{
	append_place(row, leak);
	pgh_row_nulls(row, 3);		/* fingerprint, sessions_now, oldest_now */
	pgh_row_int64(row, leak->ended);
	pgh_row_nulls(row, 3);		/* first_seen, last_seen, clients */
	pgh_row_text(row, PGH_HIDDEN_QUERY);
	pgh_row_nulls(row, 1);		/* diagnosis */
	pgh_row_int64(row, leak->rolled_back);
	pgh_row_nulls(row, 3);		/* resumed, longest_pause, slot_time */
	pgh_row_nulls(row, 3);		/* source, trace_id, client_addrs */
	pgh_row_nulls(row, 2);		/* blocked_time, horizon_xids */
}

Datum
pgh_leak_list(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	PghIdling  *leaking;
	int			n;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	leaking = list_leaking(now, &n);
	for (int i = 0; i < PGH_MAX_LEAKS; i++)
	{
		PghLeak		leak;
		PghRow		row;

		if (!pgh_leak_read(i, &leak))
			continue;
		if (pgh_may_see(leak.roleid))
			build_leak(&row, &leak, leaking, n, now);
		else if (leak.ended > 0)
			build_hidden(&row, &leak);
		else
			continue;			/* that it is known says that somebody idles */
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}
