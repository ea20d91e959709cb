/*-------------------------------------------------------------------------
 *
 * rules_test.c
 *	  The rules, from their text to what becomes of a session.
 *
 * Most of it is in tables beside this file, which say at their heads how a
 * row reads:
 *
 *	rules.tbl		  identity, facts, rules -> verdict
 *	rules_match.tbl   identity, selectors -> matches or not
 *	rules_print.tbl   text -> the form in which it is printed
 *	rules_error.tbl   text -> position and words of the complaint
 *	rules_hidden.tbl  text -> which of its rules have no effect
 *
 * To be run in the project's top folder.
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>

#include "pure/limits.h"
#include "pure/policy.h"
#include "pure/rules.h"
#include "table.h"

/* The moment at which all verdicts of a table are asked for. */
#define NOW INT64_C(1000000000000000)

/* ------------------------------------------------- what the rows say */

/* A time of the tables, in microseconds.  Not the parser under test. */
static int64_t
read_time(const char *s, const char **rest)
{
	char	   *end;
	double		value = strtod(s, &end);
	size_t		len = strspn(end, "abcdefghijklmnopqrstuvwxyz");
	static const struct
	{
		const char *name;
		double		us;
	}			unit[] = {
		{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"min", 6e7}, {"h", 3.6e9},
		{"d", 8.64e10}
	};

	*rest = end + len;
	for (size_t i = 0; i < sizeof(unit) / sizeof(unit[0]); i++)
		if (strlen(unit[i].name) == len &&
			strncmp(end, unit[i].name, len) == 0)
			return (int64_t) (value * unit[i].us);
	if (value == 0)
		return 0;
	tap_bail_out("not a time", s);
	return 0;
}

static void
read_address(const char *value, PghAddress *address)
{
	memset(address, 0, sizeof(*address));
	if (strcmp(value, "local") == 0)
		address->family = PGH_ADDRESS_LOCAL;
	else if (inet_pton(AF_INET, value, address->bytes) == 1)
		address->family = PGH_ADDRESS_INET;
	else if (inet_pton(AF_INET6, value, address->bytes) == 1)
		address->family = PGH_ADDRESS_INET6;
	else if (strcmp(value, "unknown") != 0)
		tap_bail_out("not an address", value);
}

/* app=, user=, db= and addr= in any order; a value may be in quotes. */
static void
read_identity(char *s, PghIdentity *who)
{
	memset(who, 0, sizeof(*who));
	strcpy(who->user, "app");
	strcpy(who->database, "shop");
	who->address.family = PGH_ADDRESS_LOCAL;
	while (*s != '\0')
	{
		char	   *value = strchr(s, '=');
		char	   *end;

		if (value == NULL)
		{
			tap_bail_out("not an identity", s);
			return;
		}
		*value++ = '\0';
		end = *value == '"' ? strchr(++value, '"') : strchr(value, ' ');
		if (end != NULL)
			*end++ = '\0';
		if (strcmp(s, "app") == 0)
			snprintf(who->application, PGH_NAME_LEN, "%s", value);
		else if (strcmp(s, "user") == 0)
			snprintf(who->user, PGH_NAME_LEN, "%s", value);
		else if (strcmp(s, "db") == 0)
			snprintf(who->database, PGH_NAME_LEN, "%s", value);
		else if (strcmp(s, "addr") == 0)
			read_address(value, &who->address);
		else
			tap_bail_out("not a part of an identity", s);
		s = end != NULL ? table_trim(end) : value + strlen(value);
	}
}

