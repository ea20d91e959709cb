/*-------------------------------------------------------------------------
 *
 * worker/watch.c
 *	  What the worker remembers of each session between two passes.
 *
 * Owns: the worker's private array, one element for each slot, and what its
 * other files ask about it.  Must not: decide, act or sleep.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/watch.h"

#include "pure/allowance.h"
#include "shared/applications.h"
#include "shared/leaks.h"
#include "shared/members.h"
#include "worker/resolved.h"

/*
 * A session that is idle but not in ClientRead (it is on its way there, or
 * was stopped), or that commits, is asked again: after 2 ms, then after twice
 * that, up to a second.
 */
#define PGH_FIRST_RETRY 2000
#define PGH_LAST_RETRY USECS_PER_SEC

PghWatch   *pgh_watches;

/*
 * How much has been recorded of what was only observed: for each place in the
 * table of applications, and of all of them.
 */
typedef struct PghRecorded
{
	uint32		id;				/* of the application that had the place */
	PghAllowance of_limit[PGH_N_LIMITS];
} PghRecorded;

static PghRecorded *recorded;
static PghAllowance all_recorded;

void
pgh_watch_start(void)
{
	PghWatchDetails *details = palloc0(mul_size(pgh_n_slots,
												sizeof(PghWatchDetails)));

	pgh_watches = (PghWatch *)
		CACHELINEALIGN(palloc0(mul_size(pgh_n_slots, sizeof(PghWatch)) +
							   PG_CACHE_LINE_SIZE));

	recorded = palloc0(mul_size(pgh_n_applications, sizeof(PghRecorded)));

	/* An earlier worker may have left requests open. */
	for (int i = 0; i < pgh_n_slots; i++)
	{
		pgh_watches[i].asked = true;
		pgh_watches[i].note_at = PGH_NEVER;
		pgh_watches[i].details = &details[i];
	}
}

void
pgh_watch_begin(PghWatch *watch)
{
	PghWatchDetails *details = watch->details;

	watch->retry_at = 0;
	watch->blocks = false;
	memset(&details->blocked, 0, sizeof(PghBlocked));
	watch->used = false;
	details->spell = -1;
	details->leave_at = 0;
	details->leave_after = 0;
	details->leave_activity = PGH_NO_CHANGECOUNT;
	details->observed_event = 0;
	memset(details->counted_start, 0, sizeof(details->counted_start));
	memset(details->recorded_at, 0, sizeof(details->recorded_at));
}

void
pgh_watch_forget(void)
{
	pgh_resolved_forget();
	for (int i = 0; i < pgh_n_slots; i++)
		pgh_watches[i].live = false;
}

void
pgh_watch_clock_set(TimestampTz now)
{
	for (int i = 0; i < pgh_n_slots; i++)
	{
		pgh_watches[i].activity_changecount = PGH_NO_CHANGECOUNT;
		if (pgh_watches[i].retry_at != 0)
			pgh_watches[i].retry_at = now;
	}
}

bool
pgh_watch_retry(PghWatch *watch, TimestampTz now)
{
	PghWatchDetails *details = watch->details;
	bool		due = watch->retry_at != 0;

	if (watch->retry_at > now)
		return false;
	details->retry_after = due ?
		Min(details->retry_after * 2, PGH_LAST_RETRY) : PGH_FIRST_RETRY;
	watch->retry_at = now + details->retry_after;
	return due;
}

const PghLimits *
pgh_watch_limits(int index, uint32 changecount)
{
	PghWatch   *watch = &pgh_watches[index];

	if (!watch->live || watch->asked || watch->changecount != changecount)
		return NULL;
	return &watch->details->limits;
}

bool
pgh_watch_may_record(uint32 application, PghLimit reason, TimestampTz now)
{
	PghRecorded *its = &recorded[application < (uint32) pgh_n_applications ?
								 application : PGH_OTHERS];
	uint32		id = pgh_applications[its - recorded].id;

	if (its->id != id)
		memset(its, 0, sizeof(*its));
	its->id = id;
	return pgh_observed_is_recorded(&its->of_limit[reason], &all_recorded,
									now);
}

void
pgh_watch_expect_outcome(int index)
{
	pgh_watches[index].asked = true;
}

uint64
pgh_watch_leak(int index)
{
	return pgh_watches[index].details->leak;
}

