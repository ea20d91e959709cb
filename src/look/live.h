/*-------------------------------------------------------------------------
 *
 * look/live.h
 *	  What the sessions of this moment add to what is counted of applications.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_LIVE_H
#define PGH_LIVE_H

#include "look/scan.h"
#include "pure/diagnosis.h"
#include "shared/application.h"
#include "shared/leaks.h"

/* The sessions of one application. */
typedef struct PghLive
{
	int			connections;
	int			active;
	int			idle;
	int			idle_in_transaction;
	int64		transactions;
	int			abandoned;		/* as pgh_session_is_abandoned() has it */
	int			at_work;		/* of those, as count_at_once() goes by */
	int			at_once;		/* the most that this was */
	int			late;			/* of the abandoned: began when others had
								 * been silent for a while */
	TimestampTz first_silence;	/* when the first of them fell silent; or 0 */
	int			used_again;		/* as pgh_session_is_used_again() has it */
	int			silent;			/* idle outside of a transaction for a while */
	int			processes;		/* of clients */
	bool		process_unknown;	/* of one at least */
	int			renamed;		/* had another name before */
	int			lent;			/* as pgh_session_is_lent() has it */
	int			n_clients;
	uint32		clients[PGH_MAX_LEAK_CLIENTS];	/* hashes of addresses */
	TimestampTz oldest_xact;	/* 0 = none */
	int			hidden;			/* whose states the current user may not see */
	uint32		place;			/* its own, in the table; or beyond it */
} PghLive;

/* May the sessions of this role be seen by whoever asks? */
typedef bool (*PghMaySee) (Oid roleid);

/*
 * The sessions of this moment, for each place of the table of applications; all
 * of them are visible where "may_see" is NULL.  The caller owns what is
 * returned.
 */
extern PghLive *pgh_list_live(PghMaySee may_see, TimestampTz now);

/*
 * What is wrong with how an application connects, from what was counted, what
 * is remembered of its behaviour and its sessions of this moment.
 */
extern PghPattern pgh_live_pattern(PghApplication *app, const PghLive *live,
								   TimestampTz now);

/* Add the numbers of "live" that can be added up. */
extern void pgh_live_sum(PghLive *sum, const PghLive *live);

#endif							/* PGH_LIVE_H */
