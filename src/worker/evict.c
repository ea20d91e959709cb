/*-------------------------------------------------------------------------
 *
 * worker/evict.c
 *	  Freeing connection slots when they run short.
 *
 * Owns: the worker's private list of candidates.  Must not: choose; that is
 * pgh_choose_eviction().  For the worker only.
 *
 * Each one that is chosen is asked, as for every other limit: one that has
 * gone back to work is spared, and the next pass chooses another.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/evict.h"

#include "utils/timestamp.h"

#include "look/clock.h"
#include "look/rule_sessions.h"
#include "pure/policy.h"
#include "pure/slots.h"
#include "shared/applications.h"
#include "shared/refusals.h"
#include "worker/act.h"

/* While slots are short the worker looks again at most this often. */
#define PGH_SHORTAGE_INTERVAL 10000

/* For how long a refusal makes the worker free slots. */
#define PGH_REFUSED_LATELY USECS_PER_SEC

/* Which candidates may be asked to leave, or only observed. */
typedef enum PghRound
{
	PGH_ROUND_OBSERVE,			/* as if all rules were enforced */
	PGH_ROUND_ENFORCE
} PghRound;

static PghCandidate *candidates;
static PghTally *tallies;
static int32 rule_sessions[PGH_MAX_RULES];	/* counted where rules reserve */

void
pgh_evict_start(void)
{
	candidates = palloc0(mul_size(pgh_n_slots, sizeof(PghCandidate)));
	tallies = palloc0(mul_size(pgh_n_applications, sizeof(PghTally)));
}

static void
tally(PghTally *counts, PghState state)
{
	counts->connections++;
	if (pgh_state_in_transaction_idle(state))
		counts->idle_transactions++;
	else if (state == PGH_STATE_IDLE)
		counts->idle_sessions++;
}

/*
 * May this one never be evicted?  Outside a transaction, one that listens,
 * holds an advisory lock or makes a backup is idle on purpose.
 */
static bool
is_untouchable(const PghSession *session, const PghLimits *limits,
			   PghRound round)
{
	return limits == NULL ||
		limits->mode == PGH_MODE_OFF ||
		(limits->mode == PGH_MODE_OBSERVE && round == PGH_ROUND_ENFORCE) ||
		pgh_exemption(&session->facts, limits) != NULL ||
		(session->facts.state == PGH_STATE_IDLE &&
		 (session->facts.listening || session->facts.advisory ||
		  session->facts.in_backup));
}

/*
 * Ending a session of a rule whose reserve is not more than used up frees a
 * slot that nobody else may have.
 */
static bool
is_in_reserve(const PghSession *session, TimestampTz now)
{
	const PghRuleSet *rules = pgh_current_rules();

	for (int i = 0; i < rules->n; i++)
		if (rules->rule[i].value[PGH_RULE_RESERVE] >= rule_sessions[i] &&
			rules->rule[i].value[PGH_RULE_RESERVE] > 0 &&
			pgh_rule_matches(&rules->rule[i], &session->who, now))
			return true;
	return false;
}

/*
 * Slots that are kept for reserves that are not used up; counts what rules
 * match on the way.
 */
static int
kept_for_reserves(TimestampTz now)
{
	const PghRuleSet *rules = pgh_current_rules();
	int			kept = 0;

	if (!pgh_rules_reserve(rules))
		return 0;
	pgh_count_rule_sessions(rules, now, rule_sessions);
	for (int i = 0; i < rules->n; i++)
		if (!pgh_rule_is_over(&rules->rule[i], now))
			kept += Max(rules->rule[i].value[PGH_RULE_RESERVE] -
						rule_sessions[i], 0);
	return kept;
}

/* List all sessions, and count what each application holds. */
static int
gather(PghRound round, TimestampTz now)
{
	int			n = 0;

	memset(tallies, 0, pgh_n_applications * sizeof(PghTally));
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;
		PghCandidate *candidate = &candidates[n];
		const PghLimits *limits;

		if (!pgh_scan_session(i, &session) ||
			session.counted_as == PGH_NO_APPLICATION)
			continue;
		pgh_clock_correct(&session.facts, now);
		candidate->session = i;
		candidate->application = session.counted_as;
		candidate->state = pgh_state_for_limits(&session.facts);
		candidate->state_start = session.facts.state_start;
		limits = pgh_watch_limits(i, session.changecount);
		candidate->untouchable = is_untouchable(&session, limits, round) ||
			is_in_reserve(&session, now);
		tally(&tallies[candidate->application], candidate->state);
		n++;
	}
	return n;
}

/*
 * Ask one session to leave, or note that it would have been.  It is read again,
 * and asked only if it still is what it was when it was chosen.
 */
