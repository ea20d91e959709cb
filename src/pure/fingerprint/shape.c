/*-------------------------------------------------------------------------
 *
 * pure/fingerprint/shape.c
 *	  Takes the values out of a statement's text, so that statements that
 *	  come from the same line of a program look the same.
 *
 * Owns: which tokens count, and what folds.  Must not: know PostgreSQL,
 * allocate, raise an error or keep anything between calls.  Anyone may call
 * it, in any process, with any bytes.
 *
 * No grammar: a text that is cut off, or no SQL at all, has a shape too.  One
 * pass from left to right; what looks ahead (an element of a list, a row of
 * VALUES) reads on only as far as it will then skip, or gives up once, so the
 * time is linear in the length of the text.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/fingerprint/internal.h"

/* Lists nested deeper than this do not fold. */
#define MAX_FOLD_DEPTH 64

typedef enum ListKind
{
	LIST_NONE,
	LIST_IN,
	LIST_VALUES,
	LIST_ARRAY
} ListKind;

typedef struct Shape
{
	const char *at;				/* the next byte to read */
	const char *end;
	PghOutput	out;			/* its size is without the terminator */
	char		before;			/* the last byte that was put, or 0 */
	bool		glue;			/* the next token gets no blank */
	bool		comma;			/* a comma of a list is held back */
	bool		element;		/* an element of a list that folds is next */
	ListKind	next_list;		/* what a parenthesis here would open */
	PghElementKind last;		/* the element before this one */
	int			depth;			/* of parentheses */
	uint64_t	fold;			/* one bit for each depth: does it fold? */
	uint64_t	rows;			/* and is it a row of VALUES? */
} Shape;

/*
 * Put bytes in lower case if "fold", as many as there is room for.  The text
 * may be in the same memory, for what is written is never ahead of what has
 * been read.
 */
static void
put(Shape *shape, const char *from, const char *end, bool fold)
{
	for (; from < end; from++)
	{
		shape->before = fold ? pgh_to_lower(*from) : *from;
		pgh_put_char(&shape->out, shape->before);
	}
}

static void
put_text(Shape *shape, const char *text)
{
	put(shape, text, text + strlen(text), false);
}

/* The blank before a token that had one, unless it begins text or list. */
static void
put_blank(Shape *shape, bool blank)
{
	if (blank && shape->out.len > 0 && !shape->glue)
		put_text(shape, " ");
	shape->glue = false;
}

static inline bool
has_bit(const Shape *shape, uint64_t bits)
{
	return shape->depth > 0 && shape->depth <= MAX_FOLD_DEPTH &&
		(bits >> (shape->depth - 1) & 1) != 0;
}

/*
 * Where an element of a list that folds begins: put it if it is the first of
 * a run of its kind.  Returns false if it is none, then its tokens are next.
 */
static bool
fold_element(Shape *shape)
{
	const bool	blank = pgh_next_token(shape->at, shape->end).blank;
	const PghElementKind kind = pgh_skip_element(&shape->at, shape->end);
	const bool	row = kind == PGH_ELEMENT_ROW || kind == PGH_ELEMENT_CUT_ROW;
	const bool	again = shape->last == (row ? PGH_ELEMENT_ROW : kind) &&
		kind != PGH_ELEMENT_OTHER;

	if (shape->comma && !again)
		put_text(shape, ",");
	shape->comma = false;
	shape->element = false;
	shape->last = row ? PGH_ELEMENT_ROW : kind;
	if (kind == PGH_ELEMENT_OTHER)
		return false;
	if (!again)
	{
		put_blank(shape, blank);
		put_text(shape, kind == PGH_ELEMENT_VALUE ? "?" :
				 kind == PGH_ELEMENT_ROW ? "(?)" : "(?");
	}
	return true;
}

static void
open_parenthesis(Shape *shape, char c)
{
	const ListKind kind = shape->next_list;
	const bool	fold = c == '(' ? kind == LIST_IN || kind == LIST_VALUES :
		kind == LIST_ARRAY;

	shape->depth++;
	shape->last = PGH_ELEMENT_OTHER;
	if (shape->depth <= MAX_FOLD_DEPTH)
	{
		const uint64_t bit = UINT64_C(1) << (shape->depth - 1);

		shape->fold = fold ? shape->fold | bit : shape->fold & ~bit;
		shape->rows = fold && kind == LIST_VALUES ? shape->rows | bit :
			shape->rows & ~bit;
		shape->element = fold;
		shape->glue = fold;
	}
}

/* Of the closing one, which is put already. */
static void
close_parenthesis(Shape *shape)
{
	if (has_bit(shape, shape->rows))
		shape->at = pgh_skip_rows(shape->at, shape->end);
	if (shape->depth > 0)
		shape->depth--;
	shape->last = PGH_ELEMENT_OTHER;
}

