/*-------------------------------------------------------------------------
 *
 * shared/refusals.h
 *	  Series of refusals: which are told one by one, and which as a number.
 *
 * A thousand refusals a second must leave log and history readable: of a
 * series the first few are logged and recorded one by one; then the worker
 * logs a number once a second, and of each second the first is recorded as an
 * event.
 *
 * A series is of one reason, and of one application, or of all those that
 * nobody has been let in under: else a program that takes another name each
 * time would begin a series with each.  Of all series together not more than
 * some are logged one by one in a minute, and some in each second as a number
 * of their own.
 *
 * field						who and how
 * ---------------------------	--------------------------------------------
 * headroom_refused_at			W refusing backends; R the worker; atomic
 * to_report					flag; W refusing backends, the worker; atomic
 * logged						how many of them were logged one by one, less
 *								one for each second; W refusing backends (add),
 *								the worker; atomic
 * *refusals, and those of PghApplication
 *								0 = nothing was refused lately; else what was
 *								since the worker last took it, and what it
 *								made of it then; W refusing backends (add),
 *								the worker (compare-exchange)
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_REFUSALS_H
#define PGH_REFUSALS_H

#include "shared/part.h"

typedef struct PghRefusals
{
	pg_atomic_uint64 headroom_refused_at;	/* TimestampTz */
	pg_atomic_uint32 to_report; /* some were kept out of the log */
	pg_atomic_uint32 logged;
	pg_atomic_uint32 refusals[PGH_N_LIMITS];	/* of those without a place */
	pg_atomic_uint32 observed_refusals[PGH_N_LIMITS];
} PghRefusals;

extern PghPart pgh_refusals_part;
extern PghRefusals *pgh_refusals;

/*
 * Count a connection of this application that was refused, or would have
 * been ("observed"), and say whether to log and to record it by itself.  The
 * application is one that this backend is counted in.
 */
extern void pgh_refusal_add(uint32 application, PghLimit reason,
							bool observed, bool *log_it, bool *record_it);

/*
 * Worker, once a second: log how many refusals were kept out of the log.
 */
extern void pgh_refusals_report(void);

#endif							/* PGH_REFUSALS_H */
