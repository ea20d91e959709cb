/*-------------------------------------------------------------------------
 *
 * worker/usage.c
 *	  How much each application uses and leaks at this moment.
 *
 * Owns: peak_busy and the leaking_* fields of PghApplication.  Must not: read
 * sessions.  For the worker only, once a second.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/usage.h"

#include "shared/applications.h"
#include "shared/leaks.h"
#include "shared/slot.h"

/*
 * A look once a second misses a burst of short transactions.  Its sessions
 * are found afterwards, by having gone back to their pool at the same moment.
 */
#define PGH_SAME_MOMENT (100 * INT64CONST(1000))

/* The sessions of one application, added up. */
typedef struct PghApplicationUse
{
	uint32		busy;
	TimestampTz last_use;		/* when the last one went back to its pool */
	uint32		leaking;		/* of the role of which most leak */
	Oid			leaking_role;
	TimestampTz leaking_since;
	uint64		leaking_key;	/* the leak that most of them belong to */
	bool		published;		/* there may be a leak of it in shared memory */
} PghApplicationUse;

/* A session that leaks. */
typedef struct PghLeaking
{
	uint32		application;
	Oid			role;
	uint64		key;
	TimestampTz since;
} PghLeaking;

static PghApplicationUse *usage;	/* for each place in the table of names */
static PghLeaking *leaking;		/* for each slot */
static PghOpenPauses *open_pauses;	/* the same */

void
pgh_usage_start(void)
{
	usage = palloc0(mul_size(pgh_n_applications, sizeof(PghApplicationUse)));
	leaking = palloc0(mul_size(pgh_n_slots, sizeof(PghLeaking)));
	open_pauses = palloc0(mul_size(pgh_n_slots, sizeof(PghOpenPauses)));
	for (int i = 0; i < pgh_n_applications; i++)
		usage[i].published = true;	/* by an earlier worker */
}

/* When did a session of each application last go back to its pool? */
static void
find_last_uses(const PghUse *uses, int n)
{
	for (int i = 0; i < n; i++)
	{
		PghApplicationUse *its = &usage[uses[i].application];

		if (!uses[i].busy)
			its->last_use = Max(its->last_use, uses[i].idle_since);
	}
}

static bool
is_busy(const PghUse *use)
{
	return use->busy ||
		usage[use->application].last_use - use->idle_since < PGH_SAME_MOMENT;
}

static void
add_leaking(const PghUse *use, PghLeaking *place)
{
	place->application = use->application;
	place->role = use->role;
	place->key = use->leak;
	place->since = use->idle_since;
}

/* Returns how many sessions leak: those in "leaking". */
static int
add_up(const PghUse *uses, int n)
{
	int			n_leaking = 0;

	for (int i = 0; i < pgh_n_applications; i++)
		usage[i].busy = usage[i].last_use = usage[i].leaking = 0;
	find_last_uses(uses, n);
	for (int i = 0; i < n; i++)
	{
		usage[uses[i].application].busy += is_busy(&uses[i]);
		if (uses[i].leak != 0)
			add_leaking(&uses[i], &leaking[n_leaking++]);
	}
	return n_leaking;
}

#define PGH_COMPARE(a, b) ((a) < (b) ? -1 : (a) > (b))

static int
compare_leaking(const void *a, const void *b)
{
	const PghLeaking *left = a;
	const PghLeaking *right = b;

	if (left->application != right->application)
		return PGH_COMPARE(left->application, right->application);
	if (left->role != right->role)
		return PGH_COMPARE(left->role, right->role);
	return PGH_COMPARE(left->key, right->key);
}

static int
compare_keys(const void *a, const void *b)
{
	return PGH_COMPARE(((const PghOpenPauses *) a)->key,
					   ((const PghOpenPauses *) b)->key);
}

/*
 * The leaking sessions of one role of an application, "n" of them, in the
 * order of their keys.  If they are the most of the application, they are what
 * its clients of this role are told of.
 */
static void
compare_role(const PghLeaking *its, int n)
{
	PghApplicationUse *app = &usage[its->application];
	int			same = 0;
	int			most = 0;

	if ((uint32) n <= app->leaking)
		return;
	app->leaking = n;
	app->leaking_role = its->role;
	app->leaking_since = its->since;
	for (int i = 0; i < n; i++)
	{
		app->leaking_since = Min(app->leaking_since, its[i].since);
		same = i > 0 && its[i].key == its[i - 1].key ? same + 1 : 1;
		if (same > most)
		{
			most = same;
			app->leaking_key = its[i].key;
		}
	}
}

/* Add up what belongs to one leak; returns how many leaks there are. */
static int
merge_open(int n)
{
	int			merged = 0;

	qsort(open_pauses, n, sizeof(PghOpenPauses), compare_keys);
	for (int i = 0; i < n; i++)
	{
		PghOpenPauses *last = &open_pauses[Max(merged - 1, 0)];

		if (merged > 0 && last->key == open_pauses[i].key)
		{
			last->together += open_pauses[i].together;
			last->longest = Max(last->longest, open_pauses[i].longest);
		}
		else
			open_pauses[merged++] = open_pauses[i];
	}
	return merged;
}

/* All leaks that have sessions are seen at this moment. */
static void
note_seen(int n)
{
	static bool seen_before = true; /* by an earlier worker */
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < n; i++)
	{
		int64		length = Max(now - leaking[i].since, 0);

		open_pauses[i].key = leaking[i].key;
		open_pauses[i].together = open_pauses[i].longest = length;
	}
	if (n > 0 || seen_before)
		pgh_leaks_still_seen(open_pauses, merge_open(n));
	seen_before = n > 0;
}

static void
count_leaks(int n)
{
	int			first = 0;

	qsort(leaking, n, sizeof(PghLeaking), compare_leaking);
	for (int i = 1; i <= n; i++)
	{
		if (i < n && leaking[i].application == leaking[first].application &&
			leaking[i].role == leaking[first].role)
			continue;
		compare_role(&leaking[first], i - first);
		first = i;
	}
	note_seen(n);
}

/*
 * Shared memory is not touched for an application that neither uses nor leaks
 * anything, and there may be many.
 */
void
pgh_publish_usage(const PghUse *uses, int n)
{
	count_leaks(add_up(uses, n));
	pgh_lock(&pgh_applications_part, LW_SHARED);
	for (int i = 0; i < pgh_n_applications; i++)
	{
		PghApplication *app = &pgh_applications[i];
		PghApplicationUse *its = &usage[i];

		if (its->busy > 0 && its->busy > pg_atomic_read_u32(&app->peak_busy))
			pg_atomic_write_u32(&app->peak_busy, its->busy);
		if (its->leaking == 0 && !its->published)
			continue;
		pg_atomic_write_u64(&app->leaking_since, its->leaking_since);
		pg_atomic_write_u64(&app->leaking_key, its->leaking_key);
		pg_atomic_write_u32(&app->leaking_role, its->leaking_role);
		pg_atomic_write_u32(&app->leaking, its->leaking);
		its->published = its->leaking > 0;
	}
	pgh_unlock(&pgh_applications_part);
}
