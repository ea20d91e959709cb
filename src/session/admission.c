/*-------------------------------------------------------------------------
 *
 * session/admission.c
 *	  Letting a new session in, or not.
 *
 * Owns: the facts for pgh_admit().  Must not: look a name up in a catalog
 * other than when a connection is about to be refused.
 *
 * Exactness
 * ---------
 * An application's connections are one atomic counter: each newcomer adds
 * itself first and looks at the sum, so two that come at once see different
 * sums, and no more than the limit get in.  It does so only when it waits for
 * nothing any more: one that waits is not counted before it is let in.
 *
 * What a rule's cap, reserve or rate counts depends on the rules, which may
 * change at any reload.  shared/rule_counters keeps how many sessions match
 * each rule; under its lock the newcomer looks at the counts, and claims its
 * slot and counts itself in before the lock is let go.  So a login costs the
 * same however many sessions there are.  The lock is taken only where such a
 * rule exists.
 *
 * A backend that was forked before a reload may have rules that others have
 * left behind.  It looks at all sessions to count by its own, and leaves it to
 * the worker to count its session under the rules of the others.
 *
 *-------------------------------------------------------------------------
 */
#include "session/admission.h"

#include "utils/timestamp.h"

#include "look/rule_sessions.h"
#include "session/refusal.h"
#include "shared/applications.h"
#include "shared/refusals.h"
#include "shared/rule_counters.h"
#include "shared/worker_state.h"

/* ----------
 * Gathering facts
 * ----------
 */

/* Do any rules make it necessary to count sessions under the lock? */
static bool
rules_count_sessions(void)
{
	const PghRuleSet *rules = pgh_current_rules();

	for (int i = 0; i < rules->n; i++)
		if (rules->rule[i].value[PGH_RULE_CONNECTIONS] > 0 ||
			rules->rule[i].value[PGH_RULE_RESERVE] > 0 ||
			rules->rule[i].value[PGH_RULE_CONNECT_RATE] > 0)
			return true;
	return false;
}

/* Under the lock: what one rule has to say about the newcomer. */
static void
consult_rule(PghArrival *arrival, int i, TimestampTz now)
{
	const PghRule *rule = &pgh_current_rules()->rule[i];
	PghNewcomer *facts = &arrival->facts;
	int32		unused = rule->value[PGH_RULE_RESERVE] - arrival->counts[i];

	if (!pgh_bits_test(&arrival->bits, i))
	{
		if (unused > 0)
		{
			facts->kept_for_others += unused;
			if (facts->reserve_rule == 0)
				facts->reserve_rule = i + 1;
		}
		return;
	}
	if (unused > 0)
		facts->has_reserve = true;
	if (rule->value[PGH_RULE_CONNECTIONS] > 0 &&
		arrival->counts[i] >= rule->value[PGH_RULE_CONNECTIONS] &&
		facts->cap_rule == 0)
		facts->cap_rule = i + 1;
	if (rule->value[PGH_RULE_CONNECT_RATE] > 0 &&
		arrival->rules_are_present && pgh_rule_rate_is_used_up(i, now) &&
		facts->rate_rule == 0)
		facts->rate_rule = i + 1;
}

static void
consult_rules(PghArrival *arrival)
{
	const PghRuleSet *rules = pgh_current_rules();
	TimestampTz now = GetCurrentTimestamp();

	arrival->rules_are_present = pgh_follow_rules_locked();
	memset(arrival->counts, 0, sizeof(arrival->counts));
	if (pgh_rules_need_counts(rules))
		pgh_count_rule_sessions(rules, now, arrival->counts);
	for (int i = 0; i < rules->n; i++)
		if (!pgh_rule_is_over(&rules->rule[i], now))
			consult_rule(arrival, i, now);
}

/*
 * Slots that ordinary roles can have, the newcomer's own among them (core has
 * given it one already).  Exact up to the headroom, the reserves and one more,
 * which is all that matters.
 */
static void
count_slots(PghArrival *arrival)
{
	PghNewcomer *facts = &arrival->facts;
	int			reserved = pgh_reserved_slots();
	int			most = reserved + facts->headroom + facts->kept_for_others + 1;

	facts->available = pgh_count_free_slots(most) - reserved + 1;
}

