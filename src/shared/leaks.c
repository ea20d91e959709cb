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
#include "shared/applications.h"
#include "shared/behaviour.h"
#include "shared/identity.h"
#include "shared/totals.h"

static PghLeak *leaks = NULL;	/* PGH_MAX_LEAKS */

uint64
pgh_leak_fingerprint(uint64 query_id, const char *query)
{
	char		shape[PGH_QUERY_LEN + 8];
	size_t		length;

	if (query_id != 0)
		return query_id;
	length = pgh_normalise(query, strlen(query), shape, sizeof(shape));
	return pgh_fingerprint(shape, length);
}

uint64
pgh_leak_key(const PghSighting *sighting, uint64 *fingerprint)
{
	uint64		key;

	*fingerprint = pgh_leak_fingerprint(sighting->query_id, sighting->query);
	key = pgh_identity_hash(sighting->who, *fingerprint);

	/* A role made anew under an old name must not see the old one's texts. */
	key = hash_bytes_extended((const unsigned char *) &sighting->roleid,
							  sizeof(Oid), key);
	return key == 0 ? 1 : key;
}

static PghStatementKind
kind_of(const char *query, bool *locks_rows)
{
	char		shape[PGH_QUERY_LEN + 8];

	(void) pgh_normalise(query, strlen(query), shape, sizeof(shape));
	*locks_rows = pgh_statement_locks_rows(shape);
	return pgh_statement_kind(shape);
}

/* Under the lock: the place of a group, or -1. */
static int
find(uint64 key)
{
	for (int i = 0; i < PGH_MAX_LEAKS; i++)
		if (leaks[i].key == key)
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
		if (leaks[i].key == 0)
			return i;
		if (leaks[i].last_seen < leaks[oldest].last_seen)
			oldest = i;
	}
	return oldest;
}

int
pgh_count_client(uint32 *hashes, int n, const PghAddress *address)
{
	uint32		hash = hash_bytes((const unsigned char *) address,
								  sizeof(PghAddress));

	for (int i = 0; i < n; i++)
		if (hashes[i] == hash)
			return n;
	if (n < PGH_MAX_LEAK_CLIENTS)
		hashes[n++] = hash;
	return n;
}

/* Under the lock: the first ones are kept as they are. */
static void
add_client(PghLeak *leak, const PghAddress *address)
{
	int			before = leak->n_clients;

	leak->n_clients = pgh_count_client(leak->clients, before, address);
	if (leak->n_clients > before && before < PGH_LEAK_ADDRESSES)
		leak->addresses[before] = *address;
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
	leak->who = *sighting->who;
	strlcpy(leak->query, sighting->query, PGH_QUERY_LEN);
}

uint64
pgh_leak_see(const PghSighting *sighting)
{
	uint64		fingerprint;
	uint64		key = pgh_leak_key(sighting, &fingerprint);
	bool		locks_rows;
	PghStatementKind kind = kind_of(sighting->query, &locks_rows);
	TimestampTz now = GetCurrentTimestamp();
	PghLeak    *leak;
	int			i;

	pgh_lock(&pgh_leaks_part, LW_EXCLUSIVE);
	i = find(key);
	leak = &leaks[i >= 0 ? i : make_room()];
	if (i < 0)
		fill_new(leak, key, fingerprint, sighting, kind, now);
	leak->roleid = sighting->roleid;
	leak->state = sighting->state;
	leak->wrote = sighting->wrote;
	leak->locks_rows = locks_rows;
	leak->last_seen = now;
	leak->sessions++;
	leak->undecided++;
	leak->transactions += sighting->transactions + 1;	/* and the open one */
	add_client(leak, &sighting->who->address);
	pgh_unlock(&pgh_leaks_part);
	pgh_note_change();
	return key;
}

/* Of what is counted by key, which it begins with. */
static int
compare_key(const void *key, const void *item)
{
	uint64		left = *(const uint64 *) key;
	uint64		right = *(const uint64 *) item;

	return left == right ? 0 : left < right ? -1 : 1;
}

void
pgh_leaks_still_seen(const PghOpenPauses *open, int n)
{
	TimestampTz now = GetCurrentTimestamp();

	pgh_lock(&pgh_leaks_part, LW_EXCLUSIVE);
	for (int i = 0; i < PGH_MAX_LEAKS; i++)
	{
		const PghOpenPauses *its = bsearch(&leaks[i].key, open, n,
										   sizeof(PghOpenPauses), compare_key);

		leaks[i].open_time = its == NULL ? 0 : its->together;
		leaks[i].open_longest = its == NULL ? 0 : its->longest;
		if (its != NULL)
			leaks[i].last_seen = now;
	}
	pgh_unlock(&pgh_leaks_part);
}

