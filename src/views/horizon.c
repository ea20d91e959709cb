/*-------------------------------------------------------------------------
 *
 * views/horizon.c
 *	  The SQL function behind hygiene.horizon: which processes hold VACUUM
 *	  back.
 *
 * Owns: what is shown of processes.  Prepared transactions and replication
 * slots come from core's own views, in the extension's script.
 *
 *-------------------------------------------------------------------------
 */
#include "views/views.h"

#include "funcapi.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(pgh_horizon);

/*
 * A session of a client: its name is its login role.  False when there is none
 * that holds VACUUM back.
 */
static bool
build_session(PghRow *row, int index, TimestampTz now)
{
	PghSession	session;

	if (!pgh_scan_session(index, &session) || session.xmin_age < 0)
		return false;
	pgh_row_begin(row);
	pgh_row_text(row, "session");
	pgh_row_text(row, session.who.user);
	pgh_row_int32(row, session.login.pid);
	pgh_row_text(row, session.name);
	pgh_row_int32(row, (int32) session.xmin_age);
	pgh_row_interval(row, pgh_may_see(session.login.roleid) ?
					 pgh_age(session.facts.xact_start, now) : -1);
	return true;
}

/*
 * Any other process.  A walsender that passes on the horizon of a standby
 * holds back all databases; a vacuum and a logical decoder hold back nothing
 * by themselves.
 */
static bool
build_process(PghRow *row, int proc_number)
{
	volatile PGPROC *proc = &ProcGlobal->allProcs[proc_number];
	int			pid = proc->pid;
	uint8		flags = proc->statusFlags;
	int64		xmin_age = pgh_scan_xmin_age(proc_number,
											 ReadNextTransactionId());

	if (pid == 0 || xmin_age < 0 ||
		(flags & (PROC_IN_VACUUM | PROC_IN_LOGICAL_DECODING)) != 0)
		return false;
	pgh_row_begin(row);
	pgh_row_text(row, flags & PROC_AFFECTS_ALL_HORIZONS ?
				 "standby" : "session");
	pgh_row_null(row);
	pgh_row_int32(row, pid);
	pgh_row_null(row);
	pgh_row_int32(row, (int32) xmin_age);
	pgh_row_null(row);
	return true;
}

Datum
pgh_horizon(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		PghRow		row;

		if (i < (uint32) pgh_n_slots ? build_session(&row, i, now) :
			build_process(&row, i))
			pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}
