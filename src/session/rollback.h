/*-------------------------------------------------------------------------
 *
 * session/rollback.h
 *	  Rolling an idle transaction back while its connection stays.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_ROLLBACK_H
#define PGH_ROLLBACK_H

#include "shared/slot.h"

#include "nodes/parsenodes.h"

/*
 * A transaction of this session was rolled back lately.  Its block may be
 * over; pgh_rollback_check() finds out.
 */
extern bool pgh_rolled_back;

/*
 * Carry out the rollback that the signal handler has accepted, or spare the
 * transaction.  In the main context, with interrupts held; see
 * look/interrupt.h.  Raises no error.
 */
extern void pgh_roll_back(void);

/*
 * Before a statement that controls transactions, if pgh_rolled_back: raises
 * idle_in_transaction_session_timeout when it would commit what was rolled
 * back, or return to a savepoint of it.
 */
extern void pgh_rollback_check(const TransactionStmt *statement);

/*
 * From the log hook, at an error: the next statement in the block is to be
 * told the reason as well.
 */
extern void pgh_rollback_go_on_explaining(void);

#endif							/* PGH_ROLLBACK_H */
