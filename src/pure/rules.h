/*-------------------------------------------------------------------------
 *
 * pure/rules.h
 *	  pg_hygiene.rules: text to rules, rules to text, who matches which, and
 *	  which limits follow.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, no globals that
 * change, no allocation, no error raised.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_RULES_H
#define PGH_RULES_H

#include "pure/facts.h"

#define PGH_MAX_RULES 256
#define PGH_MAX_SELECTORS 8		/* in one rule */

/* Longest rules text that is accepted, terminator included. */
#define PGH_RULES_TEXT_LEN 65536

typedef enum PghSelectorKind
{
	PGH_SELECT_APPLICATION,
	PGH_SELECT_USER,
	PGH_SELECT_DATABASE,
	PGH_SELECT_ADDRESS
} PghSelectorKind;

typedef struct PghSelector
{
	uint8_t		kind;			/* PghSelectorKind */
	bool		negated;		/* written with != */
	uint8_t		prefix_len;		/* for an address block */
	PghAddress	address;		/* for an address: LOCAL, INET or INET6 */

	/*
	 * For a name: the glob.  Literal '*' and '?' cannot be written; a quoted
	 * pattern is a glob as well.  Within quotes a quote is written twice.
	 */
	char		pattern[PGH_NAME_LEN];
} PghSelector;

/*
 * What a rule can set.  A new one is a line here, or a limit, and its row in
 * rules/words.c.
 */
typedef enum PghRuleSetting
{
	/* 0 .. PGH_N_LIMITS - 1: that PghLimit */
	PGH_RULE_MODE = PGH_N_LIMITS,
	PGH_RULE_IDLE_ACTION,		/* what a limit on an idle transaction ends */
	PGH_RULE_CONNECTIONS,		/* most sessions of this rule together */
	PGH_RULE_RESERVE,			/* slots kept free for them */
	PGH_RULE_CONNECT_RATE,		/* new connections a second; burst the same */
	PGH_RULE_CLIENT_CHECK,		/* core's setting, for new sessions */
	PGH_RULE_EXEMPT,
	PGH_RULE_UNTIL				/* from then on the rule matches nothing */
} PghRuleSetting;
#define PGH_N_RULE_SETTINGS (PGH_RULE_UNTIL + 1)

typedef struct PghRule
{
	uint64_t	has;			/* one bit for each PghRuleSetting */
	uint16_t	n_selectors;

	/*
	 * What it sets: microseconds, a number, the index of a word such as a
	 * PghMode or PghIdleAction, 1 and 0 for on and off, microseconds since
	 * PostgreSQL's epoch for a point in time.  0 where it sets nothing.
	 */
	int64_t		value[PGH_N_RULE_SETTINGS];
	PghSelector selector[PGH_MAX_SELECTORS];
} PghRule;

/*
 * Does every matching rule that sets this hold, instead of the first one?
 * Those count sessions.
 */
static inline bool
pgh_setting_is_cap(int setting)
{
	return setting == PGH_RULE_CONNECTIONS || setting == PGH_RULE_RESERVE ||
		setting == PGH_RULE_CONNECT_RATE;
}

/* Does the rule set this? */
static inline bool
pgh_rule_sets(const PghRule *rule, int setting)
{
	return (rule->has >> setting & 1) != 0;
}

/* Does it ask where a client comes from? */
static inline bool
pgh_rule_has_address(const PghRule *rule)
{
	for (int i = 0; i < rule->n_selectors; i++)
		if (rule->selector[i].kind == PGH_SELECT_ADDRESS)
			return true;
	return false;
}

/*
 * A list of rules.  Flat: it may be copied with memcpy.  The parser leaves
 * "hash" at 0; whoever keeps the list may put one there.
 */
typedef struct PghRuleSet
{
	int32_t		n;
	uint64_t	hash;
	PghRule		rule[];			/* FLEXIBLE_ARRAY_MEMBER */
} PghRuleSet;

#define PGH_RULESET_SIZE(n) \
	(offsetof(PghRuleSet, rule) + (size_t) (n) * sizeof(PghRule))

/* Where and why a text is not a list of rules. */
typedef struct PghParseError
{
	int32_t		position;		/* byte offset from 0 where it went wrong */
	char		expected[160];	/* a phrase after "expected ": one line */
	char		found[48];		/* what stands there, clipped at a character
								 * boundary; "" at the end of the text */
} PghParseError;

/* A set of rules, one bit each, bit i = rule number i + 1. */
typedef struct PghRuleBits
{
	uint64_t	word[PGH_MAX_RULES / 64];
} PghRuleBits;

/*
 * How many rules the text can hold at most, to size the memory for
 * pgh_rules_parse: never more than PGH_MAX_RULES + 1, never fewer than there
 * are.  Quotes are honoured.
 */
