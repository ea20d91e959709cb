/*-------------------------------------------------------------------------
 *
 * shared/slot.h
 *	  A client backend's slot: claim, release, read, count.
 *
 * field						who and how
 * ---------------------------	--------------------------------------------
 * login						W its backend at claim and release, and when it
 *								begins to wait for admission (pid 0, the rest
 *								filled in), between
 *								two increments of "changecount" (odd = being
 *								written) and under the lock at release; R
 *								anyone, with the changecount protocol
 * login.pid					as login, and R the worker under the lock
 *								before it signals: a backend cannot be gone,
 *								nor its pid be another's, while its slot is
 *								claimed and the lock is held
 * application, arriving		W its backend, and whoever makes a family one
 *								application, under the lock of the
 *								applications exclusive; R under it shared, or
 *								anyone where it may have become another one
 * name							W its backend, between two increments of
 *								name_changes (odd = being written); R anyone,
 *								see pgh_slot_name()
 * transactions, renames, on_purpose
 *								W its backend; R anyone; atomics
 * credited						W its backend, reset(); only raised, by
 *								compare-exchange, and 0 at claim; R anyone, as
 *								never more than transactions
 * ended_*						W its backend; R anyone; atomics.  ended_at
 *								first: it counts only beside the right
 *								transaction
 * talking_in					W its backend, in the signal handler; R anyone;
 *								atomic
 * failed_*						W its backend; R anyone; atomics.
 *								failed_xact_start first: it counts only beside
 *								the right transaction
 * rolled_back_*				as failed_*; rolled_back_for first
 * wire_id						W its backend after claim; R anyone; atomic
 * client_since, client_unsure	W the worker (its backend clears them at
 *								claim); R anyone; atomics.  client_unsure
 *								first.  Of an earlier statement if it is
 *								earlier than state_start
 * accepted_in					W its backend, in the signal handler, before
 *								request_state says so; R the worker; atomic
 * cancelled_*					W the worker (its backend clears them at
 *								claim); R anyone; atomics.  cancelled_at first:
 *								it counts only beside the right transaction
 * request_state				the hand-over of "request": see PghRequestState
 * request						W the worker while the state is FREE, and its
 *								generation also while it is SPARED; R the
 *								victim while it is not, and the worker.  Its
 *								action also W the victim while ACCEPTED, from
 *								ROLLBACK to TERMINATE; the worker may take
 *								one for the other then
 * departure					W its backend at release, before changecount
 *								moves on, while "claim" is 0, and that last;
 *								then R the worker, which sets it to 0; R the
 *								postmaster when all others have gone
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SLOT_H
#define PGH_SLOT_H

#include "shared/part.h"

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
 *	ACCEPTED -> RECALLED the worker takes a cancel back: it is not due any more
 *	RECALLED -> SPARED	the victim's signal handler, or its end of the
 *						transaction.  -> ACCEPTED or DONE, because the error is
 *						being raised already
 *	SPARED, DONE -> FREE	the worker, after it recorded the outcome; of one
 *						that is to leave there is none to be recorded
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
	PGH_REQUEST_DONE,
	PGH_REQUEST_RECALLED
} PghRequestState;

/*
 * Is the session to leave by itself, and when?  Such a request says nothing
 * of what the worker saw, is answered at once, and closed when it was spared;
 * the worker asks again in a moment.  Nothing is recorded of it until it was
 * accepted, and then by the victim.
 */
typedef enum PghLeave
{
	PGH_LEAVE_NONE,				/* it is to end what the worker saw */
	PGH_LEAVE_BETWEEN,			/* between two transactions */
	PGH_LEAVE_UNBOUND,			/* the same, unless it LISTENs or holds a lock
								 * for the session */
	PGH_LEAVE_AT_ONCE			/* whatever it does */
} PghLeave;

typedef struct PghRequest
{
	PghDecision decision;
	uint8		leave;			/* PghLeave */
	bool		rolled_back;	/* what it idles in was rolled back by us */
	bool		must_be_idle;	/* spare it unless it idles as it was seen */
	uint8		pattern;		/* PghPattern, for the advice */
	uint32		generation;		/* of the settings it was decided by; it holds
								 * no longer than they do */
	TimestampTz measured_at;	/* when decision.measured was */
	TimestampTz state_start;	/* what the worker saw */
	TimestampTz xact_start;
	LocalTransactionId lxid;	/* its number */
	uint32		still;			/* for a client that stalls: see
								 * pgh_wire_digest() */
	uint64		event_id;		/* where the outcome is recorded */
	uint64		leak;			/* key of the leak it belongs to; 0 = none */
	uint32		rules_version;	/* of the rules, see rule_labels.h */
	int32		drain;			/* its number, if it is one; see drains.h */
} PghRequest;

/* What is known of a session from its login to its end. */
typedef struct PghLogin
{
	int			pid;			/* 0 = nobody */
	Oid			roleid;			/* login role; InvalidOid if unknown */
	bool		superuser;
	PghAddress	address;
	int			client_pid;		/* where the system tells; else 0 */
	PgBackendStatus *beentry;	/* core's entry for this backend */
	TimestampTz login_at;
	char		user[PGH_NAME_LEN];
	char		database[PGH_NAME_LEN];
} PghLogin;

/* What the session that left a slot last was doing. */
typedef struct PghDeparture
{
	pg_atomic_uint32 claim;		/* its changecount; 0 = none, or noted */
	uint32		application;	/* what it was counted as */
	bool		idle;			/* in a transaction, or outside of one */
	TimestampTz at;
	TimestampTz state_start;
	TimestampTz activity_start; /* of its last statement */
	TimestampTz xact_start;		/* 0 outside of a transaction */
} PghDeparture;

