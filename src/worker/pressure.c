/*-------------------------------------------------------------------------
 *
 * worker/pressure.c
 *	  How connection slots fill up: growth, and the warning at warn_at.
 *
 * Owns: the readings of the last minutes.  Must not: end or refuse anything.
 * For the worker only.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/pressure.h"

#include "pure/forecast.h"
#include "pure/text.h"
#include "shared/applications.h"
#include "shared/events.h"
#include "shared/worker_state.h"

#define PGH_NAMED_APPLICATIONS 3

/* Below warn_at by this many percent of the slots the warning is over. */
#define PGH_WARN_HYSTERESIS 5

static PghForecast forecast;

static int
usable_slots(void)
{
	return Max(MaxConnections - pgh_reserved_slots(), 1);
}

/* "orders 61, web 8, checkout 2": who holds the most. */
static void
print_largest(char *buf, size_t size)
{
	int			last = -1;
	uint32		last_connections = PG_UINT32_MAX;

	buf[0] = '\0';
	pgh_lock(&pgh_applications_part, LW_SHARED);
	for (int n = 0; n < PGH_NAMED_APPLICATIONS; n++)
	{
		int			best = -1;
		uint32		most = 0;
		size_t		length = strlen(buf);
		char		name[PGH_PRINTED_NAME_LEN];

		/* The next one in the order of (connections, place). */
		for (int i = 0; i < pgh_n_applications; i++)
		{
			uint32		held = pgh_applications[i].account.connections;

			if (held > most &&
				(held < last_connections ||
				 (held == last_connections && i > last)))
			{
				best = i;
				most = held;
			}
		}
		if (best < 0)
			break;
		snprintf(buf + length, size - length, "%s\"%s\" %u",
				 n == 0 ? "" : ", ",
				 pgh_print_name(pgh_applications[best].name, name), most);
		last = best;
		last_connections = most;
	}
	pgh_unlock(&pgh_applications_part);
}

static void
record_warning(int percent)
{
	static PghEvent event;

	memset(&event, 0, sizeof(event));
	event.decision.action = PGH_ACTION_WARN;
	event.decision.reason = PGH_LIMIT_WARN_AT;
	event.decision.measured = percent;
	event.decision.limit = pgh_warn_at;
	event.outcome = PGH_OUTCOME_DONE;
	pgh_event_add(&event);
}

static void
warn(int used, int usable, int percent)
{
	char		largest[4 * PGH_NAME_LEN];

	print_largest(largest, sizeof(largest));
	record_warning(percent);
	ereport(WARNING,
			(errmsg("%d of %d connection slots are in use (%d %%)",
					used, usable, percent),
			 largest[0] != '\0' ?
			 errdetail("The applications with the most connections: %s.",
					   largest) :
			 errdetail("Nobody has got past authentication yet."),
			 errhint("See the views hygiene.applications and hygiene.sessions. The limit for this warning is \"pg_hygiene.warn_at\".")));
}

static void
check_warning(int used)
{
	int			usable = usable_slots();
	int			percent = (int) ((int64) used * 100 / usable);
	bool		warned = pg_atomic_read_u32(&pgh_worker_state->warned) != 0;

	if (pgh_warn_at == 0 || pgh_mode == PGH_MODE_OFF)
	{
		pg_atomic_write_u32(&pgh_worker_state->warned, 0);
		return;
	}
	if (!warned && percent >= pgh_warn_at)
	{
		pg_atomic_write_u32(&pgh_worker_state->warned, 1);
		warn(used, usable, percent);
	}
	else if (warned && percent < pgh_warn_at &&
			 (percent <= pgh_warn_at - PGH_WARN_HYSTERESIS || used == 0))
	{
		pg_atomic_write_u32(&pgh_worker_state->warned, 0);
		ereport(LOG,
				(errmsg("%d of %d connection slots are in use (%d %%), fewer than at the last warning",
						used, usable, percent)));
	}
}

void
pgh_pressure_sample(int used, int stuck, TimestampTz now)
{
	if (pgh_reading_due(&forecast, now))
	{
		pgh_forecast_add(&forecast, now, used, stuck);
		pg_atomic_write_u64(&pgh_worker_state->growth, (uint64)
							pgh_forecast_growth(&forecast, usable_slots()));
	}
	check_warning(used);
}
