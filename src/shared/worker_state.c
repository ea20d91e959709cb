/*-------------------------------------------------------------------------
 *
 * shared/worker_state.c
 *	  What the worker publishes of itself, and how it is woken.
 *
 * Owns: PghWorkerState.  Must not: wait.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/worker_state.h"

#include "postmaster/postmaster.h"
#include "storage/latch.h"

/* How many bits of "peak" have the place, and how many the connections. */
#define PGH_PEAK_PLACE_BITS 24
#define PGH_PEAK_CONNECTIONS_BITS 20

StaticAssertDecl(PGH_MAX_HISTORY < (1 << PGH_PEAK_PLACE_BITS) &&
				 MAX_BACKENDS < (1 << PGH_PEAK_CONNECTIONS_BITS),
				 "a peak does not fit into 64 bits");

PghWorkerState *pgh_worker_state = NULL;

/*
 * The worker may be gone when we look: its latch then has no owner, and
 * setting it does nothing that hurts.
 */
void
pgh_wake_worker(void)
{
	if (pg_atomic_read_u32(&pgh_worker_state->pid) != 0)
	{
		uint32		proc;

		pg_read_barrier();
		proc = pg_atomic_read_u32(&pgh_worker_state->proc);
		SetLatch(&ProcGlobal->allProcs[proc].procLatch);
	}
}

void
pgh_want_slots(void)
{
	if (pg_atomic_exchange_u32(&pgh_worker_state->slots_wanted,
							   PGH_SLOTS_WANTED) == PGH_SLOTS_ENOUGH)
		pgh_wake_worker();
}

/* The number of slots comes first, so that the greater number is the worse. */
void
pgh_note_peak(const PghPeak *peak)
{
	pg_atomic_uint64 *kept = &pgh_worker_state->peak;
	uint64		before = pg_atomic_read_u64(kept);
	uint64		seen = (uint64) peak->used;

	seen = seen << PGH_PEAK_CONNECTIONS_BITS | (uint64) peak->connections;
	seen = seen << PGH_PEAK_PLACE_BITS | peak->application;
	while (seen > before &&
		   !pg_atomic_compare_exchange_u64(kept, &before, seen))
		;
}

PghPeak
pgh_take_peak(void)
{
	uint64		kept = pg_atomic_exchange_u64(&pgh_worker_state->peak, 0);
	PghPeak		peak;

	peak.application = kept & ((1 << PGH_PEAK_PLACE_BITS) - 1);
	kept >>= PGH_PEAK_PLACE_BITS;
	peak.connections = kept & ((1 << PGH_PEAK_CONNECTIONS_BITS) - 1);
	peak.used = kept >> PGH_PEAK_CONNECTIONS_BITS;
	return peak;
}

static Size
size_worker_state(void)
{
	return sizeof(PghWorkerState);
}

static void
init_worker_state(void *area)
{
	pgh_worker_state = area;
	pg_atomic_init_u32(&pgh_worker_state->pid, 0);
	pg_atomic_init_u32(&pgh_worker_state->proc, 0);
	pg_atomic_init_u32(&pgh_worker_state->dozing, 0);
	pg_atomic_init_u32(&pgh_worker_state->slots_wanted, PGH_SLOTS_ENOUGH);
	pg_atomic_init_u64(&pgh_worker_state->peak, 0);
	pg_atomic_init_u32(&pgh_worker_state->warned, 0);
	pg_atomic_init_u64(&pgh_worker_state->last_pass, 0);
	pg_atomic_init_u64(&pgh_worker_state->pass_duration, 0);
	pg_atomic_init_u64(&pgh_worker_state->growth, 0);
	pg_atomic_init_u64(&pgh_worker_state->timing_since, 0);
	pg_atomic_init_u64(&pgh_worker_state->clock_set_at, 0);
	pg_atomic_init_u64(&pgh_worker_state->clock_set_from, 0);
}

PghPart		pgh_worker_state_part = {
	.name = "worker",
	.size = size_worker_state,
	.init = init_worker_state,
};
