/*-------------------------------------------------------------------------
 *
 * session/refusal.c
 *	  A connection, or a name, that is not let in: what is said and recorded
 *	  of it.
 *
 * Owns: the refusal's facts, event and message.  Must not: decide.  For the
 * backend itself.
 *
 *-------------------------------------------------------------------------
 */
#include "session/refusal.h"

#include "storage/latch.h"
#include "utils/timestamp.h"

#include "session/holder.h"
#include "session/tell.h"
#include "shared/events.h"
#include "shared/refusals.h"
#include "shared/rule_labels.h"

/* A refusal of ours is being raised. */
static bool refusing = false;
static bool refusing_quietly = false;

/* This session is to be ended for the name that it has taken. */
static bool ending = false;
static PghRefusalText last_words;

/* ----------
 * Facts
 * ----------
 */

/* What the decision rested on, and what is told of that to one role. */
static void
fill_held(const PghArrival *arrival, PghRefusalFacts *told)
{
	const PghStanding *standing = &arrival->standing;

	told->held = told->own = standing->own;
	told->beside_roles = standing->held > standing->own;
	if (told->reason == PGH_LIMIT_HEADROOM)
		told->beside_newcomers = standing->newcomers > PGH_FEW_NEWCOMERS;
}

/*
 * A session may count for all names of a family, of which nobody holds
 * anything by this one.
 */
static void
fill_family(const PghArrival *arrival, uint32 application,
			PghRefusalFacts *told)
{
	const PghApplication *app = &pgh_applications[application];

	told->family[0] = '\0';
	pgh_lock(&pgh_applications_part, LW_SHARED);
	if (app->is_family && strcmp(app->name, arrival->who.application) != 0)
		strlcpy(told->family, app->name, sizeof(told->family));
	pgh_unlock(&pgh_applications_part);
}

/*
 * Slots that rules keep for others, as far as a client may know: from what a
 * rule that goes by addresses keeps, it could tell how many sessions come from
 * there.  So of such a rule the whole reserve counts, in use or not.
 */
static int
kept_as_told(const PghArrival *arrival)
{
	const PghRuleSet *rules = pgh_current_rules();
	TimestampTz now = GetCurrentTimestamp();
	int			kept = 0;

	if (arrival->facts.kept_for_others == 0)
		return 0;
	for (int i = 0; i < rules->n; i++)
	{
		const PghRule *rule = &rules->rule[i];
		int32		reserve = rule->value[PGH_RULE_RESERVE];

		if (!pgh_bits_test(&arrival->bits, i) && !pgh_rule_is_over(rule, now))
			kept += pgh_rule_has_address(rule) ? reserve :
				Max(reserve - arrival->counts[i], 0);
	}
	return kept;
}

static void
fill_from_rule(const PghArrival *arrival, char *label, PghRefusalFacts *told)
{
	const PghRule *rule = &pgh_current_rules()->rule[told->rule - 1];

	(void) pgh_rule_print_selectors(rule, label, PGH_RULE_LABEL_LEN);
	told->by_address = pgh_rule_has_address(rule);
	if (told->reason == PGH_LIMIT_CONNECTIONS)
	{
		told->beside_roles = false;
		told->limit = rule->value[PGH_RULE_CONNECTIONS];

		/* The cap is reached, and no more is said of who else is there. */
		told->held = told->by_address ? told->limit :
			arrival->counts[told->rule - 1];
	}
	else
		told->limit = told->reason == PGH_LIMIT_RESERVE ?
			rule->value[PGH_RULE_RESERVE] : rule->value[PGH_RULE_CONNECT_RATE];
}

/*
 * Who holds the connections, where that is somebody else.  Of a rule that goes
 * by addresses it would tell who comes from there.
 */
static void
fill_holder(const PghArrival *arrival, uint32 application,
			PghRefusalFacts *told)
{
	const PghRule *rule = told->rule > 0 ?
		&pgh_current_rules()->rule[told->rule - 1] : NULL;

	if (told->reason == PGH_LIMIT_HEADROOM ||
		told->reason == PGH_LIMIT_RESERVE)
		pgh_find_holder(application, arrival->standing.connections, told);
	else if (told->reason == PGH_LIMIT_CONNECTIONS && rule != NULL &&
			 !told->by_address)
		pgh_find_rule_holder(rule, application, told);
}

