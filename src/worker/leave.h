/*-------------------------------------------------------------------------
 *
 * worker/leave.h
 *	  Sessions that are to leave between two transactions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_LEAVE_H
#define PGH_LEAVE_H

#include "worker/watch.h"

/*
 * At the beginning of a pass: learn of drains that were begun or stopped, and
 * have everybody looked at when some were.
 */
extern void pgh_leave_follow(void);

/*
 * Ask a session to leave if it is to, and it is time to ask; watch->asked is
 * set then.  Returns when to look at it again for that; PGH_NEVER = not until
 * something changes.
 */
extern TimestampTz pgh_leave_attend(PghWatch *watch,
									const PghSession *session,
									TimestampTz now);

/* Is the session of this slot of a drain whose deadline is over? */
extern bool pgh_leave_is_overdue(int index);

#endif							/* PGH_LEAVE_H */
