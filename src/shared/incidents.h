/*-------------------------------------------------------------------------
 *
 * shared/incidents.h
 *	  The times at which connection slots ran out, or somebody was refused.
 *
 * All of it: W the worker, and reset(), under the lock exclusive; R under it
 * shared.  But for how often it was reset: W reset(); R the worker; atomic.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_INCIDENTS_H
#define PGH_INCIDENTS_H

#include "shared/part.h"

/* Incidents that are kept; the oldest goes first. */
#define PGH_MAX_INCIDENTS 200

/* Longest statement that is kept with one, terminator included. */
#define PGH_INCIDENT_STATEMENT_LEN 160

typedef struct PghIncident
{
	uint64		incident;		/* from 1; 0 = empty place */
	TimestampTz began_at;
	TimestampTz last_at;		/* when it last was one */
	bool		open;			/* it may still go on */
	int32		usable;			/* slots that ordinary roles can have */
	int32		lowest_available;	/* of them */

	/* Who held the most when the fewest were available. */
	char		largest_application[PGH_NAME_LEN];
	int32		largest_connections;
	int32		largest_leaking;	/* of them: idle in a transaction */
	Oid			roleid;			/* who ran the statement */
	char		statement[PGH_INCIDENT_STATEMENT_LEN];	/* what most of those
														 * ran last; or "" */

	/* What was done while it lasted. */
	int64		ended;
	int64		refused;
	int64		refused_by_server;
	char		most_refused[PGH_NAME_LEN]; /* the application; or "" */
	int64		most_refusals;	/* of it */
	int32		most_blocked;	/* sessions that waited at once for one that
								 * was idle in a transaction */
} PghIncident;

extern PghPart pgh_incidents_part;

/*
 * The incident that goes on, or false: there is none.  For the worker, which
 * alone writes them.
 */
extern bool pgh_incident_open(PghIncident *incident);

/* Keep a new incident; its number is set here. */
extern void pgh_incident_add(PghIncident *incident);

/* Keep what has become of an incident, unless it was forgotten meanwhile. */
extern void pgh_incident_update(const PghIncident *incident);

/* How often they were reset since the server started.  Takes no lock. */
extern uint32 pgh_incidents_resets(void);

/* All incidents, the oldest first; palloc'd.  Not for the worker. */
extern PghIncident *pgh_incidents_read(int *n);

#endif							/* PGH_INCIDENTS_H */