/* Whether this session is subject to admission at all. */
static bool
is_bound(const PghArrival *arrival)
{
	return arrival->limits.mode != PGH_MODE_OFF &&
		arrival->limits.exempt_rule == 0 &&
		!(arrival->login.superuser && arrival->limits.exempt_superusers);
}

/* ----------
 * Letting it in
 * ----------
 */

/* The worker frees slots before somebody is refused, or because one was. */
static void
ask_for_slots(const PghArrival *arrival)
{
	if (arrival->refusal.reason == PGH_LIMIT_HEADROOM &&
		arrival->limits.mode == PGH_MODE_ENFORCE)
		pg_atomic_write_u64(&pgh_refusals->headroom_refused_at,
							GetCurrentTimestamp());

	/* Our own slot is gone when the next one comes. */
	if (arrival->facts.available <= arrival->facts.headroom + 1)
		pgh_want_slots();
}

/*
 * Under the lock, if the rules of this process are those of everybody: count
 * the newcomer under them, and take what their buckets hold for it.
 */
static void
count_under_rules(const PghArrival *arrival)
{
	const PghRuleSet *rules = pgh_current_rules();

	for (int i = 0; i < rules->n; i++)
		if (rules->rule[i].value[PGH_RULE_CONNECT_RATE] > 0 &&
			pgh_bits_test(&arrival->bits, i))
			pgh_rule_rate_take(i);
	if (pgh_rules_are_counting())
		pgh_rule_member_set(pgh_my_proc_number(), &arrival->bits);
}

/* Take the slot. */
static void
let_in(const PghArrival *arrival)
{
	pgh_application_raise_peak(arrival->application, arrival->facts.held + 1);
	if (!pgh_slot_claim(&arrival->login, arrival->application))
		pgh_application_undo_enter(arrival->application);
	else if (arrival->rules_are_present)
		count_under_rules(arrival);
}

/* ----------
 * The whole of it
 * ----------
 */

static void
describe(PghArrival *arrival, const PghLogin *login, const char *application)
{
	memset(arrival, 0, offsetof(PghArrival, counts));
	arrival->login = *login;
	strlcpy(arrival->who.application, application, PGH_NAME_LEN);
	strlcpy(arrival->who.user, login->user, PGH_NAME_LEN);
	strlcpy(arrival->who.database, login->database, PGH_NAME_LEN);
	arrival->who.address = login->address;
	arrival->application = pgh_application_index(application);
	pgh_limits_for(&arrival->who, GetCurrentTimestamp(), &arrival->bits,
				   &arrival->limits);

	/* Superusers may always use core's reserved slots. */
	arrival->facts.may_use_reserved = login->superuser ||
		(OidIsValid(login->roleid) &&
		 pgh_may_use_reserved_connections(login->roleid));
}

void
pgh_admit_session(const PghLogin *login, const char *application)
{
	PghArrival	arrival;
	bool		counting = rules_count_sessions();
	bool		refused;

	/* Rules that no longer count anybody are as new as others. */
	if (!counting)
		pgh_follow_rules();
	describe(&arrival, login, application);

	arrival.facts.per_application = pgh_connections_per_application;
	arrival.facts.headroom = pgh_effective_headroom();
	if (counting)
		pgh_lock(&pgh_rule_counters_part, LW_EXCLUSIVE);

	/*
	 * From here to the claim, or to the undo, nothing waits or raises an
	 * error.
	 */
	arrival.facts.held = pgh_application_enter(arrival.application) - 1;
	if (counting)
		consult_rules(&arrival);
	if (is_bound(&arrival))
	{
		count_slots(&arrival);
		arrival.refusal = pgh_admit(&arrival.facts);
	}
	refused = arrival.refusal.reason != PGH_LIMIT_NONE &&
		arrival.limits.mode == PGH_MODE_ENFORCE;
	if (!refused)
		let_in(&arrival);
	if (counting)
		pgh_unlock(&pgh_rule_counters_part);
	if (refused)
		pgh_application_undo_enter(arrival.application);

	if (is_bound(&arrival))
		ask_for_slots(&arrival);
	if (arrival.refusal.reason != PGH_LIMIT_NONE)
		pgh_refuse(&arrival);
}
