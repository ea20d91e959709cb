/*-------------------------------------------------------------------------
 *
 * shared/history.c
 *	  The file in which counters, leaks and events outlive the server.
 *
 * Owns: pg_stat/pg_hygiene.stat and its format.  Must not: raise an error, or
 * be called by the worker that ends sessions (a slow disk must not delay it).
 *
 * The format: a header, the server's counters, applications, events, leaks,
 * rules, and a CRC-32C of all of it.  Texts are written as long as they are.  A file
 * is believed only when its length and checksum are right, and is checked
 * from beginning to end before the first byte of it is used.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/history.h"

#include <sys/stat.h>
#include <unistd.h>

#include "pgstat.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "shared/applications.h"
#include "shared/events.h"
#include "shared/leaks.h"

#define PGH_FILE PGSTAT_STAT_PERMANENT_DIRECTORY "/pg_hygiene.stat"
#define PGH_FILE_TMP PGH_FILE ".tmp"
#define PGH_FILE_CORRUPT PGH_FILE ".corrupt"
#define PGH_FILE_MAGIC 0x48594731	/* "HYG1" */
#define PGH_FILE_FORMAT 1

typedef struct PghFileHeader
{
	uint32		magic;
	uint32		format;
	uint32		server_version; /* PGH_SERVER_MAJOR */
	uint32		event_size;		/* of the structs, as a further check */
	uint32		leak_size;
	uint32		n_applications;
	uint32		n_events;
	uint32		n_leaks;
	uint32		n_rules;
	uint64		next_event_id;
	uint64		total[PGH_N_COUNTERS];
	uint64		refused_by_server;
	TimestampTz stats_since;
} PghFileHeader;

/* What is kept of an application; its sessions have all ended by then. */
typedef struct PghFileApplication
{
	char		name[PGH_NAME_LEN];
	uint32		peak;
	uint32		is_rest;		/* the sum of those beyond max_applications */
	TimestampTz peak_at;
	uint64		opened;
	uint64		ended;
	uint64		transactions;
	uint64		session_time;
	TimestampTz lost_at;
	uint64		count[PGH_N_COUNTERS];
} PghFileApplication;

/* What is kept of a rule; it holds while this number has the same rule. */
typedef struct PghFileRule
{
	uint32		index;			/* its number, from 0 */
	uint32		hash;
	uint64		refused;
	uint64		ended;
	TimestampTz last_used;
} PghFileRule;

typedef struct PghStream
{
	FILE	   *file;
	pg_crc32c	crc;
	bool		ok;
} PghStream;

/* "changes" when the file was last written or read by this process. */
static uint64 saved_changes = 0;

/* ----------
 * Writing
 * ----------
 */

static void
put(PghStream *stream, const void *data, size_t size)
{
	COMP_CRC32C(stream->crc, data, size);
	if (stream->ok && fwrite(data, 1, size, stream->file) != size)
		stream->ok = false;
}

/* A struct that ends with a text: without the part of it that is not used. */
static void
put_with_text(PghStream *stream, const void *data, size_t text_at,
			  const char *text)
{
	uint32		length = strnlen(text, PGH_QUERY_LEN - 1);

	put(stream, &length, sizeof(length));
	put(stream, data, text_at);
	put(stream, text, length);
}

static void
put_application(PghStream *stream, PghApplication *app)
{
	PghFileApplication out;

	memset(&out, 0, sizeof(out));
	strlcpy(out.name, app->name, sizeof(out.name));
	out.is_rest = app == &pgh_applications[0];
	out.peak = pg_atomic_read_u32(&app->peak);
	out.peak_at = pg_atomic_read_u64(&app->peak_at);
	out.opened = pg_atomic_read_u64(&app->opened);
	out.ended = pg_atomic_read_u64(&app->ended);
	out.transactions = pg_atomic_read_u64(&app->transactions);
	out.session_time = pg_atomic_read_u64(&app->session_time);
	out.lost_at = pg_atomic_read_u64(&app->lost_at);
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		out.count[i] = pg_atomic_read_u64(&app->count[i]);
	put(stream, &out, sizeof(out));
}

static bool
put_rule(PghStream *stream, uint32 index)
{
	PghRuleState *state = &pgh_shared->rules[index];
	PghFileRule out;

	memset(&out, 0, sizeof(out));
	out.index = index;
	pgh_lock(PGH_LOCK_ADMISSION, LW_SHARED);
	out.hash = state->hash;
	out.refused = pg_atomic_read_u64(&state->refused);
	out.ended = pg_atomic_read_u64(&state->ended);
	out.last_used = pg_atomic_read_u64(&state->last_used);
	pgh_unlock(PGH_LOCK_ADMISSION);
	if (out.last_used == 0)
		return false;
	put(stream, &out, sizeof(out));
	return true;
}

/*
 * The records, counted as they are written: others go on adding some, so the
 * numbers for the header are only known afterwards.
 */
