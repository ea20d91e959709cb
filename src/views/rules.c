/*-------------------------------------------------------------------------
 *
 * views/rules.c
 *	  The SQL functions about rules: which there are, whether a text is a
 *	  list of rules, and what such a list would do.
 *
 * Owns: what is shown of rules.  Must not: change anything.
 *
 *-------------------------------------------------------------------------
 */
#include "views/views.h"

#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "look/blockers.h"
#include "look/rule_sessions.h"
#include "pure/policy.h"
#include "shared/rule_counters.h"
#include "views/rule_caps.h"

PG_FUNCTION_INFO_V1(pgh_rule_list);
PG_FUNCTION_INFO_V1(pgh_check_rules);
PG_FUNCTION_INFO_V1(pgh_rehearse);

typedef size_t (*PghPrinter) (const PghRule *rule, char *buf, size_t size);

/* A column with what "print" prints of the rule, however long that is. */
static void
append_printed(PghRow *row, PghPrinter print, const PghRule *rule)
{
	size_t		size = print(rule, NULL, 0) + 1;
	char	   *buf = palloc(size);

	(void) print(rule, buf, size);
	pgh_row_text(row, buf);
}

static void
append_rule(PghRow *row, const PghRuleSet *rules, int i)
{
	pgh_row_int32(row, i + 1);
	append_printed(row, pgh_rule_print_selectors, &rules->rule[i]);
	append_printed(row, pgh_rule_print_settings, &rules->rule[i]);
}

static void
append_if_positive(PghRow *row, int32 value)
{
	if (value > 0)
		pgh_row_int32(row, value);
	else
		pgh_row_null(row);
}

/*
 * What a rule matches now, and what was done because of it.  Where it goes by
 * addresses that would tell where clients come from: whoever can see a session
 * come, go or be refused sees these figures move.
 */
static void
append_use(PghRow *row, const PghRule *rule, PghRuleState *state,
		   int32 sessions)
{
	bool		visible = !pgh_rule_has_address(rule) || pgh_may_see_all();

	if (visible)
		pgh_row_int32(row, sessions);
	else
		pgh_row_null(row);
	append_if_positive(row, rule->value[PGH_RULE_CONNECTIONS]);
	append_if_positive(row, rule->value[PGH_RULE_RESERVE]);
	if (!visible)
	{
		pgh_row_nulls(row, 3);
		return;
	}
	pgh_row_int64(row, pg_atomic_read_u64(&state->refused));
	pgh_row_int64(row, pg_atomic_read_u64(&state->ended));
	pgh_row_timestamp(row, pg_atomic_read_u64(&state->last_used));
}

/* hygiene.rules: the rules in force. */
Datum
pgh_rule_list(PG_FUNCTION_ARGS)
{
	const PghRuleSet *rules = pgh_current_rules();
	int32		counts[PGH_MAX_RULES];

	pgh_require_shared();
	InitMaterializedSRF(fcinfo, 0);
	pgh_count_rule_sessions(rules, GetCurrentTimestamp(), counts);
	for (int i = 0; i < rules->n; i++)
	{
		PghRow		row;

		pgh_row_begin(&row);
		append_rule(&row, rules, i);
		append_use(&row, &rules->rule[i], &pgh_rule_states[i], counts[i]);
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}

/* Warn of roles and databases that do not exist. */
static void
warn_of_name(const PghSelector *sel)
{
	if (!pgh_selector_is_name(sel))
		return;
	if (sel->kind == PGH_SELECT_USER &&
		!OidIsValid(get_role_oid(sel->pattern, true)))
		ereport(WARNING,
				(errmsg("role \"%s\" does not exist", sel->pattern)));
	if (sel->kind == PGH_SELECT_DATABASE &&
		!OidIsValid(get_database_oid(sel->pattern, true)))
		ereport(WARNING,
				(errmsg("database \"%s\" does not exist", sel->pattern)));
}

static void
warn_of_names(const PghRuleSet *rules)
{
	for (int i = 0; i < rules->n; i++)
		for (int j = 0; j < rules->rule[i].n_selectors; j++)
			warn_of_name(&rules->rule[i].selector[j]);
}

/*
 * hygiene.check_rules(text): the parsed rules, or an error with the position.
 * Messages say what may be a mistake, and what follows from the rules.
 */
Datum
pgh_check_rules(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	const PghRuleSet *rules;
	PghRuleCounts counts;

	pgh_require_shared();
	rules = pgh_parse_rules_or_error(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	InitMaterializedSRF(fcinfo, 0);
	pgh_warn_of_rules(rules, now);
	warn_of_names(rules);
	pgh_warn_of_reserves(rules, now);
	pgh_count_for_caps(rules, now, &counts);
	pgh_note_exceeded_caps(rules, &counts);
	pgh_note_next_steps();
	for (int i = 0; i < rules->n; i++)
	{
		PghRow		row;

		CHECK_FOR_INTERRUPTS();
		pgh_row_begin(&row);
		append_rule(&row, rules, i);
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}

/* What would happen to the session, in a word; "ends_in" says when. */
static const char *
verdict_name(const PghSession *session, const PghLimits *limits,
			 TimestampTz now)
{
	PghVerdict	verdict = pgh_foresee(&session->facts, limits, now);

	if (pgh_exemption(&session->facts, limits) != NULL)
		return "exempt";
	if (verdict.deadline == PGH_NEVER || limits->mode == PGH_MODE_OFF)
		return "none";
	if (limits->mode == PGH_MODE_OBSERVE)
		return "observe";
	return verdict.decision.action == PGH_ACTION_CANCEL ? "cancel" :
		verdict.decision.action == PGH_ACTION_ROLLBACK ? "rollback" :
		"terminate";
}

/*
 * hygiene.rehearse(text): hygiene.sessions as it would be under these rules.
 * The server-wide mode is taken as enforce, since that is the question; a
 * rule's own mode counts.  A NOTICE names each cap that has more sessions
 * than it allows.  Of a session that is hidden nothing is said: a few
 * lists of addresses would find out where its client is.
 */
Datum
pgh_rehearse(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	const PghRuleSet *rules;
	PghLimits	server_wide;
	PghRuleCounts counts;
	const bool *full;
	const PghBlocked *blocked;
	const int32 *advisory_locks;

	pgh_require_shared();
	rules = pgh_parse_rules_or_error(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	InitMaterializedSRF(fcinfo, 0);
	pgh_count_for_caps(rules, now, &counts);
	pgh_note_exceeded_caps(rules, &counts);
	full = pgh_note_full_applications();
	pgh_server_limits(&server_wide);
	server_wide.mode = PGH_MODE_ENFORCE;
	blocked = pgh_blocked_now(NULL);
	advisory_locks = pgh_advisory_locks_now();
	for (int i = 0; i < pgh_n_slots; i++)
	{
		PghSession	session;
		PghLimits	limits;
		PghRow		row;
		bool		visible;

		CHECK_FOR_INTERRUPTS();
		if (!pgh_scan_session(i, &session))
			continue;
		pgh_note_blocked(&session, &blocked[i]);
		session.advisory_locks = advisory_locks[i];
		pgh_row_begin(&row);
		visible = pgh_append_session(&row, &session, rules, &server_wide, now,
									 &limits);
		pgh_row_text(&row, visible ?
					 verdict_name(&session, &limits, now) : NULL);
		pgh_row_text(&row, visible ?
					 pgh_exceeded_cap(rules, &counts, full, &session, now) :
					 NULL);
		pgh_row_end(&row, fcinfo);
	}
	return (Datum) 0;
}
