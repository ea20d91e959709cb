/*-------------------------------------------------------------------------
 *
 * views/suggest_order.c
 *	  Suggested rules in an order in which each is about its own application.
 *
 * Owns: the order, and which caps are left out.  Must not: find a value; that
 * is views/suggest.c, which calls it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "views/suggest_order.h"

#include "miscadmin.h"

#include "shared/applications.h"

static int
count_of(const char *pattern, char wildcard)
{
	int			n = 0;

	for (const char *c = pattern; *c != '\0'; c++)
		n += *c == wildcard;
	return n;
}

/*
 * Names before patterns, and of two patterns the one that says more: what
 * another one matches as well has at least as much that is no wildcard; if as
 * much, at least as many "?"; and if as many, fewer "*".
 */
static int
compare_rules(const void *a, const void *b)
{
	const char *left = ((const PghRule *) a)->selector[0].pattern;
	const char *right = ((const PghRule *) b)->selector[0].pattern;
	int			stars = count_of(left, '*') - count_of(right, '*');
	int			marks = count_of(left, '?') - count_of(right, '?');
	int			order = (strpbrk(left, PGH_WILDCARDS) != NULL) -
		(strpbrk(right, PGH_WILDCARDS) != NULL);

	if (order == 0)
		order = (int) strlen(right) - (int) strlen(left) + stars + marks;
	if (order == 0)
		order = marks != 0 ? -marks : stars;
	return order != 0 ? order : strcmp(left, right);
}

/* Does the pattern of a rule match an application besides its own? */
static bool
matches_another(const PghRule *rule, TimestampTz now)
{
	PghIdentity who;

	memset(&who, 0, sizeof(who));
	for (int i = 1; i < pgh_n_applications; i++)
	{
		const PghApplication *app = &pgh_applications[i];

		CHECK_FOR_INTERRUPTS();
		if (!app->used || app->tentative)
			continue;
		strlcpy(who.application, app->name, PGH_NAME_LEN);
		if (strcmp(who.application, rule->selector[0].pattern) != 0 &&
			pgh_rule_matches(rule, &who, now))
			return true;
	}
	return false;
}

/*
 * All caps that match hold, whatever stands before them: that of a family
 * would count others, for whom it was not made.
 */
static int
drop_shared_caps(PghRule *suggested, int n, TimestampTz now)
{
	int			left = 0;

	for (int i = 0; i < n; i++)
	{
		PghRule    *rule = &suggested[i];

		if (pgh_rule_sets(rule, PGH_RULE_CONNECTIONS) &&
			strpbrk(rule->selector[0].pattern, PGH_WILDCARDS) != NULL &&
			matches_another(rule, now))
		{
			rule->has &= ~(UINT64_C(1) << PGH_RULE_CONNECTIONS);
			rule->value[PGH_RULE_CONNECTIONS] = 0;
		}
		if (rule->has != 0)
			suggested[left++] = *rule;
	}
	return left;
}

int
pgh_order_suggested(PghRule *suggested, int n, TimestampTz now)
{
	qsort(suggested, n, sizeof(PghRule), compare_rules);
	return drop_shared_caps(suggested, n, now);
}
