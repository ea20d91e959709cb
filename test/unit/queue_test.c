/*-------------------------------------------------------------------------
 *
 * queue_test.c
 *	  Who waits at admission, and in which order.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/queue.h"
#include "tap.h"

#define MOST 64

static PghWaiter queue[MOST];
static int32_t n;

/* Sessions are numbered and come in the order in which they are named. */
static PghWaiter
waiter(uint32_t role, uint32_t account, int32_t held)
{
	static int32_t sessions;
	PghWaiter	one = {0};

	one.session = ++sessions;
	one.since = 1000 + sessions;
	one.role = role;
	one.account = account;
	one.held = held;
	pgh_queue_measure(queue, n, &one);
	return one;
}

static int32_t
join(uint32_t role, uint32_t account, int32_t held)
{
	PghWaiter	one = waiter(role, account, held);

	pgh_queue_join(queue, &n, &one);
	return one.session;
}

static int32_t
index_of(int32_t session)
{
	return pgh_queue_find(queue, n, session);
}

/* Who is first for the only place there is. */
static int32_t
first(void)
{
	int32_t		found[4];

	return pgh_queue_firsts(queue, n, found, 4) == 0 ? -1 :
		queue[found[0]].session;
}

static void
test_order(void)
{
	int32_t		many = join(1, 10, 5);
	int32_t		few = join(1, 11, 2);
	int32_t		fewer = join(1, 12, 2);
	PghWaiter	newcomer;

	tap_ok(first() == few, "who holds the fewest comes first");
	pgh_queue_leave(queue, &n, index_of(few));
	tap_ok(first() == fewer, "then who has waited for longest");
	newcomer = waiter(1, 13, 2);
	tap_ok(pgh_queue_ahead(queue, n, &newcomer, 0) == 1,
		   "a newcomer that holds as few stands behind him");
	newcomer = waiter(1, 13, 0);
	tap_ok(pgh_queue_ahead(queue, n, &newcomer, 0) == 0,
		   "one that holds fewer does not");
	newcomer = waiter(1, 12, 2);
	tap_ok(newcomer.earlier == 1 && newcomer.role_earlier == 2,
		   "those of its account and role before it count");
	tap_ok(pgh_queue_ahead(queue, n, &newcomer, 7) == 0,
		   "who waits for something else is not ahead");
	pgh_queue_leave(queue, &n, index_of(fewer));
	tap_ok(first() == many, "and then the others");
	pgh_queue_leave(queue, &n, index_of(many));
	tap_ok(n == 0 && first() == -1, "until nobody is left");
}

static void
test_places(void)
{
	int32_t		found[2];
	int32_t		slot = join(1, 10, 3);
	int32_t		cap = join(1, 10, 3);

	queue[index_of(cap)].place = 1;
	tap_ok(pgh_queue_firsts(queue, n, found, 2) == 2 &&
		   queue[found[0]].session == slot && queue[found[1]].session == cap,
		   "each place has a first");
	tap_ok(pgh_queue_firsts(queue, n, found, 1) == 1, "but no more than asked for");
	pgh_queue_send_away(queue, n, index_of(slot));
	tap_ok(pgh_queue_length(queue, n) == 1 && n == 2, "who is sent away counts no more");
	tap_ok(pgh_queue_firsts(queue, n, found, 2) == 1 &&
		   queue[found[0]].session == cap, "and is first for nothing");
	tap_ok(queue[index_of(cap)].earlier == 0, "nor stands before others");
	n = 0;
}

/* One role that waits on purpose, and others. */
static void
test_roles(void)
{
	int32_t		liar[6];
	int32_t		honest;
	PghWaiter	newcomer;

	for (int i = 0; i < 6; i++)
		liar[i] = join(66, PGH_NEW_ACCOUNT, 0);
	newcomer = waiter(1, 10, 40);
	tap_ok(pgh_queue_yielding(queue, n, &newcomer) == index_of(liar[5]),
		   "the last of a role that has many waiting makes room for another role");
	pgh_queue_leave(queue, &n, index_of(liar[5]));
	honest = join(1, 10, 40);
	newcomer = waiter(66, 20, 0);
	tap_ok(pgh_queue_yielding(queue, n, &newcomer) == index_of(liar[4]),
		   "within a role, the last for one whose turn comes earlier");
	newcomer = waiter(66, PGH_NEW_ACCOUNT, 0);
	tap_ok(pgh_queue_yielding(queue, n, &newcomer) == -1,
		   "but nobody for one that comes later, nor for one of the larger role");
	tap_ok(pgh_queue_last(queue, n) == index_of(liar[4]),
		   "the largest role goes first when there is less room");
	for (int i = 0; i < 5; i++)
		pgh_queue_leave(queue, &n, index_of(liar[i]));
	newcomer = waiter(2, 11, 0);
	tap_ok(pgh_queue_yielding(queue, n, &newcomer) == -1,
		   "roles that have as few keep their places");
	tap_ok(pgh_queue_last(queue, n) == index_of(honest), "the last one is the last");
	n = 0;
	tap_ok(pgh_queue_last(queue, n) == -1 &&
		   pgh_queue_yielding(queue, n, &newcomer) == -1, "nobody is nobody");
}

int
main(void)
{
	test_order();
	test_places();
	test_roles();
	return tap_done();
}
