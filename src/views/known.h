/*-------------------------------------------------------------------------
 *
 * views/known.h
 *	  What is known of each application's behaviour, until this moment.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_KNOWN_H
#define PGH_KNOWN_H

#include "look/scan.h"
#include "pure/behaviour.h"

typedef struct PghKnown
{
	PghBehaviour behaviour;		/* with the periods that are not over yet;
								 * they have not been come back to */
	int32		open[PGH_N_PERIOD_KINDS];	/* how many those are */
	int32		peak;			/* most connections at once */
} PghKnown;

/* What all sessions are doing at one moment. */
typedef struct PghOpenSessions PghOpenSessions;

/* Look at the sessions, palloc'd. */
extern PghOpenSessions *pgh_known_begin(TimestampTz now);

/*
 * What is known of the application in this place of the table of names, with
 * its sessions of that moment.  One at a time: there may be a million of them.
 * False, with *known undefined, if it was never seen, or if the current user
 * may not see its sessions.
 */
extern bool pgh_known_read(const PghOpenSessions *open, uint32 application,
						   PghKnown *known);

/*
 * The session of the application that was seen last, as far as the current
 * user may know it: rules may ask for more than the application.
 */
extern void pgh_known_identity(const PghKnown *known, uint32 application,
							   PghIdentity *who);

#endif							/* PGH_KNOWN_H */