static void
read_state(const char **s, PghFacts *facts)
{
	if (table_skip(s, "starting"))
		facts->state = PGH_STATE_UNKNOWN;
	else if (table_skip(s, "hidden"))
		facts->state = PGH_STATE_DISABLED;
	else if (table_skip(s, "active "))
		facts->state = PGH_STATE_ACTIVE;
	else if (table_skip(s, "idle in transaction "))
		facts->state = PGH_STATE_IDLE_IN_TRANSACTION;
	else if (table_skip(s, "aborted "))
		facts->state = PGH_STATE_IDLE_IN_TRANSACTION_ABORTED;
	else if (table_skip(s, "idle "))
		facts->state = PGH_STATE_IDLE;
	else
		tap_bail_out("not a state", *s);
	if (facts->state <= PGH_STATE_DISABLED)
		return;
	facts->state_start = NOW - read_time(*s, s);
	if (facts->state != PGH_STATE_IDLE)
		facts->xact_start = facts->state_start;
	facts->open = facts->state == PGH_STATE_ACTIVE ||
		facts->state == PGH_STATE_IDLE_IN_TRANSACTION;
}

static void
read_facts(const char *s, PghFacts *facts)
{
	char	   *end;

	memset(facts, 0, sizeof(*facts));
	read_state(&s, facts);
	while (table_skip(&s, ", "))
	{
		if (table_skip(&s, "transaction "))
			facts->xact_start = NOW - read_time(s, &s);
		else if (table_skip(&s, "cancelled "))
			facts->cancelled_at = NOW - read_time(s, &s);
		else if (table_skip(&s, "session "))
			facts->backend_start = NOW - read_time(s, &s);
		else if (table_skip(&s, "pid "))
		{
			facts->pid = (int32_t) strtol(s, &end, 10);
			s = end;
		}
		else if (table_skip(&s, "blocking "))
		{
			facts->blocking = (int32_t) strtol(s, &end, 10);
			s = end;
		}
		else if (table_skip(&s, "xmin "))
		{
			facts->xmin_age = (uint32_t) strtoul(s, &end, 10);
			s = end;
		}
		else if (table_skip(&s, "rolled back for idle_in_transaction_timeout"))
			facts->rolled_back_for = PGH_LIMIT_IDLE_IN_TRANSACTION;
		else if (table_skip(&s, "rolled back for idle_blocker_timeout"))
			facts->rolled_back_for = PGH_LIMIT_IDLE_BLOCKER;
		else if (table_skip(&s, "rolled back for idle_writer_timeout"))
			facts->rolled_back_for = PGH_LIMIT_IDLE_WRITER;
		else if (table_skip(&s, "rolled back for horizon_limit"))
			facts->rolled_back_for = PGH_LIMIT_HORIZON;
		else if (table_skip(&s, "open"))
			facts->open = true;
		else if (table_skip(&s, "wrote"))
			facts->wrote = true;
		else if (table_skip(&s, "superuser"))
			facts->superuser = true;
		else if (table_skip(&s, "listening"))
			facts->listening = true;
		else if (table_skip(&s, "wanted "))
			facts->advisory_since = NOW - read_time(s, &s);
		else if (table_skip(&s, "unsure of client "))
		{
			facts->client_since = NOW - read_time(s, &s);
			facts->client_unsure = true;
		}
		else if (table_skip(&s, "client "))
			facts->client_since = NOW - read_time(s, &s);
		else if (table_skip(&s, "advisory"))
			facts->advisory = true;
		else if (table_skip(&s, "in backup"))
			facts->in_backup = true;
		else
			break;
	}
	if (*s != '\0')
		tap_bail_out("not a fact", s);
}

/* The settings' defaults, changed by "name=value, ...". */
static void
read_server_wide(const char *s, PghLimits *limits)
{
	memset(limits, 0, sizeof(*limits));
	limits->exempt_superusers = true;
	limits->value[PGH_LIMIT_IDLE_IN_TRANSACTION] = INT64_C(600000000);
	limits->value[PGH_LIMIT_IDLE_BLOCKER] = 60000000;
	limits->value[PGH_LIMIT_CANCEL_GRACE] = 10000000;
	do
	{
		int			i;

		if (table_skip(&s, "defaults"))
			continue;
		if (table_skip(&s, "exempt_superusers=off"))
		{
			limits->exempt_superusers = false;
			continue;
		}
		if (table_skip(&s, "mode=observe"))
		{
			limits->mode = PGH_MODE_OBSERVE;
			continue;
		}
		if (table_skip(&s, "idle_action=rollback"))
		{
			limits->idle_action = PGH_IDLE_ROLLBACK;
			continue;
		}
		for (i = 0; i < PGH_N_LIMITS; i++)
			if (pgh_limit_is_setting((PghLimit) i) &&
				table_skip(&s, pgh_limit_name((PghLimit) i)))
				break;
		if (i == PGH_N_LIMITS || *s++ != '=')
			tap_bail_out("not a setting", s);
		else if (i == PGH_LIMIT_HORIZON)
		{
			limits->value[i] = strtol(s, NULL, 10);
			s += strspn(s, "0123456789");
		}
		else
			limits->value[i] = read_time(s, &s);
	} while (table_skip(&s, ", "));
	if (*s != '\0')
		tap_bail_out("not a setting", s);
}

