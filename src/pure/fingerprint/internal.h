/*-------------------------------------------------------------------------
 *
 * pure/fingerprint/internal.h
 *	  What the files of this folder share: a text cut into tokens.
 *
 * Not for anyone else; include fingerprint.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_FINGERPRINT_INTERNAL_H
#define PGH_FINGERPRINT_INTERNAL_H

#include "pure/fingerprint.h"
#include "pure/text.h"

typedef enum PghTokenKind
{
	PGH_TOKEN_END,
	PGH_TOKEN_WORD,				/* keyword or name without quotes */
	PGH_TOKEN_QUOTED,			/* "name" or U&"name" */
	PGH_TOKEN_VALUE,			/* literal, number, parameter or "?" */
	PGH_TOKEN_OTHER				/* one byte */
} PghTokenKind;

typedef struct PghToken
{
	PghTokenKind kind;
	bool		blank;			/* blanks or comments stand before it */
	const char *start;
	const char *end;
} PghToken;

/* The first token from "at" on. */
extern PghToken pgh_next_token(const char *at, const char *end);

/* Is it this word?  "word" in lower case; the case of ASCII is ignored. */
extern bool pgh_token_is_word(const PghToken *token, const char *word);

static inline bool
pgh_token_is_byte(const PghToken *token, char c)
{
	return token->kind == PGH_TOKEN_OTHER && *token->start == c;
}

/* A sign, perhaps of the number behind it. */
static inline bool
pgh_token_is_sign(const PghToken *token)
{
	return pgh_token_is_byte(token, '-') || pgh_token_is_byte(token, '+');
}

/* list.c: NULL, TRUE or FALSE. */
extern bool pgh_token_is_constant(const PghToken *token);

/* What an element of a list is. */
typedef enum PghElementKind
{
	PGH_ELEMENT_OTHER,
	PGH_ELEMENT_VALUE,			/* ? */
	PGH_ELEMENT_ROW,			/* (?, ?) */
	PGH_ELEMENT_CUT_ROW			/* (?, ? and then the text ends */
} PghElementKind;

/* Step over an element, or leave *at alone if it is neither value nor row. */
extern PghElementKind pgh_skip_element(const char **at, const char *end);

/* Behind the rows of VALUES that follow the first. */
extern const char *pgh_skip_rows(const char *at, const char *end);

#endif							/* PGH_FINGERPRINT_INTERNAL_H */
