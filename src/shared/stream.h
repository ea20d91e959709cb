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
	uint64		counted;		/* what was read of counters, added up */
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

/*
 * The most that the counters of one part may come to, all of them together:
 * whatever a view adds up of it is a bigint, with as much again to come.  In
 * microseconds that is 146,000 years of one session.
 */
#define PGH_MOST_COUNTED (UINT64CONST(1) << 62)

/*
 * Can this be added to what the part has counted so far?  A negative one,
 * which is none, is too large.
 */
extern bool pgh_take_count(PghStream *stream, uint64 count);

/*
 * Can this be a time or a length of time, in microseconds?  Within a thousand
 * years of 2000, so that no view computes one that there is not.
 */
static inline bool
pgh_is_time(int64 value)
{
	return value > -(INT64CONST(1) << 55) && value < INT64CONST(1) << 55;
}

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
