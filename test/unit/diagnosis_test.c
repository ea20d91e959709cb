/*-------------------------------------------------------------------------
 *
 * diagnosis_test.c
 *	  What sessions show, and what that says about their program.
 *
 * All of it is in diagnosis.tbl, which says at its head how a row reads.
 *
 * To be run in the project's top folder.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/diagnosis.h"
#include "table.h"

/* The moment at which the sessions of the table are looked at. */
#define NOW INT64_C(1000000000000000)

static const char *const pattern_names[PGH_N_PATTERNS] = {
	[PGH_PATTERN_NONE] = "NONE",
	[PGH_PATTERN_READ_NEVER_ENDED] = "READ_NEVER_ENDED",
	[PGH_PATTERN_WRITE_NEVER_COMMITTED] = "WRITE_NEVER_COMMITTED",
	[PGH_PATTERN_ABORTED_NEVER_ROLLED_BACK] = "ABORTED_NEVER_ROLLED_BACK",
	[PGH_PATTERN_BEGIN_WITHOUT_WORK] = "BEGIN_WITHOUT_WORK",
	[PGH_PATTERN_WAITS_IN_TRANSACTION] = "WAITS_IN_TRANSACTION",
	[PGH_PATTERN_POOL_PER_CALL] = "POOL_PER_CALL",
	[PGH_PATTERN_NO_POOLING] = "NO_POOLING",
	[PGH_PATTERN_POOL_TOO_LARGE] = "POOL_TOO_LARGE",
	[PGH_PATTERN_NO_NAME] = "NO_NAME",
};

/* What the words of a row can set, each to its number or to 1. */
typedef struct Word
{
	const char *name;
	int64_t		value;
	bool		given;
} Word;

/* Read "a b=2 c" into the words that have these names; the rest stay 0. */
static void
read_words(char *s, Word *words, int n)
{
	for (char *item = strtok(s, " "); item != NULL; item = strtok(NULL, " "))
	{
		char	   *equals = strchr(item, '=');
		int			i;

		if (equals != NULL)
			*equals = '\0';
		for (i = 0; i < n; i++)
			if (strcmp(words[i].name, item) == 0)
				break;
		if (i == n)
		{
			tap_bail_out("not a fact", item);
			return;
		}
		words[i].value = equals != NULL ? strtoll(equals + 1, NULL, 10) : 1;
		words[i].given = true;
	}
}

/* The first of the words from a to b that was given; its index from a. */
static int
choose(const Word *words, int a, int b)
{
	for (int i = a; i <= b; i++)
		if (words[i].given)
			return i - a;
	return -1;
}

static const PghState states[] = {
	PGH_STATE_IDLE, PGH_STATE_IDLE_IN_TRANSACTION,
	PGH_STATE_IDLE_IN_TRANSACTION_ABORTED, PGH_STATE_ACTIVE,
	PGH_STATE_UNKNOWN, PGH_STATE_DISABLED
};

#define STATE_WORDS \
	{"idle"}, {"in-transaction"}, {"aborted"}, {"active"}, {"starting"}, \
	{"hidden"}
#define N_STATES 6
#define COUNT(array) ((int) (sizeof(array) / sizeof((array)[0])))

static const char *
diagnose_leak(char *s)
{
	static const PghStatementKind kinds[] = {
		PGH_STATEMENT_READ, PGH_STATEMENT_WRITE, PGH_STATEMENT_BEGIN,
		PGH_STATEMENT_UTILITY, PGH_STATEMENT_OTHER, PGH_STATEMENT_NONE
	};
	Word		words[] = {
		STATE_WORDS, {"read"}, {"write"}, {"begin"}, {"utility"}, {"other"},
		{"empty"}, {"wrote"}, {"periods"}, {"ended"}, {"clients"}, {"each"},
		{"resumed"}, {"locks"}, {"like_resumed"}, {"like_lost"}
	};
	PghLeakFacts facts;

	read_words(s, words, COUNT(words));
	if (choose(words, 0, N_STATES - 1) < 0 || choose(words, 6, 11) < 0)
		tap_bail_out("no state or no statement", s);
	memset(&facts, 0, sizeof(facts));
	facts.state = states[choose(words, 0, N_STATES - 1)];
	facts.last_statement = kinds[choose(words, 6, 11)];
	facts.wrote = words[12].given;
	facts.periods = words[13].value;
	facts.ended = words[14].value;
	facts.clients = (int32_t) words[15].value;
	facts.transactions_per_session = words[16].value;
	facts.resumed = words[17].value;
	facts.locks_rows = words[18].given;
	facts.like_resumed = words[19].value;
	facts.like_lost = words[20].value;
	return pattern_names[pgh_diagnose_leak(&facts)];
}

