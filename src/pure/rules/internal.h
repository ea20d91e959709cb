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
#include "pure/text.h"

/* What a setting's value looks like. */
typedef enum PghValueType
{
	PGH_VALUE_DURATION,			/* 30s, 1.5min; kept in microseconds */
	PGH_VALUE_NUMBER,			/* a whole number */
	PGH_VALUE_WORD,				/* one of a few; kept as its index */
	PGH_VALUE_FLAG,				/* on, which goes without saying, or off */
	PGH_VALUE_MOMENT			/* 2026-11-24T08:00Z; microseconds since
								 * PostgreSQL's epoch */
} PghValueType;

typedef struct PghSettingInfo
{
	const char *name;
	PghRuleSetting setting;		/* or the PghLimit that it is */
	PghValueType type;
	int64_t		max;			/* of a number */
	const char *const *words;	/* of a word or flag; NULL behind the last */
	const char *expected;		/* what to say when the value is wrong */
} PghSettingInfo;

/* In the order in which the settings are printed; ends with a NULL name. */
extern const PghSettingInfo pgh_setting_info[];

/* Indexed by PghSelectorKind. */
#define PGH_N_SELECTOR_KINDS (PGH_SELECT_ADDRESS + 1)
extern const char *const pgh_selector_names[PGH_N_SELECTOR_KINDS];

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
 * address.c: exactly "len" bytes as an address or a block into *sel, false if
 * they are none; and back.
 */
extern bool pgh_parse_block(const char *s, size_t len, PghSelector *sel);
extern void pgh_put_block(PghOutput *out, const PghSelector *sel);

typedef struct PghParser
{
	const char *text;
	const char *at;				/* the next byte to read */
	PghParseError *error;
} PghParser;

/* input.c: steps over blanks. */
extern void pgh_skip_blanks(PghParser *p);

/* The end of the keyword or value that starts here; at least one byte. */
extern const char *pgh_find_word_end(const char *at);

/*
 * Record that the bytes from at to end are not what was expected; of them
 * only what fits on the line of a message.  Returns false.
 */
extern bool pgh_reject_span(PghParser *p, const char *at, const char *end,
							const char *expected);

/* The same for the word that starts at "at". */
extern bool pgh_reject(PghParser *p, const char *at, const char *expected);

/*
 * value.c: the "= value" of a setting, or nothing for a flag that is on; false
 * after a complaint.
 */
extern bool pgh_parse_value(PghParser *p, const PghSettingInfo *info,
							int64_t *value);

/* moment.c: a moment that is next, false after a complaint; and back. */
extern bool pgh_parse_moment(PghParser *p, int64_t *moment);
extern void pgh_put_moment(PghOutput *out, int64_t moment);

/* Does this character end a pattern that has no quotes? */
static inline bool
pgh_ends_pattern(char c)
{
	return c == '\0' || pgh_is_blank(c) || strchr(";:,=\"", c) != NULL;
}

/* match.c: does this name match the glob? */
extern bool pgh_glob_matches(const char *glob, const char *name);

/*
 * Does "glob" match every name that "other" matches?  False also where that
 * cannot be told by going through both once.
 */
extern bool pgh_glob_covers(const char *glob, const char *other);

/* Is every address of the block "inner", or "local", in "outer"? */
extern bool pgh_block_covers(const PghSelector *outer,
							 const PghSelector *inner);

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