/* Bits of on_purpose. */
#define PGH_LISTENS 1			/* it has LISTENed on a channel */
#define PGH_IN_BACKUP 2			/* pg_backup_start(), and not stopped yet */

/* One possible session. */
typedef struct PghSlot
{
	/* These are all that a pass over sessions at rest looks at. */
	pg_atomic_uint32 changecount;
	pg_atomic_uint32 request_state;
	pg_atomic_uint32 application;	/* what it counts for: see members.h */
	pg_atomic_uint32 arriving;	/* what it asks to count for */

	PghLogin	login;

	pg_atomic_uint32 name_changes;
	char		name[PGH_NAME_LEN]; /* it was let in with; never a trace's */

	pg_atomic_uint32 rolled_back_for;	/* the limit for which we rolled a
										 * transaction back; NONE = never */
	pg_atomic_uint64 transactions;
	pg_atomic_uint64 credited;	/* of them: counted for earlier names, or
								 * before a reset() */
	pg_atomic_uint32 on_purpose;	/* why it idles so: PGH_LISTENS and the
									 * like */
	pg_atomic_uint32 renames;	/* how often it took another name */

	/* Since when nothing has moved between it and the client it waits for. */
	pg_atomic_uint64 client_since;	/* 0 = it does not wait */
	pg_atomic_uint32 client_unsure; /* the client may have moved */
	pg_atomic_uint32 wire_id;	/* see pgh_wire_id() */

	/* When its transaction's statement was cancelled for age, and which. */
	pg_atomic_uint64 cancelled_at;
	pg_atomic_uint64 cancelled_xact_start;

	/* When the last one ended, or 0, and which: its message's start. */
	pg_atomic_uint64 ended_at;
	pg_atomic_uint64 ended_xact_start;

	/*
	 * state_start of an idle spell that is over although core does not say
	 * so: the client has begun to talk, see is_talking() in answer.c.
	 */
	pg_atomic_uint64 talking_in;

	/* When the last transaction began that was rolled back, and which. */
	pg_atomic_uint64 failed_xact_start;
	pg_atomic_uint64 failed_transaction;	/* "transactions" then */

	/* The transaction that we rolled back last. */
	pg_atomic_uint64 rolled_back_transaction;	/* "transactions" then */

	/* state_start of what it was doing when it accepted the last request. */
	pg_atomic_uint64 accepted_in;

	PghRequest	request;

	PghDeparture departure;
} PghSlot;

StaticAssertDecl(sizeof(PghSlot) <= 512, "a slot is too large");

extern PghPart pgh_slots_part;	/* its lock is the one for signals */
extern PghSlot *pgh_slots;		/* one for each PGPROC of a client backend */
extern int	pgh_n_slots;		/* constant after start-up */

/* This backend's slot, or NULL.  The signal handler reads it. */
extern PghSlot *volatile pgh_my_slot;

/* The slot of this process, or NULL if it is no client's backend. */
extern PghSlot *pgh_slot_of_mine(void);

/*
 * Say what the session was doing last, before core begins to end it; once, and
 * before the slot is given back.
 */
extern void pgh_slot_leave_word(PghSlot *slot);

/*
 * Claim the slot of this backend for "login", whose pid, beentry and
 * login_at are filled in, under a name.
 */
extern void pgh_slot_claim(PghSlot *slot, const PghLogin *login,
						   const char *name);

/*
 * The same, but that it waits for admission: shown, and no session yet.  The
 * login has its pid.
 */
extern void pgh_slot_announce(PghSlot *slot, const PghLogin *login,
							  const char *name);

/* Read what was announced, without its name; false when nothing was. */
extern bool pgh_slot_read_announced(int index, PghLogin *login);

/* Give the slot back.  Afterwards nobody can signal this process. */
extern void pgh_slot_release(void);

/* This backend: the name that it was let in with later. */
extern void pgh_slot_set_name(PghSlot *slot, const char *name);

/* Copy the name that a session was let in with. */
extern void pgh_slot_name(PghSlot *slot, char *name);

/*
 * Count this many transactions of the session as credited; returns how many of
 * them were not yet.
 */
extern uint64 pgh_slot_credit(PghSlot *slot, uint64 transactions);

/*
 * Since when is the session in its transaction?  Core's start, "xact_start",
 * is that of the message, and a message may hold several transactions; so one
 * that follows another is as old as the other's end.  Where that was not
 * noted, because nobody's age was limited then, it counts from the moment at
 * which that began: no transaction is ever taken to be older than it is.
 */
extern TimestampTz pgh_slot_own_start(PghSlot *slot, TimestampTz xact_start);

/*
 * Copy who holds slot "index"; false when nobody does.  "changecount" tells
 * this claim from every other one.
 */
extern bool pgh_slot_read(int index, PghLogin *login, uint32 *changecount);

/*
 * Worker: copy what the first session that left slot "index" since the last
 * call was doing, and take that out.  False when none has left, or it was not
 * the one with this claim.
 */
extern bool pgh_slot_departure(int index, uint32 changecount,
							   PghDeparture *copy);

/* A session itself: it has, or has no more, this reason to idle on purpose. */
static inline void
pgh_slot_set_purpose(PghSlot *slot, uint32 bit, bool on)
{
	uint32		others = pg_atomic_read_u32(&slot->on_purpose) & ~bit;

	pg_atomic_write_u32(&slot->on_purpose, on ? others | bit : others);
}

/* Is slot "index" still held by the claim that "changecount" stands for? */
static inline bool
pgh_slot_is(int index, uint32 changecount)
{
	return pg_atomic_read_u32(&pgh_slots[index].changecount) == changecount;
}

#endif							/* PGH_SLOT_H */
