/*-------------------------------------------------------------------------
 *
 * fuzz_decide.c
 *	  Any session under any rules: parse, match, resolve, decide.
 *
 * What must hold: an exempt session is never ended; a higher limit is never
 * harsher; a rule that does not match changes nothing; "!=" is the opposite
 * of "="; for each name the first matching rule decides; a session at work
 * is never ended for idleness, and one whose time is up does not get away.
 *
 * The input is a head of HEAD_LEN bytes that makes the session, then the
 * text of the rules.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "pure/limits.h"
#include "pure/policy.h"
#include "pure/rules.h"

#define HEAD_LEN 64
#define MAX_TEXT 4096

/* The server's own time is about this far from its epoch. */
static const PghTime now = INT64_C(800000000000000);

/* Ages from microseconds to years, as the byte's upper bits say. */
static int64_t
make_age(uint8_t byte)
{
	return (int64_t) (byte % 16 + 1) << (byte / 16 * 3);
}

static void
make_facts(const uint8_t *head, PghFacts *facts)
{
	memset(facts, 0, sizeof(*facts));
	facts->state = (PghState)
		(head[0] % (PGH_STATE_IDLE_IN_TRANSACTION_ABORTED + 1));
	facts->state_start = now - make_age(head[1]);
	facts->backend_start = facts->state_start - make_age(head[2]);
	if (head[3] % 2 == 1)
		facts->xact_start = facts->state_start - make_age(head[4]);
	if (head[3] % 4 == 3)
		facts->cancelled_at = now - make_age(head[5]);
	memcpy(&facts->xmin_age, head + 6, 4);
	facts->blocking = head[10] % 4;
	if (head[11] % 4 == 3)
		facts->advisory_since = now - make_age(head[11]);
	if (head[11] % 4 == 2)
		facts->client_since = now - make_age(head[11]);
	facts->client_unsure = head[11] % 8 == 6;
	facts->pid = head[11];
	facts->superuser = head[12] % 8 == 7;
	facts->wrote = head[13] % 2;
	facts->open = head[13] % 4 > 1;
	facts->rolled_back_for = head[13] / 4 % PGH_N_LIMITS;
	facts->listening = head[14] % 4 == 3;
	facts->advisory = head[15] % 4 == 3;
	facts->in_backup = head[15] % 8 == 5;
}

static void
make_server_wide(const uint8_t *head, PghLimits *limits)
{
	memset(limits, 0, sizeof(*limits));
	for (int i = 0, n = 0; i < PGH_N_LIMITS; i++)
	{
		uint8_t		byte = head[16 + n % 7];

		if (!pgh_limit_is_setting((PghLimit) i))
			continue;
		limits->value[i] = byte % 2 ? make_age(byte) : 0;
		n++;
	}
	limits->mode = (PghMode) (head[23] % 3);
	limits->idle_action = (PghIdleAction) (head[23] / 3 % 2);
	limits->exempt_superusers = head[24] % 2;
}

/* Up to "len" bytes, or up to the first '.', which makes readable seeds. */
static void
make_name(const uint8_t *from, size_t len, char *name)
{
	size_t		i;

	for (i = 0; i < len && from[i] != '.'; i++)
		name[i] = (char) from[i];
	name[i] = '\0';
}

static void
make_identity(const uint8_t *head, PghIdentity *who)
{
	memset(who, 0, sizeof(*who));
	make_name(head + 25, 8, who->application);
	make_name(head + 33, 7, who->user);
	make_name(head + 40, 7, who->database);
	who->address.family = head[47] % 4;
	memcpy(who->address.bytes, head + 48, 16);
}

static PghRuleSet *
parse(const char *text)
{
	int32_t		n = pgh_rules_count(text);
	PghRuleSet *set = malloc(PGH_RULESET_SIZE(n));
	PghParseError error;

	if (pgh_rules_parse(text, set, n, &error))
		return set;
	free(set);
	return NULL;
}

/* The limits that hold for this session under these rules. */
static void
resolve(const PghRuleSet *set, const PghIdentity *who,
		const PghLimits *server_wide, PghLimits *limits)
{
	PghRuleBits bits;
	int32_t		n = 0;

	REQUIRE(pgh_rules_match(set, who, now, &bits) <= set->n);
	for (int32_t i = 0; i < PGH_MAX_RULES; i++)
	{
		bool		matches = i < set->n &&
			pgh_rule_matches(&set->rule[i], who, now);

		REQUIRE(pgh_bits_test(&bits, i) == matches);
		REQUIRE(!matches || !pgh_rule_is_over(&set->rule[i], now));
		n += matches;
	}
	REQUIRE(pgh_rules_match(set, who, now, &bits) == n);
	pgh_rules_resolve(set, &bits, server_wide, limits);
}

/* Whose value is it?  Found the slow way. */
static uint16_t
first_rule(const PghRuleSet *set, const PghIdentity *who, int setting)
{
	for (int32_t i = 0; i < set->n; i++)
		if (pgh_rule_sets(&set->rule[i], setting) &&
			pgh_rule_matches(&set->rule[i], who, now))
			return (uint16_t) (i + 1);
	return 0;
}

