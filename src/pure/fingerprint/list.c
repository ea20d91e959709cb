/*-------------------------------------------------------------------------
 *
 * pure/fingerprint/list.c
 *	  What stands in a list: mere values, rows of them, or something else.
 *
 * Owns: which elements look the same whatever their values are.  Must not:
 * write anything; it only steps over text.  For shape.c only.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pure/fingerprint/internal.h"

bool
pgh_token_is_constant(const PghToken *token)
{
	return pgh_token_is_word(token, "null") ||
		pgh_token_is_word(token, "true") ||
		pgh_token_is_word(token, "false");
}

static inline bool
ends_element(const PghToken *token)
{
	return pgh_token_is_byte(token, ',') || pgh_token_is_byte(token, ')') ||
		pgh_token_is_byte(token, ']');
}

/* Behind "::type", if that is next: names, (10,2), [], with time zone. */
static const char *
skip_cast(const char *at, const char *end)
{
	PghToken	token = pgh_next_token(at, end);
	char		closer = 0;

	if (!pgh_token_is_byte(&token, ':') || end - token.start < 2 ||
		token.start[1] != ':')
		return at;
	for (;; token = pgh_next_token(at, end))
	{
		const char	c = token.kind == PGH_TOKEN_OTHER ? *token.start : 0;

		if (closer == 0 && (c == '(' || c == '['))
			closer = c == '(' ? ')' : ']';
		else if (closer != 0 && c == closer)
			closer = 0;
		else if (closer != 0)
		{
			if (token.kind != PGH_TOKEN_VALUE && c != ',')
				return at;
		}
		else if (token.kind != PGH_TOKEN_WORD &&
				 token.kind != PGH_TOKEN_QUOTED && c != '.' && c != ':')
			return at;
		at = token.end;
	}
}

/* Step over an element that is a mere value, with its sign and its cast. */
static bool
skip_value(const char **at, const char *end)
{
	PghToken	token = pgh_next_token(*at, end);

	if (pgh_token_is_sign(&token))
	{
		token = pgh_next_token(token.end, end);
		if (token.blank || token.kind != PGH_TOKEN_VALUE)
			return false;
	}
	if (token.kind != PGH_TOKEN_VALUE && !pgh_token_is_constant(&token) &&
		!pgh_token_is_word(&token, "default"))
		return false;
	*at = skip_cast(token.end, end);
	token = pgh_next_token(*at, end);
	return token.kind == PGH_TOKEN_END || ends_element(&token);
}

PghElementKind
pgh_skip_element(const char **at, const char *end)
{
	PghToken	token = pgh_next_token(*at, end);
	const char *next = token.end;

	if (!pgh_token_is_byte(&token, '('))
	{
		next = *at;
		if (!skip_value(&next, end))
			return PGH_ELEMENT_OTHER;
		*at = next;
		return PGH_ELEMENT_VALUE;
	}
	do
	{
		if (!skip_value(&next, end))
			return PGH_ELEMENT_OTHER;
		token = pgh_next_token(next, end);
		next = token.end;
	} while (pgh_token_is_byte(&token, ','));
	if (token.kind == PGH_TOKEN_END)
	{
		*at = end;
		return PGH_ELEMENT_CUT_ROW;
	}
	if (next[-1] != ')')
		return PGH_ELEMENT_OTHER;
	token = pgh_next_token(next, end);
	if (token.kind != PGH_TOKEN_END && !ends_element(&token))
		return PGH_ELEMENT_OTHER;
	*at = next;
	return PGH_ELEMENT_ROW;
}

/* Behind the parenthesis that closes the one before "at". */
static const char *
skip_parentheses(const char *at, const char *end)
{
	size_t		depth = 1;

	while (depth > 0)
	{
		PghToken	token = pgh_next_token(at, end);

		if (token.kind == PGH_TOKEN_END)
			return end;
		if (pgh_token_is_byte(&token, '('))
			depth++;
		else if (pgh_token_is_byte(&token, ')'))
			depth--;
		at = token.end;
	}
	return at;
}

const char *
pgh_skip_rows(const char *at, const char *end)
{
	for (;;)
	{
		PghToken	token = pgh_next_token(at, end);

		if (!pgh_token_is_byte(&token, ','))
			return at;
		token = pgh_next_token(token.end, end);
		if (!pgh_token_is_byte(&token, '('))
			return at;
		at = skip_parentheses(token.end, end);
	}
}
