/*-------------------------------------------------------------------------
 *
 * shared/leaks.c
 *	  Idle transactions, grouped by where they come from.
 *
 * Owns: the table of groups (bounded; the least recently seen one gives way).
 * Must not: know sessions or decide.  Any process that has a PGPROC may call
 * it, so not a signal handler.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/leaks.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

#include "pure/fingerprint.h"
#include "pure/policy.h"

static uint64
hash_name(const char *name, uint64 seed)
{
	return hash_bytes_extended((const unsigned char *) name,
							   (int) strlen(name), seed);
}

uint64
pgh_leak_key(const PghSighting *sighting, uint64 *fingerprint)
{
	char		shape[PGH_QUERY_LEN + 8];
	uint64		key;

	*fingerprint = sighting->query_id;
	if (*fingerprint == 0)
	{
		size_t		length = pgh_normalise(sighting->query,
										   strlen(sighting->query),
										   shape, sizeof(shape));

		*fingerprint = pgh_fingerprint(shape, length);
	}
	key = hash_name(sighting->who->application, *fingerprint);
	key = hash_name(sighting->who->user, key);
	key = hash_name(sighting->who->database, key);

	/* A role made anew under an old name must not see the old one's texts. */
	key = hash_bytes_extended((const unsigned char *) &sighting->roleid,
							  sizeof(Oid), key);
	return key == 0 ? 1 : key;
}

static PghStatementKind
kind_of(const char *query)
{
	char		shape[PGH_QUERY_LEN + 8];

	(void) pgh_normalise(query, strlen(query), shape, sizeof(shape));
	return pgh_statement_kind(shape);
}

/* Under the lock: the place of a group, or -1. */
static int
find(uint64 key)
{
	for (int i = 0; i < PGH_MAX_LEAKS; i++)
		if (pgh_leaks[i].key == key)
			return i;
	return -1;
}

/* Under the lock: an empty place, or that of the least recently seen. */
static int
make_room(void)
{
	int			oldest = 0;

	for (int i = 0; i < PGH_MAX_LEAKS; i++)
	{
		if (pgh_leaks[i].key == 0)
			return i;
		if (pgh_leaks[i].last_seen < pgh_leaks[oldest].last_seen)
			oldest = i;
	}
	return oldest;
}

/* Under the lock: count distinct client addresses, up to a bound. */
static void
add_client(PghLeak *leak, const PghAddress *address)
{
	uint32		hash = hash_bytes((const unsigned char *) address,
								  sizeof(PghAddress));

	for (int i = 0; i < leak->n_clients; i++)
		if (leak->clients[i] == hash)
			return;
	if (leak->n_clients < PGH_MAX_LEAK_CLIENTS)
		leak->clients[leak->n_clients++] = hash;
}

static void
fill_new(PghLeak *leak, uint64 key, uint64 fingerprint,
		 const PghSighting *sighting, PghStatementKind kind, TimestampTz now)
{
	memset(leak, 0, sizeof(*leak));
	leak->key = key;
	leak->fingerprint = fingerprint;
	leak->statement = kind;
	leak->first_seen = now;
	strlcpy(leak->application, sighting->who->application, PGH_NAME_LEN);
	strlcpy(leak->user, sighting->who->user, PGH_NAME_LEN);
	strlcpy(leak->database, sighting->who->database, PGH_NAME_LEN);
	strlcpy(leak->query, sighting->query, PGH_QUERY_LEN);
}

uint64
pgh_leak_see(const PghSighting *sighting)
{
	uint64		fingerprint;
	uint64		key = pgh_leak_key(sighting, &fingerprint);
	PghStatementKind kind = kind_of(sighting->query);
	TimestampTz now = GetCurrentTimestamp();
	PghLeak    *leak;
	int			i;

	pgh_lock(PGH_LOCK_LEAKS, LW_EXCLUSIVE);
	i = find(key);
	leak = &pgh_leaks[i >= 0 ? i : make_room()];
	if (i < 0)
		fill_new(leak, key, fingerprint, sighting, kind, now);
	leak->roleid = sighting->roleid;
	leak->state = sighting->state;
	leak->wrote = sighting->wrote;
	leak->last_seen = now;
	leak->sessions++;
	leak->transactions += sighting->transactions + 1;	/* and the open one */
	add_client(leak, &sighting->who->address);
	pgh_unlock(PGH_LOCK_LEAKS);
	pgh_note_change();
	return key;
}

