/*-------------------------------------------------------------------------
 *
 * shared/applications.c
 *	  The table of applications: which name has which place.
 *
 * Owns: which place a name counts in, and what of it is kept on disk.  Must
 * not: know sessions; see shared/members.c.
 *
 * Names are found by their family: all names of one are in one bucket, with
 * the place of the family itself if it is one application.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/applications.h"

#include "common/hashfn.h"
#include "pure/application_name.h"

/* A name, and what is to be known of it to find its place. */
typedef struct PghSought
{
	const char *name;
	char		family[PGH_NAME_LEN];
	bool		may_join;		/* it has a family, and families count */
	uint32		hash;			/* of the family */
} PghSought;

/* ----------
 * Families
 * ----------
 */

/*
 * Two names stand for rows that sum others up.  Whoever calls itself so has
 * none.
 */
static void
look_into(const char *name, PghSought *sought)
{
	if (strcmp(name, PGH_OTHER_APPLICATIONS) == 0 ||
		strcmp(name, PGH_NEWCOMERS) == 0)
		name = "";
	sought->name = name;
	sought->may_join = pgh_find_family(name, sought->family) &&
		pgh_application_families;
	sought->hash = hash_bytes((const unsigned char *) sought->family,
							  (int) strlen(sought->family));
}

static bool
is_member(const PghApplication *app, const PghSought *sought)
{
	char		family[PGH_NAME_LEN];

	return app->hash == sought->hash &&
		pgh_find_family(app->name, family) &&
		strcmp(family, sought->family) == 0;
}

/* It rests: nobody counts for it, or asks to. */
static bool
is_unused(const PghApplication *app)
{
	return app->account.connections == 0 && app->asking == 0;
}

/* Both are new here, or neither is. */
static void
pour(PghApplication *from, PghApplication *to)
{
	if (!to->established)
	{
		pgh_account_take_roles(pgh_newcomers, &from->account);
		pgh_account_take_roles(pgh_newcomers, &to->account);
	}
	pgh_account_pour(&from->account, &to->account);
	if (!to->established)
		pgh_account_add_roles(pgh_newcomers, &to->account);
}

/*
 * All of "from" is "to" from now on.  No other place may be taken back on the
 * way, for it could be the one that unite() looks at next: so the family's is
 * kept only once the lost one is free, when there is room for it.
 */
static void
merge(uint32 from, uint32 to, PghMoved moved)
{
	PghApplication *lost = &pgh_applications[from];
	PghApplication *family = &pgh_applications[to];
	bool		was_resting = is_unused(family);
	bool		was_kept = !lost->tentative;

	if (lost->established)
		pgh_application_establish(to);
	if (family->established)
		pgh_application_establish(from);
	if (is_unused(lost))
		pgh_place_wake(from);
	if (was_resting)
		pgh_place_wake(to);
	pgh_application_add(lost, family);
	pour(lost, family);
	family->asking += lost->asking;
	lost->asking = 0;
	if (is_unused(family))
		pgh_place_rest(to);
	moved(from, to);
	pgh_place_give_up(from, to);
	if (was_kept)
		pgh_place_keep(to);
}

/* Merge all names of a family into its place, or into one of themselves. */
static uint32
unite(const PghSought *sought, uint32 family, PghMoved moved)
{
	uint32		index = pgh_places_first(sought->hash);

	while (index != 0)
	{
		PghApplication *app = &pgh_applications[index];
		uint32		next = app->next;

		if (index != family && is_member(app, sought))
		{
			if (family == 0)
				family = index;
			else
				merge(index, family, moved);
		}
		index = next;
	}
	return family;
}

/* The first of its names becomes the family; its id stands for both. */
static uint32
found_family(const PghSought *sought, PghMoved moved)
{
	uint32		index = unite(sought, 0, moved);
	PghApplication *app = &pgh_applications[index];

	strlcpy(app->name, sought->family, PGH_NAME_LEN);
	app->is_family = true;
	pgh_application_raise_peak(app, app->account.connections);
	return index;
}

static int
count_members(const PghSought *sought)
{
	int			n = 0;

	for (uint32 i = pgh_places_first(sought->hash); i != 0;
		 i = pgh_applications[i].next)
		n += is_member(&pgh_applications[i], sought);
	return n;
}

/*
 * Find the place of a name, and of its family if that is one application;
 * PGH_NO_APPLICATION where there is none.  Returns how many others of its
 * bucket may be of its family.
 */
