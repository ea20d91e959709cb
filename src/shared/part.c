/*-------------------------------------------------------------------------
 *
 * shared/part.c
 *	  The locks of the parts of shared memory.
 *
 * Owns: how a part is locked, and whether there is shared memory.  Must not:
 * know a part.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/part.h"

bool		pgh_attached = false;

/*
 * The postmaster has no PGPROC to wait with, and is alone when it comes here:
 * at start-up and at the end of a shutdown.
 */
void
pgh_lock(const PghPart *part, LWLockMode mode)
{
	if (IsUnderPostmaster)
		LWLockAcquire(part->lock, mode);
}

void
pgh_unlock(const PghPart *part)
{
	if (IsUnderPostmaster)
		LWLockRelease(part->lock);
}

void
pgh_require_shared(void)
{
	if (!pgh_attached)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_hygiene must be loaded via \"shared_preload_libraries\""),
				 errhint("Add pg_hygiene to \"shared_preload_libraries\" in postgresql.conf and restart the server.")));
}
