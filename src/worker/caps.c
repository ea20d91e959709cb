/*-------------------------------------------------------------------------
 *
 * worker/caps.c
 *	  Caps at which nobody could work, because leaks fill them.
 *
 * Owns: which caps are looked at, how often, and when somebody was refused
 * because of one.  Must not: choose; that is worker/evict.c, with the rules of
 * pure/slots.c.  For the worker only.
 *
 * A program that leaks within its cap would be served again only when its
 * leaks are as old as their limit; and a pool that is as large as its cap would
 * be closed to all who share it.  So leaks among the sessions of a cap are
 * ended as those of the whole server are when slots run short.
 *
 * Whoever takes the last place of a cap, or is refused because of it, wakes the
 * worker.  That all sessions of a full cap are in a transaction nobody says:
 * as long as one of them could be evicted then, it is looked at every few
 * milliseconds.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/caps.h"

#include "utils/timestamp.h"

#include "shared/applications.h"
#include "shared/members.h"
#include "shared/rule_counters.h"
#include "shared/waiting.h"
#include "worker/evict.h"

/* For how long a refusal makes the worker keep room within the cap. */
#define PGH_CAP_REFUSED_LATELY (10 * USECS_PER_SEC)

/* How often a cap is looked at that may become short at any moment. */
#define PGH_CAP_INTERVAL (20 * INT64CONST(1000))

/* When somebody was last refused because of a rule's cap, or his own. */
typedef struct PghRefusedAt
{
	uint64		seen;			/* the rule's counter then */
	TimestampTz at;
} PghRefusedAt;

static PghRefusedAt by_rule[PGH_MAX_RULES];
static TimestampTz *by_application;

void
pgh_caps_start(void)
{
	by_application = palloc0(mul_size(pgh_n_applications,
									  sizeof(TimestampTz)));
	for (int i = 0; i < PGH_MAX_RULES; i++)
		by_rule[i].seen = pg_atomic_read_u64(&pgh_rule_states[i].refused);
}

static bool
is_lately(TimestampTz at, TimestampTz now)
{
	return at != 0 && Max(now - at, at - now) < PGH_CAP_REFUSED_LATELY;
}

/* The counter begins anew when the rule changes, and at a reset(). */
static bool
rule_refused_lately(int i, TimestampTz now)
{
	uint64		refused = pg_atomic_read_u64(&pgh_rule_states[i].refused);

	if (refused > by_rule[i].seen)
		by_rule[i].at = now;
	by_rule[i].seen = refused;
	return is_lately(by_rule[i].at, now);
}

static bool
application_refused_lately(int i, TimestampTz now)
{
	const PghLimit limit = PGH_LIMIT_CONNECTIONS_PER_APPLICATION;

	if (pg_atomic_read_u32(&pgh_applications[i].refusals[limit]) != 0)
		by_application[i] = now;
	return is_lately(by_application[i], now);
}

/* Who waits for a place within a cap asks for it as who is refused does. */
static void
note_waiting(TimestampTz now)
{
	if (pgh_waiting_length() == 0)
		return;
	pgh_lock(&pgh_applications_part, LW_SHARED);
	for (int i = 0; i < pgh_waiting->n_waiters; i++)
	{
		const PghWaiter *waiter = &pgh_waiting->waiter[i];
		uint32		application = pgh_member_of(&pgh_slots[waiter->session]);

		if (waiter->place == PGH_PLACE_SLOT)
			continue;
		if (waiter->place <= PGH_MAX_RULES)
			by_rule[waiter->place - 1].at = now;
		else if (application != PGH_NO_APPLICATION)
			by_application[application] = now;
	}
	pgh_unlock(&pgh_applications_part);
}

static PghScope
scope_of_rule(int i, TimestampTz now)
{
	const PghRule *rule = &pgh_current_rules()->rule[i];
	PghScope	scope;

	memset(&scope, 0, sizeof(scope));
	scope.rule = rule;
	scope.application = PGH_NO_APPLICATION;
	scope.decision.action = PGH_ACTION_EVICT;
	scope.decision.reason = PGH_LIMIT_CONNECTIONS;
	scope.decision.rule = i + 1;
	scope.decision.limit = rule->value[PGH_RULE_CONNECTIONS];
	scope.refused_lately = rule_refused_lately(i, now);
	return scope;
}

static PghScope
scope_of_application(int i, TimestampTz now)
{
	PghScope	scope;

	memset(&scope, 0, sizeof(scope));
	scope.application = i;
	scope.decision.action = PGH_ACTION_EVICT;
	scope.decision.reason = PGH_LIMIT_CONNECTIONS_PER_APPLICATION;
	scope.decision.limit = pgh_connections_per_application;
	scope.refused_lately = application_refused_lately(i, now);
	return scope;
}

/* Few enough places are left that a look at the sessions is worth it. */
static bool
is_nearly_full(const PghScope *scope, int64 held)
{
	return scope->decision.limit > 0 &&
		held >= scope->decision.limit - Max(scope->decision.limit / 10, 2);
}

static TimestampTz
attend(const PghScope *scope, int64 held, TimestampTz now)
{
	if (!is_nearly_full(scope, held))
		return PGH_NEVER;
	return pgh_evict_within(scope, now);
}

TimestampTz
pgh_caps_pass(TimestampTz now)
{
	const PghRuleSet *rules = pgh_current_rules();
	TimestampTz next = PGH_NEVER;

	note_waiting(now);
	for (int i = 0; i < rules->n; i++)
	{
		TimestampTz turn;
		PghScope	scope;

		if (rules->rule[i].value[PGH_RULE_CONNECTIONS] <= 0 ||
			pgh_rule_is_over(&rules->rule[i], now))
			continue;
		scope = scope_of_rule(i, now);
		turn = attend(&scope, pg_atomic_read_u32(&pgh_rule_states[i].sessions),
					  now);
		next = Min(next, turn);
	}
	for (int i = 0; i < pgh_n_applications; i++)
	{
		TimestampTz turn;
		PghScope	scope;

		if (pgh_connections_per_application <= 0)
			break;
		scope = scope_of_application(i, now);
		turn = attend(&scope, pgh_applications[i].account.connections, now);
		next = Min(next, turn);
	}
	return next == PGH_NEVER ? next : Max(next, now + PGH_CAP_INTERVAL);
}

/* The cap that it was asked for, if it still is what it was. */
bool
pgh_cap_evicts_again(const PghSession *session, const PghLimits *limits,
					 const PghDecision *asked, TimestampTz now)
{
	const PghRuleSet *rules = pgh_current_rules();
	PghScope	scope;

	if (asked->rule > rules->n)
		return false;
	scope = asked->rule > 0 ? scope_of_rule(asked->rule - 1, now) :
		scope_of_application(session->counted_as, now);
	return scope.decision.reason == asked->reason &&
		scope.decision.limit == asked->limit &&
		pgh_evicts_within_again(session, limits, &scope, now);
}
