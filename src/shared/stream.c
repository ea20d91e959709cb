/*-------------------------------------------------------------------------
 *
 * shared/stream.c
 *	  Bytes of the history's file, written and read in order.
 *
 * Owns: length and checksum of what is written, and the end of what is read.
 * Must not: know what the bytes mean, or raise an error.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/stream.h"

PghStream
pgh_stream_begin(FILE *file, uint64 length)
{
	PghStream	stream = {file, length, 0, 0, true};

	INIT_CRC32C(stream.crc);
	return stream;
}

void
pgh_put(PghStream *stream, const void *data, size_t size)
{
	COMP_CRC32C(stream->crc, data, size);
	stream->length += size;
	if (stream->ok && fwrite(data, 1, size, stream->file) != size)
		stream->ok = false;
}

bool
pgh_get(PghStream *stream, void *data, size_t size)
{
	if (stream->ok && (size > stream->length ||
					   fread(data, 1, size, stream->file) != size))
		stream->ok = false;
	if (stream->ok)
		stream->length -= size;
	return stream->ok;
}

bool
pgh_take_count(PghStream *stream, uint64 count)
{
	if (count > PGH_MOST_COUNTED - stream->counted)
		return false;
	stream->counted += count;
	return true;
}

void
pgh_put_with_text(PghStream *stream, const void *data, size_t text_at)
{
	const char *text = (const char *) data + text_at;
	uint32		length = strnlen(text, PGH_QUERY_LEN - 1);

	pgh_put(stream, &length, sizeof(length));
	pgh_put(stream, data, text_at);
	pgh_put(stream, text, length);
}

bool
pgh_get_with_text(PghStream *stream, void *data, size_t text_at)
{
	char	   *text = (char *) data + text_at;
	uint32		length;

	if (!pgh_get(stream, &length, sizeof(length)) || length >= PGH_QUERY_LEN)
		return stream->ok = false;
	if (!pgh_get(stream, data, text_at) || !pgh_get(stream, text, length))
		return false;
	text[length] = '\0';
	return true;
}