static int
compare_keys(const void *a, const void *b)
{
	uint64		left = *(const uint64 *) a;
	uint64		right = *(const uint64 *) b;

	return left == right ? 0 : left < right ? -1 : 1;
}

void
pgh_leaks_still_seen(const uint64 *keys, int n)
{
	TimestampTz now = GetCurrentTimestamp();

	pgh_lock(PGH_LOCK_LEAKS, LW_EXCLUSIVE);
	for (int i = 0; i < PGH_MAX_LEAKS; i++)
		if (bsearch(&pgh_leaks[i].key, keys, n, sizeof(uint64), compare_keys))
			pgh_leaks[i].last_seen = now;
	pgh_unlock(PGH_LOCK_LEAKS);
}

/*
 * Under the lock: one more, of a series or the first of a new one.  A program
 * whose transaction was rolled back is told so by its next statement; the
 * series is for telling those who lost their session.
 */
static void
count_ended(PghLeak *leak, bool rolled_back, TimestampTz now)
{
	leak->ended++;
	leak->rolled_back += rolled_back;
	if (rolled_back)
		return;
	if (now - leak->last_ended > PGH_REMEMBER_LOSS)
		leak->lately_ended = 0;
	if (leak->lately_ended++ == 0)
		leak->lately_since = now;
	leak->last_ended = now;
}

void
pgh_leak_ended(uint64 key, bool rolled_back)
{
	TimestampTz now = GetCurrentTimestamp();
	int			i;

	pgh_lock(PGH_LOCK_LEAKS, LW_EXCLUSIVE);
	i = find(key);
	if (i >= 0)
		count_ended(&pgh_leaks[i], rolled_back, now);
	pgh_unlock(PGH_LOCK_LEAKS);
}

bool
pgh_leak_read(int i, PghLeak *leak)
{
	pgh_lock(PGH_LOCK_LEAKS, LW_SHARED);
	memcpy(leak, &pgh_leaks[i], sizeof(PghLeak));
	pgh_unlock(PGH_LOCK_LEAKS);
	return leak->key != 0;
}

bool
pgh_leak_find(uint64 key, PghLeak *leak)
{
	int			i;

	pgh_lock(PGH_LOCK_LEAKS, LW_SHARED);
	i = find(key);
	if (i >= 0)
		memcpy(leak, &pgh_leaks[i], sizeof(PghLeak));
	pgh_unlock(PGH_LOCK_LEAKS);
	return i >= 0;
}

bool
pgh_leak_lost(const char *application, Oid roleid, TimestampTz since,
			  PghLeak *leak)
{
	int			best = -1;
	uint64		ended = 0;
	TimestampTz first = PGH_NEVER;
	TimestampTz last = 0;

	pgh_lock(PGH_LOCK_LEAKS, LW_SHARED);
	for (int i = 0; i < PGH_MAX_LEAKS; i++)
	{
		const PghLeak *candidate = &pgh_leaks[i];

		if (candidate->key == 0 || candidate->lately_ended == 0 ||
			candidate->last_ended < since || candidate->roleid != roleid ||
			strcmp(candidate->application, application) != 0)
			continue;
		ended += candidate->lately_ended;
		first = Min(first, candidate->lately_since);
		last = Max(last, candidate->last_ended);
		if (best < 0 ||
			candidate->lately_ended > pgh_leaks[best].lately_ended)
			best = i;
	}
	if (best >= 0)
		memcpy(leak, &pgh_leaks[best], sizeof(PghLeak));
	pgh_unlock(PGH_LOCK_LEAKS);
	leak->lately_ended = ended;
	leak->lately_since = first;
	leak->last_ended = last;
	return best >= 0;
}

PghPattern
pgh_leak_pattern(const PghLeak *leak, int sessions_now)
{
	PghLeakFacts facts;

	memset(&facts, 0, sizeof(facts));
	facts.state = leak->state;
	facts.wrote = leak->wrote;
	facts.last_statement = leak->statement;
	facts.sessions_now = sessions_now;
	facts.clients = leak->n_clients;
	facts.ended = leak->ended;
	facts.transactions_per_session = leak->sessions == 0 ? 0 :
		leak->transactions * 10 / leak->sessions;
	return pgh_diagnose_leak(&facts);
}

void
pgh_leaks_reset(void)
{
	pgh_lock(PGH_LOCK_LEAKS, LW_EXCLUSIVE);
	memset(pgh_leaks, 0, PGH_MAX_LEAKS * sizeof(PghLeak));
	pgh_unlock(PGH_LOCK_LEAKS);
	pgh_note_change();
}
