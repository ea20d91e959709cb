/*-------------------------------------------------------------------------
 *
 * pure/lock_queue.c
 *	  Who hangs on whom: from holders and waiters of locks to whole queues.
 *
 * Owns: the order in a lock's queue, and the search along it.  Must not: read
 * a clock or core's lock table, allocate, or raise an error: it is compiled
 * and tested without PostgreSQL.  Anyone may call it.
 *
 * How much work that is: for one session each waiter is looked at once for
 * each mode that turns out to be in its way, at most eight times.  Sessions
 * that hold the same modes of one lock and nothing else that is waited for
 * have the same queue, which is searched once: thousands of readers of one
 * table cost as much as one.  What is left of the bad cases is bounded by
 * "steps".
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "pure/lock_queue.h"

/* ----------
 * The order of the waiters
 * ----------
 */

/* Does "a" come before "b" in the array?  Waiters first, by their time. */
static bool
comes_before(const PghLockPart *a, const PghLockPart *b)
{
	if ((a->wanted != 0) != (b->wanted != 0))
		return a->wanted != 0;
	return a->wanted != 0 && a->since < b->since;
}

static void
sift_down(PghLockPart *part, int32_t root, int32_t n)
{
	for (int32_t child; (child = 2 * root + 1) < n; root = child)
	{
		PghLockPart swapped;

		if (child + 1 < n && comes_before(&part[child], &part[child + 1]))
			child++;
		if (!comes_before(&part[root], &part[child]))
			return;
		swapped = part[root];
		part[root] = part[child];
		part[child] = swapped;
	}
}

/* By heap: no memory, and no input that makes it slow. */
static void
sort_parts(PghLockPart *part, int32_t n)
{
	for (int32_t i = n / 2 - 1; i >= 0; i--)
		sift_down(part, i, n);
	for (int32_t last = n - 1; last > 0; last--)
	{
		PghLockPart swapped = part[0];

		part[0] = part[last];
		part[last] = swapped;
		sift_down(part, 0, last);
	}
}

/*
 * The server lets a process that already holds the lock in before the first
 * waiter who has to wait for it, since they would wait for each other.
 */
static void
let_holders_in(PghLockPart *part, int32_t n_waiters)
{
	for (int32_t i = 1; i < n_waiters; i++)
	{
		PghLockPart moved = part[i];
		int32_t		to = 0;

		if (moved.held == 0)
			continue;
		while (to < i && (part[to].conflicts & moved.held) == 0)
			to++;
		memmove(&part[to + 1], &part[to], (size_t) (i - to) * sizeof(moved));
		part[to] = moved;
	}
}

static void
arrange_lock(PghLockQueues *queues, int32_t number)
{
	PghWaitedLock *lock = &queues->lock[number];
	PghLockPart *part = &queues->part[lock->first];

	sort_parts(part, lock->n);
	lock->n_waiters = 0;
	while (lock->n_waiters < lock->n && part[lock->n_waiters].wanted != 0)
		lock->n_waiters++;
	let_holders_in(part, lock->n_waiters);
	lock->round = 0;
	lock->known = false;
	for (int32_t i = 0; i < lock->n; i++)
		part[i].lock = number;
}

void
pgh_lock_queues_arrange(PghLockQueues *queues)
{
	queues->round = 0;
	for (int32_t i = 0; i < queues->n_locks; i++)
		arrange_lock(queues, i);
	for (int32_t i = 0; i < queues->n_groups; i++)
		queues->first_of_group[i] = -1;
	for (int32_t i = 0; i < queues->n_parts; i++)
	{
		PghLockPart *part = &queues->part[i];

		part->round = 0;
		part->next = -1;
		if (part->group < 0)
			continue;
		part->next = queues->first_of_group[part->group];
		queues->first_of_group[part->group] = i;
	}
}

/* ----------
 * The search
 * ----------
 */

/* One search: from whom, and what it has found. */
typedef struct PghSearch
{
	PghLockQueues *queues;
	int32_t		root;
	PghTime		after;
	bool		brief;			/* the first one will do */
	PghQueue   *found;
	int32_t		on_stack;
} PghSearch;

