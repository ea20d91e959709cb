/*-------------------------------------------------------------------------
 *
 * fuzz_queue.c
 *	  Logins that come, are sent away and leave in any order.
 *
 * What must hold: each of the queue knows how many of its account and of its
 * role came before it and count; nobody is in it twice; the order is one, so
 * that of all who wait for a place just one is first, who is not behind
 * anybody; the first ones are of different places; who yields to a newcomer is
 * of the largest role or behind him in his own; the last is behind all others
 * of its role, which none is larger than.
 *
 * Each step takes seven bytes of the input: what happens, to whom, and who
 * comes.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "fuzz.h"
#include "pure/queue.h"

#define BYTES_EACH 7
#define ROOM 24
#define PLACES 4

static PghWaiter queue[ROOM];
static int32_t n;

static bool
counts_before(const PghWaiter *a, const PghWaiter *b, bool of_account)
{
	return !a->sent_away && a->role == b->role &&
		(!of_account || a->account == b->account);
}

/* How many of those in front of "end" count, and are of its role or account. */
static int32_t
count_before(const PghWaiter *waiter, int32_t end, bool of_account)
{
	int32_t		before = 0;

	for (int32_t i = 0; i < end; i++)
		before += counts_before(&queue[i], waiter, of_account);
	return before;
}

static void
check_counts(void)
{
	int32_t		length = 0;

	for (int32_t i = 0; i < n; i++)
	{
		length += !queue[i].sent_away;
		REQUIRE(pgh_queue_find(queue, n, queue[i].session) == i);
		REQUIRE(queue[i].sent_away ||
				queue[i].earlier == count_before(&queue[i], i, true));
		REQUIRE(queue[i].sent_away ||
				queue[i].role_earlier == count_before(&queue[i], i, false));
	}
	REQUIRE(pgh_queue_length(queue, n) == length);
}

/* Those that wait for it stand behind 0, 1, 2, ... others. */
static void
check_place(uint32_t place)
{
	int32_t		sum = 0;
	int32_t		waiting = 0;

	for (int32_t i = 0; i < n; i++)
	{
		int32_t		ahead;

		if (queue[i].sent_away || queue[i].place != place)
			continue;
		ahead = pgh_queue_ahead(queue, n, &queue[i], place);
		REQUIRE(ahead >= 0 && ahead < pgh_queue_length(queue, n));
		REQUIRE(!pgh_waits_before(&queue[i], &queue[i]));
		sum += ahead;
		waiting++;
	}
	REQUIRE(sum == waiting * (waiting - 1) / 2);
}

static void
check_firsts(int32_t most)
{
	int32_t		first[PLACES];
	int32_t		found = pgh_queue_firsts(queue, n, first, most);

	REQUIRE(found >= 0 && found <= most);
	REQUIRE((found == 0) == (most == 0 || pgh_queue_length(queue, n) == 0));
	for (int32_t k = 0; k < found; k++)
	{
		const PghWaiter *its = &queue[first[k]];

		REQUIRE(!its->sent_away);
		REQUIRE(pgh_queue_ahead(queue, n, its, its->place) == 0);
		for (int32_t i = 0; i < k; i++)
			REQUIRE(queue[first[i]].place != its->place);
	}
}

/* Nobody of its role that counts comes after it. */
static bool
is_last_of_role(int32_t index)
{
	for (int32_t i = 0; i < n; i++)
		if (i != index && !queue[i].sent_away &&
			queue[i].role == queue[index].role &&
			pgh_waits_before(&queue[index], &queue[i]))
			return false;
	return true;
}

static int32_t
size_of_role(uint32_t role)
{
	PghWaiter	one = {.role = role};

	return count_before(&one, n, false);
}

static void
check_last(void)
{
	int32_t		last = pgh_queue_last(queue, n);

	REQUIRE((last < 0) == (pgh_queue_length(queue, n) == 0));
	if (last < 0)
		return;
	REQUIRE(!queue[last].sent_away && is_last_of_role(last));
	for (int32_t i = 0; i < n; i++)
		REQUIRE(size_of_role(queue[i].role) <= size_of_role(queue[last].role));
}

static void
check_yielding(const PghWaiter *newcomer)
{
	int32_t		yielding = pgh_queue_yielding(queue, n, newcomer);

	if (yielding < 0)
		return;
	REQUIRE(!queue[yielding].sent_away && is_last_of_role(yielding));
	if (queue[yielding].role == newcomer->role)
		REQUIRE(size_of_role(newcomer->role) > newcomer->role_earlier ||
				queue[yielding].held + queue[yielding].earlier >
				newcomer->held + newcomer->earlier);
	else
		REQUIRE(size_of_role(queue[yielding].role) >
				newcomer->role_earlier + 1);
}

static PghWaiter
newcomer_from(const uint8_t *data, int32_t session)
{
	PghWaiter	newcomer = {0};

	newcomer.session = session;
	newcomer.since = data[2] % 8;	/* the clock may have been set back */
	newcomer.role = data[3] % 5;
	newcomer.account = data[4] % 4;
	newcomer.place = data[5] % PLACES;
	newcomer.held = data[6] % 6;
	pgh_queue_measure(queue, n, &newcomer);
	return newcomer;
}

static void
step(const uint8_t *data, int32_t session)
{
	PghWaiter	newcomer = newcomer_from(data, session);
	int32_t		index = n > 0 ? data[1] % n : -1;

	check_yielding(&newcomer);
	switch (data[0] % 4)
	{
		case 0:
		case 1:
			if (n < ROOM)
				pgh_queue_join(queue, &n, &newcomer);
			break;
		case 2:
			if (index >= 0)
				pgh_queue_send_away(queue, n, index);
			break;
		default:
			if (index >= 0)
				pgh_queue_leave(queue, &n, index);
			break;
	}

	/* What somebody holds, and what he waits for, changes while he waits. */
	if (n > 0 && (data[0] & 64) != 0)
		queue[data[1] % n].held = data[6] % 6;
	if (n > 0 && (data[0] & 128) != 0)
		queue[data[1] % n].place = data[5] % PLACES;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	n = 0;
	for (size_t i = 0; i + BYTES_EACH <= size; i += BYTES_EACH)
	{
		step(data + i, (int32_t) (i / BYTES_EACH));
		check_counts();
		for (uint32_t place = 0; place < PLACES; place++)
			check_place(place);
		for (int32_t most = 0; most <= PLACES; most++)
			check_firsts(most);
		check_last();
	}
	return 0;
}
