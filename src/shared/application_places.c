/*-------------------------------------------------------------------------
 *
 * shared/application_places.c
 *	  The places of the table of applications.
 *
 * Owns: which place is taken, by what name it is found, who rests, and who
 * goes first when a place is needed.  Must not: know sessions, or what a
 * family is.  Whoever calls it holds the table's lock, where nothing else is
 * said.
 *
 * A place without sessions rests: it keeps its counters until another name
 * needs the place.  Then the one goes that has rested for longest, of those
 * that never were established first.  Of these a handful rest and no more,
 * unless a limit has ended one of their sessions: a program that takes
 * another name each time would fill the table with rows that tell nothing.
 * Of those under whose names nobody was let in, even fewer do.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/application_places.h"

/* So many may be asking to be let in under a name that has no place. */
#define PGH_TENTATIVE_PLACES 64

/*
 * So many names rest that nobody was let in under, or that were never
 * established and lost nothing to a limit.
 */
#define PGH_RESTING_REFUSED 2
#define PGH_RESTING_NEWCOMERS 6

/* Names that became part of a family, for samples that were taken before. */
#define PGH_ALIASES 256

/* Who rests, in the order in which their places are taken back. */
enum
{
	REST_REFUSED,				/* nobody was let in */
	REST_NEWCOMER,
	REST_LEAK,					/* not established, but a limit ended some */
	REST_ESTABLISHED,
	N_RESTS
};

typedef struct PghResting
{
	uint32		oldest;			/* 0 = none */
	uint32		newest;
	uint32		n;
} PghResting;

typedef struct PghAlias
{
	uint32		id;
	uint32		became;
} PghAlias;

/* Behind it lie the buckets, then the places. */
typedef struct PghTable
{
	int			n_used;			/* but for that of the others */
	int			n_tentative;	/* of them */
	uint32		free;			/* 0 = none */
	uint32		last_id;
	uint32		n_aliases;		/* ever; the newest are in the ring */
	PghResting	resting[N_RESTS];
	PghAccount	newcomers;
	PghAlias	alias[PGH_ALIASES];
} PghTable;

PghApplication *pgh_applications = NULL;
int			pgh_n_applications = 0;
PghAccount *pgh_newcomers = NULL;
void		(*pgh_place_moved) (uint32 into, uint32 from) = NULL;

static PghTable *table;
static uint32 *buckets;			/* pgh_max_applications of them */

/* ----------
 * Places
 * ----------
 */

static uint32 *
bucket_of(uint32 hash)
{
	return &buckets[hash % (uint32) pgh_max_applications];
}

uint32
pgh_places_first(uint32 hash)
{
	return *bucket_of(hash);
}

static void
link_place(uint32 index)
{
	PghApplication *app = &pgh_applications[index];
	uint32	   *bucket = bucket_of(app->hash);

	app->next = *bucket;
	*bucket = index;
}

static void
unlink_place(uint32 index)
{
	uint32	   *link = bucket_of(pgh_applications[index].hash);

	while (*link != index && *link != 0)
		link = &pgh_applications[*link].next;
	Assert(*link == index);
	if (*link == index)
		*link = pgh_applications[index].next;
}

void
pgh_place_rest(uint32 index)
{
	PghApplication *app = &pgh_applications[index];
	PghResting *list;

	app->rest = pg_atomic_read_u64(&app->opened) == 0 ? REST_REFUSED :
		app->established ? REST_ESTABLISHED :
		pg_atomic_read_u64(&app->count[PGH_COUNT_TERMINATED]) > 0 ?
		REST_LEAK : REST_NEWCOMER;
	list = &table->resting[app->rest];
	app->newer = 0;
	app->older = list->newest;
	if (list->newest != 0)
		pgh_applications[list->newest].newer = index;
	else
		list->oldest = index;
	list->newest = index;
	list->n++;
}

void
pgh_place_wake(uint32 index)
{
	PghApplication *app = &pgh_applications[index];
	PghResting *list = &table->resting[app->rest];

	if (app->older != 0)
		pgh_applications[app->older].newer = app->newer;
	else
		list->oldest = app->newer;
	if (app->newer != 0)
		pgh_applications[app->newer].older = app->older;
	else
		list->newest = app->older;
	list->n--;
}

/* Give a place back that has no sessions and is not resting. */
static void
free_place(uint32 index, uint32 into)
{
	PghApplication *app = &pgh_applications[index];

	unlink_place(index);
	if (pgh_place_moved != NULL)
		pgh_place_moved(into, index);
	table->n_used--;
	table->n_tentative -= app->tentative;
	app->used = app->is_family = app->established = app->tentative = false;
	app->id = 0;
	pgh_application_clear(app);
	app->next = table->free;
	table->free = index;
}

void
pgh_place_give_back(uint32 index)
{
	free_place(index, PGH_OTHERS);
}

void
pgh_place_note_others(void)
{
	PghApplication *others = &pgh_applications[PGH_OTHERS];

	if (others->used)
		return;
	strlcpy(others->name, PGH_OTHER_APPLICATIONS, PGH_NAME_LEN);
	others->used = true;
}

/* What a resting application has counted is the others' from now on. */
static void
take_back(uint32 index)
{
	PghApplication *app = &pgh_applications[index];

	pgh_place_wake(index);
	if (pgh_application_did_anything(app))
	{
		pgh_place_note_others();
		pgh_application_add(app, &pgh_applications[PGH_OTHERS]);
	}
	pgh_place_give_back(index);
}

