/*-------------------------------------------------------------------------
 *
 * look/scan.h
 *	  From shared state to facts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SCAN_H
#define PGH_SCAN_H

#include "pure/application_name.h"
#include "shared/slot.h"

/* One session at one moment. */
typedef struct PghSession
{
	int			index;			/* of its slot */
	int			activity_changecount;	/* core's, when this was read */
	uint32		changecount;	/* tells its claim from every other one */
	PghLogin	login;
	PghIdentity who;
	PghFacts	facts;
	uint32		counted_as;		/* index of the application it counts for, a
								 * moment ago */
	char		name[PGH_NAME_LEN]; /* its application_name, all of it */
	char		trace_id[PGH_TRACE_ID_LEN]; /* of that name; "" = none */
	LocalTransactionId lxid;	/* number of its transaction; or invalid */
	TimestampTz xact_start;		/* core's, which all transactions that came in
								 * one message have in common; that in "facts"
								 * is its own */
	uint64		transactions;
	uint64		credited;		/* of them: no longer counted for it */
	uint64		query_id;
	TimestampTz activity_start; /* when its last statement began */
	Oid			databaseid;		/* invalid while it starts */
	uint64		leak;			/* key of the leak that this idle spell was
								 * noted under; 0 = not noted.  Set by the
								 * watch */
	uint32		still;			/* what it must find when it is asked whether
								 * its client stalls; set by the worker */
	int64		xmin_age;		/* -1 = it does not hold VACUUM back */
	int32		advisory_locks; /* that it holds; set by the views */
	TimestampTz waited_since;	/* when the first who waits for it began to; 0
								 * = nobody does.  Set by pgh_note_blocked() */
} PghSession;

/*
 * No count of core's, which may be any even number: it is an int that begins
 * anew below zero.
 */
#define PGH_NO_CHANGECOUNT (-1)

/*
 * Read the session of slot "index".  False when there is none.  A session
 * that is still starting has state PGH_STATE_UNKNOWN.
 */
extern bool pgh_scan_session(int index, PghSession *session);

/*
 * Read the login of slot "index" that waits for admission, as a session of
 * state PGH_STATE_WAITING.  False when there is none.
 */
extern bool pgh_scan_waiting(int index, PghSession *session);

/*
 * Who it is, by the name that it was let in with, and no more; this takes no
 * lock.
 */
extern bool pgh_scan_who(int index, PghIdentity *who);

/*
 * Who caps and reserves count a session as: by the name that it was let in
 * with, whatever it calls itself in a transaction that is still open.
 */
extern PghIdentity pgh_scan_counted(const PghSession *session);

/*
 * Who it is as far as leaks go: by its application, which may be a family.
 */
extern PghIdentity pgh_scan_leaker(const PghSession *session);

/*
 * What a session is running or ran last, at most "size" bytes with the
 * terminator, possibly cut within a character, as core keeps it.  Empty when
 * the session has gone on since it was read.
 */
extern void pgh_scan_query(const PghSession *session, char *buf, size_t size);

/*
 * Core's count of changes of the entry: as long as it is the same, nothing
 * that pgh_scan_session() reads from the entry has changed.
 */
static inline int
pgh_activity_changecount(const PgBackendStatus *beentry)
{
	return ((volatile const PgBackendStatus *) beentry)->st_changecount;
}

/*
 * How many transaction ids behind "next", the next one a moment ago, the oldest
 * is that a process keeps VACUUM from going beyond; -1 if there is none.
 * "proc_number" is an index into core's allProcs.
 */
extern int64 pgh_scan_xmin_age(int proc_number, TransactionId next);

/* Client address of a session, as core has it; false when it has gone. */
extern bool pgh_scan_client(const PghSession *session, SockAddr *address);

/* The same by what the worker remembers of it. */
extern bool pgh_scan_client_of(int index, uint32 changecount,
							   const PgBackendStatus *beentry,
							   SockAddr *address);

/*
 * Slots for client backends that are taken, those of clients that are still
 * authenticating among them.
 */
extern int	pgh_scan_used_slots(void);

#endif							/* PGH_SCAN_H */