void
pgh_leaks_charge(const PghLeakCost *costs, int n)
{
	pgh_lock(&pgh_leaks_part, LW_EXCLUSIVE);
	for (int i = 0; i < PGH_MAX_LEAKS; i++)
	{
		const PghLeakCost *found = bsearch(&leaks[i].key, costs, n,
										   sizeof(PghLeakCost), compare_key);

		if (found != NULL)
		{
			leaks[i].blocked_time += found->cost.blocked_time;
			leaks[i].horizon_xids = Max(leaks[i].horizon_xids,
										found->cost.horizon_xids);
		}
	}
	pgh_unlock(&pgh_leaks_part);
	pgh_note_change();
}

/* Under the lock: one more, of a series or the first of a new one. */
static void
count_ended(PghLeak *leak, int64 length, bool rolled_back, TimestampTz now)
{
	leak->ended++;
	if (leak->shortest_ended == 0 || length < leak->shortest_ended)
		leak->shortest_ended = Max(length, 1);
	leak->rolled_back += rolled_back;
	if (rolled_back)
		return;
	if (now - leak->last_ended > PGH_REMEMBER_LOSS)
		leak->lately_ended = 0;
	if (leak->lately_ended++ == 0)
		leak->lately_since = now;
	leak->last_ended = now;
}

/* Under the lock: one that goes on is known to be as it seemed. */
static void
decide(PghLeak *leak)
{
	if (leak->undecided > 0)
		leak->undecided--;
}

void
pgh_leak_pause_outlasts(uint64 key)
{
	int			i;

	pgh_lock(&pgh_leaks_part, LW_EXCLUSIVE);
	i = find(key);
	if (i >= 0)
		decide(&leaks[i]);
	pgh_unlock(&pgh_leaks_part);
}

void
pgh_leak_pause_ended(uint64 key, const PghPause *pause)
{
	int			i;

	pgh_lock(&pgh_leaks_part, LW_EXCLUSIVE);
	i = find(key);
	if (i >= 0)
	{
		if (!pause->outlasted)
			decide(&leaks[i]);
		leaks[i].resumed += pause->resumed;
		leaks[i].singled_out += pause->singled_out && !pause->resumed;
		leaks[i].longest_pause = Max(leaks[i].longest_pause, pause->length);
		leaks[i].slot_time += Max(pause->length, 0);
		leaks[i].open_time = Max(leaks[i].open_time - pause->length, 0);
	}
	pgh_unlock(&pgh_leaks_part);
	pgh_note_change();
}

void
pgh_leak_ended(uint64 key, int64 length, bool rolled_back)
{
	TimestampTz now = GetCurrentTimestamp();
	int			i;

	pgh_lock(&pgh_leaks_part, LW_EXCLUSIVE);
	i = find(key);
	if (i >= 0)
		count_ended(&leaks[i], length, rolled_back, now);
	pgh_unlock(&pgh_leaks_part);
}

bool
pgh_leak_read(int i, PghLeak *leak)
{
	pgh_lock(&pgh_leaks_part, LW_SHARED);
	memcpy(leak, &leaks[i], sizeof(PghLeak));
	pgh_unlock(&pgh_leaks_part);
	return leak->key != 0;
}

bool
pgh_leak_find(uint64 key, PghLeak *leak)
{
	int			i;

	pgh_lock(&pgh_leaks_part, LW_SHARED);
	i = find(key);
	if (i >= 0)
		memcpy(leak, &leaks[i], sizeof(PghLeak));
	pgh_unlock(&pgh_leaks_part);
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

	pgh_lock(&pgh_leaks_part, LW_SHARED);
	for (int i = 0; i < PGH_MAX_LEAKS; i++)
	{
		const PghLeak *candidate = &leaks[i];

		if (candidate->key == 0 || candidate->lately_ended == 0 ||
			candidate->last_ended < since || candidate->roleid != roleid ||
			strcmp(candidate->who.application, application) != 0)
			continue;
		ended += candidate->lately_ended;
		first = Min(first, candidate->lately_since);
		last = Max(last, candidate->last_ended);
		if (best < 0 ||
			candidate->lately_ended > leaks[best].lately_ended)
			best = i;
	}
	if (best >= 0)
		memcpy(leak, &leaks[best], sizeof(PghLeak));
	pgh_unlock(&pgh_leaks_part);
	leak->lately_ended = ended;
	leak->lately_since = first;
	leak->last_ended = last;
	return best >= 0;
}

/* Pauses that say how they end. */
static uint64
telling_pauses(const PghLeak *leak)
{
	uint64		mute = leak->undecided + leak->singled_out;

	return leak->sessions > mute ? leak->sessions - mute : 0;
}

