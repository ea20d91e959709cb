/*-------------------------------------------------------------------------
 *
 * shared/events.h
 *	  The ring of what was done, refused and warned about.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_EVENTS_H
#define PGH_EVENTS_H

#include "shared/shmem.h"

/*
 * Record an event; its event_id and occurred_at are set here.  The oldest one
 * goes when the ring is full.  Returns the id.
 */
extern uint64 pgh_event_add(PghEvent *event);

/*
 * Set the outcome of an event, if the ring still has it, and what was done: a
 * transaction that could not be rolled back ends with its session.
 */
extern void pgh_event_finish(uint64 event_id, PghAction action,
							 PghOutcome outcome);

/* The ids that the ring may have: [*first, *next). */
extern void pgh_event_range(uint64 *first, uint64 *next);

/* Copy one event; false when the ring no longer has it. */
extern bool pgh_event_read(uint64 event_id, PghEvent *event);

/* Put an event of an earlier life back where it was; for the postmaster. */
extern void pgh_event_restore(const PghEvent *event);

/* Forget all events.  Ids go on. */
extern void pgh_events_reset(void);

#endif							/* PGH_EVENTS_H */
