/*-------------------------------------------------------------------------
 *
 * worker/pass.c
 *	  What the worker remembers of each session between two passes.
 *
 * Owns: the worker's private array, one element for each slot.  Must not:
 * sleep.  For the worker only.
 *
 * A session at rest costs a pass two or three cache lines: while neither the
 * slot's nor core's changecount has moved, everything that a decision rests
 * on is as it was, and the deadline that was computed then still holds.
 * Rules are matched when a session is new, takes another application name,
 * or the settings change.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/pass.h"

#include "worker/act.h"
#include "session/admission.h"
#include "look/blockers.h"
#include "look/clock.h"
#include "pure/policy.h"
#include "shared/request.h"
#include "worker/usage.h"

/*
 * A session stamps its idle state before it sends the reply that lets its
 * client see it.  What the client calls the limit therefore ends a little
 * later; it must not be cut short.
 */
#define PGH_REPLY_MARGIN 1000

/*
 * A session that is idle but not in ClientRead (it is on its way there, or
 * was stopped), or that commits, is asked again: after 2 ms, then after twice
 * that, up to a second.  With more than 100 ms it is not about to leave.
 */
#define PGH_FIRST_RETRY 2000
#define PGH_LAST_RETRY USECS_PER_SEC
#define PGH_PATIENCE (100 * 1000)

/* A session that was of use only while its pool was filled tells nothing. */
#define PGH_POOL_FILLS (5 * USECS_PER_SEC)

/* What is needed of a session only when something about it has changed. */
typedef struct PghWatchDetails
{
	TimestampTz spell;			/* state_start of what follows */
	uint64		leak;			/* the key it was noted under; 0 = not yet */
	int64		retry_after;
	PghLimits	limits;
	char		application[PGH_NAME_LEN];	/* the limits were resolved for */
} PghWatchDetails;

/* What every pass looks at, in one cache line. */
typedef struct PghWatch
{
	bool		live;			/* what follows was read of a session */
	bool		asked;			/* a request is or may be open */
	bool		busy;			/* in a transaction, at work or not */
	bool		idle_transaction;
	bool		used;			/* it went back to its pool since the last
								 * look */
	bool		noted;			/* as a leak */
	bool		ages;			/* its deadline depends on the age of its xmin */
	uint32		changecount;	/* the slot's claim */
	int			activity_changecount;	/* core's; none = look again */
	uint32		counted_as;		/* its application */
	int32		blocking;		/* who waits for it, a second ago at most */
	PgBackendStatus *beentry;
	TimestampTz deadline;		/* PGH_NEVER: none until something changes */
	TimestampTz retry_at;		/* ask again; 0 = not waiting for that */
	TimestampTz note_at;		/* when it counts as a leak; PGH_NEVER = not */
	PghWatchDetails *details;
} PghWatch;

StaticAssertDecl(sizeof(PghWatch) <= 64, "a watch is larger than a cache line");

static PghWatch *watches;
static TimestampTz last_look = 0;	/* around, see look_around() */
static TimestampTz known_since = 0; /* the leaks that were noted stand for */
static PghUse *uses;

/* Who waits for whom, seen in this pass; in its memory, NULL = not yet. */
static const int32 *blocking_seen = NULL;

void
pgh_watch_start(void)
{
	PghWatchDetails *details = palloc0(mul_size(pgh_shared->n_slots,
												sizeof(PghWatchDetails)));

	watches = (PghWatch *)
		CACHELINEALIGN(palloc0(mul_size(pgh_shared->n_slots, sizeof(PghWatch)) +
							   PG_CACHE_LINE_SIZE));
	uses = palloc0(mul_size(pgh_shared->n_slots, sizeof(PghUse)));
	pgh_usage_start();

	/* An earlier worker may have left requests open. */
	for (int i = 0; i < pgh_shared->n_slots; i++)
	{
		watches[i].asked = true;
		watches[i].note_at = PGH_NEVER;
		watches[i].details = &details[i];
	}
}

void
pgh_watch_forget(void)
{
	for (int i = 0; i < pgh_shared->n_slots; i++)
		watches[i].live = false;
}

void
pgh_watch_clock_set(TimestampTz now)
{
	for (int i = 0; i < pgh_shared->n_slots; i++)
	{
		watches[i].activity_changecount = PGH_NO_CHANGECOUNT;
		if (watches[i].retry_at != 0)
			watches[i].retry_at = now;
	}
}

/* Has it just been of use to a pool that had been filled before? */
static bool
went_back(const PghFacts *facts)
{
	return facts->state == PGH_STATE_IDLE &&
		facts->state_start - facts->backend_start > PGH_POOL_FILLS;
}

