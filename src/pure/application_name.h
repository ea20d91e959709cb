/*-------------------------------------------------------------------------
 *
 * pure/application_name.h
 *	  What of an application_name is the application: without the client that
 *	  a pooler appends, without a trace, and the family that a name is of.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, no globals that
 * change, no allocation, no error raised, no locale, linear time.  Anyone may
 * call it.
 *
 * PostgreSQL keeps PGH_NAME_LEN - 1 bytes of a name.  From one that is as
 * long the end may have been cut off; then each function takes what is
 * missing for what it looks for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_APPLICATION_NAME_H
#define PGH_APPLICATION_NAME_H

#include "pure/facts.h"

/* A trace's id in hexadecimal digits, terminator included. */
#define PGH_TRACE_ID_LEN 33

/*
 * How many bytes of an application_name are the application's own.  A pooler
 * may have appended the address and port of the client it serves; rules,
 * limits and counters are about the application.
 */
extern size_t pgh_application_length(const char *name);

/*
 * Is this no name, but a W3C traceparent of version 00, alone or behind
 * "_DD_", whether or not a pooler appended a client?  Then the session keeps
 * the name that it had, and "trace_id", of PGH_TRACE_ID_LEN bytes, is filled:
 * with 32 of [0-9a-f], or with "" where it is all zeros, which is no trace.
 * Else "trace_id" is "".
 *
 * Only what a tracer can have written counts: lower case, exactly the length.
 * Anything else is a name; those that look alike are of one family.
 */
extern bool pgh_read_traceparent(const char *name, char *trace_id);

/*
 * The family of a name (its application's own part, so without a client): the
 * name with "*" for each part that varies.  Fills "family", of PGH_NAME_LEN
 * bytes, which is never longer than the name and never ends within a UTF-8
 * character; of a longer name the first PGH_NAME_LEN - 1 bytes count.  Returns
 * false, with the name itself, when no part varies; then it has no family.
 *
 * What varies: runs of digits; UUIDs; runs of eight or more hexadecimal
 * digits of which one is 0..9; a Kubernetes suffix; and "*" itself, so that
 * who is called "orders-*" is of the family of that name and of no other, and
 * the family of a family is itself.  family.c says what exactly.
 */
extern bool pgh_find_family(const char *name, char *family);

#endif							/* PGH_APPLICATION_NAME_H */
