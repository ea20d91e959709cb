/*-------------------------------------------------------------------------
 *
 * fingerprint_test.c
 *	  Texts of statements, their shapes and their kinds.
 *
 * Most of it is in fingerprint.tbl: text, shape, kind.  Every row is also
 * tried cut at each of its bytes and in buffers of every size.
 *
 * To be run in the project's top folder.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/fingerprint.h"
#include "table.h"

/* The shape of a copy that ends where its memory does. */
static size_t
normalise(const char *text, size_t len, char *out, size_t size)
{
	char	   *copy = malloc(len > 0 ? len : 1);
	size_t		shape_len;

	memcpy(copy, text, len);
	shape_len = pgh_normalise(copy, len, out, size);
	free(copy);
	return shape_len;
}

static const char *
kind_name(PghStatementKind kind)
{
	switch (kind)
	{
		case PGH_STATEMENT_OTHER:
			return "other";
		case PGH_STATEMENT_NONE:
			return "none";
		case PGH_STATEMENT_BEGIN:
			return "begin";
		case PGH_STATEMENT_READ:
			return "read";
		case PGH_STATEMENT_WRITE:
			return "write";
		case PGH_STATEMENT_UTILITY:
			return "utility";
	}
	return "none of them";
}

/* Does the text end within a UTF-8 character? */
static bool
ends_broken(const char *text, size_t len)
{
	size_t		tail = 0;
	uint8_t		lead;

	while (tail < len && ((uint8_t) text[len - 1 - tail] & 0xC0) == 0x80)
		tail++;
	lead = tail < len ? (uint8_t) text[len - 1 - tail] : 0;
	return tail != (lead < 0xC0 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3);
}

/* What every text must keep to, whatever it is and how short the buffer. */
static bool
keeps_promises(const char *text, size_t len, size_t size)
{
	char		shape[TABLE_LINE_LEN];
	char		again[TABLE_LINE_LEN];
	size_t		shape_len;

	memset(shape, '~', sizeof(shape));
	shape_len = normalise(text, len, shape, size);
	return shape_len <= len && shape_len < size && shape[size] == '~' &&
		strlen(shape) == shape_len && !ends_broken(shape, shape_len) &&
		normalise(shape, shape_len, again, size) == shape_len &&
		strcmp(shape, again) == 0;
}

static void
test_table(void)
{
	TestTable	table;

	table_open(&table, "test/unit/fingerprint.tbl");
	while (table_next(&table, 3))
	{
		const char *text = table.field[0];
		size_t		len = strlen(text);
		char		shape[TABLE_LINE_LEN];
		size_t		bad_cut = 0;
		size_t		bad_size = 0;

		normalise(text, len, shape, sizeof(shape));
		tap_is_text(shape, table.field[1], "line %d: %s", table.line, text);
		tap_is_text(kind_name(pgh_statement_kind(shape)), table.field[2],
					"line %d: the kind of %s", table.line, shape);
		for (size_t cut = 0; cut <= len; cut++)
			if (!keeps_promises(text, cut, sizeof(shape) - 1))
				bad_cut = cut + 1;
		for (size_t size = 1; size <= len + 1; size++)
			if (!keeps_promises(text, len, size))
				bad_size = size;
		tap_is_int((int64_t) bad_cut, 0, "line %d: cut at any byte",
				   table.line);
		tap_is_int((int64_t) bad_size, 0, "line %d: in any buffer",
				   table.line);
	}
	tap_ok(table.rows >= 150, "fingerprint.tbl has %d rows", table.rows);
}

/* A shape too long for its buffer stops at a whole character. */
static void
test_short_buffers(void)
{
	static const char text[] = "select \xC3\xA4, \xE2\x82\xAC, 'x'";
	static const struct
	{
		size_t		size;
		const char *shape;
	}			row[] = {
		{1, ""}, {2, "s"}, {7, "select"}, {8, "select"}, {9, "select"},
		{10, "select \xC3\xA4"}, {11, "select \xC3\xA4"},
		{12, "select \xC3\xA4"}, {14, "select \xC3\xA4"},
		{15, "select \xC3\xA4, \xE2\x82\xAC"},
		{17, "select \xC3\xA4, \xE2\x82\xAC"},
		{18, "select \xC3\xA4, \xE2\x82\xAC, ?"}, {100, "select \xC3\xA4, \xE2\x82\xAC, ?"}
	};
	char		shape[128] = "untouched";

	tap_is_int((int64_t) pgh_normalise(text, strlen(text), shape, 0), 0,
			   "no buffer, no shape");
	tap_is_text(shape, "untouched", "and nothing is written");
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
	{
		normalise(text, strlen(text), shape, row[i].size);
		tap_is_text(shape, row[i].shape, "in %d bytes", (int) row[i].size);
	}
}

