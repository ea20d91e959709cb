/*-------------------------------------------------------------------------
 *
 * worker/stall.h
 *	  Sessions that wait for their clients, and since when nothing has moved.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_STALL_H
#define PGH_STALL_H

#include "compat.h"

#include "datatype/timestamp.h"

/* Allocate the memory of this file; once, in the current context. */
extern void pgh_stall_start(void);

/*
 * Look at all sessions that are at work, if it is time to; what is found is
 * left in their slots.  Returns when to look again.
 */
extern TimestampTz pgh_stall_look(TimestampTz now);

/*
 * Is it still so that nothing has moved since then?  "digest" is what the
 * session itself must find when it is asked.
 */
extern bool pgh_stall_goes_on(int index, uint32 *digest);

/* What was recorded of a session that is only observed. */
extern void pgh_stall_observed(int index, uint64 event_id);

#endif							/* PGH_STALL_H */
