/*-------------------------------------------------------------------------
 *
 * pure/queue.c
 *	  Who waits at admission, and in which order.
 *
 * Owns: the order, and who gives up when there is room for no more.  Must
 * not: know what a place is, read a clock or shared memory.  Anyone may call
 * it.
 *
 * Waiting costs a client nothing, so whoever wants to do harm waits thousands
 * of times.  All that he gets is this: one that waits counts for its account
 * as if it were a connection, so a second one of the same account stands
 * behind the first ones of all others; and when there is room for no more, it
 * is divided among the roles first, then among their applications.
 *
 * The array is in the order in which they came.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/queue.h"

#include <string.h>

static int64_t
turn(const PghWaiter *waiter)
{
	return (int64_t) waiter->held + waiter->earlier;
}

bool
pgh_waits_before(const PghWaiter *a, const PghWaiter *b)
{
	if (turn(a) != turn(b))
		return turn(a) < turn(b);
	if (a->since != b->since)
		return a->since < b->since;
	return a->session < b->session;
}

static bool
is_of_account(const PghWaiter *a, const PghWaiter *b)
{
	return a->account == b->account && a->role == b->role;
}

int32_t
pgh_queue_length(const PghWaiter *queue, int32_t n)
{
	int32_t		length = 0;

	for (int32_t i = 0; i < n; i++)
		length += !queue[i].sent_away;
	return length;
}

void
pgh_queue_measure(const PghWaiter *queue, int32_t n, PghWaiter *newcomer)
{
	newcomer->earlier = newcomer->role_earlier = 0;
	for (int32_t i = 0; i < n; i++)
	{
		if (queue[i].sent_away)
			continue;
		newcomer->earlier += is_of_account(&queue[i], newcomer);
		newcomer->role_earlier += queue[i].role == newcomer->role;
	}
}

void
pgh_queue_join(PghWaiter *queue, int32_t *n, const PghWaiter *newcomer)
{
	queue[(*n)++] = *newcomer;
}

int32_t
pgh_queue_find(const PghWaiter *queue, int32_t n, int32_t session)
{
	for (int32_t i = 0; i < n; i++)
		if (queue[i].session == session)
			return i;
	return -1;
}

/* Those behind it have one fewer before them. */
static void
close_gap(PghWaiter *queue, int32_t n, int32_t index)
{
	for (int32_t i = index + 1; i < n; i++)
	{
		queue[i].earlier -= queue[i].earlier > 0 &&
			is_of_account(&queue[i], &queue[index]);
		queue[i].role_earlier -= queue[i].role_earlier > 0 &&
			queue[i].role == queue[index].role;
	}
}

void
pgh_queue_leave(PghWaiter *queue, int32_t *n, int32_t index)
{
	if (!queue[index].sent_away)
		close_gap(queue, *n, index);
	(*n)--;
	memmove(&queue[index], &queue[index + 1],
			(size_t) (*n - index) * sizeof(PghWaiter));
}

void
pgh_queue_send_away(PghWaiter *queue, int32_t n, int32_t index)
{
	if (queue[index].sent_away)
		return;
	close_gap(queue, n, index);
	queue[index].sent_away = true;
}

int32_t
pgh_queue_ahead(const PghWaiter *queue, int32_t n, const PghWaiter *waiter,
				uint32_t place)
{
	int32_t		ahead = 0;

	for (int32_t i = 0; i < n; i++)
		ahead += queue[i].place == place && !queue[i].sent_away &&
			queue[i].session != waiter->session &&
			pgh_waits_before(&queue[i], waiter);
	return ahead;
}

/* The one whose role has the most before it is of the largest role. */
static const PghWaiter *
of_largest_role(const PghWaiter *queue, int32_t n)
{
	const PghWaiter *largest = NULL;

	for (int32_t i = 0; i < n; i++)
		if (!queue[i].sent_away &&
			(largest == NULL ||
			 queue[i].role_earlier > largest->role_earlier))
			largest = &queue[i];
	return largest;
}

static int32_t
last_of_role(const PghWaiter *queue, int32_t n, uint32_t role)
{
	int32_t		last = -1;

	for (int32_t i = 0; i < n; i++)
		if (!queue[i].sent_away && queue[i].role == role &&
			(last < 0 || pgh_waits_before(&queue[last], &queue[i])))
			last = i;
	return last;
}

int32_t
pgh_queue_yielding(const PghWaiter *queue, int32_t n,
				   const PghWaiter *newcomer)
{
	const PghWaiter *largest = of_largest_role(queue, n);
	int32_t		last;

	if (largest == NULL)
		return -1;
	if (largest->role_earlier > newcomer->role_earlier)
		return last_of_role(queue, n, largest->role);
	last = last_of_role(queue, n, newcomer->role);
	if (last >= 0 && turn(newcomer) < turn(&queue[last]))
		return last;
	return -1;
}

int32_t
pgh_queue_last(const PghWaiter *queue, int32_t n)
{
	const PghWaiter *largest = of_largest_role(queue, n);

	return largest == NULL ? -1 : last_of_role(queue, n, largest->role);
}

/* Beyond "most" places nobody is told: who waits there looks by himself. */
int32_t
pgh_queue_firsts(const PghWaiter *queue, int32_t n, int32_t *first,
				 int32_t most)
{
	int32_t		found = 0;

	for (int32_t i = 0; i < n; i++)
	{
		int32_t		k = 0;

		if (queue[i].sent_away)
			continue;
		while (k < found && queue[first[k]].place != queue[i].place)
			k++;
		if (k < found)
		{
			if (pgh_waits_before(&queue[i], &queue[first[k]]))
				first[k] = i;
		}
		else if (found < most)
			first[found++] = i;
	}
	return found;
}
