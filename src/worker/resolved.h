/*-------------------------------------------------------------------------
 *
 * worker/resolved.h
 *	  What follows from the settings for whom, as found lately.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_RESOLVED_H
#define PGH_RESOLVED_H

#include "postgres.h"

#include "pure/rules.h"

/* Allocate the memory; once, in the current context. */
extern void pgh_resolved_start(void);

/* The settings have changed, or a rule has ended: nothing is known any more. */
extern void pgh_resolved_forget(void);

/*
 * The rules that match somebody and the limits that follow.  Both stay as they
 * are until the next call.
 */
extern const PghLimits *pgh_resolved(const PghIdentity *who,
									 const PghRuleBits **bits);

#endif							/* PGH_RESOLVED_H */
