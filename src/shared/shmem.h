/*-------------------------------------------------------------------------
 *
 * shared/shmem.h
 *	  What lies in shared memory: layouts, sizes, locks.
 *
 * Who may touch what (W = writes, R = reads):
 *
 * field						who and how
 * ---------------------------	--------------------------------------------
 * PghShared.worker_*, last_*	W the worker; R anyone; atomics
 * PghShared.dozing				W the worker; R connecting backends; atomic.
 *								A stale read costs one needless wake-up, or
 *								leaves the worker to its one-second heartbeat
 * PghShared.clock_set_*		W the worker, clock_set_from first; R anyone;
 *								atomics
 * PghShared.warned, growth		W the worker; R anyone; atomics
 * PghShared.total				W anyone, R anyone; atomics, only added to
 *								(reset() stores 0)
 * PghSlot identity				W its backend at claim and release, between
 *								two increments of "changecount" (odd = being
 *								written) and under PGH_LOCK_SIGNAL at release;
 *								R anyone, with the changecount protocol
 * PghSlot.pid					as identity, and R the worker under
 *								PGH_LOCK_SIGNAL before it signals: a backend
 *								cannot be gone, nor its pid be another's,
 *								while its slot is claimed and the lock is held
 * PghSlot.application			W its backend (claim, rename, release), the
 *								worker (rename); atomic exchange and
 *								compare-exchange, so that each count is given
 *								back exactly once
 * PghSlot.transactions, renames, listening
 *								W its backend; R anyone; atomics
 * PghSlot.credited				W its backend, reset(); only raised, by
 *								compare-exchange, and 0 at claim; R anyone, as
 *								never more than transactions
 * PghSlot.failed_*				W its backend; R anyone; atomics.
 *								failed_xact_start first: it counts only beside
 *								the right transaction
 * PghSlot.rolled_back_*			the same; rolled_back_for first
 * PghSlot.accepted_in			W its backend, in the signal handler, before
 *								request_state says so; R the worker; atomic
 * PghSlot.cancelled_*			W the worker (its backend clears them at
 *								claim); R anyone; atomics.  cancelled_at first:
 *								it counts only beside the right transaction
 * PghSlot.request_state		the hand-over of "request": see PghRequestState
 * PghSlot.request				W the worker while the state is FREE; R the
 *								victim while it is not, and the worker.  Its
 *								action also W by the victim while ACCEPTED,
 *								from ROLLBACK to TERMINATE; so the worker
 *								takes either for the other at no harm
 * PghSlot.observed_*			W and R the worker only; cleared at claim
 * PghApplication.name			W under PGH_LOCK_APPLICATIONS exclusive, once,
 *								before "used"; R under it shared, or through
 *								an index that was got under it
 * PghShared.n_names			W, R under PGH_LOCK_APPLICATIONS exclusive
 * PghApplication counters		W anyone; R anyone; atomics
 * PghApplication.peak_busy, leaking*	W the worker; R anyone; atomics
 * PghApplication.lost_at		W victims at their exit; R anyone; atomic
 * PghApplication.*refusals		0 = nothing was refused lately; else what was
 *								since the worker last took it, and what it made
 *								of it then (see admission.c); W refusing
 *								backends (add), the worker (compare-exchange)
 * PghRuleState.hash, bucket	W, R under PGH_LOCK_ADMISSION exclusive; R of hash
 *								by the process that writes the file, shared
 * PghRuleState counters		W anyone; R anyone; atomics
 * PghShared.headroom_refused_at	W refusing backends; R the worker; atomic
 * PghShared.slots_wanted		a PghSlotsWanted; W connecting backends, the
 *								worker; atomic exchange
 * PghShared.refusals_to_report	flag; W refusing backends, the worker; atomic
 * PghEvents and its ring		W under PGH_LOCK_EVENTS exclusive; R shared
 * PghLeak						W under PGH_LOCK_LEAKS exclusive; R shared
 * PghSamples					W the worker (add) and reset(), under
 *								PGH_LOCK_SAMPLES exclusive; R shared
 * PghShared.changes			W whoever changes what is kept on disk (add); R
 *								the process that writes it; atomic
 * PghShared.told				W, R connecting backends; atomics, see tell.c
 *
 * Locks are taken one at a time, never one inside another, and never held
 * across a wait, a palloc or anything that can raise an error.
 *
 * Unlocked reads of core's structures (scan.c): PgBackendStatus with core's
 * changecount protocol; PGPROC.xid, xmin, lxid, waitStatus and
 * procLatch.owner_pid as single words, each of which may be out of date by the time it is used.
 * Nothing is decided on them that the victim does not check again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SHMEM_H
#define PGH_SHMEM_H

#include "guc.h"
#include "pure/samples.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/lwlock.h"

/* Longest query text kept in an event, terminator included. */
#define PGH_QUERY_LEN 1024

