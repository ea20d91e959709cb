/*-------------------------------------------------------------------------
 *
 * shared/leaks.h
 *	  Idle transactions, grouped by where they come from.
 *
 * PghLeak: W under the lock exclusive; R shared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_LEAKS_H
#define PGH_LEAKS_H

#include "pure/diagnosis.h"
#include "shared/cost.h"
#include "shared/part.h"

/* Groups of leaks that are kept, and client addresses told apart in each. */
#define PGH_MAX_LEAKS 500
#define PGH_MAX_LEAK_CLIENTS 32
#define PGH_LEAK_ADDRESSES 5	/* of those, the ones that are kept */

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
	bool		locks_rows;		/* the example is a SELECT .. FOR UPDATE, say */
	uint8		n_clients;
	uint32		clients[PGH_MAX_LEAK_CLIENTS];	/* hashes of their addresses */
	PghAddress	addresses[PGH_LEAK_ADDRESSES];	/* of the first clients */
	uint32		undecided;		/* pauses that go on, and were not long yet */
	uint64		ended;			/* sessions or transactions a limit ended */
	uint64		rolled_back;	/* of them: only the transaction */
	uint64		sessions;		/* pauses that were seen, of any session */
	uint64		resumed;		/* of these: the client came back to them */
	uint64		singled_out;	/* of the sessions: see PghPause; not resumed */
	int64		shortest_ended; /* the shortest pause that was ended by a
								 * limit; microseconds, 0 = none */
	int64		longest_pause;	/* of those that are over; microseconds */
	int64		slot_time;		/* what those took together */
	int64		open_time;		/* the same of those that go on, at the last
								 * look; it outlives the server */
	int64		open_longest;	/* of those */
	int64		blocked_time;	/* how long others waited for it, added up */
	int64		horizon_xids;	/* that VACUUM was held back by, at most */
	uint64		transactions;	/* that they had made by then, together */
	TimestampTz first_seen;
	TimestampTz last_seen;
	TimestampTz last_ended;		/* 0 = never */

	/* Endings that followed one another within PGH_REMEMBER_LOSS. */
	uint64		lately_ended;
	TimestampTz lately_since;	/* when the first of them was */
	PghIdentity who;			/* the address is that of the first one */
	char		query[PGH_QUERY_LEN];	/* an example, as it was sent */
} PghLeak;

extern PghPart pgh_leaks_part;

/* An idle transaction that was seen. */
typedef struct PghSighting
{
	const PghIdentity *who;
	Oid			roleid;
	PghState	state;
	bool		wrote;
	uint64		query_id;		/* 0 = the server computes none */
	uint64		transactions;	/* that the session has ended so far */
	const char *query;			/* as it was sent, maybe cut */
} PghSighting;

/*
 * A number for a statement: its query id, or the hash of its shape where that
 * is 0.
 */
extern uint64 pgh_leak_fingerprint(uint64 query_id, const char *query);

/*
 * The key of the place that a sighting comes from, never 0; "fingerprint" is
 * set to the query id, or the hash of the statement's shape.
 */
extern uint64 pgh_leak_key(const PghSighting *sighting, uint64 *fingerprint);

/*
 * Note a sighting: its group becomes the most recently seen.  When there is
 * no room the one least recently seen goes.  Returns the key.
 */
extern uint64 pgh_leak_see(const PghSighting *sighting);

/* How long sessions of a group have been idle that are so at this moment. */
typedef struct PghOpenPauses
{
	uint64		key;
	int64		together;		/* microseconds */
	int64		longest;
} PghOpenPauses;

/*
 * These groups, and no others, have such sessions; each key once, in ascending
 * order.  They become the most recently seen.
 */
extern void pgh_leaks_still_seen(const PghOpenPauses *open, int n);

/* What sessions of a group cost others; slot_time is not put down here. */
typedef struct PghLeakCost
{
	uint64		key;
	PghCost		cost;
} PghLeakCost;

/*
 * Count distinct addresses of clients, up to PGH_MAX_LEAK_CLIENTS: "hashes" has
 * those of "n" so far.  Returns how many it has then.
 */
extern int	pgh_count_client(uint32 *hashes, int n, const PghAddress *address);

/* Put that down; each key once, in ascending order. */
extern void pgh_leaks_charge(const PghLeakCost *costs, int n);

/*
 * A pause that was seen goes on for so long that it counts as one that is not
 * come back to.
 */
extern void pgh_leak_pause_outlasts(uint64 key);

/*
 * How a pause ended that was seen.  It was singled out if it was seen only
 * because others waited for it, or it was ended sooner than its limit says:
 * then others like it may have come back and were not seen.
 */
typedef struct PghPause
{
	int64		length;			/* microseconds */
	bool		resumed;		/* the client came back; else the session has
								 * ended */
	bool		outlasted;		/* pgh_leak_pause_outlasts() was called */
	bool		singled_out;
} PghPause;

extern void pgh_leak_pause_ended(uint64 key, const PghPause *pause);

/*
 * A session of this group was ended in a pause of so many microseconds, or
 * only its transaction.
 */
extern void pgh_leak_ended(uint64 key, int64 length, bool rolled_back);

/* Copy group "i" of PGH_MAX_LEAKS; false where there is none. */
extern bool pgh_leak_read(int i, PghLeak *leak);

/* Copy the group with this key; false when it has gone. */
extern bool pgh_leak_find(uint64 key, PghLeak *leak);

/*
 * Of the groups of this application and login role that lost sessions since
 * then, the one that lost most lately, with the losses of all of them in
 * lately_ended, lately_since and last_ended.  False when there is none.
 */
extern bool pgh_leak_lost(const char *application, Oid roleid,
						  TimestampTz since, PghLeak *leak);

/*
 * What is wrong with a group, from what is kept of it and of how its
 * application behaves in pauses of this length (microseconds; 0 = as the
 * shortest that was ended).  Not to be called under the lock of the
 * applications.
 */
extern PghPattern pgh_leak_pattern(const PghLeak *leak, int64 length);

#endif							/* PGH_LEAKS_H */