/* A list of rules on the heap, every byte defined; NULL if it has errors. */
static PghRuleSet *
parse(const char *text, PghParseError *error)
{
	int32_t		n = pgh_rules_count(text);
	PghRuleSet *set = calloc(1, PGH_RULESET_SIZE(n));

	if (pgh_rules_parse(text, set, n, error))
		return set;
	free(set);
	return NULL;
}

static const char *
print(const PghRuleSet *set)
{
	static char buf[PGH_RULES_TEXT_LEN];

	pgh_rules_print(set, buf, sizeof(buf));
	return buf;
}

/* ---------------------------------------------------------- verdicts */

static void
append(char *buf, size_t size, const char *format,...)
{
	size_t		len = strlen(buf);
	va_list		args;

	va_start(args, format);
	vsnprintf(buf + len, size - len, format, args);
	va_end(args);
}

static void
describe_mode(const PghLimits *limits, char *buf, size_t size)
{
	static const char *const name[] = {"enforce", "observe", "off"};

	if (limits->mode == PGH_MODE_ENFORCE && limits->mode_rule == 0)
		return;
	append(buf, size, " [%s", name[limits->mode]);
	if (limits->mode_rule > 0)
		append(buf, size, " by rule %d", limits->mode_rule);
	append(buf, size, "]");
}

/* A verdict in the words of rules.tbl. */
static void
describe(const PghFacts *facts, const PghLimits *limits, char *buf,
		 size_t size)
{
	PghVerdict	verdict = pgh_foresee(facts, limits, NOW);
	const char *exemption = pgh_exemption(facts, limits);
	char		length[64];

	*buf = '\0';
	if (exemption != NULL)
	{
		append(buf, size, "exempt: %s", exemption);
		if (limits->exempt_rule > 0 && strcmp(exemption, "rule") == 0)
			append(buf, size, " %d", limits->exempt_rule);
		if (verdict.decision.action == PGH_ACTION_NONE)
			return;
		append(buf, size, " BUT ");
	}
	if (verdict.decision.action == PGH_ACTION_NONE)
	{
		append(buf, size, "never");
		describe_mode(limits, buf, size);
		return;
	}
	append(buf, size, "%s %s", verdict.decision.action == PGH_ACTION_CANCEL ?
		   "cancel" : verdict.decision.action == PGH_ACTION_ROLLBACK ?
		   "rollback" : "terminate", pgh_limit_name(verdict.decision.reason));
	if (verdict.decision.rule > 0)
		append(buf, size, " rule %d", verdict.decision.rule);
	pgh_print_duration(verdict.decision.limit, length, sizeof(length));
	if (verdict.decision.reason == PGH_LIMIT_HORIZON)
		snprintf(length, sizeof(length), "%lld ids",
				 (long long) verdict.decision.limit);
	append(buf, size, " after %s", length);
	pgh_print_duration(verdict.deadline - NOW, length, sizeof(length));
	if (verdict.deadline <= NOW)
		append(buf, size, ", due");
	else
		append(buf, size, ", in %s", length);
	describe_mode(limits, buf, size);
}

