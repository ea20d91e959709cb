/*-------------------------------------------------------------------------
 *
 * worker/incident.c
 *	  Notices when connection slots run out, and writes down what happened.
 *
 * Owns: what an incident is.  Must not: end or refuse anything.  For the
 * worker only.
 *
 * An incident begins when no more than the headroom is available, or somebody
 * was refused, by us or by PostgreSQL itself.  It has ended when neither was
 * so for a minute: one that comes and goes within that is one incident.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/incident.h"

#include "look/scan.h"
#include "pure/text.h"
#include "shared/applications.h"
#include "shared/incidents.h"
#include "worker/watch.h"

#ifndef PGH_INCIDENT_QUIET
#define PGH_INCIDENT_QUIET USECS_PER_MINUTE
#endif

/* An incident that goes on is written down again this often. */
#define PGH_INCIDENT_INTERVAL USECS_PER_SEC

/* What the counters were when we last looked. */
typedef struct PghSeen
{
	uint64		ended;
	uint64		refused;
	uint64		refused_by_server;
} PghSeen;

static PghSeen seen;
static uint32 *known_ids;		/* of what was in each place then */
static uint64 *refused_before;	/* of each application, when it began */

static PghSeen
read_counters(void)
{
	PghSeen		counters;

	counters.ended =
		pg_atomic_read_u64(&pgh_totals->count[PGH_COUNT_TERMINATED]) +
		pg_atomic_read_u64(&pgh_totals->count[PGH_COUNT_EVICTED]);
	counters.refused =
		pg_atomic_read_u64(&pgh_totals->count[PGH_COUNT_REFUSED]);
	counters.refused_by_server =
		pg_atomic_read_u64(&pgh_totals->refused_by_server);
	return counters;
}

/* By how much a counter has grown; reset() may have cleared it. */
static int64
growth(uint64 before, uint64 after)
{
	return after > before ? (int64) (after - before) : 0;
}

static void
remember_refusals(void)
{
	for (int i = 0; i < pgh_n_applications; i++)
	{
		known_ids[i] = pgh_applications[i].id;
		refused_before[i] =
			pg_atomic_read_u64(&pgh_applications[i].count[PGH_COUNT_REFUSED]);
	}
}

void
pgh_incident_start(void)
{
	known_ids = palloc0(mul_size(pgh_n_applications, sizeof(uint32)));
	refused_before = palloc0(mul_size(pgh_n_applications, sizeof(uint64)));
	seen = read_counters();
	remember_refusals();
}

/* The application with the most connections; PGH_NO_APPLICATION = none. */
static uint32
find_largest(uint32 *connections)
{
	uint32		largest = PGH_NO_APPLICATION;

	*connections = 0;
	for (int i = 0; i < pgh_n_applications; i++)
	{
		uint32		its = pgh_applications[i].account.connections;

		if (its > *connections)
		{
			*connections = its;
			largest = i;
		}
	}
	return largest;
}

/* What the session in this slot ran last, and as whom. */
static void
quote_statement(PghIncident *incident, int slot)
{
	char		query[PGH_QUERY_LEN];
	PghSession	session;

	incident->statement[0] = '\0';
	incident->roleid = InvalidOid;
	if (slot < 0 || !pgh_scan_session(slot, &session))
		return;
	pgh_scan_query(&session, query, sizeof(query));
	incident->roleid = session.login.roleid;
	pgh_copy_ascii(query, incident->statement, sizeof(incident->statement));
}

/*
 * Who holds the most, and what it leaks: told of the moment at which the
 * fewest slots were available, and most of them leaked.
 */
static void
describe_largest(PghIncident *incident, int available)
{
	uint32		connections;
	uint32		largest = find_largest(&connections);
	int			oldest = -1;
	int			leaking = 0;

	if (largest != PGH_NO_APPLICATION)
		leaking = pgh_watch_leaking(largest, &oldest);
	if (incident->incident != 0 &&
		(available > incident->lowest_available ||
		 (available == incident->lowest_available &&
		  leaking <= incident->largest_leaking)))
		return;
	incident->lowest_available = available;
	incident->largest_connections = connections;
	incident->largest_leaking = leaking;
	strlcpy(incident->largest_application,
			largest == PGH_NO_APPLICATION ? "" : pgh_applications[largest].name,
			PGH_NAME_LEN);
	quote_statement(incident, oldest);
}

/* Which application was refused most often since it began? */
static void
find_most_refused(PghIncident *incident)
{
	for (int i = 0; i < pgh_n_applications; i++)
	{
		PghApplication *app = &pgh_applications[i];
		bool		known = known_ids[i] == app->id;
		pg_atomic_uint64 *total = &app->count[PGH_COUNT_REFUSED];
		int64		refused = growth(known ? refused_before[i] : 0,
									 pg_atomic_read_u64(total));

		if (refused <= incident->most_refusals)
			continue;
		incident->most_refusals = refused;
		strlcpy(incident->most_refused, app->name, PGH_NAME_LEN);
	}
}

/* Add what this moment shows. */
static void
add_look(PghIncident *incident, const PghSeen *counters, int available)
{
	describe_largest(incident, available);
	incident->ended += growth(seen.ended, counters->ended);
	incident->refused += growth(seen.refused, counters->refused);
	incident->refused_by_server += growth(seen.refused_by_server,
										  counters->refused_by_server);
	incident->most_blocked = Max(incident->most_blocked, pgh_watch_blocked());
	if (incident->refused > 0)
		find_most_refused(incident);
}

static void
begin(PghIncident *incident, int usable, TimestampTz now)
{
	memset(incident, 0, sizeof(*incident));
	incident->began_at = now;
	incident->open = true;
	incident->usable = usable;
}

/* Is it one at this moment? */
static bool
is_incident(const PghSeen *counters, int available)
{
	return available <= pgh_effective_headroom() ||
		counters->refused > seen.refused ||
		counters->refused_by_server > seen.refused_by_server;
}

/*
 * While it lasts it is written down once a second; what its end is, is known
 * only a minute later.
 */
static void
look(int available, int usable, TimestampTz now)
{
	PghIncident incident;
	PghSeen		counters = read_counters();
	bool		open = pgh_incident_open(&incident);

	if (counters.refused < seen.refused)
		remember_refusals();	/* they were reset */
	if (is_incident(&counters, available))
	{
		if (!open)
			begin(&incident, usable, now);
		incident.last_at = now;
	}
	else if (!open)
	{
		seen = counters;
		return;
	}
	else if (now - incident.last_at >= PGH_INCIDENT_QUIET ||
			 now < incident.last_at)
		incident.open = false;
	add_look(&incident, &counters, available);
	seen = counters;
	if (incident.incident == 0)
		pgh_incident_add(&incident);
	else
		pgh_incident_update(&incident);
	if (!incident.open)
		remember_refusals();
}

void
pgh_incident_look(int used, TimestampTz now)
{
	static TimestampTz last_look = 0;
	int			usable = Max(MaxConnections - pgh_reserved_slots(), 0);

	if (pgh_mode == PGH_MODE_OFF)
	{
		seen = read_counters();
		return;
	}
	if (last_look != 0 && now - last_look < PGH_INCIDENT_INTERVAL &&
		now >= last_look)
		return;
	last_look = now;
	look(Max(usable - used, 0), usable, now);
}
