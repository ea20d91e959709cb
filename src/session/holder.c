/*-------------------------------------------------------------------------
 *
 * session/holder.c
 *	  Who holds what a client is refused for.
 *
 * Owns: the look for one application that holds more than others.  Must not:
 * say more than hygiene.applications shows to everyone.  For the backend
 * itself.
 *
 *-------------------------------------------------------------------------
 */
#include "session/holder.h"

#include "utils/timestamp.h"

#include "look/scan.h"
#include "shared/applications.h"

static void
name_holder(uint32 index, int holds, PghRefusalFacts *told)
{
	pgh_lock(&pgh_applications_part, LW_SHARED);
	strlcpy(told->holder, pgh_applications[index].name, sizeof(told->holder));
	pgh_unlock(&pgh_applications_part);
	told->holder_holds = holds;
}

/* Place 0 is that of the others, who are no application. */
void
pgh_find_holder(uint32 application, int own, PghRefusalFacts *told)
{
	uint32		largest = 0;
	int			most = 0;

	for (int i = 1; i < pgh_n_applications; i++)
	{
		int			holds = pgh_applications[i].account.connections;

		if (holds > most)
		{
			largest = i;
			most = holds;
		}
	}
	if (largest != 0 && largest != application && most > own)
		name_holder(largest, most, told);
}

/* The application of a session that matches the rule, or none. */
static uint32
application_of(int index, const PghRule *rule, TimestampTz now)
{
	PghSession	session;

	if (!pgh_scan_session(index, &session) ||
		!pgh_rule_matches(rule, &session.who, now))
		return PGH_NO_APPLICATION;
	return session.counted_as;
}

/*
 * One that holds more than half of them is found without counting all: each
 * session speaks for its own application or against the one that is ahead.
 */
void
pgh_find_rule_holder(const PghRule *rule, uint32 application,
					 PghRefusalFacts *told)
{
	TimestampTz now = GetCurrentTimestamp();
	uint32		ahead = PGH_NO_APPLICATION;
	int			votes = 0;
	int			holds = 0;
	int			all = 0;

	for (int i = 0; i < pgh_n_slots; i++)
	{
		uint32		its = application_of(i, rule, now);

		if (its == PGH_NO_APPLICATION)
			continue;
		if (votes == 0)
			ahead = its;
		votes += its == ahead ? 1 : -1;
	}
	if (ahead == PGH_NO_APPLICATION || ahead == 0 || ahead == application)
		return;
	for (int i = 0; i < pgh_n_slots; i++)
	{
		uint32		its = application_of(i, rule, now);

		all += its != PGH_NO_APPLICATION;
		holds += its == ahead;
	}
	if (2 * holds > all)
		name_holder(ahead, holds, told);
}
