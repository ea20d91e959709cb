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
	PghKnown   *all;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	all = pgh_known_load(GetCurrentTimestamp());
	for (int i = 0; i < pgh_n_applications; i++)
		for (int kind = 0; all[i].known && kind < PGH_N_PERIOD_KINDS; kind++)
		{
			PghRow		row;

			build_kind(&row, pgh_applications[i].name, &all[i], kind);
			pgh_row_end(&row, fcinfo);
		}
	return (Datum) 0;
}
