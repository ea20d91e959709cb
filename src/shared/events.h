/*-------------------------------------------------------------------------
 *
 * shared/events.h
 *	  The ring of what was done, refused and warned about.
 *
 * All of it: W under the lock exclusive; R shared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_EVENTS_H
#define PGH_EVENTS_H

#include "shared/part.h"

typedef enum PghOutcome
{
	PGH_OUTCOME_PENDING,
	PGH_OUTCOME_DONE,
	PGH_OUTCOME_SPARED,
	PGH_OUTCOME_OBSERVED
} PghOutcome;

typedef struct PghEvent
{
	uint64		event_id;		/* from 1; 0 = empty place */
	TimestampTz occurred_at;
	PghDecision decision;
	uint8		outcome;		/* PghOutcome */
	uint8		state;			/* PghState */
	bool		wrote;
	bool		has_session;	/* the fields from pid on mean something */
	int32		pid;
	int32		blocking;
	Oid			roleid;
	int64		transaction_age;	/* microseconds; -1 outside a transaction */
	int64		resumed_after;	/* microseconds; -1 = it did not */
	uint64		query_id;
	PghIdentity who;
	char		query[PGH_QUERY_LEN];
} PghEvent;

typedef struct PghEvents
{
	uint64		next_id;
	PghEvent	ring[FLEXIBLE_ARRAY_MEMBER];	/* pgh_max_events */
} PghEvents;

extern PghPart pgh_events_part;

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

/*
 * The session that an event is about went back to work by itself at this
 * time, if the ring still has it.
 */
extern void pgh_event_resumed(uint64 event_id, TimestampTz at);

/* The ids that the ring may have: [*first, *next). */
extern void pgh_event_range(uint64 *first, uint64 *next);

/* Copy one event; false when the ring no longer has it. */
extern bool pgh_event_read(uint64 event_id, PghEvent *event);

#endif							/* PGH_EVENTS_H */
