/*-------------------------------------------------------------------------
 *
 * views/incidents.c
 *	  The SQL function behind hygiene.incidents.
 *
 * Owns: what is shown of an incident, and its sentence.  Must not: change
 * one.
 *
 *-------------------------------------------------------------------------
 */
#include "views/views.h"

#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "shared/incidents.h"

PG_FUNCTION_INFO_V1(pgh_incident_list);

/* "03:12", in UTC, for the log, the alerts and colleagues elsewhere. */
static void
append_minute(StringInfo summary, TimestampTz at)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL) == 0)
		appendStringInfo(summary, "%02d:%02d", tm.tm_hour, tm.tm_min);
	else
		appendStringInfoString(summary, "?");
}

/* How often. */
static void
append_times(StringInfo summary, int64 n)
{
	if (n == 1)
		appendStringInfoString(summary, "once");
	else
		appendStringInfo(summary, INT64_FORMAT " times", n);
}

/* An application's name in a sentence. */
static const char *
called(const char *application)
{
	return application[0] == '\0' ? "a program without a name" : application;
}

static void
append_holder(StringInfo summary, const PghIncident *incident, bool visible)
{
	if (incident->largest_connections == 0)
		return;
	appendStringInfo(summary, "; %s held %d",
					 called(incident->largest_application),
					 incident->largest_connections);
	if (incident->largest_leaking == 0 || !visible)
		return;
	appendStringInfo(summary, ", %d of them idle in a transaction",
					 incident->largest_leaking);
	if (incident->statement[0] != '\0')
		appendStringInfo(summary, " after \"%s\"", incident->statement);
}

static void
append_refusals(StringInfo summary, const PghIncident *incident)
{
	if (incident->refused == 0)
		appendStringInfoString(summary, ", nobody was refused");
	else if (incident->most_refusals > 0)
	{
		appendStringInfo(summary, ", %s was refused ",
						 called(incident->most_refused));
		append_times(summary, incident->most_refusals);
		if (incident->refused > incident->most_refusals)
		{
			appendStringInfoString(summary, " and others ");
			append_times(summary, incident->refused - incident->most_refusals);
		}
	}
	else
	{
		appendStringInfoString(summary, ", clients were refused ");
		append_times(summary, incident->refused);
	}
	if (incident->refused_by_server == 0)
		appendStringInfoString(summary, ", nobody by PostgreSQL itself.");
	else
	{
		appendStringInfoString(summary, ", by PostgreSQL itself ");
		append_times(summary, incident->refused_by_server);
		appendStringInfoChar(summary, '.');
	}
}

/* What a person would send to a colleague. */
static char *
summarise(const PghIncident *incident, bool visible)
{
	StringInfoData summary;

	initStringInfo(&summary);
	append_minute(&summary, incident->began_at);
	if (incident->open)
		appendStringInfoString(&summary, " UTC until now: ");
	else
	{
		appendStringInfoString(&summary, " to ");
		append_minute(&summary, incident->last_at);
		appendStringInfoString(&summary, " UTC: ");
	}
	appendStringInfo(&summary, "%d of %d slots were free",
					 incident->lowest_available, incident->usable);
	append_holder(&summary, incident, visible);
	if (incident->ended == 1)
		appendStringInfoString(&summary, "; 1 session was ended");
	else
		appendStringInfo(&summary, "; " INT64_FORMAT " sessions were ended",
						 incident->ended);
	append_refusals(&summary, incident);
	return summary.data;
}

/*
 * What the sessions of an application did is told to those who may see all
 * sessions: they may have been of several roles.
 */
Datum
pgh_incident_list(PG_FUNCTION_ARGS)
{
	PghIncident *incidents;
	int			n;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	incidents = pgh_incidents_read(&n);
	for (int i = 0; i < n; i++)
	{
		const PghIncident *incident = &incidents[i];
		PghRow		row;

		pgh_row_begin(&row);
		pgh_row_int64(&row, incident->incident);
		pgh_row_timestamp(&row, incident->began_at);
		pgh_row_timestamp(&row, incident->open ? 0 : incident->last_at);
		pgh_row_int32(&row, incident->lowest_available);
		pgh_row_text(&row, incident->largest_application);
		pgh_row_int32(&row, incident->largest_connections);
		pgh_row_int64(&row, incident->ended);
		pgh_row_int64(&row, incident->refused);
		pgh_row_int64(&row, incident->refused_by_server);
		pgh_row_int32(&row, incident->most_blocked);
		pgh_row_text(&row, summarise(incident,
									 pgh_may_see_all()));
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}
