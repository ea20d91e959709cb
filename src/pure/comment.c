/*-------------------------------------------------------------------------
 *
 * pure/comment.c
 *	  What a program says of itself in the comments of its statements.
 *
 * Owns: sqlcommenter's syntax, and which of its tags name a place.  Must not:
 * believe them; a client may write what it likes.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/comment.h"

#include <stdint.h>
#include <string.h>

/* Names of tags for the same thing, the most telling first. */
static const char *const file_tags[] = {
	"file", "filepath", "code.filepath", "source_location"
};
static const char *const line_tags[] = {"line", "lineno", "code.lineno"};
#define N_FILE_TAGS (sizeof(file_tags) / sizeof(file_tags[0]))
#define N_LINE_TAGS (sizeof(line_tags) / sizeof(line_tags[0]))

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Behind a literal or a quoted name that begins here. */
static const char *
skip_quoted(const char *at)
{
	char		quote = *at++;

	while (*at != '\0' && *at != quote)
		at++;
	return *at == '\0' ? at : at + 1;
}

/* The next comment's inside, or NULL; one within quotes is none. */
static const char *
find_comment(const char *at)
{
	while (*at != '\0')
	{
		if (*at == '\'' || *at == '"')
			at = skip_quoted(at);
		else if (at[0] == '/' && at[1] == '*')
			return at + 2;
		else
			at++;
	}
	return NULL;
}

/* Behind the end of a comment. */
static const char *
end_of_comment(const char *at)
{
	const char *end = strstr(at, "*/");

	return end == NULL ? at + strlen(at) : end + 2;
}

/* Decode what stands up to the closing quote; false if there is none. */
static bool
copy_value(const char *at, char *out, size_t size)
{
	size_t		len = 0;

	while (*at != '\'' && *at != '\0')
	{
		char		c = *at++;

		if (c == '%' && hex_digit(at[0]) >= 0 && hex_digit(at[1]) >= 0)
		{
			c = (char) (hex_digit(at[0]) * 16 + hex_digit(at[1]));
			at += 2;
		}
		else if (c == '\\' && *at != '\0')
			c = *at++;
		if ((uint8_t) c < ' ' || c == '\x7F')
			c = '?';
		if (len + 1 < size)
			out[len++] = c;
	}
	out[len] = '\0';
	return *at == '\'';
}

/* The value of this key in a comment, which goes to "end"; or NULL. */
static const char *
find_value(const char *at, const char *end, const char *key)
{
	size_t		len = strlen(key);

	for (; at + len + 2 < end; at++)
	{
		if (strncmp(at, key, len) == 0 && at[len] == '=' &&
			at[len + 1] == '\'')
			return at + len + 2;
		while (at < end && *at != ',')
			at += *at == '\\' && at + 1 < end ? 2 : 1;
		while (at + 1 < end && at[1] == ' ')
			at++;
	}
	return NULL;
}

/*
 * The value of a tag as sqlcommenter writes them: a comment that holds
 * key='value' pairs with commas between them, values with %20 and the like.
 * Of several the first counts.  Writes at most "size" bytes with the
 * terminator; control characters become "?".  False when there is no such
 * tag, or the text ends within it.
 */
static bool
find_tag(const char *query, const char *key, char *out, size_t size)
{
	const char *at = query;

	out[0] = '\0';
	while ((at = find_comment(at)) != NULL)
	{
		const char *end = end_of_comment(at);
		const char *value;

		while (*at == ' ')
			at++;
		value = find_value(at, end, key);
		if (value != NULL)
			return copy_value(value, out, size) && out[0] != '\0';
		at = end;
	}
	return false;
}

/* The first of these tags that there is. */
static bool
find_one(const char *query, const char *const *keys, size_t n, char *out,
		 size_t size)
{
	for (size_t i = 0; i < n; i++)
		if (find_tag(query, keys[i], out, size))
			return true;
	return false;
}

/* Append a second tag behind a separator, if there is room for both. */
static void
append(char *out, size_t size, char separator, const char *text)
{
	size_t		len = strlen(out);

	if (len + 1 + strlen(text) + 1 > size)
		return;
	out[len] = separator;
	strcpy(out + len + 1, text);
}

bool
pgh_find_source(const char *query, char *out, size_t size)
{
	char		second[64];

	if (find_one(query, file_tags, N_FILE_TAGS, out, size))
	{
		if (find_one(query, line_tags, N_LINE_TAGS, second, sizeof(second)))
			append(out, size, ':', second);
		return true;
	}
	if (find_tag(query, "route", out, size))
		return true;
	if (find_tag(query, "controller", out, size))
	{
		if (find_tag(query, "action", second, sizeof(second)))
			append(out, size, '#', second);
		return true;
	}
	return find_tag(query, "action", out, size);
}

/* "00-<32 digits>-<16 digits>-<2 digits>" */
bool
pgh_find_trace(const char *query, char out[PGH_TRACE_ID_LEN])
{
	char		parent[64];
	size_t		n = 0;

	out[0] = '\0';
	if (!find_tag(query, "traceparent", parent, sizeof(parent)) ||
		strlen(parent) < 36 || parent[2] != '-' || parent[35] != '-')
		return false;
	for (; n < PGH_TRACE_ID_LEN - 1; n++)
		if (hex_digit(parent[3 + n]) < 0)
			return false;
	memcpy(out, parent + 3, PGH_TRACE_ID_LEN - 1);
	out[PGH_TRACE_ID_LEN - 1] = '\0';
	return true;
}
