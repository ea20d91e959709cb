/*-------------------------------------------------------------------------
 *
 * session/hooks.h
 *	  What the extension does inside a client backend.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SESSION_H
#define PGH_SESSION_H

#include "shared/slot.h"

/* Install the hooks of a client backend.  Called once, by _PG_init. */
extern void pgh_session_install(void);

#endif							/* PGH_SESSION_H */
