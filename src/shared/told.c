/*-------------------------------------------------------------------------
 *
 * shared/told.c
 *	  Who was lately told of the leak of an application.
 *
 * Owns: the places.  What lies in one is session/tell.c's business.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/told.h"

pg_atomic_uint64 *pgh_told = NULL;

static Size
size_told(void)
{
	return PGH_TOLD * sizeof(pg_atomic_uint64);
}

static void
init_told(void *area)
{
	pgh_told = area;
	for (int i = 0; i < PGH_TOLD; i++)
		pg_atomic_init_u64(&pgh_told[i], 0);
}

PghPart		pgh_told_part = {
	.name = "told",
	.size = size_told,
	.init = init_told,
};