static void
test_verdicts(void)
{
	TestTable	table;
	PghLimits	server_wide;

	read_server_wide("defaults", &server_wide);
	table_open(&table, "test/unit/rules.tbl");
	while (table_next_of_any(&table))
	{
		PghIdentity who;
		PghFacts	facts;
		PghLimits	limits;
		PghRuleBits bits;
		PghParseError error;
		PghRuleSet *set;
		char		got[256];

		if (strncmp(table.field[0], "server: ", 8) == 0)
		{
			read_server_wide(table.field[0] + 8, &server_wide);
			table.rows--;
			continue;
		}
		table_need(&table, 4);
		read_identity(table.field[0], &who);
		read_facts(table.field[1], &facts);
		set = parse(table.field[2], &error);
		if (set == NULL)
		{
			snprintf(got, sizeof(got), "error at %d: expected %s",
					 error.position, error.expected);
		}
		else
		{
			pgh_rules_match(set, &who, NOW, &bits);
			pgh_rules_resolve(set, &bits, &server_wide, &limits);
			describe(&facts, &limits, got, sizeof(got));
		}
		tap_is_text(got, table.field[3], "rules.tbl line %d: %s",
					table.line, table.field[2]);
		free(set);
	}
	tap_ok(table.rows >= 150, "rules.tbl has %d rows", table.rows);
}

/* ---------------------------------------------------- the other tables */

static void
test_matches(void)
{
	TestTable	table;

	table_open(&table, "test/unit/rules_match.tbl");
	while (table_next(&table, 3))
	{
		PghIdentity who;
		PghRuleBits bits;
		PghParseError error;
		PghRuleSet *set;
		char		text[TABLE_LINE_LEN + 16];
		const char *got = "error";

		read_identity(table.field[0], &who);
		snprintf(text, sizeof(text), "%s:exempt", table.field[1]);
		set = parse(text, &error);
		if (set != NULL)
			got = pgh_rules_match(set, &who, NOW, &bits) == 1 ? "yes" : "no";
		tap_is_text(got, table.field[2], "rules_match.tbl line %d: %s",
					table.line, text);
		free(set);
	}
}

static void
test_prints(void)
{
	TestTable	table;

	table_open(&table, "test/unit/rules_print.tbl");
	while (table_next(&table, 2))
	{
		PghParseError error;
		PghRuleSet *set;
		PghRuleSet *again;

		set = parse(table.field[0], &error);
		if (!tap_ok(set != NULL, "rules_print.tbl line %d parses: %s",
					table.line, table.field[0]))
		{
			printf("#   at %d expected %s\n", error.position, error.expected);
			continue;
		}
		tap_is_text(print(set), table.field[1], "line %d prints", table.line);
		again = parse(print(set), &error);
		tap_ok(again != NULL && set->n == again->n &&
			   memcmp(set, again, PGH_RULESET_SIZE(set->n)) == 0,
			   "line %d parses back to the same rules", table.line);
		free(set);
		free(again);
	}
}

static void
test_errors(void)
{
	TestTable	table;

	table_open(&table, "test/unit/rules_error.tbl");
	while (table_next(&table, 4))
	{
		PghParseError error;
		PghRuleSet *set;
		char		got[512] = "no error";
		char		want[512];

		set = parse(table.field[0], &error);
		if (set == NULL)
			snprintf(got, sizeof(got), "at %d expected %s, found <%s>",
					 error.position, error.expected, error.found);
		snprintf(want, sizeof(want), "at %s expected %s, found <%s>",
				 table.field[1], table.field[2], table.field[3]);
		tap_is_text(got, want, "rules_error.tbl line %d: %s",
					table.line, table.field[0]);
		free(set);
	}
}

static void
test_hidden(void)
{
	TestTable	table;

	table_open(&table, "test/unit/rules_hidden.tbl");
	while (table_next(&table, 2))
	{
		PghParseError error;
		PghRuleSet *set;
		char		got[256] = "";

		set = parse(table.field[0], &error);
		if (set == NULL)
			append(got, sizeof(got), "error at %d: expected %s",
				   error.position, error.expected);
		for (int i = 1; set != NULL && i <= set->n; i++)
		{
			int			hider = pgh_rules_hider(set, i, NOW);

			if (hider > 0)
				append(got, sizeof(got), "%s%d by %d",
					   *got != '\0' ? ", " : "", i, hider);
		}
		tap_is_text(*got != '\0' ? got : "none", table.field[1],
					"rules_hidden.tbl line %d: %s", table.line, table.field[0]);
		free(set);
	}
}

