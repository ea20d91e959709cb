/*-------------------------------------------------------------------------
 *
 * shared/history.h
 *	  The file in which shared memory outlives the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_HISTORY_H
#define PGH_HISTORY_H

#include "shared/parts.h"

/*
 * Read the file into shared memory that was just set up.  A file, or a
 * part of one, that cannot be used is logged and the file set aside; it never
 * stops the server.  For the
 * postmaster, before there are other processes.  pgh_follow_rules() has
 * to follow, for the rules may have changed meanwhile.
 */
extern void pgh_history_load(void);

/*
 * Write the file, unless nothing has changed since it was last written.
 * Failures are logged.  For the process that writes it once a minute, and for
 * the postmaster when all others have gone.
 */
extern void pgh_history_save(void);

/* Have the postmaster write the file when it shuts down cleanly. */
extern void pgh_history_at_shutdown(void);

#endif							/* PGH_HISTORY_H */
