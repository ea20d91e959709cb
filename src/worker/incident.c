/*-------------------------------------------------------------------------
 *
 * worker/incident.c
 *	  Notices when connection slots run out, and writes down what happened.
 *
 * Owns: what an incident is.  Must not: end or refuse anything.  For the
 * worker only.
 *
 * An incident begins when no more than the headroom was available at any
 * moment since the last look, somebody was refused, by us or by PostgreSQL
 * itself, or sessions were asked to leave because slots were short.  It has
 * ended when none of that was so for a minute: one that comes and goes within
 * that is one incident.
 *
 * While slots are short the worker looks every few milliseconds, and what it
 * finds then is noted in its own memory; what goes on is written down once a
 * second.  What came and went between two looks is known from the logins that
 * saw it (see PghPeak).
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

/*
 * Since it was last written down: were slots short, and the worst moment, of
 * which only the fewest slots and who held the most are filled in.
 */
static bool was_short = false;
static bool has_worst = false;
static PghIncident worst;

static int	last_available;		/* at the last look */
static bool was_open = false;	/* when it was last written down */

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
 * Who held the most, and what it leaks: whoever holds it now, or, where that
 * is more, the application of a login that found so few slots.
 */
static void
describe_moment(PghIncident *moment, int available, const PghPeak *peak)
{
	uint32		connections;
	uint32		largest = find_largest(&connections);
	int			oldest = -1;
	int			leaking = 0;

	if (peak->connections > (int64) connections &&
		peak->application < (uint32) pgh_n_applications)
	{
		largest = peak->application;
		connections = peak->connections;
	}
	if (largest != PGH_NO_APPLICATION)
		leaking = pgh_watch_leaking(largest, &oldest);
	moment->lowest_available = available;
	moment->largest_connections = connections;
	moment->largest_leaking = Min(leaking, connections);
	strlcpy(moment->largest_application,
			largest == PGH_NO_APPLICATION ? "" : pgh_applications[largest].name,
			PGH_NAME_LEN);
	quote_statement(moment, oldest);
}

/* Fewer slots are worse, and of as few, more that leak. */
static bool
is_worse(const PghIncident *moment, const PghIncident *than)
{
	return moment->lowest_available < than->lowest_available ||
		(moment->lowest_available == than->lowest_available &&
		 moment->largest_leaking > than->largest_leaking);
}

/* "closely" is a second look at what leaks while as few are available. */
static void
note_moment(int available, const PghPeak *peak, bool closely)
{
	PghIncident moment;

	if (has_worst && (available > worst.lowest_available ||
					  (available == worst.lowest_available && !closely)))
		return;
	memset(&moment, 0, sizeof(moment));
	describe_moment(&moment, available, peak);
	if (!has_worst || is_worse(&moment, &worst))
		worst = moment;
	has_worst = true;
}

/* Take over the worst moment, if it is worse than those before. */
static void
add_moment(PghIncident *incident)
{
	if (incident->incident != 0 && !is_worse(&worst, incident))
		return;
	incident->lowest_available = worst.lowest_available;
	incident->largest_connections = worst.largest_connections;
	incident->largest_leaking = worst.largest_leaking;
	incident->roleid = worst.roleid;
	memcpy(incident->largest_application, worst.largest_application,
		   sizeof(incident->largest_application));
	memcpy(incident->statement, worst.statement, sizeof(incident->statement));
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

/* Add what was seen since it was last written down. */
static void
add_look(PghIncident *incident, const PghSeen *counters)
{
	add_moment(incident);
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

/* Was it one since it was last written down? */
static bool
is_incident(const PghSeen *counters)
{
	return was_short || counters->refused > seen.refused ||
		counters->refused_by_server > seen.refused_by_server;
}

static void
write_down(PghIncident *incident)
{
	if (incident->incident == 0)
		pgh_incident_add(incident);
	else
		pgh_incident_update(incident);
	if (!incident->open)
		remember_refusals();
}

/*
 * It is written down when it begins, and once a second while it lasts; what
 * its end is, is known only a minute later.
 */
static void
look(int available, const PghPeak *peak, int usable, TimestampTz now)
{
	PghIncident incident;
	PghSeen		counters = read_counters();

	was_open = pgh_incident_open(&incident);
	if (counters.refused < seen.refused)
		remember_refusals();	/* they were reset */
	if (is_incident(&counters))
	{
		if (!was_open)
			begin(&incident, usable, now);
		incident.last_at = now;
		was_open = true;
	}
	else if (was_open && (now - incident.last_at >= PGH_INCIDENT_QUIET ||
						  now < incident.last_at))
		incident.open = false;
	if (was_open)
	{
		note_moment(available, peak, true);
		add_look(&incident, &counters);
		write_down(&incident);
		was_open = incident.open;
	}
	seen = counters;
	was_short = false;
	has_worst = false;
}

/* Nothing is noted while the mode is off. */
static void
forget(void)
{
	seen = read_counters();
	was_short = false;
	has_worst = false;
}

/* What was noted before reset() begins no incident after it. */
static void
follow_reset(void)
{
	static uint32 known_resets = 0;
	uint32		resets = pgh_incidents_resets();

	if (resets == known_resets)
		return;
	known_resets = resets;
	was_short = false;
	has_worst = false;
	was_open = false;
}

/* Once a second; and at once when one begins. */
static bool
is_due(TimestampTz now)
{
	static TimestampTz last_look = 0;
	PghSeen		counters;

	if (last_look != 0 && now - last_look < PGH_INCIDENT_INTERVAL &&
		now >= last_look)
	{
		counters = read_counters();
		if (was_open || !is_incident(&counters))
			return false;
	}
	last_look = now;
	return true;
}

void
pgh_incident_look(int used, const PghPeak *peak, TimestampTz now)
{
	int			usable = Max(MaxConnections - pgh_reserved_slots(), 0);
	int			fewest = Max(usable - peak->used, 0);

	if (pgh_mode == PGH_MODE_OFF)
	{
		forget();
		return;
	}
	follow_reset();
	last_available = Max(usable - used, 0);
	if (fewest <= pgh_effective_headroom())
	{
		was_short = true;
		note_moment(fewest, peak, false);
	}
	if (is_due(now))
		look(fewest, peak, usable, now);
}

void
pgh_incident_note_eviction(void)
{
	PghPeak		none = {0};

	was_short = true;
	note_moment(last_available, &none, false);
}
