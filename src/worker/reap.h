/*-------------------------------------------------------------------------
 *
 * worker/reap.h
 *	  What has become of the requests that were posted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_REAP_H
#define PGH_REAP_H

#include "worker/watch.h"

/*
 * Look at the request of a session that has one, or may have: record its
 * outcome, or ask again.
 */
extern void pgh_reap(int index, PghWatch *watch, TimestampTz now);

#endif							/* PGH_REAP_H */
