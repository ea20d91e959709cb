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
	bool		known;			/* the application was seen, and the current
								 * user may see its sessions */
	PghBehaviour behaviour;		/* with the periods that are not over yet;
								 * they have not been come back to */
	int32		open[PGH_N_PERIOD_KINDS];	/* how many those are */
	int32		peak;			/* most connections at once */
} PghKnown;

/*
 * An element for each place in the table of names, palloc'd.  All else that
 * they have is undefined where "known" is false.
 */
extern PghKnown *pgh_known_load(TimestampTz now);

/*
 * The session of the application that was seen last, as far as the current
 * user may know it: rules may ask for more than the application.
 */
extern void pgh_known_identity(const PghKnown *known, uint32 application,
							   PghIdentity *who);

#endif							/* PGH_KNOWN_H */