/* What its application is known for; of strangers nothing is. */
static void
fill_like(const PghLeak *leak, int64 length, PghLeakFacts *facts)
{
	uint32		application;
	PghLike		like;

	pgh_lock(&pgh_applications_part, LW_SHARED);
	application = pgh_application_find(leak->who.application);
	pgh_unlock(&pgh_applications_part);
	like = pgh_behaviour_like(application, leak->roleid,
							  length != 0 ? length : leak->shortest_ended);
	facts->like_resumed = like.returned;
	facts->like_lost = like.lost;
}

PghPattern
pgh_leak_pattern(const PghLeak *leak, int64 length)
{
	PghLeakFacts facts;

	memset(&facts, 0, sizeof(facts));
	facts.state = leak->state;
	facts.wrote = leak->wrote;
	facts.last_statement = leak->statement;
	facts.locks_rows = leak->locks_rows;
	facts.periods = telling_pauses(leak);
	facts.resumed = leak->resumed;
	if (leak->ended > 0)
		fill_like(leak, length, &facts);
	facts.clients = leak->n_clients;
	facts.ended = leak->ended;
	facts.transactions_per_session = leak->sessions == 0 ? 0 :
		leak->transactions * 10 / leak->sessions;
	return pgh_diagnose_leak(&facts);
}

static Size
size_leaks(void)
{
	return PGH_MAX_LEAKS * sizeof(PghLeak);
}

static void
init_leaks(void *area)
{
	leaks = area;
}

static void
reset_leaks(void)
{
	pgh_lock(&pgh_leaks_part, LW_EXCLUSIVE);
	memset(leaks, 0, size_leaks());
	pgh_unlock(&pgh_leaks_part);
	pgh_note_change();
}

static void
save_leaks(PghStream *stream)
{
	for (int i = 0; i < PGH_MAX_LEAKS; i++)
	{
		PghLeak		leak;

		if (pgh_leak_read(i, &leak))
			pgh_put_with_text(stream, &leak, offsetof(PghLeak, query));
	}
}

/* Can these be counters, and times? */
static bool
counts_are_sound(PghStream *stream, const PghLeak *leak)
{
	return pgh_take_count(stream, leak->ended) &&
		pgh_take_count(stream, leak->rolled_back) &&
		pgh_take_count(stream, leak->sessions) &&
		pgh_take_count(stream, leak->singled_out) &&
		pgh_take_count(stream, leak->resumed) &&
		pgh_take_count(stream, leak->slot_time) &&
		pgh_take_count(stream, leak->open_time) &&
		pgh_take_count(stream, leak->blocked_time) &&
		pgh_take_count(stream, leak->horizon_xids) &&
		pgh_take_count(stream, leak->transactions) &&
		pgh_take_count(stream, leak->lately_ended) &&
		pgh_is_time(leak->shortest_ended) && pgh_is_time(leak->open_longest) &&
		pgh_is_time(leak->longest_pause) && pgh_is_time(leak->first_seen) &&
		pgh_is_time(leak->last_seen) && pgh_is_time(leak->last_ended) &&
		pgh_is_time(leak->lately_since);
}

/* Is everything that is looked up in a table in that table? */
static bool
is_sound(PghStream *stream, PghLeak *leak)
{
	pgh_make_bool(&leak->wrote);
	pgh_make_bool(&leak->locks_rows);
	pgh_make_identity(&leak->who);
	for (int i = 0; i < PGH_LEAK_ADDRESSES; i++)
		if (leak->addresses[i].family > PGH_ADDRESS_INET6)
			return false;
	return leak->state <= PGH_STATE_IDLE_IN_TRANSACTION_ABORTED &&
		leak->statement <= PGH_STATEMENT_UTILITY &&
		leak->n_clients <= PGH_MAX_LEAK_CLIENTS &&
		counts_are_sound(stream, leak);
}

static bool
load_leaks(PghStream *stream)
{
	for (int i = 0; i < PGH_MAX_LEAKS && stream->length > 0; i++)
	{
		if (!pgh_get_with_text(stream, &leaks[i], offsetof(PghLeak, query)) ||
			!is_sound(stream, &leaks[i]))
		{
			memset(&leaks[i], 0, sizeof(PghLeak));
			return false;
		}

		/* What was open ended with the server, which says nothing of it. */
		leaks[i].singled_out += leaks[i].undecided;
		leaks[i].undecided = 0;
		leaks[i].slot_time += leaks[i].open_time;
		leaks[i].longest_pause = Max(leaks[i].longest_pause,
									 leaks[i].open_longest);
		leaks[i].open_time = 0;
		leaks[i].open_longest = 0;
	}
	return true;
}

PghPart		pgh_leaks_part = {
	.name = "leaks",
	.size = size_leaks,
	.init = init_leaks,
	.reset = reset_leaks,
	.save = save_leaks,
	.load = load_leaks,
	.format = PGH_FORMAT(4, sizeof(PghLeak)),
};