/* Of those that rest, who goes first?  0 = none rests. */
uint32
pgh_place_dispensable(void)
{
	for (int i = 0; i < N_RESTS; i++)
		if (table->resting[i].oldest != 0)
			return table->resting[i].oldest;
	return 0;
}

static bool
make_room(void)
{
	uint32		index = pgh_place_dispensable();

	if (index != 0)
		take_back(index);
	return index != 0;
}

/*
 * Those who only ask have places beyond max_applications, so that nobody is
 * taken back for one who is refused.
 */
uint32
pgh_place_take(const char *name, uint32 hash)
{
	uint32		index;
	PghApplication *app;

	if (table->n_used - table->n_tentative >= pgh_max_applications &&
		pgh_place_dispensable() == 0)
		return PGH_OTHERS;
	if (table->free == 0 && !make_room())
		return PGH_OTHERS;
	index = table->free;
	app = &pgh_applications[index];
	table->free = app->next;
	table->n_used++;
	table->n_tentative++;
	strlcpy(app->name, name, PGH_NAME_LEN);
	app->used = app->tentative = true;
	app->id = ++table->last_id;
	app->hash = hash;
	link_place(index);
	pgh_place_rest(index);
	return index;
}

void
pgh_place_keep(uint32 index)
{
	if (!pgh_applications[index].tentative)
		return;
	pgh_applications[index].tentative = false;
	table->n_tentative--;
	while (table->n_used - table->n_tentative > pgh_max_applications &&
		   make_room())
		;
}

void
pgh_places_trim(void)
{
	const PghResting *refused = &table->resting[REST_REFUSED];
	const PghResting *newcomers = &table->resting[REST_NEWCOMER];

	if (refused->n > PGH_RESTING_REFUSED)
		take_back(refused->oldest);
	if (newcomers->n > PGH_RESTING_NEWCOMERS)
		take_back(newcomers->oldest);
}

/* It is the place of one that was refused before, or one that is left over. */
bool
pgh_place_is_spare(void)
{
	return table->resting[REST_REFUSED].n > 0 ||
		table->n_used - table->n_tentative < pgh_max_applications;
}

void
pgh_place_give_up(uint32 from, uint32 to)
{
	PghAlias   *alias = &table->alias[table->n_aliases++ % PGH_ALIASES];

	alias->id = pgh_applications[from].id;
	alias->became = pgh_applications[to].id;
	free_place(from, to);
}

/* ----------
 * Names
 * ----------
 */

static int
compare_ids(const void *a, const void *b)
{
	uint32		left = ((const PghApplicationId *) a)->id;
	uint32		right = ((const PghApplicationId *) b)->id;

	return left == right ? 0 : left < right ? -1 : 1;
}

uint32
pgh_place_alias(uint32 id)
{
	for (uint32 i = 0; i < Min(table->n_aliases, PGH_ALIASES); i++)
		if (table->alias[i].id == id)
			return table->alias[i].became;
	return id;
}

int
pgh_place_most_ids(void)
{
	return pgh_n_applications + PGH_ALIASES;
}

/* A family may have become part of nothing else: one step is all. */
static int
add_aliases(PghApplicationId *ids, int n)
{
	int			n_places = n;

	for (uint32 i = 0; i < Min(table->n_aliases, PGH_ALIASES); i++)
	{
		PghApplicationId became = {table->alias[i].became};
		PghApplicationId *found = bsearch(&became, ids, n_places,
										  sizeof(became), compare_ids);

		if (found == NULL)
			continue;
		ids[n] = *found;
		ids[n++].id = table->alias[i].id;
	}
	return n;
}

int
pgh_place_ids(PghApplicationId *ids)
{
	int			n = 0;

	for (int i = 1; i < pgh_n_applications; i++)
	{
		if (!pgh_applications[i].used)
			continue;
		ids[n].id = pgh_applications[i].id;
		memcpy(ids[n++].name, pgh_applications[i].name, PGH_NAME_LEN);
	}
	qsort(ids, n, sizeof(PghApplicationId), compare_ids);
	n = add_aliases(ids, n);
	qsort(ids, n, sizeof(PghApplicationId), compare_ids);
	return n;
}

/* ----------
 * Memory
 * ----------
 */

/* One for the others, and those that are only asked for. */
int
pgh_application_places(void)
{
	return 1 + pgh_max_applications + PGH_TENTATIVE_PLACES;
}

static Size
size_buckets(void)
{
	return MAXALIGN(mul_size(pgh_max_applications, sizeof(uint32)));
}

Size
pgh_places_size(void)
{
	return add_size(add_size(MAXALIGN(sizeof(PghTable)), size_buckets()),
					mul_size(pgh_application_places(), sizeof(PghApplication)));
}

void
pgh_places_init(void *area)
{
	table = area;
	buckets = (uint32 *) ((char *) area + MAXALIGN(sizeof(PghTable)));
	pgh_applications = (PghApplication *) ((char *) buckets + size_buckets());
	pgh_n_applications = pgh_application_places();
	pgh_newcomers = &table->newcomers;
	for (int i = 0; i < pgh_n_applications; i++)
		pgh_application_init(&pgh_applications[i]);
	for (int i = pgh_n_applications - 1; i > 0; i--)
	{
		pgh_applications[i].next = table->free;
		table->free = i;
	}
}
