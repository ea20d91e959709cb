/*-------------------------------------------------------------------------
 *
 * pure/policy.c
 *	  The decisions about a session, from facts and limits alone.
 *
 * Owns: which limit acts on a session, and when.  Must not: read a clock,
 * shared memory or a setting, allocate, or raise an error: it is compiled,
 * tested and fuzzed without PostgreSQL.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "pure/limits.h"
#include "pure/policy.h"

/* Of a transaction that is too old: no program does this between rows. */
#define LONG_PAUSE INT64_C(1000000)

bool
pgh_state_in_transaction_idle(PghState state)
{
	return state == PGH_STATE_IDLE_IN_TRANSACTION ||
		state == PGH_STATE_IDLE_IN_TRANSACTION_ABORTED;
}

PghState
pgh_state_for_limits(const PghFacts *facts)
{
	if (facts->talking && (facts->state == PGH_STATE_IDLE ||
						   pgh_state_in_transaction_idle(facts->state)))
		return PGH_STATE_ACTIVE;
	return facts->state;
}

const char *
pgh_exemption(const PghFacts *facts, const PghLimits *limits)
{
	if (facts->superuser && limits->exempt_superusers)
		return "superuser";
	if (limits->exempt_rule != 0)
		return "rule";
	if (facts->state == PGH_STATE_DISABLED)
		return "track_activities";
	return NULL;
}

/* Saturating: a far limit must not wrap into the past. */
static PghTime
time_plus(PghTime start, int64_t length)
{
	return start > PGH_NEVER - length ? PGH_NEVER : start + length;
}

/*
 * Let a limit that acts at "deadline" stand if it is earlier than what was
 * found so far.  On a tie the first one asked stays.
 */
static void
consider(PghVerdict *best, const PghLimits *limits, PghLimit limit,
		 PghAction action, PghTime deadline, int64_t measured)
{
	if (deadline >= best->deadline)
		return;
	best->decision.action = action;
	best->decision.reason = limit;
	best->decision.rule = limits->rule[limit];
	best->decision.limit = limits->value[limit];
	best->decision.measured = measured;
	best->deadline = deadline;
}

/*
 * What a limit on a session at rest does.  In a block whose transaction is over
 * already there is nothing to roll back.
 */
static PghAction
ending_by(const PghFacts *facts, const PghLimits *limits, PghLimit limit)
{
	return limits->idle_action == PGH_IDLE_ROLLBACK && facts->open &&
		pgh_limit_info[limit].rollback_primary != NULL ?
		PGH_ACTION_ROLLBACK : PGH_ACTION_TERMINATE;
}

/* A limit on how long the present state has lasted. */
static void
consider_idle(PghVerdict *best, const PghFacts *facts,
			  const PghLimits *limits, PghLimit limit, PghTime now)
{
	if (limits->value[limit] > 0)
		consider(best, limits, limit, ending_by(facts, limits, limit),
				 time_plus(facts->state_start, limits->value[limit]),
				 now - facts->state_start);
}

static void
consider_idle_in_transaction(PghVerdict *best, const PghFacts *facts,
							 const PghLimits *limits, PghTime now)
{
	const int64_t horizon = limits->value[PGH_LIMIT_HORIZON];

	consider_idle(best, facts, limits, PGH_LIMIT_IDLE_IN_TRANSACTION, now);

	/* What was rolled back for a shorter limit is given that once more. */
	if (facts->blocking > 0 ||
		facts->rolled_back_for == PGH_LIMIT_IDLE_BLOCKER)
		consider_idle(best, facts, limits, PGH_LIMIT_IDLE_BLOCKER, now);
	if (facts->wrote || facts->rolled_back_for == PGH_LIMIT_IDLE_WRITER)
		consider_idle(best, facts, limits, PGH_LIMIT_IDLE_WRITER, now);

	/*
	 * How fast ids are used up is not known, so nobody can say when this
	 * limit will be reached: it is exceeded now, or it does not act yet.
	 */
	if (horizon > 0 && (int64_t) facts->xmin_age >= horizon)
		consider(best, limits, PGH_LIMIT_HORIZON,
				 ending_by(facts, limits, PGH_LIMIT_HORIZON),
				 facts->state_start, facts->xmin_age);
}