static void
put_records(PghStream *stream, PghFileHeader *header)
{
	uint64		first;
	uint64		next;

	for (int i = 0; i < pgh_shared->n_applications; i++)
	{
		if (!pgh_applications[i].used)
			continue;
		put_application(stream, &pgh_applications[i]);
		header->n_applications++;
	}
	pgh_event_range(&first, &next);
	for (uint64 id = first; id < next; id++)
	{
		PghEvent	event;

		if (!pgh_event_read(id, &event))
			continue;
		put_with_text(stream, &event, offsetof(PghEvent, query), event.query);
		header->n_events++;
	}
	header->next_event_id = next;
	for (int i = 0; i < PGH_MAX_LEAKS; i++)
	{
		PghLeak		leak;

		if (!pgh_leak_read(i, &leak))
			continue;
		put_with_text(stream, &leak, offsetof(PghLeak, query), leak.query);
		header->n_leaks++;
	}
	for (int i = 0; i < PGH_MAX_RULES; i++)
		header->n_rules += put_rule(stream, i);
}

static void
fill_header(PghFileHeader *header)
{
	memset(header, 0, sizeof(*header));
	header->magic = PGH_FILE_MAGIC;
	header->format = PGH_FILE_FORMAT;
	header->server_version = PGH_SERVER_MAJOR;
	header->event_size = sizeof(PghEvent);
	header->leak_size = sizeof(PghLeak);
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		header->total[i] = pg_atomic_read_u64(&pgh_shared->total[i]);
	header->refused_by_server = pg_atomic_read_u64(&pgh_shared->refused_by_server);
	header->stats_since = pg_atomic_read_u64(&pgh_shared->stats_since);
}

/*
 * The header is written last, over the room that was left for it, and the
 * checksum covers the records first, then the header.
 */
static bool
write_file(FILE *file)
{
	PghStream	stream = {file, 0, true};
	PghFileHeader header;
	pg_crc32c	crc;

	fill_header(&header);
	INIT_CRC32C(stream.crc);
	stream.ok = fwrite(&header, 1, sizeof(header), file) == sizeof(header);
	put_records(&stream, &header);
	COMP_CRC32C(stream.crc, &header, sizeof(header));
	FIN_CRC32C(stream.crc);
	crc = stream.crc;
	return stream.ok &&
		fwrite(&crc, 1, sizeof(crc), file) == sizeof(crc) &&
		fseek(file, 0, SEEK_SET) == 0 &&
		fwrite(&header, 1, sizeof(header), file) == sizeof(header);
}

