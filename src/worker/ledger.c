/*-------------------------------------------------------------------------
 *
 * worker/ledger.c
 *	  What idle sessions cost others: slots, waiting, VACUUM held back.
 *
 * Owns: what was measured of each idle spell so far, and where it is put
 * down: its application, and its leak once it is known as one.  Must not:
 * decide, or look at the lock table.  For the worker only, once a second.
 *
 * A spell is counted from core's own moment at which it began, and a wait
 * from the moment at which that began, so only their ends are not exact.  The
 * end of a session is known from its slot, that of a spell mostly from the
 * state that followed.  Where neither tells, it was half way between two
 * looks; and a spell of less than a second that was seen is taken for a whole
 * one, since so many others like it were not seen.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/ledger.h"

#include "access/transam.h"
#include "storage/proc.h"

#include "pure/limits.h"
#include "shared/members.h"
#include "shared/leaks.h"

/* A spell of idleness that costs somebody something. */
typedef struct PghSpell
{
	bool		open;
	bool		in_transaction;
	uint32		changecount;	/* the slot's claim */
	uint32		application;
	uint32		application_id;
	int32		waiting;		/* who hung on it at the last look */
	int64		xmin_age;		/* at the last look; -1 = held nothing back */
	uint64		transactions;	/* that the session had ended */
	TimestampTz began;			/* state_start */
	TimestampTz seen;			/* put down up to here */
	uint64		leak;			/* 0 = not known as one */
	PghCost		unsettled;		/* of the leak that it may turn out to be */
} PghSpell;

static PghSpell *spells;		/* one for each slot, as what follows */
static TimestampTz *moments;
static PghLeakCost *leak_costs;
static int	n_leak_costs;

/* What applications are to be charged at the end of a look: once each. */
typedef struct PghCharge
{
	uint32		application;
	uint32		id;
	PghCost		cost;
} PghCharge;

static PghCharge *charges;
static int	n_charges;
static int *newest_charge;		/* of each place; see charge_later() */
static TimestampTz last_look = 0;
static int64 last_next_xid = 0; /* the next transaction id then */

void
pgh_ledger_start(void)
{
	spells = palloc0(mul_size(pgh_n_slots, sizeof(PghSpell)));
	moments = palloc0(mul_size(pgh_n_slots, sizeof(TimestampTz)));

	/* One spell of a slot may end and another begin between two looks. */
	leak_costs = palloc0(mul_size(2 * pgh_n_slots, sizeof(PghLeakCost)));
	charges = palloc0(mul_size(2 * pgh_n_slots, sizeof(PghCharge)));
	newest_charge = palloc0(mul_size(pgh_n_applications, sizeof(int)));
}

void
pgh_ledger_reset(void)
{
	for (int i = 0; i < pgh_n_slots; i++)
	{
		spells[i].leak = 0;
		memset(&spells[i].unsettled, 0, sizeof(PghCost));
	}
}

/* Is what was seen at the last look still going on? */
static bool
goes_on(int index)
{
	const PghSpell *spell = &spells[index];
	const PghWatch *watch = &pgh_watches[index];

	return spell->open && watch->live && watch->locks_count &&
		watch->changecount == spell->changecount &&
		watch->details->spell == spell->began;
}

const TimestampTz *
pgh_ledger_moments(void)
{
	for (int i = 0; i < pgh_n_slots; i++)
	{
		const PghWatch *watch = &pgh_watches[i];

		moments[i] = last_look;
		if (watch->live && watch->locks_count && !goes_on(i))
			moments[i] = watch->details->spell;
	}
	return moments;
}

/* ----------
 * Putting down
 * ----------
 */

/* To what an application is charged already, if it is. */
static void
charge_later(uint32 application, uint32 id, const PghCost *cost)
{
	int			place = newest_charge[application];
	PghCharge  *charge = &charges[place];

	if (place >= n_charges || charge->application != application ||
		charge->id != id)
	{
		newest_charge[application] = n_charges;
		charge = &charges[n_charges++];
		charge->application = application;
		charge->id = id;
		memset(&charge->cost, 0, sizeof(PghCost));
	}
	pgh_cost_add(&charge->cost, cost);
}

