/*-------------------------------------------------------------------------
 *
 * pure/rules/parse.c
 *	  Turns the text of pg_hygiene.rules into rules.
 *
 * Owns: the grammar, and what a user is told about a mistake.  Must not:
 * know PostgreSQL, allocate, raise an error or keep anything between calls.
 * Anyone may call it, in any process.
 *
 *	rules	 := rule { ';' rule }
 *	rule	 := selector { selector } ':' setting { ',' setting }
 *	selector := name ( '=' | '!=' ) pattern
 *	setting  := 'exempt' | name '=' value
 *
 * One pass from left to right without going back, so that a position is
 * always that of the first thing that cannot be understood.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/rules.h"
#include "pure/rules/internal.h"

/* PostgreSQL keeps such times in an int of milliseconds; so no more here. */
#define MAX_MS INT64_C(2147483647)

/* One unit, in the fixed-point form that a fraction of it is kept in. */
#define FRACTION_ONE INT64_C(1000000000)

/* Numbers stop growing here: beyond any range, and far from an overflow. */
#define NUMBER_CEILING INT64_C(10000000000000)

#define EXPECT_RULE "a rule"
#define EXPECT_FEWER_RULES "at most 256 rules"
#define EXPECT_SHORT_TEXT "at most 65535 bytes of rules"
#define EXPECT_SELECTOR \
	"\"application\", \"user\", \"database\" or \"address\""
#define EXPECT_FEWER_SELECTORS "at most 8 selectors in a rule"
#define EXPECT_COLON "\":\" or another selector"
#define EXPECT_OPERATOR "\"=\" or \"!=\""
#define EXPECT_PATTERN "a pattern, or \"\" for the empty name"
#define EXPECT_SHORT_PATTERN "a pattern of at most 63 bytes"
#define EXPECT_QUOTE "a closing quote"
#define EXPECT_ADDRESS \
	"an address, a block such as 10.1.0.0/16 or fd00::/8, or \"local\""
#define EXPECT_SETTING \
	"a setting such as idle_in_transaction_timeout, connections or exempt"
#define EXPECT_ONCE "each setting only once in a rule"
#define EXPECT_EQUALS "\"=\""
#define EXPECT_RANGE "a duration from 0 to 2147483647ms (24 days)"
#define EXPECT_UNIT "a unit: us, ms, s, min, h or d"
#define EXPECT_NEXT "\",\", \";\" or the end of the rules"

typedef struct PghParser
{
	const char *text;
	const char *at;				/* the next byte to read */
	PghParseError *error;
} PghParser;

static inline bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void
skip_space(PghParser *p)
{
	while (pgh_is_space(*p->at))
		p->at++;
}

/* The end of the keyword or value that starts here; at least one byte. */
static const char *
find_word_end(const char *at)
{
	const char *end = at;

	while (!pgh_ends_pattern(*end) && *end != '!')
		end++;
	if (end > at || *end == '\0')
		return end;
	return (end[0] == '!' && end[1] == '=') ? end + 2 : end + 1;
}

/* Is the word from at to end this name?  The case of ASCII is ignored. */
static bool
same_word(const char *at, const char *end, const char *name)
{
	for (; at < end && *name != '\0'; at++, name++)
	{
		char		c = *at;

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if (c != *name)
			return false;
	}
	return at == end && *name == '\0';
}

/*
 * Record that the bytes from at to end are not what was expected; of them
 * only what fits on the line of a message.
 */
static bool
fail_span(PghParser *p, const char *at, const char *end, const char *expected)
{
	size_t		len = 0;

	while (at + len < end && (uint8_t) at[len] >= ' ')
		len++;
	if (len > sizeof(p->error->found) - 1)
		len = pgh_clip_length(at, sizeof(p->error->found) - 1);
	memset(p->error, 0, sizeof(*p->error));
	p->error->position = (int32_t) (at - p->text);
	memcpy(p->error->found, at, len);
	memcpy(p->error->expected, expected, strlen(expected));
	return false;
}

/* The same for the word that starts at "at". */
static bool
fail(PghParser *p, const char *at, const char *expected)
{
	return fail_span(p, at, find_word_end(at), expected);
}

/* Read a number, remembering no more than NUMBER_CEILING of it. */
static int64_t
read_digits(PghParser *p)
{
	int64_t		value = 0;

	for (; pgh_is_digit(*p->at); p->at++)
	{
		value = value * 10 + (*p->at - '0');
		if (value > NUMBER_CEILING)
			value = NUMBER_CEILING;
	}
	return value;
}