void
pgh_persist_save(void)
{
	uint64		changes = pg_atomic_read_u64(&pgh_shared->changes);
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

static bool
get(PghStream *stream, void *data, size_t size)
{
	if (stream->ok && fread(data, 1, size, stream->file) != size)
		stream->ok = false;
	return stream->ok;
}

static bool
get_with_text(PghStream *stream, void *data, size_t text_at, char *text)
{
	uint32		length;

	if (!get(stream, &length, sizeof(length)) || length >= PGH_QUERY_LEN)
		return stream->ok = false;
	if (!get(stream, data, text_at) || !get(stream, text, length))
		return false;
	text[length] = '\0';
	return true;
}

/* Is the checksum that of what stands before it? */
static bool
checksum_is_right(FILE *file, const PghFileHeader *header, off_t size)
{
	char		chunk[8192];
	off_t		left = size - (off_t) (sizeof(PghFileHeader) + sizeof(pg_crc32c));
	pg_crc32c	crc;
	pg_crc32c	stored;

	INIT_CRC32C(crc);
	while (left > 0)
	{
		size_t		part = Min(left, (off_t) sizeof(chunk));

		if (fread(chunk, 1, part, file) != part)
			return false;
		COMP_CRC32C(crc, chunk, part);
		left -= part;
	}
	COMP_CRC32C(crc, header, sizeof(*header));
	FIN_CRC32C(crc);
	return fread(&stored, 1, sizeof(stored), file) == sizeof(stored) &&
		EQ_CRC32C(crc, stored);
}

/* NULL if the file may be used, or why it may not. */
static const char *
check_file(FILE *file, PghFileHeader *header)
{
	struct stat st;

	if (fstat(fileno(file), &st) != 0 ||
		st.st_size < (off_t) (sizeof(PghFileHeader) + sizeof(pg_crc32c)) ||
		fread(header, 1, sizeof(*header), file) != sizeof(*header))
		return "it is too short";
	if (header->magic != PGH_FILE_MAGIC)
		return "it is not a file of pg_hygiene";
	if (header->format != PGH_FILE_FORMAT)
		return "its format is another one";
	if (header->server_version != PGH_SERVER_MAJOR ||
		header->event_size != sizeof(PghEvent) ||
		header->leak_size != sizeof(PghLeak))
		return "it was written by another version of the server";
	if (!checksum_is_right(file, header, st.st_size))
		return "its checksum is wrong";
	return NULL;
}

/*
 * The rest has a place of its own, not one among the names: a client may have
 * taken the name that it is shown under.
 */
static PghApplication *
place_for(const PghFileApplication *in)
{
	PghApplication *rest = &pgh_applications[0];

	if (!in->is_rest)
		return &pgh_applications[pgh_application_index(in->name)];
	strlcpy(rest->name, in->name, PGH_NAME_LEN);
	rest->used = true;
	return rest;
}

/* Every session that it had has ended. */
static void
restore_application(const PghFileApplication *in)
{
	PghApplication *app = place_for(in);
	uint64		lost_at = pg_atomic_read_u64(&app->lost_at);

	if (in->peak > pg_atomic_read_u32(&app->peak))
	{
		pg_atomic_write_u32(&app->peak, in->peak);
		pg_atomic_write_u64(&app->peak_at, in->peak_at);
	}
	pg_atomic_fetch_add_u64(&app->opened, in->opened);
	pg_atomic_fetch_add_u64(&app->closed, in->opened);
	pg_atomic_fetch_add_u64(&app->ended, in->ended);
	pg_atomic_fetch_add_u64(&app->transactions, in->transactions);
	pg_atomic_fetch_add_u64(&app->session_time, in->session_time);
	pg_atomic_write_u64(&app->lost_at, Max(lost_at, (uint64) in->lost_at));
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		pg_atomic_fetch_add_u64(&app->count[i], in->count[i]);
}

/* An outcome that was never recorded: the session ended in a crash. */
static void
restore_event(PghEvent *event)
{
	if (event->outcome == PGH_OUTCOME_PENDING)
		event->outcome = PGH_OUTCOME_SPARED;
	pgh_event_restore(event);
}

/*
 * The hash has yet to be compared with that of the rule which has this number
 * now.  A bucket that was never filled up is full at its first use.
 */
static void
restore_rule(const PghFileRule *in)
{
	PghRuleState *state;

	if (in->index >= PGH_MAX_RULES)
		return;
	state = &pgh_shared->rules[in->index];
	state->hash = in->hash;
	pg_atomic_write_u64(&state->refused, in->refused);
	pg_atomic_write_u64(&state->ended, in->ended);
	pg_atomic_write_u64(&state->last_used, in->last_used);
}

static void
restore(PghStream *stream, const PghFileHeader *header)
{
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		pg_atomic_write_u64(&pgh_shared->total[i], header->total[i]);
	pg_atomic_write_u64(&pgh_shared->refused_by_server,
						header->refused_by_server);
	pg_atomic_write_u64(&pgh_shared->stats_since, header->stats_since);
	for (uint32 i = 0; i < header->n_applications; i++)
	{
		PghFileApplication app;

		if (!get(stream, &app, sizeof(app)))
			return;
		app.name[PGH_NAME_LEN - 1] = '\0';
		restore_application(&app);
	}
	pgh_events->next_id = header->next_event_id;
	for (uint32 i = 0; i < header->n_events; i++)
	{
		PghEvent	event;

		if (!get_with_text(stream, &event, offsetof(PghEvent, query),
						   event.query))
			return;
		restore_event(&event);
	}
	for (uint32 i = 0; i < Min(header->n_leaks, PGH_MAX_LEAKS); i++)
		if (!get_with_text(stream, &pgh_leaks[i], offsetof(PghLeak, query),
						   pgh_leaks[i].query))
			return;
	for (uint32 i = 0; i < header->n_rules; i++)
	{
		PghFileRule rule;

		if (!get(stream, &rule, sizeof(rule)))
			return;
		restore_rule(&rule);
	}
}

/*
 * A plain rename: durable_rename() would open the file, and that may be just
 * what cannot be done.
 */
static void
set_aside(const char *why)
{
	bool		kept = rename(PGH_FILE, PGH_FILE_CORRUPT) == 0;
	int			rename_errno = errno;

	ereport(LOG,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("ignoring file \"%s\": %s", PGH_FILE, why),
			 kept ?
			 errdetail("It is kept as \"%s\"; the history of pg_hygiene begins anew.",
					   PGH_FILE_CORRUPT) : 0));
	errno = rename_errno;
	if (!kept)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not rename file \"%s\" to \"%s\": %m",
						PGH_FILE, PGH_FILE_CORRUPT)));
}

void
pgh_persist_load(void)
{
	PghFileHeader header;
	PghStream	stream = {NULL, 0, true};
	const char *why;

	stream.file = AllocateFile(PGH_FILE, PG_BINARY_R);
	if (stream.file == NULL)
	{
		if (errno != ENOENT)
			set_aside(strerror(errno));
		return;
	}
	why = check_file(stream.file, &header);
	if (why == NULL)
	{
		if (fseek(stream.file, sizeof(header), SEEK_SET) == 0)
			restore(&stream, &header);
		saved_changes = pg_atomic_read_u64(&pgh_shared->changes);
	}
	FreeFile(stream.file);
	if (why != NULL)
		set_aside(why);
}

/* After a crash shared memory is not to be trusted: the file stays as it was. */
static void
save_at_exit(int code, Datum arg)
{
	if (code == 0 && pgh_shared != NULL)
		pgh_persist_save();
}

void
pgh_persist_at_shutdown(void)
{
	if (!IsUnderPostmaster)
		on_shmem_exit(save_at_exit, (Datum) 0);
}
