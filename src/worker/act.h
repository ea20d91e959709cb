/*-------------------------------------------------------------------------
 *
 * worker/act.h
 *	  From a verdict to a request, a signal, an event.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_ACT_H
#define PGH_ACT_H

#include "look/scan.h"
#include "shared/events.h"

/*
 * Carry out a verdict that is due, or only record it when "mode" is observe
 * (once for each idle spell or transaction).  For the worker only.  Returns
 * true when a request was posted, whose outcome is still to come.
 */
extern bool pgh_act(const PghSession *session, const PghVerdict *verdict,
					PghMode mode, TimestampTz now);

/*
 * Ask a session to leave.  "drain" is the number of the drain that it is of,
 * or 0.  For the worker only.  True when it was asked.
 */
extern bool pgh_act_leave(const PghSession *session,
						  const PghDecision *decision, PghLeave leave,
						  int32 drain, TimestampTz now);

/*
 * Note an idle transaction under the place that it comes from.  Returns the
 * key of the leak, or 0 when the session has gone on meanwhile.
 */
extern uint64 pgh_note_leak(const PghSession *session);

#endif							/* PGH_ACT_H */
