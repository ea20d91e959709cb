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

#include "shared/totals.h"

static PghEvents *events = NULL;

static PghEvent *
place(uint64 event_id)
{
	return &events->ring[(event_id - 1) % pgh_max_events];
}

uint64
pgh_event_add(PghEvent *event)
{
	event->occurred_at = GetCurrentTimestamp();
	event->resumed_after = -1;
	pgh_lock(&pgh_events_part, LW_EXCLUSIVE);
	event->event_id = events->next_id++;
	memcpy(place(event->event_id), event, sizeof(PghEvent));
	pgh_unlock(&pgh_events_part);
	pgh_note_change();
	return event->event_id;
}

void
pgh_event_finish(uint64 event_id, PghAction action, PghOutcome outcome)
{
	PghEvent   *event = place(event_id);

	pgh_lock(&pgh_events_part, LW_EXCLUSIVE);
	if (event->event_id == event_id)
	{
		event->decision.action = action;
		event->outcome = outcome;
	}
	pgh_unlock(&pgh_events_part);
	pgh_note_change();
}

void
pgh_event_resumed(uint64 event_id, TimestampTz at)
{
	PghEvent   *event = place(event_id);

	pgh_lock(&pgh_events_part, LW_EXCLUSIVE);
	if (event->event_id == event_id)
		event->resumed_after = Max(at - event->occurred_at, 0);
	pgh_unlock(&pgh_events_part);
	pgh_note_change();
}

void
pgh_event_range(uint64 *first, uint64 *next)
{
	pgh_lock(&pgh_events_part, LW_SHARED);
	*next = events->next_id;
	pgh_unlock(&pgh_events_part);
	*first = *next > (uint64) pgh_max_events ? *next - pgh_max_events : 1;
}

bool
pgh_event_read(uint64 event_id, PghEvent *event)
{
	PghEvent   *stored = place(event_id);
	bool		found;

	pgh_lock(&pgh_events_part, LW_SHARED);
	found = stored->event_id == event_id;
	if (found)
		memcpy(event, stored, sizeof(PghEvent));
	pgh_unlock(&pgh_events_part);
	return found;
}

static Size
size_events(void)
{
	return add_size(offsetof(PghEvents, ring),
					mul_size(pgh_max_events, sizeof(PghEvent)));
}

static void
init_events(void *area)
{
	events = area;
	events->next_id = 1;
}

/* Ids go on. */
static void
reset_events(void)
{
	pgh_lock(&pgh_events_part, LW_EXCLUSIVE);
	for (int i = 0; i < pgh_max_events; i++)
		events->ring[i].event_id = 0;
	pgh_unlock(&pgh_events_part);
	pgh_note_change();
}

/* The next id comes first. */
static void
save_events(PghStream *stream)
{
	uint64		first;
	uint64		next;

	pgh_event_range(&first, &next);
	pgh_put(stream, &next, sizeof(next));
	for (uint64 id = first; id < next; id++)
	{
		PghEvent	event;

		if (pgh_event_read(id, &event))
			pgh_put_with_text(stream, &event, offsetof(PghEvent, query));
	}
}

/*
 * Events come in the order of their ids, so with a smaller ring the newest
 * remain.  An outcome that was never recorded: the session ended in a crash.
 */
static bool
load_events(PghStream *stream)
{
	uint64		next;

	if (!pgh_get(stream, &next, sizeof(next)) || next == 0)
		return false;
	events->next_id = next;
	while (stream->length > 0)
	{
		PghEvent	event;

		if (!pgh_get_with_text(stream, &event, offsetof(PghEvent, query)))
			return false;
		if (event.outcome == PGH_OUTCOME_PENDING)
			event.outcome = PGH_OUTCOME_SPARED;
		if (event.event_id != 0 && event.event_id < next)
			memcpy(place(event.event_id), &event, sizeof(PghEvent));
	}
	return true;
}

PghPart		pgh_events_part = {
	.name = "events",
	.size = size_events,
	.init = init_events,
	.reset = reset_events,
	.save = save_events,
	.load = load_events,
	.format = PGH_FORMAT(1, sizeof(PghEvent)),
};
