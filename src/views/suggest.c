/*-------------------------------------------------------------------------
 *
 * views/suggest.c
 *	  The SQL functions about limits that are not set yet: which would hurt
 *	  nobody, and what some would have done.
 *
 * Owns: what is suggested and shown of that; how it is computed is
 * pure/behaviour.c.  Must not: change anything.
 *
 *-------------------------------------------------------------------------
 */
#include "views/views.h"

#include <ctype.h>

#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "message.h"
#include "pure/limits.h"
#include "pure/policy.h"
#include "shared/applications.h"
#include "views/known.h"
#include "views/suggest_order.h"

PG_FUNCTION_INFO_V1(pgh_suggest);
PG_FUNCTION_INFO_V1(pgh_suggest_rules);
PG_FUNCTION_INFO_V1(pgh_predict_rules);

/* The limits that end a kind of period. */
static const struct
{
	PghLimit	limit;
	PghPeriodKind kind;
}			limit_kinds[] = {
	{PGH_LIMIT_IDLE_IN_TRANSACTION, PGH_PERIOD_IDLE_IN_TRANSACTION},
	{PGH_LIMIT_IDLE_SESSION, PGH_PERIOD_IDLE},
	{PGH_LIMIT_TRANSACTION, PGH_PERIOD_TRANSACTION},
};

/* What is suggested for one setting of one application. */
typedef struct PghSuggestion
{
	PghRuleSetting setting;
	int64		value;			/* 0 = nothing was seen; PGH_NEVER = none is
								 * large enough */
	PghEffect	effect;
	uint64		periods;
	int64		observed_for;
	PghConfidence confidence;
} PghSuggestion;

#define PGH_N_SUGGESTIONS (lengthof(limit_kinds) + 1)

static void
suggest_limit(const PghKnown *known, int i, double harm,
			  PghSuggestion *suggestion)
{
	PghPeriodKind kind = limit_kinds[i].kind;
	const PghBehaviour *behaviour = &known->behaviour;

	suggestion->setting = (PghRuleSetting) limit_kinds[i].limit;
	suggestion->value = pgh_suggest_limit(behaviour, kind, harm);
	suggestion->periods = pgh_behaviour_sum_up(behaviour, kind).periods;
	if (suggestion->value != PGH_NEVER)
		suggestion->effect = pgh_predict(behaviour, kind, suggestion->value);
}

/* A cap refuses; what would not have come in is the least that it does. */
static void
suggest_cap(const PghKnown *known, PghSuggestion *suggestion)
{
	int32		cap = pgh_suggest_connections(&known->behaviour);

	suggestion->setting = PGH_RULE_CONNECTIONS;
	suggestion->value = cap;
	suggestion->periods = known->behaviour.sessions.n;
	if (cap > 0)
		suggestion->effect.would_end = Max(known->peak - cap, 0);
}

static void
suggest(const PghKnown *known, double harm, TimestampTz now,
		PghSuggestion *suggestions)
{
	memset(suggestions, 0, PGH_N_SUGGESTIONS * sizeof(PghSuggestion));
	for (int i = 0; i < lengthof(limit_kinds); i++)
		suggest_limit(known, i, harm, &suggestions[i]);
	suggest_cap(known, &suggestions[lengthof(limit_kinds)]);
	for (int i = 0; i < PGH_N_SUGGESTIONS; i++)
	{
		suggestions[i].observed_for = Max(now - known->behaviour.since, 0);
		suggestions[i].confidence =
			pgh_confidence(suggestions[i].periods,
						   suggestions[i].observed_for);
	}
}

static bool
has_value(const PghSuggestion *suggestion)
{
	return suggestion->value > 0 && suggestion->value != PGH_NEVER;
}

/* ----------
 * As rules
 * ----------
 */

/* A family is told from others by as many letters and digits as this. */
#define PGH_TELLING_LETTERS 3

static int
count_letters(const char *pattern)
{
	int			n = 0;

	for (const char *c = pattern; *c != '\0'; c++)
		n += isalnum((unsigned char) *c) || IS_HIGHBIT_SET(*c);
	return n;
}

/*
 * May a rule name the application?  Names are patterns in a rule, and whoever
 * likes may call himself "*"; or "web-*", but that is the family of its names.
 * A family whose names are little else than numbers would be everybody.
 */
static bool
can_be_named(const PghApplication *app)
{
	return strpbrk(app->name, PGH_WILDCARDS) == NULL ||
		(app->is_family && count_letters(app->name) >= PGH_TELLING_LETTERS);
}

static void
begin_rule(PghRule *rule, const char *application)
{
	memset(rule, 0, sizeof(*rule));
	rule->n_selectors = 1;
	rule->selector[0].kind = PGH_SELECT_APPLICATION;
	strlcpy(rule->selector[0].pattern, application, PGH_NAME_LEN);
}

