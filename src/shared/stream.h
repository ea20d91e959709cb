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
