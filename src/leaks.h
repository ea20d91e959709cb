/*-------------------------------------------------------------------------
 *
 * leaks.h
 *	  Idle transactions, grouped by where they come from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_LEAKS_H
#define PGH_LEAKS_H

#include "diagnosis.h"
#include "shmem.h"

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

/* A limit has ended a session of this group. */
extern void pgh_leak_ended(uint64 key);

/* Copy group "i" of PGH_MAX_LEAKS; false where there is none. */
extern bool pgh_leak_read(int i, PghLeak *leak);

/* Copy the group with this key; false when it has gone. */
extern bool pgh_leak_find(uint64 key, PghLeak *leak);

/*
 * The group that most sessions of this application and login role belong to;
 * false when there is none.
 */
extern bool pgh_leak_commonest(const char *application, Oid roleid,
							   PghLeak *leak);

/* What is wrong with a group, from what is kept of it. */
extern PghPattern pgh_leak_pattern(const PghLeak *leak, int sessions_now);

extern void pgh_leaks_reset(void);

#endif							/* PGH_LEAKS_H */
