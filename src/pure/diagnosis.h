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
	PghStatementKind last_statement;	/* the shape's */
	int32_t		sessions_now;	/* idle past a tenth of their limit */
	int32_t		clients;		/* distinct addresses; 0 counts as 1 */
	int64_t		ended;			/* sessions that a limit ended */
	int64_t		transactions_per_session;	/* mean, in tenths; the one that
											 * is open counts */
} PghLeakFacts;

/* All sessions of one application name. */
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
	int32_t		renamed;		/* that had another name before */
	int32_t		lent;			/* of those: that changed it time and again,
								 * as a pooler's do */
	int32_t		clients;		/* distinct addresses; 0 counts as 1 */
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
	PghTime		observed_for;	/* microseconds since counting began */
} PghApplicationFacts;

/*
 * Did this session begin, make a handful of transactions within seconds, and
 * has it been silent since?  "transactions" includes one that is open.  One
 * that rests under a name it took later is a pooler's, which keeps it for the
 * next client.
 */
extern bool pgh_session_is_abandoned(const PghFacts *facts,
									 int64_t transactions, PghTime now);

/*
 * Is this one of a pooler's sessions, which take the name of each client that
 * they serve?
 */
extern bool pgh_session_is_lent(const PghFacts *facts);

/*
 * Why these sessions idle.  Inside a transaction: NONE while there are only
 * one or two, which may be somebody thinking, and none was ended; and NONE
 * when the last statement does not tell (SET, SAVEPOINT, EXECUTE) and nothing
 * was written.
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
