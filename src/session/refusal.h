/*-------------------------------------------------------------------------
 *
 * session/refusal.h
 *	  A connection that is not let in: what is said and recorded of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_REFUSAL_H
#define PGH_REFUSAL_H

#include "pure/slots.h"
#include "shared/slot.h"

/* A client that has authenticated, and all that its admission rests on. */
typedef struct PghArrival
{
	PghLogin	login;
	PghIdentity who;
	uint32		application;
	PghRuleBits bits;
	PghLimits	limits;
	PghNewcomer facts;
	bool		rules_are_present;	/* its counts and rates are everybody's */
	PghRefusal	refusal;
	int32		counts[PGH_MAX_RULES];	/* sessions of each rule, without us */
} PghArrival;

/*
 * Say and record that this connection is refused: raises FATAL.  Where it is
 * only observed, returns.
 */
extern void pgh_refuse(const PghArrival *arrival);

/*
 * Is a message that is being emitted a refusal of ours, and is it to be kept
 * out of the log because the like was logged within the last second?
 */
extern bool pgh_refusing(bool *quiet);

#endif							/* PGH_REFUSAL_H */
