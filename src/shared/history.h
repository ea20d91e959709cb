/*-------------------------------------------------------------------------
 *
 * shared/history.h
 *	  The file in which counters, leaks and events outlive the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_PERSIST_H
#define PGH_PERSIST_H

#include "shared/shmem.h"

/*
 * Read the file into shared memory that was just set up.  A file that cannot
 * be used is logged and set aside; it never stops the server.  For the
 * postmaster, before there are other processes.  pgh_sync_rule_states() has
 * to follow, for the rules may have changed meanwhile.
 */
extern void pgh_persist_load(void);

/*
 * Write the file, unless nothing has changed since it was last written.
 * Failures are logged.  For the process that writes it once a minute, and for
 * the postmaster when all others have gone.
 */
extern void pgh_persist_save(void);

/* Have the postmaster write the file when it shuts down cleanly. */
extern void pgh_persist_at_shutdown(void);

#endif							/* PGH_PERSIST_H */
