/*-------------------------------------------------------------------------
 *
 * views/behaviour.c
 *	  The SQL function behind hygiene.behaviour.
 *
 * Owns: what is shown of how long applications idle, work and last.  Must
 * not: note anything.
 *
 *-------------------------------------------------------------------------
 */
#include "views/views.h"

#include "funcapi.h"
#include "utils/timestamp.h"

#include "shared/applications.h"
#include "views/known.h"

PG_FUNCTION_INFO_V1(pgh_behaviour_list);
PG_FUNCTION_INFO_V1(pgh_pause_list);

/* A length of time, or null where there is none. */
static void
append_length(PghRow *row, PghTime length)
{
	pgh_row_interval(row, length > 0 ? length : -1);
}

static void
build_kind(PghRow *row, const char *name, const PghKnown *known,
		   PghPeriodKind kind)
{
	PghPeriods	sum = pgh_behaviour_sum_up(&known->behaviour, kind);
	bool		pause = kind == PGH_PERIOD_IDLE_IN_TRANSACTION ||
		kind == PGH_PERIOD_IDLE;

	pgh_row_begin(row);
	pgh_row_text(row, name);
	pgh_row_text(row, pgh_period_kind_name(kind));
	pgh_row_int64(row, sum.periods);
	if (pause)
		pgh_row_int64(row, sum.resumed);
	else
		pgh_row_null(row);
	append_length(row, sum.p50);
	append_length(row, sum.p90);
	append_length(row, sum.p99);
	append_length(row, pause ? sum.longest_resumed : 0);
	append_length(row, sum.longest);
	pgh_row_int32(row, known->open[kind]);
	pgh_row_timestamp(row, known->behaviour.since);
}

Datum
pgh_behaviour_list(PG_FUNCTION_ARGS)
{
	PghOpenSessions *open;
	PghKnown	known;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	open = pgh_known_begin(GetCurrentTimestamp());
	for (int i = 0; i < pgh_n_applications; i++)
	{
		if (!pgh_known_read(open, i, &known))
			continue;
		for (int kind = 0; kind < PGH_N_PERIOD_KINDS; kind++)
		{
			PghRow		row;

			build_kind(&row, pgh_applications[i].name, &known, kind);
			pgh_row_end(&row, fcinfo);
		}
	}
	return (Datum) 0;
}

static void
append_bucket(FunctionCallInfo fcinfo, const char *name, const char *kind,
			  int bucket, uint32 resumed, uint32 lost)
{
	PghRow		row;

	pgh_row_begin(&row);
	pgh_row_text(&row, name);
	pgh_row_text(&row, kind);
	pgh_row_interval(&row, pgh_bucket_begins(bucket));
	pgh_row_int64(&row, resumed);
	pgh_row_int64(&row, lost);
	pgh_row_end(&row, fcinfo);
}

/* The pauses of an application of one kind, by how long they were. */
static void
append_pauses(FunctionCallInfo fcinfo, const char *name,
			  const PghBehaviour *behaviour, PghPeriodKind kind)
{
	for (int i = 0; i < PGH_BUCKETS; i++)
	{
		uint32		resumed = pgh_bucket_count(&behaviour->resumed[kind], i);
		uint32		lost = pgh_bucket_count(&behaviour->lost[kind], i);

		if (resumed + lost > 0)
			append_bucket(fcinfo, name, pgh_period_kind_name(kind), i,
						  resumed, lost);
	}
}

/* For hygiene.report(): pauses that were come back to, and others. */
Datum
pgh_pause_list(PG_FUNCTION_ARGS)
{
	PghOpenSessions *open;
	PghKnown	known;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	open = pgh_known_begin(GetCurrentTimestamp());
	for (int i = 0; i < pgh_n_applications; i++)
	{
		if (!pgh_known_read(open, i, &known))
			continue;
		append_pauses(fcinfo, pgh_applications[i].name, &known.behaviour,
					  PGH_PERIOD_IDLE_IN_TRANSACTION);
		append_pauses(fcinfo, pgh_applications[i].name, &known.behaviour,
					  PGH_PERIOD_IDLE);
	}
	return (Datum) 0;
}