/* The digits after a decimal point, in units of 1 / FRACTION_ONE. */
static int64_t
read_fraction(PghParser *p)
{
	int64_t		value = 0;
	int64_t		weight = FRACTION_ONE / 10;

	for (; pgh_is_digit(*p->at); p->at++)
	{
		value += (*p->at - '0') * weight;
		weight /= 10;
	}
	return value;
}

/*
 * whole + fraction units, rounded to milliseconds as PostgreSQL rounds, the
 * half to the even side.  But never to 0: that would turn the shortest limit
 * into none at all.
 */
static int64_t
round_to_ms(int64_t whole, int64_t fraction, int64_t num, int64_t den)
{
	int64_t		part = (whole % den) * FRACTION_ONE + fraction * num;
	int64_t		one = den * FRACTION_ONE;
	int64_t		ms;

	if (whole / den > MAX_MS)
		return MAX_MS + 1;
	ms = whole / den * num + part / one;
	part %= one;
	if (part * 2 > one || (part * 2 == one && ms % 2 == 1))
		ms++;
	if (ms == 0 && (whole > 0 || fraction > 0))
		ms = 1;
	return ms;
}

/*
 * A duration as PostgreSQL's settings take it: a decimal number, then a unit
 * whose case matters; without one it is milliseconds.  Not taken over are
 * octal (010), hexadecimal and exponents, which nobody means here.
 */
static bool
parse_duration(PghParser *p, const PghSettingInfo *info, int64_t *value)
{
	const char *start = p->at;
	int64_t		whole;
	int64_t		fraction = 0;
	int64_t		ms;
	int			unit = PGH_UNIT_MS;

	if (*start == '-')
		return fail(p, start, EXPECT_RANGE);
	if (!pgh_is_digit(start[*start == '.' ? 1 : 0]))
		return fail(p, start, info->expected);
	whole = read_digits(p);
	if (*p->at == '.')
	{
		p->at++;
		fraction = read_fraction(p);
	}
	skip_space(p);
	if (is_letter(*p->at))
	{
		size_t		len = (size_t) (find_word_end(p->at) - p->at);

		for (unit = 0; unit < PGH_N_DURATION_UNITS; unit++)
			if (strlen(pgh_duration_units[unit].name) == len &&
				memcmp(pgh_duration_units[unit].name, p->at, len) == 0)
				break;
		if (unit == PGH_N_DURATION_UNITS)
			return fail(p, p->at, EXPECT_UNIT);
		p->at += len;
	}
	ms = round_to_ms(whole, fraction, pgh_duration_units[unit].num,
					 pgh_duration_units[unit].den);
	if (ms > MAX_MS)
		return fail(p, start, EXPECT_RANGE);
	*value = ms * 1000;
	return true;
}

/* A whole number up to the setting's largest. */
static bool
parse_number(PghParser *p, const PghSettingInfo *info, int64_t *value)
{
	const char *start = p->at;

	*value = read_digits(p);
	if (p->at == start || p->at != find_word_end(start) || *value > info->max)
		return fail(p, start, info->expected);
	return true;
}

static bool
parse_mode(PghParser *p, const PghSettingInfo *info, int64_t *value)
{
	const char *end = find_word_end(p->at);

	for (int i = 0; i < PGH_N_MODES; i++)
	{
		if (same_word(p->at, end, pgh_mode_names[i]))
		{
			*value = i;
			p->at = end;
			return true;
		}
	}
	return fail(p, p->at, info->expected);
}

static const PghSettingInfo *
find_setting(const char *at, const char *end)
{
	for (int i = 0; pgh_setting_info[i].name != NULL; i++)
		if (same_word(at, end, pgh_setting_info[i].name))
			return &pgh_setting_info[i];
	return NULL;
}

static void
store_setting(PghRule *rule, PghRuleSetting setting, int64_t value)
{
	rule->has |= UINT32_C(1) << setting;
	switch (setting)
	{
		case PGH_RULE_MODE:
			rule->mode = (PghMode) value;
			break;
		case PGH_RULE_CONNECTIONS:
			rule->connections = (int32_t) value;
			break;
		case PGH_RULE_RESERVE:
			rule->reserve = (int32_t) value;
			break;
		case PGH_RULE_CONNECT_RATE:
			rule->connect_rate = (int32_t) value;
			break;
		case PGH_RULE_EXEMPT:
			break;
		default:
			rule->limit[setting] = value;
			break;
	}
}