/* Longest text of a rule's selectors kept for a message. */
#define PGH_RULE_LABEL_LEN 96

typedef enum PghLockId
{
	PGH_LOCK_SIGNAL,
	PGH_LOCK_APPLICATIONS,
	PGH_LOCK_ADMISSION,
	PGH_LOCK_EVENTS,
	PGH_LOCK_LEAKS,
	PGH_LOCK_SAMPLES
} PghLockId;
#define PGH_N_LOCKS (PGH_LOCK_SAMPLES + 1)

/* What is counted, for the server and for each application. */
typedef enum PghCounter
{
	PGH_COUNT_TERMINATED,
	PGH_COUNT_EVICTED,
	PGH_COUNT_CANCELLED,
	PGH_COUNT_SPARED,
	PGH_COUNT_REFUSED,
	PGH_COUNT_ROLLED_BACK
} PghCounter;
#define PGH_N_COUNTERS (PGH_COUNT_ROLLED_BACK + 1)

/*
 * The hand-over between the worker and a victim.
 *
 *	FREE -> PENDING		the worker, after it filled "request", before SIGUSR2
 *	PENDING -> ACCEPTED	the victim's signal handler: it will die, its
 *						statement is being cancelled, or it will look in a
 *						moment whether to roll back.  Final until the session
 *						ends (or the cancel was reported, or it has looked): a
 *						second signal cannot clear the reason
 *	PENDING -> SPARED	the victim's handler, or its exit: it had moved on
 *	ACCEPTED -> SPARED	the victim: the transaction ended before its statement
 *						could be cancelled, or was not to be rolled back
 *	ACCEPTED -> DONE	a cancel: the error was raised; also from PENDING.  A
 *						rollback: it is over
 *	ACCEPTED -> PENDING the worker asks for a cancel again that core ignored
 *	SPARED, DONE -> FREE	the worker, after it recorded the outcome
 *
 * Where two arrows of different writers leave a state, it is left by
 * compare-exchange; elsewhere a plain atomic store after a barrier will do.
 */
typedef enum PghRequestState
{
	PGH_REQUEST_FREE,
	PGH_REQUEST_PENDING,
	PGH_REQUEST_ACCEPTED,
	PGH_REQUEST_SPARED,
	PGH_REQUEST_DONE
} PghRequestState;

typedef struct PghRequest
{
	uint8		action;			/* PghAction */
	uint8		reason;			/* PghReason */
	bool		must_be_idle;	/* spare it unless it idles as it was seen */
	bool		rolled_back;	/* what it idles in was rolled back by us */
	uint8		pattern;		/* PghPattern, for the advice */
	uint16		rule;			/* number, 0 = server-wide */
	int64		limit;			/* microseconds or transaction ids */
	int64		measured;		/* at measured_at; same unit */
	TimestampTz measured_at;
	TimestampTz state_start;	/* what the worker saw */
	TimestampTz xact_start;
	LocalTransactionId lxid;	/* its number */
	uint64		event_id;		/* where the outcome is recorded */
	uint64		leak;			/* key of the leak it belongs to; 0 = none */
	char		rule_label[PGH_RULE_LABEL_LEN]; /* its selectors, printed */
} PghRequest;

