/*-------------------------------------------------------------------------
 *
 * shared/told.h
 *	  Who was lately told of the leak of an application.
 *
 * W, R connecting backends; atomics, see session/tell.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_TOLD_H
#define PGH_TOLD_H

#include "shared/part.h"

/* Places in the memory. */
#define PGH_TOLD 256

extern PghPart pgh_told_part;
extern pg_atomic_uint64 *pgh_told;	/* PGH_TOLD */

#endif							/* PGH_TOLD_H */
