/*-------------------------------------------------------------------------
 *
 * pure/rules/parse.c
 *	  Turns the text of pg_hygiene.rules into rules.
 *
 * Owns: the grammar, and what a user is told about a mistake.  Must not:
 * know PostgreSQL, allocate, raise an error or keep anything between calls.
 * Anyone may call it, in any process.
 *
 *	rules	 := [ rule { ';' rule } [ ';' ] ]
 *	rule	 := selector { selector } ':' setting { ',' setting }
 *	selector := name ( '=' | '!=' ) pattern
 *	setting  := name [ '=' value ]
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
#define EXPECT_NEXT "\",\", \";\" or the end of the rules"

static const PghSettingInfo *
find_setting(const char *at, const char *end)
{
	for (int i = 0; pgh_setting_info[i].name != NULL; i++)
		if (pgh_is_word(at, end, pgh_setting_info[i].name))
			return &pgh_setting_info[i];
	return NULL;
}

/* setting { ',' setting }, up to the rule's end. */
static bool
parse_settings(PghParser *p, PghRule *rule)
{
	for (;;)
	{
		const PghSettingInfo *info;
		const char *end;
		int64_t		value;

		pgh_skip_blanks(p);
		end = pgh_find_word_end(p->at);
		info = find_setting(p->at, end);
		if (info == NULL)
			return pgh_reject(p, p->at, EXPECT_SETTING);
		if (pgh_rule_sets(rule, info->setting))
			return pgh_reject(p, p->at, EXPECT_ONCE);
		p->at = end;
		if (!pgh_parse_value(p, info, &value))
			return false;
		rule->has |= UINT64_C(1) << info->setting;
		rule->value[info->setting] = value;
		pgh_skip_blanks(p);
		if (*p->at == '\0' || *p->at == ';')
			return true;
		if (*p->at != ',')
			return pgh_reject(p, p->at, EXPECT_NEXT);
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
			return pgh_reject_span(p, start, p->at, EXPECT_QUOTE);
		if (*p->at == '"' && *++p->at != '"')
			break;
		if (len < PGH_NAME_LEN)
			buf[len++] = *p->at;
	}
	if (len >= PGH_NAME_LEN)
		return pgh_reject_span(p, start, p->at, EXPECT_SHORT_PATTERN);
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
		return pgh_reject(p, start, EXPECT_ADDRESS);
	while (end > start + 1 && end[-1] == ':')
		end--;
	return pgh_reject_span(p, start, end, EXPECT_ADDRESS);
}

static bool
parse_address(PghParser *p, PghSelector *sel)
{
	const char *start = p->at;
	const char *end = pgh_find_word_end(start);
	char		quoted[PGH_NAME_LEN];

	if (*start == '"')
	{
		if (!read_quoted(p, quoted))
			return false;
		if (!pgh_is_word(quoted, quoted + strlen(quoted), "local"))
		{
			if (pgh_parse_block(quoted, strlen(quoted), sel))
				return true;
			return pgh_reject_span(p, start, p->at, EXPECT_ADDRESS);
		}
	}
	else if (pgh_is_word(start, end, "local"))
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
		return pgh_reject(p, start, EXPECT_PATTERN);
	if (len >= PGH_NAME_LEN)
		return pgh_reject_span(p, start, p->at, EXPECT_SHORT_PATTERN);
	memcpy(sel->pattern, start, len);
	return true;
}

/* The rest of a selector of which p->at is behind the name. */
static bool
parse_selector(PghParser *p, PghSelector *sel)
{
	pgh_skip_blanks(p);
	if (p->at[0] == '!' && p->at[1] == '=')
	{
		sel->negated = true;
		p->at += 2;
	}
	else if (*p->at == '=')
		p->at++;
	else
		return pgh_reject(p, p->at, EXPECT_OPERATOR);
	pgh_skip_blanks(p);
	if (sel->kind == PGH_SELECT_ADDRESS)
		return parse_address(p, sel);
	return parse_pattern(p, sel);
}

static int
find_selector(const char *at, const char *end)
{
	for (int i = 0; i < PGH_N_SELECTOR_KINDS; i++)
		if (pgh_is_word(at, end, pgh_selector_names[i]))
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
	const char *end = pgh_find_word_end(at);
	const char *next = end;

	if (rule->n_selectors == 0)
		return EXPECT_SELECTOR;
	while (pgh_is_blank(*next))
		next++;
	if (!pgh_is_letter(*at) || find_setting(at, end) != NULL)
		return EXPECT_COLON;
	if (*next == '=' || (next[0] == '!' && next[1] == '='))
		return EXPECT_SELECTOR;
	return EXPECT_COLON;
}

/* selector { selector } and the end: ':', which is taken, or '\0' */
static bool
parse_selectors(PghParser *p, PghRule *rule, char behind)
{
	for (;;)
	{
		const char *end;
		int			kind;
		PghSelector *sel;

		pgh_skip_blanks(p);
		if (*p->at == behind && rule->n_selectors > 0)
		{
			p->at += behind != '\0';
			return true;
		}
		end = pgh_find_word_end(p->at);
		kind = find_selector(p->at, end);
		if (kind < 0)
			return pgh_reject(p, p->at, behind == '\0' ? EXPECT_SELECTOR :
							  explain_no_selector(p->at, rule));
		if (rule->n_selectors == PGH_MAX_SELECTORS)
			return pgh_reject(p, p->at, EXPECT_FEWER_SELECTORS);
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

	while (pgh_is_blank(*text))
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
	{
		p->at += PGH_RULES_TEXT_LEN - 1;
		return pgh_reject_span(p, p->at, p->at, EXPECT_SHORT_TEXT);
	}
	pgh_skip_blanks(p);
	while (*p->at != '\0')
	{
		PghRule    *rule = &set->rule[set->n];

		if (*p->at == ';')
			return pgh_reject(p, p->at, EXPECT_RULE);
		if (set->n >= capacity)
			return pgh_reject(p, p->at, EXPECT_FEWER_RULES);
		memset(rule, 0, sizeof(*rule));
		if (!parse_selectors(p, rule, ':') || !parse_settings(p, rule))
			return false;
		set->n++;
		if (*p->at == ';')
			p->at++;
		pgh_skip_blanks(p);
	}
	return true;
}

/*
 * Parse "text", the selectors of one rule and no more, into *rule.  Returns
 * false and fills *error when it is not that; then *rule is undefined.
 */
bool
pgh_selectors_parse(const char *text, PghRule *rule, PghParseError *error)
{
	PghParser	parser = {text, text, error};

	memset(error, 0, sizeof(*error));
	memset(rule, 0, sizeof(*rule));
	return parse_selectors(&parser, rule, '\0');
}
