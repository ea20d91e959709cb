/*-------------------------------------------------------------------------
 *
 * client_test.c
 *	  What of an application_name is the application's own.
 *
 * All of it is in client.tbl, which says at its head how a row reads.
 *
 * To be run in the project's top folder.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/application_name.h"
#include "table.h"

static void
check_row(const char *name, const char *want, int line)
{
	size_t		length = pgh_application_length(name);
	char		own[TABLE_LINE_LEN];

	tap_ok(length <= strlen(name), "line %d: no longer than it is", line);
	snprintf(own, sizeof(own), "%.*s", (int) length, name);
	tap_is_text(own, want, "line %d: %s", line, name);
	tap_ok(strcmp(name, own) == 0 || name[length] == ' ',
		   "line %d: a separator is what follows", line);
}

static void
test_table(void)
{
	TestTable	table;

	table_open(&table, "test/unit/client.tbl");
	while (table_next(&table, 2))
	{
		char		name[TABLE_LINE_LEN];

		strcpy(name, table.field[0]);
		check_row(name, table.field[1], table.line);
	}
}

/* However a name is cut, or its end spoilt, nothing beyond it is read. */
static void
test_bounds(void)
{
	static const char full[] =
	"n - 10.0.0.7:51234 - [fd00::7]:51234 - unix(4711@host):64321234";
	int			longer = 0;

	for (size_t length = 0; length < sizeof(full); length++)
		for (int last = 1; last < 256; last++)
		{
			char	   *name = malloc(length + 1);

			memcpy(name, full, length);
			name[length] = '\0';
			if (length > 0)
				name[length - 1] = (char) last;
			longer += pgh_application_length(name) > length;
			free(name);
		}
	tap_is_int(longer, 0, "never more than there is");
}

int
main(void)
{
	test_table();
	test_bounds();
	return tap_done();
}
