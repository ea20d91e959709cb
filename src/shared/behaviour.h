/*-------------------------------------------------------------------------
 *
 * shared/behaviour.h
 *	  How each application behaves, in shared memory.
 *
 * All of it: W the worker, under the lock exclusive; so do reset() and whoever
 * takes an application's place away.  R under it shared; the worker alone may
 * read it without.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SHARED_BEHAVIOUR_H
#define PGH_SHARED_BEHAVIOUR_H

#include "pure/behaviour.h"
#include "shared/part.h"

StaticAssertDecl(sizeof(PghBehaviour) <= 2048 - sizeof(uint32) * 3,
				 "the behaviour of an application is too large");

extern PghPart pgh_behaviour_part;

/* Who a session is, for those rules that do not ask for its application. */
typedef struct PghSeen
{
	Oid			roleid;
	Oid			databaseid;
	const PghAddress *address;
} PghSeen;

/*
 * Worker: a session of this application (its place in the table of names) was
 * seen.  Where there is no room for another application, it is remembered as
 * one of PGH_OTHER_APPLICATIONS.
 */
extern void pgh_behaviour_meet(uint32 application, const PghSeen *seen,
							   TimestampTz now);

/*
 * Worker: a period of one of its sessions has ended, which was one of this
 * role's; see pure/behaviour.h.
 */
extern void pgh_behaviour_note(uint32 application, Oid roleid,
							   PghPeriodKind kind, int64 length,
							   bool resumed);

/* Worker: so many of its sessions are needed at this moment. */
extern void pgh_behaviour_needs(uint32 application, int32 connections);

/* Worker: the longest pause of this kind that its clients came back to. */
extern int64 pgh_behaviour_longest(uint32 application, PghPeriodKind kind);

/*
 * Worker: what is to be expected of a pause of this role in a transaction that
 * has lasted for so long; nothing is known where applications share one room.
 */
extern PghOutlook pgh_behaviour_outlook(uint32 application, Oid roleid,
										int64 length);

/*
 * Anyone: see pgh_like_pauses(); none of PGH_NO_APPLICATION, or where
 * applications share one room.
 */
extern PghLike pgh_behaviour_like(uint32 application, Oid roleid,
								  int64 length);

/* Copy what is known; false when there is nothing. */
extern bool pgh_behaviour_read(uint32 application, PghBehaviour *copy);

#endif							/* PGH_SHARED_BEHAVIOUR_H */
