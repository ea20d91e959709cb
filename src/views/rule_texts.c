/*-------------------------------------------------------------------------
 *
 * views/rule_texts.c
 *	  The SQL functions that change a text for pg_hygiene.rules.
 *
 * Owns: hygiene.with_rule() and without_rule().  Must not: set anything; they
 * return what is to be set.
 *
 *-------------------------------------------------------------------------
 */
#include "views/views.h"

#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(pgh_with_rule);
PG_FUNCTION_INFO_V1(pgh_without_rule);

/* Raise an error if this would be too much for pg_hygiene.rules. */
static void
check_bounds(int n, size_t length)
{
	if (n > PGH_MAX_RULES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot have more than %d rules", PGH_MAX_RULES)));
	if (length >= PGH_RULES_TEXT_LEN)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("rules cannot be longer than %d bytes",
						PGH_RULES_TEXT_LEN - 1)));
}

/*
 * hygiene.with_rule(text): the text of pg_hygiene.rules with this rule, or
 * these, in front, where it comes first.
 */
Datum
pgh_with_rule(PG_FUNCTION_ARGS)
{
	const PghRuleSet *rules = pgh_current_rules();
	const PghRuleSet *added;
	size_t		length;
	char	   *buf;

	pgh_require_shared();
	added = pgh_parse_rules_or_error(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	length = pgh_rules_print_with(rules, added, NULL, 0);
	check_bounds(rules->n + added->n, length);
	buf = palloc(length + 1);
	(void) pgh_rules_print_with(rules, added, buf, length + 1);
	PG_RETURN_TEXT_P(cstring_to_text(pgh_valid_text(buf)));
}

/* hygiene.without_rule(integer): the same without the rule of this number. */
Datum
pgh_without_rule(PG_FUNCTION_ARGS)
{
	const PghRuleSet *rules = pgh_current_rules();
	int32		rule = PG_GETARG_INT32(0);
	size_t		length;
	char	   *buf;

	pgh_require_shared();
	if (rule < 1 || rule > rules->n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no rule %d", rule),
				 errhint("See the view hygiene.rules.")));
	length = pgh_rules_print_without(rules, rule, NULL, 0);
	buf = palloc(length + 1);
	(void) pgh_rules_print_without(rules, rule, buf, length + 1);
	PG_RETURN_TEXT_P(cstring_to_text(pgh_valid_text(buf)));
}