static void
charge_applications(void)
{
	if (n_charges == 0)
		return;
	pgh_lock(&pgh_applications_part, LW_SHARED);
	for (int i = 0; i < n_charges; i++)
	{
		uint32		index = pgh_application_by_id(charges[i].application,
												  charges[i].id);

		pgh_application_charge(&pgh_applications[index], &charges[i].cost);
	}
	pgh_unlock(&pgh_applications_part);
	n_charges = 0;
}

/* What a spell costs before it is known as a leak is kept until then. */
static void
put_down(PghSpell *spell, const PghCost *cost)
{
	if (cost->blocked_time == 0 && cost->slot_time == 0 &&
		cost->horizon_xids == 0)
		return;
	if (spell->application != PGH_NO_APPLICATION)
		charge_later(spell->application, spell->application_id, cost);
	pgh_cost_add(&spell->unsettled, cost);
}

static void
settle(PghSpell *spell)
{
	PghLeakCost *place;

	if (spell->leak == 0)
		return;
	place = &leak_costs[n_leak_costs++];
	place->key = spell->leak;
	place->cost = spell->unsettled;
	memset(&spell->unsettled, 0, sizeof(PghCost));
}

static int
compare_keys(const void *a, const void *b)
{
	uint64		left = ((const PghLeakCost *) a)->key;
	uint64		right = ((const PghLeakCost *) b)->key;

	return left == right ? 0 : left < right ? -1 : 1;
}

static void
charge_leaks(void)
{
	int			n = 0;

	qsort(leak_costs, n_leak_costs, sizeof(PghLeakCost), compare_keys);
	for (int i = 0; i < n_leak_costs; i++)
	{
		if (n > 0 && leak_costs[n - 1].key == leak_costs[i].key)
			pgh_cost_add(&leak_costs[n - 1].cost, &leak_costs[i].cost);
		else
			leak_costs[n++] = leak_costs[i];
	}
	if (n > 0)
		pgh_leaks_charge(leak_costs, n);
	n_leak_costs = 0;
}

/* ----------
 * Measuring
 * ----------
 */

/*
 * Those who hang on it, and how long they did so since "seen".  For an
 * advisory lock that is a cost only where a limit says so: who waits to be
 * the leader is not in anybody's way.
 */
static int
measure_waiting(const PghWatch *watch, const PghBlocked *blocked,
				int64 elapsed, int64 *waited, int *late)
{
	int			n = 0;

	*waited = 0;
	*late = 0;
	for (int i = 0; blocked != NULL && i < PGH_N_QUEUE_KINDS; i++)
	{
		const PghQueue *queue = &blocked->queue[i];

		if (i == PGH_QUEUE_ADVISORY &&
			watch->details->limits.value[PGH_LIMIT_ADVISORY_BLOCKER] == 0)
			continue;
		n += queue->n;
		*late += queue->n_late;
		*waited += queue->n * elapsed - queue->late;
	}
	return n;
}

/*
 * Who waited at the last look and does no more left some time in between.
 * "blocked" is NULL when nobody waits for anybody.
 */
static int64
measure_blocked(int index, const PghBlocked *blocked, int64 elapsed)
{
	PghSpell   *spell = &spells[index];
	int64		waited;
	int			late;
	int			n = measure_waiting(&pgh_watches[index], blocked, elapsed,
									&waited, &late);
	int			gone = Max(spell->waiting - (n - late), 0);

	spell->waiting = n;
	return Max(waited, 0) + gone * elapsed / 2;
}

static void
begin_spell(int index)
{
	PghSpell   *spell = &spells[index];
	const PghWatch *watch = &pgh_watches[index];

	memset(spell, 0, sizeof(*spell));
	spell->open = true;
	spell->in_transaction = watch->idle_transaction;
	spell->changecount = watch->changecount;
	spell->xmin_age = -1;
	spell->transactions = pg_atomic_read_u64(&pgh_slots[index].transactions);
	spell->began = spell->seen = watch->details->spell;
}

