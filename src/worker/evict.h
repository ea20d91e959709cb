/*-------------------------------------------------------------------------
 *
 * worker/evict.h
 *	  Freeing connection slots when they run short.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_EVICT_H
#define PGH_EVICT_H

#include "worker/watch.h"

/* Allocate the memory of the worker; once, in the current context. */
extern void pgh_evict_start(void);

/*
 * Would this session, which was asked to leave and did not, be chosen now, by
 * the slots and the sessions of this moment?  "limits" are those that hold for
 * it.
 */
extern bool pgh_evicts_again(const PghSession *session,
							 const PghLimits *limits, TimestampTz now);

/*
 * End sessions, least harm first, while slots are short.  "used" is the
 * number of slots in use, "n_sessions" how many of them belong to sessions
 * that were let in.  Returns when to look again: PGH_NEVER while slots
 * are plenty.
 */
extern TimestampTz pgh_evict_pass(int used, int n_sessions,
								  TimestampTz now);

#endif							/* PGH_EVICT_H */
