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
 */
PghRefusal
pgh_admit(const PghNewcomer *newcomer)
{
	int32_t		available = newcomer->available - newcomer->kept_for_others;

	if (newcomer->cap_rule != 0)
		return refuse(PGH_LIMIT_CONNECTIONS, newcomer->cap_rule);
	if (newcomer->per_application > 0 &&
		newcomer->held >= newcomer->per_application)
		return refuse(PGH_LIMIT_CONNECTIONS_PER_APPLICATION, 0);
	if (newcomer->rate_rule != 0)
		return refuse(PGH_LIMIT_CONNECT_RATE, newcomer->rate_rule);
	if (newcomer->has_reserve || newcomer->may_use_reserved)
		return refuse(PGH_LIMIT_NONE, 0);
	if (newcomer->reserve_rule != 0 && available < 1)
		return refuse(PGH_LIMIT_RESERVE, newcomer->reserve_rule);
	if (newcomer->headroom > 0 && available <= newcomer->headroom &&
		newcomer->held >= available)
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
	return below_headroom(shortage) &&
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

/*
 * How much harm evicting a session does: the class with the lower number goes
 * first; 0 = it stays.
 */
enum
{
	ABORTED_TRANSACTION = 1,
	LEAK,
	IDLE_SESSION
};

static int
harm_class(const PghCandidate *candidate, const PghTally *tally,
		   const PghShortage *shortage)
{
	if (candidate->untouchable)
		return 0;
	switch (candidate->state)
	{
		case PGH_STATE_IDLE_IN_TRANSACTION_ABORTED:
			return ABORTED_TRANSACTION;
		case PGH_STATE_IDLE_IN_TRANSACTION:
			return tally->idle_transactions >= PGH_LEAK_SIZE ? LEAK : 0;
		case PGH_STATE_IDLE:
			return held_below_headroom(shortage) &&
				tally->connections > shortage->headroom ? IDLE_SESSION : 0;
		default:
			return 0;
	}
}

/* Within a class: the application with the most such sessions goes first. */
static int32_t
crowd(const PghCandidate *candidate, const PghTally *tally)
{
	return candidate->state == PGH_STATE_IDLE ?
		tally->idle_sessions : tally->idle_transactions;
}

int32_t
pgh_choose_eviction(const PghCandidate *candidates, int32_t n,
					const PghTally *tallies, const PghShortage *shortage,
					PghTime now, PghTime *ripe_at)
{
	int32_t		best = -1;
	int			best_class = 0;
	int32_t		best_crowd = 0;
	PghTime		leak_ripe_at = PGH_NEVER;

	*ripe_at = PGH_NEVER;
	if (shortage->available >= 2 * (int64_t) shortage->headroom)
		return -1;
	for (int32_t i = 0; i < n; i++)
	{
		const PghCandidate *candidate = &candidates[i];
		const PghTally *tally = &tallies[candidate->application];
		int			class = harm_class(candidate, tally, shortage);
		int32_t		its_crowd = crowd(candidate, tally);
		PghTime		ripe = candidate->state_start + shortage->min_idle;

		if (class == 0)
			continue;
		if (ripe > now)
		{
			if (ripe < *ripe_at)
				*ripe_at = ripe;
			if (class < IDLE_SESSION && ripe < leak_ripe_at)
				leak_ripe_at = ripe;
			continue;
		}
		if (best < 0 || class < best_class ||
			(class == best_class && its_crowd > best_crowd) ||
			(class == best_class && its_crowd == best_crowd &&
			 candidate->state_start < candidates[best].state_start))
		{
			best = i;
			best_class = class;
			best_crowd = its_crowd;
		}
	}

	/* Wait for a leak that will soon be idle for long enough: it goes first. */
	if (best_class == IDLE_SESSION && leak_ripe_at != PGH_NEVER)
	{
		*ripe_at = leak_ripe_at;
		return -1;
	}
	return best;
}
