/*-------------------------------------------------------------------------
 *
 * worker/caps.h
 *	  Caps at which nobody could work, because leaks fill them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_CAPS_H
#define PGH_CAPS_H

#include "look/scan.h"

/* Allocate the memory of the worker; once, in the current context. */
extern void pgh_caps_start(void);

/*
 * Make room within the caps that are short of it.  Returns when to look again;
 * PGH_NEVER when none is nearly full.
 */
extern TimestampTz pgh_caps_pass(TimestampTz now);

/*
 * Would this session, which was asked to leave because of a cap and did not,
 * be chosen now?
 */
extern bool pgh_cap_evicts_again(const PghSession *session,
								 const PghLimits *limits,
								 const PghDecision *asked, TimestampTz now);

#endif							/* PGH_CAPS_H */
