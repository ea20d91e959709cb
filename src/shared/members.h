/*-------------------------------------------------------------------------
 *
 * shared/members.h
 *	  Which application a session counts for.
 *
 * A session that asks to be let in under a name counts for it from that moment
 * on, so of two that come at once the second one sees the first; then it
 * stays, or is turned away.  One that takes another name does the same, and
 * counts for both in between.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_MEMBERS_H
#define PGH_MEMBERS_H

#include "shared/applications.h"
#include "shared/slot.h"

/* What an application, or all new ones, held when a session came. */
typedef struct PghStanding
{
	int32		own;			/* of the session's role */
	int32		held;			/* with a few for each other role */
	int32		connections;	/* of all roles */
	int32		newcomers;		/* other applications that are new, those of
								 * its role and a few for each other one; 0 if
								 * its own is not */
	bool		others;			/* it shares its place with strangers */
} PghStanding;

/*
 * This backend asks to be let in under a name.  "named" says that a rule is
 * about it.  What it holds already is not counted in *standing.
 */
extern void pgh_member_arrive(PghSlot *slot, const char *name, Oid role,
							  bool named, PghStanding *standing);

/*
 * It is let in, beside so many others of the same application.  If it had
 * another name, "transactions" of them were made under that.
 */
extern void pgh_member_stay(PghSlot *slot, Oid role, int32 beside,
							uint64 transactions);

/* It is not; "refused" says whether that is counted. */
extern void pgh_member_turn_away(PghSlot *slot, Oid role, bool refused);

/*
 * It ends, with the transactions it made under its name, having lasted so
 * many microseconds.
 */
extern void pgh_member_leave(PghSlot *slot, Oid role, uint64 transactions,
							 int64 duration, bool in_good_order);

/* Its application is not new any more. */
extern void pgh_member_establish(PghSlot *slot);

/* Add one to a counter of the server and of the session's application. */
extern void pgh_member_count(PghSlot *slot, PghCounter counter);

/* Add one to a counter for one that a limit ended because of a leak. */
extern void pgh_member_lost(PghSlot *slot);

/* What a session counts for, or asks to count for; PGH_NO_APPLICATION. */
static inline uint32
pgh_member_of(PghSlot *slot)
{
	uint32		index = pg_atomic_read_u32(&slot->application);

	return index != PGH_NO_APPLICATION ? index :
		pg_atomic_read_u32(&slot->arriving);
}

/*
 * Copy the name of the application that a session counts for, of PGH_NAME_LEN
 * bytes; its own where it shares a place with strangers, and "" when it counts
 * for nothing.  Takes no lock.
 */
extern void pgh_member_application(PghSlot *slot, char *name);

#endif							/* PGH_MEMBERS_H */
