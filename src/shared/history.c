/*-------------------------------------------------------------------------
 *
 * shared/history.c
 *	  The file in which shared memory outlives the server.
 *
 * Owns: pg_stat/pg_hygiene.stat and its envelope.  Must not: know what a part
 * keeps, raise an error, or be called by the worker that ends sessions (a
 * slow disk must not delay it).
 *
 * The envelope: a header with a list of the parts, each with its name, its
 * format, its length and a CRC-32C of it, and a CRC-32C of the header itself;
 * then the parts, one after the other.  A part is believed only when its
 * format and checksum are right; one that is damaged is lost without the
 * others.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/history.h"

#include <sys/stat.h>
#include <unistd.h>

#include "pgstat.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "shared/totals.h"

#define PGH_FILE PGSTAT_STAT_PERMANENT_DIRECTORY "/pg_hygiene.stat"
#define PGH_FILE_TMP PGH_FILE ".tmp"
#define PGH_FILE_CORRUPT PGH_FILE ".corrupt"
#define PGH_FILE_MAGIC 0x48594731	/* "HYG1" */
#define PGH_FILE_FORMAT 2
#define PGH_MAX_CHUNKS 32

/* A part in the file. */
typedef struct PghChunk
{
	char		name[32];
	uint64		length;
	uint32		format;
	pg_crc32c	crc;
} PghChunk;

typedef struct PghFileHeader
{
	uint32		magic;
	uint32		format;
	uint32		server_version; /* PGH_SERVER_MAJOR */
	uint32		n_chunks;
	PghChunk	chunk[PGH_MAX_CHUNKS];
	pg_crc32c	crc;			/* of what stands before it */
} PghFileHeader;

/* "changes" when the file was last written or read by this process. */
static uint64 saved_changes = 0;

static pg_crc32c
checksum_of(const PghFileHeader *header)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, header, offsetof(PghFileHeader, crc));
	FIN_CRC32C(crc);
	return crc;
}

/* ----------
 * Writing
 * ----------
 */

static bool
write_chunk(FILE *file, const PghPart *part, PghChunk *chunk)
{
	PghStream	stream = pgh_stream_begin(file, 0);

	part->save(&stream);
	FIN_CRC32C(stream.crc);
	strlcpy(chunk->name, part->name, sizeof(chunk->name));
	chunk->format = part->format;
	chunk->length = stream.length;
	chunk->crc = stream.crc;
	return stream.ok;
}

/*
 * The header is written last, over the room that was left for it: others go
 * on while we write, so what a part comes to is only known afterwards.
 */
static bool
write_file(FILE *file)
{
	PghFileHeader header;

	memset(&header, 0, sizeof(header));
	header.magic = PGH_FILE_MAGIC;
	header.format = PGH_FILE_FORMAT;
	header.server_version = PGH_SERVER_MAJOR;
	if (fwrite(&header, 1, sizeof(header), file) != sizeof(header))
		return false;
	for (int i = 0; pgh_parts[i] != NULL; i++)
	{
		if (pgh_parts[i]->save == NULL)
			continue;
		Assert(header.n_chunks < PGH_MAX_CHUNKS);
		if (!write_chunk(file, pgh_parts[i],
						 &header.chunk[header.n_chunks++]))
			return false;
	}
	header.crc = checksum_of(&header);
	return fseek(file, 0, SEEK_SET) == 0 &&
		fwrite(&header, 1, sizeof(header), file) == sizeof(header);
}

void
pgh_history_save(void)
{
	uint64		changes = pg_atomic_read_u64(&pgh_totals->changes);
	FILE	   *file;
	bool		ok;

	if (changes == saved_changes)
		return;
	file = AllocateFile(PGH_FILE_TMP, PG_BINARY_W);
	ok = file != NULL && write_file(file);
	if (file != NULL && FreeFile(file) != 0)
		ok = false;
	if (!ok)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", PGH_FILE_TMP),
				 errdetail("The history of pg_hygiene stays in memory, and the file as it was.")));
		(void) unlink(PGH_FILE_TMP);
		return;
	}
	if (durable_rename(PGH_FILE_TMP, PGH_FILE, LOG) == 0)
		saved_changes = changes;
}

/* ----------
 * Reading
 * ----------
 */

/* Does the file have the length that its parts come to? */
static bool
length_is_right(FILE *file, const PghFileHeader *header)
{
	struct stat st;
	uint64		length = sizeof(PghFileHeader);

	for (uint32 i = 0; i < header->n_chunks; i++)
		length += header->chunk[i].length;
	return fstat(fileno(file), &st) == 0 && (uint64) st.st_size == length;
}

