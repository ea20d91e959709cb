/*-------------------------------------------------------------------------
 *
 * tell.c
 *	  Telling a client what its application leaks.
 *
 * Owns: what a refused and a new client hear of a leak, and the memory of who
 * was told lately.  Must not: tell a statement to another login role.
 *
 * The memory is a small table without a lock: a place, chosen by the hash of
 * application and address, holds the rest of the hash and the second in which
 * it was told.  Two that share a place may be told more often than once a
 * minute, never less.
 *
 *-------------------------------------------------------------------------
 */
#include "tell.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "utils/timestamp.h"

#include "leaks.h"

#define PGH_REMEMBER_LOSS (10 * USECS_PER_MINUTE)
#define PGH_SECONDS_BETWEEN 60

/* An example of a statement in one short line. */
static void
quote_statement(const char *query, char *buf, size_t size)
{
	int			length = pg_mbcliplen(query, (int) strlen(query),
									  (int) size - 1);

	for (int i = 0; i < length; i++)
		buf[i] = (unsigned char) query[i] < ' ' ? ' ' : query[i];
	buf[length] = '\0';
}

void
pgh_fill_leak(uint32 application, const char *name, Oid roleid,
			  PghRefusalFacts *told)
{
	PghApplication *app = &pgh_applications[application];
	PghLeak		leak;

	told->leaking = pg_atomic_read_u32(&app->leaking);
	told->leaking_for = GetCurrentTimestamp() -
		(TimestampTz) pg_atomic_read_u64(&app->leaking_since);
	told->pattern = PGH_PATTERN_NONE;
	told->statement[0] = '\0';
	if (told->leaking <= 0 || !pgh_leak_commonest(name, roleid, &leak))
		return;
	told->pattern = pgh_leak_pattern(&leak, told->leaking);
	quote_statement(leak.query, told->statement, sizeof(told->statement));
}

/* Is it a minute since this application was told at this address? */
static bool
may_tell(const char *application, const PghAddress *address)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) application,
										   (int) strlen(application), 0);
	uint32		now = (uint32) (GetCurrentTimestamp() / USECS_PER_SEC);
	pg_atomic_uint64 *place;
	uint64		before;

	hash = hash_bytes_extended((const unsigned char *) address,
							   sizeof(PghAddress), hash);
	place = &pgh_shared->told[hash % PGH_TOLD];
	before = pg_atomic_read_u64(place);
	if ((before >> 32) == (hash >> 32) &&
		now - (uint32) before < PGH_SECONDS_BETWEEN)
		return false;

	/* Of two that come at once one tells. */
	return pg_atomic_compare_exchange_u64(place, &before,
										  (hash & ~UINT64CONST(0xffffffff)) | now);
}

static void
tell(const PghLeak *leak, TimestampTz now)
{
	PghPattern	pattern = pgh_leak_pattern(leak, 0);
	char		statement[PGH_STATEMENT_LEN];
	char		ago[32];

	quote_statement(leak->query, statement, sizeof(statement));
	pgh_print_measured(Max(now - leak->last_ended, 0), ago, sizeof(ago));
	ereport(WARNING,
			(errmsg_plural("%llu session of application \"%s\" was ended because it was idle in a transaction",
						   "%llu sessions of application \"%s\" were ended because they were idle in a transaction",
						   (unsigned long) leak->ended,
						   (unsigned long long) leak->ended,
						   leak->application),
			 errdetail("The last one was ended %s ago. Most of them ran last: %s",
					   ago, statement),
			 pattern == PGH_PATTERN_NONE ?
			 errhint("Commit or roll back, and close the session when the work is done.") :
			 errhint("%s", pgh_pattern_advice(pattern))));
}

void
pgh_tell_newcomer(PghSlot *slot)
{
	uint32		index = pg_atomic_read_u32(&slot->application);
	TimestampTz now;
	PghApplication *app;
	PghLeak		leak;

	if (!pgh_tell_client || index == PGH_NO_APPLICATION ||
		pgh_mode == PGH_MODE_OFF)
		return;
	app = &pgh_applications[index];
	if (pg_atomic_read_u64(&app->lost_at) == 0)
		return;
	now = GetCurrentTimestamp();
	if (now - (TimestampTz) pg_atomic_read_u64(&app->lost_at) >
		PGH_REMEMBER_LOSS)
		return;
	if (!pgh_leak_commonest(app->name, slot->roleid, &leak) ||
		leak.last_ended == 0 || now - leak.last_ended > PGH_REMEMBER_LOSS)
		return;
	if (may_tell(app->name, &slot->address))
		tell(&leak, now);
}
