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
 * field						who and how
 * ---------------------------	--------------------------------------------
 * headroom_refused_at			W refusing backends; R the worker; atomic
 * to_report					flag; W refusing backends, the worker; atomic
 * PghApplication.*refusals		0 = nothing was refused lately; else what was
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
} PghRefusals;

extern PghPart pgh_refusals_part;
extern PghRefusals *pgh_refusals;

/*
 * Count a connection of this application that was refused, or would have
 * been ("observed"), and say whether to log and to record it by itself.
 */
extern void pgh_refusal_add(uint32 application, PghLimit reason,
							bool observed, bool *log_it, bool *record_it);

/*
 * Worker, once a second: log how many refusals were kept out of the log.
 */
extern void pgh_refusals_report(void);

#endif							/* PGH_REFUSALS_H */