/* One possible session. */
typedef struct PghSlot
{
	/* These are all that a pass over sessions at rest looks at. */
	pg_atomic_uint32 changecount;
	pg_atomic_uint32 request_state;

	int			pid;			/* 0 = nobody */
	Oid			roleid;			/* login role; InvalidOid if unknown */
	bool		superuser;
	PgBackendStatus *beentry;	/* core's entry for this backend */
	TimestampTz login_at;
	PghAddress	address;
	char		user[PGH_NAME_LEN];
	char		database[PGH_NAME_LEN];

	pg_atomic_uint32 application;	/* index of the name it is counted under */
	pg_atomic_uint64 transactions;
	pg_atomic_uint64 credited;	/* of them: counted for earlier names, or
								 * before a reset() */
	pg_atomic_uint32 listening; /* it has LISTENed on a channel */
	pg_atomic_uint32 renames;	/* how often it took another name */

	/* When its transaction's statement was cancelled for age, and which. */
	pg_atomic_uint64 cancelled_at;
	pg_atomic_uint64 cancelled_xact_start;

	/* When the last transaction began that was rolled back, and which. */
	pg_atomic_uint64 failed_xact_start;
	pg_atomic_uint64 failed_transaction;	/* "transactions" then */

	/* Why we rolled back a transaction of its, and which was the last one. */
	pg_atomic_uint32 rolled_back_for;	/* PghReason; 0 = never */
	pg_atomic_uint64 rolled_back_transaction;	/* "transactions" then */

	/* state_start of what it was doing when it accepted the last request. */
	pg_atomic_uint64 accepted_in;

	PghRequest	request;

	/* What was already recorded in observe mode: not again for the same. */
	TimestampTz observed_state_start;
	TimestampTz observed_xact_start;
} PghSlot;

StaticAssertDecl(sizeof(PghSlot) <= 512, "a slot is too large");

#define PGH_NO_APPLICATION UINT32_MAX

/* The reasons for which a connection is refused follow one another. */
#define PGH_FIRST_REFUSAL_REASON PGH_REASON_HEADROOM
#define PGH_N_REFUSAL_REASONS \
	(PGH_REASON_CONNECT_RATE - PGH_FIRST_REFUSAL_REASON + 1)

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
	pg_atomic_uint64 count[PGH_N_COUNTERS];
	pg_atomic_uint32 refusals[PGH_N_REFUSAL_REASONS];
	pg_atomic_uint32 observed_refusals[PGH_N_REFUSAL_REASONS];

	/* Most sessions seen in a transaction at once, by the worker. */
	pg_atomic_uint32 peak_busy;

	/* Its leak, as the worker saw it within the last second. */
	pg_atomic_uint32 leaking;	/* sessions idle in a transaction for a while */
	pg_atomic_uint64 leaking_since; /* when the oldest of them became idle */
	pg_atomic_uint64 leaking_key;	/* of the leak that most of them belong to */
	pg_atomic_uint64 lost_at;	/* when a limit last ended one; 0 = never */
} PghApplication;

/* What is kept for each rule, by its number. */
typedef struct PghRuleState
{
	uint32		hash;			/* of the rule that this is about; 0 = none */
	int64		bucket;			/* connections allowed now, in millionths */
	TimestampTz filled_at;		/* when the bucket was last filled up */
	pg_atomic_uint64 refused;
	pg_atomic_uint64 ended;
	pg_atomic_uint64 last_used; /* TimestampTz */
} PghRuleState;

typedef enum PghOutcome
{
	PGH_OUTCOME_PENDING,
	PGH_OUTCOME_DONE,
	PGH_OUTCOME_SPARED,
	PGH_OUTCOME_OBSERVED
} PghOutcome;

typedef struct PghEvent
{
	uint64		event_id;		/* from 1; 0 = empty place */
	TimestampTz occurred_at;
	uint8		action;			/* PghAction */
	uint8		outcome;		/* PghOutcome */
	uint8		reason;			/* PghReason */
	uint8		state;			/* PghState */
	bool		wrote;
	bool		has_session;	/* the fields from pid on mean something */
	uint16		rule;
	int32		pid;
	int32		blocking;
	Oid			roleid;
	int64		measured;
	int64		limit;
	int64		transaction_age;	/* microseconds; -1 outside a transaction */
	uint64		query_id;
	PghIdentity who;
	char		query[PGH_QUERY_LEN];
} PghEvent;

typedef struct PghEvents
{
	uint64		next_id;
	PghEvent	ring[FLEXIBLE_ARRAY_MEMBER];	/* pgh_max_events */
} PghEvents;

/* Do connecting backends want the worker to free slots? */
typedef enum PghSlotsWanted
{
	PGH_SLOTS_ENOUGH,			/* no; whoever does from now on wakes it */
	PGH_SLOTS_WANTED,
	PGH_SLOTS_MUTED				/* it has just looked, and will look again */
} PghSlotsWanted;

/* Groups of leaks that are kept, and client addresses told apart in each. */
#define PGH_MAX_LEAKS 500
#define PGH_MAX_LEAK_CLIENTS 32

