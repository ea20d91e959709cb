/*-------------------------------------------------------------------------
 *
 * shared/slot.c
 *	  A client backend's slot: claim, release, read, count.
 *
 * Owns: the login in PghSlot, its changecount, and its name.  Must not:
 * decide, signal, or write events.  Claim and release are for
 * the backend itself, reading is for anyone.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/slot.h"

#include "utils/timestamp.h"

#define PGH_MAX_NAME_READS 1000

PghSlot    *pgh_slots = NULL;
int			pgh_n_slots = 0;
PghSlot    *volatile pgh_my_slot = NULL;

/* Like core's changecount protocol: odd while the identity is changing. */
static void
begin_change(PghSlot *slot)
{
	pg_atomic_fetch_add_u32(&slot->changecount, 1);
	pg_write_barrier();
}

static void
end_change(PghSlot *slot)
{
	pg_write_barrier();
	pg_atomic_fetch_add_u32(&slot->changecount, 1);
}

PghSlot *
pgh_slot_of_mine(void)
{
	int			index = pgh_my_proc_number();

	return index >= 0 && index < pgh_n_slots ? &pgh_slots[index] : NULL;
}

void
pgh_slot_claim(PghSlot *slot, const PghLogin *login, const char *name)
{
	pgh_slot_set_name(slot, name);
	begin_change(slot);
	slot->login = *login;
	slot->login.pid = MyProcPid;
	slot->login.beentry = MyBEEntry;
	slot->login.login_at = GetCurrentTimestamp();
	slot->observed_state_start = 0;
	slot->observed_xact_start = 0;
	pg_atomic_write_u64(&slot->transactions, 0);
	pg_atomic_write_u64(&slot->credited, 0);
	pg_atomic_write_u32(&slot->renames, 0);
	pg_atomic_write_u32(&slot->listening, 0);
	pg_atomic_write_u64(&slot->cancelled_xact_start, 0);
	pg_atomic_write_u64(&slot->failed_xact_start, 0);
	pg_atomic_write_u64(&slot->failed_transaction, 0);
	pg_atomic_write_u64(&slot->cancelled_at, 0);
	pg_atomic_write_u32(&slot->request_state, PGH_REQUEST_FREE);
	end_change(slot);

	pgh_my_slot = slot;
}

void
pgh_slot_release(void)
{
	PghSlot    *slot = pgh_my_slot;

	/* From here on our signal handler does nothing. */
	pgh_my_slot = NULL;
	pg_memory_barrier();

	/*
	 * The worker signals only while it holds this lock and sees our pid, so
	 * when we have the lock no signal is on its way, and none will be sent to
	 * whoever gets our pid after us.
	 */
	pgh_lock(&pgh_slots_part, LW_EXCLUSIVE);
	begin_change(slot);
	slot->login.pid = 0;
	slot->login.beentry = NULL;
	end_change(slot);
	pgh_unlock(&pgh_slots_part);
}

void
pgh_slot_set_name(PghSlot *slot, const char *name)
{
	pg_atomic_fetch_add_u32(&slot->name_changes, 1);
	pg_write_barrier();
	strlcpy(slot->name, name, PGH_NAME_LEN);
	pg_write_barrier();
	pg_atomic_fetch_add_u32(&slot->name_changes, 1);
}

/* A change is a few dozen instructions, by a process that may be stopped. */
void
pgh_slot_name(PghSlot *slot, char *name)
{
	for (int i = 0; i < PGH_MAX_NAME_READS; i++)
	{
		uint32		before = pg_atomic_read_u32(&slot->name_changes);

		pg_read_barrier();
		memcpy(name, slot->name, PGH_NAME_LEN);
		name[PGH_NAME_LEN - 1] = '\0';
		pg_read_barrier();
		if ((before & 1) == 0 &&
			pg_atomic_read_u32(&slot->name_changes) == before)
			return;
	}
}

uint64
pgh_slot_credit(PghSlot *slot, uint64 transactions)
{
	uint64		credited = pg_atomic_read_u64(&slot->credited);

	while (credited < transactions)
	{
		if (pg_atomic_compare_exchange_u64(&slot->credited, &credited,
										   transactions))
			return transactions - credited;
	}
	return 0;
}

bool
pgh_slot_read(int index, PghLogin *login, uint32 *changecount)
{
	PghSlot    *slot = &pgh_slots[index];

	for (;;)
	{
		uint32		before = pg_atomic_read_u32(&slot->changecount);

		*changecount = before;
		pg_read_barrier();
		memcpy(login, &slot->login, sizeof(*login));
		pg_read_barrier();

		/* Half claimed is not there yet, half released is gone. */
		if (before & 1)
			return false;
		if (pg_atomic_read_u32(&slot->changecount) == before)
			return login->pid != 0;
	}
}

static Size
size_slots(void)
{
	return mul_size(MaxConnections, sizeof(PghSlot));
}

static void
init_slots(void *area)
{
	pgh_slots = area;
	pgh_n_slots = MaxConnections;
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSlot    *slot = &pgh_slots[i];

		pg_atomic_init_u32(&slot->changecount, 0);
		pg_atomic_init_u32(&slot->application, PG_UINT32_MAX);
		pg_atomic_init_u32(&slot->arriving, PG_UINT32_MAX);
		pg_atomic_init_u32(&slot->name_changes, 0);
		pg_atomic_init_u64(&slot->transactions, 0);
		pg_atomic_init_u64(&slot->credited, 0);
		pg_atomic_init_u32(&slot->listening, 0);
		pg_atomic_init_u32(&slot->renames, 0);
		pg_atomic_init_u64(&slot->cancelled_at, 0);
		pg_atomic_init_u64(&slot->cancelled_xact_start, 0);
		pg_atomic_init_u64(&slot->failed_xact_start, 0);
		pg_atomic_init_u64(&slot->failed_transaction, 0);
		pg_atomic_init_u64(&slot->accepted_in, 0);
		pg_atomic_init_u32(&slot->request_state, PGH_REQUEST_FREE);
	}
}

/* From now on only transactions that end later count, for all sessions. */
static void
reset_slots(void)
{
	for (int i = 0; i < pgh_n_slots; i++)
		(void) pgh_slot_credit(&pgh_slots[i],
							   pg_atomic_read_u64(&pgh_slots[i].transactions));
}

PghPart		pgh_slots_part = {
	.name = "slots",
	.size = size_slots,
	.init = init_slots,
	.reset = reset_slots,
};