static ListKind
list_kind(const PghToken *token)
{
	if (pgh_token_is_word(token, "in"))
		return LIST_IN;
	if (pgh_token_is_word(token, "values"))
		return LIST_VALUES;
	return pgh_token_is_word(token, "array") ? LIST_ARRAY : LIST_NONE;
}

static void
put_token(Shape *shape, const PghToken *token)
{
	const char	c = token->kind == PGH_TOKEN_OTHER ? *token->start : 0;
	const bool	closes = c == ')' || c == ']';
	const bool	in_list = has_bit(shape, shape->fold);
	const ListKind next_list = list_kind(token);

	if (c == ';' && shape->out.len == 0)
		return;
	if (c == ',' && in_list)
	{
		shape->comma = shape->element = true;
		return;
	}
	put_blank(shape, token->blank && !(closes && in_list));
	if (token->kind == PGH_TOKEN_VALUE)
		put_text(shape, "?");
	else if (token->kind == PGH_TOKEN_QUOTED && *token->start != '"')
	{
		put(shape, token->start, token->start + 2, true);
		put(shape, token->start + 2, token->end, false);
	}
	else
		put(shape, token->start, token->end, token->kind == PGH_TOKEN_WORD);

	if (c == '(' || c == '[')
		open_parenthesis(shape, c);
	else if (closes)
		close_parenthesis(shape);
	shape->next_list = next_list;
}

/*
 * The next token; a sign and its number are one, and so is a constant where
 * a program might as well write any other value.
 */
static PghToken
read_token(const Shape *shape)
{
	PghToken	token = pgh_next_token(shape->at, shape->end);
	PghToken	value;

	if (shape->before == 0 || strchr("(,=<>[", shape->before) == NULL)
		return token;
	if (pgh_token_is_constant(&token))
		token.kind = PGH_TOKEN_VALUE;
	else if (pgh_token_is_sign(&token))
	{
		value = pgh_next_token(token.end, shape->end);
		if (value.kind == PGH_TOKEN_VALUE && !value.blank)
		{
			value.blank = token.blank;
			return value;
		}
	}
	return token;
}

/*
 * How much of the text is left without a character that it ends within.  What
 * is no UTF-8 may be anything, so then all that could belong to it goes.
 */
static size_t
clip_character(const char *text, size_t len)
{
	size_t		start = len;
	size_t		at;
	size_t		n;

	while (start > 0 && pgh_is_high(text[start - 1]))
		start--;
	for (at = start; at < len; at += n)
	{
		n = pgh_character_length(text + at, len - at);
		if (n == 0)
			return start;
		if (n > len - at)
			return at;
	}
	return len;
}

/* What a text has at its end that does not belong to its shape. */
static size_t
clip_end(const char *text, size_t len)
{
	size_t		before;

	do
	{
		before = len;
		while (len > 0 && (pgh_is_blank(text[len - 1]) ||
						   text[len - 1] == ';' || text[len - 1] == ','))
			len--;
		len = clip_character(text, len);
	} while (len < before);
	return len;
}

/* One pass over the text.  out may be where the text is. */
static size_t
shape_text(const char *text, size_t length, char *out, size_t size)
{
	Shape		shape;
	size_t		len;

	memset(&shape, 0, sizeof(shape));
	shape.at = text;
	shape.end = text + length;
	shape.out.buf = out;
	shape.out.size = size - 1;
	while (shape.out.len < shape.out.size)
	{
		PghToken	token;

		if (shape.element && fold_element(&shape))
			continue;
		token = read_token(&shape);
		if (token.kind == PGH_TOKEN_END)
			break;
		shape.at = token.end;
		put_token(&shape, &token);
	}
	len = shape.out.len < shape.out.size ? shape.out.len : shape.out.size;
	len = clip_end(out, len);
	out[len] = '\0';
	return len;
}

size_t
pgh_normalise(const char *query, size_t length, char *out, size_t size)
{
	const char *zero = length > 0 ? memchr(query, '\0', length) : NULL;
	size_t		len;
	size_t		before;

	if (size == 0)
		return 0;
	len = shape_text(query, zero != NULL ? (size_t) (zero - query) : length,
					 out, size);

	/*
	 * A shape that was cut for its size, or whose end was clipped, may end in
	 * what folds now that nothing follows: "in (?, ?" of "in (?, ? + 1)".
	 */
	do
	{
		before = len;
		len = shape_text(out, len, out, size);
	} while (len < before);
	return len;
}

uint64_t
pgh_fingerprint(const char *normalised, size_t length)
{
	uint64_t	hash = UINT64_C(0xcbf29ce484222325);	/* FNV-1a */

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t) normalised[i]) * UINT64_C(0x100000001b3);

	/* the finalizer of MurmurHash3, so that every bit depends on all others */
	hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
	hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	hash ^= hash >> 33;
	return hash != 0 ? hash : 1;
}
