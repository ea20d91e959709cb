/*-------------------------------------------------------------------------
 *
 * shared/part.h
 *	  A part of shared memory: its size, its lock, and what outlives a
 *	  restart of it.
 *
 * Shared memory consists of parts, each in a file of its own; parts.c lists
 * them.  Each part's header says, field by field, who writes, who reads, and
 * under what protection.  "Under the lock" there means the part's own lock;
 * what is called an atomic needs none.
 *
 * Locks are taken one at a time, and never held across a wait, a palloc or
 * anything that can raise an error.  There is one exception: whoever admits
 * sessions that rules count takes the lock of the applications inside that of
 * the rules' counters.  Nobody takes them in the other order.
 *
 * Unlocked reads of core's structures are all in look/: PgBackendStatus with
 * core's changecount protocol; PGPROC.xid, xmin, lxid, waitStatus and
 * procLatch.owner_pid as single words, each of which may be out of date by
 * the time it is used.  Nothing is decided on them that the victim does not
 * check again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_PART_H
#define PGH_PART_H

#include "guc.h"
#include "shared/stream.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/lwlock.h"

typedef struct PghPart
{
	/* "applications": in pg_shmem_allocations, in the file, in the log. */
	const char *name;

	/* How many bytes; the settings that it depends on are fixed by then. */
	Size		(*size) (void);

	/*
	 * Take "area", which has that size and is zeroed; for the postmaster,
	 * each time that shared memory is made.
	 */
	void		(*init) (void *area);

	/* Clear what hygiene.reset() clears; NULL = nothing. */
	void		(*reset) (void);

	/*
	 * Write what is kept, and read it back into a part that was just set up.
	 * NULL = nothing is kept.  "save" runs while others go on; it takes the
	 * lock for each record, not for all of them.  "load" is called by the
	 * postmaster when it is alone, with bytes whose checksum is right, and
	 * only when they were written in this format; false when they make no
	 * sense all the same.
	 */
	void		(*save) (PghStream *stream);
	bool		(*load) (PghStream *stream);

	/* Another number for another layout of what is kept. */
	uint32		format;

	LWLock	   *lock;			/* set at start-up */
} PghPart;

/* A format from a version of ours and the size of a struct that is kept. */
#define PGH_FORMAT(version, size) ((uint32) (version) << 20 | (uint32) (size))

/*
 * Was the library preloaded, and is shared memory there?  Set once in the
 * postmaster; its children inherit it.
 */
extern bool pgh_attached;

extern void pgh_lock(const PghPart *part, LWLockMode mode);
extern void pgh_unlock(const PghPart *part);

/*
 * Raise object_not_in_prerequisite_state, with what to do, unless the
 * library was preloaded.
 */
extern void pgh_require_shared(void);

#endif							/* PGH_PART_H */
