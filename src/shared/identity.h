/*-------------------------------------------------------------------------
 *
 * shared/identity.h
 *	  A number for who a session is.
 *
 * Owns nothing.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_IDENTITY_H
#define PGH_IDENTITY_H

#include "postgres.h"

#include "common/hashfn.h"

#include "pure/facts.h"

static inline uint64
pgh_hash_name(const char *name, uint64 seed)
{
	return hash_bytes_extended((const unsigned char *) name,
							   (int) strlen(name), seed);
}

/* Of application, role and database; not of the address. */
static inline uint64
pgh_identity_hash(const PghIdentity *who, uint64 seed)
{
	uint64		hash = pgh_hash_name(who->application, seed);

	hash = pgh_hash_name(who->user, hash);
	return pgh_hash_name(who->database, hash);
}

#endif							/* PGH_IDENTITY_H */
