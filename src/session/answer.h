/*-------------------------------------------------------------------------
 *
 * session/answer.h
 *	  Whether a backend is still what the worker saw when it asked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_ANSWER_H
#define PGH_ANSWER_H

#include "shared/request.h"

/*
 * Victim, in its signal handler: answer a pending request.  Returns true when
 * it was accepted; the caller then makes this backend die or cancel.  One that
 * has begun to commit is not interrupted.
 */
extern bool pgh_request_answer(PghSlot *slot, bool committing);

/*
 * Victim, in its main context: does it still idle as the worker saw it, under
 * the settings that it was asked by?
 */
extern bool pgh_request_still_holds(PghSlot *slot);

#endif							/* PGH_ANSWER_H */
