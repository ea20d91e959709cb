/*-------------------------------------------------------------------------
 *
 * look/describe.h
 *	  What an event says of the session that it is about.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_DESCRIBE_H
#define PGH_DESCRIBE_H

#include "look/scan.h"
#include "shared/events.h"

/* Fill in the fields of an event that describe a session, from "pid" on. */
extern void pgh_describe_session(const PghSession *session, PghEvent *event,
								 TimestampTz now);

#endif							/* PGH_DESCRIBE_H */
