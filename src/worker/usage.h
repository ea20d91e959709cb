/*-------------------------------------------------------------------------
 *
 * worker/usage.h
 *	  How much each application uses and leaks at this moment.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_USAGE_H
#define PGH_USAGE_H

#include "compat.h"

#include "datatype/timestamp.h"

/* A session that is of use to its application, or was since the last call. */
typedef struct PghUse
{
	uint32		application;	/* index of the name it is counted under */
	Oid			role;
	bool		busy;			/* in a transaction, at work or not; else it
								 * has gone back to its pool */
	TimestampTz idle_since;		/* if it is idle */
	uint64		leak;			/* key of the leak it belongs to; 0 = none */
} PghUse;

/* Allocate what is needed; once, in the current context. */
extern void pgh_usage_start(void);

/* Add up all such sessions, n of them, and publish the result. */
extern void pgh_publish_usage(const PghUse *uses, int n);

#endif							/* PGH_USAGE_H */
