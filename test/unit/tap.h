/*-------------------------------------------------------------------------
 *
 * tap.h
 *	  Just enough of the Test Anything Protocol for a test in C.
 *
 * A test calls tap_ok or tap_is_* once per claim and returns tap_done().
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int	tap_count = 0;
static int	tap_failed = 0;

/* One line; '#' would begin a directive there, so it is escaped. */
static inline void
tap_line(bool good, const char *format, va_list args)
{
	char		name[512];

	vsnprintf(name, sizeof(name), format, args);
	tap_count++;
	if (!good)
		tap_failed++;
	printf("%s %d - ", good ? "ok" : "not ok", tap_count);
	for (const char *c = name; *c != '\0'; c++)
	{
		if (*c == '#')
			putchar('\\');
		putchar(*c == '\n' ? ' ' : *c);
	}
	putchar('\n');
	fflush(stdout);
}

__attribute__((format(printf, 2, 3)))
static inline bool
tap_ok(bool good, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	tap_line(good, format, args);
	va_end(args);
	return good;
}

__attribute__((format(printf, 3, 4)))
static inline bool
tap_is_text(const char *got, const char *want, const char *format,...)
{
	bool		good = strcmp(got, want) == 0;
	va_list		args;

	va_start(args, format);
	tap_line(good, format, args);
	va_end(args);
	if (!good)
		printf("#   got:  %s\n#   want: %s\n", got, want);
	return good;
}

__attribute__((format(printf, 3, 4)))
static inline bool
tap_is_int(int64_t got, int64_t want, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	tap_line(got == want, format, args);
	va_end(args);
	if (got != want)
		printf("#   got:  %lld\n#   want: %lld\n",
			   (long long) got, (long long) want);
	return got == want;
}

/* Something without which the test cannot go on is missing. */
static inline void
tap_bail_out(const char *why, const char *what)
{
	printf("Bail out! %s: %s\n", why, what);
	exit(255);
}

/* The plan, and the exit code of main. */
static inline int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	if (tap_failed > 0)
		printf("# %d of %d failed\n", tap_failed, tap_count);
	return tap_failed > 0 ? 1 : 0;
}

#endif							/* TAP_H */
