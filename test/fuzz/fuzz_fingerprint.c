/*-------------------------------------------------------------------------
 *
 * fuzz_fingerprint.c
 *	  Any bytes at all into the normaliser, into buffers of any size.
 *
 * What must hold: a shape is never longer than its text, has no values left
 * in it, ends with a whole character, is the shape of itself, and does not
 * depend on what lies behind the text; a buffer that is too short is never
 * left, and what is in it is a shape as well.
 *
 * The first two bytes of the input choose the size of the short buffer.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "pure/comment.h"
#include "pure/fingerprint.h"

/* Is the text's last character whole, if the text before it is UTF-8? */
static bool
ends_whole(const char *text, size_t len)
{
	size_t		tail = 0;
	uint8_t		lead;

	while (tail < len && tail < 4 &&
		   ((uint8_t) text[len - 1 - tail] & 0xC0) == 0x80)
		tail++;
	if (tail == len)
		return tail == 0;
	lead = (uint8_t) text[len - 1 - tail];
	if (lead < 0x80)
		return tail == 0;
	return tail == (lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1);
}

/* Outside of quoted names: no values, no blanks in a row, no capitals. */
static void
check_bytes(const char *shape, size_t len)
{
	bool		quoted = false;

	for (size_t i = 0; i < len; i++)
	{
		if (shape[i] == '"')
			quoted = !quoted;
		if (quoted)
			continue;
		REQUIRE(shape[i] != '\0' && shape[i] != '\'');
		REQUIRE(shape[i] < 'A' || shape[i] > 'Z');
		REQUIRE(strchr("\t\n\v\f\r", shape[i]) == NULL);
		REQUIRE(shape[i] != ' ' || (i > 0 && shape[i + 1] != ' '));
	}
	if (len > 0)
		REQUIRE(strchr(" ;,", shape[len - 1]) == NULL);
}

/* The shape of a copy that ends where its memory does; the caller frees. */
static char *
normalise(const char *text, size_t len, size_t size, size_t *shape_len)
{
	char	   *copy = malloc(len > 0 ? len : 1);
	char	   *shape = malloc(size);

	memcpy(copy, text, len);
	*shape_len = pgh_normalise(copy, len, shape, size);
	REQUIRE(*shape_len < size && *shape_len <= len);
	REQUIRE(strlen(shape) == *shape_len);
	free(copy);
	return shape;
}

static void
check_shape(const char *text, size_t len, size_t size)
{
	size_t		shape_len;
	size_t		again_len;
	char	   *shape = normalise(text, len, size, &shape_len);
	char	   *again = normalise(shape, shape_len, size, &again_len);

	REQUIRE(shape_len == again_len && strcmp(shape, again) == 0);
	REQUIRE(ends_whole(shape, shape_len));
	check_bytes(shape, shape_len);
	REQUIRE(pgh_fingerprint(shape, shape_len) != 0);
	REQUIRE(pgh_fingerprint(shape, shape_len) ==
			pgh_fingerprint(again, again_len));
	REQUIRE(pgh_statement_kind(shape) <= PGH_STATEMENT_UTILITY);
	REQUIRE(!pgh_statement_locks_rows(shape) ||
			pgh_statement_kind(shape) == PGH_STATEMENT_READ);
	if (shape_len == 0 && size > len)
		REQUIRE(pgh_statement_kind(shape) == PGH_STATEMENT_NONE);
	free(shape);
	free(again);
}

/* What a statement says of its program never leaves its buffer. */
static void
check_comment(const char *text, size_t len, size_t size)
{
	char	   *query = malloc(len + 1);
	char	   *out = malloc(size);
	char		trace[PGH_TRACE_ID_LEN];

	memcpy(query, text, len);
	query[len] = '\0';
	REQUIRE(!pgh_find_source(query, out, size) || strlen(out) < size);
	REQUIRE(!pgh_find_trace(query, trace) ||
			strlen(trace) == PGH_TRACE_ID_LEN - 1);
	free(query);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data + 2;
	size_t		len;

	if (size < 2)
		return 0;
	len = size - 2;
	check_comment(text, len, data[0] + 1);
	check_shape(text, len, len + 1);
	check_shape(text, len, (data[0] + 256 * (size_t) data[1]) % (len + 1) + 1);
	return 0;
}
