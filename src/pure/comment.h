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
 * Where in the program a statement comes from, by its tags: file and line,
 * else the route, the controller with the action, or one of them.  Writes at
 * most "size" bytes with the terminator; false when no tag tells.
 */
extern bool pgh_find_source(const char *query, char *out, size_t size);

/* The trace that it belongs to: 32 hexadecimal digits of "traceparent". */
#define PGH_TRACE_ID_LEN 33
extern bool pgh_find_trace(const char *query, char out[PGH_TRACE_ID_LEN]);

#endif							/* PGH_COMMENT_H */
