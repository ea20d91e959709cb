/*-------------------------------------------------------------------------
 *
 * shared/members.h
 *	  Which application a session counts for.
 *
 * A session that asks to be let in under a name counts for it once it may
 * come, and not before.  It is decided and counted under one stay under the
 * lock, so of two that come at once the second one sees the first if that was
 * let in.  Its place in the table is kept for it from its first question until
 * it was let in or turned away, also while it waits.  One that takes another
 * name does the same, and counts for both in between.
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
	uint32		id;				/* of its application */
	bool		established;
	bool		others;			/* it shares its place with strangers */
} PghStanding;

typedef enum PghAnswer
{
	PGH_ANSWER_COME,			/* it counts now; pgh_member_stay() follows */
	PGH_ANSWER_WAIT,			/* it is in the queue, and asks again */
	PGH_ANSWER_GO				/* pgh_member_turn_away() follows */
} PghAnswer;

/*
 * Decides under the lock of the applications, and puts whoever is to wait into
 * the queue, and takes him out.  Must be short, and raise nothing.
 */
typedef PghAnswer (*PghJudge) (void *arg);

/*
 * This backend asks to be let in under a name.  "named" says that a rule is
 * about it.  *standing is filled in before "judge" is called with "arg"; what
 * the session itself holds already is not counted there.
 */
extern PghAnswer pgh_member_ask(PghSlot *slot, const char *name, Oid role,
								bool named, PghStanding *standing,
								PghJudge judge, void *arg);

/*
 * It is let in, beside so many others of the same application.  If it had
 * another name, "transactions" of them were made under that.
 */
extern void pgh_member_stay(PghSlot *slot, Oid role, int32 beside,
							uint64 transactions);

/* It is not, which is counted as a refusal. */
extern void pgh_member_turn_away(PghSlot *slot);

/* It ends while it waits; nothing happens if it does not. */
extern void pgh_member_give_up(PghSlot *slot);

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