/* Idle transactions that come from one place. */
typedef struct PghLeak
{
	uint64		key;			/* of all that tells one place from another; 0
								 * = empty */
	uint64		fingerprint;	/* query id, or hash of the statement's shape */
	Oid			roleid;
	uint8		state;			/* PghState, when last seen */
	uint8		statement;		/* PghStatementKind of the example */
	bool		wrote;			/* when last seen */
	uint8		n_clients;
	uint32		clients[PGH_MAX_LEAK_CLIENTS];	/* hashes of their addresses */
	uint64		ended;			/* sessions or transactions that a limit ended */
	uint64		rolled_back;	/* of them: only the transaction */
	uint64		sessions;		/* sessions that were seen */
	uint64		transactions;	/* that they had made by then, together */
	TimestampTz first_seen;
	TimestampTz last_seen;
	TimestampTz last_ended;		/* 0 = never */

	/* Endings that followed one another within PGH_REMEMBER_LOSS. */
	uint64		lately_ended;
	TimestampTz lately_since;	/* when the first of them was */
	char		application[PGH_NAME_LEN];
	char		user[PGH_NAME_LEN];
	char		database[PGH_NAME_LEN];
	char		query[PGH_QUERY_LEN];	/* an example, as it was sent */
} PghLeak;

StaticAssertDecl(sizeof(PghSamples) <= 300 * 1000, "the samples are too large");

/* Places in the memory of who was told lately. */
#define PGH_TOLD 256

typedef struct PghShared
{
	pg_atomic_uint32 worker_pid;	/* 0 = not running */
	pg_atomic_uint32 worker_proc;	/* its PGPROC number */
	pg_atomic_uint32 dozing;	/* it sleeps without a session's deadline */
	pg_atomic_uint64 last_pass; /* TimestampTz */
	pg_atomic_uint64 pass_duration; /* microseconds */
	pg_atomic_uint64 clock_set_at;	/* when the system clock was last set, by
									 * its new time; 0 = never */
	pg_atomic_uint64 clock_set_from;	/* and by its old time */
	pg_atomic_uint64 stats_since;	/* TimestampTz */
	pg_atomic_uint64 total[PGH_N_COUNTERS];
	pg_atomic_uint64 refused_by_server;
	pg_atomic_uint64 headroom_refused_at;	/* TimestampTz */
	pg_atomic_uint32 slots_wanted;
	pg_atomic_uint32 refusals_to_report;
	pg_atomic_uint32 warned;	/* warn_at was crossed and reported */
	pg_atomic_uint64 growth;	/* slots per minute, in thousandths; int64 */
	pg_atomic_uint64 changes;
	pg_atomic_uint64 told[PGH_TOLD];
	PghRuleState rules[PGH_MAX_RULES];
	int			n_slots;		/* constant after start-up */
	int			n_applications; /* places in the table; constant */
	int			n_names;		/* of them taken, but for the overflow */
} PghShared;

/* NULL unless the library was preloaded and shared memory is there. */
extern PghShared *pgh_shared;
extern PghSlot *pgh_slots;
extern PghApplication *pgh_applications;
extern PghEvents *pgh_events;
extern PghLeak *pgh_leaks;		/* PGH_MAX_LEAKS */
extern PghSamples *pgh_samples;

/*
 * Install the hooks that ask for shared memory and set it up.  "when_ready"
 * is called in the postmaster each time it has been set up.
 */
extern void pgh_shmem_install(void (*when_ready) (void));

/* How many bytes of shared memory the extension takes. */
extern Size pgh_shmem_size(void);

extern void pgh_lock(PghLockId lock, LWLockMode mode);
extern void pgh_unlock(PghLockId lock);

/* Wake the worker, if there is one.  Safe in a signal handler. */
extern void pgh_wake_worker(void);

/*
 * Raise object_not_in_prerequisite_state, with what to do, unless the
 * library was preloaded.
 */
extern void pgh_require_shared(void);

/* The counter that an action which was carried out adds to. */
extern PghCounter pgh_counter_for(PghAction action);

/* Note that something changed that is kept on disk. */
static inline void
pgh_note_change(void)
{
	pg_atomic_fetch_add_u64(&pgh_shared->changes, 1);
}

/*
 * Wake the worker because slots run short, unless that was done since it last
 * looked.
 */
extern void pgh_want_slots(void);

/* Add one to a counter of the server and of an application. */
extern void pgh_count(uint32 application, PghCounter counter);

/* Note that a rule (from 1) refused a connection or ended a session. */
extern void pgh_count_rule(int rule, PghCounter counter);

#endif							/* PGH_SHMEM_H */
