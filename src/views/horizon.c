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

/* A session of a client: its name is its login role. */
static void
append_session(PghRow *row, const PghSession *session, TimestampTz now)
{
	pgh_row_text(row, "session");
	pgh_row_text(row, session->who.user);
	pgh_row_int32(row, session->login.pid);
	pgh_row_text(row, session->name);
	pgh_row_int32(row, (int32) session->xmin_age);
	pgh_row_interval(row, pgh_may_see(session->login.roleid) ?
					 pgh_age(session->facts.xact_start, now) : -1);
}

/*
 * Any other process.  A walsender that passes on the horizon of a standby
 * holds back all databases; a vacuum and a logical decoder hold back nothing
 * by themselves.
 */
static bool
append_process(PghRow *row, int proc_number)
{
	volatile PGPROC *proc = &ProcGlobal->allProcs[proc_number];
	uint8		flags = proc->statusFlags;
	int64		xmin_age = pgh_scan_xmin_age(proc_number,
											 ReadNextTransactionId());

	if (proc->pid == 0 || xmin_age < 0 ||
		(flags & (PROC_IN_VACUUM | PROC_IN_LOGICAL_DECODING)) != 0)
		return false;
	pgh_row_text(row, flags & PROC_AFFECTS_ALL_HORIZONS ?
				 "standby" : "session");
	pgh_row_null(row);
	pgh_row_int32(row, proc->pid);
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
		PghSession	session;
		PghRow		row;

		pgh_row_begin(&row);
		if (i < (uint32) pgh_n_slots)
		{
			if (!pgh_scan_session(i, &session) || session.xmin_age < 0)
				continue;
			append_session(&row, &session, now);
		}
		else if (!append_process(&row, i))
			continue;
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}
