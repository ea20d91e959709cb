/*-------------------------------------------------------------------------
 *
 * pure/slots.c
 *	  The decisions about connection slots: who is let in, who is evicted.
 *
 * Owns: admission and the order of eviction.  Must not: read a clock, shared
 * memory or a setting, allocate, or raise an error: it is compiled, tested
 * and fuzzed without PostgreSQL.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/slots.h"

#include <string.h>

int32_t
pgh_automatic_headroom(int32_t max_connections, int32_t usable)
{
	int32_t		headroom = max_connections / 20;

	if (headroom < 3)
		headroom = 3;
	if (headroom > usable / 4)
		headroom = usable / 4;
	return headroom;
}

static PghRefusal
refuse(PghLimit reason, int32_t rule)
{
	PghRefusal	refusal = {reason, rule};

	return refusal;
}

/*
 * While slots are plenty everybody is let in.  When no more than the headroom
 * are available, one is let in only if its application holds fewer
 * connections than there are slots available: so an application that holds
 * none gets the very last slot, and one that holds many none of them.
 *
 * Those that are not established share one claim to them, or else a program
 * that takes another name each time would get them all: where there are more
 * than a few, each counts as one connection of the newcomer's.
 */
int32_t
pgh_held_in_account(int32_t held, int32_t newcomers)
{
	if (newcomers <= PGH_FEW_NEWCOMERS)
		return held;
	return held + newcomers - PGH_FEW_NEWCOMERS;
}

PghRefusal
pgh_admit(const PghNewcomer *newcomer)
{
	int32_t		available = newcomer->available - newcomer->kept_for_others;

	if (newcomer->cap_rule != 0)
		return refuse(PGH_LIMIT_CONNECTIONS, newcomer->cap_rule);
	if (newcomer->per_application > 0 &&
		newcomer->held + newcomer->waiting >= newcomer->per_application)
		return refuse(PGH_LIMIT_CONNECTIONS_PER_APPLICATION, 0);
	if (newcomer->rate_rule != 0)
		return refuse(PGH_LIMIT_CONNECT_RATE, newcomer->rate_rule);
	if (newcomer->has_reserve || newcomer->may_use_reserved)
		return refuse(PGH_LIMIT_NONE, 0);
	if (newcomer->reserve_rule != 0 && available < 1)
		return refuse(PGH_LIMIT_RESERVE, newcomer->reserve_rule);
	if (newcomer->keeps_slot)
		return refuse(PGH_LIMIT_NONE, 0);
	if (newcomer->headroom > 0 && available <= newcomer->headroom &&
		pgh_held_in_account(newcomer->held, newcomer->newcomers) >= available)
		return refuse(PGH_LIMIT_HEADROOM, 0);
	return refuse(PGH_LIMIT_NONE, 0);
}

/* Fewer than the headroom. */
static bool
below_headroom(const PghShortage *shortage)
{
	return shortage->headroom > 0 &&
		shortage->available < shortage->headroom;
}

/*
 * The case in which even idle sessions must go.  A client that is still
 * authenticating, or being refused, holds a slot for a moment; a good pool
 * must not pay for its own attempts to grow.
 */
static bool
held_below_headroom(const PghShortage *shortage)
{
	return below_headroom(shortage) && !shortage->spare_idle &&
		shortage->available + shortage->undecided < shortage->headroom;
}

/*
 * Slots are short as soon as admission begins to refuse: with the headroom
 * left and no more.  If eviction began only below it, a program that leaks
 * alone would be refused at every round before its oldest leaks are ended.
 */
bool
pgh_slots_are_short(const PghShortage *shortage)
{
	return shortage->headroom > 0 &&
		(shortage->available <= shortage->headroom ||
		 shortage->refused_lately);
}

/* As of the headroom of a server: a twentieth, and twice that is made free. */
static int32_t
room_within(const PghCap *cap)
{
	return cap->limit / 20 > 1 ? cap->limit / 20 : 1;
}