/*
 * Somebody waits for an advisory lock of an idle session.  How long it has
 * been idle does not count: what leaked it may lend the session out again.
 */
static void
consider_advisory_blocker(PghVerdict *best, const PghFacts *facts,
						  const PghLimits *limits, PghTime now)
{
	const int64_t limit = limits->value[PGH_LIMIT_ADVISORY_BLOCKER];

	if (limit > 0 && facts->advisory_since != 0)
		consider(best, limits, PGH_LIMIT_ADVISORY_BLOCKER,
				 PGH_ACTION_TERMINATE,
				 time_plus(facts->advisory_since, limit),
				 now - facts->advisory_since);
}

/* A statement waits for the client, which neither sends nor reads. */
static void
consider_client_stall(PghVerdict *best, const PghFacts *facts,
					  const PghLimits *limits, PghTime now)
{
	const int64_t limit = limits->value[PGH_LIMIT_CLIENT_STALL];

	if (limit > 0 && facts->client_since != 0 && !facts->client_unsure)
		consider(best, limits, PGH_LIMIT_CLIENT_STALL, PGH_ACTION_TERMINATE,
				 time_plus(facts->client_since, limit),
				 now - facts->client_since);
}

/*
 * A session that waits for notifications, holds an advisory lock or makes a
 * backup is idle on purpose.  Only a rule that names the limit for it says that
 * it is not.
 */
static bool
idles_on_purpose(const PghFacts *facts, const PghLimits *limits,
				 PghLimit limit)
{
	return (facts->listening || facts->advisory || facts->in_backup) &&
		limits->rule[limit] == 0;
}

static void
consider_idle_session(PghVerdict *best, const PghFacts *facts,
					  const PghLimits *limits, PghTime now)
{
	if (idles_on_purpose(facts, limits, PGH_LIMIT_IDLE_SESSION))
		return;
	consider_idle(best, facts, limits, PGH_LIMIT_IDLE_SESSION, now);
}

/*
 * Age of the whole transaction.  A running statement is cancelled first, and
 * its client gets cancel_grace to end the transaction; one that is idle when
 * its time has come has nothing to cancel.
 */
static void
consider_transaction(PghVerdict *best, const PghFacts *facts,
					 const PghLimits *limits, PghTime now)
{
	const int64_t limit = limits->value[PGH_LIMIT_TRANSACTION];
	PghTime		deadline;
	PghAction	action = PGH_ACTION_TERMINATE;

	if (limit <= 0 || facts->xact_start == 0)
		return;
	deadline = time_plus(facts->xact_start, limit);
	if (facts->cancelled_at != 0)
	{
		PghTime		grace = limits->value[PGH_LIMIT_CANCEL_GRACE];
		PghTime		grace_ends = time_plus(facts->cancelled_at, grace);

		/* The limit may have been raised since. */
		if (grace_ends > deadline)
			deadline = grace_ends;
	}
	else if (pgh_state_for_limits(facts) == PGH_STATE_ACTIVE)
		action = PGH_ACTION_CANCEL;
	consider(best, limits, PGH_LIMIT_TRANSACTION, action, deadline,
			 now - facts->xact_start);
}

PghVerdict
pgh_decide(const PghFacts *facts, const PghLimits *limits, PghTime now)
{
	const PghState state = pgh_state_for_limits(facts);
	PghVerdict	best;

	memset(&best, 0, sizeof(best));
	best.deadline = PGH_NEVER;

	if (pgh_exemption(facts, limits) != NULL ||
		state == PGH_STATE_UNKNOWN)
		return best;

	if (pgh_state_in_transaction_idle(state))
		consider_idle_in_transaction(&best, facts, limits, now);
	else if (state == PGH_STATE_IDLE)
		consider_idle_session(&best, facts, limits, now);
	if (state != PGH_STATE_ACTIVE)
		consider_advisory_blocker(&best, facts, limits, now);
	if (facts->state == PGH_STATE_ACTIVE)
		consider_client_stall(&best, facts, limits, now);
	consider_transaction(&best, facts, limits, now);
	return best;
}

