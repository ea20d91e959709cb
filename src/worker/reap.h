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
 * Would the same be decided about this session again, by what holds now?  The
 * session still does what it did when it was asked.
 */
typedef bool (*PghDecidesAgain) (int index, PghWatch *watch,
								 const PghRequest *request, TimestampTz now);

/*
 * Look at the request of a session that has one, or may have: record its
 * outcome, or ask again, or take it back, as "decides_again" has it.
 */
extern void pgh_reap(int index, PghWatch *watch,
					 PghDecidesAgain decides_again, TimestampTz now);

#endif							/* PGH_REAP_H */
