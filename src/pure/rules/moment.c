/*-------------------------------------------------------------------------
 *
 * pure/rules/moment.c
 *	  Moments of pg_hygiene.rules: text as in RFC 3339 to microseconds and
 *	  back.
 *
 * Owns: the calendar, which is the Gregorian one without leap seconds, and the
 * offsets from UTC.  Must not: know a time zone by name, or the server's own
 * setting: a rule must end at the same moment wherever it is read.  For
 * value.c and print.c only.
 *
 *	moment := YYYY-MM-DD 'T' HH:MM [ ':' SS [ '.' digits ] ] offset
 *	offset := 'Z' | ( '+' | '-' ) HH:MM
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/rules.h"
#include "pure/rules/internal.h"

#define EXPECT_MOMENT "a time such as 2026-11-24T08:00Z or 2026-11-24T10:00+02:00"
#define EXPECT_CALENDAR "a time that exists, in the years 2000 to 9999"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define DAY (24 * 60 * MINUTE)

/* Years that are written: PostgreSQL's epoch is the first moment of these. */
#define FIRST_YEAR 2000
#define LAST_YEAR 9999

/* What a text says, before it is asked whether there is such a moment. */
typedef struct Fields
{
	int			year;
	int			month;
	int			day;
	int			hour;
	int			minute;
	int			second;
	int64_t		fraction;		/* microseconds */
	int			offset_hour;
	int			offset_minute;
	bool		ahead;			/* of UTC, by the offset */
} Fields;

/* ----------
 * The calendar
 * ----------
 */

/* Days from the first day of the year 1 to that of this one. */
static int64_t
days_before_year(int year)
{
	const int64_t n = year - 1;

	return n * 365 + n / 4 - n / 100 + n / 400;
}

static int
days_of_month(int year, int month)
{
	static const int8_t days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};
	const bool	leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

/* Days since PostgreSQL's epoch. */
static int64_t
days_before(int year, int month)
{
	int64_t		days = days_before_year(year) - days_before_year(FIRST_YEAR);

	for (int i = 1; i < month; i++)
		days += days_of_month(year, i);
	return days;
}

static bool
make_moment(const Fields *f, int64_t *moment)
{
	int64_t		offset = (f->offset_hour * 60 + f->offset_minute) * MINUTE;

	if (f->year < FIRST_YEAR || f->month < 1 || f->month > 12 ||
		f->day < 1 || f->day > days_of_month(f->year, f->month) ||
		f->hour > 23 || f->minute > 59 || f->second > 59 ||
		f->offset_hour > 23 || f->offset_minute > 59)
		return false;
	*moment = (days_before(f->year, f->month) + f->day - 1) * DAY +
		(f->hour * 60 + f->minute) * MINUTE +
		f->second * SECOND + f->fraction - (f->ahead ? offset : -offset);
	return *moment >= 0 && *moment < days_before(LAST_YEAR + 1, 1) * DAY;
}

/* ----------
 * Reading
 * ----------
 */

static bool
take_char(const char **at, char c)
{
	if (pgh_to_lower(**at) != c)
		return false;
	++*at;
	return true;
}

/* Exactly so many digits. */
static bool
take_digits(const char **at, int digits, int *value)
{
	*value = 0;
	for (; digits > 0; digits--, ++*at)
	{
		if (!pgh_is_digit(**at))
			return false;
		*value = *value * 10 + (**at - '0');
	}
	return true;
}

/* The seconds and a fraction of one, if they are there. */
static bool
take_seconds(const char **at, Fields *f)
{
	int64_t		weight = SECOND / 10;

	if (!take_char(at, ':'))
		return true;
	if (!take_digits(at, 2, &f->second))
		return false;
	if (!take_char(at, '.'))
		return true;
	if (!pgh_is_digit(**at))
		return false;
	for (; pgh_is_digit(**at); ++*at, weight /= 10)
		f->fraction += (**at - '0') * weight;
	return true;
}

static bool
take_offset(const char **at, Fields *f)
{
	if (take_char(at, 'z'))
		return true;
	f->ahead = **at == '+';
	return (take_char(at, '+') || take_char(at, '-')) &&
		take_digits(at, 2, &f->offset_hour) && take_char(at, ':') &&
		take_digits(at, 2, &f->offset_minute);
}

static bool
take_moment(const char **at, Fields *f)
{
	return take_digits(at, 4, &f->year) && take_char(at, '-') &&
		take_digits(at, 2, &f->month) && take_char(at, '-') &&
		take_digits(at, 2, &f->day) && take_char(at, 't') &&
		take_digits(at, 2, &f->hour) && take_char(at, ':') &&
		take_digits(at, 2, &f->minute) &&
		take_seconds(at, f) && take_offset(at, f);
}

/* A colon is a part of the value here, unlike anywhere else. */
static const char *
find_value_end(const char *at)
{
	while (*at != '\0' && !pgh_is_blank(*at) && *at != ',' && *at != ';')
		at++;
	return at;
}

bool
pgh_parse_moment(PghParser *p, int64_t *moment)
{
	const char *start = p->at;
	const char *end = find_value_end(start);
	Fields		fields;

	memset(&fields, 0, sizeof(fields));
	if (!take_moment(&p->at, &fields) || p->at != end)
		return pgh_reject_span(p, start, end, EXPECT_MOMENT);
	if (!make_moment(&fields, moment))
		return pgh_reject_span(p, start, end, EXPECT_CALENDAR);
	return true;
}

/* ----------
 * Writing
 * ----------
 */

static void
put_field(PghOutput *out, char before, int64_t value)
{
	pgh_put_char(out, before);
	pgh_put_number(out, (uint64_t) value, 10, 2);
}

/* Seconds and their fraction, where there are any. */
static void
put_seconds(PghOutput *out, int64_t microseconds)
{
	int64_t		fraction = microseconds % SECOND;
	int			digits = 6;

	if (microseconds == 0)
		return;
	put_field(out, ':', microseconds / SECOND);
	if (fraction == 0)
		return;
	for (; fraction % 10 == 0; fraction /= 10)
		digits--;
	pgh_put_char(out, '.');
	pgh_put_number(out, (uint64_t) fraction, 10, digits);
}

/* In UTC, to the minute if that is exact. */
void
pgh_put_moment(PghOutput *out, int64_t moment)
{
	const int64_t days = moment / DAY;
	const int64_t of_day = moment % DAY;
	int			year = FIRST_YEAR + (int) (days / 366);
	int			month = 1;

	while (days_before(year + 1, 1) <= days)
		year++;
	while (month < 12 && days_before(year, month + 1) <= days)
		month++;
	pgh_put_number(out, (uint64_t) year, 10, 4);
	put_field(out, '-', month);
	put_field(out, '-', days - days_before(year, month) + 1);
	put_field(out, 'T', of_day / (60 * MINUTE));
	put_field(out, ':', of_day / MINUTE % 60);
	put_seconds(out, of_day % MINUTE);
	pgh_put_char(out, 'Z');
}
