/*-------------------------------------------------------------------------
 *
 * session/admission.c
 *	  Letting a new session in, or not.
 *
 * Owns: the facts for pgh_admit(), the rules' rate buckets, and what is said
 * and recorded of a refusal.  Must not: look a name up in a catalog other
 * than when a connection is about to be refused.
 *
 * Exactness
 * ---------
 * An application's connections are one atomic counter: each newcomer adds
 * itself first and looks at the sum, so two that come at once see different
 * sums, and no more than the limit get in.
 *
 * What a rule's cap, reserve or rate counts depends on the rules, which may
 * change at any reload, in different processes at different moments.  So
 * there is no counter to keep in step: under PGH_LOCK_ADMISSION the sessions
 * that match are counted, and the slot is claimed before the lock is let go.
 * The lock is taken only where such a rule exists, and costs about 0.1
 * microseconds for each session then.
 *
 *-------------------------------------------------------------------------
 */
#include "session/admission.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

#include "shared/applications.h"
#include "shared/events.h"
#include "message.h"
#include "session/tell.h"
#include "pure/policy.h"
#include "pure/slots.h"
#include "look/scan.h"

#define PGH_MILLION INT64CONST(1000000)

/* So many refusals of a series are logged and recorded one by one. */
#define PGH_FULLY_REPORTED 10

/*
 * A count of refusals: those since the worker last looked, and above them how many
 * of the series were reported one by one before that.
 */
#define PGH_COUNT_BITS 24
#define PGH_COUNTED(n) ((n) & ((UINT32_C(1) << PGH_COUNT_BITS) - 1))
#define PGH_REPORTED(n) ((n) >> PGH_COUNT_BITS)

/* The newcomer, and all that its admission rests on. */
typedef struct PghArrival
{
	const PghIdentity *who;
	Oid			roleid;
	bool		superuser;
	uint32		application;
	PghRuleBits bits;
	PghLimits	limits;
	PghNewcomer facts;
	PghRefusal	refusal;
	int32		counts[PGH_MAX_RULES];	/* sessions of each rule, without us */
} PghArrival;

static bool refusing = false;
static bool refusing_quietly = false;

bool
pgh_refusing(bool *quiet)
{
	*quiet = refusing_quietly;
	return refusing;
}

/* ----------
 * What rules keep
 * ----------
 */

/* Under the lock: forget what was kept for another rule of this number. */
static void
sync_rule_state(int i)
{
	const PghRule *rule = &pgh_current_rules()->rule[i];
	PghRuleState *state = &pgh_shared->rules[i];
	uint32		hash = hash_bytes((const unsigned char *) rule,
								  sizeof(PghRule));

	if (state->hash == hash)
		return;
	state->hash = hash;
	state->bucket = rule->value[PGH_RULE_CONNECT_RATE] * PGH_MILLION;
	state->filled_at = GetCurrentTimestamp();
	pg_atomic_write_u64(&state->refused, 0);
	pg_atomic_write_u64(&state->ended, 0);
	pg_atomic_write_u64(&state->last_used, 0);
}

void
pgh_sync_rule_states(void)
{
	const PghRuleSet *rules = pgh_current_rules();

	pgh_lock(PGH_LOCK_ADMISSION, LW_EXCLUSIVE);
	for (int i = 0; i < rules->n; i++)
		sync_rule_state(i);
	pgh_unlock(PGH_LOCK_ADMISSION);
}

/* Under the lock: has this rule's rate been used up? */
static bool
rate_is_used_up(int i, TimestampTz now)
{
	const PghRule *rule = &pgh_current_rules()->rule[i];
	PghRuleState *state = &pgh_shared->rules[i];
	int64		most = rule->value[PGH_RULE_CONNECT_RATE] * PGH_MILLION;
	int64		passed = Min(Max(now - state->filled_at, 0), USECS_PER_SEC);

	state->bucket =
		Min(state->bucket + passed * rule->value[PGH_RULE_CONNECT_RATE], most);
	state->filled_at = now;
	return state->bucket < PGH_MILLION;
}

bool
pgh_rules_reserve(const PghRuleSet *rules)
{
	for (int i = 0; i < rules->n; i++)
		if (rules->rule[i].value[PGH_RULE_RESERVE] > 0)
			return true;
	return false;
}