/* Read a session again, and resolve its limits if it became another one. */
static bool
refresh(int index, PghWatch *watch, PghSession *session)
{
	PghRuleBits bits;
	bool		known;

	if (!pgh_scan_session(index, session))
	{
		watch->live = false;
		return false;
	}
	known = watch->live &&
		watch->changecount == session->slot.changecount &&
		strcmp(watch->details->application, session->who.application) == 0;
	if (!known)
	{
		session->counted_as =
			pgh_rename_session(&pgh_slots[index], session->counted_as,
							   session->who.application);
		pgh_limits_for(&session->who, &bits, &watch->details->limits);
		strlcpy(watch->details->application, session->who.application,
				PGH_NAME_LEN);
	}
	if (watch->changecount != session->slot.changecount)
	{
		watch->retry_at = 0;
		watch->blocking = 0;
		watch->used = false;
		watch->details->spell = -1;
	}
	if (watch->details->spell != session->facts.state_start)
	{
		watch->details->spell = session->facts.state_start;
		watch->note_at = PGH_NEVER;
		watch->noted = false;
		watch->details->leak = 0;
		watch->used |= went_back(&session->facts);
	}
	session->facts.blocking = watch->blocking;
	session->leak = watch->details->leak;
	watch->counted_as = session->counted_as;
	watch->busy = session->facts.state == PGH_STATE_ACTIVE ||
		pgh_state_in_transaction_idle(session->facts.state);
	watch->idle_transaction = pgh_state_in_transaction_idle(session->facts.state);
	watch->ages = watch->idle_transaction &&
		watch->details->limits.value[PGH_LIMIT_HORIZON] > 0;
	watch->live = true;
	watch->changecount = session->slot.changecount;
	watch->activity_changecount = session->activity_changecount;
	watch->beentry = session->slot.beentry;
	return true;
}

/* Is a session still what it was when its deadline was computed? */
static bool
at_rest(int index, const PghWatch *watch)
{
	return watch->live &&
		watch->activity_changecount != PGH_NO_CHANGECOUNT &&
		pgh_slot_is(index, watch->changecount) &&
		pgh_activity_changecount(watch->beentry) == watch->activity_changecount;
}

/*
 * A transaction that has been idle for a tenth of what it may be is noted as
 * a leak.  The worker is not woken for that: the next pass will do.
 */
static void
plan_note(PghWatch *watch, const PghSession *session,
		  const PghVerdict *verdict)
{
	if (!watch->noted)
		watch->note_at = pgh_leak_begins(&session->facts, verdict);
}

static void
note(int index, PghWatch *watch)
{
	PghSession	session;

	watch->note_at = PGH_NEVER;
	if (pgh_scan_session(index, &session) &&
		session.facts.state_start == watch->details->spell &&
		pgh_slot_is(index, watch->changecount))
	{
		watch->details->leak = pgh_note_leak(&session);
		watch->noted = watch->details->leak != 0;
	}
}

/*
 * Who waits for whom is up to a second old, and the session may have ended
 * the transaction that others waited for since then.  So before it is ended
 * for blocking, the lock table is looked at once more in this pass.
 */
static const int32 *
blocking_in_pass(void)
{
	if (blocking_seen == NULL)
		blocking_seen = pgh_blocking_now();
	return blocking_seen;
}

/* What is to be done about a session, and when, by what holds this moment. */
static PghVerdict
decide_now(int index, PghWatch *watch, PghSession *session, TimestampTz now)
{
	const PghLimits *limits = &watch->details->limits;
	PghFacts	facts = session->facts;
	PghVerdict	verdict;

	pgh_clock_correct(&facts, now);
	verdict = pgh_decide(&facts, limits, now);
	if (verdict.reason != PGH_REASON_IDLE_BLOCKER ||
		verdict.deadline + PGH_REPLY_MARGIN > now)
		return verdict;
	watch->blocking = session->facts.blocking = blocking_in_pass()[index];
	facts.blocking = watch->blocking;
	return pgh_decide(&facts, limits, now);
}

/* Is it time to look, or ask, again?  Intervals double; the first one begins. */
static bool
retry_is_due(PghWatch *watch, TimestampTz now)
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

/* Decide on a session, and act if it is due. */
static void
judge(int index, PghWatch *watch, TimestampTz now)
{
	PghSession	session;
	PghVerdict	verdict;

	watch->deadline = PGH_NEVER;
	if (!refresh(index, watch, &session) || watch->asked)
		return;
	verdict = decide_now(index, watch, &session, now);
	if (verdict.deadline == PGH_NEVER ||
		watch->details->limits.mode == PGH_MODE_OFF)
		return;
	plan_note(watch, &session, &verdict);
	if (verdict.deadline + PGH_REPLY_MARGIN > now)
		watch->deadline = verdict.deadline + PGH_REPLY_MARGIN;
	else if (pgh_act(&session, &verdict, watch->details->limits.mode, now))
	{
		watch->asked = true;
		if (verdict.action == PGH_ACTION_CANCEL)
			(void) retry_is_due(watch, now);	/* core may ignore it */
	}
}

