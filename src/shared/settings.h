/*-------------------------------------------------------------------------
 *
 * shared/settings.h
 *	  The settings that the server has now, whatever a process has read.
 *
 * A process learns of a reload when it gets around to it: the worker a moment
 * after the postmaster, a backend with its next command, and one that has not
 * been let in yet not before it has decided about itself.  What they decide
 * must not rest on settings that hold no more.  So the postmaster, which is
 * the first to read them, says here that they have changed, and what those
 * are that decide who is let in.
 *
 * field						who and how
 * ---------------------------	--------------------------------------------
 * generation					W the postmaster, from its assign hooks: odd
 *								while it writes; R anyone, also a signal
 *								handler; atomic
 * all others					W the postmaster; R anyone, who looks at the
 *								generation before and after
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_SETTINGS_H
#define PGH_SETTINGS_H

#include "shared/part.h"

typedef struct PghSettings
{
	pg_atomic_uint32 generation;
	int			value[PGH_N_PUBLISHED]; /* see guc.h */
	char		rules[PGH_RULES_TEXT_LEN];
} PghSettings;

extern PghPart pgh_settings_part;
extern PghSettings *pgh_settings;

/*
 * The generation of the settings that the server has now.  Never the same
 * again once any of them has been read anew.
 */
static inline uint32
pgh_settings_now(void)
{
	return pg_atomic_read_u32(&pgh_settings->generation);
}

/* The generation of those that this process has. */
extern uint32 pgh_settings_here(void);

/* This process is about to read its settings again. */
extern void pgh_settings_reading(void);

/*
 * Take those that decide who is let in from here if this process has older
 * ones.  Allocates memory, takes no lock, raises no error; false when there
 * was no memory, and the old ones stay.
 */
extern bool pgh_settings_take(void);

#endif							/* PGH_SETTINGS_H */