static void
check_first_match(const PghRuleSet *set, const PghIdentity *who,
				  const PghLimits *server_wide, const PghLimits *limits)
{
	uint16_t	exempt;

	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		uint16_t	rule = first_rule(set, who, i);

		REQUIRE(limits->rule[i] == rule);
		REQUIRE(limits->value[i] == (rule > 0 ?
									 set->rule[rule - 1].value[i] :
									 server_wide->value[i]));
	}
	REQUIRE(limits->mode_rule == first_rule(set, who, PGH_RULE_MODE));
	REQUIRE((int64_t) limits->mode ==
			(limits->mode_rule > 0 ?
			 set->rule[limits->mode_rule - 1].value[PGH_RULE_MODE] :
			 (int64_t) server_wide->mode));
	REQUIRE(limits->idle_action_rule ==
			first_rule(set, who, PGH_RULE_IDLE_ACTION));
	REQUIRE((int64_t) limits->idle_action ==
			(limits->idle_action_rule == 0 ?
			 (int64_t) server_wide->idle_action :
			 set->rule[limits->idle_action_rule -
					   1].value[PGH_RULE_IDLE_ACTION]));
	exempt = first_rule(set, who, PGH_RULE_EXEMPT);
	if (exempt > 0 && set->rule[exempt - 1].value[PGH_RULE_EXEMPT] == 0)
		exempt = 0;
	REQUIRE(limits->exempt_rule == exempt);
}

/* "!=" of a selector alone is the opposite of it. */
static void
check_negation(const PghRuleSet *set, const PghIdentity *who)
{
	for (int32_t i = 0; i < set->n; i++)
	{
		PghRule		rule = set->rule[i];
		bool		matched;

		rule.n_selectors = 1;
		rule.has = 0;			/* it does not end */
		matched = pgh_rule_matches(&rule, who, now);
		rule.selector[0].negated = !rule.selector[0].negated;
		REQUIRE(pgh_rule_matches(&rule, who, now) != matched);
	}
}

static void
check_verdict(const PghFacts *facts, const PghLimits *limits)
{
	PghVerdict	verdict = pgh_decide(facts, limits, now);

	if (pgh_exemption(facts, limits) != NULL || limits->exempt_rule != 0)
		REQUIRE(verdict.decision.action == PGH_ACTION_NONE);
	if (verdict.decision.action == PGH_ACTION_NONE)
	{
		REQUIRE(verdict.deadline == PGH_NEVER);
		return;
	}
	REQUIRE(verdict.deadline < PGH_NEVER);
	REQUIRE(pgh_limit_is_setting(verdict.decision.reason));
	REQUIRE(verdict.decision.limit > 0);
	REQUIRE(verdict.decision.limit == limits->value[verdict.decision.reason]);
	REQUIRE(verdict.decision.rule == limits->rule[verdict.decision.reason]);
	if (facts->state == PGH_STATE_ACTIVE)
		REQUIRE(verdict.decision.reason == PGH_LIMIT_TRANSACTION ||
				verdict.decision.reason == PGH_LIMIT_CLIENT_STALL);
	if (verdict.decision.reason == PGH_LIMIT_CLIENT_STALL)
		REQUIRE(facts->state == PGH_STATE_ACTIVE &&
				facts->client_since != 0 && !facts->client_unsure);
	if (verdict.decision.action == PGH_ACTION_CANCEL)
		REQUIRE(facts->state == PGH_STATE_ACTIVE);
	else if (verdict.decision.action == PGH_ACTION_ROLLBACK)
		REQUIRE(facts->open && limits->idle_action == PGH_IDLE_ROLLBACK &&
				pgh_state_in_transaction_idle(facts->state));
	else
		REQUIRE(verdict.decision.action == PGH_ACTION_TERMINATE);

	/* due means that what is measured has reached the limit */
	if (verdict.deadline <= now && facts->cancelled_at == 0)
		REQUIRE(verdict.decision.measured >= verdict.decision.limit);
}

/* A session whose time is up does not get away. */
static void
check_no_escape(const PghFacts *facts, const PghLimits *limits)
{
	const int64_t idle = limits->value[PGH_LIMIT_IDLE_IN_TRANSACTION];

	if (pgh_exemption(facts, limits) == NULL &&
		pgh_state_in_transaction_idle(facts->state) &&
		idle > 0 && facts->state_start + idle <= now)
		REQUIRE(pgh_decide(facts, limits, now).deadline <= now);
}

/* No limit, or one that is higher, never acts earlier. */
static void
check_higher_limits(const PghFacts *facts, const PghLimits *limits,
					int64_t more)
{
	PghVerdict	before = pgh_decide(facts, limits, now);

	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		PghLimits	higher = *limits;

		/* 0 is no limit, but no grace as well */
		if (higher.value[i] > 0 || i == PGH_LIMIT_CANCEL_GRACE)
			higher.value[i] += more;
		REQUIRE(pgh_decide(facts, &higher, now).deadline >= before.deadline);
		if (i != PGH_LIMIT_CANCEL_GRACE)
			higher.value[i] = 0;
		REQUIRE(pgh_decide(facts, &higher, now).deadline >= before.deadline);
	}
}

