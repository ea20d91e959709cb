/*-------------------------------------------------------------------------
 *
 * fuzz_application_name.c
 *	  Any bytes at all as an application_name.
 *
 * What must hold: a family is its own family, is never longer than the name,
 * has nothing left in it that varies, and is valid UTF-8 if the name was; a
 * name without a family has nothing that varies, and is given back as it is;
 * other digits in the places of a name's make no other family; a name with a
 * trace has an id in lower case or none; and nothing is read past the end.
 *
 * A name is handed over in memory that ends where it does.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "pure/application_name.h"

static char *
copy_name(const char *name, size_t length)
{
	char	   *copy = malloc(length + 1);

	memcpy(copy, name, length);
	copy[length] = '\0';
	return copy;
}

/* The family in memory of its own; the caller frees. */
static char *
find_family(const char *name, bool *found)
{
	char	   *copy = copy_name(name, strlen(name));
	char	   *family = malloc(PGH_NAME_LEN);

	*found = pgh_find_family(copy, family);
	REQUIRE(memchr(family, '\0', PGH_NAME_LEN) != NULL);
	REQUIRE(strlen(family) <= strlen(name));
	free(copy);
	return family;
}

/* How many bytes of UTF-8 a character has, by its first; 0 if it has none. */
static size_t
character_length(uint8_t lead)
{
	if (lead < 0x80)
		return 1;
	return lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 :
		lead < 0xF5 ? 4 : 0;
}

static bool
is_utf8(const char *s)
{
	while (*s != '\0')
	{
		size_t		length = character_length((uint8_t) *s++);

		if (length == 0)
			return false;
		for (; length > 1; length--)
			if (((uint8_t) *s++ & 0xC0) != 0x80)
				return false;
	}
	return true;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Behind the bytes that PostgreSQL wrote as \xNN, the last of which may be cut
 * off; "s" itself if there are none.
 */
static const char *
skip_escapes(const char *s)
{
	const char *hex = "0123456789abcdefABCDEF";

	while (s[0] == '\\' && s[1] == 'x')
	{
		size_t		digits = strspn(s + 2, hex);

		if (digits < 2)
			return s[2 + digits] == '\0' ? s + 2 + digits : s;
		s += 4;
	}
	return s;
}

/* Does a part vary, but for what "stars" allows? */
static bool
has_variable(const char *s, bool stars)
{
	for (; *(s = skip_escapes(s)) != '\0'; s++)
	{
		if (is_digit(*s) || (*s == '*' && (!stars || s[1] == '*')))
			return true;
	}
	return false;
}

/*
 * Other digits, of those that Kubernetes uses where it does, and where it does
 * not, of the others.
 */
static void
change_digits(char *name)
{
	for (char *s = name; *(s = (char *) skip_escapes(s)) != '\0'; s++)
		if (is_digit(*s))
			*s = "1340687295"[*s - '0'];
}

static void
check_family(const char *name)
{
	bool		found;
	bool		again_found;
	char	   *family = find_family(name, &found);
	char	   *again = find_family(family, &again_found);

	REQUIRE(found == again_found && strcmp(family, again) == 0);
	REQUIRE(!has_variable(family, true));
	REQUIRE(!is_utf8(name) || is_utf8(family));
	if (!found)
		REQUIRE(strcmp(name, family) == 0 && !has_variable(name, false));
	else
		REQUIRE(strchr(family, '*') != NULL);
	free(again);
	free(family);
}

static void
check_other_digits(const char *name)
{
	bool		found;
	char	   *other = copy_name(name, strlen(name));
	char	   *family = find_family(name, &found);
	char	   *same;

	change_digits(other);
	same = find_family(other, &found);
	REQUIRE(strcmp(family, same) == 0);
	free(same);
	free(family);
	free(other);
}

static void
check_traceparent(const char *name)
{
	char	   *copy = copy_name(name, strlen(name));
	char	   *trace_id = malloc(PGH_TRACE_ID_LEN);
	bool		found = pgh_read_traceparent(copy, trace_id);

	REQUIRE(memchr(trace_id, '\0', PGH_TRACE_ID_LEN) != NULL);
	REQUIRE(strspn(trace_id, "0123456789abcdef") == strlen(trace_id));
	REQUIRE(trace_id[0] == '\0' ||
			(found && strlen(trace_id) == PGH_TRACE_ID_LEN - 1));
	REQUIRE(!found || strstr(name, "00-") != NULL);
	REQUIRE(trace_id[0] == '\0' || strstr(name, trace_id) != NULL);
	REQUIRE(pgh_application_length(copy) <= strlen(copy));
	free(trace_id);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	char	   *name;

	/* Also a name that is too long, and one that is just long enough. */
	if (size > 2 * PGH_NAME_LEN)
		size = 2 * PGH_NAME_LEN;
	name = copy_name(text, size);
	check_traceparent(name);
	if (strlen(name) < PGH_NAME_LEN)
	{
		check_family(name);
		check_other_digits(name);
	}
	else
	{
		bool		found;

		free(find_family(name, &found));
	}
	free(name);
	return 0;
}
