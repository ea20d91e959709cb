/*-------------------------------------------------------------------------
 *
 * pure/diagnosis.h
 *	  What a program does wrong, from what its sessions show, and what to
 *	  change in it.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, no globals that
 * change, no allocation, no error raised.  Anyone may call it.
 *
 * All of it is guesswork from outside, so it is kept on the safe side: what a
 * well-made program shows as well is no pattern.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_DIAGNOSIS_H
#define PGH_DIAGNOSIS_H

#include "pure/facts.h"
#include "pure/fingerprint.h"

typedef enum PghPattern
{
	PGH_PATTERN_NONE,
	PGH_PATTERN_READ_NEVER_ENDED,
	PGH_PATTERN_WRITE_NEVER_COMMITTED,
	PGH_PATTERN_ABORTED_NEVER_ROLLED_BACK,
	PGH_PATTERN_BEGIN_WITHOUT_WORK,
	PGH_PATTERN_WAITS_IN_TRANSACTION,
	PGH_PATTERN_POOL_PER_CALL,
	PGH_PATTERN_NO_POOLING,
	PGH_PATTERN_POOL_TOO_LARGE,
	PGH_PATTERN_NO_NAME
} PghPattern;
#define PGH_N_PATTERNS (PGH_PATTERN_NO_NAME + 1)

/*
 * A group of sessions with the same application, role, database and shape of
 * the last statement.  For the HINT to a session that is being ended, it is
 * one of those that were ended.
 */
typedef struct PghLeakFacts
{
	PghState	state;			/* of them, or the last one's when it ended */
	bool		wrote;			/* one of them held a transaction id */
	bool		locks_rows;		/* the shape is a SELECT .. FOR UPDATE, say,
								 * which takes a transaction id and writes
								 * nothing */
	PghStatementKind last_statement;	/* the shape's */
	int32_t		clients;		/* distinct addresses; 0 counts as 1 */
	int64_t		periods;		/* pauses that were noted: a tenth of their
								 * limit or more; of those that go on only who
								 * has lasted for half of it, since a pool
								 * that begins its work pauses in all its
								 * sessions before the first comes back.  None
								 * that were noted only because others waited
								 * or a session was ended sooner: their like
								 * were not noted when they came back */
	int64_t		resumed;		/* noted ones that the client came back to */
	int64_t		ended;			/* sessions that a limit ended */
	int64_t		like_resumed;	/* pauses of the application that lasted as
								 * long as those that were ended, and were
								 * come back to, after any statement */
	int64_t		like_lost;		/* the same, not come back to */
	int64_t		transactions_per_session;	/* mean, in tenths; the one that
											 * is open counts */
} PghLeakFacts;

/*
 * All sessions of one application.  What is counted began when the
 * application was first seen.
 */
typedef struct PghApplicationFacts
{
	bool		named;			/* the name is not empty */
	int32_t		connections;	/* open now */
	int32_t		active;			/* of them: running a statement */
	int32_t		idle;			/* outside of a transaction */
	int32_t		idle_in_transaction;	/* aborted or not */
	int32_t		abandoned;		/* for which pgh_session_is_abandoned() */
	int32_t		abandoned_at_once;	/* most of those that were at work, from
									 * their beginning on, at the same time */
	int32_t		abandoned_late; /* of those: that began when another had been
								 * silent for PGH_CALL_SILENCE */
	int32_t		used_again;		/* for which pgh_session_is_used_again() */
	int32_t		renamed;		/* that had another name before */
	int32_t		lent;			/* of those: that changed it time and again,
								 * as a pooler's do */
	int32_t		clients;		/* distinct addresses; 0 counts as 1 */
	int32_t		processes;		/* distinct processes of clients, where that
								 * is known of all of them; else 0 */
	int32_t		peak;			/* most connections at once */
	int32_t		peak_active;	/* most seen inside a transaction at once, a
								 * statement of its own included; the more
								 * often one looks the better, above all when
								 * a session begins: a pool that grows then
								 * has all others in use */
	int64_t		opened;			/* since counting began, with sessions that
								 * took the name later */
	int64_t		closed;			/* the same, with those that left the name */
	int64_t		ended;			/* sessions that disconnected or were ended
								 * under this name */
	int64_t		terminated;		/* of them: by a limit or for their slot */
	int64_t		transactions;	/* of the sessions in "ended" */
	PghTime		mean_session;	/* how long those lasted, in microseconds */
	int64_t		live_transactions;	/* of the sessions in "connections" */
	int64_t		silences;		/* pauses outside of a transaction, of
								 * PGH_CALL_SILENCE or more, those of now
								 * among them */
	int64_t		silences_resumed;	/* of them: the connection was used again */
	PghTime		observed_for;	/* microseconds since it was first seen */
} PghApplicationFacts;

/* A connection that was not used for so long (microseconds) is silent. */
#define PGH_CALL_SILENCE INT64_C(10000000)

/*
 * Did this session begin, make a handful of transactions within seconds, and
 * has it been silent since?  "transactions" includes one that is open.  One
 * that rests under a name it took later is a pooler's, which keeps it for the
 * next client.
 */
extern bool pgh_session_is_abandoned(const PghFacts *facts,
									 int64_t transactions, PghTime now);

/*
 * Was this connection used again, well after it was made?  "transactions" as
 * above.
 */
extern bool pgh_session_is_used_again(const PghFacts *facts,
									  int64_t transactions);

/*
 * Is this one of a pooler's sessions, which take the name of each client that
 * they serve?
 */
extern bool pgh_session_is_lent(const PghFacts *facts);

/*
 * Why these sessions idle.  Inside a transaction: NONE without evidence, which
 * is that pauses like these do not come back (pgh_never_resumes), or that some
 * were ended and hardly any came back; and NONE when the last statement does
 * not tell (SET, SAVEPOINT, EXECUTE) and nothing was written.
 */
extern PghPattern pgh_diagnose_leak(const PghLeakFacts *facts);

/* What is wrong with how this application connects. */
extern PghPattern pgh_diagnose_application(const PghApplicationFacts *facts);

/*
 * The pattern and what to change, in two sentences for the author of the
 * program; NULL for PGH_PATTERN_NONE.
 */
extern const char *pgh_pattern_advice(PghPattern pattern);

#endif							/* PGH_DIAGNOSIS_H */
