/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  The background worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_WORKER_H
#define PGH_WORKER_H

#include "shmem.h"

/* Register the worker.  Only while the library is being preloaded. */
extern void pgh_register_worker(void);

/* Its entry point, found by name in the library. */
extern PGDLLEXPORT void pgh_worker_main(Datum arg);

#endif							/* PGH_WORKER_H */
