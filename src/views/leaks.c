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

#include "pure/policy.h"
#include "shared/leaks.h"

PG_FUNCTION_INFO_V1(pgh_leak_list);

/* The sessions of this moment that are idle for a tenth of their limit. */
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
	pgh_limits_for(&session->who, &bits, &limits);
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

		if (!pgh_scan_session(i, &session) || !is_leaking(&session, now))
			continue;
		leaking[*n].key = key_of(&session);
		leaking[*n].since = session.facts.state_start;
		(*n)++;
	}
	return leaking;
}

static void
build_leak(PghRow *row, const PghLeak *leak, const PghIdling *leaking, int n,
		   TimestampTz now)
{
	bool		visible = pgh_may_see(leak->roleid);
	TimestampTz oldest = PGH_NEVER;
	int			sessions = 0;
	PghPattern	pattern;

	for (int i = 0; i < n; i++)
	{
		if (leaking[i].key != leak->key)
			continue;
		sessions++;
		oldest = Min(oldest, leaking[i].since);
	}
	pattern = pgh_leak_pattern(leak, sessions);

	pgh_row_begin(row);
	pgh_row_text(row, leak->who.application);
	pgh_row_text(row, leak->who.user);
	pgh_row_text(row, leak->who.database);
	if (visible)
		pgh_row_int64(row, (int64) leak->fingerprint);
	else
		pgh_row_null(row);
	pgh_row_int32(row, sessions);
	pgh_row_interval(row, sessions == 0 ? -1 : Max(now - oldest, 0));
	pgh_row_int64(row, leak->ended);
	pgh_row_timestamp(row, leak->first_seen);
	pgh_row_timestamp(row, sessions == 0 ? leak->last_seen : now);
	pgh_row_int32(row, leak->n_clients);
	if (visible)
		pgh_row_query(row, leak->query);
	else
		pgh_row_text(row, "<insufficient privilege>");
	pgh_row_text(row, pattern == PGH_PATTERN_NONE ? NULL :
				 pgh_pattern_advice(pattern));
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
		build_leak(&row, &leak, leaking, n, now);
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}