static const char *
diagnose_application(char *s)
{
	Word		words[] = {
		{"nameless"}, {"connections"}, {"active"}, {"idle"},
		{"idle_in_transaction"}, {"abandoned"}, {"clients"}, {"peak"},
		{"peak_active"}, {"opened"}, {"closed"}, {"ended"}, {"terminated"},
		{"transactions"}, {"live_transactions"}, {"each"}, {"s"}, {"ms"},
		{"renamed"}, {"lent"}, {"at_once"}, {"late"}, {"used_again"},
		{"processes"}, {"silences"}, {"silences_resumed"}
	};
	PghApplicationFacts facts;

	read_words(s, words, COUNT(words));
	memset(&facts, 0, sizeof(facts));
	facts.named = !words[0].given;
	facts.connections = (int32_t) words[1].value;
	facts.active = (int32_t) words[2].value;
	facts.idle = (int32_t) words[3].value;
	facts.idle_in_transaction = (int32_t) words[4].value;
	facts.abandoned = (int32_t) words[5].value;
	facts.clients = (int32_t) words[6].value;
	facts.peak = (int32_t) words[7].value;
	facts.peak_active = (int32_t) words[8].value;
	facts.opened = words[9].value;
	facts.closed = words[10].value;
	facts.ended = words[11].value;
	facts.terminated = words[12].value;
	facts.transactions = words[13].given ? words[13].value :
		words[15].value * facts.ended;
	facts.live_transactions = words[14].value;
	facts.observed_for = (words[16].given ? words[16].value : 3600) * 1000000;
	facts.mean_session = words[17].value * 1000;
	facts.renamed = (int32_t) words[18].value;
	facts.lent = (int32_t) words[19].value;
	facts.abandoned_at_once = (int32_t) words[20].value;
	facts.abandoned_late = (int32_t) words[21].value;
	facts.used_again = (int32_t) words[22].value;
	facts.processes = (int32_t) words[23].value;
	facts.silences = words[24].value;
	facts.silences_resumed = words[25].value;
	return pattern_names[pgh_diagnose_application(&facts)];
}

static const char *
judge_session(char *s)
{
	Word		words[] = {
		STATE_WORDS, {"start"}, {"since"}, {"transactions"}, {"renames"}
	};
	PghFacts	facts;

	read_words(s, words, COUNT(words));
	if (choose(words, 0, N_STATES - 1) < 0)
		tap_bail_out("no state", s);
	memset(&facts, 0, sizeof(facts));
	facts.state = states[choose(words, 0, N_STATES - 1)];
	facts.backend_start = NOW - words[N_STATES].value * 1000;
	facts.state_start = NOW - words[N_STATES + 1].value * 1000;
	facts.renames = (int32_t) words[N_STATES + 3].value;
	if (pgh_session_is_used_again(&facts, words[N_STATES + 2].value))
		return "used again";
	return pgh_session_is_abandoned(&facts, words[N_STATES + 2].value, NOW) ?
		"abandoned" : "in use";
}

/* A driver that gives the name after it has connected is no pooler. */
static void
test_lent(void)
{
	static const bool lent[] = {false, false, true, true};

	for (int i = 0; i < COUNT(lent); i++)
	{
		PghFacts	facts;

		memset(&facts, 0, sizeof(facts));
		facts.renames = i;
		tap_ok(pgh_session_is_lent(&facts) == lent[i],
			   "%d names taken later: %s", i, lent[i] ? "lent" : "its own");
	}
}

static void
test_table(void)
{
	TestTable	table;
	int			seen[PGH_N_PATTERNS] = {0};

	table_open(&table, "test/unit/diagnosis.tbl");
	while (table_next(&table, 3))
	{
		const char *kind = table.field[0];
		char		facts[TABLE_LINE_LEN];
		const char *got = "not a kind of row";

		strcpy(facts, table.field[1]);
		if (strcmp(kind, "leak") == 0)
			got = diagnose_leak(facts);
		else if (strcmp(kind, "app") == 0)
			got = diagnose_application(facts);
		else if (strcmp(kind, "session") == 0)
			got = judge_session(facts);
		tap_is_text(got, table.field[2], "line %d: %s %s", table.line, kind,
					table.field[1]);
		for (int i = 0; i < PGH_N_PATTERNS; i++)
			seen[i] += strcmp(got, pattern_names[i]) == 0;
	}
	for (int i = 0; i < PGH_N_PATTERNS; i++)
		tap_ok(seen[i] >= 2, "%s is in %d rows", pattern_names[i], seen[i]);
}

/* Every pattern has its own advice: two whole sentences that fit a HINT. */
static void
test_advice(void)
{
	tap_ok(pgh_pattern_advice(PGH_PATTERN_NONE) == NULL,
		   "no pattern, no advice");
	for (int i = PGH_PATTERN_NONE + 1; i < PGH_N_PATTERNS; i++)
	{
		const char *advice = pgh_pattern_advice((PghPattern) i);
		size_t		len = advice != NULL ? strlen(advice) : 0;
		const char *stop = len > 0 ? strstr(advice, ". ") : NULL;

		tap_ok(len > 80 && len < 250 && advice[len - 1] == '.' &&
			   strchr("ATPM", advice[0]) != NULL,
			   "%s is advised in %d bytes", pattern_names[i], (int) len);
		tap_ok(stop != NULL && strstr(stop + 1, ". ") == NULL,
			   "%s in two sentences", pattern_names[i]);
		for (int j = PGH_PATTERN_NONE + 1; j < i; j++)
			if (advice == pgh_pattern_advice((PghPattern) j))
				tap_ok(false, "%s is advised like %s", pattern_names[i],
					   pattern_names[j]);
	}
}

int
main(void)
{
	test_lent();
	test_table();
	test_advice();
	return tap_done();
}
