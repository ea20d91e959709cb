/*-------------------------------------------------------------------------
 *
 * session/victim.h
 *	  A backend that is asked to end, or to cancel its statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_VICTIM_H
#define PGH_VICTIM_H

#include "shared/request.h"

/* Install the signal handler; before the slot is claimed. */
extern void pgh_victim_install(void);

/*
 * The transaction is about to commit: what was accepted is heeded now, which
 * may raise an error, or never.
 */
extern void pgh_victim_before_commit(PghSlot *slot);

/* The transaction has ended; "slot" may be NULL. */
extern void pgh_victim_after_transaction(PghSlot *slot, bool aborted);

/*
 * Complete the message that core raises for what the handler set.  False when
 * it is somebody else's.  For emit_log_hook, in the context that the message
 * lives in.
 */
extern bool pgh_victim_complete_message(ErrorData *edata);

/* Record the end of a session that was asked to leave; before its slot goes. */
extern void pgh_victim_record(PghSlot *slot);

/* Record how a request ended that was still open when the session did. */
extern void pgh_victim_finish(PghSlot *slot);

#endif							/* PGH_VICTIM_H */
