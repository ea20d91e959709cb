/*-------------------------------------------------------------------------
 *
 * shared/settings.c
 *	  The settings that the server has now, whatever a process has read.
 *
 * Owns: PghSettings.  Must not: decide, or lock: its writer is the postmaster,
 * which can wait for nobody, and its readers may be signal handlers.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/settings.h"

/* How often what is being written is read again. */
#define PGH_MAX_READS 1000

PghSettings *pgh_settings = NULL;

/*
 * The generation that this process has the settings of.  A backend has those
 * that the postmaster had when it was forked.
 */
static uint32 here = 0;

uint32
pgh_settings_here(void)
{
	return here;
}

void
pgh_settings_reading(void)
{
	here = pgh_settings_now();
}

/* ----------
 * The postmaster's part
 * ----------
 */

static void
begin_change(void)
{
	pg_atomic_write_u32(&pgh_settings->generation, ++here);
	pg_write_barrier();
}

static void
end_change(void)
{
	pg_write_barrier();
	pg_atomic_write_u32(&pgh_settings->generation, ++here);
}

/*
 * A setting gets a value, perhaps the one that it had.  What all other
 * processes have read is their own affair.
 */
static void
note_setting(PghPublished which, int value)
{
	if (IsUnderPostmaster)
		return;
	begin_change();
	if (which < PGH_N_PUBLISHED)
		pgh_settings->value[which] = value;
	end_change();
}

static void
note_rules(const char *text)
{
	if (IsUnderPostmaster)
		return;
	begin_change();
	strlcpy(pgh_settings->rules, text, sizeof(pgh_settings->rules));
	end_change();
}

/* ----------
 * Everybody else's
 * ----------
 */

/* Copy it as it was at one moment; false when that did not succeed. */
static bool
copy_settings(PghSettings *copy, uint32 *generation)
{
	for (int i = 0; i < PGH_MAX_READS; i++)
	{
		*generation = pgh_settings_now();
		pg_read_barrier();
		memcpy(copy->value, pgh_settings->value, sizeof(copy->value));
		memcpy(copy->rules, pgh_settings->rules, sizeof(copy->rules));
		pg_read_barrier();
		if ((*generation & 1) == 0 && pgh_settings_now() == *generation)
			return true;
	}
	return false;
}

bool
pgh_settings_take(void)
{
	PghSettings *copy;
	uint32		generation;
	bool		taken;

	if (likely(here == pgh_settings_now()))
		return true;
	copy = malloc(sizeof(PghSettings));
	if (copy == NULL)
		return false;
	taken = copy_settings(copy, &generation) &&
		pgh_use_settings(copy->value, copy->rules);
	if (taken)
		here = generation;
	free(copy);
	return taken;
}

/* ----------
 * The part
 * ----------
 */

static Size
size_settings(void)
{
	return sizeof(PghSettings);
}

/* The generation begins at 0 for all, since all processes are new. */
static void
init_settings(void *area)
{
	pgh_settings = area;
	pg_atomic_init_u32(&pgh_settings->generation, 0);
	here = 0;
	pgh_published_settings(pgh_settings->value, pgh_settings->rules);
	pgh_note_setting = note_setting;
	pgh_note_rules = note_rules;
}

PghPart		pgh_settings_part = {
	.name = "settings",
	.size = size_settings,
	.init = init_settings,
};
