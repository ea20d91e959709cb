/*-------------------------------------------------------------------------
 *
 * views/row.h
 *	  Rows of a set-returning function, built one column after the other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_ROW_H
#define PGH_ROW_H

#include "compat.h"
#include "pure/facts.h"

#include "fmgr.h"
#include "utils/inet.h"

#define PGH_MAX_COLUMNS 32

typedef struct PghRow
{
	int			n;
	Datum		value[PGH_MAX_COLUMNS];
	bool		null[PGH_MAX_COLUMNS];
	MemoryContext context;		/* of what its columns are made of */
	MemoryContext outer;
} PghRow;

/*
 * Begin a row.  Whatever is palloc'd from here to pgh_row_end() is the row's,
 * and gone then: there may be a million rows.
 */
extern void pgh_row_begin(PghRow *row);

/* Append one column. */
extern void pgh_row_null(PghRow *row);
extern void pgh_row_nulls(PghRow *row, int n);
extern void pgh_row_datum(PghRow *row, Datum value);
extern void pgh_row_bool(PghRow *row, bool value);
extern void pgh_row_int32(PghRow *row, int32 value);
extern void pgh_row_int64(PghRow *row, int64 value);
extern void pgh_row_float8(PghRow *row, double value);

/*
 * The text itself, or a palloc'd one with "?" for each byte that is not ASCII
 * where it could not be read here.
 */
extern const char *pgh_valid_text(const char *value);

/* Made valid; NULL makes it null. */
extern void pgh_row_text(PghRow *row, const char *value);

/* A length of time in microseconds; negative makes it null. */
extern void pgh_row_interval(PghRow *row, int64 microseconds);

/* 0 makes it null. */
extern void pgh_row_timestamp(PghRow *row, TimestampTz value);

/* A query text, cut where core's views would cut it. */
extern void pgh_row_query(PghRow *row, const char *raw);

/* Null for anything but an IP address. */
extern void pgh_row_address(PghRow *row, const PghAddress *address);

/* An array of those among these that are IP addresses. */
extern void pgh_row_addresses(PghRow *row, const PghAddress *addresses,
							  int n);

/* Store the row; it must have the columns that the function declares. */
extern void pgh_row_end(PghRow *row, FunctionCallInfo fcinfo);

/*
 * May the current user see what sessions of this role do, and where they come
 * from?  As in pg_stat_activity.
 */
extern bool pgh_may_see(Oid roleid);

/* The same for those of every role. */
extern bool pgh_may_see_all(void);

/* What pg_stat_activity shows in place of a statement that is hidden. */
#define PGH_HIDDEN_QUERY "<insufficient privilege>"

#endif							/* PGH_ROW_H */
