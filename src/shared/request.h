/*-------------------------------------------------------------------------
 *
 * shared/request.h
 *	  The hand-over between the worker and a victim.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_REQUEST_H
#define PGH_REQUEST_H

#include "shared/events.h"
#include "shared/slot.h"

/*
 * Worker: put a request into slot "index" and signal its backend, if the slot
 * is still held by the claim "changecount".  False when it is not, or an
 * earlier request is still open.
 */
extern bool pgh_request_post(int index, uint32 changecount,
							 const PghRequest *request);

/*
 * Worker: ask once more what was asked and spared, since it was decided again
 * by the settings of this moment.  False when the session has gone.
 */
extern bool pgh_request_repeat(int index, uint32 changecount);

/*
 * Worker: ask once more for a cancel that was accepted, but not carried out.
 * False when it was, or the session has gone.
 */
extern bool pgh_request_repeat_cancel(int index, uint32 changecount);

/*
 * Worker: take back a cancel that was accepted, but not carried out.  False
 * when it was, or the session has gone.
 */
extern bool pgh_request_recall_cancel(int index, uint32 changecount);

/*
 * Victim, in its signal handler: was its cancel taken back?  It then says
 * whether that came in time.
 */
extern bool pgh_request_recalled(PghSlot *slot);
extern void pgh_request_answer_recall(PghSlot *slot, bool in_time);

/* Has this backend accepted a request that has not ended yet? */
extern bool pgh_request_accepted(PghSlot *slot);

/* Is that a cancel, perhaps one that is being asked for once more? */
extern bool pgh_request_cancelling(PghSlot *slot);

/*
 * Victim: the cancel that was asked for is being raised.  False when the
 * worker has closed the request meanwhile.
 */
extern bool pgh_request_cancel_done(PghSlot *slot);

/*
 * Victim, at the end of a transaction: a cancel that was accepted and not
 * raised is one that was spared.
 */
extern void pgh_request_withdraw_cancel(PghSlot *slot);

/* Victim, in its main context: is what was asked and accepted a rollback? */
extern bool pgh_request_is_rollback(PghSlot *slot);

/* Victim, in its main context: how an accepted rollback came out. */
extern void pgh_request_rolled_back(PghSlot *slot, bool done);

/* Victim: the session ends instead, for the same reason. */
extern void pgh_request_end_instead(PghSlot *slot);

/* What the session has reached by now, in the unit of the request's limit. */
extern int64 pgh_request_measure(const PghRequest *request);

/*
 * Worker, and the victim at its exit: close the request if it is in state
 * "state": record its outcome and count it.  Does nothing when the other one
 * was faster.
 */
extern void pgh_request_finish(PghSlot *slot, PghRequestState state,
							   PghOutcome outcome);

#endif							/* PGH_REQUEST_H */
