/*-------------------------------------------------------------------------
 *
 * worker/watch.h
 *	  What the worker remembers of each session between two passes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_WATCH_H
#define PGH_WATCH_H

#include "look/blockers.h"
#include "pure/samples.h"

/*
 * A pause is noted after a tenth of its limit; that its client does not come
 * back is believed after half of that.
 */
#define PGH_OUTLASTING_TENTHS 5

/* With more than this between two questions it is not about to leave. */
#define PGH_PATIENCE (100 * 1000)

/* What is needed of a session only when something about it has changed. */
typedef struct PghWatchDetails
{
	TimestampTz spell;			/* state_start of what follows */
	uint64		leak;			/* the key it was noted under; 0 = not yet */
	bool		outlasts;		/* as pgh_leak_pause_outlasts() has it */
	bool		singled_out;	/* as PghPause has it, once it was noted */
	uint64		statement;		/* what it ran last; 0 = not looked at yet */
	Oid			role;
	int64		retry_after;
	PghBlocked	blocked;		/* who hung on it at the last look */
	TimestampTz leave_at;		/* when to ask it to leave, once it is to */
	int64		leave_after;	/* microseconds between two such questions */
	int			leave_activity; /* its activity_changecount at the last one */
	uint64		observed_event; /* of this spell, while it lasts; 0 = none */

	/* What was already counted, and recorded, in observe mode. */
	TimestampTz counted_start[PGH_N_LIMITS];
	TimestampTz recorded_at[PGH_N_LIMITS];
	PghLimits	limits;
	char		application[PGH_NAME_LEN];	/* the limits were resolved for */
} PghWatchDetails;

/* What every pass looks at, in one cache line. */
typedef struct PghWatch
{
	bool		live;			/* what follows was read of a session */
	bool		asked;			/* a request is or may be open */
	bool		busy;			/* in a transaction, at work or not */
	bool		idle_transaction;
	bool		used;			/* it went back to its pool since the last
								 * look */
	bool		noted;			/* as a leak */
	bool		ages;			/* its deadline depends on its xmin's age */
	uint32		changecount;	/* the slot's claim */
	int			activity_changecount;	/* core's; none = look again */
	bool		blocks;			/* somebody hung on it at the last look */
	bool		locks_count;	/* it matters who waits for its locks */
	PgBackendStatus *beentry;
	TimestampTz deadline;		/* PGH_NEVER: none until something changes */
	TimestampTz retry_at;		/* ask again; 0 = not waiting for that */
	TimestampTz note_at;		/* when it counts as a leak, or once noted as
								 * one that lasts; PGH_NEVER = not */
	PghWatchDetails *details;
} PghWatch;

StaticAssertDecl(sizeof(PghWatch) <= 64, "a watch is larger than a cache line");

/* One for each slot.  The worker's own; W and R its files. */
extern PghWatch *pgh_watches;

/* Allocate the memory of the worker; once, in the current context. */
extern void pgh_watch_start(void);

/* Another session has the slot. */
extern void pgh_watch_begin(PghWatch *watch);

/* Forget what was resolved: the settings have changed. */
extern void pgh_watch_forget(void);

/* The system clock was set: look at everybody anew. */
extern void pgh_watch_clock_set(TimestampTz now);

/*
 * Is it time to look at, or ask, this session again?  Intervals double; the
 * first one begins with the first call, after retry_at was cleared.
 */
extern bool pgh_watch_retry(PghWatch *watch, TimestampTz now);

/*
 * The limits of the session in slot "index", or NULL if it is not one that
 * was seen in the last pass, or is already being asked to end.
 */
extern const PghLimits *pgh_watch_limits(int index, uint32 changecount);

/*
 * What a limit would have done to a session of this application is to be
 * recorded: is there still an allowance for it?  Uses one, if there is.
 */
extern bool pgh_watch_may_record(uint32 application, PghLimit reason,
								 TimestampTz now);

/* A request was posted to slot "index"; its outcome is to be recorded. */
extern void pgh_watch_expect_outcome(int index);

/*
 * A number for the last statement of a session that is idle in a transaction;
 * 0 = it has gone on since.
 */
extern uint64 pgh_watch_statement(const PghSession *session);

/* The key of the leak that this session was noted under; 0 = it was not. */
extern uint64 pgh_watch_leak(int index);

/*
 * Count the sessions that were idle in a transaction, aborted or not, in the
 * last pass: all of them, and those of the applications in the sample.
 */
extern void pgh_watch_sample(PghSample *sample);

/*
 * This session is about to be ended in a pause which was noted as a leak, by
 * now at the latest: the end of the pause is to be put down there.
 */
extern void pgh_watch_ends_in_leak(const PghSession *session, uint64 leak,
								   TimestampTz now);

/* How many sessions were idle in a transaction in the last pass. */
extern int	pgh_watch_idle_transactions(void);

/*
 * How many sessions of this application were idle in a transaction in the
 * last pass, and the slot of the one that had been so for the longest (-1 if
 * there is none).
 */
extern int	pgh_watch_leaking(uint32 application, int *oldest);

/* The most sessions that waited for one that is idle in a transaction. */
extern int	pgh_watch_blocked(void);

/* How many sessions have been asked to end, and will be gone soon. */
extern int	pgh_watch_departing(void);

/* Is this session one of those? */
extern bool pgh_watch_is_departing(int index);

#endif							/* PGH_WATCH_H */