/* ------------------------------------- what does not fit into a table */

/* The same few bytes many times over. */
static char *
repeat(const char *piece, int n)
{
	size_t		len = strlen(piece);
	char	   *text = malloc(len * (size_t) n + 1);

	for (int i = 0; i < n; i++)
		memcpy(text + len * (size_t) i, piece, len);
	text[len * (size_t) n] = '\0';
	return text;
}

static void
test_sizes(void)
{
	PghParseError error;
	char	   *text = repeat("user=a: exempt ;", PGH_MAX_RULES + 1);
	PghRuleSet *set;

	text[strlen(text) - 1] = '\0';
	tap_is_int(pgh_rules_count(text), PGH_MAX_RULES + 1,
			   "257 rules are counted");
	tap_ok(parse(text, &error) == NULL, "257 rules are too many");
	tap_is_int(error.position, 16 * PGH_MAX_RULES, "the 257th is to blame");
	tap_is_text(error.expected, "at most 256 rules", "256 are allowed");
	text[16 * PGH_MAX_RULES] = '\0';
	set = parse(text, &error);
	tap_ok(set != NULL && set->n == PGH_MAX_RULES,
		   "256 rules are not, with a semicolon behind the last");
	free(set);
	text[16 * PGH_MAX_RULES - 1] = '\0';
	set = parse(text, &error);
	tap_ok(set != NULL && set->n == PGH_MAX_RULES, "nor without it");
	free(set);
	free(text);

	text = repeat(" ", PGH_RULES_TEXT_LEN - 1);
	set = parse(text, &error);
	tap_ok(set != NULL && set->n == 0, "a long blank text has no rules");
	free(set);
	free(text);
	text = repeat(" ", PGH_RULES_TEXT_LEN);
	tap_ok(parse(text, &error) == NULL, "too long a text is refused");
	tap_is_int(error.position, PGH_RULES_TEXT_LEN - 1, "where it ends");
	tap_is_text(error.expected, "at most 65535 bytes of rules", "with why");
	free(text);

	text = repeat("\";\";", 300);
	tap_is_int(pgh_rules_count(text), 257, "counting stops at 257");
	text[4 * 4] = '\0';
	tap_is_int(pgh_rules_count(text), 5, "a quoted semicolon does not count");
	tap_is_int(pgh_rules_count(" \t\n"), 0, "blank text has no rules");
	free(text);
}

/* What a message quotes of the text is short and whole characters. */
static void
test_found(void)
{
	PghParseError error;
	char	   *text = repeat("\xC3\xA9", 100);

	parse(text, &error);
	tap_is_int((int64_t) strlen(error.found), 46, "two-byte characters");
	text[2 * 100 - 1] = '\0';
	parse(text + 1, &error);
	tap_is_int((int64_t) strlen(error.found), 47, "cut in between");
	free(text);
	text = repeat("\x80", 100);
	parse(text, &error);
	tap_ok(strlen(error.found) <= 47, "text that is not UTF-8");
	free(text);
}

/* A text too long for its buffer ends in dots and goes no further. */
static void
test_truncation(void)
{
	static const char text[] = "user=\xC3\xA9\xC3\xA9\xE2\x82\xAC: exempt";
	PghParseError error;
	PghRuleSet *set = parse(text, &error);
	char		buf[64];

	for (size_t size = 0; size < sizeof(buf); size++)
	{
		size_t		full;
		bool		good;

		memset(buf, '~', sizeof(buf));
		full = pgh_rules_print(set, buf, size);
		good = full == strlen(text) && buf[size] == '~';
		if (size > full)
			good = good && strcmp(buf, text) == 0;
		else if (size > 0)
		{
			size_t		len = strlen(buf);
			size_t		kept = len < 3 ? 0 : len - 3;

			good = good && len < size && len + 3 >= size &&
				strncmp(buf, text, kept) == 0 &&
				strspn(buf + kept, ".") == len - kept &&
				((uint8_t) text[kept] & 0xC0) != 0x80;
		}
		tap_ok(good, "printed into %zu bytes", size);
	}
	pgh_rule_print_selectors(&set->rule[0], buf, 9);
	tap_is_text(buf, "user=...", "selectors cut");
	pgh_rule_print_settings(&set->rule[0], buf, 6);
	tap_is_text(buf, "ex...", "settings cut");
	free(set);
}

