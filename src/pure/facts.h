/*-------------------------------------------------------------------------
 *
 * pure/facts.h
 *	  The plain structs that the pure files exchange: who a session is, what
 *	  it does, which limits hold for it, and what is to be done about it.
 *
 * Owns: the vocabulary.  Must not: know PostgreSQL, allocate, or hold a
 * function with a side effect.  Anyone may include it.
 *
 * Every time is in microseconds.  Points in time count from an epoch that
 * the caller chooses (the server uses PostgreSQL's, a test may use 0); a
 * point of 0 or PGH_NEVER means "none".
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_FACTS_H
#define PGH_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest name including its terminator: PostgreSQL's NAMEDATALEN. */
#define PGH_NAME_LEN 64

/* A point in time or a length of time that never comes. */
#define PGH_NEVER INT64_MAX

typedef int64_t PghTime;

/* Where a client comes from. */
typedef enum PghAddressFamily
{
	PGH_ADDRESS_UNKNOWN,
	PGH_ADDRESS_LOCAL,			/* a Unix-domain socket */
	PGH_ADDRESS_INET,			/* bytes[0..3] */
	PGH_ADDRESS_INET6			/* bytes[0..15] */
} PghAddressFamily;

typedef struct PghAddress
{
	uint8_t		family;			/* PghAddressFamily */
	uint8_t		bytes[16];		/* network byte order */
} PghAddress;

/* Who a session is: all that a rule's selectors can ask about. */
typedef struct PghIdentity
{
	char		application[PGH_NAME_LEN];	/* without the client that a
											 * pooler appends */
	char		user[PGH_NAME_LEN]; /* login role */
	char		database[PGH_NAME_LEN];
	PghAddress	address;
} PghIdentity;

typedef enum PghState
{
	PGH_STATE_UNKNOWN,			/* still starting, or nothing asked yet */
	PGH_STATE_DISABLED,			/* track_activities is off */
	PGH_STATE_ACTIVE,			/* running a statement or a fast-path call */
	PGH_STATE_IDLE,
	PGH_STATE_IDLE_IN_TRANSACTION,
	PGH_STATE_IDLE_IN_TRANSACTION_ABORTED,
	PGH_STATE_WAITING			/* at admission; no session yet */
} PghState;

/* What a session does at one moment. */
typedef struct PghFacts
{
	PghState	state;
	PghTime		backend_start;
	PghTime		state_start;	/* when it entered this state */
	PghTime		xact_start;		/* 0 outside a transaction */
	PghTime		cancelled_at;	/* when its transaction's statement was
								 * cancelled for age; 0 if it was not */
	uint32_t	xmin_age;		/* transaction ids behind the next; 0 none */
	int32_t		blocking;		/* processes that hang on this one, by any but
								 * an advisory lock of its own */
	int32_t		blocking_advisory;	/* those by its advisory locks only */
	PghTime		advisory_since; /* since when somebody waits for one of these;
								 * 0 = nobody does */
	PghTime		client_since;	/* since when nothing has moved between it and
								 * the client that it waits for at work; 0 =
								 * it does not */
	int32_t		renames;		/* how often it took another application name
								 * since it began; a pooler's often do */
	int32_t		pid;
	bool		talking;		/* its client has sent messages since that ask
								 * for no statement: it is not idle */
	bool		client_unsure;	/* the client may have moved since then */
	bool		superuser;
	bool		wrote;			/* holds a transaction id */
	bool		open;			/* its transaction is not over, though a part
								 * of it may have failed */
	uint8_t		rolled_back_for;	/* PghLimit for which we rolled back what
									 * this block was about, else none */
	bool		listening;		/* has LISTENed on a channel */
	bool		advisory;		/* holds a session-level advisory lock */
	bool		in_backup;		/* between pg_backup_start and pg_backup_stop */
} PghFacts;

typedef enum PghMode
{
	PGH_MODE_ENFORCE,
	PGH_MODE_OBSERVE,			/* decide and record, touch nobody */
	PGH_MODE_OFF
} PghMode;

/* What a limit on an idle transaction ends. */
typedef enum PghIdleAction
{
	PGH_IDLE_TERMINATE,			/* the session */
	PGH_IDLE_ROLLBACK			/* the transaction, and the session only when
								 * it stays idle afterwards */
} PghIdleAction;

/*
 * The limits, and with them the reasons for which something is done.  What
 * each is called, counts and says is in pure/limits.c; the order means
 * nothing.
 */
typedef enum PghLimit
{
	PGH_LIMIT_NONE,
	PGH_LIMIT_IDLE_IN_TRANSACTION,
	PGH_LIMIT_IDLE_BLOCKER,
	PGH_LIMIT_IDLE_WRITER,
	PGH_LIMIT_IDLE_SESSION,
	PGH_LIMIT_ADVISORY_BLOCKER,
	PGH_LIMIT_CLIENT_STALL,
	PGH_LIMIT_TRANSACTION,
	PGH_LIMIT_CANCEL_GRACE,		/* a length, not a limit of its own */
	PGH_LIMIT_HORIZON,
	PGH_LIMIT_SESSION_LIFETIME,
	PGH_LIMIT_DRAIN,			/* hygiene.drain(); no setting */
	PGH_LIMIT_HEADROOM,
	PGH_LIMIT_HEADROOM_MIN_IDLE,	/* a length, not a limit of its own */
	PGH_LIMIT_ADMISSION_WAIT,	/* a length, not a limit of its own */
	PGH_LIMIT_CONNECTIONS,		/* a rule's cap */
	PGH_LIMIT_CONNECTIONS_PER_APPLICATION,
	PGH_LIMIT_RESERVE,
	PGH_LIMIT_CONNECT_RATE,
	PGH_LIMIT_WARN_AT,
	PGH_N_LIMITS
} PghLimit;

/*
 * The limits that hold for one session, after the rules.  rule[i] is the
 * number (from 1) of the rule that set value[i], 0 for the server-wide
 * setting.
 */
typedef struct PghLimits
{
	int64_t		value[PGH_N_LIMITS];	/* microseconds or ids; 0 = no limit */
	uint16_t	rule[PGH_N_LIMITS];
	uint16_t	mode_rule;
	uint16_t	idle_action_rule;
	uint16_t	exempt_rule;	/* the rule that exempts it, or 0 */
	PghMode		mode;
	PghIdleAction idle_action;
	bool		exempt_superusers;
} PghLimits;

typedef enum PghAction
{
	PGH_ACTION_NONE,
	PGH_ACTION_CANCEL,
	PGH_ACTION_TERMINATE,
	PGH_ACTION_EVICT,
	PGH_ACTION_REFUSE,
	PGH_ACTION_WARN,
	PGH_ACTION_ROLLBACK
} PghAction;

/*
 * What is done, or to be done, and why.  "limit" and "measured" have the unit
 * of the reason; an eviction's "measured" is the time that the session idled.
 */
typedef struct PghDecision
{
	uint8_t		action;			/* PghAction */
	uint8_t		reason;			/* PghLimit */
	uint16_t	rule;			/* whose limit it is; 0 = server-wide */
	int64_t		limit;			/* its value */
	int64_t		measured;		/* what was measured at the decision */
} PghDecision;

/* What happens to one session, and when. */
typedef struct PghVerdict
{
	PghDecision decision;		/* what happens at deadline */
	PghTime		deadline;		/* PGH_NEVER when nothing will happen */
} PghVerdict;

#endif							/* PGH_FACTS_H */
