/*-------------------------------------------------------------------------
 *
 * shared/slot.c
 *	  A client backend's slot: claim, release, read.
 *
 * Owns: the identity part of PghSlot and its changecount.  Must not: decide,
 * signal, or write events.  Claim and release are for the backend itself,
 * reading is for anyone.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/slot.h"

#include <sys/socket.h>
#include <netinet/in.h>

#include "utils/timestamp.h"

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

bool
pgh_slot_claim(const PghIdentity *who, Oid roleid, bool superuser,
			   uint32 application)
{
	int			index = pgh_my_proc_number();
	PghSlot    *slot;

	if (index < 0 || index >= pgh_shared->n_slots)
		return false;
	slot = &pgh_slots[index];

	begin_change(slot);
	slot->pid = MyProcPid;
	slot->roleid = roleid;
	slot->superuser = superuser;
	slot->beentry = MyBEEntry;
	slot->login_at = GetCurrentTimestamp();
	slot->address = who->address;
	strlcpy(slot->user, who->user, sizeof(slot->user));
	strlcpy(slot->database, who->database, sizeof(slot->database));
	slot->observed_state_start = 0;
	slot->observed_xact_start = 0;
	pg_atomic_write_u64(&slot->transactions, 0);
	pg_atomic_write_u64(&slot->credited, 0);
	pg_atomic_write_u32(&slot->renames, 0);
	pg_atomic_write_u32(&slot->listening, 0);
	pg_atomic_write_u64(&slot->cancelled_xact_start, 0);
	pg_atomic_write_u64(&slot->failed_xact_start, 0);
	pg_atomic_write_u64(&slot->failed_transaction, 0);
	pg_atomic_write_u32(&slot->rolled_back_for, PGH_REASON_NONE);
	pg_atomic_write_u64(&slot->rolled_back_transaction, 0);
	pg_atomic_write_u64(&slot->cancelled_at, 0);
	pg_atomic_write_u32(&slot->request_state, PGH_REQUEST_FREE);
	pg_atomic_write_u32(&slot->application, application);
	end_change(slot);

	pgh_my_slot = slot;
	return true;
}

uint32
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
	pgh_lock(PGH_LOCK_SIGNAL, LW_EXCLUSIVE);
	begin_change(slot);
	slot->pid = 0;
	slot->beentry = NULL;
	end_change(slot);
	pgh_unlock(PGH_LOCK_SIGNAL);

	return pg_atomic_exchange_u32(&slot->application, PGH_NO_APPLICATION);
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

void
pgh_slots_reset(void)
{
	for (int i = 0; i < pgh_shared->n_slots; i++)
		(void) pgh_slot_credit(&pgh_slots[i],
							   pg_atomic_read_u64(&pgh_slots[i].transactions));
}

bool
pgh_slot_read(int index, PghSlotCopy *copy)
{
	PghSlot    *slot = &pgh_slots[index];

	for (;;)
	{
		uint32		before = pg_atomic_read_u32(&slot->changecount);

		pg_read_barrier();
		copy->changecount = before;
		copy->pid = slot->pid;
		copy->roleid = slot->roleid;
		copy->superuser = slot->superuser;
		copy->beentry = slot->beentry;
		copy->login_at = slot->login_at;
		copy->address = slot->address;
		memcpy(copy->user, slot->user, sizeof(copy->user));
		memcpy(copy->database, slot->database, sizeof(copy->database));
		pg_read_barrier();

		/* Half claimed is not there yet, half released is gone. */
		if (before & 1)
			return false;
		if (pg_atomic_read_u32(&slot->changecount) == before)
			return copy->pid != 0;
	}
}

PghAddress
pgh_address_from_socket(const SockAddr *socket)
{
	PghAddress	address;

	memset(&address, 0, sizeof(address));
	switch (socket->addr.ss_family)
	{
		case AF_UNIX:
			address.family = PGH_ADDRESS_LOCAL;
			break;
		case AF_INET:
			address.family = PGH_ADDRESS_INET;
			memcpy(address.bytes,
				   &((const struct sockaddr_in *) &socket->addr)->sin_addr, 4);
			break;
		case AF_INET6:
			address.family = PGH_ADDRESS_INET6;
			memcpy(address.bytes,
				   &((const struct sockaddr_in6 *) &socket->addr)->sin6_addr, 16);
			break;
		default:
			address.family = PGH_ADDRESS_UNKNOWN;
			break;
	}
	return address;
}
