/*-------------------------------------------------------------------------
 *
 * session/tell.c
 *	  Telling a client what its application leaks.
 *
 * Owns: what a refused and a new client hear of a leak, and the memory of who
 * was told lately.  Must not: tell of the sessions of another login role.
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

#include "look/scan.h"
#include "shared/identity.h"
#include "shared/told.h"
#include "shared/leaks.h"
#include "pure/policy.h"
#include "pure/text.h"

/*
 * The sessions of the newcomer's own role in this application that have been
 * idle in a transaction for a while, taking its limits for theirs.
 */
static void
count_own(uint32 application, const PghLogin *newcomer,
		  const PghLimits *limits, PghRefusalFacts *told)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;
		PghLogin	login;
		PghVerdict	verdict;
		uint32		claim;

		if (pgh_member_of(&pgh_slots[i]) != application ||
			!pgh_slot_read(i, &login, &claim) ||
			login.roleid != newcomer->roleid ||
			!pgh_scan_session(i, &session) ||
			session.changecount != claim)
			continue;
		verdict = pgh_decide(&session.facts, limits, now);
		if (pgh_leak_begins(&session.facts, &verdict) > now)
			continue;
		told->leaking++;
		told->leaking_for = Max(told->leaking_for,
								now - session.facts.state_start);
	}
}

/* Where strangers share a place, nothing is known of one. */
void
pgh_fill_leak(uint32 application, const PghLogin *newcomer,
			  const PghLimits *limits, PghRefusalFacts *told)
{
	PghApplication *app = &pgh_applications[application];
	PghLeak		leak;

	told->leaking = 0;
	told->leaking_for = 0;
	told->pattern = PGH_PATTERN_NONE;
	told->statement[0] = '\0';

	/* What the worker saw within the last second says if to look at all. */
	if (application != PGH_OTHERS && pg_atomic_read_u32(&app->leaking) > 0)
		count_own(application, newcomer, limits, told);
	if (told->leaking == 0 ||
		!pgh_leak_find(pg_atomic_read_u64(&app->leaking_key), &leak) ||
		leak.roleid != newcomer->roleid)
		return;
	told->pattern = pgh_leak_pattern(&leak, 0);
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
	uint64		hash = pgh_hash_name(application, 0);
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
	char		name[PGH_PRINTED_NAME_LEN];

	print_loss(leak, now, detail, sizeof(detail));
	ereport(WARNING,
			(errmsg_plural("%llu session of application \"%s\" was ended because it was idle in a transaction",
						   "%llu sessions of application \"%s\" were ended because they were idle in a transaction",
						   (unsigned long) leak->lately_ended,
						   (unsigned long long) leak->lately_ended,
						   pgh_print_name(leak->who.application, name)),
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