static void
test_durations(void)
{
	static const struct
	{
		int64_t		us;
		const char *text;
	}			sample[] = {
		{0, "0"}, {1, "1us"}, {1000, "1ms"}, {1500, "1500us"},
		{1500000, "1500ms"}, {1000000, "1s"}, {90000000, "90s"},
		{300000000, "5min"}, {3600000000, "1h"}, {7200000000, "2h"},
		{86400000000, "1d"}, {129600000000, "36h"},
		{2147483647000, "2147483647ms"}, {-1000000, "-1s"},
		{INT64_MAX, "9223372036854775807us"},
		{INT64_MIN, "-9223372036854775808us"},
	};
	char		buf[32];

	for (size_t i = 0; i < sizeof(sample) / sizeof(sample[0]); i++)
	{
		size_t		len = pgh_print_duration(sample[i].us, buf, sizeof(buf));

		tap_is_text(buf, sample[i].text, "%lld microseconds",
					(long long) sample[i].us);
		tap_is_int((int64_t) len, (int64_t) strlen(buf), "and its length");
	}
}

/* Rules and server-wide settings must go by the same names. */
static void
test_names(void)
{
	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		const char *name = pgh_limit_name((PghLimit) i);
		PghParseError error;
		PghRuleSet *set;
		char		text[80];

		if (!pgh_limit_is_setting((PghLimit) i))
			continue;
		snprintf(text, sizeof(text), "user=a: %s=1", name);
		set = parse(text, &error);
		tap_ok(set != NULL && set->rule[0].has == UINT32_C(1) << i,
			   "a rule can set %s", name);
		free(set);
	}
}

/* Rules far behind the first word of the bits count like the others. */
static void
test_many_rules(void)
{
	char	   *text = repeat("user=b: mode=off ;", PGH_MAX_RULES);
	static const char last[] = "user=a: exempt, idle_session_timeout=1min";
	char		whole[PGH_MAX_RULES * 18 + 64];
	PghIdentity who = {.user = "a"};
	PghParseError error;
	PghRuleBits bits;
	PghLimits	server_wide = {.mode = PGH_MODE_OBSERVE};
	PghLimits	limits;
	PghRuleSet *set;

	text[18 * (PGH_MAX_RULES - 1)] = '\0';
	snprintf(whole, sizeof(whole), "%s%s", text, last);
	set = parse(whole, &error);
	tap_ok(set != NULL, "256 different rules parse");
	tap_is_int(pgh_rules_match(set, &who, NOW, &bits), 1, "one of them matches");
	tap_ok(pgh_bits_test(&bits, 255), "it is the last");
	pgh_rules_resolve(set, &bits, &server_wide, &limits);
	tap_is_int(limits.exempt_rule, 256, "it exempts");
	tap_is_int(limits.rule[PGH_LIMIT_IDLE_SESSION], 256, "it sets a limit");
	tap_is_int(limits.value[PGH_LIMIT_IDLE_SESSION], 60000000, "of 1min");
	tap_ok(limits.mode == PGH_MODE_OBSERVE && limits.mode_rule == 0,
		   "the mode stays the server's");
	strcpy(who.user, "b");
	tap_is_int(pgh_rules_match(set, &who, NOW, &bits), 255, "all others match");
	pgh_rules_resolve(set, &bits, &server_wide, &limits);
	tap_is_int(limits.mode_rule, 1, "the first of them decides");
	free(set);
	free(text);
}

