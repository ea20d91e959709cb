/*-------------------------------------------------------------------------
 *
 * shared/drains.c
 *	  The drains: whose sessions are to leave between two transactions.
 *
 * Owns: which sessions are of which drain, and how many have left.  Must not:
 * match selectors, or end a session.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/drains.h"

#include "pure/text.h"

#include "shared/slot.h"

PghDrains  *pgh_drains = NULL;

#define PGH_MARK(claim, places) ((uint64) (claim) << 32 | (places))
#define PGH_BIT(place) (UINT32_C(1) << (place))

uint32
pgh_drains_of(int index, uint32 changecount)
{
	uint64		mark = pg_atomic_read_u64(&pgh_drains->marks[index]);

	if ((uint32) (mark >> 32) != changecount)
		return 0;
	return (uint32) mark & pg_atomic_read_u32(&pgh_drains->running);
}

/* How many sessions of a place are still there? */
static int32
count_remaining(int place)
{
	int32		n = 0;

	for (int i = 0; i < pgh_n_slots; i++)
	{
		uint64		mark = pg_atomic_read_u64(&pgh_drains->marks[i]);

		n += ((uint32) mark & PGH_BIT(place)) != 0 &&
			pgh_slot_is(i, (uint32) (mark >> 32));
	}
	return n;
}

static bool
is_running(int place)
{
	return (pg_atomic_read_u32(&pgh_drains->running) & PGH_BIT(place)) != 0;
}

/* Under the lock: it is over, with so many still there. */
static void
close_drain(int place, int32 remaining)
{
	PghDrain   *drain = &pgh_drains->drain[place];

	drain->ended = drain->matched - remaining;
	pg_atomic_fetch_and_u32(&pgh_drains->running, ~PGH_BIT(place));
}

/* Under the lock. */
static void
settle(void)
{
	for (int place = 0; place < PGH_MAX_DRAINS; place++)
		if (is_running(place) && count_remaining(place) == 0)
			close_drain(place, 0);
}

/* Under the lock: the place of the oldest one that is over, or -1. */
static int
find_place(void)
{
	int			oldest = -1;

	for (int place = 0; place < PGH_MAX_DRAINS; place++)
		if (!is_running(place) &&
			(oldest < 0 || pgh_drains->drain[place].number <
			 pgh_drains->drain[oldest].number))
			oldest = place;
	return oldest;
}

/* Under the lock: these sessions are of the drain of this place, no others. */
static void
mark_sessions(int place, const PghMarked *marked, int n)
{
	for (int i = 0; i < pgh_n_slots; i++)
	{
		uint64		mark = pg_atomic_read_u64(&pgh_drains->marks[i]);

		pg_atomic_write_u64(&pgh_drains->marks[i],
							mark & ~(uint64) PGH_BIT(place));
	}
	for (int i = 0; i < n; i++)
	{
		pg_atomic_uint64 *mark = &pgh_drains->marks[marked[i].index];
		uint64		old = pg_atomic_read_u64(mark);
		uint32		places = (uint32) (old >> 32) == marked[i].changecount ?
			(uint32) old : 0;

		pg_atomic_write_u64(mark, PGH_MARK(marked[i].changecount,
										   places | PGH_BIT(place)));
	}
}

/*
 * Under the lock.  pgh_drain_label() reads without it: while the place is
 * being filled it has nobody's number.
 */
static void
fill_place(volatile PghDrain *place, const PghDrain *drain, int32 number, int n)
{
	place->number = 0;
	pg_write_barrier();
	memcpy(unvolatize(PghDrain *, place)->selectors, drain->selectors,
		   sizeof(drain->selectors));
	place->started_at = drain->started_at;
	place->deadline = drain->deadline;
	place->by_address = drain->by_address;
	place->matched = n;
	place->ended = 0;
	pg_write_barrier();
	place->number = number;
}

int32
pgh_drain_begin(const PghDrain *drain, const PghMarked *marked, int n)
{
	int32		number = 0;
	int			place;

	pgh_lock(&pgh_drains_part, LW_EXCLUSIVE);
	settle();
	place = find_place();
	if (place >= 0)
	{
		number = pgh_drains->next_number++;

		/* Whoever sees a new mark must see that there is news. */
		pg_atomic_fetch_add_u32(&pgh_drains->news, 1);
		mark_sessions(place, marked, n);
		fill_place(&pgh_drains->drain[place], drain, number, n);
		pg_atomic_fetch_or_u32(&pgh_drains->running, PGH_BIT(place));
		settle();
	}
	pgh_unlock(&pgh_drains_part);
	pg_atomic_fetch_add_u32(&pgh_drains->news, 1);
	return number;
}

bool
pgh_drain_stop(int32 number)
{
	bool		stopped = false;

	pgh_lock(&pgh_drains_part, LW_EXCLUSIVE);
	settle();
	for (int place = 0; place < PGH_MAX_DRAINS; place++)
		if (is_running(place) && pgh_drains->drain[place].number == number)
		{
			close_drain(place, count_remaining(place));
			stopped = true;
		}
	pgh_unlock(&pgh_drains_part);
	pg_atomic_fetch_add_u32(&pgh_drains->news, 1);
	return stopped;
}

bool
pgh_drain_read(int place, PghDrain *copy, int32 *remaining)
{
	*remaining = 0;
	pgh_lock(&pgh_drains_part, LW_SHARED);
	*copy = pgh_drains->drain[place];
	if (is_running(place))
	{
		*remaining = count_remaining(place);
		copy->ended = copy->matched - *remaining;
	}
	pgh_unlock(&pgh_drains_part);
	return copy->number != 0;
}

void
pgh_drains_settle(void)
{
	if (pg_atomic_read_u32(&pgh_drains->running) == 0)
		return;
	pgh_lock(&pgh_drains_part, LW_EXCLUSIVE);
	settle();
	pgh_unlock(&pgh_drains_part);
}

/* A place is given to another drain only with another number. */
void
pgh_drain_label(int32 number, char *label, size_t size)
{
	label[0] = '\0';
	for (int place = 0; place < PGH_MAX_DRAINS; place++)
	{
		volatile PghDrain *drain = &pgh_drains->drain[place];
		char		selectors[PGH_DRAIN_TEXT_LEN];

		if (drain->number != number)
			continue;
		pg_read_barrier();
		memcpy(selectors, unvolatize(PghDrain *, drain)->selectors,
			   sizeof(selectors));
		pg_read_barrier();
		selectors[PGH_DRAIN_TEXT_LEN - 1] = '\0';
		if (drain->number == number)
			pgh_copy_ascii(selectors, label, size);
		return;
	}
}

/* ----------
 * The part
 * ----------
 */

static Size
size_drains(void)
{
	/* pgh_n_slots is not known yet, when this is asked for first */
	return add_size(offsetof(PghDrains, marks),
					mul_size(MaxConnections, sizeof(pg_atomic_uint64)));
}

static void
init_drains(void *area)
{
	pgh_drains = area;
	pg_atomic_init_u32(&pgh_drains->running, 0);
	pg_atomic_init_u32(&pgh_drains->news, 0);
	pgh_drains->next_number = 1;
	for (int i = 0; i < pgh_n_slots; i++)
		pg_atomic_init_u64(&pgh_drains->marks[i], 0);
}

PghPart		pgh_drains_part = {
	.name = "drains",
	.size = size_drains,
	.init = init_drains,
};
