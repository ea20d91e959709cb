/*-------------------------------------------------------------------------
 *
 * worker/loop.c
 *	  The background worker: pass, compute how long to sleep, sleep.
 *
 * Owns: the loop.  Must not: connect to a database, run SQL, or hold a lock
 * while it sleeps.  It has no database connection, so no lock, no catalog and
 * no DROP DATABASE can be in its way, and it runs on a hot standby.
 *
 * How long it sleeps
 * ------------------
 * A pass tells when the next session is due.  A session that becomes idle
 * after the pass began cannot be due before the pass began plus the shortest
 * limit there is.  The earlier of the two is exact: nothing can be missed in
 * between, and nothing has to be polled for.  A heartbeat of one second on
 * top bounds what a step of the system clock can do, and follows changed
 * application names.
 *
 * While there is no session at all, the shortest limit is left out: a backend
 * that connects then wakes the worker (see "dozing").
 *
 *-------------------------------------------------------------------------
 */
#include "worker/loop.h"

#include "lib/stringinfo.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "look/clock.h"
#include "look/rule_sessions.h"
#include "look/scan.h"
#include "look/wire.h"
#include "message.h"
#include "pure/limits.h"
#include "shared/history.h"
#include "shared/refusals.h"
#include "shared/rule_labels.h"
#include "shared/settings.h"
#include "shared/waiting.h"
#include "shared/worker_state.h"
#include "worker/advise.h"
#include "worker/caps.h"
#include "worker/evict.h"
#include "worker/incident.h"
#include "worker/pass.h"
#include "worker/pressure.h"
#include "worker/sampler.h"
#include "worker/watch.h"

typedef enum PghWorkerKind
{
	PGH_WORKER_SESSIONS,
	PGH_WORKER_HISTORY
} PghWorkerKind;

#define PGH_HEARTBEAT USECS_PER_SEC
#ifndef PGH_HISTORY_INTERVAL	/* the test build's is shorter */
#define PGH_HISTORY_INTERVAL USECS_PER_MINUTE
#endif
#define PGH_EXACT_WITHIN (PGH_HEARTBEAT - 100 * INT64CONST(1000))
#define PGH_RESTART_SECONDS 1
#define PGH_MUTE_TIME 10000		/* microseconds */