/*
 * From 0 to 65535.  Sessions that come at once have pids in a row; multiples
 * of the golden section lie evenly, however many there are.
 */
static int64_t
spread_pid(int32_t pid)
{
	return (int64_t) (((uint32_t) pid * UINT32_C(2654435769)) >> 16);
}

PghTime
pgh_lifetime_ends(const PghFacts *facts, const PghLimits *limits)
{
	const int64_t limit = limits->value[PGH_LIMIT_SESSION_LIFETIME];

	if (limit <= 0 || facts->state == PGH_STATE_UNKNOWN ||
		pgh_exemption(facts, limits) != NULL ||
		idles_on_purpose(facts, limits, PGH_LIMIT_SESSION_LIFETIME))
		return PGH_NEVER;
	return time_plus(facts->backend_start,
					 limit - limit / 10 * spread_pid(facts->pid) / 65536);
}

/*
 * A pool that has a connection back, or has looked whether it is alive, is
 * about to use it.  One that has rested is looked at before it is lent, by
 * HikariCP after half a second; elsewhere its end has been noticed meanwhile.
 * A pool may be too busy for that, so less has to do in the end: what is asked
 * for falls slowly at first, below half a second after four fifths of the time.
 */
#define LIFETIME_PAUSE 1000000	/* microseconds */

int64_t
pgh_lifetime_pause(int64_t lifetime, int64_t over)
{
	const int64_t patience = lifetime / 10;
	double		share;

	if (over >= patience)
		return 0;
	share = (double) over / patience;
	return (int64_t) (LIFETIME_PAUSE * (1 - share * share * share));
}

PghVerdict
pgh_foresee(const PghFacts *facts, const PghLimits *limits, PghTime now)
{
	PghVerdict	verdict = pgh_decide(facts, limits, now);

	if (pgh_state_for_limits(facts) == PGH_STATE_IDLE)
		consider(&verdict, limits, PGH_LIMIT_SESSION_LIFETIME,
				 PGH_ACTION_TERMINATE, pgh_lifetime_ends(facts, limits),
				 now - facts->backend_start);
	return verdict;
}

PghTime
pgh_leak_begins(const PghFacts *facts, const PghVerdict *verdict)
{
	if (!pgh_state_in_transaction_idle(facts->state) ||
		verdict->decision.reason == PGH_LIMIT_ADVISORY_BLOCKER ||
		facts->rolled_back_for != PGH_LIMIT_NONE ||
		(verdict->decision.action != PGH_ACTION_TERMINATE &&
		 verdict->decision.action != PGH_ACTION_ROLLBACK) ||
		pgh_limit_unit(verdict->decision.reason) != PGH_UNIT_TIME)
		return PGH_NEVER;
	return time_plus(facts->state_start, verdict->decision.limit / 10);
}

bool
pgh_ends_leak(const PghFacts *facts, const PghDecision *decision, PghTime now)
{
	PghTime		lasted = now - facts->state_start;

	if (!pgh_state_in_transaction_idle(facts->state) ||
		decision->reason == PGH_LIMIT_ADVISORY_BLOCKER)
		return false;
	return decision->reason != PGH_LIMIT_TRANSACTION ||
		lasted >= decision->limit / 2 ||
		(lasted >= decision->limit / 10 && lasted >= LONG_PAUSE);
}

/* After the clock was set back, do not wait until it has caught up. */
bool
pgh_warning_is_due(PghTime now, PghTime lost_at, PghTime told_at)
{
	if (lost_at == 0 || now - lost_at > PGH_REMEMBER_LOSS)
		return false;
	return told_at == 0 || now - told_at >= PGH_BETWEEN_WARNINGS ||
		told_at - now >= PGH_BETWEEN_WARNINGS;
}
