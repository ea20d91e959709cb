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
#include "shared/behaviour.h"
#include "shared/refusals.h"
#include "shared/waiting.h"
#include "worker/act.h"
#include "worker/group.h"
#include "worker/incident.h"

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
static PghCommon *common;		/* of each of them */
static PghTally *tallies;		/* four for each of them, at the most */
static int32 rule_sessions[PGH_MAX_RULES];	/* counted where rules reserve */

void
pgh_evict_start(void)
{
	candidates = palloc0(mul_size(pgh_n_slots, sizeof(PghCandidate)));
	common = palloc0(mul_size(pgh_n_slots, sizeof(PghCommon)));
	tallies = palloc0(mul_size(pgh_n_slots, 4 * sizeof(PghTally)));
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
	PghIdentity who = pgh_scan_counted(session);

	for (int i = 0; i < rules->n; i++)
		if (rules->rule[i].value[PGH_RULE_RESERVE] >= rule_sessions[i] &&
			rules->rule[i].value[PGH_RULE_RESERVE] > 0 &&
			pgh_rule_matches(&rules->rule[i], &who, now))
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

/* What headroom_min_idle says of a session; of one unknown, nothing. */
static void
set_min_idle(PghCandidate *candidate, const PghLimits *limits)
{
	candidate->min_idle = limits == NULL ? 0 :
		limits->value[PGH_LIMIT_HEADROOM_MIN_IDLE];
	candidate->min_idle_by_rule = limits != NULL &&
		limits->rule[PGH_LIMIT_HEADROOM_MIN_IDLE] != 0;
}

static bool
is_in_scope(const PghSession *session, const PghScope *scope, TimestampTz now)
{
	PghIdentity who;

	if (scope == NULL)
		return true;
	if (scope->rule == NULL)
		return session->counted_as == scope->application;
	who = pgh_scan_counted(session);
	return pgh_rule_matches(scope->rule, &who, now);
}

static void
fill_candidate(PghCandidate *candidate, const PghSession *session,
			   const PghScope *scope, PghRound round, TimestampTz now)
{
	const PghLimits *limits = pgh_watch_limits(session->index,
											   session->changecount);

	candidate->session = session->index;
	candidate->state = pgh_state_for_limits(&session->facts);
	candidate->state_start = session->facts.state_start;
	candidate->outlook = candidate->state != PGH_STATE_IDLE_IN_TRANSACTION ?
		PGH_OUTLOOK_UNKNOWN :
		pgh_behaviour_outlook(session->counted_as, session->login.roleid,
							  now - session->facts.state_start);
	candidate->untouchable = is_untouchable(session, limits, round) ||
		(scope == NULL && is_in_reserve(session, now));
	set_min_idle(candidate, limits);
}

static void
fill_common(PghCommon *its, const PghSession *session, int candidate)
{
	const PghApplication *app = &pgh_applications[session->counted_as];
	bool		is_small = app->account.connections < PGH_LEAK_SIZE;

	its->account = is_small && !app->established ?
		PGH_NEWCOMERS_ACCOUNT : session->counted_as;
	its->leaking_as = is_small ? PGH_SMALL_ONES : session->counted_as;
	its->role = session->login.roleid;
	its->statement = pgh_state_in_transaction_idle(session->facts.state) ?
		pgh_watch_statement(session) : 0;
	its->candidate = candidate;
}

/*
 * List all sessions, or those of a cap, and count what those of them hold that
 * have much in common.
 */
static int
gather(const PghScope *scope, PghRound round, TimestampTz now)
{
	int			n = 0;
	int			used;

	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;

		if (!pgh_scan_session(i, &session) ||
			session.counted_as == PGH_NO_APPLICATION ||
			!is_in_scope(&session, scope, now))
			continue;
		fill_common(&common[n], &session, n);
		pgh_clock_correct(&session.facts, now);
		fill_candidate(&candidates[n], &session, scope, round, now);
		n++;
	}
	used = pgh_group_candidates(candidates, common, n);
	memset(tallies, 0, used * sizeof(PghTally));
	for (int i = 0; i < n; i++)
		pgh_tally_add(tallies, &candidates[i]);
	return n;
}

/*
 * Ask one session to leave, or note that it would have been.  It is read again,
 * and asked only if it still is what it was when it was chosen.
 */
static void
evict(const PghCandidate *chosen, PghRound round,
	  const PghDecision *decision, TimestampTz now)
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
	verdict.decision = *decision;
	verdict.decision.measured = now - facts.state_start;
	verdict.deadline = now;
	if (decision->reason == PGH_LIMIT_HEADROOM &&
		limits->mode == PGH_MODE_ENFORCE)
		pgh_incident_note_eviction();
	if (pgh_act(&session, &verdict, limits->mode, now))
		pgh_watch_expect_outcome(chosen->session);
}

/*
 * Choose from the candidates until there is enough room, or nobody is left;
 * returns when the next one becomes ripe.
 */
