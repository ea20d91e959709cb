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
 * Does this name match the glob?  When a match behind '*' fails, only the
 * last '*' need take one character more: what an earlier one could take
 * besides, the last one can take as well.
 */
static bool
glob_matches(const char *glob, const char *name)
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
		else if (*glob == '?')
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

/* Do the first "bits" bits agree? */
static bool
same_prefix(const uint8_t *a, const uint8_t *b, int bits)
{
	int			whole = bits / 8;

	if (memcmp(a, b, (size_t) whole) != 0)
		return false;
	return bits % 8 == 0 || ((a[whole] ^ b[whole]) >> (8 - bits % 8)) == 0;
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
			return glob_matches(sel->pattern, who->application);
		case PGH_SELECT_USER:
			return glob_matches(sel->pattern, who->user);
		case PGH_SELECT_DATABASE:
			return glob_matches(sel->pattern, who->database);
		case PGH_SELECT_ADDRESS:
			return address_matches(sel, &who->address);
	}
	return false;
}

/*
 * Does this rule match this identity, that is, do all its selectors?  "!="
 * matches whatever "=" would not, an unknown address included.
 */
bool
pgh_rule_matches(const PghRule *rule, const PghIdentity *who)
{
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
pgh_rules_match(const PghRuleSet *set, const PghIdentity *who,
				PghRuleBits *bits)
{
	int32_t		n = 0;

	memset(bits, 0, sizeof(*bits));
	for (int32_t i = 0; i < set->n; i++)
	{
		if (pgh_rule_matches(&set->rule[i], who))
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

/* Let rule number "number" set what no rule before it has set. */
static void
apply_rule(const PghRule *rule, uint16_t number, PghLimits *out)
{
	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		if (pgh_rule_sets(rule, i) && out->rule[i] == 0)
		{
			out->value[i] = rule->value[i];
			out->rule[i] = number;
		}
	}
	if (pgh_rule_sets(rule, PGH_RULE_MODE) && out->mode_rule == 0)
	{
		out->mode = (PghMode) rule->value[PGH_RULE_MODE];
		out->mode_rule = number;
	}
	if (pgh_rule_sets(rule, PGH_RULE_EXEMPT) && out->exempt_rule == 0)
		out->exempt_rule = number;
}

/*
 * The limits that hold for a session that matches the rules in *bits: those
 * of *server_wide, save where a rule sets them; of several rules the first
 * one decides, for each name on its own.  Units are those of PghLimits.
 * Caps, reserves and rates are not here: every matching rule's holds.
 */
void
pgh_rules_resolve(const PghRuleSet *set, const PghRuleBits *bits,
				  const PghLimits *server_wide, PghLimits *out)
{
	*out = *server_wide;
	memset(out->rule, 0, sizeof(out->rule));
	out->mode_rule = 0;
	out->exempt_rule = 0;
	for (int32_t i = 0; i < set->n; i++)
	{
		if (pgh_bits_test(bits, i))
			apply_rule(&set->rule[i], (uint16_t) (i + 1), out);
	}
}
