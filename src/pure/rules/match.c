/*-------------------------------------------------------------------------
 *
 * pure/rules/match.c
 *	  Which rules a session matches, and which limits follow.
 *
 * Owns: the meaning of a pattern, and the reading order of the rules.  Must
 * not: parse or print, allocate, or keep anything between calls.  Anyone may
 * call it, in any process; the work for a glob is bounded by the product of
 * two names' lengths, whatever it is.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/rules.h"
#include "pure/rules/internal.h"

/*
 * How far a '?' goes.  A byte that begins no character, as in a name from a
 * database with another encoding, counts for itself.
 */
static size_t
step_length(const char *s)
{
	const size_t length = pgh_character_length(s, 4);

	return length > 0 ? length : 1;
}

/*
 * Go through both once.  When a match behind '*' fails, only the last '*'
 * need take one character more: what an earlier one could take besides, the
 * last one can take as well.  If the name is a glob itself, its '*' stands for
 * any characters or none, so only a '*' can take it.
 */
static inline bool
walk_glob(const char *glob, const char *name, bool name_is_glob)
{
	const char *star = NULL;	/* behind the last '*' seen */
	const char *retry = NULL;	/* where the text behind it was tried */

	while (*name != '\0')
	{
		if (*glob == '*')
		{
			star = ++glob;
			retry = name;
		}
		else if (*glob == '?' && !(name_is_glob && *name == '*'))
		{
			glob++;
			name += step_length(name);
		}
		else if (*glob == *name)
		{
			glob++;
			name++;
		}
		else if (star != NULL)
		{
			glob = star;
			retry += step_length(retry);
			name = retry;
		}
		else
			return false;
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}

bool
pgh_glob_matches(const char *glob, const char *name)
{
	return walk_glob(glob, name, false);
}

static bool
is_utf8(const char *s)
{
	while (*s != '\0')
	{
		const size_t length = pgh_character_length(s, 4);

		if (length == 0)
			return false;
		s += length;
	}
	return true;
}

/*
 * A name is cut into characters from its beginning on.  A pattern that is no
 * text could match a part of one, so nothing is said about it.
 */
bool
pgh_glob_covers(const char *glob, const char *other)
{
	return strcmp(glob, other) == 0 ||
		(is_utf8(glob) && is_utf8(other) && walk_glob(glob, other, true));
}

/* Do the first "bits" bits agree? */
static bool
same_prefix(const uint8_t *a, const uint8_t *b, int bits)
{
	int			whole = bits / 8;

	if (memcmp(a, b, (size_t) whole) != 0)
		return false;
	return bits % 8 == 0 || ((a[whole] ^ b[whole]) >> (8 - bits % 8)) == 0;
}

bool
pgh_block_covers(const PghSelector *outer, const PghSelector *inner)
{
	if (outer->address.family != inner->address.family)
		return false;
	return outer->address.family == PGH_ADDRESS_LOCAL ||
		(outer->prefix_len <= inner->prefix_len &&
		 same_prefix(outer->address.bytes, inner->address.bytes,
					 outer->prefix_len));
}

/* Is this client in the selector's block?  An unknown one is in none. */
static bool
address_matches(const PghSelector *sel, const PghAddress *address)
{
	const uint8_t *bytes = address->bytes;

	if (sel->address.family == PGH_ADDRESS_LOCAL)
		return address->family == PGH_ADDRESS_LOCAL;
	if (sel->address.family != address->family)
	{
		/* a server that listens on IPv6 may see an IPv4 client like this */
		bytes = pgh_find_mapped_inet(address);
		if (bytes == NULL || sel->address.family != PGH_ADDRESS_INET)
			return false;
	}
	return same_prefix(sel->address.bytes, bytes, sel->prefix_len);
}

static bool
selector_matches(const PghSelector *sel, const PghIdentity *who)
{
	switch ((PghSelectorKind) sel->kind)
	{
		case PGH_SELECT_APPLICATION:
			return pgh_glob_matches(sel->pattern, who->application);
		case PGH_SELECT_USER:
			return pgh_glob_matches(sel->pattern, who->user);
		case PGH_SELECT_DATABASE:
			return pgh_glob_matches(sel->pattern, who->database);
		case PGH_SELECT_ADDRESS:
			return address_matches(sel, &who->address);
	}
	return false;
}

PghTime
pgh_rules_next_end(const PghRuleSet *set, PghTime now)
{
	PghTime		next = PGH_NEVER;

	for (int32_t i = 0; i < set->n; i++)
	{
		const PghRule *rule = &set->rule[i];

		if (pgh_rule_sets(rule, PGH_RULE_UNTIL) &&
			rule->value[PGH_RULE_UNTIL] > now &&
			rule->value[PGH_RULE_UNTIL] < next)
			next = rule->value[PGH_RULE_UNTIL];
	}
	return next;
}

/*
 * Does this rule match this identity, that is, do all its selectors, and has
 * it not ended?  "!=" matches whatever "=" would not, an unknown address
 * included.
 */
bool
pgh_rule_matches(const PghRule *rule, const PghIdentity *who, PghTime now)
{
	if (pgh_rule_is_over(rule, now))
		return false;
	for (int i = 0; i < rule->n_selectors; i++)
	{
		const PghSelector *sel = &rule->selector[i];

		if (selector_matches(sel, who) == sel->negated)
			return false;
	}
	return true;
}

/* Which rules match this identity: fills *bits, returns how many. */
int32_t
pgh_rules_match(const PghRuleSet *set, const PghIdentity *who, PghTime now,
				PghRuleBits *bits)
{
	int32_t		n = 0;

	memset(bits, 0, sizeof(*bits));
	for (int32_t i = 0; i < set->n; i++)
	{
		if (pgh_rule_matches(&set->rule[i], who, now))
		{
			bits->word[i / 64] |= UINT64_C(1) << (i % 64);
			n++;
		}
	}
	return n;
}

/* Is it about some applications and not about others, which it leaves out? */
static bool
names_application(const PghRule *rule)
{
	for (int i = 0; i < rule->n_selectors; i++)
	{
		const PghSelector *sel = &rule->selector[i];

		if (sel->kind == PGH_SELECT_APPLICATION && !sel->negated &&
			sel->pattern[strspn(sel->pattern, "*?")] != '\0')
			return true;
	}
	return false;
}

bool
pgh_rules_name_application(const PghRuleSet *set, const PghRuleBits *bits)
{
	for (int32_t i = 0; i < set->n; i++)
		if (pgh_bits_test(bits, i) && names_application(&set->rule[i]))
			return true;
	return false;
}

int32_t
pgh_rules_decider(const PghRuleSet *set, const PghRuleBits *bits, int setting)
{
	for (int32_t i = 0; i < set->n; i++)
		if (pgh_bits_test(bits, i) && pgh_rule_sets(&set->rule[i], setting))
			return i + 1;
	return 0;
}

/*
 * Let rule number "number" set what no rule before it has set; *decided has
 * the bits of what they have.
 */
static void
apply_rule(const PghRule *rule, uint16_t number, uint64_t *decided,
		   PghLimits *out)
{
	const uint64_t has = rule->has & ~*decided;

	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		if (has >> i & 1)
		{
			out->value[i] = rule->value[i];
			out->rule[i] = number;
		}
	}
	if (has >> PGH_RULE_MODE & 1)
	{
		out->mode = (PghMode) rule->value[PGH_RULE_MODE];
		out->mode_rule = number;
	}
	if (has >> PGH_RULE_IDLE_ACTION & 1)
	{
		out->idle_action = (PghIdleAction) rule->value[PGH_RULE_IDLE_ACTION];
		out->idle_action_rule = number;
	}
	if ((has >> PGH_RULE_EXEMPT & 1) && rule->value[PGH_RULE_EXEMPT] != 0)
		out->exempt_rule = number;
	*decided |= has;
}

/*
 * The limits that hold for a session that matches the rules in *bits: those
 * of *server_wide, save where a rule sets them; of several rules the first
 * one decides, for each name on its own.  Units are those of PghLimits.
 * Caps, reserves and rates are not here: every matching rule's holds.  Of
 * exempt_rule nothing is left when the first rule that speaks of "exempt" says
 * "off".
 */
void
pgh_rules_resolve(const PghRuleSet *set, const PghRuleBits *bits,
				  const PghLimits *server_wide, PghLimits *out)
{
	uint64_t	decided = 0;

	*out = *server_wide;
	memset(out->rule, 0, sizeof(out->rule));
	out->mode_rule = 0;
	out->idle_action_rule = 0;
	out->exempt_rule = 0;
	for (int32_t i = 0; i < set->n; i++)
	{
		if (pgh_bits_test(bits, i))
			apply_rule(&set->rule[i], (uint16_t) (i + 1), &decided, out);
	}
}
