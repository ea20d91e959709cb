/*-------------------------------------------------------------------------
 *
 * shared/drains.h
 *	  The drains: whose sessions are to leave between two transactions.
 *
 * A drain is about the sessions that it matched when it was begun, and no
 * others: each is marked by its slot and its claim.  A session may be of
 * several drains; it leaves because of any.
 *
 * field						who and how
 * ---------------------------	--------------------------------------------
 * next_number, drain[]			W who begins or stops one, and the worker when
 *								all have left, under the lock exclusive; R
 *								under it shared
 * running						one bit for each place; W under the lock
 *								exclusive; R anyone; atomic
 * news							W who begins or stops one, before the marks and
 *								after all the rest; R the worker, before all
 *								the rest and after the marks; atomic
 * marks[]						for each slot the claim that is marked, in the
 *								upper half, and the places of its drains, in
 *								the lower one; W under the lock exclusive; R
 *								anyone; atomics
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_DRAINS_H
#define PGH_DRAINS_H

#include "shared/part.h"

/* So many are remembered, and may run at once. */
#define PGH_MAX_DRAINS 16

/* Longest text of selectors that is kept, terminator included. */
#define PGH_DRAIN_TEXT_LEN 1024

typedef struct PghDrain
{
	int32		number;			/* from 1; 0 = nothing was ever here */
	int32		matched;		/* sessions */
	int32		ended;			/* of them, when it was over */
	bool		by_address;		/* a selector is an address */
	TimestampTz started_at;
	TimestampTz deadline;		/* from then on whatever they do; 0 = none */
	char		selectors[PGH_DRAIN_TEXT_LEN];	/* printed */
} PghDrain;

typedef struct PghDrains
{
	pg_atomic_uint32 running;
	pg_atomic_uint32 news;		/* how often one was begun or stopped */
	int32		next_number;
	PghDrain	drain[PGH_MAX_DRAINS];
	pg_atomic_uint64 marks[FLEXIBLE_ARRAY_MEMBER];	/* for each slot */
} PghDrains;

extern PghPart pgh_drains_part;
extern PghDrains *pgh_drains;

/* A session that a drain matched. */
typedef struct PghMarked
{
	int			index;			/* its slot */
	uint32		changecount;	/* its claim */
} PghMarked;

/*
 * The selectors of a drain by its number, in one line of ASCII, as much as
 * fits; "" if it is not known any more.  Takes no lock.
 */
extern void pgh_drain_label(int32 number, char *label, size_t size);

/*
 * Begin a drain of these sessions; "drain" has its selectors and times.
 * Returns its number, or 0 when PGH_MAX_DRAINS are running.  The caller wakes
 * the worker.
 */
extern int32 pgh_drain_begin(const PghDrain *drain, const PghMarked *marked,
							 int n);

/* Stop a drain.  False when none of this number is running. */
extern bool pgh_drain_stop(int32 number);

/*
 * Copy what is in a place, with what has become of it until now; "remaining"
 * is how many it is still going to end.  False when nothing was ever there.
 */
extern bool pgh_drain_read(int place, PghDrain *copy, int32 *remaining);

/* The places of the running drains of a session, one bit each; no lock. */
extern uint32 pgh_drains_of(int index, uint32 changecount);

/* Worker: close those whose sessions have all left. */
extern void pgh_drains_settle(void);

#endif							/* PGH_DRAINS_H */
