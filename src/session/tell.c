/*-------------------------------------------------------------------------
 *
 * session/tell.c
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
#include "session/tell.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

#include "shared/told.h"
#include "shared/leaks.h"
#include "pure/policy.h"

void
pgh_fill_leak(const PghStanding *standing, PghRefusalFacts *told)
{
	PghLeak		leak;

	told->leaking = standing->leaking;
	told->leaking_for = GetCurrentTimestamp() - standing->leaking_since;
	told->pattern = PGH_PATTERN_NONE;
	told->statement[0] = '\0';
	if (told->leaking <= 0 || !pgh_leak_find(standing->leaking_key, &leak))
		return;
	told->pattern = pgh_leak_pattern(&leak, told->leaking);
	pgh_copy_ascii(leak.query, told->statement, sizeof(told->statement));
}

/*
 * Is a new session of this application to be told at this address?  If so,
 * that it was told is remembered: of two that come at once one is told.
 */
static bool
may_tell(const char *application, const PghAddress *address,
		 TimestampTz now, TimestampTz lost_at)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) application,
										   (int) strlen(application), 0);
	TimestampTz told_at = 0;
	pg_atomic_uint64 *place;
	uint64		before;
	uint64		after;

	hash = hash_bytes_extended((const unsigned char *) address,
							   sizeof(PghAddress), hash);
	place = &pgh_told[hash % PGH_TOLD];
	before = pg_atomic_read_u64(place);
	if ((before >> 32) == (hash >> 32))
		told_at = (TimestampTz) (uint32) before * USECS_PER_SEC;
	if (!pgh_warning_is_due(now, lost_at, told_at))
		return false;

	/* Rounded up, so that it is not told again before a minute is over. */
	after = (hash & ~UINT64CONST(0xffffffff)) |
		(uint32) (now / USECS_PER_SEC + 1);
	return pg_atomic_compare_exchange_u64(place, &before, after);
}

/* When they were ended, and what most of them ran last. */
static void
print_loss(const PghLeak *leak, TimestampTz now, char *buf, size_t size)
{
	char		statement[PGH_STATEMENT_LEN];
	char		first[32];
	char		last[32];

	pgh_copy_ascii(leak->query, statement, sizeof(statement));
	pgh_print_measured(Max(now - leak->lately_since, 0), first, sizeof(first));
	pgh_print_measured(Max(now - leak->last_ended, 0), last, sizeof(last));
	if (leak->lately_ended == 1)
		snprintf(buf, size, "It was ended %s ago. It ran last: %s",
				 last, statement);
	else
		snprintf(buf, size, "The first one was ended %s ago, the last one %s ago. Most of them ran last: %s",
				 first, last, statement);
}

static void
tell(const PghLeak *leak, TimestampTz now)
{
	PghPattern	pattern = pgh_leak_pattern(leak, 0);
	char		detail[PGH_STATEMENT_LEN + 128];

	print_loss(leak, now, detail, sizeof(detail));
	ereport(WARNING,
			(errmsg_plural("%llu session of application \"%s\" was ended because it was idle in a transaction",
						   "%llu sessions of application \"%s\" were ended because they were idle in a transaction",
						   (unsigned long) leak->lately_ended,
						   (unsigned long long) leak->lately_ended,
						   leak->who.application),
			 errdetail_internal("%s", detail),
			 pattern == PGH_PATTERN_NONE ?
			 errhint("Commit or roll back, and close the session when the work is done.") :
			 errhint("%s", pgh_pattern_advice(pattern))));
}

/* When a limit last ended a leaking session of this one's application. */
static TimestampTz
last_loss(PghSlot *slot)
{
	TimestampTz lost_at = 0;
	uint32		index;

	pgh_lock(&pgh_applications_part, LW_SHARED);
	index = pgh_member_of(slot);
	if (index != PGH_NO_APPLICATION && index != PGH_OTHERS)
		lost_at = pg_atomic_read_u64(&pgh_applications[index].lost_at);
	pgh_unlock(&pgh_applications_part);
	return lost_at;
}

/*
 * The session counts by now for the name that its role's settings may have
 * given it since it was admitted.
 */
void
pgh_tell_newcomer(PghSlot *slot)
{
	TimestampTz now = GetCurrentTimestamp();
	char		application[PGH_NAME_LEN];
	PghLeak		leak;

	if (!pgh_tell_client || pgh_mode == PGH_MODE_OFF)
		return;

	/* Most sessions return here, before the work that costs something. */
	if (!pgh_warning_is_due(now, last_loss(slot), 0))
		return;
	pgh_member_application(slot, application);
	if (pgh_leak_lost(application, slot->login.roleid,
					  now - PGH_REMEMBER_LOSS, &leak) &&
		may_tell(application, &slot->login.address, now, leak.last_ended))
		tell(&leak, now);
}
