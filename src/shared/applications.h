/*-------------------------------------------------------------------------
 *
 * shared/applications.h
 *	  Counters for each application name.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_APPLICATIONS_H
#define PGH_APPLICATIONS_H

#include "shared/shmem.h"

/*
 * The name that stands for all applications beyond max_applications.  Its
 * place in the table is 0.
 */
#define PGH_OTHER_APPLICATIONS "(other applications)"

/*
 * The index of a name of less than PGH_NAME_LEN bytes, which it keeps until
 * the server restarts.  A name not seen before gets a place; when there is
 * none left, it is counted under PGH_OTHER_APPLICATIONS.
 */
extern uint32 pgh_application_index(const char *name);

/*
 * Count a session in, and return how many sessions the application has with
 * it.  Every call needs exactly one pgh_application_leave() later.
 * The peak is not raised: the session may not be let in.
 */
extern uint32 pgh_application_enter(uint32 index);

/* A session that was let in had so many beside it, with itself. */
extern void pgh_application_raise_peak(uint32 index, uint32 connections);

/* Count a session out that took another name. */
extern void pgh_application_leave(uint32 index);

/* Count transactions of a session that goes on under another name. */
extern void pgh_application_credit(uint32 index, uint64 transactions);

/*
 * Count a session out that ended, with the transactions it made under this
 * name and how long it lasted (microseconds).
 */
extern void pgh_application_end(uint32 index, uint64 transactions,
								int64 duration);

/* Take back a pgh_application_enter() of a session that was not let in. */
extern void pgh_application_undo_enter(uint32 index);

/* Clear every counter but the numbers of open connections. */
extern void pgh_applications_reset(void);

#endif							/* PGH_APPLICATIONS_H */