static TimestampTz
choose(int n, PghRound round, PghShortage shortage,
	   const PghDecision *decision, TimestampTz now)
{
	TimestampTz ripe_at;
	int			i;

	while ((i = pgh_choose_eviction(candidates, n, tallies, &shortage, now,
									&ripe_at)) >= 0)
	{
		evict(&candidates[i], round, decision, now);
		candidates[i].untouchable = true;
		pgh_tally_take(tallies, &candidates[i]);
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
 * them belong to sessions that were let in.  Those of logins that wait are
 * given back when they are needed.
 */
static PghShortage
measure_shortage(int used, int n_sessions, TimestampTz now)
{
	PghShortage shortage;
	pg_atomic_uint64 *refused = &pgh_refusals->headroom_refused_at;
	TimestampTz refused_at = pg_atomic_read_u64(refused);
	int			waiting = pgh_waiting_length();

	shortage.available = MaxConnections - pgh_reserved_slots() - used +
		pgh_watch_departing() - kept_for_reserves(now) + waiting;
	shortage.undecided = Max(used - n_sessions - waiting, 0);
	shortage.headroom = pgh_effective_headroom();
	shortage.refused_lately = refused_at != 0 &&
		Max(now - refused_at, refused_at - now) < PGH_REFUSED_LATELY;
	shortage.spare_idle = false;
	return shortage;
}

/*
 * Would this one of the candidates be chosen?  It was taken for untouchable,
 * since it is being asked.
 */
static bool
is_still_chosen(int n, const PghSession *session, const PghLimits *limits,
				const PghShortage *shortage, TimestampTz now)
{
	TimestampTz ripe_at;

	for (int i = 0; i < n; i++)
	{
		PghCandidate *candidate = &candidates[i];

		if (candidate->session != session->index)
			continue;
		candidate->untouchable =
			is_untouchable(session, limits, PGH_ROUND_ENFORCE);
		set_min_idle(candidate, limits);
		return pgh_choose_eviction(candidate, 1, tallies, shortage, now,
								   &ripe_at) == 0;
	}
	return false;
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
	int			n = gather(NULL, PGH_ROUND_ENFORCE, now);
	PghShortage shortage = measure_shortage(used, n, now);

	shortage.available -= pgh_watch_is_departing(session->index);
	return pgh_slots_are_short(&shortage) && !is_in_reserve(session, now) &&
		is_still_chosen(n, session, limits, &shortage, now);
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
	PghDecision decision = {
		.action = PGH_ACTION_EVICT,.reason = PGH_LIMIT_HEADROOM
	};
	TimestampTz observed_ripe_at = PGH_NEVER;
	TimestampTz ripe_at;

	if (!pgh_slots_are_short(&shortage))
		return PGH_NEVER;

	decision.limit = shortage.headroom;
	if (somebody_is_observed())
		observed_ripe_at = choose(gather(NULL, PGH_ROUND_OBSERVE, now),
								  PGH_ROUND_OBSERVE, shortage, &decision, now);
	ripe_at = choose(gather(NULL, PGH_ROUND_ENFORCE, now), PGH_ROUND_ENFORCE,
					 shortage, &decision, now);
	ripe_at = Min(ripe_at, observed_ripe_at);

	/* A session that becomes idle from now on is not ripe before that. */
	ripe_at = Min(ripe_at, now + pgh_shortest_min_idle());
	return Max(ripe_at, now + PGH_SHORTAGE_INTERVAL);
}

/* ----------
 * Within a cap
 * ----------
 */

/* What the candidates are up to, as the sessions of a cap. */
static PghCap
measure_cap(const PghScope *scope, int n)
{
	PghCap		cap;

	memset(&cap, 0, sizeof(cap));
	cap.limit = scope->decision.limit;
	cap.held = n;
	cap.refused_lately = scope->refused_lately;
	for (int i = 0; i < n; i++)
	{
		const PghCandidate *candidate = &candidates[i];

		cap.departing += pgh_watch_is_departing(candidate->session);
		cap.idle += candidate->state == PGH_STATE_IDLE;
		cap.idle_transactions +=
			pgh_state_in_transaction_idle(candidate->state);
	}
	return cap;
}

static void
set_min_idles(const PghCap *cap, int n)
{
	for (int i = 0; i < n; i++)
		candidates[i].min_idle = pgh_cap_min_idle(cap, &candidates[i]);
}

static TimestampTz
choose_within(const PghScope *scope, PghRound round, TimestampTz now)
{
	int			n = gather(scope, round, now);
	PghCap		cap = measure_cap(scope, n);
	PghShortage shortage = pgh_cap_shortage(&cap);
	TimestampTz ripe_at;

	set_min_idles(&cap, n);
	if (pgh_cap_is_short(&cap))
		(void) choose(n, round, shortage, &scope->decision, now);

	/*
	 * Whoever is ripe by then goes as soon as it is full; and at any moment
	 * nobody may be at work in it any more.
	 */
	shortage.available = 0;
	if (cap.idle_transactions < cap.held)
	{
		cap.idle_transactions = cap.held;
		set_min_idles(&cap, n);
	}
	if (pgh_choose_eviction(candidates, n, tallies, &shortage, now,
							&ripe_at) >= 0)
		return now;
	return ripe_at;
}

bool
pgh_evicts_within_again(const PghSession *session, const PghLimits *limits,
						const PghScope *scope, TimestampTz now)
{
	int			n = gather(scope, PGH_ROUND_ENFORCE, now);
	PghCap		cap = measure_cap(scope, n);
	PghShortage shortage;

	cap.departing -= pgh_watch_is_departing(session->index);
	shortage = pgh_cap_shortage(&cap);
	return pgh_cap_is_short(&cap) &&
		is_still_chosen(n, session, limits, &shortage, now);
}

TimestampTz
pgh_evict_within(const PghScope *scope, TimestampTz now)
{
	TimestampTz observed_ripe_at = PGH_NEVER;
	TimestampTz ripe_at;

	if (somebody_is_observed())
		observed_ripe_at = choose_within(scope, PGH_ROUND_OBSERVE, now);
	ripe_at = choose_within(scope, PGH_ROUND_ENFORCE, now);
	return Min(ripe_at, observed_ripe_at);
}
