/*-------------------------------------------------------------------------
 *
 * session/refusal.h
 *	  A connection, or a name, that is not let in: what is said and recorded
 *	  of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_REFUSAL_H
#define PGH_REFUSAL_H

#include "message.h"
#include "pure/queue.h"
#include "pure/slots.h"
#include "shared/members.h"

/* A client that has authenticated, and all that its admission rests on. */
typedef struct PghArrival
{
	PghLogin	login;
	PghIdentity who;
	PghRuleBits bits;
	PghLimits	limits;
	PghStanding standing;
	PghNewcomer facts;
	bool		rules_were_asked;	/* "counts" is filled in */
	bool		rules_are_present;	/* its counts and rates are everybody's */
	PghRefusal	refusal;
	bool		fills_cap;		/* it takes the last place of one */
	int			free_slots;		/* beside its own; may be less than there are */
	TimestampTz until;			/* it may wait for a place */
	int64		waited;			/* it has, microseconds */
	PghWaiter	self;			/* in the queue */
	bool		is_first;		/* there, of those that wait for the same */
	bool		is_rename;		/* it was let in before, under another name */
	PghRuleBits former;			/* the rules that it matched by that */
	int32		counts[PGH_MAX_RULES];	/* sessions of each rule, without us */
} PghArrival;

/* What is said of it. */
typedef struct PghRefusalText
{
	bool		log_it;
	char		primary[256];
	PghMessage	message;
} PghRefusalText;

/*
 * Count a refusal in its series, record it, and compose what is said, while
 * "slot" still counts for the application that it was refused for.
 */
extern void pgh_refusal_record(const PghArrival *arrival, PghSlot *slot,
							   PghRefusalText *text);

/* It is only observed: a line in the log. */
extern void pgh_refusal_observe(const PghRefusalText *text);

/* Raise FATAL. */
extern void pgh_refusal_raise(const PghRefusalText *text);

/*
 * End this session at the next moment at which that is possible; nothing can
 * be raised now.
 */
extern void pgh_refusal_end_session(const PghRefusalText *text);

/*
 * Is a message that is being emitted a refusal of ours?  Then it is completed
 * if it has to be, and kept out of the log if it is one of many.  For
 * emit_log_hook, in the context that the message lives in.
 */
extern bool pgh_refusal_complete_message(ErrorData *edata);

#endif							/* PGH_REFUSAL_H */
