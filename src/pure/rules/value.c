/*-------------------------------------------------------------------------
 *
 * pure/rules/value.c
 *	  What stands behind the "=" of a rule's setting.
 *
 * Owns: the notation and the ranges of durations, numbers and words.  Must not:
 * know which setting is which beyond its row in words.c.  For parse.c only.
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

#define EXPECT_EQUALS "\"=\""
#define EXPECT_RANGE "a duration from 0 to 2147483647ms (24 days)"
#define EXPECT_UNIT "a unit: us, ms, s, min, h or d"

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
		return pgh_reject(p, start, EXPECT_RANGE);
	if (!pgh_is_digit(start[*start == '.' ? 1 : 0]))
		return pgh_reject(p, start, info->expected);
	whole = read_digits(p);
	if (*p->at == '.')
	{
		p->at++;
		fraction = read_fraction(p);
	}
	pgh_skip_blanks(p);
	if (pgh_is_letter(*p->at))
	{
		size_t		len = (size_t) (pgh_find_word_end(p->at) - p->at);

		for (unit = 0; unit < PGH_N_DURATION_UNITS; unit++)
			if (strlen(pgh_duration_units[unit].name) == len &&
				memcmp(pgh_duration_units[unit].name, p->at, len) == 0)
				break;
		if (unit == PGH_N_DURATION_UNITS)
			return pgh_reject(p, p->at, EXPECT_UNIT);
		p->at += len;
	}
	ms = round_to_ms(whole, fraction, pgh_duration_units[unit].num,
					 pgh_duration_units[unit].den);
	if (ms > MAX_MS)
		return pgh_reject(p, start, EXPECT_RANGE);
	*value = ms * 1000;
	return true;
}

/* A whole number up to the setting's largest. */
static bool
parse_number(PghParser *p, const PghSettingInfo *info, int64_t *value)
{
	const char *start = p->at;

	*value = read_digits(p);
	if (p->at == start || p->at != pgh_find_word_end(start) ||
		*value > info->max)
		return pgh_reject(p, start, info->expected);
	return true;
}

static bool
parse_word(PghParser *p, const PghSettingInfo *info, int64_t *value)
{
	const char *end = pgh_find_word_end(p->at);

	for (int i = 0; info->words[i] != NULL; i++)
	{
		if (pgh_is_word(p->at, end, info->words[i]))
		{
			*value = i;
			p->at = end;
			return true;
		}
	}
	return pgh_reject(p, p->at, info->expected);
}

bool
pgh_parse_value(PghParser *p, const PghSettingInfo *info, int64_t *value)
{
	pgh_skip_blanks(p);
	if (*p->at != '=')
	{
		*value = 1;
		return info->type == PGH_VALUE_FLAG ||
			pgh_reject(p, p->at, EXPECT_EQUALS);
	}
	p->at++;
	pgh_skip_blanks(p);
	switch (info->type)
	{
		case PGH_VALUE_DURATION:
			return parse_duration(p, info, value);
		case PGH_VALUE_NUMBER:
			return parse_number(p, info, value);
		case PGH_VALUE_MOMENT:
			return pgh_parse_moment(p, value);
		case PGH_VALUE_WORD:
		case PGH_VALUE_FLAG:
			break;
	}
	return parse_word(p, info, value);
}
