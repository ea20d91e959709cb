/*-------------------------------------------------------------------------
 *
 * table.h
 *	  Tables of test cases: a row a line, its fields between bars.
 *
 * Blanks around a field do not count; \n \t \s (a blank) \p (a bar) \\ and
 * \xC3 (a byte) stand for what cannot be written.  Lines that are empty or
 * begin with # are none.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TABLE_H
#define TABLE_H

#include "tap.h"

#define TABLE_LINE_LEN 2048
#define TABLE_MAX_FIELDS 5

typedef struct TestTable
{
	FILE	   *file;
	const char *path;
	int			line;
	int			rows;
	char		buf[TABLE_LINE_LEN];
	char	   *field[TABLE_MAX_FIELDS];
	int			n_fields;
} TestTable;

/* There is something wrong with the row that was read last. */
static inline void
table_bail_out(const TestTable *table, const char *why)
{
	char		where[256];

	snprintf(where, sizeof(where), "%s line %d", table->path, table->line);
	tap_bail_out(why, where);
}

static inline void
table_open(TestTable *table, const char *path)
{
	memset(table, 0, sizeof(*table));
	table->path = path;
	table->file = fopen(path, "r");
	if (table->file == NULL)
		tap_bail_out("cannot open", path);
}

static inline char *
table_trim(char *s)
{
	char	   *end = s + strlen(s);

	while (end > s && strchr(" \n", end[-1]) != NULL)
		*--end = '\0';
	while (*s == ' ')
		s++;
	return s;
}

/* Go beyond these words if they come next. */
static inline bool
table_skip(const char **s, const char *words)
{
	size_t		len = strlen(words);

	if (strncmp(*s, words, len) != 0)
		return false;
	*s += len;
	return true;
}

static inline void
table_unescape(char *s)
{
	static const char from[] = "nts\\p";
	static const char to[] = "\n\t \\|";
	char	   *out = s;
	char		hex[3] = "";

	for (; *s != '\0'; s++)
	{
		const char *hit = *s == '\\' && s[1] != '\0' ?
			strchr(from, s[1]) : NULL;

		if (hit != NULL)
		{
			*out++ = to[hit - from];
			s++;
		}
		else if (*s == '\\' && s[1] == 'x' && s[2] != '\0' && s[3] != '\0')
		{
			memcpy(hex, s + 2, 2);
			*out++ = (char) strtol(hex, NULL, 16);
			s += 3;
		}
		else
			*out++ = *s;
	}
	*out = '\0';
}

/* The next row, however many fields it has; false at the end. */
static inline bool
table_next_of_any(TestTable *table)
{
	while (fgets(table->buf, sizeof(table->buf), table->file) != NULL)
	{
		char	   *rest = table->buf;

		table->line++;
		if (strchr(table->buf, '\n') == NULL)
			table_bail_out(table, "a line is too long or unfinished");
		if (*rest == '#' || *table_trim(rest) == '\0')
			continue;
		table->n_fields = 0;
		while (rest != NULL)
		{
			char	   *bar = strchr(rest, '|');

			if (table->n_fields == TABLE_MAX_FIELDS)
				table_bail_out(table, "too many fields");
			if (bar != NULL)
				*bar++ = '\0';
			table->field[table->n_fields] = table_trim(rest);
			table_unescape(table->field[table->n_fields++]);
			rest = bar;
		}
		table->rows++;
		return true;
	}
	fclose(table->file);
	return false;
}

static inline void
table_need(const TestTable *table, int n)
{
	if (table->n_fields != n)
		table_bail_out(table, "wrong number of fields");
}

/* The next row, which must have n fields; false at the end. */
static inline bool
table_next(TestTable *table, int n)
{
	if (!table_next_of_any(table))
		return false;
	table_need(table, n);
	return true;
}

#endif							/* TABLE_H */
