/*-------------------------------------------------------------------------
 *
 * pure/fingerprint/kind.c
 *	  What kind of statement a shape is, by its words.
 *
 * Owns: which words begin a statement that reads, writes or does neither.
 * Must not: look anything up, for the text is all there is.  Anyone may call
 * it through fingerprint.h.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/fingerprint/internal.h"

/* First words; WITH and COPY are seen to on their own. */
static const struct
{
	char		word[12];
	PghStatementKind kind;
}			first_words[] = {
	{"begin", PGH_STATEMENT_BEGIN},
	{"start", PGH_STATEMENT_BEGIN},
	{"select", PGH_STATEMENT_READ},
	{"table", PGH_STATEMENT_READ},
	{"values", PGH_STATEMENT_READ},
	{"show", PGH_STATEMENT_READ},
	{"explain", PGH_STATEMENT_READ},
	{"declare", PGH_STATEMENT_READ},
	{"fetch", PGH_STATEMENT_READ},
	{"move", PGH_STATEMENT_READ},
	{"insert", PGH_STATEMENT_WRITE},
	{"update", PGH_STATEMENT_WRITE},
	{"delete", PGH_STATEMENT_WRITE},
	{"merge", PGH_STATEMENT_WRITE},
	{"abort", PGH_STATEMENT_UTILITY},
	{"alter", PGH_STATEMENT_UTILITY},
	{"analyze", PGH_STATEMENT_UTILITY},
	{"checkpoint", PGH_STATEMENT_UTILITY},
	{"close", PGH_STATEMENT_UTILITY},
	{"cluster", PGH_STATEMENT_UTILITY},
	{"comment", PGH_STATEMENT_UTILITY},
	{"commit", PGH_STATEMENT_UTILITY},
	{"create", PGH_STATEMENT_UTILITY},
	{"deallocate", PGH_STATEMENT_UTILITY},
	{"discard", PGH_STATEMENT_UTILITY},
	{"drop", PGH_STATEMENT_UTILITY},
	{"end", PGH_STATEMENT_UTILITY},
	{"grant", PGH_STATEMENT_UTILITY},
	{"listen", PGH_STATEMENT_UTILITY},
	{"lock", PGH_STATEMENT_UTILITY},
	{"notify", PGH_STATEMENT_UTILITY},
	{"prepare", PGH_STATEMENT_UTILITY},
	{"refresh", PGH_STATEMENT_UTILITY},
	{"reindex", PGH_STATEMENT_UTILITY},
	{"release", PGH_STATEMENT_UTILITY},
	{"reset", PGH_STATEMENT_UTILITY},
	{"revoke", PGH_STATEMENT_UTILITY},
	{"rollback", PGH_STATEMENT_UTILITY},
	{"savepoint", PGH_STATEMENT_UTILITY},
	{"set", PGH_STATEMENT_UTILITY},
	{"truncate", PGH_STATEMENT_UTILITY},
	{"unlisten", PGH_STATEMENT_UTILITY},
	{"vacuum", PGH_STATEMENT_UTILITY},
};
#define N_FIRST_WORDS (sizeof(first_words) / sizeof(first_words[0]))

/*
 * WITH writes if a statement that does stands behind a parenthesis: "with a
 * as (delete from ..", "with a as (..) insert into ..".  Not "for update".
 */
static PghStatementKind
with_kind(const char *at, const char *end)
{
	bool		parenthesis = false;

	for (;;)
	{
		PghToken	token = pgh_next_token(at, end);

		if (token.kind == PGH_TOKEN_END || pgh_token_is_byte(&token, ';'))
			return PGH_STATEMENT_READ;
		if (parenthesis && (pgh_token_is_word(&token, "insert") ||
							pgh_token_is_word(&token, "update") ||
							pgh_token_is_word(&token, "delete") ||
							pgh_token_is_word(&token, "merge")))
			return PGH_STATEMENT_WRITE;
		parenthesis = pgh_token_is_byte(&token, '(') ||
			pgh_token_is_byte(&token, ')');
		at = token.end;
	}
}

/* COPY t FROM .. writes, COPY (SELECT .. FROM ..) TO .. reads. */
static PghStatementKind
copy_kind(const char *at, const char *end)
{
	int			depth = 0;

	for (;;)
	{
		PghToken	token = pgh_next_token(at, end);

		if (token.kind == PGH_TOKEN_END || pgh_token_is_byte(&token, ';'))
			return PGH_STATEMENT_OTHER;
		if (depth == 0 && pgh_token_is_word(&token, "from"))
			return PGH_STATEMENT_WRITE;
		if (depth == 0 && pgh_token_is_word(&token, "to"))
			return PGH_STATEMENT_READ;
		if (pgh_token_is_byte(&token, '('))
			depth++;
		else if (pgh_token_is_byte(&token, ')'))
			depth--;
		at = token.end;
	}
}

/* Of the statement that begins with this token. */
static PghStatementKind
one_kind(const PghToken *first, const char *end)
{
	if (pgh_token_is_word(first, "with"))
		return with_kind(first->end, end);
	if (pgh_token_is_word(first, "copy"))
		return copy_kind(first->end, end);
	for (size_t i = 0; i < N_FIRST_WORDS; i++)
		if (pgh_token_is_word(first, first_words[i].word))
			return first_words[i].kind;
	return PGH_STATEMENT_OTHER;
}

PghStatementKind
pgh_statement_kind(const char *normalised)
{
	const char *at = normalised;
	const char *end = at + strlen(at);
	PghStatementKind kind = PGH_STATEMENT_NONE;
	bool		first = true;

	for (;;)
	{
		PghToken	token = pgh_next_token(at, end);

		if (token.kind == PGH_TOKEN_END)
			return kind;
		at = token.end;
		if (pgh_token_is_byte(&token, ';'))
			first = true;
		else if (first && !pgh_token_is_byte(&token, '('))
		{
			kind = one_kind(&token, end);
			if (kind == PGH_STATEMENT_WRITE)
				return kind;
			first = false;
		}
	}
}

/* "for update", "for no key update", "for share", "for key share" */
static bool
begins_locking(const char *at, const char *end)
{
	static const char *const words[] = {"update", "no", "share", "key"};
	PghToken	token = pgh_next_token(at, end);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (pgh_token_is_word(&token, words[i]))
			return true;
	return false;
}

bool
pgh_statement_locks_rows(const char *normalised)
{
	const char *at = normalised;
	const char *end = at + strlen(at);

	if (pgh_statement_kind(normalised) != PGH_STATEMENT_READ)
		return false;
	for (;;)
	{
		PghToken	token = pgh_next_token(at, end);

		if (token.kind == PGH_TOKEN_END)
			return false;
		at = token.end;
		if (pgh_token_is_word(&token, "for") && begins_locking(at, end))
			return true;
	}
}