PghShortage
pgh_cap_shortage(const PghCap *cap)
{
	PghShortage shortage;

	memset(&shortage, 0, sizeof(shortage));
	shortage.available = cap->limit - cap->held + cap->departing;
	shortage.headroom = room_within(cap);
	shortage.refused_lately = cap->refused_lately;
	shortage.spare_idle = true;
	return shortage;
}

bool
pgh_cap_is_short(const PghCap *cap)
{
	const PghShortage shortage = pgh_cap_shortage(cap);

	if (cap->limit <= 0)
		return false;
	if (cap->refused_lately)
		return shortage.available < 2 * shortage.headroom;
	return shortage.available <= 0 && cap->idle == 0;
}

/*
 * While somebody is refused and not one session within the cap does anything
 * but idle in its transaction, waiting serves nobody: a fifth of the time must
 * do.  A program that leaks ten a second into a cap of 20 has filled it in two
 * seconds.  Where pauses are come back to, waiting serves somebody.  What a
 * rule says holds as it stands.
 */
PghTime
pgh_cap_min_idle(const PghCap *cap, const PghCandidate *candidate)
{
	if (candidate->min_idle_by_rule || !cap->refused_lately ||
		cap->idle_transactions < cap->held ||
		candidate->outlook == PGH_OUTLOOK_RETURNS)
		return candidate->min_idle;
	return candidate->min_idle / 5;
}

/* ----------
 * Tallies
 * ----------
 */

static void
count_state(PghTally *tally, PghState state, int32_t by)
{
	tally->connections += by;
	if (state == PGH_STATE_IDLE_IN_TRANSACTION ||
		state == PGH_STATE_IDLE_IN_TRANSACTION_ABORTED)
		tally->idle_transactions += by;
	else if (state == PGH_STATE_IDLE)
		tally->idle_sessions += by;
}

/* In all sessions of a kind, and in those of the role among them. */
static void
count_role(PghTally *all, PghTally *own, PghState state, int32_t by)
{
	bool		had = own->connections > 0;

	count_state(all, state, by);
	count_state(own, state, by);
	all->roles += (own->connections > 0) - had;
}

static void
count(PghTally *tallies, const PghCandidate *candidate, int32_t by)
{
	count_role(&tallies[candidate->account], &tallies[candidate->own],
			   candidate->state, by);
	if (candidate->alike >= 0)
		count_role(&tallies[candidate->alike], &tallies[candidate->own_alike],
				   candidate->state, by);
}

void
pgh_tally_add(PghTally *tallies, const PghCandidate *candidate)
{
	count(tallies, candidate, 1);
}

void
pgh_tally_take(PghTally *tallies, const PghCandidate *candidate)
{
	count(tallies, candidate, -1);
}

/* ----------
 * Who goes first
 * ----------
 */

/* What speaks against a session: all such ones, or those of its role. */
static const PghTally *
evidence(const PghTally *tallies, int32_t all, int32_t own)
{
	return tallies[all].roles >= PGH_EVIDENT_ROLES ?
		&tallies[all] : &tallies[own];
}

/*
 * How much harm evicting a session does: the class with the lower number goes
 * first; 0 = it stays.
 */
enum
{
	ABORTED_TRANSACTION = 1,
	PROVEN_LEAK,				/* those like it did not come back */
	LEAK,						/* nothing is known of those like it */
	LIKELY_PAUSE,				/* those like it did */
	IDLE_SESSION
};

static bool
are_many_alike(const PghCandidate *candidate, const PghTally *tallies)
{
	return candidate->alike >= 0 &&
		evidence(tallies, candidate->alike,
				 candidate->own_alike)->idle_transactions >= PGH_LEAK_SIZE;
}

/*
 * What comes back by itself is ended only if somebody is refused else.  So a
 * cap has room in a moment, and the headroom need not be more than it is.
 */
static bool
may_end_pauses(const PghShortage *shortage)
{
	return shortage->refused_lately ||
		(below_headroom(shortage) && !shortage->spare_idle);
}

