/*-------------------------------------------------------------------------
 *
 * pure/family.c
 *	  The family of an application name: the name with "*" for each part that
 *	  varies from one process of a program to the next.
 *
 * Owns: which parts those are.  Must not: know how many names a family has,
 * nor when it becomes one application.  Anyone may call it, by
 * application_name.h.
 *
 * A part too many costs little, for only the ninth name of a family makes one
 * application of them; a part too few lets a leak with a number in its names
 * pass for as many programs.  So in doubt a part varies.  In detail:
 *
 * - Digits: each run of 0..9.  "web-12-host-7" -> "web-*-host-*",
 *   "service-v2" -> "service-v*", "4711" -> "*".
 * - A UUID, in either case, whatever stands before or behind it.
 * - Hexadecimal digits, in either case: each run of eight or more of which
 *   one at least is 0..9, so "deadbeef" and "facade" are words.  The run may
 *   touch a word ("orders5f3a9c2e" -> "orders*").  As a word may end or begin
 *   with a..f, a run of which digits only are left without these letters is a
 *   word with a number: "node123456" -> "node*".
 * - A Kubernetes suffix, where no letter, digit or "*" follows it: "-" and 8
 *   to 10 of its alphabet (a ReplicaSet's hash) or of 0..9 (a CronJob's
 *   minute), then "-" and five of the alphabet: "orders-7d9f8b6c5-x2x7k" ->
 *   "orders-*".  Five alone (the pod of a DaemonSet or Job) are one at the end
 *   of the name if they have a digit, as four in five have: "orders-x2x7k" ->
 *   "orders-*", but "orders-https" is a word.
 * - "*" itself.  So "orders-*" is of the family that is called like it.
 *
 * Parts that touch are one "*".  What was cut off the end of a name of
 * PGH_NAME_LEN - 1 bytes counts as found: a UUID or a hexadecimal run may end
 * there early, and the suffix as well.  Kubernetes, too, cuts names, to 63
 * bytes, in front of the last five characters: "-7d9f8x2x7k".
 *
 * Since version 16 PostgreSQL writes a byte that is not ASCII as \xNN, which
 * is a letter here, though it has digits; or else "ä" and "ö" were the same.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/application_name.h"
#include "pure/text.h"

#define HEXADECIMAL PGH_HEX_DIGITS "ABCDEF"

/* What Kubernetes makes random names of: no vowels, nor what looks like one. */
#define KUBERNETES "bcdfghjklmnpqrstvwxz2456789"

/* The shortest run of hexadecimal digits that varies, and a UUID's first. */
#define HEX_RUN 8

typedef struct Scan
{
	const char *at;				/* what comes next */
	bool		cut;			/* something may be missing at the end */
	bool		in_word;		/* the byte before "at" was a letter */
	char	   *out;			/* PGH_NAME_LEN bytes */
	size_t		used;
	bool		varies;			/* a part was found */
} Scan;

static bool
is_one_of(const char *set, char c)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* Of a word, in any alphabet. */
static bool
is_of_word(char c)
{
	return pgh_is_letter(c) || pgh_is_high(c);
}

static bool
has_digit(const char *s, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (pgh_is_digit(s[i]))
			return true;
	return false;
}

/* May something have been cut off here? */
static bool
at_cut(const Scan *scan, const char *at)
{
	return scan->cut && *at == '\0';
}

/* ----------
 * Writing
 * ----------
 */

/* The next "length" bytes vary. */
static void
write_star(Scan *scan, size_t length)
{
	if (scan->used == 0 || scan->out[scan->used - 1] != '*')
		scan->out[scan->used++] = '*';
	scan->at += length;
	scan->in_word = false;
	scan->varies = true;
}

/* The next "length" bytes stay. */
static void
write_same(Scan *scan, size_t length)
{
	memcpy(scan->out + scan->used, scan->at, length);
	scan->used += length;
	scan->at += length;
	scan->in_word = is_of_word(scan->at[-1]);
}

/* ----------
 * What varies
 * ----------
 */

/*
 * How many bytes a UUID has whose first group is at "at", 0 if there is none.
 */
static size_t
uuid_length(const Scan *scan, const char *at)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t		i;

	for (i = 0; shape[i] != '\0' && !at_cut(scan, at + i); i++)
	{
		if (shape[i] == '-' ? at[i] != '-' : !is_one_of(HEXADECIMAL, at[i]))
			return 0;
	}
	return i;
}

/*
 * Are these hexadecimal digits one part?  Letters at an end that touches a
 * word may be the word's; then there must be one among what is left.
 */
