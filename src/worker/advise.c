/*-------------------------------------------------------------------------
 *
 * worker/advise.c
 *	  Notes what is wrong with how applications connect.
 *
 * Owns: when that is looked at.  Must not: judge; that is pure/diagnosis.c.
 * For the worker only.
 *
 * The views judge by the sessions of the moment at which somebody asks.  Who
 * asks in the morning what was wrong at night finds none of them any more; so
 * it is noted while they are there, and kept with the application.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/advise.h"

#include "utils/timestamp.h"

#include "look/live.h"
#include "shared/applications.h"

/*
 * A look at all sessions takes as long as several passes, and nothing that is
 * wrong is over sooner.
 */
#ifndef PGH_ADVISE_INTERVAL
#define PGH_ADVISE_INTERVAL (60 * USECS_PER_SEC)
#endif

static void
advise(int index, PghLive *live, TimestampTz now)
{
	PghApplication *app = &pgh_applications[index];
	PghPattern	pattern;

	if (!app->used || app->tentative)
		return;
	live->place = index;
	pattern = pgh_live_pattern(app, live, now);
	if (pattern == PGH_PATTERN_NONE)
		return;
	pgh_lock(&pgh_applications_part, LW_SHARED);
	pgh_application_diagnose(app, pattern, now);
	pgh_unlock(&pgh_applications_part);
}

/* Of those that share the first place nothing is known together. */
void
pgh_advise_look(TimestampTz now)
{
	static TimestampTz last = 0;
	PghLive    *live;

	if (now - last < PGH_ADVISE_INTERVAL && now >= last)
		return;
	last = now;
	live = pgh_list_live(NULL, now);
	for (int i = PGH_OTHERS + 1; i < pgh_n_applications; i++)
		advise(i, &live[i], now);
}