/*
 * Does a spared session still sit where it was asked, or commit what it was
 * asked about?
 */
static bool
still_due(int index, const PghRequest *request)
{
	PghSession	session;

	if (!pgh_scan_session(index, &session))
		return false;
	if (request->must_be_idle)
		return session.facts.state != PGH_STATE_ACTIVE &&
			session.facts.state_start == request->state_start;
	return session.facts.state == PGH_STATE_ACTIVE &&
		session.facts.xact_start == request->xact_start &&
		session.lxid == request->lxid;
}

/*
 * A spared request: ask again if the session was only between two waits, else
 * let it go.  The event stays pending while the session may yet be ended.
 */
static void
reap_spared(int index, PghWatch *watch, TimestampTz now)
{
	PghSlot    *slot = &pgh_slots[index];

	if (!still_due(index, &slot->request))
	{
		/* A statement that was not cancelled has no grace to use up. */
		if (slot->request.action == PGH_ACTION_CANCEL)
			pg_atomic_write_u64(&slot->cancelled_xact_start, 0);
		pgh_request_finish(slot, PGH_REQUEST_SPARED, PGH_OUTCOME_SPARED,
						   pg_atomic_read_u32(&slot->application));
		return;
	}
	if (retry_is_due(watch, now))
		(void) pgh_request_repeat(index, pg_atomic_read_u32(&slot->changecount));
}

/*
 * A cancel that was accepted but not raised: the transaction has ended
 * meanwhile, or the statement does not react (it may wait for its client)
 * until its grace is over.  Either way nothing was cancelled, and the session
 * is judged anew.
 *
 * Or it came just when what was running was over, and core ignored it.  So a
 * session that has gone on to something else is asked again.  While it is at the
 * same, it is not: it may be cleaning up.
 */
static void
reap_cancel(int index, PghWatch *watch, TimestampTz now)
{
	PghSlot    *slot = &pgh_slots[index];
	PghSession	session;
	TimestampTz grace_ends = 0;
	bool		goes_on = false;

	if (pgh_scan_session(index, &session) &&
		session.facts.xact_start == slot->request.xact_start)
	{
		goes_on = session.facts.state == PGH_STATE_ACTIVE &&
			session.lxid == slot->request.lxid &&
			session.facts.state_start != pg_atomic_read_u64(&slot->accepted_in);
		pgh_clock_correct(&session.facts, now);
		grace_ends = session.facts.cancelled_at +
			watch->details->limits.value[PGH_LIMIT_CANCEL_GRACE];
	}
	if (now < grace_ends)
	{
		if (retry_is_due(watch, now) && goes_on)
			(void) pgh_request_repeat_cancel(index, pg_atomic_read_u32(&slot->changecount));
		watch->retry_at = Min(watch->retry_at, grace_ends);
	}
	else
		pgh_request_finish(slot, PGH_REQUEST_ACCEPTED, PGH_OUTCOME_SPARED,
						   pg_atomic_read_u32(&slot->application));
}

/* Look at the request of a session that has one, or may have. */
static void
reap(int index, PghWatch *watch, TimestampTz now)
{
	PghSlot    *slot = &pgh_slots[index];
	PghRequestState state = pg_atomic_read_u32(&slot->request_state);

	if (state == PGH_REQUEST_SPARED)
		reap_spared(index, watch, now);
	else if (state == PGH_REQUEST_DONE)
		pgh_request_finish(slot, PGH_REQUEST_DONE, PGH_OUTCOME_DONE,
						   pg_atomic_read_u32(&slot->application));
	else if (state == PGH_REQUEST_ACCEPTED &&
			 slot->request.action == PGH_ACTION_CANCEL)
		reap_cancel(index, watch, now);
	else if (watch->retry_at != 0)
		(void) retry_is_due(watch, now);	/* not answered, or leaving */

	if (pg_atomic_read_u32(&slot->request_state) == PGH_REQUEST_FREE)
	{
		watch->asked = false;
		watch->retry_at = 0;
		watch->activity_changecount = PGH_NO_CHANGECOUNT;
	}
}

/* After hygiene.reset() what still leaks has to be noted again. */
static void
follow_reset(void)
{
	TimestampTz since = pg_atomic_read_u64(&pgh_shared->stats_since);

	if (since == known_since)
		return;
	known_since = since;
	for (int i = 0; i < pgh_shared->n_slots; i++)
	{
		watches[i].noted = false;
		watches[i].details->leak = 0;
		watches[i].activity_changecount = PGH_NO_CHANGECOUNT;
	}
}