/* When it will have lasted; PGH_NEVER where what ends it is no time. */
static TimestampTz
lasts_from(const PghWatch *watch)
{
	if (watch->noted || watch->note_at == PGH_NEVER)
		return watch->note_at;
	return watch->details->spell +
		PGH_OUTLASTING_TENTHS * (watch->note_at - watch->details->spell);
}

void
pgh_watch_ends_in_leak(const PghSession *session, uint64 leak, TimestampTz now)
{
	PghWatch   *watch = &pgh_watches[session->index];
	PghWatchDetails *details = watch->details;

	if (leak == 0 || !watch->live ||
		watch->changecount != session->changecount ||
		details->spell != session->facts.state_start)
		return;
	details->singled_out |= !details->outlasts && lasts_from(watch) > now;
	details->leak = leak;
	watch->note_at = PGH_NEVER;
	watch->noted = true;
}

/* It is worked out once for each idle spell, and only while slots are short. */
uint64
pgh_watch_statement(const PghSession *session)
{
	PghWatch   *watch = &pgh_watches[session->index];
	PghWatchDetails *details = watch->details;
	bool		known = watch->live &&
		watch->changecount == session->changecount &&
		details->spell == session->facts.state_start;
	char		query[PGH_QUERY_LEN];
	uint64		statement = 0;

	if (known && details->statement != 0)
		return details->statement;
	pgh_scan_query(session, query, sizeof(query));
	if (query[0] != '\0')
		statement = pgh_leak_fingerprint(session->query_id, query);
	if (known)
		details->statement = statement;
	return statement;
}

/*
 * A session may have ended since the pass: no application gets more idle
 * transactions than connections.
 */
void
pgh_watch_sample(PghSample *sample)
{
	for (int i = 0; i < pgh_n_slots; i++)
	{
		const PghWatch *watch = &pgh_watches[i];
		uint32		application = pgh_member_of(&pgh_slots[i]);

		if (!watch->live || !watch->idle_transaction ||
			application == PGH_NO_APPLICATION)
			continue;
		sample->idle_in_transaction++;
		for (int j = 0; j < PGH_SAMPLE_APPLICATIONS; j++)
		{
			PghHolding *holding = &sample->largest[j];

			if (holding->application == pgh_applications[application].id &&
				holding->idle_in_transaction < holding->connections)
				holding->idle_in_transaction++;
		}
	}
}

int
pgh_watch_idle_transactions(void)
{
	int			n = 0;

	for (int i = 0; i < pgh_n_slots; i++)
		n += pgh_watches[i].live && pgh_watches[i].idle_transaction;
	return n;
}

int
pgh_watch_leaking(uint32 application, int *oldest)
{
	int			n = 0;

	*oldest = -1;
	for (int i = 0; i < pgh_n_slots; i++)
	{
		const PghWatch *watch = &pgh_watches[i];

		if (!watch->live || !watch->idle_transaction ||
			pgh_member_of(&pgh_slots[i]) != application)
			continue;
		n++;
		if (*oldest < 0 ||
			watch->details->spell < pgh_watches[*oldest].details->spell)
			*oldest = i;
	}
	return n;
}

int
pgh_watch_blocked(void)
{
	int			most = 0;

	for (int i = 0; i < pgh_n_slots; i++)
	{
		const PghWatch *watch = &pgh_watches[i];

		if (watch->live && watch->idle_transaction)
			most = Max(most, watch->details->blocked.queue[PGH_QUEUE_DATA].n);
	}
	return most;
}

/* Will it be gone soon?  Not one that has said no for a while. */
bool
pgh_watch_is_departing(int index)
{
	const PghWatch *watch = &pgh_watches[index];
	PghSlot    *slot = &pgh_slots[index];

	if (!watch->live || !watch->asked)
		return false;
	if (slot->request.leave != PGH_LEAVE_NONE)
		return pg_atomic_read_u32(&slot->request_state) ==
			PGH_REQUEST_ACCEPTED;
	return slot->request.decision.action != PGH_ACTION_CANCEL &&
		slot->request.decision.action != PGH_ACTION_ROLLBACK &&
		(pg_atomic_read_u32(&slot->request_state) != PGH_REQUEST_SPARED ||
		 watch->retry_at == 0 || watch->details->retry_after <= PGH_PATIENCE);
}

int
pgh_watch_departing(void)
{
	int			n = 0;

	for (int i = 0; i < pgh_n_slots; i++)
		n += pgh_watch_is_departing(i);
	return n;
}
