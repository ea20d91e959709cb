/*-------------------------------------------------------------------------
 *
 * pure/fingerprint.h
 *	  The shape of a statement: what stays of its text when the values are
 *	  taken out, a number for it, and what kind of statement it is.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, no globals that
 * change, no allocation, no error raised, no locale.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_FINGERPRINT_H
#define PGH_FINGERPRINT_H

#include "pure/facts.h"

typedef enum PghStatementKind
{
	PGH_STATEMENT_OTHER,		/* unknown: EXECUTE, CALL, DO, no SQL */
	PGH_STATEMENT_NONE,			/* nothing but blanks and comments */
	PGH_STATEMENT_BEGIN,		/* BEGIN, START TRANSACTION */
	PGH_STATEMENT_READ,			/* SELECT, WITH .. SELECT, SHOW, FETCH, .. */
	PGH_STATEMENT_WRITE,		/* INSERT, UPDATE, DELETE, MERGE, COPY FROM,
								 * and WITH around one of them */
	PGH_STATEMENT_UTILITY		/* SET, SAVEPOINT, COMMIT, CREATE, .. */
} PghStatementKind;

/*
 * Write the shape of the first "length" bytes of "query" to "out", at most
 * "size" bytes with the terminator, and return its length.
 *
 * Literals, numbers and parameters become "?"; so do NULL, TRUE and FALSE
 * behind a comparison, a comma or an opening parenthesis.  A run of values in
 * IN (..), ARRAY[..] or a row of VALUES becomes one, and of the rows of
 * VALUES the first one stays.  Words are in lower case (ASCII only), quoted
 * names as they were.  Blanks and comments become one blank; at the end they,
 * semicolons and commas go.
 *
 * Literals are read as with standard_conforming_strings = on.  The text may
 * stop anywhere, also within a character or a literal, and is read up to its
 * first zero byte if it has one.  The shape never ends within a UTF-8
 * character; where the bytes at its end are not UTF-8, all of them from 0x80
 * on that stand together are left out.  It is never longer than the text, and
 * the shape of a shape (in the same size) is itself.
 */
extern size_t pgh_normalise(const char *query, size_t length, char *out,
							size_t size);

/* A number for a shape, the same on every machine, and never 0. */
extern uint64_t pgh_fingerprint(const char *normalised, size_t length);

/*
 * What kind of statement a shape is.  Of several statements, WRITE if one of
 * them writes, else the kind of the last.
 */
extern PghStatementKind pgh_statement_kind(const char *normalised);

/*
 * Does a statement that reads lock what it reads (FOR UPDATE, FOR SHARE)?
 * That takes a transaction id, as writing does, and changes nothing.
 */
extern bool pgh_statement_locks_rows(const char *normalised);

#endif							/* PGH_FINGERPRINT_H */