extern int32_t pgh_rules_count(const char *text);

/*
 * Parse "text" into "set", which has room for "capacity" rules.  An empty or
 * blank text is an empty list.  Returns false and fills *error when the text
 * is not a list of rules; *set is then undefined.
 */
extern bool pgh_rules_parse(const char *text, PghRuleSet *set,
							int32_t capacity, PghParseError *error);

/*
 * The same for the selectors of a rule without its settings, of which there
 * must be one at least: *rule then matches by them, and sets nothing.
 */
extern bool pgh_selectors_parse(const char *text, PghRule *rule,
								PghParseError *error);

/*
 * Print one rule, its selectors or its settings in the form that parses back
 * to the same thing.  Writes at most "size" bytes including the terminator,
 * never half a UTF-8 character, and ends with "..." when it did not fit.
 * Returns the length that the whole would have.
 */
extern size_t pgh_rule_print_selectors(const PghRule *rule, char *buf,
									   size_t size);
extern size_t pgh_rule_print_settings(const PghRule *rule, char *buf,
									  size_t size);

/* The whole list: "selectors: settings; selectors: settings". */
extern size_t pgh_rules_print(const PghRuleSet *set, char *buf, size_t size);

/*
 * The list with other rules in front of it, where they come first; and without
 * one of its rules, counted from 1.  The caller sees to PGH_MAX_RULES and
 * PGH_RULES_TEXT_LEN.
 */
extern size_t pgh_rules_print_with(const PghRuleSet *set,
								   const PghRuleSet *added,
								   char *buf, size_t size);
extern size_t pgh_rules_print_without(const PghRuleSet *set, int32_t rule,
									  char *buf, size_t size);

/* The shortest way to write a time as PostgreSQL's SHOW does: 90s, 5min. */
extern size_t pgh_print_duration(int64_t microseconds, char *buf, size_t size);

/*
 * Is this rule's time over?  Then it is as if it were not there: nobody may
 * look at its caps either.  "now" counts from PostgreSQL's epoch, here and
 * below.
 */
static inline bool
pgh_rule_is_over(const PghRule *rule, PghTime now)
{
	return pgh_rule_sets(rule, PGH_RULE_UNTIL) &&
		rule->value[PGH_RULE_UNTIL] <= now;
}

/*
 * The next moment after "now" at which a rule ends, PGH_NEVER if none does.
 * Whoever keeps what follows from the rules must find it anew then.
 */
extern PghTime pgh_rules_next_end(const PghRuleSet *set, PghTime now);

/* Does this rule match this identity now? */
extern bool pgh_rule_matches(const PghRule *rule, const PghIdentity *who,
							 PghTime now);

/* Which rules match now: fills *bits, returns how many. */
extern int32_t pgh_rules_match(const PghRuleSet *set, const PghIdentity *who,
							   PghTime now, PghRuleBits *bits);

/*
 * Does one of the rules that match name the application: with a pattern of
 * which more than "*" and "?" is left, and not with "!="?
 */
extern bool pgh_rules_name_application(const PghRuleSet *set,
									   const PghRuleBits *bits);

static inline bool
pgh_bits_test(const PghRuleBits *bits, int32_t i)
{
	return (bits->word[i / 64] >> (i % 64)) & 1;
}

/*
 * The number of the rule that decides about a setting, of those that match:
 * the first that sets it; 0 for the server-wide setting.
 */
extern int32_t pgh_rules_decider(const PghRuleSet *set,
								 const PghRuleBits *bits, int setting);

/*
 * Start from the server-wide limits and let, for each name on its own, the
 * first matching rule that sets it decide.
 */
extern void pgh_rules_resolve(const PghRuleSet *set, const PghRuleBits *bits,
							  const PghLimits *server_wide, PghLimits *out);

/* ----------
 * What may be a mistake in rules that can be read
 * ----------
 */

/*
 * Of the rules before this one, counted from 1, the first because of which it
 * has no effect: that one matches whoever this one matches, and decides about
 * all that this one sets.  0 if there is none, or none that can be told from
 * the patterns alone.
 */
extern int32_t pgh_rules_hider(const PghRuleSet *set, int32_t rule,
							   PghTime now);

/*
 * Has the default rule, "application=pg_dump: exempt", been lost?  That is,
 * there are rules, and none that speaks of "exempt" has an application that
 * is pg_dump.
 */
extern bool pgh_rules_lack_default(const PghRuleSet *set, PghTime now);

/* Is it the name of one role or database, so that one can ask for it? */
extern bool pgh_selector_is_name(const PghSelector *sel);

#endif							/* PGH_RULES_H */