static void
add_to_rule(PghRule *rule, const PghSuggestion *suggestion)
{
	rule->has |= UINT64_C(1) << suggestion->setting;
	rule->value[suggestion->setting] = suggestion->value;
}

typedef size_t (*PghPrinter) (const PghRule *rule, char *buf, size_t size);

static char *
print(PghPrinter printer, const PghRule *rule)
{
	size_t		size = printer(rule, NULL, 0) + 1;
	char	   *buf = palloc(size);

	(void) printer(rule, buf, size);
	return buf;
}

static char *
print_rule(const PghRule *rule)
{
	return psprintf("%s: %s", print(pgh_rule_print_selectors, rule),
					print(pgh_rule_print_settings, rule));
}

/*
 * Would this be of use to somebody who takes all that is suggested?  A limit
 * on idle sessions or on connections that would have done nothing may yet hurt
 * a pool, when it is used less or more than until now.
 */
static bool
is_worth_a_rule(const PghSuggestion *suggestion)
{
	if (!has_value(suggestion) ||
		suggestion->confidence == PGH_CONFIDENCE_LOW)
		return false;
	if (suggestion->setting == (PghRuleSetting) PGH_LIMIT_IDLE_SESSION ||
		suggestion->setting == PGH_RULE_CONNECTIONS)
		return suggestion->effect.would_end > 0;
	return true;
}

/* One rule with all that is suggested for an application; "has" 0 = nothing. */
static void
fill_rule(PghRule *rule, const char *application,
		  const PghSuggestion *suggestions)
{
	begin_rule(rule, application);
	for (int i = 0; i < PGH_N_SUGGESTIONS; i++)
		if (is_worth_a_rule(&suggestions[i]))
			add_to_rule(rule, &suggestions[i]);
}

/* Does a suggestion take the place of this rule, as of an earlier one? */
static bool
is_replaced(const PghRule *rule, const PghRule *suggested, int n)
{
	for (int i = 0; i < n; i++)
		if (rule->n_selectors == 1 && !rule->selector[0].negated &&
			rule->selector[0].kind == PGH_SELECT_APPLICATION &&
			strcmp(rule->selector[0].pattern,
				   suggested[i].selector[0].pattern) == 0 &&
			(rule->has & ~suggested[i].has) == 0)
			return true;
	return false;
}

/* ----------
 * The functions
 * ----------
 */

/* The share of honest periods that may be hurt. */
static double
harm_argument(FunctionCallInfo fcinfo)
{
	double		harm = PG_GETARG_FLOAT8(0);

	if (!(harm >= 0 && harm <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("harm must be between 0 and 1")));
	return harm;
}

static void
append_effect(PghRow *row, const PghEffect *effect)
{
	pgh_row_int64(row, effect->would_end);
	pgh_row_int64(row, effect->of_which_resumed);
	pgh_row_interval(row, effect->slot_time_freed);
}

/* value, rule */
static void
append_value(PghRow *row, const PghApplication *app,
			 const PghSuggestion *suggestion)
{
	PghRule		rule;
	char		value[32];

	if (!has_value(suggestion))
	{
		pgh_row_null(row);
		pgh_row_null(row);
		return;
	}
	if (suggestion->setting == PGH_RULE_CONNECTIONS)
		snprintf(value, sizeof(value), "%d", (int) suggestion->value);
	else
		(void) pgh_print_duration(suggestion->value, value, sizeof(value));
	pgh_row_text(row, value);
	if (!can_be_named(app))
	{
		pgh_row_null(row);
		return;
	}
	begin_rule(&rule, app->name);
	add_to_rule(&rule, suggestion);
	pgh_row_text(row, print_rule(&rule));
}

static void
build_suggestion(PghRow *row, const PghApplication *app,
				 const PghSuggestion *suggestion)
{
	pgh_row_begin(row);
	pgh_row_text(row, app->name);
	pgh_row_text(row, suggestion->setting == PGH_RULE_CONNECTIONS ?
				 "connections" :
				 pgh_limit_name((PghLimit) suggestion->setting));
	append_value(row, app, suggestion);
	append_effect(row, &suggestion->effect);
	pgh_row_int64(row, suggestion->periods);
	pgh_row_interval(row, suggestion->observed_for);
	pgh_row_text(row, pgh_confidence_name(suggestion->confidence));
}

