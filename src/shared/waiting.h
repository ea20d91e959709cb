/*-------------------------------------------------------------------------
 *
 * shared/waiting.h
 *	  The logins that wait for a place at admission.
 *
 * A login that waits has a PGPROC and a latch, but no claimed slot: nothing
 * but this queue and the pin on its application (PghApplication.asking) knows
 * of it, and it counts for nothing until it is let in.
 *
 * field						who and how
 * ---------------------------	--------------------------------------------
 * length						W with the queue; R anyone; atomic
 * n_waiters, waiter[]			W, R under the lock of the applications
 *								exclusive; R under it shared.  "held" is as of
 *								the last pgh_member_ask() by anybody
 * wait_event					W the worker; R anyone; atomic
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_WAITING_H
#define PGH_WAITING_H

#include "shared/part.h"
#include "pure/queue.h"

/* Who is told at once that places may be free, at most. */
#define PGH_MAX_WOKEN 16

typedef struct PghWaiting
{
	pg_atomic_uint32 length;	/* of those that were not sent away */
	pg_atomic_uint32 wait_event;	/* 0 = core's for all extensions */
	int32		n_waiters;
	PghWaiter	waiter[FLEXIBLE_ARRAY_MEMBER];
} PghWaiting;

extern PghPart pgh_waiting_part;
extern PghWaiting *pgh_waiting;

/* What one waits for: a slot of the server, a rule's cap, or its own. */
#define PGH_PLACE_SLOT 0
#define PGH_PLACE_OF_RULE(rule) ((uint32) (rule))	/* from 1 */
#define PGH_PLACE_OF_APPLICATION(id) ((uint32) (id) | UINT32_C(0x80000000))

/* How many logins wait. */
static inline int
pgh_waiting_length(void)
{
	return (int) pg_atomic_read_u32(&pgh_waiting->length);
}

/* Is there memory for one more?  Under the lock. */
extern bool pgh_waiting_has_room(void);

/* Under the lock, exclusive: put one in, or change what it waits for. */
extern void pgh_waiting_put(const PghWaiter *waiter);

/* Under the lock, exclusive: take one out, if it is there. */
extern void pgh_waiting_take(int session);

/* Under the lock, exclusive: this one has to give up, and is woken. */
extern void pgh_waiting_send_away(int index);

/* Where the session is in the queue, or -1.  Under the lock. */
extern int	pgh_waiting_find(int session);

/* Under the lock: the sessions that are first in line for something. */
extern int	pgh_waiting_firsts(int32 *sessions);

/* Without it: tell these that a place may be free. */
extern void pgh_waiting_wake(const int32 *sessions, int n);

/* When the login of slot "session" began to wait, 0 if it does not. */
extern TimestampTz pgh_waiting_since(int session);

#endif							/* PGH_WAITING_H */
