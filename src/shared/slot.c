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

#include "shared/worker_state.h"

/* A name that is changing is read again, but not for ever. */
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
	pg_atomic_write_u64(&slot->transactions, 0);
	pg_atomic_write_u64(&slot->credited, 0);
	pg_atomic_write_u32(&slot->renames, 0);
	pg_atomic_write_u32(&slot->on_purpose, 0);
	pg_atomic_write_u64(&slot->cancelled_xact_start, 0);
	pg_atomic_write_u64(&slot->client_since, 0);
	pg_atomic_write_u32(&slot->client_unsure, 0);
	pg_atomic_write_u32(&slot->wire_id, 0);
	pg_atomic_write_u64(&slot->ended_xact_start, 0);
	pg_atomic_write_u64(&slot->ended_at, 0);
	pg_atomic_write_u64(&slot->talking_in, 0);
	pg_atomic_write_u64(&slot->failed_xact_start, 0);
	pg_atomic_write_u64(&slot->failed_transaction, 0);
	pg_atomic_write_u32(&slot->rolled_back_for, PGH_LIMIT_NONE);
	pg_atomic_write_u64(&slot->rolled_back_transaction, 0);
	pg_atomic_write_u64(&slot->cancelled_at, 0);
	pg_atomic_write_u32(&slot->request_state, PGH_REQUEST_FREE);
	end_change(slot);

	pgh_my_slot = slot;
}

void
pgh_slot_announce(PghSlot *slot, const PghLogin *login, const char *name)
{
	pgh_slot_set_name(slot, name);
	begin_change(slot);
	slot->login = *login;
	slot->login.pid = 0;
	slot->login.beentry = NULL;
	slot->login.login_at = MyStartTimestamp;
	end_change(slot);
}

bool
pgh_slot_read_announced(int index, PghLogin *login)
{
	uint32		changecount;

	return !pgh_slot_read(index, login, &changecount) &&
		(changecount & 1) == 0 && pgh_slot_is(index, changecount);
}

/*
 * Core's entry tells for the last time what the session is doing, so what the
 * worker last saw can be told from what came after that.  If somebody's word is
 * still there, that is the session which the worker knows, and this one has
 * come and gone since.  The start of a transaction that has failed is
 * remembered here.
 */
void
pgh_slot_leave_word(PghSlot *slot)
{
	volatile PgBackendStatus *entry = MyBEEntry;
	PghDeparture *departure = &slot->departure;
	BackendState state = entry->st_state;

	if (pg_atomic_read_u32(&departure->claim) != 0)
		return;
	departure->application = pg_atomic_read_u32(&slot->application);
	departure->idle = state == STATE_IDLE || state == STATE_IDLEINTRANSACTION ||
		state == STATE_IDLEINTRANSACTION_ABORTED;
	departure->at = GetCurrentTimestamp();
	departure->state_start = entry->st_state_start_timestamp;
	departure->activity_start = entry->st_activity_start_timestamp;
	departure->xact_start = state == STATE_IDLEINTRANSACTION_ABORTED ?
		(TimestampTz) pg_atomic_read_u64(&slot->failed_xact_start) :
		pgh_slot_own_start(slot, entry->st_xact_start_timestamp);
	pg_write_barrier();
	pg_atomic_write_u32(&departure->claim,
						pg_atomic_read_u32(&slot->changecount));
}

bool
pgh_slot_departure(int index, uint32 changecount, PghDeparture *copy)
{
	PghDeparture *departure = &pgh_slots[index].departure;
	uint32		claim = pg_atomic_read_u32(&departure->claim);

	if (claim == 0)
		return false;
	pg_read_barrier();
	memcpy(copy, departure, sizeof(*copy));
	pg_memory_barrier();
	pg_atomic_write_u32(&departure->claim, 0);
	return claim == changecount;
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
	memset(slot->name, 0, PGH_NAME_LEN);
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

TimestampTz
pgh_slot_own_start(PghSlot *slot, TimestampTz xact_start)
{
	TimestampTz ended_at;

	if (xact_start == 0 ||
		(TimestampTz) pg_atomic_read_u64(&slot->ended_xact_start) != xact_start)
		return xact_start;
	pg_read_barrier();
	ended_at = pg_atomic_read_u64(&slot->ended_at);
	if (ended_at == 0)
		ended_at = pg_atomic_read_u64(&pgh_worker_state->timing_since);
	return Max(ended_at, xact_start);
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
		pg_atomic_init_u32(&slot->on_purpose, 0);
		pg_atomic_init_u32(&slot->renames, 0);
		pg_atomic_init_u64(&slot->client_since, 0);
		pg_atomic_init_u32(&slot->client_unsure, 0);
		pg_atomic_init_u32(&slot->wire_id, 0);
		pg_atomic_init_u64(&slot->cancelled_at, 0);
		pg_atomic_init_u64(&slot->cancelled_xact_start, 0);
		pg_atomic_init_u64(&slot->ended_at, 0);
		pg_atomic_init_u64(&slot->ended_xact_start, 0);
		pg_atomic_init_u64(&slot->talking_in, 0);
		pg_atomic_init_u64(&slot->failed_xact_start, 0);
		pg_atomic_init_u64(&slot->failed_transaction, 0);
		pg_atomic_init_u32(&slot->rolled_back_for, PGH_LIMIT_NONE);
		pg_atomic_init_u64(&slot->rolled_back_transaction, 0);
		pg_atomic_init_u64(&slot->accepted_in, 0);
		pg_atomic_init_u32(&slot->departure.claim, 0);
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