static void
test_bytes(void)
{
	char		shape[64];

	pgh_normalise("select 1\0, 2", 12, shape, sizeof(shape));
	tap_is_text(shape, "select ?", "a zero byte ends the text");
	pgh_normalise("select 12345", 8, shape, sizeof(shape));
	tap_is_text(shape, "select ?", "what is behind the text is not read");
	tap_is_int((int64_t) pgh_normalise("", 0, shape, sizeof(shape)), 0,
			   "an empty text");
	tap_is_int((int64_t) pgh_normalise(NULL, 0, shape, sizeof(shape)), 0,
			   "no text");
}

/* A long list is of the same shape as a short one, and folds as it is read. */
static void
test_long_list(void)
{
	enum
	{
		N = 100000
	};
	char	   *text = malloc(N * 3 + 64);
	size_t		len;
	char		shape[48];

	strcpy(text, "select * from t where id in (0");
	len = strlen(text);
	for (int i = 0; i < N; i++, len += 3)
		memcpy(text + len, ", 1", 3);
	strcpy(text + len, ") and x = 1");
	pgh_normalise(text, strlen(text), shape, sizeof(shape));
	tap_is_text(shape, "select * from t where id in (?) and x = ?",
				"%d values", N);

	/* as deep as the stack would not be */
	memset(text, '(', N);
	strcpy(text + N, "1");
	tap_is_int((int64_t) pgh_normalise(text, N + 1, text, N + 2), N + 1,
			   "%d parentheses, in place", N);
	len = 0;
	for (int i = 0; i < N / 4; i++, len += 4)
		memcpy(text + len, "in (", 4);
	strcpy(text + len, "1, 2");
	tap_is_int((int64_t) pgh_normalise(text, len + 4, text, N + 64),
			   (int64_t) len + 4, "lists too deep to fold");
	free(text);
}

static void
test_fingerprints(void)
{
	static const char *const text[] = {
		"", "?", "a", "b", "ab", "ba", "select ?", "select ??",
		"select * from a", "select * from b"
	};
	enum
	{
		N = sizeof(text) / sizeof(text[0])
	};
	uint64_t	hash[N];
	int			same = 0;

	for (int i = 0; i < N; i++)
	{
		hash[i] = pgh_fingerprint(text[i], strlen(text[i]));
		for (int j = 0; j < i; j++)
			same += hash[i] == hash[j] || (hash[i] ^ hash[j]) >> 32 == 0 ||
				(uint32_t) hash[i] == (uint32_t) hash[j];
		tap_ok(hash[i] != 0, "the fingerprint of <%s> is not 0", text[i]);
	}
	tap_is_int(same, 0, "different shapes differ in both halves");

	/* kept in a file, so they must stay what they are */
	tap_ok(hash[6] == UINT64_C(0x1cab9ada31915ed1), "a known fingerprint: %llx",
		   (unsigned long long) hash[6]);
	tap_ok(pgh_fingerprint("select ? and more", 8) == hash[6],
		   "only what belongs to the shape counts");
}

/* FOR UPDATE and the like at the end of a statement that reads. */
static void
test_locks(void)
{
	static const struct
	{
		const char *text;
		bool		locks;
	}			texts[] = {
		{"SELECT * FROM t FOR UPDATE", true},
		{"select a from t where id = 4 for no key update skip locked", true},
		{"SELECT 1 FROM t FOR /* all */ SHARE", true},
		{"SELECT 1 FROM t FOR KEY SHARE", true},
		{"WITH a AS (SELECT 1) SELECT * FROM a FOR UPDATE NOWAIT", true},
		{"BEGIN; SELECT a FROM t FOR UPDATE OF t", true},
		{"DECLARE c CURSOR FOR SELECT a FROM t FOR UPDATE", true},
		{"SELECT * FROM t", false},
		{"SELECT substring(a FOR 3) FROM t", false},
		{"SELECT 'x for update' FROM t -- for update", false},
		{"SELECT \"for\" update FROM t", false},
		{"DECLARE c CURSOR FOR SELECT a FROM t", false},
		{"UPDATE t SET a = (SELECT 1 FROM s FOR UPDATE)", false},
		{"SELECT 1 FROM t FOR", false},
		{"", false},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		char		shape[TABLE_LINE_LEN];

		normalise(texts[i].text, strlen(texts[i].text), shape, sizeof(shape));
		tap_ok(pgh_statement_locks_rows(shape) == texts[i].locks, "%s: %s",
			   texts[i].text, texts[i].locks ? "locks" : "does not lock");
	}
}

int
main(void)
{
	test_table();
	test_locks();
	test_short_buffers();
	test_bytes();
	test_long_list();
	test_fingerprints();
	return tap_done();
}
