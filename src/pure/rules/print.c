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

/* Text being written; "len" goes on counting when the buffer is full. */
typedef struct PghOutput
{
	char	   *buf;
	size_t		size;
	size_t		len;
} PghOutput;

static void
put_char(PghOutput *out, char c)
{
	if (out->len < out->size)
		out->buf[out->len] = c;
	out->len++;
}

static void
put_text(PghOutput *out, const char *text)
{
	for (; *text != '\0'; text++)
		put_char(out, *text);
}

static void
put_number(PghOutput *out, uint64_t value)
{
	char		digits[20];
	int			n = 0;

	do
		digits[n++] = (char) ('0' + value % 10);
	while ((value /= 10) > 0);
	while (n > 0)
		put_char(out, digits[--n]);
}

/*
 * Terminate the text, and end it in "..." if it did not fit.  Returns the
 * length that the whole has.
 */
static size_t
finish_output(PghOutput *out)
{
	size_t		dots = 3;
	size_t		cut;

	if (out->len < out->size)
		out->buf[out->len] = '\0';
	else if (out->size > 0)
	{
		if (dots > out->size - 1)
			dots = out->size - 1;
		cut = pgh_clip_length(out->buf, out->size - 1 - dots);
		memset(out->buf + cut, '.', dots);
		out->buf[cut + dots] = '\0';
	}
	return out->len;
}

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
		put_text(out, pattern);
		return;
	}
	put_char(out, '"');
	for (; *pattern != '\0'; pattern++)
	{
		if (*pattern == '"')
			put_char(out, '"');
		put_char(out, *pattern);
	}
	put_char(out, '"');
}

static void
put_address(PghOutput *out, const PghSelector *sel)
{
	char		text[PGH_BLOCK_TEXT_LEN + 1];
	size_t		len;

	if (sel->address.family == PGH_ADDRESS_LOCAL)
	{
		put_text(out, "local");
		return;
	}
	len = pgh_print_block(sel, text);

	/* "fd00::" before the rule's colon parses, but who could read it? */
	if (text[len - 1] == ':')
		put_char(out, '"');
	put_text(out, text);
	if (text[len - 1] == ':')
		put_char(out, '"');
}

static void
put_selectors(PghOutput *out, const PghRule *rule)
{
	for (int i = 0; i < rule->n_selectors; i++)
	{
		const PghSelector *sel = &rule->selector[i];

		if (i > 0)
			put_char(out, ' ');
		put_text(out, pgh_selector_names[sel->kind]);
		put_text(out, sel->negated ? "!=" : "=");
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
		put_char(out, '-');
		value = 0 - value;
	}
	if (value == 0)
	{
		put_char(out, '0');
		return;
	}
	for (int i = PGH_N_DURATION_UNITS - 1; i > 0 && unit == 0; i--)
		if (value % ((uint64_t) pgh_duration_units[i].num * 1000) == 0)
			unit = i;
	if (unit > 0)
		value /= (uint64_t) pgh_duration_units[unit].num * 1000;
	put_number(out, value);
	put_text(out, pgh_duration_units[unit].name);
}

/* The value of a setting that takes a whole number. */
static uint64_t
get_number(const PghRule *rule, PghRuleSetting setting)
{
	switch (setting)
	{
		case PGH_RULE_CONNECTIONS:
			return (uint64_t) rule->connections;
		case PGH_RULE_RESERVE:
			return (uint64_t) rule->reserve;
		case PGH_RULE_CONNECT_RATE:
			return (uint64_t) rule->connect_rate;
		default:
			return (uint64_t) rule->limit[setting];
	}
}

static void
put_setting(PghOutput *out, const PghRule *rule, const PghSettingInfo *info)
{
	put_text(out, info->name);
	if (info->type == PGH_VALUE_NONE)
		return;
	put_char(out, '=');
	if (info->type == PGH_VALUE_DURATION)
		put_duration(out, rule->limit[info->setting]);
	else if (info->type == PGH_VALUE_MODE)
		put_text(out, pgh_mode_names[rule->mode]);
	else
		put_number(out, get_number(rule, info->setting));
}

static void
put_settings(PghOutput *out, const PghRule *rule)
{
	bool		first = true;

	for (int i = 0; pgh_setting_info[i].name != NULL; i++)
	{
		const PghSettingInfo *info = &pgh_setting_info[i];

		if ((rule->has >> info->setting & 1) == 0)
			continue;
		if (!first)
			put_text(out, ", ");
		put_setting(out, rule, info);
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
	return finish_output(&out);
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
	return finish_output(&out);
}

/*
 * All rules: 'user=report: transaction_timeout=2h; address=local: exempt'.
 * Writes at most "size" bytes, terminator included; returns the length of
 * the whole.
 */
size_t
pgh_rules_print(const PghRuleSet *set, char *buf, size_t size)
{
	PghOutput	out = {buf, size, 0};

	for (int32_t i = 0; i < set->n; i++)
	{
		if (i > 0)
			put_text(&out, "; ");
		put_selectors(&out, &set->rule[i]);
		put_text(&out, ": ");
		put_settings(&out, &set->rule[i]);
	}
	return finish_output(&out);
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
	return finish_output(&out);
}
