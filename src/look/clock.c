/*-------------------------------------------------------------------------
 *
 * look/clock.c
 *	  Steps of the system clock.
 *
 * Owns: when the clock was last set, in shared memory.  Must not: decide.
 *
 * PostgreSQL takes its timestamps from the system clock.  When that is set
 * forward, every session seems to have been idle for longer, and limits would
 * end sessions whose time is not over; when it is set back, limits would not
 * act for that long.  So the worker compares it with a clock that nobody sets.
 * How long something had lasted when the clock was set is not known exactly,
 * hence all that began before is measured from that moment: a limit may act
 * later than it should, but never earlier.
 *
 *-------------------------------------------------------------------------
 */
#include "look/clock.h"

#include <time.h>

#include "utils/timestamp.h"

#include "shared/worker_state.h"

/* What counts as a step, in microseconds.  Clocks are slewed by far less. */
#define PGH_CLOCK_STEP 50000

/* How often to read both clocks until the two readings are of one moment. */
#define PGH_CLOCK_READS 10

/* Microseconds of a clock that is never set. */
static int64
steady_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64) t.tv_sec * USECS_PER_SEC + t.tv_nsec / 1000;
}

/*
 * Read both clocks.  False when we were interrupted in between, each time.
 */
static bool
read_clocks(TimestampTz *now, int64 *steady)
{
	for (int i = 0; i < PGH_CLOCK_READS; i++)
	{
		int64		before = steady_clock();

		*now = GetCurrentTimestamp();
		*steady = steady_clock();
		if (*steady - before < PGH_CLOCK_STEP / 2)
			return true;
	}
	return false;
}

/*
 * What began before an earlier step may lie ahead of this one's old time: the
 * clock was set back twice, or back and then forward by less.  So the latest
 * of all old times is kept.  Once the clock has got there it is without effect,
 * and the next step's is later.
 */
static void
note_step(TimestampTz from, TimestampTz to)
{
	pg_atomic_uint64 *latest = &pgh_worker_state->clock_set_from;
	TimestampTz earlier = pg_atomic_read_u64(latest);

	pg_atomic_write_u64(latest, Max(earlier, from));
	pg_write_barrier();
	pg_atomic_write_u64(&pgh_worker_state->clock_set_at, to);
	ereport(LOG,
			(errmsg("the system clock was set %s by %.3f s",
					to > from ? "forward" : "back",
					Max(to - from, from - to) / (double) USECS_PER_SEC),
			 errdetail("Limits on what began before are measured from now.")));
}

TimestampTz
pgh_clock_read(bool *was_set)
{
	static TimestampTz last = 0;
	static int64 last_steady;
	TimestampTz now;
	int64		steady;

	*was_set = false;
	if (!read_clocks(&now, &steady))
		return now;
	if (last != 0)
	{
		TimestampTz expected = last + (steady - last_steady);

		*was_set = Max(now - expected, expected - now) > PGH_CLOCK_STEP;
		if (*was_set)
			note_step(expected, now);
	}
	last = now;
	last_steady = steady;
	return now;
}

/*
 * After the clock was set back, a point in time that lies ahead was taken
 * before that step, or before an earlier one.  One that was taken this moment
 * may be later than "now", so the clock is read again.
 */
static PghTime
correct(PghTime start, TimestampTz set_at, TimestampTz set_from,
		TimestampTz now)
{
	if (start == 0 || set_at == 0)
		return start;
	if (start < set_at)
		return set_at;
	if (start > now && start <= set_from && start > GetCurrentTimestamp())
		return set_at;
	return start;
}

void
pgh_clock_correct(PghFacts *facts, TimestampTz now)
{
	TimestampTz set_at = pg_atomic_read_u64(&pgh_worker_state->clock_set_at);
	TimestampTz set_from;

	if (likely(set_at == 0))
		return;
	pg_read_barrier();
	set_from = pg_atomic_read_u64(&pgh_worker_state->clock_set_from);
	facts->backend_start = correct(facts->backend_start, set_at, set_from,
								   now);
	facts->state_start = correct(facts->state_start, set_at, set_from, now);
	facts->xact_start = correct(facts->xact_start, set_at, set_from, now);
	facts->cancelled_at = correct(facts->cancelled_at, set_at, set_from, now);
	facts->advisory_since = correct(facts->advisory_since, set_at, set_from,
									now);
	facts->client_since = correct(facts->client_since, set_at, set_from, now);
}
