/*-------------------------------------------------------------------------
 *
 * worker/resolved.c
 *	  What follows from the settings for whom, as found lately.
 *
 * Owns: what was found, in the worker's memory.  Must not: know a session.
 * For the worker only.
 *
 * After a reload each session is matched with each rule anew, in one pass.
 * Most sessions are of few programs, roles, databases and hosts: so it is done
 * once for all that are alike.  Each identity has one place, by its hash, and
 * the latest one keeps it.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/resolved.h"

#include "utils/timestamp.h"

#include "guc.h"
#include "shared/identity.h"

#define PGH_N_RESOLVED 1024		/* a power of two; 0.5 MB */

typedef struct PghResolved
{
	bool		known;
	PghIdentity who;
	PghRuleBits bits;
	PghLimits	limits;
} PghResolved;

static PghResolved *resolved;

void
pgh_resolved_start(void)
{
	resolved = palloc0(mul_size(PGH_N_RESOLVED, sizeof(PghResolved)));
}

void
pgh_resolved_forget(void)
{
	for (int i = 0; i < PGH_N_RESOLVED; i++)
		resolved[i].known = false;
}

static PghResolved *
place_of(const PghIdentity *who)
{
	uint64		hash = hash_bytes_extended(who->address.bytes,
										   sizeof(who->address.bytes), 0);

	hash = pgh_identity_hash(who, hash);
	return &resolved[hash % PGH_N_RESOLVED];
}

/* What stands behind the end of a name may differ. */
static bool
are_alike(const PghIdentity *a, const PghIdentity *b)
{
	return strcmp(a->application, b->application) == 0 &&
		strcmp(a->user, b->user) == 0 &&
		strcmp(a->database, b->database) == 0 &&
		memcmp(&a->address, &b->address, sizeof(a->address)) == 0;
}

const PghLimits *
pgh_resolved(const PghIdentity *who, const PghRuleBits **bits)
{
	PghResolved *its = place_of(who);

	if (!its->known || !are_alike(&its->who, who))
	{
		its->who = *who;
		pgh_limits_for(who, GetCurrentTimestamp(), &its->bits, &its->limits);
		its->known = true;
	}
	*bits = &its->bits;
	return &its->limits;
}
