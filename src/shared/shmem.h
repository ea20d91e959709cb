/*-------------------------------------------------------------------------
 *
 * shared/shmem.h
 *	  Asks for shared memory and lays it out.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SHMEM_H
#define PGH_SHMEM_H

#include "shared/parts.h"

/*
 * Install the hooks that ask for shared memory and set it up.  "when_ready"
 * is called in the postmaster each time it has been set up.
 */
extern void pgh_shmem_install(void (*when_ready) (void));

/*
 * Clear every part, as hygiene.reset() does; the last one first, so that the
 * worker sees a new "stats_since" when all else is done.
 */
extern void pgh_shmem_reset(void);

#endif							/* PGH_SHMEM_H */
