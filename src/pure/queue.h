/*-------------------------------------------------------------------------
 *
 * pure/queue.h
 *	  Who waits at admission, and in which order.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, time is an
 * argument, no globals that change, no allocation, no error raised.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_QUEUE_H
#define PGH_QUEUE_H

#include "pure/facts.h"

/* Of this account are all whose applications are new. */
#define PGH_NEW_ACCOUNT 0

/* A login that waits for a place, or asks whether it may. */
typedef struct PghWaiter
{
	PghTime		since;			/* when it asked first */
	int32_t		session;		/* the caller's number for it, not negative */
	uint32_t	role;
	uint32_t	account;		/* the caller's number, or PGH_NEW_ACCOUNT */
	uint32_t	place;			/* what it waits for; the caller's number */
	int32_t		held;			/* connections of its account, for its role */
	int32_t		earlier;		/* how many of its account and role have
								 * waited for longer */
	int32_t		role_earlier;	/* how many of its role have */
	bool		sent_away;		/* it has to give up, and counts no more */
} PghWaiter;

/*
 * Fewest first: who holds the fewest, those of the same account and role that
 * wait in front of him among them; then who has waited for longest.
 */
extern bool pgh_waits_before(const PghWaiter *a, const PghWaiter *b);

/* How many in the queue have not been sent away. */
extern int32_t pgh_queue_length(const PghWaiter *queue, int32_t n);

/* Count how many of its account, and of its role, wait already. */
extern void pgh_queue_measure(const PghWaiter *queue, int32_t n,
							  PghWaiter *newcomer);

/* Put one at the end of the array, which has room for it; measured. */
extern void pgh_queue_join(PghWaiter *queue, int32_t *n,
						   const PghWaiter *newcomer);

/* Where a session is in the array, or -1. */
extern int32_t pgh_queue_find(const PghWaiter *queue, int32_t n,
							  int32_t session);

/* Take the one at "index" out. */
extern void pgh_queue_leave(PghWaiter *queue, int32_t *n, int32_t index);

/* It has to give up; it leaves by itself. */
extern void pgh_queue_send_away(PghWaiter *queue, int32_t n, int32_t index);

/* How many wait for "place" whose turn is before that of "waiter". */
extern int32_t pgh_queue_ahead(const PghWaiter *queue, int32_t n,
							   const PghWaiter *waiter, uint32_t place);

/*
 * There is room for no more: who yields to the newcomer, or -1.  Rather one of
 * the role that has the most waiting, if that are more than the newcomer's
 * with him; else one of his own role whose turn comes after his.
 */
extern int32_t pgh_queue_yielding(const PghWaiter *queue, int32_t n,
								  const PghWaiter *newcomer);

/* There is room for fewer: who goes, the last of the largest role; or -1. */
extern int32_t pgh_queue_last(const PghWaiter *queue, int32_t n);

/*
 * Who is the first for each place: their indexes, no more than "most".
 * Returns how many.
 */
extern int32_t pgh_queue_firsts(const PghWaiter *queue, int32_t n,
								int32_t *first, int32_t most);

#endif							/* PGH_QUEUE_H */