/* One more rule in front, which exempts the session or misses it. */
static void
check_one_more_rule(const char *text, const PghFacts *facts,
					const PghIdentity *who, const PghLimits *server_wide,
					const PghLimits *limits)
{
	static const char *const missed[] = {
		"user!=*:exempt,idle_session_timeout=1;",
		"user=*:exempt,mode=off,until=2001-01-01T00:00Z;"
	};
	char		longer[MAX_TEXT + 64];
	PghRuleSet *set;
	PghLimits	other;

	strcpy(longer, "user=*:exempt;");
	strcat(longer, text);
	set = parse(longer);
	if (set == NULL)
		return;					/* there were 256 already */
	resolve(set, who, server_wide, &other);
	REQUIRE(other.exempt_rule > 0);
	REQUIRE(pgh_decide(facts, &other, now).decision.action == PGH_ACTION_NONE);
	free(set);

	for (size_t i = 0; i < sizeof(missed) / sizeof(missed[0]); i++)
	{
		strcpy(longer, missed[i]);
		strcat(longer, text);
		set = parse(longer);
		REQUIRE(set != NULL);
		resolve(set, who, server_wide, &other);
		REQUIRE(memcmp(other.value, limits->value, sizeof(other.value)) == 0);
		REQUIRE(other.mode == limits->mode);
		REQUIRE((other.exempt_rule > 0) == (limits->exempt_rule > 0));
		free(set);
	}
}

/* A rule that another one hides may be taken out without any effect. */
static void
check_hidden_rules(const PghRuleSet *set, const PghIdentity *who,
				   const PghLimits *server_wide, const PghLimits *limits)
{
	for (int32_t rule = 1; rule <= set->n; rule++)
	{
		const int32_t hider = pgh_rules_hider(set, rule, now);
		size_t		size;
		char	   *text;
		PghRuleSet *others;
		PghLimits	other;

		REQUIRE(hider >= 0 && hider < rule);
		if (hider == 0)
			continue;
		REQUIRE(!pgh_rule_matches(&set->rule[rule - 1], who, now) ||
				pgh_rule_matches(&set->rule[hider - 1], who, now));
		size = pgh_rules_print_without(set, rule, NULL, 0) + 1;
		text = malloc(size);
		REQUIRE(pgh_rules_print_without(set, rule, text, size) == size - 1);
		others = parse(text);
		if (others != NULL)		/* not too long, as printed */
		{
			REQUIRE(others->n == set->n - 1);
			resolve(others, who, server_wide, &other);
			REQUIRE(other.exempt_rule > 0 || limits->exempt_rule > 0 ||
					memcmp(other.value, limits->value,
						   sizeof(other.value)) == 0);
			REQUIRE(other.exempt_rule > 0 || limits->exempt_rule > 0 ||
					other.mode == limits->mode);
			REQUIRE((other.exempt_rule > 0) == (limits->exempt_rule > 0));
		}
		free(others);
		free(text);
	}
}

/* Whoever looks again whenever a rule ends has missed nothing. */
static void
check_ends(const PghRuleSet *set)
{
	PghTime		at = now;
	PghTime		next;

	while ((next = pgh_rules_next_end(set, at)) != PGH_NEVER)
	{
		int32_t		ended = 0;

		REQUIRE(next > at);
		for (int32_t i = 0; i < set->n; i++)
		{
			const PghRule *rule = &set->rule[i];

			REQUIRE(pgh_rule_is_over(rule, next - 1) ==
					pgh_rule_is_over(rule, at));
			ended += pgh_rule_is_over(rule, next) &&
				!pgh_rule_is_over(rule, at);
		}
		REQUIRE(ended > 0);
		at = next;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char		text[MAX_TEXT];
	PghFacts	facts;
	PghIdentity who;
	PghLimits	server_wide;
	PghLimits	limits;
	PghRuleSet *set;

	if (size < HEAD_LEN || size - HEAD_LEN >= sizeof(text))
		return 0;
	make_facts(data, &facts);
	make_server_wide(data, &server_wide);
	make_identity(data, &who);
	memcpy(text, data + HEAD_LEN, size - HEAD_LEN);
	text[size - HEAD_LEN] = '\0';
	set = parse(text);
	if (set == NULL)
		return 0;

	resolve(set, &who, &server_wide, &limits);
	check_first_match(set, &who, &server_wide, &limits);
	check_ends(set);
	check_hidden_rules(set, &who, &server_wide, &limits);
	check_negation(set, &who);
	check_verdict(&facts, &limits);
	check_no_escape(&facts, &limits);
	check_higher_limits(&facts, &limits, make_age(data[HEAD_LEN - 1]));
	check_one_more_rule(text, &facts, &who, &server_wide, &limits);
	free(set);
	return 0;
}
