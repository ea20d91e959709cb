/*-------------------------------------------------------------------------
 *
 * session/tell.h
 *	  Telling a client what its application leaks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_TELL_H
#define PGH_TELL_H

#include "message.h"
#include "shared/members.h"

/*
 * Fill in what a refused client is told of the leak of its application
 * ("application" is the index that it asks to count for): of the sessions of
 * its own login role, since what those of others do is not for it to know.
 */
extern void pgh_fill_leak(uint32 application, const PghLogin *newcomer,
						  const PghLimits *limits, PghRefusalFacts *told);

/*
 * Raise one WARNING in a new session of an application and login role that
 * lost sessions to a limit in the last ten minutes; at most one a minute for
 * each application and address.  Called when the start-up transaction
 * commits: before that nothing below ERROR is sent to a client.
 */
extern void pgh_tell_newcomer(PghSlot *slot);

#endif							/* PGH_TELL_H */
