/*-------------------------------------------------------------------------
 *
 * views/rule_caps.c
 *	  What follows from the caps and reserves of rules that are only tried.
 *
 * Owns: the messages of check_rules() and rehearse() about them, and about the
 * cap of each application, which rules leave as it is.  Must not:
 * change anything, or tell a caller where hidden sessions come from.  For the
 * SQL functions about rules.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "views/rule_caps.h"

#include "miscadmin.h"

#include "look/rule_sessions.h"
#include "shared/applications.h"
#include "views/row.h"

#define WHAT_FOLLOWS \
	"New connections would be refused until fewer are left; of those that are there, only leaks would be ended."

void
pgh_count_for_caps(const PghRuleSet *rules, TimestampTz now,
				   PghRuleCounts *counts)
{
	bool		all = pgh_may_see_all();

	pgh_count_rule_sessions(rules, now, counts->sessions);
	for (int i = 0; i < rules->n; i++)
		if (!all && pgh_rule_has_address(&rules->rule[i]))
			counts->sessions[i] = 0;
}

/* Do more sessions match the rule than it allows?  Counts begin at 0. */
static bool
is_exceeded(const PghRuleSet *rules, const PghRuleCounts *counts, int i)
{
	int64		cap = rules->rule[i].value[PGH_RULE_CONNECTIONS];

	return cap > 0 && counts->sessions[i] > cap;
}

void
pgh_note_exceeded_caps(const PghRuleSet *rules, const PghRuleCounts *counts)
{
	for (int i = 0; i < rules->n; i++)
	{
		int			cap = rules->rule[i].value[PGH_RULE_CONNECTIONS];

		if (is_exceeded(rules, counts, i))
			ereport(NOTICE,
					(errmsg_plural("rule %d allows %d connection, and %d sessions match it now",
								   "rule %d allows %d connections, and %d sessions match it now",
								   cap, i + 1, cap, counts->sessions[i]),
					 errdetail(WHAT_FOLLOWS)));
	}
}

/* Those that share a place are not one application, and have no such cap. */
const bool *
pgh_note_full_applications(void)
{
	bool	   *full = palloc0(mul_size(pgh_n_applications, sizeof(bool)));
	int			n = 0;

	if (pgh_connections_per_application <= 0)
		return full;
	pgh_lock(&pgh_applications_part, LW_SHARED);
	for (int i = PGH_OTHERS + 1; i < pgh_n_applications; i++)
	{
		full[i] = pgh_applications[i].account.connections >
			pgh_connections_per_application;
		n += full[i];
	}
	pgh_unlock(&pgh_applications_part);
	if (n > 0)
		ereport(NOTICE,
				(errmsg_plural("pg_hygiene.connections_per_application allows %d, and %d application has more connections now",
							   "pg_hygiene.connections_per_application allows %d, and %d applications have more connections now",
							   n, pgh_connections_per_application, n),
				 errdetail(WHAT_FOLLOWS)));
	return full;
}

const char *
pgh_exceeded_cap(const PghRuleSet *rules, const PghRuleCounts *counts,
				 const bool *full, const PghSession *session, TimestampTz now)
{
	PghRuleBits bits;
	PghIdentity who = pgh_scan_counted(session);

	(void) pgh_rules_match(rules, &who, now, &bits);
	for (int i = 0; i < rules->n; i++)
		if (pgh_bits_test(&bits, i) && is_exceeded(rules, counts, i))
			return psprintf("connections = %d by rule %d",
							(int) rules->rule[i].value[PGH_RULE_CONNECTIONS],
							i + 1);
	if (session->counted_as < (uint32) pgh_n_applications &&
		full[session->counted_as])
		return psprintf("connections_per_application = %d",
						pgh_connections_per_application);
	return NULL;
}

void
pgh_warn_of_reserves(const PghRuleSet *rules, TimestampTz now)
{
	int64		reserved = 0;
	int			usable = MaxConnections - pgh_reserved_slots();

	for (int i = 0; i < rules->n; i++)
		if (!pgh_rule_is_over(&rules->rule[i], now))
			reserved += Max(rules->rule[i].value[PGH_RULE_RESERVE], 0);
	if (reserved >= usable)
		ereport(WARNING,
				(errmsg("rules reserve %lld connection slots, and only %d are usable",
						(long long) reserved, usable),
				 errdetail("Whoever matches none of these rules would be refused.")));
}

void
pgh_note_next_steps(void)
{
	ereport(NOTICE,
			(errmsg("these rules can be set; nothing has been changed"),
			 errhint("Try them with hygiene.rehearse() and hygiene.predict(). ALTER SYSTEM SET pg_hygiene.rules and SELECT pg_reload_conf() set them.")));
}
