/*-------------------------------------------------------------------------
 *
 * shared/behaviour.c
 *	  How each application behaves, in shared memory.
 *
 * Owns: one PghBehaviour for each application that had a session, and which of
 * them belongs to which place in the table of names.  Must not: know a session
 * that is alive, or decide.
 *
 * The table of names has more places than there may be names, and what is kept
 * here is large; so each place gets a room only when it needs one.  Room 0 is
 * that of PGH_OTHER_APPLICATIONS.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/behaviour.h"

#include "utils/timestamp.h"

#include "shared/applications.h"
#include "shared/slot.h"
#include "shared/totals.h"

typedef struct PghRooms
{
	int			n_taken;		/* ever; room 0 among them */
	int			n_free;			/* of these, given back */
} PghRooms;

static PghRooms *rooms;
static uint32 *room_of;			/* by place; 0 = none yet, or the rest's */
static uint32 *free_rooms;		/* a stack */
static PghBehaviour *behaviours;	/* by room */

static int
count_rooms(void)
{
	return 1 + pgh_max_applications;
}

/* Under the lock: the room of a place; a new one if need be. */
static PghBehaviour *
find_room(uint32 application)
{
	uint32	   *room = &room_of[application];

	if (application == 0 || *room != 0)
		return &behaviours[*room];
	if (rooms->n_free > 0)
		*room = free_rooms[--rooms->n_free];
	else if (rooms->n_taken < count_rooms())
		*room = rooms->n_taken++;
	return &behaviours[*room];
}

void
pgh_behaviour_meet(uint32 application, const PghSeen *seen, TimestampTz now)
{
	PghBehaviour *its;

	pgh_lock(&pgh_behaviour_part, LW_EXCLUSIVE);
	its = find_room(application);
	if (its->since == 0)
		its->since = now;
	its->roleid = seen->roleid;
	its->databaseid = seen->databaseid;
	its->address = *seen->address;
	pgh_unlock(&pgh_behaviour_part);
}

static void
add_period(PghBehaviour *its, Oid roleid, PghPeriodKind kind, int64 length,
		   bool resumed)
{
	pgh_behaviour_add(its, kind, length, resumed);
	if (kind == PGH_PERIOD_IDLE_IN_TRANSACTION)
		pgh_behaviour_add_role(its, roleid);
}

void
pgh_behaviour_note(uint32 application, Oid roleid, PghPeriodKind kind,
				   int64 length, bool resumed)
{
	PghBehaviour *its;

	pgh_lock(&pgh_behaviour_part, LW_EXCLUSIVE);
	its = find_room(application);
	if (its->since == 0)
		its->since = GetCurrentTimestamp(); /* reset() was called */
	add_period(its, roleid, kind, length, resumed);
	pgh_unlock(&pgh_behaviour_part);
	pgh_note_change();
}

void
pgh_behaviour_needs(uint32 application, int32 connections)
{
	uint32		room = room_of[application];

	if (connections <= behaviours[room].honest_connections)
		return;
	pgh_lock(&pgh_behaviour_part, LW_EXCLUSIVE);
	behaviours[room].honest_connections = connections;
	pgh_unlock(&pgh_behaviour_part);
	pgh_note_change();
}

int64
pgh_behaviour_longest(uint32 application, PghPeriodKind kind)
{
	return behaviours[room_of[application]].resumed[kind].longest;
}

PghOutlook
pgh_behaviour_outlook(uint32 application, Oid roleid, int64 length)
{
	uint32		room = room_of[application];

	if (room == 0)
		return PGH_OUTLOOK_UNKNOWN;
	return pgh_pause_outlook(&behaviours[room], roleid, length);
}

PghLike
pgh_behaviour_like(uint32 application, Oid roleid, int64 length)
{
	PghLike		like = {0, 0, false};
	uint32		room;

	if (application == PGH_NO_APPLICATION)
		return like;
	pgh_lock(&pgh_behaviour_part, LW_SHARED);
	room = room_of[application];
	if (room != 0)
		like = pgh_like_pauses(&behaviours[room], roleid, length);
	pgh_unlock(&pgh_behaviour_part);
	return like;
}

bool
pgh_behaviour_read(uint32 application, PghBehaviour *copy)
{
	uint32		room;

	pgh_lock(&pgh_behaviour_part, LW_SHARED);
	room = room_of[application];
	memcpy(copy, &behaviours[room], sizeof(*copy));
	pgh_unlock(&pgh_behaviour_part);
	return (application == 0 || room != 0) && !pgh_behaviour_is_empty(copy);
}

/*
 * What was known of "from" is known of "into" from now on, and its room is
 * free: the two have become one, or "from" has lost its place in the table of
 * names.
 */
static void
move_behaviour(uint32 into, uint32 from)
{
	uint32		room;

	pgh_lock(&pgh_behaviour_part, LW_EXCLUSIVE);
	room = room_of[from];
	if (from != 0 && room != 0)
	{
		pgh_behaviour_merge(find_room(into), &behaviours[room]);
		memset(&behaviours[room], 0, sizeof(PghBehaviour));
		room_of[from] = 0;
		free_rooms[rooms->n_free++] = room;
	}
	pgh_unlock(&pgh_behaviour_part);
}