static void
register_one(const char *name, PghWorkerKind kind)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = PGH_RESTART_SECONDS;
	worker.bgw_main_arg = Int32GetDatum(kind);
	strlcpy(worker.bgw_library_name, "pg_hygiene",
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pgh_worker_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, name, sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, name, sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

void
pgh_register_workers(void)
{
	register_one("pg_hygiene worker", PGH_WORKER_SESSIONS);
	register_one("pg_hygiene history", PGH_WORKER_HISTORY);
}

static void
retire(int code, Datum arg)
{
	pg_atomic_write_u32(&pgh_worker_state->pid, 0);
}

static void
report_for_duty(void)
{
	before_shmem_exit(retire, (Datum) 0);
	pg_atomic_write_u32(&pgh_worker_state->proc, pgh_my_proc_number());
	pg_write_barrier();
	pg_atomic_write_u32(&pgh_worker_state->pid, MyProcPid);
}

/*
 * Do backends want slots?  A storm of logins must not wake us at each one:
 * after a look at short slots the flag is put to PGH_SLOTS_MUTED for a while,
 * in which a backend still leaves its wish there but lets us sleep.
 */
static bool
slots_wanted(TimestampTz now, TimestampTz *muted_until)
{
	if (*muted_until - now > 0 && *muted_until - now <= PGH_MUTE_TIME)
		return false;
	*muted_until = 0;
	return pg_atomic_exchange_u32(&pgh_worker_state->slots_wanted,
								  PGH_SLOTS_ENOUGH) == PGH_SLOTS_WANTED;
}

/*
 * What is done about once a second, and at once when a backend wants slots:
 * count the slots, and free some if they are short.  Returns when to look at
 * them again.
 */
static TimestampTz
look_at_slots(int n_sessions, TimestampTz now)
{
	static TimestampTz next_look = 0;
	static TimestampTz last_second = 0;
	static TimestampTz muted_until = 0;
	bool		second = now - last_second >= PGH_HEARTBEAT ||
		now < last_second;
	uint32		enough = PGH_SLOTS_ENOUGH;
	int			used;
	PghPeak		peak;

	/* The wish is taken before we look: one that comes later wakes us again. */
	if (slots_wanted(now, &muted_until) || second || now >= next_look)
	{
		used = pgh_scan_used_slots();
		peak = pgh_take_peak();
		peak.used = Max(peak.used, used);
		pgh_pressure_sample(used, pgh_watch_idle_transactions(), now);
		pgh_sampler_look(used, peak.used, now);
		pgh_incident_look(used, &peak, now);
		if (second)
		{
			last_second = now;
			pgh_refusals_report();
			pgh_advise_look(now);
		}
		next_look = Min(pgh_evict_pass(used, n_sessions, now),
						pgh_caps_pass(now));
		if (next_look != PGH_NEVER &&
			pg_atomic_compare_exchange_u32(&pgh_worker_state->slots_wanted,
										   &enough, PGH_SLOTS_MUTED))
			muted_until = now + PGH_MUTE_TIME;
	}
	return muted_until != 0 ? Min(next_look, muted_until) : next_look;
}

/*
 * What sessions may do follows from rules that may have ended since the last
 * pass, or, when the clock was set back, hold again.  Returns when the next
 * one ends.
 */
static TimestampTz
let_rules_end(TimestampTz now, bool clock_was_set)
{
	static TimestampTz next_end = PGH_NEVER;

	if (now >= next_end || clock_was_set)
		pgh_watch_forget();
	next_end = pgh_rules_next_end(pgh_current_rules(), now);
	return next_end;
}

/* One pass; returns when the next one must be. */
static TimestampTz
do_pass(int *n_sessions)
{
	bool		clock_was_set;
	TimestampTz start = pgh_clock_read(&clock_was_set);
	int64		shortest = pgh_shortest_limit();
	TimestampTz rules_end = let_rules_end(start, clock_was_set);
	TimestampTz next;
	TimestampTz next_look;

	if (clock_was_set)
		pgh_watch_clock_set(start);
	next = pgh_pass(start, n_sessions);
	next_look = look_at_slots(*n_sessions, start);
	next = Min(Min(next, rules_end), next_look);
	if (*n_sessions > 0 && shortest < PGH_HEARTBEAT)
		next = Min(next, start + shortest);
	next = Min(next, start + PGH_HEARTBEAT);

	pg_atomic_write_u64(&pgh_worker_state->last_pass, start);
	pg_atomic_write_u64(&pgh_worker_state->pass_duration,
						Max(GetCurrentTimestamp() - start, 0));
	return next;
}

/*
 * A pass before a sleep.  When it finds no session, "dozing" is announced
 * first and then looked once more: a backend that claims its slot after our
 * second look reads "dozing" after that, and wakes us.
 */
static TimestampTz
pass_before_sleep(void)
{
	int			n_sessions;
	TimestampTz next;

	pg_atomic_write_u32(&pgh_worker_state->dozing, 0);
	next = do_pass(&n_sessions);
	if (n_sessions == 0)
	{
		pg_atomic_write_u32(&pgh_worker_state->dozing, 1);
		pg_memory_barrier();
		next = do_pass(&n_sessions);
		if (n_sessions > 0)
			pg_atomic_write_u32(&pgh_worker_state->dozing, 0);
	}
	return next;
}

/*
 * Sleep until "next", or until the latch is set.  The latch waits in whole
 * milliseconds, and waking early would be too early; so for what is near, the
 * last fraction of one is slept without it.  The heartbeat need not be exact.
 */
static void
sleep_until(TimestampTz next)
{
	int64		left = Min(next - GetCurrentTimestamp(), PGH_HEARTBEAT);
	bool		exact = left < PGH_EXACT_WITHIN;
	int			woken = WL_TIMEOUT;

	if (left >= 1000 || left <= 0)
		woken = WaitLatch(MyLatch,
						  WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						  exact ? Max(left, 0) / 1000 : (left + 999) / 1000,
						  PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	if (!exact || (woken & WL_LATCH_SET) != 0)
		return;
	left = next - GetCurrentTimestamp();
	if (left > 0 && left < 1000)
		pg_usleep(left);
}

/* Say once that what is set cannot be had on this server. */
static void
complain_of_no_rollback(void)
{
	static bool told = false;

	if (told || pgh_can_roll_back || !pgh_rollback_is_wanted())
		return;
	told = true;
	ereport(WARNING,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("pg_hygiene cannot roll back idle transactions on this server"),
			 errdetail("Their sessions are terminated, as with \"pg_hygiene.idle_action\" set to \"terminate\".")));
}

/* The same of a client that stalls. */
static void
complain_of_no_stall(void)
{
	static bool told = false;

	if (told || pgh_wire_can_be_seen() ||
		!pgh_is_limited(PGH_LIMIT_CLIENT_STALL))
		return;
	told = true;
	ereport(WARNING,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("pg_hygiene cannot see on this server whether clients stall"),
			 errdetail("\"pg_hygiene.client_stall_timeout\" ends nobody.")));
}

