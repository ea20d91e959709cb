/*-------------------------------------------------------------------------
 *
 * shared/leaks.h
 *	  Idle transactions, grouped by where they come from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_LEAKS_H
#define PGH_LEAKS_H

#include "pure/diagnosis.h"
#include "shared/shmem.h"

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
 * The key of the place that a sighting comes from, never 0; "fingerprint" is
 * set to the query id, or the hash of the statement's shape.
 */
extern uint64 pgh_leak_key(const PghSighting *sighting, uint64 *fingerprint);

/*
 * Note a sighting: its group becomes the most recently seen.  When there is
 * no room the one least recently seen goes.  Returns the key.
 */
extern uint64 pgh_leak_see(const PghSighting *sighting);

/*
 * Sessions of these groups idle at this moment; "keys" in ascending order.
 * They become the most recently seen.
 */
extern void pgh_leaks_still_seen(const uint64 *keys, int n);

/* A session of this group was ended, or only its transaction. */
extern void pgh_leak_ended(uint64 key, bool rolled_back);

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

/* What is wrong with a group, from what is kept of it. */
extern PghPattern pgh_leak_pattern(const PghLeak *leak, int sessions_now);

extern void pgh_leaks_reset(void);

#endif							/* PGH_LEAKS_H */