/* hygiene.suggest(harm) */
Datum
pgh_suggest(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	double		harm = harm_argument(fcinfo);
	PghOpenSessions *open;
	PghKnown	known;

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	open = pgh_known_begin(now);
	for (int i = 1; i < pgh_n_applications; i++)
	{
		PghSuggestion suggestions[PGH_N_SUGGESTIONS];

		if (!pgh_known_read(open, i, &known))
			continue;
		suggest(&known, harm, now, suggestions);
		for (int j = 0; j < PGH_N_SUGGESTIONS; j++)
		{
			PghRow		row;

			build_suggestion(&row, &pgh_applications[i], &suggestions[j]);
			pgh_row_end(&row, fcinfo);
		}
	}
	return (Datum) 0;
}

/*
 * As many as a list of rules may have, in an order in which the first that
 * matches an application is its own.
 */
static int
collect_rules(double harm, TimestampTz now, PghRule *suggested)
{
	PghOpenSessions *open = pgh_known_begin(now);
	PghKnown	known;
	int			n = 0;

	for (int i = 1; i < pgh_n_applications && n < PGH_MAX_RULES; i++)
	{
		PghSuggestion suggestions[PGH_N_SUGGESTIONS];

		if (!can_be_named(&pgh_applications[i]) ||
			!pgh_known_read(open, i, &known))
			continue;
		suggest(&known, harm, now, suggestions);
		fill_rule(&suggested[n], pgh_applications[i].name, suggestions);
		n += suggested[n].has != 0;
	}
	return pgh_order_suggested(suggested, n, now);
}

static void
append_rule(StringInfo text, const PghRule *rule)
{
	if (text->len > 0)
		appendStringInfoString(text, "; ");
	appendStringInfoString(text, print_rule(rule));
}

/*
 * hygiene.suggest_rules(harm): what is suggested stands before the rules in
 * force, so that it holds, and in place of what was suggested earlier.
 */
Datum
pgh_suggest_rules(PG_FUNCTION_ARGS)
{
	double		harm = harm_argument(fcinfo);
	const PghRuleSet *rules = pgh_current_rules();
	PghRule    *suggested = palloc(PGH_MAX_RULES * sizeof(PghRule));
	StringInfoData text;
	int			n;

	pgh_require_shared();
	n = collect_rules(harm, GetCurrentTimestamp(), suggested);
	if (n == 0)
		ereport(NOTICE,
				(errmsg("no rule is suggested, because too little was seen"),
				 errhint("The function hygiene.suggest shows how much was, and how much it counts.")));
	initStringInfo(&text);
	for (int i = 0; i < n; i++)
		append_rule(&text, &suggested[i]);
	for (int i = 0; i < rules->n; i++)
		if (!is_replaced(&rules->rule[i], suggested, n))
			append_rule(&text, &rules->rule[i]);
	PG_RETURN_TEXT_P(cstring_to_text(pgh_valid_text(text.data)));
}

static void
build_prediction(PghRow *row, const char *application, const PghKnown *known,
				 int i, int64 limit, TimestampTz now)
{
	PghEffect	effect = pgh_predict(&known->behaviour, limit_kinds[i].kind,
									 limit);
	char		setting[32];

	(void) pgh_print_duration(limit, setting, sizeof(setting));
	pgh_row_begin(row);
	pgh_row_text(row, application);
	pgh_row_text(row, pgh_limit_name(limit_kinds[i].limit));
	pgh_row_text(row, setting);
	append_effect(row, &effect);
	pgh_row_interval(row, Max(now - known->behaviour.since, 0));
}

/*
 * hygiene.predict(rules): the server-wide mode is taken as enforce, as in
 * rehearse(); a rule's own mode counts.
 */
Datum
pgh_predict_rules(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	const PghRuleSet *rules;
	PghLimits	server_wide;
	PghOpenSessions *open;
	PghKnown	known;

	pgh_require_shared();
	rules = pgh_parse_rules_or_error(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	InitMaterializedSRF(fcinfo, 0);
	pgh_server_limits(&server_wide);
	server_wide.mode = PGH_MODE_ENFORCE;
	open = pgh_known_begin(now);
	for (int i = 0; i < pgh_n_applications; i++)
	{
		PghIdentity who;
		PghRuleBits bits;
		PghLimits	limits;

		if (!pgh_known_read(open, i, &known))
			continue;
		pgh_known_identity(&known, i, &who);
		pgh_limits_under(rules, &server_wide, &who, now, &bits, &limits);
		if (limits.mode != PGH_MODE_ENFORCE || limits.exempt_rule != 0)
			continue;
		for (int j = 0; j < lengthof(limit_kinds); j++)
		{
			PghRow		row;
			int64		limit = limits.value[limit_kinds[j].limit];

			if (limit <= 0)
				continue;
			build_prediction(&row, pgh_applications[i].name, &known, j,
							 limit, now);
			pgh_row_end(&row, fcinfo);
		}
	}
	return (Datum) 0;
}
