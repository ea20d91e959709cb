/*-------------------------------------------------------------------------
 *
 * text_test.c
 *	  Whole characters, blanks and digits, and text in too small a buffer.
 *
 * The rows are in text.tbl.  To be run in the project's top folder.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/text.h"
#include "table.h"

/* What a row does to a text; "n" is its number, 0 without one. */
static void
do_row(const char *what, size_t n, const char *text, char *got, size_t size)
{
	PghOutput	out = {got, n, 0};
	const size_t len = strlen(text);

	memset(got, '~', size);
	if (strcmp(what, "clip") == 0)
		snprintf(got, size, "%.*s", (int) pgh_clip_length(text, n), text);
	else if (strcmp(what, "ascii") == 0)
		pgh_copy_ascii(text, got, n);
	else if (strcmp(what, "put") == 0)
	{
		pgh_put_text(&out, text);
		tap_is_int((int64_t) pgh_finish_output(&out), (int64_t) len,
				   "the length of the whole");
		tap_ok(got[n] == '~', "no more than %zu bytes", n);
	}
	else if (strcmp(what, "count") == 0)
		snprintf(got, size, "%zu", pgh_count_characters(text, len));
	else if (strcmp(what, "length") == 0)
		snprintf(got, size, "%zu", pgh_character_length(text, len));
	else
		tap_bail_out("not known", what);
}

static void
test_table(void)
{
	TestTable	table;

	table_open(&table, "test/unit/text.tbl");
	while (table_next(&table, 3))
	{
		char		what[16];
		size_t		n = 0;
		char		got[64];

		sscanf(table.field[0], "%15s %zu", what, &n);
		do_row(what, n, table.field[1], got, sizeof(got));
		tap_is_text(got, table.field[2], "text.tbl line %d: %s of \"%s\"",
					table.line, table.field[0], table.field[1]);
	}
}

/* Every byte is of the kinds that its place in ASCII says. */
static void
test_kinds(void)
{
	static const char hex[] = "0123456789ABCDEFabcdef";

	for (int i = 0; i < 256; i++)
	{
		const char	c = (char) i;
		const char *digit = i == 0 ? NULL : strchr(hex, c);
		int			value = digit == NULL ? -1 : (int) (digit - hex);

		if (value > 15)
			value -= 6;
		tap_ok(pgh_is_blank(c) == (i == ' ' || (i >= 9 && i <= 13)) &&
			   pgh_is_digit(c) == (i >= '0' && i <= '9') &&
			   pgh_is_letter(c) ==
			   ((i >= 'A' && i <= 'Z') || (i >= 'a' && i <= 'z')) &&
			   pgh_is_high(c) == (i >= 128) &&
			   pgh_hex_value(c) == value &&
			   pgh_to_lower(c) ==
			   (char) (i >= 'A' && i <= 'Z' ? i + 32 : i), "byte %d", i);
	}
}

static void
test_numbers(void)
{
	char		got[64];
	PghOutput	out = {got, sizeof(got), 0};

	pgh_put_number(&out, 0, 10, 1);
	pgh_put_char(&out, ' ');
	pgh_put_number(&out, 7, 10, 2);
	pgh_put_char(&out, ' ');
	pgh_put_number(&out, 123, 10, 2);
	pgh_put_char(&out, ' ');
	pgh_put_number(&out, 0xfd00, 16, 1);
	pgh_put_char(&out, ' ');
	pgh_put_number(&out, UINT64_MAX, 10, 1);
	(void) pgh_finish_output(&out);
	tap_is_text(got, "0 07 123 fd00 18446744073709551615", "numbers");
}

static void
test_words(void)
{
	static const char text[] = "Exempt";

	tap_ok(pgh_is_word(text, text + 6, "exempt"), "in any case");
	tap_ok(!pgh_is_word(text, text + 5, "exempt"), "not a part of it");
	tap_ok(!pgh_is_word(text, text + 6, "exemp"), "nor one that is longer");
	tap_ok(pgh_is_word(text, text, ""), "nothing is nothing");
}

static void
test_names(void)
{
	char		got[PGH_PRINTED_NAME_LEN];
	char		longest[64];

	tap_is_text(pgh_print_name("orders", got), "orders", "a name");
	tap_is_text(pgh_print_name("", got), "", "no name");
	tap_is_text(pgh_print_name("a\"b\"", got), "a\"\"b\"\"", "a name with quotes");
	memset(longest, '"', 63);
	longest[63] = '\0';
	tap_ok(strlen(pgh_print_name(longest, got)) == 126, "the longest name fits");
}

int
main(void)
{
	test_table();
	test_kinds();
	test_numbers();
	test_words();
	test_names();
	return tap_done();
}
