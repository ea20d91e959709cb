/*-------------------------------------------------------------------------
 *
 * shared/application.h
 *	  One application: what the table keeps of it, and its counters.
 *
 * field						who and how
 * ---------------------------	--------------------------------------------
 * used ... asking				W under the table's lock exclusive; R under it
 *								shared.  name and id also without it, where
 *								nothing is decided by them
 * counters						W anyone who counts for the application, under
 *								the lock shared; R anyone; atomics
 * peak_busy, leaking*, diagnos* W the worker, under the lock shared; R under
 *								it; atomics
 * refusals, observed_refusals	see refusals.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_APPLICATION_H
#define PGH_APPLICATION_H

#include "shared/accounts.h"
#include "shared/cost.h"
#include "shared/totals.h"

typedef struct PghApplication
{
	bool		used;
	bool		is_family;		/* of all names of the family it is called */
	bool		established;
	bool		tentative;		/* nobody was let in under this name yet */
	char		name[PGH_NAME_LEN];
	uint32		id;				/* no other place had or will have it */
	uint32		hash;			/* of its family's name */
	uint32		next;			/* in its bucket, or among the free; 0 = end */
	uint8		rest;			/* while it has no sessions: among which, see
								 * applications.c */
	uint32		older;			/* of those; 0 = none */
	uint32		newer;
	PghAccount	account;
	int32		asking;			/* logins and renames that are asking to count
								 * for it, or wait until they may */

	pg_atomic_uint32 peak;
	pg_atomic_uint64 peak_at;	/* TimestampTz */
	pg_atomic_uint64 since;		/* when the first of "opened" did; 0 = none */
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
	pg_atomic_uint64 lost_at;	/* when a limit last ended one; 0 = never */

	/* Most sessions seen in a transaction at once, by the worker. */
	pg_atomic_uint32 peak_busy;

	/*
	 * The leak of the role of which most sessions leak, as the worker saw it
	 * within the last second.
	 */
	pg_atomic_uint32 leaking;	/* sessions idle in a transaction for a while */
	pg_atomic_uint32 leaking_role;
	pg_atomic_uint64 leaking_since; /* when the oldest of them became idle */
	pg_atomic_uint64 leaking_key;	/* of the leak that most of them are */

	/* What was wrong with how it connects, when somebody last looked. */
	pg_atomic_uint32 diagnosis; /* PghPattern */
	pg_atomic_uint64 diagnosed_since;	/* TimestampTz */
	pg_atomic_uint64 diagnosed_at;
} PghApplication;

/* What the file keeps; its sessions have all ended by then. */
typedef struct PghKeptApplication
{
	char		name[PGH_NAME_LEN];
	uint32		peak;
	bool		is_rest;		/* the sum of those without a place */
	bool		is_family;
	bool		established;
	TimestampTz peak_at;
	TimestampTz since;
	uint64		opened;
	uint64		ended;
	uint64		transactions;
	uint64		session_time;
	uint64		blocked_time;
	uint64		slot_time;
	uint64		horizon_xids;
	TimestampTz lost_at;
	uint32		diagnosis;
	TimestampTz diagnosed_since;
	TimestampTz diagnosed_at;
	uint64		count[PGH_N_COUNTERS];
} PghKeptApplication;

/* Initialise the counters; when shared memory is set up. */
extern void pgh_application_init(PghApplication *app);

/*
 * Put the counters back: all of them for another name, or those that
 * hygiene.reset() clears, which leaves the sessions of this moment.
 */
extern void pgh_application_clear(PghApplication *app);
extern void pgh_application_reset(PghApplication *app);

/* Count a session that takes up its name. */
extern void pgh_application_open(PghApplication *app);

/* Does any counter say that it ever was of use? */
extern bool pgh_application_did_anything(PghApplication *app);

/* Add the counters of an application to those of another one. */
extern void pgh_application_add(PghApplication *from, PghApplication *to);

/* What is kept of it on disk, and back. */
extern void pgh_application_keep(PghApplication *app,
								 PghKeptApplication *kept);
extern void pgh_application_restore(PghApplication *app,
									const PghKeptApplication *kept);

/* Put down what a session cost others. */
extern void pgh_application_charge(PghApplication *app, const PghCost *cost);

/*
 * This is wrong (a PghPattern, not NONE) with how it connects, since it was
 * first found to be or since another thing was.
 */
extern void pgh_application_diagnose(PghApplication *app, uint32 pattern,
									 TimestampTz now);

/* "connections" at once is the most so far, if it is. */
extern void pgh_application_raise_peak(PghApplication *app,
									   int32 connections);

#endif							/* PGH_APPLICATION_H */