static int
search(const PghSought *sought, uint32 *own, uint32 *family)
{
	int			others = 0;

	*own = *family = PGH_NO_APPLICATION;
	for (uint32 i = pgh_places_first(sought->hash); i != 0;
		 i = pgh_applications[i].next)
	{
		const PghApplication *app = &pgh_applications[i];

		if (app->hash != sought->hash)
			continue;
		if (sought->may_join && app->is_family &&
			strcmp(app->name, sought->family) == 0)
			*family = i;
		else if (strcmp(app->name, sought->name) == 0)
			*own = i;
		else
			others++;
	}
	return others;
}

uint32
pgh_application_place(const char *name, PghMoved moved)
{
	PghSought	sought;
	uint32		own;
	uint32		family;
	int			others;

	/* A longer one would never be found, and get a place each time. */
	Assert(strlen(name) < PGH_NAME_LEN);
	look_into(name, &sought);
	others = search(&sought, &own, &family);
	if (family != PGH_NO_APPLICATION)
	{
		/* The setting may have been off for a while. */
		if (others > 0 || own != PGH_NO_APPLICATION)
			(void) unite(&sought, family, moved);
		return family;
	}
	if (own != PGH_NO_APPLICATION)
		return own;
	if (sought.may_join && others >= PGH_FAMILY_SIZE &&
		count_members(&sought) >= PGH_FAMILY_SIZE)
		return found_family(&sought, moved);
	return pgh_place_take(sought.name, sought.hash);
}

uint32
pgh_application_find(const char *name)
{
	PghSought	sought;
	uint32		own;
	uint32		family;

	look_into(name, &sought);
	(void) search(&sought, &own, &family);
	return family != PGH_NO_APPLICATION ? family : own;
}

/* ----------
 * Sessions come and go
 * ----------
 */

void
pgh_application_count_in(uint32 index, Oid role)
{
	PghApplication *app = &pgh_applications[index];

	if (index == PGH_OTHERS)
		pgh_place_note_others();
	else if (is_unused(app))
		pgh_place_wake(index);
	if (!app->established && pgh_account_own(&app->account, role) == 0)
		pgh_account_add(pgh_newcomers, role, 1);
	pgh_account_add(&app->account, role, 1);
	pgh_application_open(app);
	pgh_note_change();
}

/* Let it rest if nobody counts for it any more. */
static void
leave_place(uint32 index)
{
	PghApplication *app = &pgh_applications[index];

	if (index == PGH_OTHERS || !is_unused(app))
		return;
	if (app->tentative && !pgh_place_is_spare())
	{
		pgh_place_note_others();
		pgh_application_add(app, &pgh_applications[PGH_OTHERS]);
		pgh_place_give_back(index);
		return;
	}
	pgh_place_rest(index);
	pgh_place_keep(index);
	pgh_places_trim();
}

void
pgh_application_count_out(uint32 index, Oid role)
{
	PghApplication *app = &pgh_applications[index];

	pgh_account_take(&app->account, role, 1);
	if (!app->established && pgh_account_own(&app->account, role) == 0)
		pgh_account_take(pgh_newcomers, role, 1);
	pgh_note_change();
	leave_place(index);
}

void
pgh_application_pin(uint32 index)
{
	PghApplication *app = &pgh_applications[index];

	if (index == PGH_OTHERS)
		pgh_place_note_others();
	else if (is_unused(app))
		pgh_place_wake(index);
	app->asking++;
}

void
pgh_application_unpin(uint32 index)
{
	pgh_applications[index].asking--;
	leave_place(index);
}

/* Strangers that share a place are never established together. */
void
pgh_application_establish(uint32 index)
{
	PghApplication *app = &pgh_applications[index];

	if (app->established || index == PGH_OTHERS)
		return;
	if (is_unused(app))
		pgh_place_wake(index);
	app->established = true;
	pgh_account_take_roles(pgh_newcomers, &app->account);
	if (is_unused(app))
		pgh_place_rest(index);
}

uint32
pgh_application_by_id(uint32 index, uint32 id)
{
	if (pgh_applications[index].id == id)
		return index;
	id = pgh_place_alias(id);
	for (int i = 1; i < pgh_n_applications; i++)
		if (pgh_applications[i].used && pgh_applications[i].id == id)
			return i;
	return PGH_OTHERS;
}

uint32
pgh_application_follow(uint32 index, uint32 id)
{
	if (index == PGH_NO_APPLICATION || pgh_applications[index].id == id)
		return index;
	pgh_lock(&pgh_applications_part, LW_SHARED);
	index = pgh_application_by_id(index, id);
	pgh_unlock(&pgh_applications_part);
	return index;
}