/* Have it published how much each application uses and leaks. */
static void
publish_usage(void)
{
	int			n = 0;

	for (int i = 0; i < pgh_shared->n_slots; i++)
	{
		PghWatch   *watch = &watches[i];
		PghUse	   *use = &uses[n];

		if (!watch->live || watch->counted_as == PGH_NO_APPLICATION ||
			!(watch->busy || watch->used))
			continue;
		use->application = watch->counted_as;
		use->busy = watch->busy;
		use->idle_since = watch->details->spell;
		use->leak = watch->idle_transaction ? watch->details->leak : 0;
		watch->used = false;
		n++;
	}
	pgh_publish_usage(uses, n);
}

/*
 * What changes about an idle transaction while it is at rest: others may begin
 * to wait for it, and its xmin grows old.  Is there one to be judged again?
 */
static bool
look_around(void)
{
	bool		idle_transactions = false;
	bool		changed = false;
	const int32 *blocking;

	for (int i = 0; i < pgh_shared->n_slots && !idle_transactions; i++)
		idle_transactions = watches[i].live && watches[i].idle_transaction;
	if (!idle_transactions)
		return false;

	blocking = blocking_in_pass();
	for (int i = 0; i < pgh_shared->n_slots; i++)
	{
		PghWatch   *watch = &watches[i];

		if (watch->blocking != blocking[i] || (watch->live && watch->ages))
		{
			watch->activity_changecount = PGH_NO_CHANGECOUNT;
			changed = true;
		}
		watch->blocking = blocking[i];
	}
	return changed;
}

/* A session's turn in a pass; returns when it is to have the next one. */
static TimestampTz
attend(int index, PghWatch *watch, TimestampTz now)
{
	if (watch->asked)
		reap(index, watch, now);
	if (!at_rest(index, watch) || watch->deadline <= now)
		judge(index, watch, now);
	if (!watch->live)
		return PGH_NEVER;
	if (watch->note_at <= now)
		note(index, watch);
	return watch->retry_at == 0 ?
		watch->deadline : Min(watch->deadline, watch->retry_at);
}

static TimestampTz
attend_all(TimestampTz now, int *n_sessions)
{
	TimestampTz next = PGH_NEVER;

	*n_sessions = 0;
	for (int i = 0; i < pgh_shared->n_slots; i++)
	{
		TimestampTz turn = attend(i, &watches[i], now);

		next = Min(next, turn);
		*n_sessions += watches[i].live;
	}
	return next;
}

/*
 * Once a second everyone's surroundings are looked at, and that after all
 * had their turn: a session that came since the last pass is known then, and
 * whom it blocks must not go unseen for another second.
 */
TimestampTz
pgh_watch_pass(TimestampTz now, int *n_sessions)
{
	TimestampTz next;

	blocking_seen = NULL;
	next = attend_all(now, n_sessions);
	if (now - last_look >= USECS_PER_SEC || now < last_look)
	{
		last_look = now;
		follow_reset();
		publish_usage();
		if (look_around())
			next = attend_all(now, n_sessions);
	}
	return Min(next, last_look + USECS_PER_SEC);
}

const PghLimits *
pgh_watch_limits(int index, uint32 changecount)
{
	PghWatch   *watch = &watches[index];

	if (!watch->live || watch->asked || watch->changecount != changecount)
		return NULL;
	return &watch->details->limits;
}

void
pgh_watch_expect_outcome(int index)
{
	watches[index].asked = true;
}

uint64
pgh_watch_leak(int index)
{
	return watches[index].details->leak;
}

/*
 * A session may have ended since the pass: no application gets more idle
 * transactions than connections.
 */
void
pgh_watch_sample(PghSample *sample)
{
	for (int i = 0; i < pgh_shared->n_slots; i++)
	{
		const PghWatch *watch = &watches[i];

		if (!watch->live || !watch->idle_transaction)
			continue;
		sample->idle_in_transaction++;
		for (int j = 0; j < PGH_SAMPLE_APPLICATIONS; j++)
		{
			PghHolding *holding = &sample->largest[j];

			if (holding->application == watch->counted_as &&
				holding->idle_in_transaction < holding->connections)
				holding->idle_in_transaction++;
		}
	}
}

/* Will it be gone soon?  Not one that has said no for a while. */
static bool
is_departing(int index)
{
	const PghWatch *watch = &watches[index];
	PghSlot    *slot = &pgh_slots[index];

	return watch->live && watch->asked &&
		slot->request.action != PGH_ACTION_CANCEL &&
		slot->request.action != PGH_ACTION_ROLLBACK &&
		(pg_atomic_read_u32(&slot->request_state) != PGH_REQUEST_SPARED ||
		 watch->retry_at == 0 || watch->details->retry_after <= PGH_PATIENCE);
}

int
pgh_watch_departing(void)
{
	int			n = 0;

	for (int i = 0; i < pgh_shared->n_slots; i++)
		n += is_departing(i);
	return n;
}
