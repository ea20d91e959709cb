/*-------------------------------------------------------------------------
 *
 * session/admission.c
 *	  Letting a new session in, or one that takes another name.
 *
 * Owns: the facts for pgh_admit().  Must not: look a name up in a catalog
 * other than when a connection is about to be refused.
 *
 * Exactness
 * ---------
 * Whether one is let in is decided under the lock of the applications, and it
 * counts from there on; so two that come at once see different sums, no more
 * than the limit get in, and nobody is refused for one that is refused himself.
 *
 * What a rule's cap, reserve or rate counts depends on the rules, which may
 * change at any reload.  shared/rule_counters keeps how many sessions match
 * each rule; under its lock the newcomer looks at the counts, and claims its
 * slot and counts itself in before the lock is let go.  So a login costs the
 * same however many sessions there are.  The lock is taken only where such a
 * rule exists.  A session counts by the name that it was let in with, which
 * changes under that lock, too.
 *
 * A backend that was forked before a reload may have rules that others have
 * left behind.  It looks at all sessions to count by its own, and leaves it to
 * the worker to count its session under the rules of the others.
 *
 * Names taken later
 * -----------------
 * A session that takes another name is asked what one that logs in with it is
 * asked, but for the rates: it has its slot.  A cap that held it before holds
 * it still.  One that was counted for a reserve, and leaves it not used up,
 * must find a slot that is free beside all reserves, however long it has been
 * here: its own is the reserve's.  For the last slots it competes like a
 * newcomer in its first minute only: a pooler's sessions take the names of
 * those they serve, and a pooler that gives a slot from one to the other takes
 * none.
 *
 *-------------------------------------------------------------------------
 */
#include "session/admission.h"

#include "utils/timestamp.h"

#include "look/rule_sessions.h"
#include "session/wait.h"
#include "shared/refusals.h"
#include "shared/rule_counters.h"
#include "shared/settings.h"
#include "shared/waiting.h"
#include "shared/worker_state.h"

/* ----------
 * Gathering facts
 * ----------
 */

/* For so long one that takes another name is asked for the last slots. */
#define PGH_NEW_FOR USECS_PER_MINUTE

/* Whether this session's role may have the server's reserved slots. */
static bool may_use_reserved = false;

/* Do any rules make it necessary to count sessions under the lock? */
static bool
rules_count_sessions(void)
{
	const PghRuleSet *rules = pgh_current_rules();

	for (int i = 0; i < rules->n; i++)
		if (rules->rule[i].value[PGH_RULE_CONNECTIONS] > 0 ||
			rules->rule[i].value[PGH_RULE_RESERVE] > 0 ||
			rules->rule[i].value[PGH_RULE_CONNECT_RATE] > 0)
			return true;
	return false;
}

/*
 * Who waits for this place, and is to have it first.  Under the lock of the
 * applications.
 */
static int
ahead(const PghArrival *arrival, uint32 place)
{
	if (pgh_waiting_length() == 0)
		return 0;
	return pgh_queue_ahead(pgh_waiting->waiter, pgh_waiting->n_waiters,
						   &arrival->self, place);
}

/*
 * Would the reserve of this rule have one slot less?  One that takes another
 * name has a slot already, which may be the reserve's own.
 */
static bool
takes_from_reserve(const PghArrival *arrival, int i)
{
	return !arrival->is_rename || pgh_bits_test(&arrival->former, i);
}

/* Under the lock: what one rule has to say about the newcomer. */
static void
consult_rule(PghArrival *arrival, int i, TimestampTz now)
{
	const PghRule *rule = &pgh_current_rules()->rule[i];
	PghNewcomer *facts = &arrival->facts;
	int32		unused = rule->value[PGH_RULE_RESERVE] - arrival->counts[i];

	if (!pgh_bits_test(&arrival->bits, i))
	{
		if (unused > 0)
		{
			facts->kept_for_others += unused;
			if (facts->reserve_rule == 0 && takes_from_reserve(arrival, i))
				facts->reserve_rule = i + 1;
		}
		return;
	}
	if (unused > 0)
		facts->has_reserve = true;
	if (arrival->is_rename)
		return;
	if (rule->value[PGH_RULE_CONNECT_RATE] > 0 &&
		arrival->rules_are_present && pgh_rule_rate_is_used_up(i, now) &&
		facts->rate_rule == 0)
		facts->rate_rule = i + 1;
}

