/*-------------------------------------------------------------------------
 *
 * views.h
 *	  The SQL functions behind the views.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_VIEWS_H
#define PGH_VIEWS_H

#include "shmem.h"

#include "fmgr.h"

/* A state as pg_stat_activity names it. */
extern const char *pgh_state_name(PghState state);

/*
 * Each returns a set.  Privileges are SQL's: all but pgh_reset() may be
 * called by everyone; query texts and addresses of other roles are hidden
 * from those who may not see them in pg_stat_activity.  All raise
 * object_not_in_prerequisite_state without the preload.
 */
extern PGDLLEXPORT Datum pgh_status(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_sessions(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_application_list(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_event_list(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_reset(PG_FUNCTION_ARGS);

#endif							/* PGH_VIEWS_H */
