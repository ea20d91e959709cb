/*-------------------------------------------------------------------------
 *
 * shared/parts.h
 *	  The list of the parts of shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_PARTS_H
#define PGH_PARTS_H

#include "shared/part.h"

/*
 * In the order in which they are set up, and written to the file and read
 * back: a part may rely on those before it.  Ends with NULL.
 */
extern PghPart *const pgh_parts[];

#endif							/* PGH_PARTS_H */