void
pgh_count_rule_sessions(const PghRuleSet *rules, int32 *counts)
{
	memset(counts, 0, sizeof(int32) * PGH_MAX_RULES);
	for (int i = 0; i < pgh_shared->n_slots; i++)
	{
		PghIdentity who;
		PghRuleBits bits;

		if (!pgh_scan_who(i, &who))
			continue;
		(void) pgh_rules_match(rules, &who, &bits);
		for (int r = 0; r < rules->n; r++)
			counts[r] += pgh_bits_test(&bits, r);
	}
}

/* ----------
 * Gathering facts
 * ----------
 */

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
			if (facts->reserve_rule == 0)
				facts->reserve_rule = i + 1;
		}
		return;
	}
	if (unused > 0)
		facts->has_reserve = true;
	if (rule->value[PGH_RULE_CONNECTIONS] > 0 &&
		arrival->counts[i] >= rule->value[PGH_RULE_CONNECTIONS] &&
		facts->cap_rule == 0)
		facts->cap_rule = i + 1;
	if (rule->value[PGH_RULE_CONNECT_RATE] > 0 && rate_is_used_up(i, now) &&
		facts->rate_rule == 0)
		facts->rate_rule = i + 1;
}

static void
consult_rules(PghArrival *arrival)
{
	const PghRuleSet *rules = pgh_current_rules();
	TimestampTz now = GetCurrentTimestamp();

	pgh_count_rule_sessions(rules, arrival->counts);
	for (int i = 0; i < rules->n; i++)
	{
		sync_rule_state(i);
		consult_rule(arrival, i, now);
	}
}

/*
 * Slots that ordinary roles can have, the newcomer's own among them (core has
 * given it one already).  Exact up to the headroom, the reserves and one more,
 * which is all that matters.
 */
static void
count_slots(PghArrival *arrival)
{
	PghNewcomer *facts = &arrival->facts;
	int			reserved = pgh_reserved_slots();
	int			most = reserved + facts->headroom + facts->kept_for_others + 1;

	facts->available = pgh_count_free_slots(most) - reserved + 1;
}

/* Whether this session is subject to admission at all. */
static bool
is_bound(const PghArrival *arrival)
{
	return arrival->limits.mode != PGH_MODE_OFF &&
		arrival->limits.exempt_rule == 0 &&
		!(arrival->superuser && arrival->limits.exempt_superusers);
}

/* ----------
 * Saying no
 * ----------
 */

static void
fill_refusal(const PghArrival *arrival, char *label, PghRefusalFacts *told)
{
	const PghRuleSet *rules = pgh_current_rules();
	const PghRule *rule = arrival->refusal.rule > 0 ?
		&rules->rule[arrival->refusal.rule - 1] : NULL;

	label[0] = '\0';
	if (rule != NULL)
		(void) pgh_rule_print_selectors(rule, label, PGH_RULE_LABEL_LEN);
	told->reason = arrival->refusal.reason;
	told->rule = arrival->refusal.rule;
	told->rule_label = label;
	told->application = arrival->who->application;
	told->held = arrival->facts.held;
	told->available = Max(arrival->facts.available -
						  (told->reason == PGH_REASON_RESERVE ? 0 :
						   arrival->facts.kept_for_others), 0);
	told->usable = MaxConnections - pgh_reserved_slots();
	told->limit = arrival->facts.headroom;
	pgh_fill_leak(arrival->application, arrival->who->application,
				  arrival->roleid, told);
	if (told->reason == PGH_REASON_CONNECTIONS_PER_APPLICATION)
		told->limit = arrival->facts.per_application;
	if (rule == NULL)
		return;
	if (told->reason == PGH_REASON_CONNECTIONS)
	{
		told->held = arrival->counts[told->rule - 1];
		told->limit = rule->value[PGH_RULE_CONNECTIONS];
	}
	else
		told->limit = told->reason == PGH_REASON_RESERVE ?
			rule->value[PGH_RULE_RESERVE] : rule->value[PGH_RULE_CONNECT_RATE];
}

static void
record_refusal(const PghArrival *arrival, const PghRefusalFacts *told,
			   PghOutcome outcome)
{
	PghEvent	event;

	memset(&event, 0, sizeof(event));
	event.action = PGH_ACTION_REFUSE;
	event.outcome = outcome;
	event.reason = told->reason;
	event.rule = told->rule;
	event.measured = told->reason == PGH_REASON_CONNECT_RATE ?
		told->limit : told->held;
	event.limit = told->limit;
	event.has_session = true;
	event.pid = MyProcPid;
	event.roleid = arrival->roleid;
	event.who = *arrival->who;
	event.state = PGH_STATE_UNKNOWN;
	event.transaction_age = -1;
	pgh_event_add(&event);
}