static void
consult_rules(PghArrival *arrival)
{
	const PghRuleSet *rules = pgh_current_rules();
	TimestampTz now = GetCurrentTimestamp();

	arrival->rules_were_asked = true;
	arrival->rules_are_present = pgh_follow_rules_locked();
	memset(arrival->counts, 0, sizeof(arrival->counts));
	if (pgh_rules_need_counts(rules))
		pgh_count_rule_sessions(rules, now, arrival->counts);

	/* One that takes another name was counted by the one before. */
	for (int i = 0; i < rules->n && arrival->is_rename; i++)
		arrival->counts[i] -= arrival->counts[i] > 0 &&
			pgh_bits_test(&arrival->former, i);
	for (int i = 0; i < rules->n; i++)
		if (!pgh_rule_is_over(&rules->rule[i], now))
			consult_rule(arrival, i, now);
}

/*
 * Slots that ordinary roles can have, the newcomer's own among them (core has
 * given it one already), and those of logins that wait behind it.  Exact up to
 * the headroom, the reserves and one more, which is all that matters.
 */
static void
count_slots(PghArrival *arrival)
{
	PghNewcomer *facts = &arrival->facts;
	int			reserved = pgh_reserved_slots();
	int			most = reserved + facts->headroom + facts->kept_for_others + 1;

	arrival->free_slots = pgh_count_free_slots(most) - reserved;
	facts->available = arrival->free_slots + 1;
	if (pgh_waiting_length() > 0)
		facts->available += pgh_waiting_length() -
			(pgh_waiting_find(arrival->self.session) >= 0) -
			ahead(arrival, PGH_PLACE_SLOT);
}

/*
 * The first matching rule whose cap is reached, by its sessions and those that
 * wait for a place among them and come first.
 */
static void
look_at_caps(PghArrival *arrival)
{
	const PghRuleSet *rules = pgh_current_rules();
	PghNewcomer *facts = &arrival->facts;

	for (int i = 0; i < rules->n; i++)
	{
		int64		cap = rules->rule[i].value[PGH_RULE_CONNECTIONS];
		int			held;

		if (cap <= 0 || !arrival->rules_were_asked ||
			!pgh_bits_test(&arrival->bits, i))
			continue;
		held = arrival->counts[i] + ahead(arrival, PGH_PLACE_OF_RULE(i + 1));
		if (held >= cap && facts->cap_rule == 0 &&
			!pgh_bits_test(&arrival->former, i))
			facts->cap_rule = i + 1;
		if (held + 1 >= cap)
			arrival->fills_cap = true;
	}
}

/* Whether this session is subject to admission at all. */
static bool
is_bound(const PghArrival *arrival)
{
	return arrival->limits.mode != PGH_MODE_OFF &&
		arrival->limits.exempt_rule == 0 &&
		!(arrival->login.superuser && arrival->limits.exempt_superusers);
}

/* ----------
 * Letting it in
 * ----------
 */

/*
 * The worker frees slots before somebody is refused, or because one was.  Of
 * those that wait for the same only the first asks.
 */
static void
ask_for_slots(const PghArrival *arrival, PghAnswer answer)
{
	if (answer == PGH_ANSWER_WAIT && !arrival->is_first)
		return;
	if (arrival->refusal.reason == PGH_LIMIT_HEADROOM &&
		arrival->limits.mode == PGH_MODE_ENFORCE)
		pg_atomic_write_u64(&pgh_refusals->headroom_refused_at,
							GetCurrentTimestamp());

	/*
	 * Our own slot is gone when the next one comes.  Within a cap room may be
	 * made once it is full.
	 */
	if (arrival->facts.available <= arrival->facts.headroom + 1 ||
		arrival->fills_cap ||
		arrival->refusal.reason == PGH_LIMIT_CONNECTIONS ||
		arrival->refusal.reason == PGH_LIMIT_CONNECTIONS_PER_APPLICATION)
		pgh_want_slots();
}

/*
 * Slots are short: the worker may look only when that is over again, and is to
 * know how it was, and whose came.  Before this one stays, or is turned away.
 */
static void
note_short_slots(const PghArrival *arrival, PghSlot *slot, PghAnswer answer)
{
	PghPeak		peak;

	if (pgh_mode == PGH_MODE_OFF ||
		arrival->free_slots > arrival->facts.headroom)
		return;
	peak.used = MaxConnections - pgh_reserved_slots() - arrival->free_slots;
	peak.application = pg_atomic_read_u32(&slot->arriving);
	peak.connections = arrival->standing.connections +
		(answer == PGH_ANSWER_COME);
	pgh_note_peak(&peak);
}

