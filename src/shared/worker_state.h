/*-------------------------------------------------------------------------
 *
 * shared/worker_state.h
 *	  What the worker publishes of itself, and how it is woken.
 *
 * field						who and how
 * ---------------------------	--------------------------------------------
 * pid, proc, last_pass, pass_duration, warned, growth
 *								W the worker; R anyone; atomics
 * dozing						W the worker; R connecting backends; atomic.
 *								A stale read costs one needless wake-up, or
 *								leaves the worker to its one-second heartbeat
 * timing_since				W the worker; R anyone; atomic.  A stale read
 *								leaves one end of a transaction unnoted
 * clock_set_at, clock_set_from	W the worker, clock_set_from first; R anyone;
 *								atomics
 * slots_wanted					a PghSlotsWanted; W connecting backends, the
 *								worker; atomic exchange
 * peak							a PghPeak in one number, 0 = none; W connecting
 *								backends (compare-exchange, only to a greater
 *								one), the worker (exchange with 0); atomic
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_WORKER_STATE_H
#define PGH_WORKER_STATE_H

#include "shared/part.h"

/* Do connecting backends want the worker to free slots? */
typedef enum PghSlotsWanted
{
	PGH_SLOTS_ENOUGH,			/* no; whoever does from now on wakes it */
	PGH_SLOTS_WANTED,
	PGH_SLOTS_MUTED				/* it has just looked, and will look again */
} PghSlotsWanted;

/*
 * The moment at which most slots were in use, of those that connecting
 * backends saw.
 */
typedef struct PghPeak
{
	int			used;			/* slots; 0 = nobody saw them run short */
	int			connections;	/* of the application of the one that came */
	uint32		application;	/* its place in the table */
} PghPeak;

typedef struct PghWorkerState
{
	pg_atomic_uint32 pid;		/* 0 = not running */
	pg_atomic_uint32 proc;		/* its PGPROC number */
	pg_atomic_uint32 dozing;	/* it sleeps without a session's deadline */
	pg_atomic_uint32 slots_wanted;
	pg_atomic_uint64 peak;		/* since the worker last took it */
	pg_atomic_uint32 warned;	/* warn_at was crossed and reported */
	pg_atomic_uint64 last_pass; /* TimestampTz */
	pg_atomic_uint64 pass_duration; /* microseconds */
	pg_atomic_uint64 growth;	/* slots per minute, in thousandths; int64 */
	pg_atomic_uint64 timing_since;	/* since when sessions note the ends of
									 * their transactions; 0 = they do not,
									 * for nobody's age is limited */
	pg_atomic_uint64 clock_set_at;	/* when the system clock was last set, by
									 * its new time; 0 = never */
	pg_atomic_uint64 clock_set_from;	/* the latest of its old times, at
										 * this step and at those before */
} PghWorkerState;

extern PghPart pgh_worker_state_part;
extern PghWorkerState *pgh_worker_state;

/* Wake the worker, if there is one.  Safe in a signal handler. */
extern void pgh_wake_worker(void);

/*
 * Wake the worker because slots run short, unless that was done since it last
 * looked.
 */
extern void pgh_want_slots(void);

/*
 * A connecting backend saw so many slots in use, and so many connections of
 * its application.  Of those that saw as many, the one with the largest
 * application is kept.
 */
extern void pgh_note_peak(const PghPeak *peak);

/* The worker takes what was noted since it last did. */
extern PghPeak pgh_take_peak(void);

#endif							/* PGH_WORKER_STATE_H */
