/*-------------------------------------------------------------------------
 *
 * pure/rules/print.c
 *	  Turns rules into the text that parses back to the same rules.
 *
 * Owns: the canonical form: lower-case names in a fixed order, quotes only
 * where they are needed, the largest unit that is exact.  Must not: allocate,
 * or write beyond the buffer it is given.  Anyone may call it, in any
 * process.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/rules.h"
#include "pure/rules/internal.h"

/* Would this pattern not be read back as it is without quotes? */
static bool
needs_quotes(const char *pattern)
{
	const char *at = pattern;

	while (!pgh_ends_pattern(*at))
		at++;
	return *pattern == '\0' || *at != '\0';
}

static void
put_pattern(PghOutput *out, const char *pattern)
{
	if (!needs_quotes(pattern))
	{
		pgh_put_text(out, pattern);
		return;
	}
	pgh_put_char(out, '"');
	for (; *pattern != '\0'; pattern++)
	{
		if (*pattern == '"')
			pgh_put_char(out, '"');
		pgh_put_char(out, *pattern);
	}
	pgh_put_char(out, '"');
}

static void
put_address(PghOutput *out, const PghSelector *sel)
{
	char		text[PGH_BLOCK_TEXT_LEN + 1];
	PghOutput	block = {text, sizeof(text), 0};

	if (sel->address.family == PGH_ADDRESS_LOCAL)
	{
		pgh_put_text(out, "local");
		return;
	}
	pgh_put_block(&block, sel);
	(void) pgh_finish_output(&block);

	/* "fd00::" before the rule's colon parses, but who could read it? */
	if (text[block.len - 1] == ':')
		pgh_put_char(out, '"');
	pgh_put_text(out, text);
	if (text[block.len - 1] == ':')
		pgh_put_char(out, '"');
}

static void
put_selectors(PghOutput *out, const PghRule *rule)
{
	for (int i = 0; i < rule->n_selectors; i++)
	{
		const PghSelector *sel = &rule->selector[i];

		if (i > 0)
			pgh_put_char(out, ' ');
		pgh_put_text(out, pgh_selector_names[sel->kind]);
		pgh_put_text(out, sel->negated ? "!=" : "=");
		if (sel->kind == PGH_SELECT_ADDRESS)
			put_address(out, sel);
		else
			put_pattern(out, sel->pattern);
	}
}

static void
put_duration(PghOutput *out, int64_t microseconds)
{
	uint64_t	value = (uint64_t) microseconds;
	int			unit = 0;

	if (microseconds < 0)
	{
		pgh_put_char(out, '-');
		value = 0 - value;
	}
	if (value == 0)
	{
		pgh_put_char(out, '0');
		return;
	}
	for (int i = PGH_N_DURATION_UNITS - 1; i > 0 && unit == 0; i--)
		if (value % ((uint64_t) pgh_duration_units[i].num * 1000) == 0)
			unit = i;
	if (unit > 0)
		value /= (uint64_t) pgh_duration_units[unit].num * 1000;
	pgh_put_number(out, value, 10, 1);
	pgh_put_text(out, pgh_duration_units[unit].name);
}

static void
put_setting(PghOutput *out, const PghSettingInfo *info, int64_t value)
{
	pgh_put_text(out, info->name);
	if (info->type == PGH_VALUE_FLAG && value == 1)
		return;
	pgh_put_char(out, '=');
	switch (info->type)
	{
		case PGH_VALUE_DURATION:
			put_duration(out, value);
			break;
		case PGH_VALUE_NUMBER:
			pgh_put_number(out, (uint64_t) value, 10, 1);
			break;
		case PGH_VALUE_MOMENT:
			pgh_put_moment(out, value);
			break;
		case PGH_VALUE_WORD:
		case PGH_VALUE_FLAG:
			pgh_put_text(out, info->words[value]);
			break;
	}
}

static void
put_settings(PghOutput *out, const PghRule *rule)
{
	bool		first = true;

	for (int i = 0; pgh_setting_info[i].name != NULL; i++)
	{
		const PghSettingInfo *info = &pgh_setting_info[i];

		if (!pgh_rule_sets(rule, info->setting))
			continue;
		if (!first)
			pgh_put_text(out, ", ");
		put_setting(out, info, rule->value[info->setting]);
		first = false;
	}
}

/*
 * The selectors of a rule: 'application=web-* user=app'.  Writes at most
 * "size" bytes, terminator included; returns the length of the whole.
 */
size_t
pgh_rule_print_selectors(const PghRule *rule, char *buf, size_t size)
{
	PghOutput	out = {buf, size, 0};

	put_selectors(&out, rule);
	return pgh_finish_output(&out);
}

/*
 * The settings of a rule: 'mode=observe, connections=40'.  Writes at most
 * "size" bytes, terminator included; returns the length of the whole.
 */
size_t
pgh_rule_print_settings(const PghRule *rule, char *buf, size_t size)
{
	PghOutput	out = {buf, size, 0};

	put_settings(&out, rule);
	return pgh_finish_output(&out);
}

/* One rule more: "selectors: settings". */
static void
put_rule(PghOutput *out, const PghRule *rule)
{
	if (out->len > 0)
		pgh_put_text(out, "; ");
	put_selectors(out, rule);
	pgh_put_text(out, ": ");
	put_settings(out, rule);
}

/*
 * All rules: 'user=report: transaction_timeout=2h; address=local: exempt'.
 * Writes at most "size" bytes, terminator included; returns the length of
 * the whole.
 */
size_t
pgh_rules_print(const PghRuleSet *set, char *buf, size_t size)
{
	return pgh_rules_print_without(set, 0, buf, size);
}

size_t
pgh_rules_print_with(const PghRuleSet *set, const PghRuleSet *added,
					 char *buf, size_t size)
{
	PghOutput	out = {buf, size, 0};

	for (int32_t i = 0; i < added->n; i++)
		put_rule(&out, &added->rule[i]);
	for (int32_t i = 0; i < set->n; i++)
		put_rule(&out, &set->rule[i]);
	return pgh_finish_output(&out);
}

size_t
pgh_rules_print_without(const PghRuleSet *set, int32_t rule,
						char *buf, size_t size)
{
	PghOutput	out = {buf, size, 0};

	for (int32_t i = 0; i < set->n; i++)
		if (i + 1 != rule)
			put_rule(&out, &set->rule[i]);
	return pgh_finish_output(&out);
}

/*
 * A length of time as PostgreSQL's SHOW writes it, in the largest unit that
 * is exact: 90s, 5min, 1d; 0 has none.  Writes at most "size" bytes,
 * terminator included; returns the length of the whole.
 */
size_t
pgh_print_duration(int64_t microseconds, char *buf, size_t size)
{
	PghOutput	out = {buf, size, 0};

	put_duration(&out, microseconds);
	return pgh_finish_output(&out);
}