/*
 * Under the lock, if the rules of this process are those of everybody: count
 * the session under them, and take what their buckets hold for a newcomer.
 */
static void
count_under_rules(const PghArrival *arrival)
{
	const PghRuleSet *rules = pgh_current_rules();

	for (int i = 0; i < rules->n; i++)
		if (rules->rule[i].value[PGH_RULE_CONNECT_RATE] > 0 &&
			!arrival->is_rename && pgh_bits_test(&arrival->bits, i))
			pgh_rule_rate_take(i);
	if (pgh_rules_are_counting())
		pgh_rule_member_set(pgh_my_proc_number(), &arrival->bits);
}

/* Take the slot, or the name. */
static void
let_in(const PghArrival *arrival, PghSlot *slot)
{
	if (arrival->is_rename)
		pgh_slot_set_name(slot, arrival->who.application);
	else
		pgh_slot_claim(slot, &arrival->login, arrival->who.application);
	if (arrival->rules_are_present)
		count_under_rules(arrival);
}

/* ----------
 * The whole of it
 * ----------
 */

static void
describe(PghArrival *arrival, const PghLogin *login, const char *name)
{
	memset(arrival, 0, offsetof(PghArrival, counts));
	arrival->login = *login;
	strlcpy(arrival->who.application, name, PGH_NAME_LEN);
	strlcpy(arrival->who.user, login->user, PGH_NAME_LEN);
	strlcpy(arrival->who.database, login->database, PGH_NAME_LEN);
	arrival->who.address = login->address;
	pgh_limits_for(&arrival->who, GetCurrentTimestamp(), &arrival->bits,
				   &arrival->limits);
}

/* Its turn among those that wait: by what it holds, the newcomer's last. */
static void
take_turn(PghArrival *arrival)
{
	const PghStanding *standing = &arrival->standing;
	PghWaiter  *self = &arrival->self;
	int			index = pgh_waiting_find(pgh_my_proc_number());

	memset(self, 0, sizeof(*self));
	self->session = pgh_my_proc_number();
	self->since = index >= 0 ? pgh_waiting->waiter[index].since :
		GetCurrentTimestamp();
	self->role = arrival->login.roleid;
	self->account = standing->established ? standing->id : PGH_NEW_ACCOUNT;
	self->held = pgh_held_in_account(standing->held, standing->newcomers);
	if (index >= 0)
		*self = pgh_waiting->waiter[index];
	else
		pgh_queue_measure(pgh_waiting->waiter, pgh_waiting->n_waiters, self);
}

/*
 * Under the lock of the applications: is it let in?  Until it is, or is turned
 * away, nothing raises an error.
 */
static PghAnswer
judge(void *arg)
{
	PghArrival *arrival = arg;
	PghNewcomer *facts = &arrival->facts;
	const PghStanding *standing = &arrival->standing;

	take_turn(arrival);
	facts->held = standing->held;
	facts->newcomers = standing->newcomers;
	facts->per_application = standing->others ? 0 :
		pgh_connections_per_application;
	facts->headroom = pgh_effective_headroom();
	arrival->fills_cap = facts->per_application > 0 &&
		facts->held + 1 >= facts->per_application;
	if (pgh_mode != PGH_MODE_OFF || pgh_waiting_length() > 0)
		count_slots(arrival);
	if (is_bound(arrival))
	{
		look_at_caps(arrival);
		facts->waiting = ahead(arrival,
							   PGH_PLACE_OF_APPLICATION(standing->id));
		arrival->refusal = pgh_admit(facts);
	}
	if (arrival->refusal.reason != PGH_LIMIT_NONE &&
		arrival->limits.mode == PGH_MODE_ENFORCE)
		return pgh_wait_or_go(arrival);
	pgh_wait_is_over(arrival);
	return PGH_ANSWER_COME;
}

/*
 * Decide, and let it in if it may.  The rules' lock is held around that of the
 * applications: what is counted under both is decided as of one moment.
 */