static int
class_in_transaction(const PghCandidate *candidate, const PghTally *tallies,
					 const PghShortage *shortage)
{
	if (candidate->outlook == PGH_OUTLOOK_LOST)
		return PROVEN_LEAK;
	if (!are_many_alike(candidate, tallies))
		return 0;
	if (candidate->outlook != PGH_OUTLOOK_RETURNS)
		return LEAK;
	return may_end_pauses(shortage) ? LIKELY_PAUSE : 0;
}

static int
harm_class(const PghCandidate *candidate, const PghTally *tallies,
		   const PghShortage *shortage)
{
	if (candidate->untouchable)
		return 0;
	switch (candidate->state)
	{
		case PGH_STATE_IDLE_IN_TRANSACTION_ABORTED:
			return ABORTED_TRANSACTION;
		case PGH_STATE_IDLE_IN_TRANSACTION:
			return class_in_transaction(candidate, tallies, shortage);
		case PGH_STATE_IDLE:
			return held_below_headroom(shortage) &&
				evidence(tallies, candidate->account,
						 candidate->own)->connections > shortage->headroom ?
				IDLE_SESSION : 0;
		default:
			return 0;
	}
}

/* How much a session would be missed; the least first. */
typedef struct PghHarm
{
	int			class;			/* 0 = it stays */
	int32_t		crowd;			/* such sessions of its account; the most
								 * first */
	int32_t		own;			/* those of its role; the most first */
	PghTime		state_start;	/* the earliest first */
} PghHarm;

static int32_t
crowd(const PghTally *tally, PghState state)
{
	return state == PGH_STATE_IDLE ?
		tally->idle_sessions : tally->idle_transactions;
}

static PghHarm
harm_of(const PghCandidate *candidate, const PghTally *tallies,
		const PghShortage *shortage)
{
	PghHarm		harm;

	harm.class = harm_class(candidate, tallies, shortage);
	harm.crowd = crowd(evidence(tallies, candidate->account, candidate->own),
					   candidate->state);
	harm.own = crowd(&tallies[candidate->own], candidate->state);
	harm.state_start = candidate->state_start;
	return harm;
}

static bool
is_less(const PghHarm *a, const PghHarm *b)
{
	if (a->class != b->class)
		return a->class < b->class;
	if (a->crowd != b->crowd)
		return a->crowd > b->crowd;
	if (a->own != b->own)
		return a->own > b->own;
	return a->state_start < b->state_start;
}

int32_t
pgh_choose_eviction(const PghCandidate *candidates, int32_t n,
					const PghTally *tallies, const PghShortage *shortage,
					PghTime now, PghTime *ripe_at)
{
	int32_t		best = -1;
	PghHarm		least = {0};
	PghTime		leak_ripe_at = PGH_NEVER;

	*ripe_at = PGH_NEVER;
	if (shortage->available >= 2 * (int64_t) shortage->headroom)
		return -1;
	for (int32_t i = 0; i < n; i++)
	{
		PghHarm		harm = harm_of(&candidates[i], tallies, shortage);
		PghTime		ripe = harm.state_start + candidates[i].min_idle;

		if (harm.class == 0)
			continue;
		if (ripe > now)
		{
			if (ripe < *ripe_at)
				*ripe_at = ripe;
			if (harm.class < LIKELY_PAUSE && ripe < leak_ripe_at)
				leak_ripe_at = ripe;
			continue;
		}
		if (best < 0 || is_less(&harm, &least))
		{
			best = i;
			least = harm;
		}
	}

	/*
	 * Wait for a leak that will soon be idle for long enough: it goes first.
	 * But for no longer than the other one had to be idle, for a rule may
	 * give the leak hours.
	 */
	if (least.class >= LIKELY_PAUSE && leak_ripe_at != PGH_NEVER &&
		leak_ripe_at - now <= candidates[best].min_idle)
	{
		*ripe_at = leak_ripe_at;
		return -1;
	}
	return best;
}
