/*-------------------------------------------------------------------------
 *
 * session/name.h
 *	  Which name a session counts for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_NAME_H
#define PGH_NAME_H

#include "postgres.h"

#include "libpq/libpq-be.h"

#include "shared/slot.h"

/* Take note of whatever sets application_name.  Called once, by _PG_init. */
extern void pgh_name_install(void);

/*
 * application_name was set, reset or brought back since pgh_name_follow() last
 * looked.
 */
extern bool pgh_name_was_set;

/* The name that a client logs in with, in PGH_NAME_LEN bytes; "" for none. */
extern void pgh_name_at_login(const Port *port, char *name);

/*
 * For the callback of a transaction that has just been committed or prepared:
 * count the session for the name that it has from now on, after so many
 * transactions under the one before, or have it ended.  Raises nothing.
 * Returns whether it counts for another name than before.
 */
extern bool pgh_name_follow(PghSlot *slot, uint64 transactions);

#endif							/* PGH_NAME_H */
