/*-------------------------------------------------------------------------
 *
 * shared/events.h
 *	  The ring of what was done, refused and warned about.
 *
 * Refusals may come by the thousand, and of names that nobody has heard of, so
 * they take no more than a fifth of the ring: one that comes then pushes out
 * the oldest refusal, not the oldest event.
 *
 * All of it: W under the lock exclusive; R shared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_EVENTS_H
#define PGH_EVENTS_H

#include "pure/application_name.h"
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
	char		trace_id[PGH_TRACE_ID_LEN]; /* "" = none */
	char		query[PGH_QUERY_LEN];
} PghEvent;

extern PghPart pgh_events_part;

/*
 * Record an event; its event_id and occurred_at are set here.  The oldest one
 * goes when there are max_events.  Returns the id.
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

/*
 * Copy the oldest event that is newer than the one with this id; false when
 * there is none.
 */
extern bool pgh_event_next(uint64 after, PghEvent *event);

#endif							/* PGH_EVENTS_H */