static void
count_refusal(const PghArrival *arrival)
{
	pgh_count(arrival->application, PGH_COUNT_REFUSED);
	pgh_count_rule(arrival->refusal.rule, PGH_COUNT_REFUSED);
}

/*
 * A thousand refusals a second must leave log and history readable: of a series
 * the first few are logged and recorded one by one; then the worker logs a count
 * once a second, and of each second the first is recorded as an event.  Returns
 * what to do with this one.
 */
static void
summarise(const PghArrival *arrival, bool observed, bool *log_it,
		  bool *record_it)
{
	PghApplication *app = &pgh_applications[arrival->application];
	int			i = arrival->refusal.reason - PGH_FIRST_REFUSAL_REASON;
	uint32		before = pg_atomic_fetch_add_u32(observed ?
												 &app->observed_refusals[i] :
												 &app->refusals[i], 1);

	pg_atomic_write_u32(&pgh_shared->refusals_to_report, 1);
	*log_it = PGH_REPORTED(before) + PGH_COUNTED(before) < PGH_FULLY_REPORTED;
	*record_it = *log_it || PGH_COUNTED(before) == 0;
}

static void
refuse(const PghArrival *arrival)
{
	char		label[PGH_RULE_LABEL_LEN];
	char		primary[256];
	PghRefusalFacts told = {0};
	PghMessage	message;
	bool		log_it;
	bool		record_it;
	bool		observed = arrival->limits.mode == PGH_MODE_OBSERVE;

	fill_refusal(arrival, label, &told);
	summarise(arrival, observed, &log_it, &record_it);
	if (record_it)
		record_refusal(arrival, &told, observed ?
					   PGH_OUTCOME_OBSERVED : PGH_OUTCOME_DONE);
	pgh_message_for_refusal(&told, primary, sizeof(primary), &message);
	if (observed)
	{
		if (log_it)
			ereport(LOG,
					(errmsg("pg_hygiene would refuse a connection, but only observes: %s",
							primary),
					 errdetail_internal("%s", message.detail)));
		return;
	}
	count_refusal(arrival);
	refusing = true;
	refusing_quietly = !log_it;
	ereport(FATAL,
			(errcode(message.sqlerrcode),
			 errmsg_internal("%s", primary),
			 errdetail_internal("%s", message.detail),
			 errhint("%s", message.hint)));
}

/* The worker frees slots before somebody is refused, or because one was. */
static void
ask_for_slots(const PghArrival *arrival)
{
	if (arrival->refusal.reason == PGH_REASON_HEADROOM &&
		arrival->limits.mode == PGH_MODE_ENFORCE)
		pg_atomic_write_u64(&pgh_shared->headroom_refused_at,
							GetCurrentTimestamp());

	/* Our own slot is gone when the next one comes. */
	if (arrival->facts.available <= arrival->facts.headroom + 1)
		pgh_want_slots();
}

/* Take the slot, and what the rules' buckets hold for it. */
static void
let_in(const PghArrival *arrival)
{
	const PghRuleSet *rules = pgh_current_rules();

	pgh_application_raise_peak(arrival->application, arrival->facts.held + 1);

	for (int i = 0; i < rules->n; i++)
		if (rules->rule[i].value[PGH_RULE_CONNECT_RATE] > 0 &&
			pgh_bits_test(&arrival->bits, i))
			pgh_shared->rules[i].bucket =
				Max(pgh_shared->rules[i].bucket - PGH_MILLION, 0);
	if (!pgh_slot_claim(arrival->who, arrival->roleid, arrival->superuser,
						arrival->application))
		pgh_application_undo_enter(arrival->application);
}

/* ----------
 * The whole of it
 * ----------
 */