/* The "= value" of a setting. */
static bool
parse_value(PghParser *p, const PghSettingInfo *info, int64_t *value)
{
	skip_space(p);
	if (*p->at != '=')
		return fail(p, p->at, EXPECT_EQUALS);
	p->at++;
	skip_space(p);
	if (info->type == PGH_VALUE_DURATION)
		return parse_duration(p, info, value);
	if (info->type == PGH_VALUE_NUMBER)
		return parse_number(p, info, value);
	return parse_mode(p, info, value);
}

/* setting { ',' setting }, up to the rule's end. */
static bool
parse_settings(PghParser *p, PghRule *rule)
{
	for (;;)
	{
		const PghSettingInfo *info;
		const char *end;
		int64_t		value = 0;

		skip_space(p);
		end = find_word_end(p->at);
		info = find_setting(p->at, end);
		if (info == NULL)
			return fail(p, p->at, EXPECT_SETTING);
		if (rule->has & (UINT32_C(1) << info->setting))
			return fail(p, p->at, EXPECT_ONCE);
		p->at = end;
		if (info->type != PGH_VALUE_NONE && !parse_value(p, info, &value))
			return false;
		store_setting(rule, info->setting, value);
		skip_space(p);
		if (*p->at == '\0' || *p->at == ';')
			return true;
		if (*p->at != ',')
			return fail(p, p->at, EXPECT_NEXT);
		p->at++;
	}
}

/*
 * Read a quoted string into buf of PGH_NAME_LEN bytes; a quote within is
 * written twice.
 */
static bool
read_quoted(PghParser *p, char *buf)
{
	const char *start = p->at++;
	size_t		len = 0;

	for (;; p->at++)
	{
		if (*p->at == '\0')
			return fail_span(p, start, p->at, EXPECT_QUOTE);
		if (*p->at == '"' && *++p->at != '"')
			break;
		if (len < PGH_NAME_LEN)
			buf[len++] = *p->at;
	}
	if (len >= PGH_NAME_LEN)
		return fail_span(p, start, p->at, EXPECT_SHORT_PATTERN);
	buf[len] = '\0';
	return true;
}

/*
 * An address without quotes.  IPv6 is full of the colons that also end the
 * selectors, so take the most that is an address and that something else
 * follows: "::1:exempt" is ::1, since "::1:e" goes on with an x.
 */
static bool
parse_bare_address(PghParser *p, PghSelector *sel)
{
	const char *start = p->at;
	const char *end = start;
	size_t		len;

	while (!pgh_ends_pattern(*end) || *end == ':')
		end++;
	len = (size_t) (end - start);
	if (len > PGH_BLOCK_TEXT_LEN)
		len = PGH_BLOCK_TEXT_LEN;
	for (; len > 0; len--)
	{
		if (pgh_ends_pattern(start[len]) &&
			strncmp(start + len, "::", 2) != 0 &&
			pgh_parse_block(start, len, sel))
		{
			p->at = start + len;
			return true;
		}
	}
	if (end == start)
		return fail(p, start, EXPECT_ADDRESS);
	while (end > start + 1 && end[-1] == ':')
		end--;
	return fail_span(p, start, end, EXPECT_ADDRESS);
}

static bool
parse_address(PghParser *p, PghSelector *sel)
{
	const char *start = p->at;
	const char *end = find_word_end(start);
	char		quoted[PGH_NAME_LEN];

	if (*start == '"')
	{
		if (!read_quoted(p, quoted))
			return false;
		if (!same_word(quoted, quoted + strlen(quoted), "local"))
		{
			if (pgh_parse_block(quoted, strlen(quoted), sel))
				return true;
			return fail_span(p, start, p->at, EXPECT_ADDRESS);
		}
	}
	else if (same_word(start, end, "local"))
		p->at = end;
	else
		return parse_bare_address(p, sel);
	memset(&sel->address, 0, sizeof(sel->address));
	sel->address.family = PGH_ADDRESS_LOCAL;
	return true;
}

static bool
parse_pattern(PghParser *p, PghSelector *sel)
{
	const char *start = p->at;
	size_t		len;

	if (*start == '"')
		return read_quoted(p, sel->pattern);
	while (!pgh_ends_pattern(*p->at))
		p->at++;
	len = (size_t) (p->at - start);
	if (len == 0)
		return fail(p, start, EXPECT_PATTERN);
	if (len >= PGH_NAME_LEN)
		return fail_span(p, start, p->at, EXPECT_SHORT_PATTERN);
	memcpy(sel->pattern, start, len);
	return true;
}

