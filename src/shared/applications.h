/*-------------------------------------------------------------------------
 *
 * shared/applications.h
 *	  Counters for each application name.
 *
 * field						who and how
 * ---------------------------	--------------------------------------------
 * name							W under the lock exclusive, once, before
 *								"used"; R under it shared, or through an index
 *								that was got under it
 * the number of names			W, R under the lock exclusive
 * counters						W anyone; R anyone; atomics
 * peak_busy, leaking*			W the worker; R anyone; atomics
 * lost_at						W victims at their exit; R anyone; atomic
 * refusals, observed_refusals	see refusals.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_APPLICATIONS_H
#define PGH_APPLICATIONS_H

#include "shared/cost.h"
#include "shared/part.h"
#include "shared/totals.h"

#define PGH_NO_APPLICATION UINT32_MAX

typedef struct PghApplication
{
	bool		used;
	char		name[PGH_NAME_LEN];
	pg_atomic_uint32 connections;
	pg_atomic_uint32 peak;
	pg_atomic_uint64 peak_at;	/* TimestampTz */
	pg_atomic_uint64 opened;	/* sessions that took up this name */
	pg_atomic_uint64 closed;	/* sessions that gave it up */
	pg_atomic_uint64 ended;		/* those of them that ended */
	pg_atomic_uint64 transactions;	/* of sessions that ended or took another
									 * name */
	pg_atomic_uint64 session_time;	/* microseconds, of sessions that ended */
	pg_atomic_uint64 blocked_time;	/* what its sessions cost: see PghCost */
	pg_atomic_uint64 slot_time;
	pg_atomic_uint64 horizon_xids;
	pg_atomic_uint64 count[PGH_N_COUNTERS];
	pg_atomic_uint32 refusals[PGH_N_LIMITS];
	pg_atomic_uint32 observed_refusals[PGH_N_LIMITS];

	/* Most sessions seen in a transaction at once, by the worker. */
	pg_atomic_uint32 peak_busy;

	/* Its leak, as the worker saw it within the last second. */
	pg_atomic_uint32 leaking;	/* sessions idle in a transaction for a while */
	pg_atomic_uint64 leaking_since; /* when the oldest of them became idle */
	pg_atomic_uint64 leaking_key;	/* of the leak that most of them belong to */
	pg_atomic_uint64 lost_at;	/* when a limit last ended one; 0 = never */
} PghApplication;

extern PghPart pgh_applications_part;
extern PghApplication *pgh_applications;

/* How many places the table has; once max_applications is fixed. */
extern int	pgh_application_places(void);

extern int	pgh_n_applications; /* places in the table; constant after
								 * start-up */

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

/* Put down what a session cost others. */
extern void pgh_application_charge(uint32 index, const PghCost *cost);

/* Take back a pgh_application_enter() of a session that was not let in. */
extern void pgh_application_undo_enter(uint32 index);

/* Add one to a counter of the server and of an application. */
extern void pgh_count(uint32 application, PghCounter counter);

#endif							/* PGH_APPLICATIONS_H */
