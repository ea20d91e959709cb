/*-------------------------------------------------------------------------
 *
 * shared/slot.h
 *	  A client backend's slot: claim, release, read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SLOT_H
#define PGH_SLOT_H

#include "shared/shmem.h"

/* This backend's slot, or NULL.  The signal handler reads it. */
extern PghSlot *volatile pgh_my_slot;

/* A consistent copy of who holds a slot. */
typedef struct PghSlotCopy
{
	uint32		changecount;	/* tells this claim from every other one */
	int			pid;
	Oid			roleid;
	bool		superuser;
	PgBackendStatus *beentry;
	TimestampTz login_at;
	PghAddress	address;
	char		user[PGH_NAME_LEN];
	char		database[PGH_NAME_LEN];
} PghSlotCopy;

/*
 * Claim the slot of this backend.  "who" gives role, database and address.
 * Its application must have been counted already.  Returns false when this
 * process has no place among the slots (it is no client backend).
 */
extern bool pgh_slot_claim(const PghIdentity *who, Oid roleid, bool superuser,
						   uint32 application);

/*
 * Give the slot back.  Afterwards nobody can signal this process.  Returns
 * the application that the session was counted under until now.
 */
extern uint32 pgh_slot_release(void);

/*
 * Count this many transactions of the session as credited; returns how many of
 * them were not yet.
 */
extern uint64 pgh_slot_credit(PghSlot *slot, uint64 transactions);

/* From now on only transactions that end later count, for all sessions. */
extern void pgh_slots_reset(void);

/* Copy who holds slot "index"; false when nobody does. */
extern bool pgh_slot_read(int index, PghSlotCopy *copy);

/* Is slot "index" still held by the claim that "changecount" stands for? */
static inline bool
pgh_slot_is(int index, uint32 changecount)
{
	return pg_atomic_read_u32(&pgh_slots[index].changecount) == changecount;
}

/* Turn a socket address into the form that rules match. */
extern PghAddress pgh_address_from_socket(const SockAddr *socket);

#endif							/* PGH_SLOT_H */