uint32
pgh_application_id(uint32 index)
{
	return index == PGH_NO_APPLICATION ? 0 : pgh_applications[index].id;
}

PghApplicationId *
pgh_application_ids(int *n)
{
	PghApplicationId *ids = palloc(mul_size(pgh_place_most_ids(),
											sizeof(PghApplicationId)));

	pgh_lock(&pgh_applications_part, LW_SHARED);
	*n = pgh_place_ids(ids);
	pgh_unlock(&pgh_applications_part);
	return ids;
}

/* ----------
 * The part
 * ----------
 */

/* Who has no session is forgotten, who has some begins anew. */
static void
reset_applications(void)
{
	PghApplication *others = &pgh_applications[PGH_OTHERS];
	uint32		index;

	pgh_lock(&pgh_applications_part, LW_EXCLUSIVE);
	while ((index = pgh_place_dispensable()) != 0)
	{
		pgh_place_wake(index);
		pgh_place_give_back(index);
	}
	for (int i = 0; i < pgh_n_applications; i++)
		if (pgh_applications[i].used)
			pgh_application_reset(&pgh_applications[i]);
	others->used = others->account.connections > 0;
	pgh_unlock(&pgh_applications_part);
}

static void
save_applications(PghStream *stream)
{
	for (int i = 0; i < pgh_n_applications; i++)
	{
		PghKeptApplication kept;
		bool		used;

		pgh_lock(&pgh_applications_part, LW_SHARED);
		used = pgh_applications[i].used && !pgh_applications[i].tentative;
		if (used)
			pgh_application_keep(&pgh_applications[i], &kept);
		pgh_unlock(&pgh_applications_part);
		kept.is_rest = i == PGH_OTHERS;
		if (used)
			pgh_put(stream, &kept, sizeof(kept));
	}
}

/*
 * While names are read, those of a family are not united: the file has had
 * that done, and who took another one's place is not to be lost.
 */
static void
place_nowhere(uint32 from, uint32 to)
{
}

/* The rest has a place of its own, not one among the names. */
static void
load_application(const PghKeptApplication *kept)
{
	uint32		index = PGH_OTHERS;
	PghApplication *app;

	if (!kept->is_rest)
		index = pgh_application_place(kept->name, place_nowhere);
	if (index == PGH_OTHERS)
		pgh_place_note_others();
	app = &pgh_applications[index];
	pgh_application_restore(app, kept);
	if (index == PGH_OTHERS)
		return;
	app->is_family |= kept->is_family;
	pgh_place_wake(index);
	app->established |= kept->established;
	pgh_place_rest(index);
	pgh_place_keep(index);
}

/* Can these be counters, and times? */
static bool
is_sound(PghStream *stream, const PghKeptApplication *kept)
{
	for (int i = 0; i < PGH_N_COUNTERS; i++)
		if (!pgh_take_count(stream, kept->count[i]))
			return false;
	return pgh_take_count(stream, kept->opened) &&
		pgh_take_count(stream, kept->ended) &&
		pgh_take_count(stream, kept->transactions) &&
		pgh_take_count(stream, kept->session_time) &&
		pgh_take_count(stream, kept->blocked_time) &&
		pgh_take_count(stream, kept->slot_time) &&
		pgh_take_count(stream, kept->horizon_xids) &&
		pgh_is_time(kept->since) &&
		pgh_is_time(kept->peak_at) && pgh_is_time(kept->lost_at) &&
		pgh_is_time(kept->diagnosed_since) && pgh_is_time(kept->diagnosed_at);
}

static bool
load_applications(PghStream *stream)
{
	while (stream->length > 0)
	{
		PghKeptApplication kept;

		if (!pgh_get(stream, &kept, sizeof(kept)) || !is_sound(stream, &kept))
			return false;
		kept.name[PGH_NAME_LEN - 1] = '\0';
		pgh_make_bool(&kept.is_rest);
		pgh_make_bool(&kept.is_family);
		pgh_make_bool(&kept.established);
		load_application(&kept);
	}
	return true;
}

PghPart		pgh_applications_part = {
	.name = "applications",
	.size = pgh_places_size,
	.init = pgh_places_init,
	.reset = reset_applications,
	.save = save_applications,
	.load = load_applications,
	.format = PGH_FORMAT(5, sizeof(PghKeptApplication)),
};