/* The rest of a selector of which p->at is behind the name. */
static bool
parse_selector(PghParser *p, PghSelector *sel)
{
	skip_space(p);
	if (p->at[0] == '!' && p->at[1] == '=')
	{
		sel->negated = true;
		p->at += 2;
	}
	else if (*p->at == '=')
		p->at++;
	else
		return fail(p, p->at, EXPECT_OPERATOR);
	skip_space(p);
	if (sel->kind == PGH_SELECT_ADDRESS)
		return parse_address(p, sel);
	return parse_pattern(p, sel);
}

static int
find_selector(const char *at, const char *end)
{
	for (int i = 0; i < PGH_N_SELECTOR_KINDS; i++)
		if (same_word(at, end, pgh_selector_names[i]))
			return i;
	return -1;
}

/*
 * What to say of a word that is no selector.  "a=b" was meant to be one; but
 * behind other selectors a setting, or a word alone, lacks the colon.
 */
static const char *
explain_no_selector(const char *at, const PghRule *rule)
{
	const char *end = find_word_end(at);
	const char *next = end;

	if (rule->n_selectors == 0)
		return EXPECT_SELECTOR;
	while (pgh_is_space(*next))
		next++;
	if (!is_letter(*at) || find_setting(at, end) != NULL)
		return EXPECT_COLON;
	if (*next == '=' || (next[0] == '!' && next[1] == '='))
		return EXPECT_SELECTOR;
	return EXPECT_COLON;
}

/* selector { selector } ':' */
static bool
parse_selectors(PghParser *p, PghRule *rule)
{
	for (;;)
	{
		const char *end;
		int			kind;
		PghSelector *sel;

		skip_space(p);
		if (*p->at == ':' && rule->n_selectors > 0)
		{
			p->at++;
			return true;
		}
		end = find_word_end(p->at);
		kind = find_selector(p->at, end);
		if (kind < 0)
			return fail(p, p->at, explain_no_selector(p->at, rule));
		if (rule->n_selectors == PGH_MAX_SELECTORS)
			return fail(p, p->at, EXPECT_FEWER_SELECTORS);
		p->at = end;
		sel = &rule->selector[rule->n_selectors++];
		sel->kind = (uint8_t) kind;
		if (!parse_selector(p, sel))
			return false;
	}
}

/*
 * How many rules "text" holds at most: one more than it has semicolons
 * outside of quotes, and no more than PGH_MAX_RULES + 1.  0 for blank text.
 * Cannot fail; a text that is not a list of rules gets some such number.
 */
int32_t
pgh_rules_count(const char *text)
{
	int32_t		n = 1;
	bool		quoted = false;

	while (pgh_is_space(*text))
		text++;
	if (*text == '\0')
		return 0;
	for (; *text != '\0' && n <= PGH_MAX_RULES; text++)
	{
		/* a doubled quote leaves the string and enters it again */
		if (*text == '"')
			quoted = !quoted;
		else if (*text == ';' && !quoted)
			n++;
	}
	return n;
}

/*
 * Parse "text" into *set, which has room for "capacity" rules; what
 * pgh_rules_count returned is enough.  Durations become microseconds, each
 * rounded to a millisecond.  Every byte of a rule is written, so that equal
 * rules are equal to memcmp.
 *
 * Returns false and fills *error when the text is not a list of rules; then
 * *set is undefined.
 */
bool
pgh_rules_parse(const char *text, PghRuleSet *set, int32_t capacity,
				PghParseError *error)
{
	PghParser	parser = {text, text, error};
	PghParser  *p = &parser;

	if (capacity > PGH_MAX_RULES)
		capacity = PGH_MAX_RULES;
	memset(error, 0, sizeof(*error));
	memset(set, 0, PGH_RULESET_SIZE(0));
	if (strlen(text) >= PGH_RULES_TEXT_LEN)
		return fail_span(p, text + PGH_RULES_TEXT_LEN - 1,
						 text + PGH_RULES_TEXT_LEN - 1, EXPECT_SHORT_TEXT);
	skip_space(p);
	if (*p->at == '\0')
		return true;
	for (;;)
	{
		PghRule    *rule = &set->rule[set->n];

		skip_space(p);
		if (*p->at == '\0' || *p->at == ';')
			return fail(p, p->at, EXPECT_RULE);
		if (set->n >= capacity)
			return fail(p, p->at, EXPECT_FEWER_RULES);
		memset(rule, 0, sizeof(*rule));
		if (!parse_selectors(p, rule) || !parse_settings(p, rule))
			return false;
		set->n++;
		if (*p->at == '\0')
			return true;
		p->at++;
	}
}
