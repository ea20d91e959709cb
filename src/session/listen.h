/*-------------------------------------------------------------------------
 *
 * session/listen.h
 *	  Whether this backend listens for notifications.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_LISTEN_H
#define PGH_LISTEN_H

#include "shared/slot.h"

/* Install the utility hook.  Called once, by _PG_init. */
extern void pgh_listen_install(void);

/* Has a LISTEN or UNLISTEN been issued in the current transaction? */
extern bool pgh_listen_pending(void);

/*
 * The transaction has ended: carry its LISTENs and UNLISTENs out, or forget
 * them.  Cannot fail.
 */
extern void pgh_listen_end(bool committed);

#endif							/* PGH_LISTEN_H */
