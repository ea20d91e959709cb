/*-------------------------------------------------------------------------
 *
 * worker/evict.h
 *	  Freeing connection slots when they run short.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_EVICT_H
#define PGH_EVICT_H

#include "pure/slots.h"
#include "worker/watch.h"

/* The sessions of a cap, among which room is to be made. */
typedef struct PghScope
{
	const PghRule *rule;		/* those that match it; NULL = those of */
	uint32		application;	/* this one */
	PghDecision decision;		/* what each eviction is recorded as */
	bool		refused_lately; /* somebody was refused because of it */
} PghScope;

/* Allocate the memory of the worker; once, in the current context. */
extern void pgh_evict_start(void);

/*
 * Would this session, which was asked to leave and did not, be chosen now, by
 * the slots and the sessions of this moment?  "limits" are those that hold for
 * it.
 */
extern bool pgh_evicts_again(const PghSession *session,
							 const PghLimits *limits, TimestampTz now);

/* The same within a cap. */
extern bool pgh_evicts_within_again(const PghSession *session,
									const PghLimits *limits,
									const PghScope *scope, TimestampTz now);

/*
 * End sessions within a cap, least harm first, if it is short.  Returns when
 * one more could be ended, should it be short then; PGH_NEVER if none could.
 */
extern TimestampTz pgh_evict_within(const PghScope *scope, TimestampTz now);

/*
 * End sessions, least harm first, while slots are short.  "used" is the
 * number of slots in use, "n_sessions" how many of them belong to sessions
 * that were let in.  Returns when to look again: PGH_NEVER while slots
 * are plenty.
 */
extern TimestampTz pgh_evict_pass(int used, int n_sessions,
								  TimestampTz now);

#endif							/* PGH_EVICT_H */
