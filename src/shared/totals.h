/*-------------------------------------------------------------------------
 *
 * shared/totals.h
 *	  What was done on the whole server, and since when it is counted.
 *
 * field						who and how
 * ---------------------------	--------------------------------------------
 * count, refused_by_server		W anyone, R anyone; atomics, only added to
 *								(reset() stores 0).  refused_by_server also
 *								in a child without a PGPROC
 * stats_since					W reset(), and the postmaster when it reads
 *								the file; R anyone; atomic
 * changes						W whoever changes what is kept on disk (add);
 *								R the process that writes it; atomic
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_TOTALS_H
#define PGH_TOTALS_H

#include "shared/part.h"

/* What is counted, for the server and for each application. */
typedef enum PghCounter
{
	PGH_COUNT_TERMINATED,
	PGH_COUNT_EVICTED,
	PGH_COUNT_CANCELLED,
	PGH_COUNT_SPARED,
	PGH_COUNT_REFUSED,
	PGH_COUNT_ROLLED_BACK,
	PGH_COUNT_WOULD_TERMINATE,	/* what is only observed */
	PGH_COUNT_WOULD_EVICT,
	PGH_COUNT_WOULD_REFUSE
} PghCounter;
#define PGH_N_COUNTERS (PGH_COUNT_WOULD_REFUSE + 1)

typedef struct PghTotals
{
	pg_atomic_uint64 count[PGH_N_COUNTERS];
	pg_atomic_uint64 refused_by_server;
	pg_atomic_uint64 stats_since;	/* TimestampTz */
	pg_atomic_uint64 changes;
} PghTotals;

extern PghPart pgh_totals_part;
extern PghTotals *pgh_totals;

/* The counter that an action which was carried out adds to. */
extern PghCounter pgh_counter_for(PghAction action);

/* The same of one that is only observed. */
extern PghCounter pgh_counter_for_observed(PghAction action);

/* Note that something changed that is kept on disk. */
static inline void
pgh_note_change(void)
{
	pg_atomic_fetch_add_u64(&pgh_totals->changes, 1);
}

#endif							/* PGH_TOTALS_H */
