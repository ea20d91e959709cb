/*-------------------------------------------------------------------------
 *
 * worker/loop.h
 *	  The background worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_WORKER_H
#define PGH_WORKER_H

#include "compat.h"

/*
 * Register the two background workers: the one that ends sessions, and the
 * one that writes the history to disk, which may have to wait for it.  Only
 * while the library is being preloaded.
 */
extern void pgh_register_workers(void);

/* Their entry point, found by name in the library; "arg" says which. */
extern PGDLLEXPORT void pgh_worker_main(Datum arg);

#endif							/* PGH_WORKER_H */
