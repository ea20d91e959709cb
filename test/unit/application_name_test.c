/*-------------------------------------------------------------------------
 *
 * application_name_test.c
 *	  The family of a name, and which names are a trace.
 *
 * The cases are in application_name.tbl and traceparent.tbl, which say at
 * their heads how a row reads.
 *
 * To be run in the project's top folder.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/application_name.h"
#include "table.h"

/* The family of a copy that ends where its memory does. */
static bool
find_family(const char *name, char *family)
{
	char	   *copy = strdup(name);
	bool		found = pgh_find_family(copy, family);

	free(copy);
	return found;
}

static void
check_family(const char *name, const char *want, int line)
{
	char	   *family = malloc(PGH_NAME_LEN);
	char	   *again = malloc(PGH_NAME_LEN);
	bool		found = find_family(name, family);

	tap_ok(found == (*want != '\0'), "line %d: a family or not", line);
	tap_is_text(family, found ? want : name, "line %d: %s", line, name);
	tap_ok(find_family(family, again) == found,
		   "line %d: the family as well", line);
	tap_is_text(again, family, "line %d: the family is its own", line);
	free(family);
	free(again);
}

static void
test_families(void)
{
	TestTable	table;

	table_open(&table, "test/unit/application_name.tbl");
	while (table_next(&table, 2))
	{
		char		name[TABLE_LINE_LEN];

		strcpy(name, table.field[0]);
		check_family(name, table.field[1], table.line);
	}
	tap_ok(table.rows >= 80, "there are enough rows");
}

/*
 * The rows of the table in doc/applications.md: | `name` | `family` | ... |,
 * with none instead of a family.
 */
static void
test_documented(void)
{
	FILE	   *file = fopen("doc/applications.md", "r");
	char		line[TABLE_LINE_LEN];
	char		name[PGH_NAME_LEN];
	char		family[PGH_NAME_LEN];
	int			number = 0;
	int			rows = 0;

	if (file == NULL)
		tap_bail_out("cannot open", "doc/applications.md");
	while (fgets(line, sizeof(line), file) != NULL)
	{
		number++;
		family[0] = '\0';
		if (sscanf(line, "| `%63[^`]` | `%63[^`]`", name, family) < 1)
			continue;
		rows++;
		check_family(name, family, number);
	}
	fclose(file);
	tap_ok(rows >= 20, "doc/applications.md has examples");
}

static void
check_traceparent(const char *name, const char *want, int line)
{
	char	   *trace_id = malloc(PGH_TRACE_ID_LEN);
	char	   *copy = strdup(name);
	bool		is_name = strcmp(want, "name") == 0;

	tap_ok(pgh_read_traceparent(copy, trace_id) == !is_name,
		   "line %d: %s", line, name);
	if (is_name || strcmp(want, "none") == 0)
		want = "";
	tap_is_text(trace_id, want, "line %d: its id", line);
	free(trace_id);
	free(copy);
}

static void
test_traceparents(void)
{
	TestTable	table;

	table_open(&table, "test/unit/traceparent.tbl");
	while (table_next(&table, 2))
	{
		char		name[TABLE_LINE_LEN];

		strcpy(name, table.field[0]);
		check_traceparent(name, table.field[1], table.line);
	}
}

/*
 * A traceparent of which one byte is another is a name, unless it is another
 * hexadecimal digit.
 */
static void
test_spoilt_traceparents(void)
{
	static const char good[] =
	"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	int			wrong = 0;

	for (size_t i = 0; good[i] != '\0'; i++)
		for (int c = 0; c < 256; c++)
		{
			char		name[sizeof(good)];
			char		trace_id[PGH_TRACE_ID_LEN];
			bool		digit = c != '\0' && i > 2 && good[i] != '-' &&
				strchr("0123456789abcdef", c) != NULL;

			memcpy(name, good, sizeof(good));
			name[i] = (char) c;
			if (pgh_read_traceparent(name, trace_id) !=
				(digit || (char) c == good[i]))
				wrong++;
		}
	tap_is_int(wrong, 0, "each byte of a traceparent counts");
}

/* The names of a program under random endings are of one family. */
static void
check_one_family(const char *format, int n, const char *want)
{
	uint32_t	seed = 1;
	int			others = 0;

	for (int i = 0; i < n; i++)
	{
		char		name[PGH_NAME_LEN];
		char		family[PGH_NAME_LEN];
		unsigned	word[4];

		for (int k = 0; k < 4; k++)
			word[k] = seed = seed * 1664525u + 1013904223u;
		snprintf(name, sizeof(name), format, word[0], word[1], word[2],
				 word[3]);
		pgh_find_family(name, family);
		others += strcmp(family, want) != 0;
	}
	tap_ok(others * 1000 <= n, "%s: %d of %d in another family", format,
		   others, n);
}

static void
test_many_names(void)
{
	check_one_family("orders-%u", 10000, "orders-*");
	check_one_family("orders-%08x", 10000, "orders-*");
	check_one_family("orders_%08x%08x", 10000, "orders_*");
	check_one_family("orders%08x%08x%08x%08x", 10000, "orders*");
	check_one_family("node%08x%08x%08x", 10000, "no*");
	check_one_family("%08x-1234-5678-9abc-%08xffff", 10000, "*");
	check_one_family("eight more than fifty bytes of a name in front of it, %08x%08x",
					 10000, "eight more than fifty bytes of a name in front of it, *");
}

/* A name that is longer than PostgreSQL keeps is cut to whole characters. */
static void
test_long_names(void)
{
	char		family[PGH_NAME_LEN];
	char		name[200];

	memset(name, 'x', sizeof(name));
	name[199] = '\0';
	tap_ok(!pgh_find_family(name, family), "199 letters do not vary");
	tap_is_int((int64_t) strlen(family), PGH_NAME_LEN - 1, "63 of them");
	for (int at = 59; at <= 64; at++)
	{
		memset(name, 'x', sizeof(name) - 1);
		memcpy(name + at, "\xF0\x9F\x98\x80", 4);
		pgh_find_family(name, family);
		tap_is_int((int64_t) strlen(family), at > 59 && at < 63 ? at : 63,
				   "a character of four bytes after %d", at);
	}
}

int
main(void)
{
	test_families();
	test_documented();
	test_traceparents();
	test_spoilt_traceparents();
	test_many_names();
	test_long_names();
	return tap_done();
}
