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
#define TABLE_MAX_FIELDS 4

typedef struct TestTable
{
	FILE	   *file;
	const char *path;
	int			line;
	int			rows;
	char		buf[TABLE_LINE_LEN];
	char	   *field[TABLE_MAX_FIELDS];
} TestTable;

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

/* The next row, which must have n fields; false at the end. */
static inline bool
table_next(TestTable *table, int n)
{
	while (fgets(table->buf, sizeof(table->buf), table->file) != NULL)
	{
		char	   *rest = table->buf;
		char		where[256];
		int			i = 0;

		table->line++;
		snprintf(where, sizeof(where), "%s line %d", table->path,
				 table->line);
		if (strchr(table->buf, '\n') == NULL)
			tap_bail_out("a line is too long or unfinished", where);
		if (*rest == '#' || *table_trim(rest) == '\0')
			continue;
		for (; rest != NULL && i < TABLE_MAX_FIELDS; i++)
		{
			char	   *bar = strchr(rest, '|');

			if (bar != NULL)
				*bar++ = '\0';
			table->field[i] = table_trim(rest);
			table_unescape(table->field[i]);
			rest = bar;
		}
		if (i != n || rest != NULL)
			tap_bail_out("wrong number of fields", where);
		table->rows++;
		return true;
	}
	fclose(table->file);
	return false;
}

#endif							/* TABLE_H */
