/*-------------------------------------------------------------------------
 *
 * shared/waiting.c
 *	  The logins that wait for a place at admission.
 *
 * Owns: the queue in shared memory.  Must not: order it, which pure/queue.c
 * does, or decide who may join.  Whoever calls it holds the lock of the
 * applications, where nothing else is said.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/waiting.h"

#include "storage/latch.h"

#include "shared/applications.h"

PghWaiting *pgh_waiting = NULL;

/* No more than half the headroom waits, so no more than half of all. */
static int
most_waiters(void)
{
	return MaxConnections / 2;
}

static void
publish_length(void)
{
	pg_atomic_write_u32(&pgh_waiting->length,
						pgh_queue_length(pgh_waiting->waiter,
										 pgh_waiting->n_waiters));
}

bool
pgh_waiting_has_room(void)
{
	return pgh_waiting->n_waiters < most_waiters();
}

int
pgh_waiting_find(int session)
{
	return pgh_queue_find(pgh_waiting->waiter, pgh_waiting->n_waiters,
						  session);
}

void
pgh_waiting_put(const PghWaiter *waiter)
{
	int			index = pgh_waiting_find(waiter->session);

	if (index >= 0)
		pgh_waiting->waiter[index].place = waiter->place;
	else
		pgh_queue_join(pgh_waiting->waiter, &pgh_waiting->n_waiters, waiter);
	publish_length();
}

void
pgh_waiting_take(int session)
{
	int			index = pgh_waiting_find(session);

	if (index < 0)
		return;
	pgh_queue_leave(pgh_waiting->waiter, &pgh_waiting->n_waiters, index);
	publish_length();
}

void
pgh_waiting_send_away(int index)
{
	int32		session = pgh_waiting->waiter[index].session;

	pgh_queue_send_away(pgh_waiting->waiter, pgh_waiting->n_waiters, index);
	publish_length();
	pgh_waiting_wake(&session, 1);
}

int
pgh_waiting_firsts(int32 *sessions)
{
	int			n = pgh_queue_firsts(pgh_waiting->waiter,
									 pgh_waiting->n_waiters, sessions,
									 PGH_MAX_WOKEN);

	for (int i = 0; i < n; i++)
		sessions[i] = pgh_waiting->waiter[sessions[i]].session;
	return n;
}

/* Whoever has the PGPROC by now is woken for nothing. */
void
pgh_waiting_wake(const int32 *sessions, int n)
{
	for (int i = 0; i < n; i++)
		SetLatch(&ProcGlobal->allProcs[sessions[i]].procLatch);
}

TimestampTz
pgh_waiting_since(int session)
{
	int			index;
	TimestampTz since = 0;

	if (pgh_waiting_length() == 0)
		return 0;
	pgh_lock(&pgh_applications_part, LW_SHARED);
	index = pgh_waiting_find(session);
	if (index >= 0 && !pgh_waiting->waiter[index].sent_away)
		since = pgh_waiting->waiter[index].since;
	pgh_unlock(&pgh_applications_part);
	return since;
}

/* ----------
 * The part
 * ----------
 */

static Size
size_waiting(void)
{
	return add_size(offsetof(PghWaiting, waiter),
					mul_size(most_waiters(), sizeof(PghWaiter)));
}

static void
init_waiting(void *area)
{
	pgh_waiting = area;
	pgh_waiting->n_waiters = 0;
	pg_atomic_init_u32(&pgh_waiting->length, 0);
	pg_atomic_init_u32(&pgh_waiting->wait_event, 0);
}

PghPart		pgh_waiting_part = {
	.name = "waiting",
	.size = size_waiting,
	.init = init_waiting,
};