/* ----------
 * The part
 * ----------
 */

static Size
size_behaviour(void)
{
	Size		size = MAXALIGN(sizeof(PghRooms));

	size = add_size(size, MAXALIGN(mul_size(pgh_application_places(),
											sizeof(uint32))));
	size = add_size(size, MAXALIGN(mul_size(count_rooms(), sizeof(uint32))));
	return add_size(size, mul_size(count_rooms(), sizeof(PghBehaviour)));
}

static void
init_behaviour(void *area)
{
	char	   *at = area;

	rooms = (PghRooms *) at;
	at += MAXALIGN(sizeof(PghRooms));
	room_of = (uint32 *) at;
	at += MAXALIGN(pgh_application_places() * sizeof(uint32));
	free_rooms = (uint32 *) at;
	at += MAXALIGN(count_rooms() * sizeof(uint32));
	behaviours = (PghBehaviour *) at;
	rooms->n_taken = 1;
	pgh_place_moved = move_behaviour;
}

/* All begin anew, and those that are there keep their rooms. */
static void
reset_behaviour(void)
{
	pgh_lock(&pgh_behaviour_part, LW_EXCLUSIVE);
	memset(behaviours, 0, count_rooms() * sizeof(PghBehaviour));
	pgh_unlock(&pgh_behaviour_part);
	pgh_note_change();
}

/* What the file keeps. */
typedef struct PghKeptBehaviour
{
	char		name[PGH_NAME_LEN];
	uint32		is_rest;		/* the sum of those that had no room */
	PghBehaviour behaviour;
} PghKeptBehaviour;

/*
 * Sessions that left when there was no worker any more, as they all do when
 * the server is shut down.
 */
static void
add_departed(PghBehaviour *behaviour, uint32 application)
{
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghDeparture *departure = &pgh_slots[i].departure;

		if (pg_atomic_read_u32(&departure->claim) == 0 ||
			departure->application != application)
			continue;
		if (departure->idle)
			add_period(behaviour, pgh_slots[i].login.roleid,
					   departure->xact_start != 0 ?
					   PGH_PERIOD_IDLE_IN_TRANSACTION : PGH_PERIOD_IDLE,
					   departure->at - departure->state_start, false);
		if (departure->xact_start != 0)
			pgh_behaviour_add(behaviour, PGH_PERIOD_TRANSACTION,
							  departure->at - departure->xact_start, false);
		pgh_behaviour_add(behaviour, PGH_PERIOD_SESSION,
						  departure->at - pgh_slots[i].login.login_at, false);
	}
}

static void
save_behaviour(PghStream *stream)
{
	for (int i = 0; i < pgh_n_applications; i++)
	{
		PghKeptBehaviour out;

		memset(&out, 0, sizeof(out));
		if (!pgh_applications[i].used ||
			!pgh_behaviour_read(i, &out.behaviour))
			continue;
		if (!IsUnderPostmaster)
			add_departed(&out.behaviour, i);
		strlcpy(out.name, pgh_applications[i].name, sizeof(out.name));
		out.is_rest = i == 0;
		pgh_put(stream, &out, sizeof(out));
	}
}

/* The table of names has been read before. */
static uint32
place_of(const char *name)
{
	uint32		place = pgh_application_find(name);

	return place == PGH_NO_APPLICATION ? PGH_OTHERS : place;
}

static bool
is_sound(PghStream *stream, const PghHistogram *histogram)
{
	return pgh_take_count(stream, histogram->n) &&
		pgh_is_time(histogram->longest);
}

/* Can these be counters, and times? */
static bool
all_are_sound(PghStream *stream, const PghBehaviour *behaviour)
{
	for (int i = 0; i < PGH_N_JUDGED_KINDS; i++)
		if (!is_sound(stream, &behaviour->resumed[i]) ||
			!is_sound(stream, &behaviour->lost[i]))
			return false;
	return is_sound(stream, &behaviour->sessions) &&
		pgh_is_time(behaviour->since);
}

static bool
load_behaviour(PghStream *stream)
{
	while (stream->length > 0)
	{
		PghKeptBehaviour in;

		if (!pgh_get(stream, &in, sizeof(in)) ||
			!all_are_sound(stream, &in.behaviour))
			return false;
		in.name[PGH_NAME_LEN - 1] = '\0';
		if (in.behaviour.address.family > PGH_ADDRESS_INET6)
			in.behaviour.address.family = PGH_ADDRESS_UNKNOWN;
		pgh_behaviour_merge(find_room(in.is_rest ? 0 :
									  place_of(in.name)),
							&in.behaviour);
	}
	return true;
}

PghPart		pgh_behaviour_part = {
	.name = "behaviour",
	.size = size_behaviour,
	.init = init_behaviour,
	.reset = reset_behaviour,
	.save = save_behaviour,
	.load = load_behaviour,
	.format = PGH_FORMAT(2, sizeof(PghKeptBehaviour)),
};
