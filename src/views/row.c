/*-------------------------------------------------------------------------
 *
 * views/row.c
 *	  Rows of a set-returning function, built one column after the other.
 *
 * Owns: the conversion from our types to SQL's.  Must not: read shared
 * memory.  For the SQL functions only.
 *
 *-------------------------------------------------------------------------
 */
#include "views/row.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

void
pgh_row_begin(PghRow *row)
{
	row->n = 0;
	row->context = AllocSetContextCreate(CurrentMemoryContext,
										 "pg_hygiene row",
										 ALLOCSET_SMALL_SIZES);
	row->outer = MemoryContextSwitchTo(row->context);
}

void
pgh_row_null(PghRow *row)
{
	Assert(row->n < PGH_MAX_COLUMNS);
	row->value[row->n] = (Datum) 0;
	row->null[row->n++] = true;
}

void
pgh_row_nulls(PghRow *row, int n)
{
	while (n-- > 0)
		pgh_row_null(row);
}

void
pgh_row_datum(PghRow *row, Datum value)
{
	Assert(row->n < PGH_MAX_COLUMNS);
	row->value[row->n] = value;
	row->null[row->n++] = false;
}

void
pgh_row_bool(PghRow *row, bool value)
{
	pgh_row_datum(row, BoolGetDatum(value));
}

void
pgh_row_int32(PghRow *row, int32 value)
{
	pgh_row_datum(row, Int32GetDatum(value));
}

void
pgh_row_int64(PghRow *row, int64 value)
{
	pgh_row_datum(row, Int64GetDatum(value));
}

void
pgh_row_float8(PghRow *row, double value)
{
	pgh_row_datum(row, Float8GetDatum(value));
}

/*
 * Shared memory has bytes of all databases, whatever their encodings, and what
 * clients have encoded themselves.  Where that is no text here, only ASCII is
 * shown of it, for else neither the row nor a copy of it could be read.  To a
 * database in SQL_ASCII everything is a text, but not to each of its clients.
 */
const char *
pgh_valid_text(const char *value)
{
	int			encoding = GetDatabaseEncoding();
	int			length = (int) strlen(value);
	char	   *copy;

	if (encoding == PG_SQL_ASCII)
		encoding = pg_get_client_encoding();
	if (pg_verify_mbstr(encoding, value, length, true))
		return value;
	copy = pstrdup(value);
	for (char *c = copy; *c != '\0'; c++)
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	return copy;
}

void
pgh_row_text(PghRow *row, const char *value)
{
	if (value == NULL)
		pgh_row_null(row);
	else
		pgh_row_datum(row, CStringGetTextDatum(pgh_valid_text(value)));
}

void
pgh_row_interval(PghRow *row, int64 microseconds)
{
	Interval   *interval;

	if (microseconds < 0)
	{
		pgh_row_null(row);
		return;
	}
	interval = palloc0(sizeof(Interval));
	interval->time = microseconds;

	/* As the difference of two timestamps has it: days, then the rest. */
	interval->day = (int32) (interval->time / USECS_PER_DAY);
	interval->time -= interval->day * USECS_PER_DAY;
	pgh_row_datum(row, IntervalPGetDatum(interval));
}

void
pgh_row_timestamp(PghRow *row, TimestampTz value)
{
	if (value == 0)
		pgh_row_null(row);
	else
		pgh_row_datum(row, TimestampTzGetDatum(value));
}

/* Cut where a character ends: the text may have been cut within one. */
void
pgh_row_query(PghRow *row, const char *raw)
{
	int			length = (int) strlen(raw);

	pgh_row_text(row, pnstrdup(raw, pg_mbcliplen(raw, length, length)));
}

/* NULL for anything but an IP address. */
static inet *
make_inet(const PghAddress *address)
{
	inet	   *ip;
	int			length = address->family == PGH_ADDRESS_INET ? 4 : 16;

	if (address->family != PGH_ADDRESS_INET &&
		address->family != PGH_ADDRESS_INET6)
		return NULL;
	ip = palloc0(sizeof(inet));
	ip_family(ip) = length == 4 ? PGSQL_AF_INET : PGSQL_AF_INET6;
	ip_bits(ip) = length * 8;
	memcpy(ip_addr(ip), address->bytes, length);
	SET_INET_VARSIZE(ip);
	return ip;
}

void
pgh_row_address(PghRow *row, const PghAddress *address)
{
	inet	   *ip = make_inet(address);

	if (ip == NULL)
		pgh_row_null(row);
	else
		pgh_row_datum(row, InetPGetDatum(ip));
}

void
pgh_row_addresses(PghRow *row, const PghAddress *addresses, int n)
{
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));
	int			found = 0;

	for (int i = 0; i < n; i++)
	{
		inet	   *ip = make_inet(&addresses[i]);

		if (ip != NULL)
			values[found++] = InetPGetDatum(ip);
	}
	pgh_row_datum(row, PointerGetDatum(construct_array(values, found, INETOID,
													   -1, false,
													   TYPALIGN_INT)));
}

void
pgh_row_end(PghRow *row, FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	if (row->n != result->setDesc->natts)
		elog(ERROR, "function returns %d columns, its declaration has %d",
			 row->n, result->setDesc->natts);
	tuplestore_putvalues(result->setResult, result->setDesc,
						 row->value, row->null);
	MemoryContextSwitchTo(row->outer);
	MemoryContextDelete(row->context);
}

bool
pgh_may_see_all(void)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

bool
pgh_may_see(Oid roleid)
{
	return pgh_may_see_all() ||
		(OidIsValid(roleid) && has_privs_of_role(GetUserId(), roleid));
}
