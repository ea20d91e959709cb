/*-------------------------------------------------------------------------
 *
 * session/refusal.c
 *	  A connection that is not let in: what is said and recorded of it.
 *
 * Owns: the refusal's facts, event and message.  Must not: decide.  For the
 * backend itself.
 *
 *-------------------------------------------------------------------------
 */
#include "session/refusal.h"

#include "message.h"
#include "session/tell.h"
#include "shared/applications.h"
#include "shared/events.h"
#include "shared/refusals.h"
#include "shared/rule_counters.h"

static bool refusing = false;
static bool refusing_quietly = false;

bool
pgh_refusing(bool *quiet)
{
	*quiet = refusing_quietly;
	return refusing;
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
	told->application = arrival->who.application;
	told->held = arrival->facts.held;
	told->available = Max(arrival->facts.available -
						  (told->reason == PGH_LIMIT_RESERVE ? 0 :
						   kept_as_told(arrival)), 0);
	told->usable = MaxConnections - pgh_reserved_slots();
	told->limit = arrival->facts.headroom;
	pgh_fill_leak(arrival->application, &arrival->who, &arrival->login,
				  &arrival->limits, told);
	if (told->reason == PGH_LIMIT_CONNECTIONS_PER_APPLICATION)
		told->limit = arrival->facts.per_application;
	if (rule == NULL)
		return;
	if (told->reason == PGH_LIMIT_CONNECTIONS)
	{
		told->limit = rule->value[PGH_RULE_CONNECTIONS];

		/* The cap is reached, and no more is said of who else is there. */
		told->held = pgh_rule_has_address(rule) ? told->limit :
			arrival->counts[told->rule - 1];
	}
	else
		told->limit = told->reason == PGH_LIMIT_RESERVE ?
			rule->value[PGH_RULE_RESERVE] : rule->value[PGH_RULE_CONNECT_RATE];
}

static void
record_refusal(const PghArrival *arrival, const PghRefusalFacts *told,
			   PghOutcome outcome)
{
	PghEvent	event;

	memset(&event, 0, sizeof(event));
	event.decision.action = PGH_ACTION_REFUSE;
	event.decision.reason = told->reason;
	event.decision.rule = told->rule;
	event.decision.measured = told->reason == PGH_LIMIT_CONNECT_RATE ?
		told->limit : told->held;
	event.decision.limit = told->limit;
	event.outcome = outcome;
	event.has_session = true;
	event.pid = MyProcPid;
	event.roleid = arrival->login.roleid;
	event.who = arrival->who;
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

void
pgh_refuse(const PghArrival *arrival)
{
	char		label[PGH_RULE_LABEL_LEN];
	char		primary[256];
	PghRefusalFacts told = {0};
	PghMessage	message;
	bool		log_it;
	bool		record_it;
	bool		observed = arrival->limits.mode == PGH_MODE_OBSERVE;

	fill_refusal(arrival, label, &told);
	pgh_refusal_add(arrival->application, arrival->refusal.reason, observed,
					&log_it, &record_it);
	if (record_it)
		record_refusal(arrival, &told, observed ?
					   PGH_OUTCOME_OBSERVED : PGH_OUTCOME_DONE);
	pgh_message_for_refusal(&told, primary, sizeof(primary), &message);
	if (observed)
	{
		pgh_count(arrival->application, PGH_COUNT_WOULD_REFUSE);
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