/* NULL if the parts may be looked at, or why they may not. */
static const char *
check_header(FILE *file, PghFileHeader *header)
{
	size_t		head = offsetof(PghFileHeader, n_chunks);

	/* An older file may be shorter than our header is. */
	memset(header, 0, sizeof(*header));
	if (fread(header, 1, sizeof(*header), file) < head)
		return "it is too short";
	if (header->magic != PGH_FILE_MAGIC)
		return "it is not a file of pg_hygiene";
	if (header->format != PGH_FILE_FORMAT)
		return "its format is another one";
	if (header->server_version != PGH_SERVER_MAJOR)
		return "it was written by another version of the server";
	if (!EQ_CRC32C(header->crc, checksum_of(header)) ||
		header->n_chunks > PGH_MAX_CHUNKS)
		return "its checksum is wrong";
	if (!length_is_right(file, header))
		return "it is too short";
	return NULL;
}

static bool
checksum_is_right(FILE *file, const PghChunk *chunk)
{
	char		buf[8192];
	uint64		left = chunk->length;
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	while (left > 0)
	{
		size_t		n = Min(left, sizeof(buf));

		if (fread(buf, 1, n, file) != n)
			return false;
		COMP_CRC32C(crc, buf, n);
		left -= n;
	}
	FIN_CRC32C(crc);
	return EQ_CRC32C(crc, chunk->crc);
}

static PghPart *
find_part(const char *name)
{
	for (int i = 0; pgh_parts[i] != NULL; i++)
		if (pgh_parts[i]->load != NULL &&
			strcmp(pgh_parts[i]->name, name) == 0)
			return pgh_parts[i];
	return NULL;
}

/* Read one part; NULL if that was done, or why it was not. */
static const char *
read_chunk(FILE *file, off_t offset, const PghChunk *chunk)
{
	PghPart    *part = find_part(chunk->name);
	PghStream	stream;

	if (part == NULL)
		return "this version keeps no such part";
	if (part->format != chunk->format)
		return "its format is another one";
	if (fseeko(file, offset, SEEK_SET) != 0 || !checksum_is_right(file, chunk))
		return "its checksum is wrong";
	stream = pgh_stream_begin(file, chunk->length);
	if (fseeko(file, offset, SEEK_SET) != 0 || !part->load(&stream))
		return "what it says makes no sense";
	return NULL;
}

/* Returns how many parts were lost. */
static int
read_chunks(FILE *file, const PghFileHeader *header)
{
	off_t		offset = sizeof(PghFileHeader);
	int			lost = 0;

	for (uint32 i = 0; i < header->n_chunks; i++)
	{
		PghChunk	chunk = header->chunk[i];
		const char *why;

		chunk.name[sizeof(chunk.name) - 1] = '\0';
		why = read_chunk(file, offset, &chunk);
		if (why != NULL)
		{
			lost++;
			ereport(LOG,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("ignoring part \"%s\" of file \"%s\": %s",
							chunk.name, PGH_FILE, why),
					 errdetail("The other parts of the history of pg_hygiene are not touched by that.")));
		}
		offset += chunk.length;
	}
	return lost;
}

/*
 * A plain rename: durable_rename() would open the file, and that may be just
 * what cannot be done.
 */
static bool
set_aside(void)
{
	if (rename(PGH_FILE, PGH_FILE_CORRUPT) == 0)
		return true;
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("could not rename file \"%s\" to \"%s\": %m",
					PGH_FILE, PGH_FILE_CORRUPT)));
	return false;
}

/* The whole of it is of no use. */
static void
report_unusable(const char *why)
{
	bool		kept = set_aside();

	ereport(LOG,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("ignoring file \"%s\": %s", PGH_FILE, why),
			 kept ?
			 errdetail("It is kept as \"%s\"; the history of pg_hygiene begins anew.",
					   PGH_FILE_CORRUPT) : 0));
}

void
pgh_history_load(void)
{
	PghFileHeader header;
	const char *why;
	FILE	   *file = AllocateFile(PGH_FILE, PG_BINARY_R);
	int			lost = 0;

	if (file == NULL)
	{
		if (errno != ENOENT)
			report_unusable(strerror(errno));
		return;
	}
	why = check_header(file, &header);
	if (why == NULL)
	{
		lost = read_chunks(file, &header);
		saved_changes = pg_atomic_read_u64(&pgh_totals->changes);
	}
	FreeFile(file);
	if (why != NULL)
		report_unusable(why);
	else if (lost > 0)
		(void) set_aside();
}

/* After a crash shared memory is not to be trusted: the file stays. */
static void
save_at_exit(int code, Datum arg)
{
	if (code == 0 && pgh_attached)
		pgh_history_save();
}

void
pgh_history_at_shutdown(void)
{
	if (!IsUnderPostmaster)
		on_shmem_exit(save_at_exit, (Datum) 0);
}
