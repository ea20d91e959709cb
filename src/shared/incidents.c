/*-------------------------------------------------------------------------
 *
 * shared/incidents.c
 *	  The times at which connection slots ran out, or somebody was refused.
 *
 * Owns: the ring of incidents.  Must not: say what an incident is; that is
 * worker/incident.c.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/incidents.h"

#include "shared/totals.h"
#include "shared/worker_state.h"

typedef struct PghIncidents
{
	uint64		next;			/* number of the next one */
	pg_atomic_uint32 resets;
	PghIncident ring[PGH_MAX_INCIDENTS];
} PghIncidents;

static PghIncidents *incidents = NULL;

/* Where an incident of this number lies, or would. */
static PghIncident *
place(uint64 incident)
{
	return &incidents->ring[(incident - 1) % PGH_MAX_INCIDENTS];
}

bool
pgh_incident_open(PghIncident *incident)
{
	const PghIncident *newest;
	bool		open = false;

	pgh_lock(&pgh_incidents_part, LW_SHARED);
	if (incidents->next > 1)
	{
		newest = place(incidents->next - 1);
		open = newest->incident != 0 && newest->open;
		if (open)
			*incident = *newest;
	}
	pgh_unlock(&pgh_incidents_part);
	return open;
}

void
pgh_incident_add(PghIncident *incident)
{
	pgh_lock(&pgh_incidents_part, LW_EXCLUSIVE);
	incident->incident = incidents->next++;
	*place(incident->incident) = *incident;
	pgh_unlock(&pgh_incidents_part);
	pgh_note_change();
}

void
pgh_incident_update(const PghIncident *incident)
{
	PghIncident *kept = place(incident->incident);

	pgh_lock(&pgh_incidents_part, LW_EXCLUSIVE);
	if (kept->incident == incident->incident)
		*kept = *incident;
	pgh_unlock(&pgh_incidents_part);
	pgh_note_change();
}

uint32
pgh_incidents_resets(void)
{
	return pg_atomic_read_u32(&incidents->resets);
}

PghIncident *
pgh_incidents_read(int *n)
{
	PghIncident *copy = palloc(PGH_MAX_INCIDENTS * sizeof(PghIncident));
	uint64		first;

	*n = 0;
	pgh_lock(&pgh_incidents_part, LW_SHARED);
	first = incidents->next > PGH_MAX_INCIDENTS ?
		incidents->next - PGH_MAX_INCIDENTS : 1;
	for (uint64 i = first; i < incidents->next; i++)
		if (place(i)->incident == i)
			copy[(*n)++] = *place(i);
	pgh_unlock(&pgh_incidents_part);
	return copy;
}

/* ----------
 * The part
 * ----------
 */

static Size
size_incidents(void)
{
	return sizeof(PghIncidents);
}

static void
init_incidents(void *area)
{
	incidents = area;
	incidents->next = 1;
	pg_atomic_init_u32(&incidents->resets, 0);
}

/*
 * Numbers go on.  What connecting backends saw, and the worker has not taken
 * yet, is of the time before.
 */
static void
reset_incidents(void)
{
	pgh_lock(&pgh_incidents_part, LW_EXCLUSIVE);
	memset(incidents->ring, 0, sizeof(incidents->ring));
	(void) pgh_take_peak();
	pg_atomic_fetch_add_u32(&incidents->resets, 1);
	pgh_unlock(&pgh_incidents_part);
	pgh_note_change();
}

/* The next number comes first. */
static void
save_incidents(PghStream *stream)
{
	uint64		next;

	pgh_lock(&pgh_incidents_part, LW_SHARED);
	next = incidents->next;
	pgh_unlock(&pgh_incidents_part);
	pgh_put(stream, &next, sizeof(next));
	for (int i = 0; i < PGH_MAX_INCIDENTS; i++)
	{
		PghIncident out;

		pgh_lock(&pgh_incidents_part, LW_SHARED);
		out = incidents->ring[i];
		pgh_unlock(&pgh_incidents_part);
		if (out.incident != 0 && out.incident < next)
			pgh_put(stream, &out, sizeof(out));
	}
}

/* Can these be counters, and times? */
static bool
is_sound(PghStream *stream, const PghIncident *in)
{
	return pgh_is_time(in->began_at) && pgh_is_time(in->last_at) &&
		pgh_take_count(stream, in->ended) &&
		pgh_take_count(stream, in->refused) &&
		pgh_take_count(stream, in->refused_by_server) &&
		pgh_take_count(stream, in->most_refusals);
}

/* One that went on when the server stopped ended with it. */
static bool
load_incidents(PghStream *stream)
{
	uint64		next;

	if (!pgh_get(stream, &next, sizeof(next)) || next == 0 ||
		!pgh_take_count(stream, next))
		return false;
	incidents->next = next;
	while (stream->length > 0)
	{
		PghIncident in;

		if (!pgh_get(stream, &in, sizeof(in)) || !is_sound(stream, &in))
			return false;
		in.open = false;
		in.largest_application[PGH_NAME_LEN - 1] = '\0';
		in.most_refused[PGH_NAME_LEN - 1] = '\0';
		in.statement[PGH_INCIDENT_STATEMENT_LEN - 1] = '\0';
		if (in.incident != 0 && in.incident < next)
			*place(in.incident) = in;
	}
	return true;
}

PghPart		pgh_incidents_part = {
	.name = "incidents",
	.size = size_incidents,
	.init = init_incidents,
	.reset = reset_incidents,
	.save = save_incidents,
	.load = load_incidents,
	.format = PGH_FORMAT(1, sizeof(PghIncident)),
};