/*
 * Sessions note the ends of their transactions only while somebody's age is
 * limited: it takes a look at the clock.
 */
static void
set_timing(void)
{
	if (!pgh_is_limited(PGH_LIMIT_TRANSACTION))
		pg_atomic_write_u64(&pgh_worker_state->timing_since, 0);
	else if (pg_atomic_read_u64(&pgh_worker_state->timing_since) == 0)
		pg_atomic_write_u64(&pgh_worker_state->timing_since,
							GetCurrentTimestamp());
}

/* The settings have been read, or read again. */
static void
apply_settings(void)
{
	pgh_follow_rules();
	pgh_rule_labels_publish();
	set_timing();
	complain_of_no_rollback();
	complain_of_no_stall();
}

static void
reload_settings(void)
{
	ConfigReloadPending = false;
	pgh_settings_reading();
	ProcessConfigFile(PGC_SIGHUP);
	apply_settings();
	pgh_watch_forget();
	pgh_warn_of_rules(pgh_current_rules(), GetCurrentTimestamp());
}

/* What holds from now on, in one line of the log. */
static void
announce(void)
{
	const char *mode = GetConfigOption("pg_hygiene.mode", false, false);
	StringInfoData limits;

	initStringInfo(&limits);
	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		char		value[32];

		if (!pgh_limit_is_setting(i) || pgh_limit_setting[i] == 0)
			continue;
		pgh_print_limit(i, pgh_limit_unit(i) == PGH_UNIT_TIME ?
						pgh_limit_setting[i] * INT64CONST(1000) :
						pgh_limit_setting[i], value, sizeof(value));
		appendStringInfo(&limits, "%s=%s, ", pgh_limit_name(i), value);
	}
	ereport(LOG,
			(errmsg("pg_hygiene %s is watching: mode=%s, %sheadroom=%d, rules: %d",
					PGH_VERSION, mode, limits.data, pgh_effective_headroom(),
					pgh_current_rules()->n)));
	pfree(limits.data);
}

/* The worker: look, act, sleep. */
static void
watch_sessions(void)
{
	MemoryContext pass_context;

	pgh_pass_start();
	pgh_evict_start();
	pgh_caps_start();
	pgh_incident_start();
	apply_settings();
	pg_atomic_write_u32(&pgh_waiting->wait_event,
						pgh_make_wait_event("HygieneAdmission"));
	report_for_duty();
	announce();
	pass_context = AllocSetContextCreate(TopMemoryContext, "pg_hygiene pass",
										 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(pass_context);

	while (!ShutdownRequestPending)
	{
		TimestampTz next = pass_before_sleep();

		MemoryContextReset(pass_context);
		sleep_until(next);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
			reload_settings();
	}
}

/*
 * The history's writer: once a minute, if something changed.  What happens
 * after its last round is written by the postmaster.
 */
static void
write_history(void)
{
	TimestampTz next = GetCurrentTimestamp() + PGH_HISTORY_INTERVAL;

	while (!ShutdownRequestPending)
	{
		TimestampTz now = GetCurrentTimestamp();

		if (now >= next || next - now > PGH_HISTORY_INTERVAL)
		{
			pgh_history_save();
			next = now + PGH_HISTORY_INTERVAL;
		}
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 (next - now) / 1000 + 1, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

void
pgh_worker_main(Datum arg)
{
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();

	if (DatumGetInt32(arg) == PGH_WORKER_HISTORY)
		write_history();
	else
		watch_sessions();

	/* Not 0: that would mean that the worker is not needed any more. */
	proc_exit(1);
}