/* Have at hand what follow_spell() will read. */
static void
fetch_ahead(int index)
{
	if (index >= pgh_n_slots || !spells[index].open)
		return;
	pgh_prefetch(&pgh_slots[index].application);
	pgh_prefetch(&ProcGlobal->allProcs[index].xmin);
}

static void
follow_spell(int index, const PghBlocked *blocked, int64 next_xid,
			 TimestampTz now)
{
	PghSpell   *spell = &spells[index];
	const PghWatch *watch = &pgh_watches[index];
	int64		elapsed = Max(now - spell->seen, 0);
	PghCost		cost = {0, 0, 0};

	spell->application = pgh_member_of(&pgh_slots[index]);
	spell->application_id = pgh_application_id(spell->application);
	spell->leak = watch->details->leak;
	if (spell->in_transaction)
	{
		cost.slot_time = elapsed;
		spell->xmin_age = pgh_scan_xmin_age(index, (TransactionId) next_xid);
		cost.horizon_xids = Max(spell->xmin_age, 0);
	}
	if (blocked != NULL || spell->waiting > 0)
		cost.blocked_time =
			measure_blocked(index, blocked == NULL ? NULL : &blocked[index],
							elapsed);
	spell->seen = now;
	put_down(spell, &cost);
	settle(spell);
}

/* ----------
 * The end of a spell
 * ----------
 */

/* When the session ended, if that was since the last look; or 0. */
static TimestampTz
session_end(int index)
{
	const PghSpell *spell = &spells[index];
	PghSlot    *slot = &pgh_slots[index];
	uint32		changes = pg_atomic_read_u32(&slot->changecount) -
		spell->changecount;

	/* Given back by it, and taken by another one at most. */
	pg_read_barrier();
	return changes >= 2 && changes <= 4 ? slot->departure.at : 0;
}

/* When it went back to work, if what it did then is still to be seen; or 0. */
static TimestampTz
return_to_work(int index)
{
	const PghSpell *spell = &spells[index];
	const PghWatch *watch = &pgh_watches[index];
	uint64		ended = pg_atomic_read_u64(&pgh_slots[index].transactions) -
		spell->transactions;

	if (!watch->live || watch->changecount != spell->changecount ||
		watch->idle_transaction)
		return 0;
	return ended == (watch->busy ? 0 : 1) ? watch->details->spell : 0;
}

static TimestampTz
find_end(int index, TimestampTz now)
{
	const PghSpell *spell = &spells[index];
	TimestampTz end = session_end(index);

	if (end == 0)
		end = return_to_work(index);
	if (end > spell->seen && end <= now)
		return end;
	if (spell->seen - spell->began < USECS_PER_SEC)
		return Min(spell->began + USECS_PER_SEC, now);
	return spell->seen + Max(now - spell->seen, 0) / 2;
}

static void
end_spell(int index, int64 next_xid, TimestampTz now)
{
	PghSpell   *spell = &spells[index];
	int64		since = Max(find_end(index, now) - spell->seen, 0);
	PghCost		cost = {0, 0, 0};

	cost.blocked_time = spell->waiting * since;
	if (spell->in_transaction)
		cost.slot_time = since;

	/* Ids were used up evenly between the two looks, as far as we know. */
	if (spell->xmin_age >= 0 && now > spell->seen)
		cost.horizon_xids = spell->xmin_age +
			(int64) ((double) (next_xid - last_next_xid) * since /
					 (now - spell->seen));
	put_down(spell, &cost);
	settle(spell);
	spell->open = false;
}

void
pgh_ledger_look(const PghBlocked *blocked, TimestampTz now)
{
	FullTransactionId next = ReadNextFullTransactionId();
	int64		next_xid = U64FromFullTransactionId(next);

	for (int i = 0; i < pgh_n_slots; i++)
	{
		const PghWatch *watch = &pgh_watches[i];

		fetch_ahead(i + PGH_AHEAD);
		if (spells[i].open && !goes_on(i))
			end_spell(i, next_xid, now);
		if (!watch->live || !watch->locks_count)
			continue;
		if (!spells[i].open)
			begin_spell(i);
		follow_spell(i, blocked, next_xid, now);
	}
	charge_applications();
	charge_leaks();
	last_look = now;
	last_next_xid = next_xid;
}
