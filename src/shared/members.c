/*-------------------------------------------------------------------------
 *
 * shared/members.c
 *	  Which application a session counts for.
 *
 * Owns: PghSlot.application and PghSlot.arriving.  Must not: decide who is
 * let in.  Coming and going is for the backend itself; each call is one short
 * stay under the lock of the applications.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/members.h"

#include "utils/timestamp.h"

/* Under the lock: every session that counts for "from" counts for "to". */
static void
move_members(uint32 from, uint32 to)
{
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSlot    *slot = &pgh_slots[i];

		if (pg_atomic_read_u32(&slot->application) == from)
			pg_atomic_write_u32(&slot->application, to);
		if (pg_atomic_read_u32(&slot->arriving) == from)
			pg_atomic_write_u32(&slot->arriving, to);
	}
}

/*
 * Under the lock: how many other applications are new, as a session of this
 * role sees it.  "own" is what its role holds of the one it asks for.
 */
static int32
count_newcomers(uint32 before, Oid role, int32 own)
{
	int32		names = pgh_account_own(pgh_newcomers, role);
	int32		others = pgh_account_held(pgh_newcomers, names) - names;

	if (own > 0)
		names--;
	if (before != PGH_NO_APPLICATION && !pgh_applications[before].established &&
		pgh_account_own(&pgh_applications[before].account, role) == 1)
		names--;				/* which it gives up */
	return names + others;
}

/*
 * Under the lock: what the application and the new ones hold, but for the
 * session itself, which may count already under another name, or this one.
 */
static void
assess(uint32 index, uint32 before, Oid role, PghStanding *standing)
{
	PghApplication *app = &pgh_applications[index];
	int32		own = pgh_account_own(&app->account, role);
	int32		self = before == index;

	standing->others = index == PGH_OTHERS;
	if (!standing->others)
	{
		standing->own = own - self;
		standing->held = pgh_account_held(&app->account, own) - self;
		standing->connections = app->account.connections - self;
	}
	if (!app->established)
		standing->newcomers = count_newcomers(before, role, own - self);
}

void
pgh_member_arrive(PghSlot *slot, const char *name, Oid role, bool named,
				  PghStanding *standing)
{
	uint32		index;

	memset(standing, 0, sizeof(*standing));
	pgh_lock(&pgh_applications_part, LW_EXCLUSIVE);
	index = pgh_application_place(name, move_members);
	if (named)
		pgh_application_establish(index);
	assess(index, pg_atomic_read_u32(&slot->application), role, standing);
	pgh_application_count_in(index, role);
	pg_atomic_write_u32(&slot->arriving, index);
	pgh_unlock(&pgh_applications_part);
}

/* Under the lock: it has another name from now on. */
static void
give_up_name(uint32 index, Oid role, uint64 transactions)
{
	PghApplication *app = &pgh_applications[index];

	pg_atomic_fetch_add_u64(&app->transactions, transactions);
	pg_atomic_fetch_add_u64(&app->closed, 1);
	pgh_application_count_out(index, role);
}

void
pgh_member_stay(PghSlot *slot, Oid role, int32 beside, uint64 transactions)
{
	uint32		before;
	uint32		index;

	pgh_lock(&pgh_applications_part, LW_EXCLUSIVE);
	index = pg_atomic_read_u32(&slot->arriving);
	before = pg_atomic_read_u32(&slot->application);
	pg_atomic_write_u32(&slot->application, index);
	pg_atomic_write_u32(&slot->arriving, PGH_NO_APPLICATION);
	pgh_place_keep(index);
	pgh_application_raise_peak(&pgh_applications[index], beside + 1);
	if (before != PGH_NO_APPLICATION)
		give_up_name(before, role, transactions);
	pgh_unlock(&pgh_applications_part);
}

void
pgh_member_turn_away(PghSlot *slot, Oid role, bool refused)
{
	uint32		index;
	PghApplication *app;

	pgh_lock(&pgh_applications_part, LW_EXCLUSIVE);
	index = pg_atomic_read_u32(&slot->arriving);
	app = &pgh_applications[index];
	pg_atomic_write_u32(&slot->arriving, PGH_NO_APPLICATION);
	if (refused)
	{
		pg_atomic_fetch_add_u64(&pgh_totals->count[PGH_COUNT_REFUSED], 1);
		pg_atomic_fetch_add_u64(&app->count[PGH_COUNT_REFUSED], 1);
	}
	pg_atomic_fetch_sub_u64(&app->opened, 1);
	pgh_application_count_out(index, role);
	pgh_unlock(&pgh_applications_part);
}

void
pgh_member_leave(PghSlot *slot, Oid role, uint64 transactions,
				 int64 duration, bool in_good_order)
{
	uint32		index;

	pgh_lock(&pgh_applications_part, LW_EXCLUSIVE);
	index = pg_atomic_exchange_u32(&slot->application, PGH_NO_APPLICATION);
	if (index != PGH_NO_APPLICATION)
	{
		PghApplication *app = &pgh_applications[index];

		pg_atomic_fetch_add_u64(&app->session_time, Max(duration, 0));
		pg_atomic_fetch_add_u64(&app->ended, 1);
		if (in_good_order)
			pgh_application_establish(index);
		give_up_name(index, role, transactions);
	}
	pgh_unlock(&pgh_applications_part);
}

void
pgh_member_establish(PghSlot *slot)
{
	uint32		index;

	pgh_lock(&pgh_applications_part, LW_EXCLUSIVE);
	index = pg_atomic_read_u32(&slot->application);
	if (index != PGH_NO_APPLICATION)
		pgh_application_establish(index);
	pgh_unlock(&pgh_applications_part);
}

void
pgh_member_count(PghSlot *slot, PghCounter counter)
{
	uint32		index;

	pg_atomic_fetch_add_u64(&pgh_totals->count[counter], 1);
	pgh_lock(&pgh_applications_part, LW_SHARED);
	index = pgh_member_of(slot);
	if (index != PGH_NO_APPLICATION)
		pg_atomic_fetch_add_u64(&pgh_applications[index].count[counter], 1);
	pgh_unlock(&pgh_applications_part);
}

void
pgh_member_lost(PghSlot *slot)
{
	uint32		index;

	pgh_lock(&pgh_applications_part, LW_SHARED);
	index = pgh_member_of(slot);
	if (index != PGH_NO_APPLICATION)
		pg_atomic_write_u64(&pgh_applications[index].lost_at,
							GetCurrentTimestamp());
	pgh_unlock(&pgh_applications_part);
}

/*
 * The place may be given to another name while it is read, but only after the
 * session counts for another one itself.
 */
void
pgh_member_application(PghSlot *slot, char *name)
{
	for (;;)
	{
		uint32		index = pgh_member_of(slot);

		name[0] = '\0';
		if (index == PGH_OTHERS)
			pgh_slot_name(slot, name);
		if (index == PGH_OTHERS || index == PGH_NO_APPLICATION)
			return;
		memcpy(name, pgh_applications[index].name, PGH_NAME_LEN);
		name[PGH_NAME_LEN - 1] = '\0';
		pg_read_barrier();
		if (pgh_member_of(slot) == index)
			return;
	}
}
