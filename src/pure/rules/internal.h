/*-------------------------------------------------------------------------
 *
 * pure/rules/internal.h
 *	  What the files of this folder share.
 *
 * Owns: the names a rule can use, so that the parser and the printer cannot
 * disagree.  Must not: be included by any other file; rules.h is the
 * interface.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_RULES_INTERNAL_H
#define PGH_RULES_INTERNAL_H

#include <string.h>

#include "pure/rules.h"

/* What a setting's value looks like. */
typedef enum PghValueType
{
	PGH_VALUE_DURATION,			/* 30s, 1.5min; kept in microseconds */
	PGH_VALUE_NUMBER,			/* a whole number */
	PGH_VALUE_MODE,				/* enforce, observe, off */
	PGH_VALUE_NONE				/* the name alone says it */
} PghValueType;

typedef struct PghSettingInfo
{
	const char *name;
	PghRuleSetting setting;		/* its bit in PghRule.has */
	PghValueType type;
	int64_t		max;			/* for a number, the largest */
	const char *expected;		/* what to say when the value is wrong */
} PghSettingInfo;

/* In the order in which the settings are printed; ends with a NULL name. */
extern const PghSettingInfo pgh_setting_info[];

/* Indexed by PghSelectorKind. */
#define PGH_N_SELECTOR_KINDS (PGH_SELECT_ADDRESS + 1)
extern const char *const pgh_selector_names[PGH_N_SELECTOR_KINDS];

/* Indexed by PghMode. */
#define PGH_N_MODES (PGH_MODE_OFF + 1)
extern const char *const pgh_mode_names[PGH_N_MODES];

/* A unit of time, num / den milliseconds; the smallest comes first. */
typedef struct PghDurationUnit
{
	const char *name;
	int64_t		num;
	int64_t		den;
} PghDurationUnit;

#define PGH_N_DURATION_UNITS 6
#define PGH_UNIT_MS 1			/* its index, for a number without a unit */
extern const PghDurationUnit pgh_duration_units[PGH_N_DURATION_UNITS];

/*
 * Longest block as text, without terminator: six groups, a dotted quad and
 * "/128".
 */
#define PGH_BLOCK_TEXT_LEN 49

/*
 * rules_address.c: exactly "len" bytes as an address or a block into *sel,
 * false if they are none; and back, returning the length without terminator.
 */
extern bool pgh_parse_block(const char *s, size_t len, PghSelector *sel);
extern size_t pgh_print_block(const PghSelector *sel,
							  char buf[PGH_BLOCK_TEXT_LEN + 1]);

/* White space between tokens: what PostgreSQL's own scanner takes for it. */
static inline bool
pgh_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool
pgh_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Does this character end a pattern that has no quotes? */
static inline bool
pgh_ends_pattern(char c)
{
	return c == '\0' || pgh_is_space(c) || strchr(";:,=\"", c) != NULL;
}

/*
 * The largest length up to "len" that does not cut a UTF-8 character of "s"
 * in two.  s[len] must be readable.  Text that is not UTF-8 is cut anywhere.
 */
static inline size_t
pgh_clip_length(const char *s, size_t len)
{
	size_t		cut = len;

	while (cut > 0 && len - cut < 3 && ((uint8_t) s[cut] & 0xC0) == 0x80)
		cut--;
	return cut;
}

/* The IPv4 address within an IPv6 one of the form ::ffff:a.b.c.d, or NULL. */
static inline const uint8_t *
pgh_find_mapped_inet(const PghAddress *address)
{
	static const uint8_t prefix[12] = {[10] = 0xFF,[11] = 0xFF};

	if (address->family != PGH_ADDRESS_INET6 ||
		memcmp(address->bytes, prefix, sizeof(prefix)) != 0)
		return NULL;
	return address->bytes + sizeof(prefix);
}

#endif							/* PGH_RULES_INTERNAL_H */