/* The worker must wake whenever a rule ends. */
static void
test_ends(void)
{
	static const char text[] =
	"user=a: exempt, until=2031-09-09T01:46:40Z;"
	"user=b: exempt, until=2031-09-09T01:46:42Z;"
	"user=c: exempt; user=d: exempt, until=2031-09-09T01:46:41Z";
	PghParseError error;
	PghRuleSet *set = parse(text, &error);

	tap_is_int(pgh_rules_next_end(set, 0), NOW, "the first end");
	tap_is_int(pgh_rules_next_end(set, NOW - 1), NOW, "just before it");
	tap_is_int(pgh_rules_next_end(set, NOW), NOW + 1000000, "the next one");
	tap_is_int(pgh_rules_next_end(set, NOW + 1999999), NOW + 2000000,
			   "the last one");
	tap_is_int(pgh_rules_next_end(set, NOW + 2000000), PGH_NEVER,
			   "no more of them");
	tap_ok(!pgh_rule_is_over(&set->rule[0], NOW - 1) &&
		   pgh_rule_is_over(&set->rule[0], NOW) &&
		   !pgh_rule_is_over(&set->rule[2], PGH_NEVER),
		   "a rule is over from its moment on");
	free(set);
}

/* Who decides about settings that are no limits. */
static void
test_decider(void)
{
	PghParseError error;
	PghRuleBits bits;
	PghIdentity who = {.user = "a"};
	PghRuleSet *set = parse("user=b: reserve=1; user=a: mode=off;"
							"user=*: reserve=2, mode=observe", &error);

	pgh_rules_match(set, &who, NOW, &bits);
	tap_is_int(pgh_rules_decider(set, &bits, PGH_RULE_MODE), 2,
			   "the first that matches");
	tap_is_int(pgh_rules_decider(set, &bits, PGH_RULE_RESERVE), 3,
			   "the first that sets it");
	tap_is_int(pgh_rules_decider(set, &bits, PGH_RULE_EXEMPT), 0,
			   "no rule at all");
	free(set);
}

/* The whole text for one rule more or less. */
static void
test_edits(void)
{
	PghParseError error;
	PghRuleSet *set = parse("user=a:exempt;user=b:mode=off;user=c:reserve=1",
							&error);
	PghRuleSet *added = parse("user=d: exempt=off", &error);
	PghRuleSet *none = parse("", &error);
	PghRuleSet *two = parse("user=\"e e\":exempt;address=local:exempt", &error);
	char		buf[128];

	tap_is_int((int64_t) pgh_rules_print_with(set, added, buf, sizeof(buf)),
			   71, "the length with one more");
	tap_is_text(buf, "user=d: exempt=off; user=a: exempt; user=b: mode=off; "
				"user=c: reserve=1", "with one more in front");
	pgh_rules_print_with(none, two, buf, sizeof(buf));
	tap_is_text(buf, "user=\"e e\": exempt; address=local: exempt",
				"with the first two");
	pgh_rules_print_with(added, none, buf, sizeof(buf));
	tap_is_text(buf, "user=d: exempt=off", "with none more");
	tap_is_int((int64_t) pgh_rules_print_with(set, added, buf, 24), 71,
			   "the length of what does not fit");
	tap_is_text(buf, "user=d: exempt=off; ...", "which is cut");
	pgh_rules_print_without(set, 1, buf, sizeof(buf));
	tap_is_text(buf, "user=b: mode=off; user=c: reserve=1", "without the first");
	pgh_rules_print_without(set, 2, buf, sizeof(buf));
	tap_is_text(buf, "user=a: exempt; user=c: reserve=1", "without the second");
	pgh_rules_print_without(set, 3, buf, sizeof(buf));
	tap_is_text(buf, "user=a: exempt; user=b: mode=off", "without the third");
	pgh_rules_print_without(added, 1, buf, sizeof(buf));
	tap_is_text(buf, "", "without the only one");
	free(set);
	free(added);
	free(none);
	free(two);
}