static void
find(PghSearch *search, PghLockPart *waiter)
{
	PghQueue   *found = search->found;

	waiter->round = search->queues->round;
	if (found->n++ == 0 || waiter->since < found->since)
		found->since = waiter->since;
	if (waiter->since > search->after)
	{
		found->n_late++;
		found->late += waiter->since - search->after;
	}
	if (waiter->group >= 0)
		search->queues->stack[search->on_stack++] = waiter->group;
}

/* Who of this lock's waiters cannot go on while the queue keeps what it has? */
static void
search_lock(PghSearch *search, PghWaitedLock *lock)
{
	PghLockQueues *queues = search->queues;
	uint32_t	in_the_way = lock->in_the_way;

	for (int32_t i = 0; i < lock->n_waiters; i++)
	{
		PghLockPart *waiter = &queues->part[lock->first + i];

		queues->steps--;
		if (waiter->group != search->root && waiter->round != queues->round)
		{
			if ((waiter->conflicts & in_the_way) == 0)
				continue;
			find(search, waiter);
			if (search->brief)
				return;
		}
		in_the_way |= waiter->wanted;
	}
}

/* All that wait for what this group holds. */
static void
search_group(PghSearch *search, int32_t group, bool all, PghQueueKind kind)
{
	PghLockQueues *queues = search->queues;

	for (int32_t i = queues->first_of_group[group]; i >= 0;
		 i = queues->part[i].next)
	{
		PghWaitedLock *lock = &queues->lock[queues->part[i].lock];
		uint32_t	held = queues->part[i].held;
		bool		waits = group == search->root &&
			queues->part[i].wanted != 0;

		if ((held == 0 && !waits) || (!all && lock->kind != kind))
			continue;
		if (lock->round != queues->round)
			lock->in_the_way = 0;
		lock->round = queues->round;
		if ((held & ~lock->in_the_way) == 0 && !waits)
			continue;
		lock->in_the_way |= held;
		search_lock(search, lock);
		if (search->brief && search->found->n > 0)
			return;
	}
}

/* Since when does somebody wait for an advisory lock that it holds itself? */
static PghTime
waited_directly(PghLockQueues *queues, int32_t group)
{
	PghTime		since = 0;

	for (int32_t i = queues->first_of_group[group]; i >= 0;
		 i = queues->part[i].next)
	{
		const PghLockPart *own = &queues->part[i];
		const PghWaitedLock *lock = &queues->lock[own->lock];

		if (own->held == 0 || lock->kind != PGH_QUEUE_ADVISORY)
			continue;
		for (int32_t j = 0; j < lock->n_waiters; j++)
		{
			const PghLockPart *waiter = &queues->part[lock->first + j];

			queues->steps--;
			if (waiter->group != group &&
				(waiter->conflicts & own->held) != 0 &&
				(since == 0 || waiter->since < since))
				since = waiter->since;
		}
	}
	return since;
}

static void
search_all(PghLockQueues *queues, int32_t group, PghTime after,
		   PghBlocked *blocked)
{
	PghSearch	search = {queues, group, after, queues->steps <= 0, NULL, 0};

	queues->round++;
	for (int kind = 0; kind < PGH_N_QUEUE_KINDS; kind++)
	{
		search.found = &blocked->queue[kind];
		search_group(&search, group, false, (PghQueueKind) kind);
		while (!search.brief && search.on_stack > 0)
			search_group(&search, queues->stack[--search.on_stack], true,
						 PGH_QUEUE_DATA);
		search.on_stack = 0;
	}
	blocked->advisory_since = waited_directly(queues, group);
}

void
pgh_lock_queue_of(PghLockQueues *queues, int32_t group, PghTime after,
				  PghBlocked *blocked)
{
	int32_t		first = queues->first_of_group[group];
	const PghLockPart *own;
	PghWaitedLock *lock;

	memset(blocked, 0, sizeof(*blocked));
	if (first < 0)
		return;
	own = &queues->part[first];
	if (own->next >= 0 || own->wanted != 0)
	{
		search_all(queues, group, after, blocked);
		return;
	}
	lock = &queues->lock[own->lock];
	if (!lock->known || lock->known_held != own->held ||
		lock->known_after != after)
	{
		search_all(queues, group, after, blocked);
		lock->known = true;
		lock->known_held = own->held;
		lock->known_after = after;
		lock->known_blocked = *blocked;
	}
	*blocked = lock->known_blocked;
}
