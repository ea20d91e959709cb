/*-------------------------------------------------------------------------
 *
 * session/wait.c
 *	  A login that waits for a place.
 *
 * Owns: who may join the queue, who has to leave it, and the sleep.  Must
 * not: decide who is let in.  For the backend itself.
 *
 * Why nobody is hurt by those who wait
 * ------------------------------------
 * Core has given each of them a PGPROC already.  So no more than half the
 * headroom wait, and never more than there are slots left free beside them:
 * with each session that is let in when slots have become that few, one that
 * waits is sent away.  Whoever need not wait finds a slot.
 *
 * They count for nothing.  For others their slots are free ones, except that
 * those whose turn comes first have a claim to the place they wait for: a
 * newcomer does not overtake them.
 *
 * The transaction that core has open during a login has no snapshot while we
 * sleep, so VACUUM is not held back; it holds no lock but the one on its own
 * number, and we hold none.
 *
 * Why no place is missed
 * ----------------------
 * One look is made under the lock of the applications, which puts the login
 * into the queue in the same stay.  Whoever gives a place back does so under
 * that lock, and sees the queue then.  So either the look came later, and saw
 * the place; or it came earlier, and whoever left sees the login in the queue
 * and sets its latch.  The latch is reset before the look, not after it, so
 * when it is set between the look and the sleep there is no sleep.
 *
 * Only the first in line is told, for each kind of place.  If it takes the
 * place, or gives up, or finds that it has to wait for something else, it tells
 * the next: of several places that become free at once none is left over.
 *
 * A rule's cap is counted under another lock, but the session that leaves is
 * out of that before it looks into the queue, and the login looks at that
 * count first, under its lock, and keeps that until it is in the queue.
 *
 * A slot itself becomes free a moment after its session has told us, when core
 * has given up its PGPROC; that, and slots that never were a session of ours,
 * nobody can tell.  So the first in line looks again after 1, 2, 4, ... 100 ms.
 * The others need not, for he tells them: hundreds that come at once would
 * look thousands of times, and each look takes the locks that logins need.
 * They do so once a second, for what might have been overlooked.
 *
 *-------------------------------------------------------------------------
 */
#include "session/wait.h"

#include "libpq/libpq-be.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "shared/waiting.h"

/* Between two looks, in milliseconds: of the first in line, and of others. */
#define PGH_LONGEST_NAP 100
#define PGH_NAP_IN_LINE 1000

/* So long before core gives a login up we do, so that its client is told. */
#define PGH_BEFORE_TIMEOUT (USECS_PER_SEC / 2)

/* ----------
 * Joining and leaving
 * ----------
 */

/* How many may wait: half the headroom, and no more than slots are free. */
static int
most_waiting(const PghArrival *arrival)
{
	return Min(pgh_effective_headroom() / 2, Max(arrival->free_slots, 0));
}

static void
send_away_beyond(int most)
{
	while (pgh_waiting_length() > most)
	{
		int32		last = pgh_queue_last(pgh_waiting->waiter,
										  pgh_waiting->n_waiters);

		if (last < 0)
			return;
		pgh_waiting_send_away(last);
	}
}

/* Make room for it among those that wait, or not. */
static bool
make_room(const PghArrival *arrival)
{
	int			most = most_waiting(arrival);
	int32		yielding;

	if (!pgh_waiting_has_room() || most == 0)
		return false;
	if (pgh_waiting_length() < most)
		return true;
	if (pgh_waiting_length() > most)
		return false;
	yielding = pgh_queue_yielding(pgh_waiting->waiter,
								  pgh_waiting->n_waiters, &arrival->self);
	if (yielding < 0)
		return false;
	pgh_waiting_send_away(yielding);
	return true;
}

/* Would it be let in if somebody left?  A rate asks for time instead. */
static bool
waiting_helps(const PghArrival *arrival)
{
	return arrival->refusal.reason != PGH_LIMIT_CONNECT_RATE &&
		!arrival->is_rename &&
		arrival->until > GetCurrentTimestamp();
}

static uint32
place_for(const PghArrival *arrival)
{
	switch (arrival->refusal.reason)
	{
		case PGH_LIMIT_CONNECTIONS:
			return PGH_PLACE_OF_RULE(arrival->refusal.rule);
		case PGH_LIMIT_CONNECTIONS_PER_APPLICATION:
			return PGH_PLACE_OF_APPLICATION(arrival->standing.id);
		default:
			return PGH_PLACE_SLOT;
	}
}

PghAnswer
pgh_wait_or_go(PghArrival *arrival)
{
	int			index = pgh_waiting_find(arrival->self.session);
	bool		stays = waiting_helps(arrival);

	if (index >= 0)
	{
		send_away_beyond(most_waiting(arrival));
		stays = stays && !pgh_waiting->waiter[index].sent_away;
	}
	else
		stays = stays && make_room(arrival);
	if (!stays)
	{
		if (index >= 0)
			arrival->waited = Max(GetCurrentTimestamp() -
								  arrival->self.since, 1);
		pgh_waiting_take(arrival->self.session);
		return PGH_ANSWER_GO;
	}
	arrival->self.place = place_for(arrival);
	pgh_waiting_put(&arrival->self);
	arrival->is_first =
		pgh_queue_ahead(pgh_waiting->waiter, pgh_waiting->n_waiters,
						&arrival->self, arrival->self.place) == 0;
	return PGH_ANSWER_WAIT;
}

void
pgh_wait_is_over(PghArrival *arrival)
{
	pgh_waiting_take(arrival->self.session);
	if (pgh_waiting_length() > 0)
		send_away_beyond(most_waiting(arrival));
}

/* ----------
 * Sleeping
 * ----------
 */

/*
 * Core ends a login that takes too long, without a word: rather be earlier.
 * Its timeouts were armed before we were called.
 */
TimestampTz
pgh_wait_until(TimestampTz since, int64 most)
{
	TimestampTz end = pgh_login_ends_at();

	if (most <= 0)
		return since;
	if (most > PGH_NEVER - since)
		most = PGH_NEVER - since;
	return Min(since + most,
			   end == PGH_NEVER ? end : end - PGH_BEFORE_TIMEOUT);
}

void
pgh_wait_for_place(const PghArrival *arrival, int *naps)
{
	uint32		wait_event = pg_atomic_read_u32(&pgh_waiting->wait_event);
	int64		left = arrival->until - GetCurrentTimestamp();
	long		nap = arrival->is_first ?
		Min(1L << Min(*naps, 10), PGH_LONGEST_NAP) : PGH_NAP_IN_LINE;
	int			events = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;
	int			woken;

	if (WaitEventSetCanReportClosed())
		events |= WL_SOCKET_CLOSED;

	/* What core has read during the login must not hold back VACUUM. */
	InvalidateCatalogSnapshot();
	woken = WaitLatchOrSocket(MyLatch, events, MyProcPort->sock,
							  Min(nap, Max(left, 0) / 1000 + 1),
							  wait_event != 0 ? wait_event :
							  PG_WAIT_EXTENSION);
	*naps = (woken & WL_LATCH_SET) != 0 || !arrival->is_first ? 0 : *naps + 1;

	/* As core does with a client that leaves while it is asked for more. */
	if ((woken & WL_SOCKET_CLOSED) != 0)
		proc_exit(0);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}
