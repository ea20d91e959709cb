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

/*
 * Two rings, each in the order of the ids: the refusals, and everything else,
 * for which there is room for max_events.  Where both come to more, the oldest
 * of all is not there any more, whether or not its place is used again.
 */
typedef struct PghEventRing
{
	PghEvent   *place;
	uint64		size;
} PghEventRing;

typedef struct PghEvents
{
	uint64		next_id;
	uint64		added[2];		/* to each ring */
	uint64		gone[2];		/* of these: not there any more */
	PghEvent	place[FLEXIBLE_ARRAY_MEMBER];
} PghEvents;

enum
{
	OTHERS,
	REFUSALS,
	N_RINGS
};

static PghEvents *events = NULL;
static PghEventRing rings[N_RINGS];

static int
ring_of(const PghEvent *event)
{
	return event->decision.action == PGH_ACTION_REFUSE ? REFUSALS : OTHERS;
}

static uint64
count_in(int ring)
{
	return events->added[ring] - events->gone[ring];
}

/* The event of a ring that came after "n" others were added. */
static PghEvent *
place(int ring, uint64 n)
{
	return &rings[ring].place[n % rings[ring].size];
}

static uint64
oldest_id(int ring)
{
	return count_in(ring) == 0 ? PG_UINT64_MAX :
		place(ring, events->gone[ring])->event_id;
}

static void
append(const PghEvent *event)
{
	int			ring = ring_of(event);

	if (count_in(ring) == rings[ring].size)
		events->gone[ring]++;
	memcpy(place(ring, events->added[ring]++), event, sizeof(PghEvent));
	if (count_in(OTHERS) + count_in(REFUSALS) > (uint64) pgh_max_events)
		events->gone[oldest_id(OTHERS) < oldest_id(REFUSALS) ?
					 OTHERS : REFUSALS]++;
}

uint64
pgh_event_add(PghEvent *event)
{
	event->occurred_at = GetCurrentTimestamp();
	event->resumed_after = -1;
	pgh_lock(&pgh_events_part, LW_EXCLUSIVE);
	event->event_id = events->next_id++;
	append(event);
	pgh_unlock(&pgh_events_part);
	pgh_note_change();
	return event->event_id;
}

/* Under the lock: the first of a ring that is newer than this id, or NULL. */
static PghEvent *
find_after(int ring, uint64 id)
{
	uint64		low = events->gone[ring];
	uint64		high = events->added[ring];

	while (low < high)
	{
		uint64		middle = low + (high - low) / 2;

		if (place(ring, middle)->event_id > id)
			high = middle;
		else
			low = middle + 1;
	}
	return low < events->added[ring] ? place(ring, low) : NULL;
}

/* A refusal is finished when it is recorded. */
void
pgh_event_finish(uint64 event_id, PghAction action, PghOutcome outcome)
{
	PghEvent   *event;

	pgh_lock(&pgh_events_part, LW_EXCLUSIVE);
	event = find_after(OTHERS, event_id - 1);
	if (event != NULL && event->event_id == event_id)
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
	PghEvent   *event;

	pgh_lock(&pgh_events_part, LW_EXCLUSIVE);
	event = find_after(OTHERS, event_id - 1);
	if (event != NULL && event->event_id == event_id)
		event->resumed_after = Max(at - event->occurred_at, 0);
	pgh_unlock(&pgh_events_part);
	pgh_note_change();
}

bool
pgh_event_next(uint64 after, PghEvent *event)
{
	PghEvent   *found;
	PghEvent   *refusal;

	pgh_lock(&pgh_events_part, LW_SHARED);
	found = find_after(OTHERS, after);
	refusal = find_after(REFUSALS, after);
	if (refusal != NULL &&
		(found == NULL || refusal->event_id < found->event_id))
		found = refusal;
	if (found != NULL)
		memcpy(event, found, sizeof(PghEvent));
	pgh_unlock(&pgh_events_part);
	return found != NULL;
}

static uint64
most_refusals(void)
{
	return Max(pgh_max_events / 5, 1);
}

static Size
size_events(void)
{
	return add_size(offsetof(PghEvents, place),
					mul_size(pgh_max_events + most_refusals(),
							 sizeof(PghEvent)));
}

static void
init_events(void *area)
{
	events = area;
	events->next_id = 1;
	rings[OTHERS].place = events->place;
	rings[OTHERS].size = pgh_max_events;
	rings[REFUSALS].place = events->place + pgh_max_events;
	rings[REFUSALS].size = most_refusals();
}

/* Ids go on. */
static void
reset_events(void)
{
	pgh_lock(&pgh_events_part, LW_EXCLUSIVE);
	for (int i = 0; i < N_RINGS; i++)
		events->gone[i] = events->added[i];
	pgh_unlock(&pgh_events_part);
	pgh_note_change();
}

/* The next id comes first. */
static void
save_events(PghStream *stream)
{
	PghEvent	event;
	uint64		next;

	pgh_lock(&pgh_events_part, LW_SHARED);
	next = events->next_id;
	pgh_unlock(&pgh_events_part);
	pgh_put(stream, &next, sizeof(next));
	for (uint64 id = 0; pgh_event_next(id, &event) && event.event_id < next;
		 id = event.event_id)
		pgh_put_with_text(stream, &event, offsetof(PghEvent, query));
}

/* Is everything that is looked up in a table in that table, and a time one? */
static bool
is_sound(PghEvent *event)
{
	pgh_make_bool(&event->wrote);
	pgh_make_bool(&event->has_session);
	pgh_make_identity(&event->who);
	event->trace_id[PGH_TRACE_ID_LEN - 1] = '\0';
	return event->decision.action <= PGH_ACTION_ROLLBACK &&
		event->decision.reason < PGH_N_LIMITS &&
		event->decision.rule <= PGH_MAX_RULES &&
		event->outcome <= PGH_OUTCOME_OBSERVED &&
		event->state <= PGH_STATE_IDLE_IN_TRANSACTION_ABORTED &&
		pgh_is_time(event->occurred_at) &&
		pgh_is_time(event->transaction_age) &&
		pgh_is_time(event->resumed_after) &&
		pgh_is_time(event->decision.limit) &&
		pgh_is_time(event->decision.measured);
}

/*
 * Events come in the order of their ids, so with a smaller ring the newest
 * remain.  An outcome that was never recorded: the session ended in a crash.
 */
static bool
load_events(PghStream *stream)
{
	uint64		next;
	uint64		last = 0;

	if (!pgh_get(stream, &next, sizeof(next)) || next == 0 ||
		!pgh_take_count(stream, next))
		return false;
	events->next_id = next;
	while (stream->length > 0)
	{
		PghEvent	event;

		if (!pgh_get_with_text(stream, &event, offsetof(PghEvent, query)))
			return false;
		if (!is_sound(&event))
			return false;
		if (event.outcome == PGH_OUTCOME_PENDING)
			event.outcome = PGH_OUTCOME_SPARED;
		if (event.event_id <= last || event.event_id >= next)
			continue;
		last = event.event_id;
		append(&event);
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
