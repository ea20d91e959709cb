/*-------------------------------------------------------------------------
 *
 * pure/application_name.c
 *	  An application's own name, without what tools put into it: the client
 *	  that a pooler appends, and a tracer's traceparent.
 *
 * Owns: the shapes in which PgBouncer's application_name_add_host writes a
 * client's address behind the name: "orders - 10.0.0.7:51234",
 * "orders - [fd00::7]:51234", "orders - unix(4711@host):6432"; and those in
 * which tracers put a traceparent in its place.  Must not: take anything else
 * away.  Anyone may call it.
 *
 * Every client has a port of its own, and every statement a trace.  If the
 * whole were the name, each would be an application with one session: no leak
 * would be seen as one, no limit for an application would hold, and the table
 * of names would fill up.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/application_name.h"
#include "pure/text.h"

/* ----------
 * Clients of a pooler
 * ----------
 */

#define SEPARATOR " - "

/*
 * Steps over what was expected at *s.  At the end of a name that was cut
 * there, everything that would have followed counts as found: "cut" says
 * whether this one was.
 */
typedef struct Reader
{
	const char *s;
	bool		cut;
	bool		ended;			/* where it was cut */
} Reader;

static bool
at_cut(Reader *reader)
{
	if (*reader->s == '\0' && reader->cut)
		reader->ended = true;
	return reader->ended;
}

static bool
take_text(Reader *reader, const char *text)
{
	for (; *text != '\0'; text++, reader->s++)
	{
		if (at_cut(reader))
			return true;
		if (*reader->s != *text)
			return false;
	}
	return true;
}

/* One or more of these characters, but no more than "most". */
static bool
take_run(Reader *reader, const char *of, size_t most)
{
	size_t		length = strspn(reader->s, of);

	if (length > most || (length == 0 && !at_cut(reader)))
		return false;
	reader->s += length;
	(void) at_cut(reader);
	return true;
}

static bool
take_digits(Reader *reader, size_t most)
{
	return take_run(reader, PGH_DIGITS, most);
}

static bool
take_inet(Reader *reader)
{
	for (int i = 0; i < 4; i++)
	{
		if (i > 0 && !take_text(reader, "."))
			return false;
		if (!take_digits(reader, 3))
			return false;
	}
	return true;
}

static bool
take_inet6(Reader *reader)
{
	return take_text(reader, "[") &&
		take_run(reader, PGH_HEX_DIGITS ":.", 45) &&
		take_text(reader, "]");
}

static bool
take_unix(Reader *reader)
{
	if (!take_text(reader, "unix"))
		return false;
	if (*reader->s != '(')
		return true;
	return take_text(reader, "(") && take_digits(reader, 20) &&
		take_text(reader, "@") &&
		take_run(reader, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 PGH_DIGITS ".-_", PGH_NAME_LEN) &&
		take_text(reader, ")");
}

/* Is this a client's address with its port, and nothing more? */
static bool
is_client(const char *s, bool cut)
{
	static bool (*const shapes[]) (Reader *) = {
		take_inet, take_inet6, take_unix
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
	{
		Reader		reader = {s, cut, false};

		if (shapes[i] (&reader) && take_text(&reader, ":") &&
			take_digits(&reader, 5) && *reader.s == '\0')
			return true;
	}
	return false;
}

/* Only the last separator counts: a name may have one of its own. */
size_t
pgh_application_length(const char *name)
{
	size_t		length = strlen(name);
	size_t		separator = strlen(SEPARATOR);
	bool		cut = length == PGH_NAME_LEN - 1;

	/* Nearly all names end here: a port does not end with a letter. */
	if (!cut && (length == 0 || !pgh_is_digit(name[length - 1])))
		return length;
	for (size_t i = length; i-- > 0;)
		if (name[i] == SEPARATOR[0] &&
			strncmp(name + i, SEPARATOR, separator) == 0)
			return is_client(name + i + separator, cut) ? i : length;
	return length;
}

/* ----------
 * Traces
 * ----------
 */

/*
 * Two kinds of tracers set application_name to a traceparent before each
 * statement, because the comment of a prepared statement cannot change:
 * OpenTelemetry's instrumentation for Node.js and Npgsql, with nothing around
 * it (the collector's postgresqlreceiver reads it there); and Datadog's
 * tracer for Java with dd.dbm.trace_prepared_statements, behind "_DD_".
 */
#define DATADOG_PREFIX "_DD_"

/* Each x is a digit in lower case, as W3C's Trace Context asks for. */
#define TRACEPARENT "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx"
#define TRACE_ID_OFFSET 3

static bool
is_traceparent(const char *s, size_t length)
{
	if (length != strlen(TRACEPARENT))
		return false;
	for (size_t i = 0; i < length; i++)
	{
		if (TRACEPARENT[i] != 'x' ? s[i] != TRACEPARENT[i] :
			strchr(PGH_HEX_DIGITS, s[i]) == NULL)
			return false;
	}
	return true;
}

/*
 * Trace Context calls a traceparent of zeros invalid: tracers write it where
 * there is no trace.  It is no name for that, so only the id is left out.
 */
bool
pgh_read_traceparent(const char *name, char *trace_id)
{
	size_t		length = pgh_application_length(name);
	size_t		prefix = strlen(DATADOG_PREFIX);

	trace_id[0] = '\0';
	if (length > prefix && strncmp(name, DATADOG_PREFIX, prefix) == 0)
	{
		name += prefix;
		length -= prefix;
	}
	if (!is_traceparent(name, length))
		return false;
	name += TRACE_ID_OFFSET;
	length = PGH_TRACE_ID_LEN - 1;
	if (strspn(name, "0") < length)
	{
		memcpy(trace_id, name, length);
		trace_id[length] = '\0';
	}
	return true;
}
