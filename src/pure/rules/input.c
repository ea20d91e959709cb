/*-------------------------------------------------------------------------
 *
 * pure/rules/input.c
 *	  Where the parser of pg_hygiene.rules stands, and what it complains of.
 *
 * Owns: what ends a word, and the place and words of a mistake.  Must not:
 * know what a rule is.  For parse.c and value.c only.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/rules.h"
#include "pure/rules/internal.h"

void
pgh_skip_blanks(PghParser *p)
{
	while (pgh_is_blank(*p->at))
		p->at++;
}

const char *
pgh_find_word_end(const char *at)
{
	const char *end = at;

	while (!pgh_ends_pattern(*end) && *end != '!')
		end++;
	if (end > at || *end == '\0')
		return end;
	return (end[0] == '!' && end[1] == '=') ? end + 2 : end + 1;
}

bool
pgh_reject_span(PghParser *p, const char *at, const char *end,
				const char *expected)
{
	size_t		len = 0;

	while (at + len < end && (uint8_t) at[len] >= ' ')
		len++;
	if (len > sizeof(p->error->found) - 1)
		len = pgh_clip_length(at, sizeof(p->error->found) - 1);
	memset(p->error, 0, sizeof(*p->error));
	p->error->position = (int32_t) (at - p->text);
	memcpy(p->error->found, at, len);
	memcpy(p->error->expected, expected, strlen(expected));
	return false;
}

bool
pgh_reject(PghParser *p, const char *at, const char *expected)
{
	return pgh_reject_span(p, at, pgh_find_word_end(at), expected);
}