static void
fill_refusal(const PghArrival *arrival, uint32 application, char *label,
			 PghRefusalFacts *told)
{
	label[0] = '\0';
	told->reason = arrival->refusal.reason;
	told->rule = arrival->refusal.rule;
	told->rule_label = label;
	told->application = arrival->who.application;
	told->available = Max(arrival->facts.available -
						  (told->reason == PGH_LIMIT_RESERVE ? 0 :
						   kept_as_told(arrival)), 0);
	told->usable = MaxConnections - pgh_reserved_slots();
	told->limit = arrival->facts.headroom;
	told->waited = arrival->waited;
	fill_family(arrival, application, told);
	fill_held(arrival, told);
	pgh_fill_leak(application, &arrival->login, &arrival->limits, told);
	if (told->reason == PGH_LIMIT_CONNECTIONS_PER_APPLICATION)
		told->limit = arrival->facts.per_application;
	if (told->rule > 0)
		fill_from_rule(arrival, label, told);
	fill_holder(arrival, application, told);
}

/* ----------
 * Recording
 * ----------
 */

static int64
measured(const PghArrival *arrival, const PghRefusalFacts *told)
{
	switch (told->reason)
	{
		case PGH_LIMIT_CONNECT_RATE:
			return told->limit;
		case PGH_LIMIT_CONNECTIONS:
			return told->held;
		case PGH_LIMIT_HEADROOM:
			return arrival->facts.held +
				Max(arrival->facts.newcomers - PGH_FEW_NEWCOMERS, 0);
		default:
			return arrival->facts.held;
	}
}

static void
add_event(const PghArrival *arrival, const PghRefusalFacts *told)
{
	PghEvent	event;

	memset(&event, 0, sizeof(event));
	event.decision.action = PGH_ACTION_REFUSE;
	event.decision.reason = told->reason;
	event.decision.rule = told->rule;
	event.decision.measured = measured(arrival, told);
	event.decision.limit = told->limit;
	event.outcome = arrival->limits.mode == PGH_MODE_OBSERVE ?
		PGH_OUTCOME_OBSERVED : PGH_OUTCOME_DONE;
	event.has_session = true;
	event.pid = MyProcPid;
	event.roleid = arrival->login.roleid;
	event.who = arrival->who;
	event.state = arrival->is_rename ? PGH_STATE_ACTIVE : PGH_STATE_UNKNOWN;
	event.transaction_age = -1;
	pgh_event_add(&event);
}

void
pgh_refusal_record(const PghArrival *arrival, PghSlot *slot,
				   PghRefusalText *text)
{
	char		label[PGH_RULE_LABEL_LEN];
	PghRefusalFacts told = {0};
	uint32		application = pg_atomic_read_u32(&slot->arriving);
	bool		observed = arrival->limits.mode == PGH_MODE_OBSERVE;
	bool		record_it;

	fill_refusal(arrival, application, label, &told);
	pgh_refusal_add(application, told.reason, observed, &text->log_it,
					&record_it);
	if (observed)
		pgh_member_count(slot, PGH_COUNT_WOULD_REFUSE);
	if (record_it)
		add_event(arrival, &told);
	pgh_message_for_refusal(&told, text->primary, sizeof(text->primary),
							&text->message);
}

/* ----------
 * Saying it
 * ----------
 */

void
pgh_refusal_observe(const PghRefusalText *text)
{
	if (text->log_it)
		ereport(LOG,
				(errmsg("pg_hygiene would refuse a connection, but only observes: %s",
						text->primary),
				 errdetail_internal("%s", text->message.detail)));
}

void
pgh_refusal_raise(const PghRefusalText *text)
{
	refusing = true;
	refusing_quietly = !text->log_it;
	ereport(FATAL,
			(errcode(text->message.sqlerrcode),
			 errmsg_internal("%s", text->primary),
			 errdetail_internal("%s", text->message.detail),
			 errhint("%s", text->message.hint)));
	pg_unreachable();
}

/*
 * As a signal would, so core raises its own message when the transaction is
 * over, and that is completed.
 */
void
pgh_refusal_end_session(const PghRefusalText *text)
{
	last_words = *text;
	last_words.message.primary = last_words.primary;
	ending = true;
	ProcDiePending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

bool
pgh_refusal_complete_message(ErrorData *edata)
{
	if (refusing)
	{
		edata->output_to_server &= !refusing_quietly;
		return true;
	}
	if (!ending || edata->elevel != FATAL ||
		edata->sqlerrcode != ERRCODE_ADMIN_SHUTDOWN)
		return false;
	edata->sqlerrcode = last_words.message.sqlerrcode;
	edata->message = pstrdup(last_words.primary);
	edata->detail = pstrdup(last_words.message.detail);
	edata->hint = pstrdup(last_words.message.hint);
	edata->output_to_server &= last_words.log_it;
	return true;
}
