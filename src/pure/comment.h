/*-------------------------------------------------------------------------
 *
 * pure/comment.h
 *	  What a program says of itself in the comments of its statements.
 *
 * Pure: <stdint.h> <stdbool.h> <stddef.h> <string.h> only, no globals that
 * change, no allocation, no error raised.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_COMMENT_H
#define PGH_COMMENT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The value of a tag as sqlcommenter writes them: a comment that holds
 * key='value' pairs with commas between them, values with %20 and the like.
 * Of several the first counts.  Writes at most "size" bytes with the
 * terminator; control characters become "?".  False when there is no such
 * tag, or the text ends within it.
 */
extern bool pgh_find_tag(const char *query, const char *key, char *out,
						 size_t size);

/*
 * Where in the program a statement comes from, by its tags: file and line,
 * else the route, the controller with the action, or one of them.  As above.
 */
extern bool pgh_find_source(const char *query, char *out, size_t size);

/* The trace that it belongs to: 32 hexadecimal digits of "traceparent". */
#define PGH_TRACE_ID_LEN 33
extern bool pgh_find_trace(const char *query, char out[PGH_TRACE_ID_LEN]);

#endif							/* PGH_COMMENT_H */
