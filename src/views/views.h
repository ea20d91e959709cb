/*-------------------------------------------------------------------------
 *
 * views/views.h
 *	  The SQL functions behind the views.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_VIEWS_H
#define PGH_VIEWS_H

#include "views/row.h"
#include "look/scan.h"

/* Time since "start"; negative (shown as null) when there is none. */
static inline int64
pgh_age(TimestampTz start, TimestampTz now)
{
	return start == 0 ? -1 : Max(now - start, 0);
}

/* A state as pg_stat_activity names it. */
extern const char *pgh_state_name(PghState state);

/*
 * Append the columns of hygiene.sessions, as they are under these rules, and
 * fill in the limits that hold for the session.  False when the session is
 * hidden from the current user: then the rules were not even looked at, and
 * "limits" is untouched.
 */
extern bool pgh_append_session(PghRow *row, const PghSession *session,
							   const PghRuleSet *rules,
							   const PghLimits *server_wide,
							   TimestampTz now, PghLimits *limits);

/*
 * Each returns a set.  Privileges are SQL's: all but pgh_reset() may be
 * called by everyone.  What pg_stat_activity would hide of a session from the
 * current user, and whatever follows from it, is null: also what is counted
 * over several sessions, if one of them is hidden.  All raise
 * object_not_in_prerequisite_state without the preload.
 */
extern PGDLLEXPORT Datum pgh_status(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_sessions(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_application_list(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_event_list(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_rule_list(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_check_rules(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_with_rule(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_without_rule(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_rehearse(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_leak_list(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_horizon(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_sample_list(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_unsampled(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_behaviour_list(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_pause_list(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_suggest(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_predict_rules(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_incident_list(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum pgh_reset(PG_FUNCTION_ARGS);

/* A text for pg_hygiene.rules. */
extern PGDLLEXPORT Datum pgh_suggest_rules(PG_FUNCTION_ARGS);

/* A text for HTML; see there. */
extern PGDLLEXPORT Datum pgh_html(PG_FUNCTION_ARGS);

#endif							/* PGH_VIEWS_H */
