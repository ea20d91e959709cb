/*-------------------------------------------------------------------------
 *
 * pure/fingerprint/token.c
 *	  Cuts the text of a statement into tokens.
 *
 * Owns: blanks, comments, quotes and numbers, as PostgreSQL's scan.l has them
 * with standard_conforming_strings = on.  Must not: know which words mean
 * what.  Only the other fingerprint*.c files call it.
 *
 * Every function reads from "at" up to "end" and no further; whatever the
 * text has left open ends where the text does.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/fingerprint/internal.h"

static inline bool
starts_word(char c)
{
	return pgh_is_letter(c) || c == '_' || pgh_is_high(c);
}

/* Behind a comment that may contain others, or at the end of the text. */
static const char *
skip_comment(const char *at, const char *end)
{
	size_t		depth = 1;

	for (at += 2; depth > 0 && at < end; at++)
	{
		if (end - at < 2)
			return end;
		if (at[0] == '*' && at[1] == '/')
		{
			depth--;
			at++;
		}
		else if (at[0] == '/' && at[1] == '*')
		{
			depth++;
			at++;
		}
	}
	return at;
}

static const char *
skip_blanks(const char *at, const char *end)
{
	while (at < end)
	{
		if (pgh_is_blank(*at))
			at++;
		else if (end - at >= 2 && at[0] == '-' && at[1] == '-')
		{
			while (at < end && *at != '\n' && *at != '\r')
				at++;
		}
		else if (end - at >= 2 && at[0] == '/' && at[1] == '*')
			at = skip_comment(at, end);
		else
			break;
	}
	return at;
}

/* Behind the string whose opening quote is at "at". */
static const char *
skip_quoted(const char *at, const char *end, bool escapes)
{
	const char	quote = *at++;

	for (; at < end; at++)
	{
		if (escapes && *at == '\\' && end - at >= 2)
			at++;
		else if (*at == quote)
		{
			if (end - at < 2 || at[1] != quote)
				return at + 1;
			at++;
		}
	}
	return end;
}

/*
 * Behind $1 or $tag$..$tag$; "at" itself if neither starts there.  A tag that
 * is not closed takes the rest of the text.
 */
static const char *
skip_dollar(const char *at, const char *end)
{
	const char *tag_end = at + 1;
	size_t		len;

	if (tag_end < end && pgh_is_digit(*tag_end))
	{
		while (tag_end < end && pgh_is_digit(*tag_end))
			tag_end++;
		return tag_end;
	}
	while (tag_end < end && (starts_word(*tag_end) ||
							 (pgh_is_digit(*tag_end) && tag_end > at + 1)))
		tag_end++;
	if (tag_end == end || *tag_end != '$')
		return at;
	len = (size_t) (tag_end + 1 - at);
	for (const char *close = at + len;; close++)
	{
		if (close >= end)
			return end;
		close = memchr(close, '$', (size_t) (end - close));
		if (close == NULL || (size_t) (end - close) < len)
			return end;
		if (memcmp(close, at, len) == 0)
			return close + len;
	}
}

/* Behind 12, 1.5e-3, 0x1F or 1_000, and any letters that are stuck to it. */
static const char *
skip_number(const char *at, const char *end)
{
	const bool	hex = end - at >= 2 &&
		at[0] == '0' && pgh_to_lower(at[1]) == 'x';

	for (; at < end; at++)
	{
		if (*at == '.' && end - at >= 2 && at[1] == '.')
			break;
		if (pgh_to_lower(*at) == 'e' && !hex && end - at >= 3 &&
			(at[1] == '+' || at[1] == '-') && pgh_is_digit(at[2]))
			at++;
		else if (*at != '.' && !pgh_is_digit(*at) &&
				 (!starts_word(*at) || pgh_is_high(*at)))
			break;
	}
	return at;
}

/* A word, or what it is the prefix of: E'..', B'..', X'..', N'..', U&'..'. */
static void
read_word(PghToken *token, const char *end)
{
	const char *at = token->start;
	const char	first = pgh_to_lower(*at);

	token->kind = PGH_TOKEN_WORD;
	if (end - at >= 2 && at[1] == '\'' &&
		(first == 'e' || first == 'b' || first == 'x' || first == 'n'))
	{
		token->kind = PGH_TOKEN_VALUE;
		token->end = skip_quoted(at + 1, end, first == 'e');
	}
	else if (end - at >= 3 && first == 'u' && at[1] == '&' &&
			 (at[2] == '\'' || at[2] == '"'))
	{
		token->kind = at[2] == '"' ? PGH_TOKEN_QUOTED : PGH_TOKEN_VALUE;
		token->end = skip_quoted(at + 2, end, false);
	}
	else
	{
		while (at < end &&
			   (starts_word(*at) || pgh_is_digit(*at) || *at == '$'))
			at++;
		token->end = at;
	}
}

PghToken
pgh_next_token(const char *at, const char *end)
{
	PghToken	token;

	token.start = skip_blanks(at, end);
	token.blank = token.start > at;
	token.end = end;
	token.kind = PGH_TOKEN_END;
	at = token.start;
	if (at == end)
		return token;
	if (starts_word(*at))
	{
		read_word(&token, end);
		return token;
	}
	token.kind = PGH_TOKEN_VALUE;
	if (*at == '"')
	{
		token.kind = PGH_TOKEN_QUOTED;
		token.end = skip_quoted(at, end, false);
	}
	else if (*at == '\'')
		token.end = skip_quoted(at, end, false);
	else if (pgh_is_digit(*at) ||
			 (*at == '.' && end - at >= 2 && pgh_is_digit(at[1])))
		token.end = skip_number(at, end);
	else if (*at == '$' && skip_dollar(at, end) > at)
		token.end = skip_dollar(at, end);
	else
	{
		if (*at != '?')
			token.kind = PGH_TOKEN_OTHER;
		token.end = at + 1;
	}
	return token;
}

bool
pgh_token_is_word(const PghToken *token, const char *word)
{
	return token->kind == PGH_TOKEN_WORD &&
		pgh_is_word(token->start, token->end, word);
}
