/*-------------------------------------------------------------------------
 *
 * shared/stream.h
 *	  Bytes of the history's file, written and read in order.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_STREAM_H
#define PGH_STREAM_H

#include "compat.h"

#include "port/pg_crc32c.h"

#include "pure/facts.h"

/* Longest query text that is kept, terminator included. */
#define PGH_QUERY_LEN 1024

typedef struct PghStream
{
	FILE	   *file;
	uint64		length;			/* bytes written; when reading, those left */
	pg_crc32c	crc;			/* of those written */
	bool		ok;				/* nothing has failed */
} PghStream;

/* Begin a piece at the place where the file is. */
extern PghStream pgh_stream_begin(FILE *file, uint64 length);

/*
 * A checksum tells damage, not what somebody has written there on purpose, and
 * what is read is used as an index into tables.  So whoever loads a part looks
 * at what the types promise; these are for what several parts keep.
 */

/* A byte that is neither 0 nor 1 is no bool, and what it does is undefined. */
static inline void
pgh_make_bool(bool *value)
{
	uint8		byte;

	memcpy(&byte, value, sizeof(byte));
	*value = byte != 0;
}

/* Who it was, with ends to its texts and an address that there is. */
static inline void
pgh_make_identity(PghIdentity *who)
{
	who->application[PGH_NAME_LEN - 1] = '\0';
	who->user[PGH_NAME_LEN - 1] = '\0';
	who->database[PGH_NAME_LEN - 1] = '\0';
	if (who->address.family > PGH_ADDRESS_INET6)
		who->address.family = PGH_ADDRESS_UNKNOWN;
}

/* Write "size" bytes. */
extern void pgh_put(PghStream *stream, const void *data, size_t size);

/* Read "size" bytes; false, then and from then on, when there are fewer. */
extern bool pgh_get(PghStream *stream, void *data, size_t size);

/*
 * The same for a struct that ends with a text of PGH_QUERY_LEN bytes, which
 * begins at "text_at" and is written as long as it is.
 */
extern void pgh_put_with_text(PghStream *stream, const void *data,
							  size_t text_at);
extern bool pgh_get_with_text(PghStream *stream, void *data, size_t text_at);

#endif							/* PGH_STREAM_H */