/* The rule for pg_dump, which a new text loses if nobody thinks of it. */
static void
test_default(void)
{
	static const struct
	{
		const char *text;
		bool		lacks;
	}			sample[] = {
		{"application=pg_dump: exempt", false},
		{"", false},
		{"user=a: exempt", true},
		{"user=a: mode=off; application=pg_*: exempt", false},
		{"application=pg_dump user=backup: exempt", false},
		{"application=pg_dump: exempt=off", false},
		{"application=pg_dump: mode=off", true},
		{"application!=pg_dump: exempt", true},
		{"application=pg_dumpall: exempt", true},
		{"application=pg_dump: exempt, until=2020-01-01T00:00Z", true},
	};

	for (size_t i = 0; i < sizeof(sample) / sizeof(sample[0]); i++)
	{
		PghParseError error;
		PghRuleSet *set = parse(sample[i].text, &error);

		tap_ok(pgh_rules_lack_default(set, NOW) == sample[i].lacks,
			   "the default in \"%s\"", sample[i].text);
		free(set);
	}
}

static void
test_single_names(void)
{
	PghParseError error;
	PghRuleSet *set = parse("user=a user=a* database!=d user=?: exempt;"
							"user=\"\" address=local: exempt", &error);
	const PghSelector *sel = set->rule[0].selector;

	tap_ok(pgh_selector_is_name(&sel[0]) && !pgh_selector_is_name(&sel[1]) &&
		   pgh_selector_is_name(&sel[2]) && !pgh_selector_is_name(&sel[3]),
		   "a pattern is no name");
	sel = set->rule[1].selector;
	tap_ok(pgh_selector_is_name(&sel[0]) && !pgh_selector_is_name(&sel[1]),
		   "nor is an address");
	free(set);
}

/* Names that would keep a recursive matcher busy for years. */
static void
test_hostile_globs(void)
{
	PghIdentity who = {.user = "x"};
	PghRuleBits bits;
	PghParseError error;
	char		text[128] = "application=";
	PghRuleSet *set;

	memset(who.application, 'a', PGH_NAME_LEN - 1);
	for (int i = 0; i < 31; i++)
		strcat(text, "*a");
	strcat(text, "b: exempt");
	set = parse(text, &error);
	tap_ok(set != NULL && pgh_rules_match(set, &who, NOW, &bits) == 0,
		   "many stars that do not match");
	who.application[PGH_NAME_LEN - 2] = 'b';
	tap_ok(set != NULL && pgh_rules_match(set, &who, NOW, &bits) == 1,
		   "many stars that match");
	free(set);
}

/* Of an old session a pause of a second is asked for, and less in the end. */
static void
test_lifetime_pause(void)
{
	const int64_t second = 1000000;
	int64_t		last = second;

	tap_ok(pgh_lifetime_pause(30 * second, 0) == second, "a second at first");
	tap_ok(pgh_lifetime_pause(30 * second, 3 * second / 2) == second * 7 / 8,
		   "not much less when half of the tenth is over");
	tap_ok(pgh_lifetime_pause(30 * second, 3 * second) == 0,
		   "none at the end of the tenth");
	tap_ok(pgh_lifetime_pause(30 * second, INT64_MAX) == 0, "nor ever after");
	tap_ok(pgh_lifetime_pause(9, 0) == 0, "none of a lifetime without a tenth");
	for (int64_t over = 0; over < INT64_MAX / 10 - INT64_MAX / 1000;
		 over += INT64_MAX / 1000)
	{
		int64_t		pause = pgh_lifetime_pause(INT64_MAX, over);

		if (pause < 0 || pause > last)
			last = -1;
		last = last < 0 ? last : pause;
	}
	tap_ok(last > 0, "it only falls, however long the lifetime is");
}

int
main(void)
{
	test_verdicts();
	test_lifetime_pause();
	test_matches();
	test_prints();
	test_errors();
	test_hidden();
	test_sizes();
	test_found();
	test_truncation();
	test_durations();
	test_names();
	test_many_rules();
	test_ends();
	test_decider();
	test_edits();
	test_default();
	test_single_names();
	test_hostile_globs();
	return tap_done();
}
