/*-------------------------------------------------------------------------
 *
 * pure/lock_queue.h
 *	  Who hangs on whom: from holders and waiters of locks to whole queues.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, no globals that
 * change, no allocation, no error raised.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_LOCK_QUEUE_H
#define PGH_LOCK_QUEUE_H

#include "pure/facts.h"

/* One process's part in a lock that somebody waits for. */
typedef struct PghLockPart
{
	int32_t		group;			/* a process with those that work for it, a
								 * number from 0; -1 = nobody who could wait */
	uint32_t	held;			/* modes that it holds, one bit each */
	uint32_t	wanted;			/* bit of the mode it waits for; 0 = none */
	uint32_t	conflicts;		/* modes that keep it from that one */
	PghTime		since;			/* when it began to wait */

	/* Left to pgh_lock_queues_arrange() and pgh_lock_queue_of(). */
	int32_t		lock;
	int32_t		next;			/* next part of the same group; -1 = none */
	uint32_t	round;			/* when it was last found in a queue */
} PghLockPart;

typedef enum PghQueueKind
{
	PGH_QUEUE_DATA,				/* rows, tables, transactions: all but */
	PGH_QUEUE_ADVISORY,			/* advisory locks */
	PGH_N_QUEUE_KINDS
} PghQueueKind;

/* Those who hang on a session by its locks of one kind. */
typedef struct PghQueue
{
	int32_t		n;				/* processes */
	PghTime		since;			/* when the first of them began to wait; 0 */
	int32_t		n_late;			/* of them: began after the moment asked for */
	int64_t		late;			/* how long after it, added up */
} PghQueue;

/* Who hangs on one session. */
typedef struct PghBlocked
{
	PghQueue	queue[PGH_N_QUEUE_KINDS];	/* nobody is counted twice */
	PghTime		advisory_since; /* since when somebody waits for an advisory
								 * lock of its own; 0 = nobody does */
} PghBlocked;

/* A lock that somebody waits for. */
typedef struct PghWaitedLock
{
	int32_t		first;			/* its parts stand together */
	int32_t		n;
	uint8_t		kind;			/* PghQueueKind */

	/* Left to the functions below. */
	int32_t		n_waiters;		/* the first parts */
	uint32_t	round;
	uint32_t	in_the_way;		/* modes that the queue holds, in this round */
	bool		known;			/* what follows is */
	uint32_t	known_held;		/* for one who holds this and no other lock */
	PghTime		known_after;
	PghBlocked	known_blocked;
} PghWaitedLock;

/* All of it at one moment.  The memory is the caller's. */
typedef struct PghLockQueues
{
	PghLockPart *part;
	int32_t		n_parts;
	PghWaitedLock *lock;
	int32_t		n_locks;
	int32_t    *first_of_group; /* n_groups of them */
	int32_t		n_groups;
	int32_t    *stack;			/* n_parts + 1 of them */
	int64_t		steps;			/* how many waiters may still be looked at */
	uint32_t	round;
} PghLockQueues;

/*
 * Order the waiters of each lock as the server serves them.  "part", "lock"
 * and the numbers are filled in; comes before everything else.
 */
extern void pgh_lock_queues_arrange(PghLockQueues *queues);

/*
 * Who hangs on "group": those who wait for what it holds, those behind them
 * in the queue whose turn cannot come before, those who wait for locks of all
 * of these, and so on.  How much was waited is counted from the moment
 * "after" on.
 *
 * Once "steps" waiters have been looked at for all sessions together, only
 * the first who waits for a lock of its own is found: n is 1 then, or 0.
 */
extern void pgh_lock_queue_of(PghLockQueues *queues, int32_t group,
							  PghTime after, PghBlocked *blocked);

#endif							/* PGH_LOCK_QUEUE_H */
