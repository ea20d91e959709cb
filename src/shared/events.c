/*-------------------------------------------------------------------------
 *
 * shared/events.c
 *	  The ring of what was done, refused and warned about.
 *
 * Owns: PghEvents.  Must not: decide or signal.  Any process that has a
 * PGPROC may call it (it takes a lock), so not the postmaster and not a
 * signal handler.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/events.h"

#include "utils/timestamp.h"

static PghEvent *
place(uint64 event_id)
{
	return &pgh_events->ring[(event_id - 1) % pgh_max_events];
}

uint64
pgh_event_add(PghEvent *event)
{
	event->occurred_at = GetCurrentTimestamp();
	pgh_lock(PGH_LOCK_EVENTS, LW_EXCLUSIVE);
	event->event_id = pgh_events->next_id++;
	memcpy(place(event->event_id), event, sizeof(PghEvent));
	pgh_unlock(PGH_LOCK_EVENTS);
	pgh_note_change();
	return event->event_id;
}

void
pgh_event_finish(uint64 event_id, PghAction action, PghOutcome outcome)
{
	PghEvent   *event = place(event_id);

	pgh_lock(PGH_LOCK_EVENTS, LW_EXCLUSIVE);
	if (event->event_id == event_id)
	{
		event->action = action;
		event->outcome = outcome;
	}
	pgh_unlock(PGH_LOCK_EVENTS);
	pgh_note_change();
}

void
pgh_event_range(uint64 *first, uint64 *next)
{
	pgh_lock(PGH_LOCK_EVENTS, LW_SHARED);
	*next = pgh_events->next_id;
	pgh_unlock(PGH_LOCK_EVENTS);
	*first = *next > (uint64) pgh_max_events ? *next - pgh_max_events : 1;
}

bool
pgh_event_read(uint64 event_id, PghEvent *event)
{
	PghEvent   *stored = place(event_id);
	bool		found;

	pgh_lock(PGH_LOCK_EVENTS, LW_SHARED);
	found = stored->event_id == event_id;
	if (found)
		memcpy(event, stored, sizeof(PghEvent));
	pgh_unlock(PGH_LOCK_EVENTS);
	return found;
}

/*
 * Events come in the order of their ids, so with a smaller ring the newest
 * remain.
 */
void
pgh_event_restore(const PghEvent *event)
{
	if (event->event_id != 0 && event->event_id < pgh_events->next_id)
		memcpy(place(event->event_id), event, sizeof(PghEvent));
}

void
pgh_events_reset(void)
{
	pgh_lock(PGH_LOCK_EVENTS, LW_EXCLUSIVE);
	for (int i = 0; i < pgh_max_events; i++)
		pgh_events->ring[i].event_id = 0;
	pgh_unlock(PGH_LOCK_EVENTS);
	pgh_note_change();
}