void
pgh_admit_session(const PghIdentity *who, Oid roleid, bool superuser)
{
	PghArrival	arrival;
	bool		counting = rules_count_sessions();
	bool		refused;

	memset(&arrival, 0, offsetof(PghArrival, counts));
	arrival.who = who;
	arrival.roleid = roleid;
	arrival.superuser = superuser;
	arrival.application = pgh_application_index(who->application);
	pgh_limits_for(who, &arrival.bits, &arrival.limits);

	/* Superusers may always use core's reserved slots. */
	arrival.facts.may_use_reserved = superuser ||
		(OidIsValid(roleid) && pgh_may_use_reserved_connections(roleid));

	/* From here to the claim, or to the undo, nothing raises an error. */
	arrival.facts.held = pgh_application_enter(arrival.application) - 1;
	arrival.facts.per_application = pgh_connections_per_application;
	arrival.facts.headroom = pgh_effective_headroom();
	if (counting)
	{
		pgh_lock(PGH_LOCK_ADMISSION, LW_EXCLUSIVE);
		consult_rules(&arrival);
	}
	if (is_bound(&arrival))
	{
		count_slots(&arrival);
		arrival.refusal = pgh_admit(&arrival.facts);
	}
	refused = arrival.refusal.reason != PGH_REASON_NONE &&
		arrival.limits.mode == PGH_MODE_ENFORCE;
	if (!refused)
		let_in(&arrival);
	if (counting)
		pgh_unlock(PGH_LOCK_ADMISSION);
	if (refused)
		pgh_application_undo_enter(arrival.application);

	if (is_bound(&arrival))
		ask_for_slots(&arrival);
	if (arrival.refusal.reason != PGH_REASON_NONE)
		refuse(&arrival);
}

/*
 * It is counted in before it is counted out, and whoever takes the old index
 * out of the slot, the worker or the backend, counts it out: so nothing is
 * lost or counted twice.
 */
uint32
pgh_rename_session(PghSlot *slot, uint32 counted_as, const char *application)
{
	uint32		index;
	uint32		connections;

	if (counted_as == PGH_NO_APPLICATION ||
		strcmp(pgh_applications[counted_as].name, application) == 0)
		return counted_as;
	index = pgh_application_index(application);
	if (index == counted_as)
		return index;
	connections = pgh_application_enter(index);
	if (pg_atomic_compare_exchange_u32(&slot->application, &counted_as, index))
	{
		pgh_application_raise_peak(index, connections);
		pgh_application_leave(counted_as);
		return index;
	}
	pgh_application_undo_enter(index);
	return counted_as;			/* what another has made of it */
}

/*
 * How many refusals were kept out of the log since the last second.  A whole
 * second without any ends the series; one that has just begun goes on.
 */
static uint32
take_refusals(pg_atomic_uint32 *refusals)
{
	uint32		n = pg_atomic_read_u32(refusals);
	uint32		told;
	uint32		next;

	do
	{
		told = Min(PGH_REPORTED(n) + PGH_COUNTED(n), PGH_FULLY_REPORTED);
		next = PGH_COUNTED(n) == 0 ? 0 : told << PGH_COUNT_BITS;
	} while (n != 0 && !pg_atomic_compare_exchange_u32(refusals, &n, next));
	return PGH_REPORTED(n) + PGH_COUNTED(n) - told;
}

static void
report_refusals_for(PghApplication *app, PghReason reason)
{
	int			i = reason - PGH_FIRST_REFUSAL_REASON;
	uint32		refused = take_refusals(&app->refusals[i]);
	uint32		observed = take_refusals(&app->observed_refusals[i]);

	if (refused > 0)
		ereport(LOG,
				(errmsg_plural("%u more connection of application \"%s\" was refused in the last second: %s",
							   "%u more connections of application \"%s\" were refused in the last second: %s",
							   refused, refused, app->name,
							   pgh_reason_name(reason))));
	if (observed > 0)
		ereport(LOG,
				(errmsg_plural("%u more connection of application \"%s\" would have been refused in the last second: %s",
							   "%u more connections of application \"%s\" would have been refused in the last second: %s",
							   observed, observed, app->name,
							   pgh_reason_name(reason))));
}

/* Log what was refused; is a series of refusals open that may go on? */
static bool
report_refusals(PghApplication *app)
{
	bool		open = false;

	for (int i = 0; i < PGH_N_REFUSAL_REASONS; i++)
	{
		report_refusals_for(app, PGH_FIRST_REFUSAL_REASON + i);
		open |= pg_atomic_read_u32(&app->refusals[i]) != 0 ||
			pg_atomic_read_u32(&app->observed_refusals[i]) != 0;
	}
	return open;
}

/*
 * Nearly always there is nothing to report, which must not cost a walk over
 * all names.  The flag is taken down before the walk and put up after the
 * count, so a refusal that the walk has passed puts it up again.
 */
void
pgh_report_refusals(void)
{
	bool		open = false;

	if (pg_atomic_exchange_u32(&pgh_shared->refusals_to_report, 0) == 0)
		return;
	for (int i = 0; i < pgh_shared->n_applications; i++)
		open |= report_refusals(&pgh_applications[i]);
	if (open)
		pg_atomic_write_u32(&pgh_shared->refusals_to_report, 1);
}
