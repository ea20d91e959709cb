/*-------------------------------------------------------------------------
 *
 * worker/stall.c
 *	  Sessions that wait for their clients, and since when nothing has moved.
 *
 * Owns: what was seen of each of them, and PghSlot.client_since.  Must not:
 * decide, or disturb a session: a signal would wake it.  For the worker only.
 *
 * Two looks that find the same prove that no byte has moved between them; why
 * is told in look/wire.c.  The time counts from the end of the first one, so
 * it is never longer than it was, and shorter by one interval at most.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/stall.h"

#include "utils/timestamp.h"

#include "guc.h"
#include "look/scan.h"
#include "look/wire.h"
#include "shared/events.h"
#include "worker/watch.h"

/* How often to look where there is a limit, and where there is none. */
#define PGH_STALL_INTERVAL (250 * INT64CONST(1000))
#define PGH_STALL_IDLY USECS_PER_SEC

/* What one look has found. */
typedef struct PghStill
{
	PghAwaits	awaits;
	PghSight	sight;
	uint32		number;			/* see pgh_wire_look() */
	uint64		has_run;		/* nanoseconds; 0 where it does not matter */
} PghStill;

/* A session that waits for its client. */
typedef struct PghStall
{
	uint32		changecount;	/* the slot's claim */
	PghStill	still;
	TimestampTz since;			/* when this was first seen; 0 = it does not
								 * wait */
	uint64		event;			/* that it was only observed; 0 = none */
} PghStall;

static PghStall *stalls;		/* one for each slot */

void
pgh_stall_start(void)
{
	stalls = palloc0(mul_size(pgh_n_slots, sizeof(PghStall)));
}

/* False when the session does not wait for its client. */
static bool
look(int index, const PghWatch *watch, PghStill *still)
{
	PghSlot    *slot = &pgh_slots[index];
	SockAddr	client;

	memset(still, 0, sizeof(*still));
	still->awaits = pgh_wire_awaits(index);
	if (still->awaits == PGH_AWAITS_NOTHING ||
		!pgh_scan_client_of(index, watch->changecount, watch->beentry,
							&client))
		return false;
	still->sight = pgh_wire_look(&client, pg_atomic_read_u32(&slot->wire_id),
								 still->awaits, &still->number);
	if (still->sight != PGH_SIGHT_COUNTED &&
		!pgh_wire_has_run(slot->login.pid, &still->has_run))
		return false;
	return pgh_slot_is(index, watch->changecount);
}

static bool
is_same(const PghStill *a, const PghStill *b)
{
	return a->awaits == b->awaits && a->sight == b->sight &&
		a->number == b->number && a->has_run == b->has_run;
}

/* Tell everybody, and have the session judged anew where that matters. */
static void
publish(int index, PghWatch *watch)
{
	PghSlot    *slot = &pgh_slots[index];

	pg_atomic_write_u32(&slot->client_unsure,
						stalls[index].still.sight == PGH_SIGHT_NONE);
	pg_write_barrier();
	pg_atomic_write_u64(&slot->client_since, stalls[index].since);
	if (watch->details->limits.value[PGH_LIMIT_CLIENT_STALL] > 0)
		watch->activity_changecount = PGH_NO_CHANGECOUNT;
}

/* It has moved: what was observed of it is over. */
static void
note_moved(PghStall *stall, const PghWatch *watch, TimestampTz when)
{
	if (stall->event != 0 && stall->changecount == watch->changecount)
		pgh_event_resumed(stall->event, when);
	stall->event = 0;
}

static void
follow(int index, PghWatch *watch)
{
	PghStall   *stall = &stalls[index];
	PghStill	still;
	TimestampTz since = 0;

	/* It has gone, or is to be looked at anew first. */
	if (!watch->live)
		return;
	if (watch->busy && !watch->idle_transaction &&
		look(index, watch, &still))
	{
		if (stall->since != 0 && stall->changecount == watch->changecount &&
			is_same(&still, &stall->still))
			return;
		since = GetCurrentTimestamp();
	}
	else if (stall->since == 0)
		return;
	note_moved(stall, watch, GetCurrentTimestamp());
	stall->changecount = watch->changecount;
	stall->since = since;
	if (since != 0)
		stall->still = still;
	publish(index, watch);
}

TimestampTz
pgh_stall_look(TimestampTz now)
{
	static TimestampTz last = 0;
	int64		interval = pgh_is_limited(PGH_LIMIT_CLIENT_STALL) ?
		PGH_STALL_INTERVAL : PGH_STALL_IDLY;

	if (!pgh_wire_can_be_seen())
		return PGH_NEVER;
	if (now >= last && now - last < interval)
		return last + interval;
	last = now;
	for (int i = 0; i < pgh_n_slots; i++)
		follow(i, &pgh_watches[i]);
	return now + interval;
}

/*
 * How often it has begun to wait is read before it is looked at: so where it
 * matters that it has not run since, the number is of that time, too.
 */
bool
pgh_stall_goes_on(int index, uint32 *digest)
{
	const PghStall *stall = &stalls[index];
	const PghWatch *watch = &pgh_watches[index];
	PghStill	still;

	return stall->since != 0 &&
		stall->changecount == watch->changecount &&
		pgh_wire_digest(pgh_slots[index].login.pid, stall->still.sight,
						stall->still.number, digest) &&
		look(index, watch, &still) && is_same(&still, &stall->still);
}

void
pgh_stall_observed(int index, uint64 event_id)
{
	stalls[index].event = event_id;
}