static PghAnswer
decide(PghArrival *arrival, PghSlot *slot)
{
	bool		counting = rules_count_sessions();
	bool		named = pgh_rules_name_application(pgh_current_rules(),
												   &arrival->bits);
	PghAnswer	answer;

	if (counting)
	{
		pgh_lock(&pgh_rule_counters_part, LW_EXCLUSIVE);
		consult_rules(arrival);
	}
	answer = pgh_member_ask(slot, arrival->who.application,
							arrival->login.roleid, named, &arrival->standing,
							judge, arrival);
	if (answer == PGH_ANSWER_COME)
		let_in(arrival, slot);
	if (counting)
		pgh_unlock(&pgh_rule_counters_part);
	return answer;
}

/*
 * Decide, count and record.  "text" is filled in when it has to go; one that
 * waits leaves no trace.
 */
static PghAnswer
admit(PghArrival *arrival, PghSlot *slot, uint64 transactions,
	  PghRefusalText *text)
{
	PghAnswer	answer = decide(arrival, slot);
	bool		refusable = arrival->refusal.reason != PGH_LIMIT_NONE;

	note_short_slots(arrival, slot, answer);
	if (refusable && answer != PGH_ANSWER_WAIT)
		pgh_refusal_record(arrival, slot, text);
	if (answer == PGH_ANSWER_COME)
		pgh_member_stay(slot, arrival->login.roleid,
						arrival->standing.connections, transactions);
	else if (answer == PGH_ANSWER_GO)
	{
		pgh_member_turn_away(slot);
		pgh_count_rule(arrival->refusal.rule, PGH_COUNT_REFUSED);
	}
	if (is_bound(arrival))
		ask_for_slots(arrival, answer);
	if (refusable && answer == PGH_ANSWER_COME)
		pgh_refusal_observe(text);
	return answer;
}

/* One question, by the rules of this moment. */
static PghAnswer
ask(PghArrival *arrival, const PghLogin *login, const char *name,
	TimestampTz since, PghRefusalText *text)
{
	/* Rules that no longer count anybody are as new as others. */
	if (!rules_count_sessions())
		pgh_follow_rules();
	describe(arrival, login, name);
	arrival->until =
		pgh_wait_until(since, arrival->limits.value[PGH_LIMIT_ADMISSION_WAIT]);
	arrival->facts.may_use_reserved = may_use_reserved;
	return admit(arrival, pgh_slot_of_mine(), 0, text);
}

/*
 * One that waits asks again when it is told, or when some time is over; it is
 * shown, but counted nowhere.
 */
void
pgh_admit_session(const PghLogin *login, const char *name)
{
	PghSlot    *slot = pgh_slot_of_mine();
	TimestampTz since = GetCurrentTimestamp();
	int			naps = 0;
	bool		is_shown = false;
	PghArrival	arrival;
	PghRefusalText text;
	PghAnswer	answer;

	if (slot == NULL)
		return;

	/* Superusers may always use core's reserved slots. */
	may_use_reserved = login->superuser ||
		(OidIsValid(login->roleid) &&
		 pgh_may_use_reserved_connections(login->roleid));
	while ((answer = ask(&arrival, login, name, since, &text)) ==
		   PGH_ANSWER_WAIT)
	{
		if (!is_shown)
			pgh_slot_announce(slot, login, name);
		is_shown = true;
		pgh_wait_for_place(&arrival, &naps);
		(void) pgh_settings_take();
	}
	if (answer == PGH_ANSWER_GO)
		pgh_refusal_raise(&text);
}

/* Is it to be asked for the last slots, or has it been here for long? */
static bool
competes(const PghSlot *slot)
{
	int64		age = GetCurrentTimestamp() - slot->login.login_at;

	return age < PGH_NEW_FOR;
}

bool
pgh_admit_name(PghSlot *slot, const char *name, uint64 transactions)
{
	PghIdentity before;
	PghArrival	arrival;
	PghRefusalText text;

	/* This backend may not have read the newest settings yet. */
	(void) pgh_settings_take();
	describe(&arrival, &slot->login, name);
	arrival.is_rename = true;
	before = arrival.who;
	memcpy(before.application, slot->name, PGH_NAME_LEN);
	(void) pgh_rules_match(pgh_current_rules(), &before,
						   GetCurrentTimestamp(), &arrival.former);
	arrival.facts.may_use_reserved = may_use_reserved;
	arrival.facts.keeps_slot = !competes(slot);
	if (admit(&arrival, slot, transactions, &text) == PGH_ANSWER_COME)
		return true;
	pgh_refusal_end_session(&text);
	return false;
}
