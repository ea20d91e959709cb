/*-------------------------------------------------------------------------
 *
 * fuzz_rules.c
 *	  Any text at all into the parser of rules.
 *
 * What must hold: a text is either refused with a place and a reason, or
 * what is printed of it parses to the same rules and prints the same again;
 * and a buffer that is too short is never left.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "pure/rules.h"

static PghRuleSet *
allocate(int32_t n)
{
	PghRuleSet *set = malloc(PGH_RULESET_SIZE(n));

	/* what the parser leaves alone must not look like what it should write */
	memset(set, 0xA5, PGH_RULESET_SIZE(n));
	return set;
}

static void
check_error(const char *text, const PghParseError *error)
{
	size_t		found = strlen(error->found);

	REQUIRE(error->position >= 0);
	REQUIRE((size_t) error->position <= strlen(text));
	REQUIRE(error->expected[0] != '\0');
	REQUIRE(strlen(error->expected) < sizeof(error->expected));
	REQUIRE(found < sizeof(error->found));
	REQUIRE(strncmp(text + error->position, error->found, found) == 0);
	REQUIRE(strchr(error->found, '\n') == NULL);
}

/* Print into a buffer of exactly this size, so that a sanitizer sees more. */
static void
check_short_print(const PghRuleSet *set, const char *full, size_t size)
{
	char	   *buf = malloc(size > 0 ? size : 1);
	size_t		len = strlen(full);

	REQUIRE(pgh_rules_print(set, buf, size) == len);
	if (size > len)
		REQUIRE(strcmp(buf, full) == 0);
	else if (size > 3)
		REQUIRE(strlen(buf) < size &&
				strcmp(buf + strlen(buf) - 3, "...") == 0 &&
				strncmp(buf, full, strlen(buf) - 3) == 0);
	free(buf);
}

static void
check_round_trip(const PghRuleSet *set)
{
	size_t		len = pgh_rules_print(set, NULL, 0);
	char	   *text = malloc(len + 1);
	char	   *again = malloc(len + 1);
	PghRuleSet *copy;
	PghParseError error;

	REQUIRE(pgh_rules_print(set, text, len + 1) == len);
	REQUIRE(strlen(text) == len);
	if (len < PGH_RULES_TEXT_LEN)
	{
		int32_t		n = pgh_rules_count(text);

		REQUIRE(n == set->n);
		copy = allocate(n);
		REQUIRE(pgh_rules_parse(text, copy, n, &error));
		REQUIRE(copy->n == set->n);
		REQUIRE(memcmp(copy, set, PGH_RULESET_SIZE(set->n)) == 0);
		REQUIRE(pgh_rules_print(copy, again, len + 1) == len);
		REQUIRE(strcmp(text, again) == 0);
		free(copy);
	}
	REQUIRE(pgh_rules_print_with(set, set, NULL, 0) ==
			(set->n > 0 ? 2 * len + 2 : 0));
	for (size_t size = 0; size < 80 && size < len + 2; size++)
		check_short_print(set, text, size);
	check_short_print(set, text, len / 2);
	check_short_print(set, text, len);
	free(text);
	free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *text = malloc(size + 1);
	PghParseError error;
	PghRuleSet *set;
	int32_t		n;

	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	n = pgh_rules_count(text);
	REQUIRE(n >= 0 && n <= PGH_MAX_RULES + 1);
	set = allocate(n);
	if (pgh_rules_parse(text, set, n, &error))
	{
		REQUIRE(set->n >= 0 && set->n <= n && set->n <= PGH_MAX_RULES);
		check_round_trip(set);
	}
	else
		check_error(text, &error);
	free(set);
	free(text);
	return 0;
}