static void
evict(const PghCandidate *chosen, PghRound round,
	  const PghShortage *shortage, TimestampTz now)
{
	PghSession	session;
	PghFacts	facts;
	PghVerdict	verdict;
	const PghLimits *limits;

	if (!pgh_scan_session(chosen->session, &session))
		return;
	facts = session.facts;
	pgh_clock_correct(&facts, now);
	if (facts.state_start != chosen->state_start)
		return;
	limits = pgh_watch_limits(chosen->session, session.changecount);
	if (limits == NULL ||
		(limits->mode == PGH_MODE_ENFORCE) != (round == PGH_ROUND_ENFORCE))
		return;
	session.leak = pgh_watch_leak(chosen->session);
	memset(&verdict, 0, sizeof(verdict));
	verdict.decision.action = PGH_ACTION_EVICT;
	verdict.decision.reason = PGH_LIMIT_HEADROOM;
	verdict.decision.limit = shortage->headroom;
	verdict.decision.measured = now - facts.state_start;
	verdict.deadline = now;
	if (pgh_act(&session, &verdict, limits->mode, now))
		pgh_watch_expect_outcome(chosen->session);
}

/* Leave out a session that was chosen when the next one is chosen. */
static void
take_out(PghCandidate *chosen)
{
	PghTally   *counts = &tallies[chosen->application];

	chosen->untouchable = true;
	counts->connections--;
	if (chosen->state == PGH_STATE_IDLE)
		counts->idle_sessions--;
	else
		counts->idle_transactions--;
}

/*
 * Choose until enough slots are available, or nobody is left; returns when the
 * next one becomes ripe.
 */
static TimestampTz
choose(PghRound round, PghShortage shortage, TimestampTz now)
{
	TimestampTz ripe_at;
	int			n = gather(round, now);

	int			i;

	while ((i = pgh_choose_eviction(candidates, n, tallies, &shortage, now,
									&ripe_at)) >= 0)
	{
		evict(&candidates[i], round, &shortage, now);
		take_out(&candidates[i]);
		shortage.available++;
	}
	return ripe_at;
}

/* Does the server or a rule only observe? */
static bool
somebody_is_observed(void)
{
	const PghRuleSet *rules = pgh_current_rules();

	if (pgh_mode == PGH_MODE_OBSERVE)
		return true;
	for (int i = 0; i < rules->n; i++)
		if (pgh_rule_sets(&rules->rule[i], PGH_RULE_MODE) &&
			rules->rule[i].value[PGH_RULE_MODE] == PGH_MODE_OBSERVE)
			return true;
	return false;
}

/*
 * How short slots are.  "used" is the number in use, "n_sessions" how many of
 * them belong to sessions that were let in.
 */
static PghShortage
measure_shortage(int used, int n_sessions, TimestampTz now)
{
	PghShortage shortage;
	TimestampTz refused_at = pg_atomic_read_u64(&pgh_refusals->headroom_refused_at);

	shortage.available = MaxConnections - pgh_reserved_slots() - used +
		pgh_watch_departing() - kept_for_reserves(now);
	shortage.undecided = Max(used - n_sessions, 0);
	shortage.headroom = pgh_effective_headroom();
	shortage.refused_lately = refused_at != 0 &&
		Max(now - refused_at, refused_at - now) < PGH_REFUSED_LATELY;
	shortage.min_idle = (int64) pgh_headroom_min_idle * 1000;
	return shortage;
}

/*
 * It was taken for one that leaves, and counted on; now it has to be one of
 * those that nobody counts on.
 */
bool
pgh_evicts_again(const PghSession *session, const PghLimits *limits,
				 TimestampTz now)
{
	int			used = pgh_scan_used_slots();
	int			n = gather(PGH_ROUND_ENFORCE, now);
	PghShortage shortage = measure_shortage(used, n, now);
	TimestampTz ripe_at;

	shortage.available -= pgh_watch_is_departing(session->index);
	if (!pgh_slots_are_short(&shortage))
		return false;
	for (int i = 0; i < n; i++)
	{
		PghCandidate *candidate = &candidates[i];

		if (candidate->session != session->index)
			continue;
		candidate->untouchable =
			is_untouchable(session, limits, PGH_ROUND_ENFORCE) ||
			is_in_reserve(session, now);
		return pgh_choose_eviction(candidate, 1, tallies, &shortage, now,
								   &ripe_at) == 0;
	}
	return false;
}

/*
 * A leak that is being evicted stays a leak when only two of it are left, and
 * the next pass sees it so; within one pass too, since the tallies shrink.
 *
 * Observing frees no slot: sessions that are only observed are looked at first,
 * on their own; then others are chosen as if those did not exist.
 */
TimestampTz
pgh_evict_pass(int used, int n_sessions, TimestampTz now)
{
	PghShortage shortage = measure_shortage(used, n_sessions, now);
	TimestampTz observed_ripe_at = PGH_NEVER;
	TimestampTz ripe_at;

	if (!pgh_slots_are_short(&shortage))
		return PGH_NEVER;

	if (somebody_is_observed())
		observed_ripe_at = choose(PGH_ROUND_OBSERVE, shortage, now);
	ripe_at = choose(PGH_ROUND_ENFORCE, shortage, now);
	ripe_at = Min(ripe_at, observed_ripe_at);

	/* A session that becomes idle from now on is not ripe before that. */
	ripe_at = Min(ripe_at, now + shortage.min_idle);
	return Max(ripe_at, now + PGH_SHORTAGE_INTERVAL);
}
