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

#include "pure/slots.h"
#include "shared/waiting.h"

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
	standing->id = app->id;
	standing->established = app->established;
	if (!app->established)
		standing->newcomers = count_newcomers(before, role, own - self);
}

/*
 * Under the lock: what those hold who wait, which decides whose turn it is.
 * None of them counts for anything yet.
 */
static void
measure_waiters(void)
{
	for (int i = 0; i < pgh_waiting->n_waiters; i++)
	{
		PghWaiter  *waiter = &pgh_waiting->waiter[i];
		PghSlot    *slot = &pgh_slots[waiter->session];
		uint32		index = pg_atomic_read_u32(&slot->arriving);
		PghStanding standing = {0};

		if (index == PGH_NO_APPLICATION)
			continue;
		assess(index, PGH_NO_APPLICATION, waiter->role, &standing);
		waiter->held = pgh_held_in_account(standing.held, standing.newcomers);
	}
}

/* Under the lock: places may be free; who is to be told? */
static int
find_next(int32 *sessions)
{
	if (pgh_waiting->n_waiters == 0)
		return 0;
	measure_waiters();
	return pgh_waiting_firsts(sessions);
}

/* Under the lock: from now on it asks to count for the name's application. */
static uint32
begin_asking(PghSlot *slot, const char *name)
{
	uint32		index = pg_atomic_read_u32(&slot->arriving);

	if (index != PGH_NO_APPLICATION)
		return index;
	index = pgh_application_place(name, move_members);
	pgh_application_pin(index);
	pg_atomic_write_u32(&slot->arriving, index);
	return index;
}

/* Under the lock: what waits in the queue, as one number; -1 = nothing. */
static int64
place_of(int session)
{
	int			i = pgh_waiting_find(session);

	return i < 0 ? -1 : (int64) pgh_waiting->waiter[i].place;
}

PghAnswer
pgh_member_ask(PghSlot *slot, const char *name, Oid role, bool named,
			   PghStanding *standing, PghJudge judge, void *arg)
{
	int			session = slot - pgh_slots;
	int32		next[PGH_MAX_WOKEN];
	int			n_next = 0;
	int64		place;
	uint32		index;
	PghAnswer	answer;

	memset(standing, 0, sizeof(*standing));
	pgh_lock(&pgh_applications_part, LW_EXCLUSIVE);
	index = begin_asking(slot, name);
	if (named)
		pgh_application_establish(index);
	assess(index, pg_atomic_read_u32(&slot->application), role, standing);
	if (pgh_waiting->n_waiters > 0)
		measure_waiters();
	place = place_of(session);
	answer = judge(arg);
	if (answer == PGH_ANSWER_COME)
	{
		pgh_application_count_in(index, role);
		pgh_application_unpin(index);
	}

	/* One that waited has taken its place, or leaves it to the next one. */
	if (place >= 0 && place != place_of(session))
		n_next = find_next(next);
	pgh_unlock(&pgh_applications_part);
	pgh_waiting_wake(next, n_next);
	return answer;
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
	int32		next[PGH_MAX_WOKEN];
	int			n_next = 0;

	pgh_lock(&pgh_applications_part, LW_EXCLUSIVE);
	index = pg_atomic_read_u32(&slot->arriving);
	before = pg_atomic_read_u32(&slot->application);
	pg_atomic_write_u32(&slot->application, index);
	pg_atomic_write_u32(&slot->arriving, PGH_NO_APPLICATION);
	pgh_place_keep(index);
	pgh_application_raise_peak(&pgh_applications[index], beside + 1);
	if (before != PGH_NO_APPLICATION)
	{
		give_up_name(before, role, transactions);
		n_next = find_next(next);
	}
	pgh_unlock(&pgh_applications_part);
	pgh_waiting_wake(next, n_next);
}

void
pgh_member_turn_away(PghSlot *slot)
{
	uint32		index;
	PghApplication *app;

	pgh_lock(&pgh_applications_part, LW_EXCLUSIVE);
	index = pg_atomic_read_u32(&slot->arriving);
	app = &pgh_applications[index];
	pg_atomic_write_u32(&slot->arriving, PGH_NO_APPLICATION);
	pg_atomic_fetch_add_u64(&pgh_totals->count[PGH_COUNT_REFUSED], 1);
	pg_atomic_fetch_add_u64(&app->count[PGH_COUNT_REFUSED], 1);
	pgh_note_change();
	pgh_application_unpin(index);
	pgh_unlock(&pgh_applications_part);
}

void
pgh_member_give_up(PghSlot *slot)
{
	int32		next[PGH_MAX_WOKEN];
	int			n_next;
	uint32		index = pg_atomic_read_u32(&slot->arriving);

	if (index == PGH_NO_APPLICATION)
		return;
	pgh_lock(&pgh_applications_part, LW_EXCLUSIVE);
	index = pg_atomic_exchange_u32(&slot->arriving, PGH_NO_APPLICATION);
	pgh_waiting_take(slot - pgh_slots);
	pgh_application_unpin(index);
	n_next = find_next(next);
	pgh_unlock(&pgh_applications_part);
	pgh_waiting_wake(next, n_next);
}

void
pgh_member_leave(PghSlot *slot, Oid role, uint64 transactions,
				 int64 duration, bool in_good_order)
{
	uint32		index;
	int32		next[PGH_MAX_WOKEN];
	int			n_next;

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
	n_next = find_next(next);
	pgh_unlock(&pgh_applications_part);
	pgh_waiting_wake(next, n_next);
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