static bool
is_hex_run(const Scan *scan, size_t length)
{
	const char *from = scan->at;
	const char *to = scan->at + length;

	if (length < HEX_RUN && !at_cut(scan, to))
		return false;
	if (!scan->in_word && !is_of_word(*to))
		return has_digit(from, length);
	while (scan->in_word && from < to && !pgh_is_digit(*from))
		from++;
	while (is_of_word(*to) && from < to && !pgh_is_digit(to[-1]))
		to--;
	return strspn(from, PGH_DIGITS) < (size_t) (to - from);
}

/* Digits vary, letters stay; each step takes some, so none is seen twice. */
static void
write_short_run(Scan *scan, size_t length)
{
	const char *end = scan->at + length;

	while (scan->at < end)
	{
		size_t		digits = strspn(scan->at, PGH_DIGITS);

		if (digits > 0)
			write_star(scan, digits);
		else
			write_same(scan, 1);
	}
}

static void
scan_hexadecimal(Scan *scan)
{
	size_t		run = strspn(scan->at, HEXADECIMAL);
	size_t		before = run < HEX_RUN ? 0 : run - HEX_RUN;
	size_t		uuid = uuid_length(scan, scan->at + before);

	if (uuid > HEX_RUN)
	{
		/* Letters that touch it are the end of a word. */
		if (has_digit(scan->at, before))
			uuid += before;
		else if (before > 0)
			write_same(scan, before);
		write_star(scan, uuid);
	}
	else if (is_hex_run(scan, run))
		write_star(scan, run);
	else
		write_short_run(scan, run);
}

/* How many bytes a Kubernetes suffix has that begins here, 0 if none does. */
static size_t
suffix_length(const Scan *scan)
{
	const char *at = scan->at + 1;
	size_t		run = strspn(at, KUBERNETES);
	size_t		hash = run;

	/* At the end: five alone, or with what is left of the hash. */
	if (at[run] == '\0' && has_digit(at, run) &&
		(run == 5 || (scan->cut && run > 5 && run <= 10 + 5)))
		return 1 + run;
	if (at[hash] != '-')
		hash = strspn(at, PGH_DIGITS);
	if (hash < 8 || hash > 10 || at[hash] != '-')
		return 0;
	at += hash + 1;
	run = strspn(at, KUBERNETES);
	if (!at_cut(scan, at + run) && run != 5)
		return 0;
	if (run > 5 || is_one_of(PGH_DIGITS "*", at[run]) || is_of_word(at[run]))
		return 0;
	return 1 + hash + 1 + run;
}

/* ----------
 * What stays
 * ----------
 */

/*
 * How many bytes a byte has that PostgreSQL wrote as \xNN, 0 if it is none.
 * The last one of a name may have been cut; it stays what it is then in the
 * family, which may be shorter, so this is not asked of the name.
 */
static size_t
escape_length(const char *at)
{
	size_t		digits;

	if (at[0] != '\\' || at[1] != 'x')
		return 0;
	digits = strspn(at + 2, HEXADECIMAL);
	if (digits >= 2)
		return 4;
	return at[2 + digits] == '\0' ? 2 + digits : 0;
}

/* ----------
 * All of it
 * ----------
 */

static void
scan_next(Scan *scan)
{
	size_t		length;

	if (is_one_of(HEXADECIMAL, *scan->at))
		scan_hexadecimal(scan);
	else if (*scan->at == '*')
		write_star(scan, 1);
	else if (*scan->at == '-' && (length = suffix_length(scan)) > 0)
	{
		write_same(scan, 1);
		write_star(scan, length - 1);
	}
	else if ((length = escape_length(scan->at)) > 0)
	{
		write_same(scan, length);
		scan->in_word = true;
	}
	else
		write_same(scan, 1);
}

/* As PostgreSQL cuts a name that is too long: to whole characters. */
static bool
cut_name(const char *name, char *own)
{
	size_t		length = strnlen(name, PGH_NAME_LEN);
	bool		cut = length >= PGH_NAME_LEN - 1;

	if (length == PGH_NAME_LEN)
		length = pgh_clip_length(name, length - 1);
	memcpy(own, name, length);
	own[length] = '\0';
	return cut;
}

/* No step writes more than it reads, so the family fits where the name does. */
bool
pgh_find_family(const char *name, char *family)
{
	char		own[PGH_NAME_LEN];
	Scan		scan = {.at = own,.out = family};

	scan.cut = cut_name(name, own);
	while (*scan.at != '\0')
		scan_next(&scan);
	family[scan.used] = '\0';
	return scan.varies;
}
