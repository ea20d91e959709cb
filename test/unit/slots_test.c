/*-------------------------------------------------------------------------
 *
 * slots_test.c
 *	  Who is let in, and who is evicted in which order.
 *
 * The cases are in tables beside this file, which say at their heads how a
 * row reads:
 *
 *	admit.tbl	what is known of a newcomer -> admitted, or why not
 *	evict.tbl	the shortage, all sessions -> the order of eviction
 *
 * To be run in the project's top folder.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/limits.h"
#include "pure/policy.h"
#include "pure/slots.h"
#include "table.h"

#define MAX_SESSIONS 1000
#define MAX_APPLICATIONS 8
#define SECOND INT64_C(1000000)

/* The moment of all rows. */
#define NOW (INT64_C(1000000000) * SECOND)

/* ------------------------------------------------------------- tables */

/* The table being read. */
static TestTable current;

static void
bad_row(const char *why)
{
	table_bail_out(&current, why);
}

/* Call "test" with the fields of each row of a file. */
static void
for_each_row(const char *path, int n_fields, void (*test) (char **field))
{
	table_open(&current, path);
	while (table_next(&current, n_fields))
		test(current.field);
	tap_ok(current.rows > 20, "%s was read", path);
}

static int32_t
read_int(const char **s)
{
	char	   *end;
	long		value = strtol(*s, &end, 10);

	if (end == *s)
		bad_row("a number is missing");
	*s = end;
	return (int32_t) value;
}

/* A number of seconds, perhaps with a fraction, in microseconds. */
static int64_t
read_seconds(const char **s)
{
	char	   *end;
	double		value = strtod(*s, &end);

	if (end == *s)
		bad_row("a time is missing");
	*s = end;
	return (int64_t) (value * 1e6 + 0.5);
}

/* ---------------------------------------------------------- admit.tbl */

static void
read_newcomer(const char *s, PghNewcomer *newcomer)
{
	memset(newcomer, 0, sizeof(*newcomer));
	newcomer->headroom = 5;
	do
	{
		if (table_skip(&s, "available "))
			newcomer->available = read_int(&s);
		else if (table_skip(&s, "headroom "))
			newcomer->headroom = read_int(&s);
		else if (table_skip(&s, "held "))
			newcomer->held = read_int(&s);
		else if (table_skip(&s, "newcomers "))
			newcomer->newcomers = read_int(&s);
		else if (table_skip(&s, "per application "))
			newcomer->per_application = read_int(&s);
		else if (table_skip(&s, "kept "))
		{
			newcomer->kept_for_others = read_int(&s);
			if (table_skip(&s, " by rule "))
				newcomer->reserve_rule = read_int(&s);
		}
		else if (table_skip(&s, "cap of rule "))
			newcomer->cap_rule = read_int(&s);
		else if (table_skip(&s, "rate of rule "))
			newcomer->rate_rule = read_int(&s);
		else if (table_skip(&s, "reserve"))
			newcomer->has_reserve = true;
		else if (table_skip(&s, "privileged"))
			newcomer->may_use_reserved = true;
		else if (table_skip(&s, "keeps its slot"))
			newcomer->keeps_slot = true;
		else
			bad_row("not a fact about a newcomer");
	} while (table_skip(&s, ", "));
	if (*s != '\0')
		bad_row("not a fact about a newcomer");
}

static void
test_admission(char **field)
{
	PghNewcomer newcomer;
	PghRefusal	refusal;
	char		got[100] = "admitted";

	read_newcomer(field[0], &newcomer);
	refusal = pgh_admit(&newcomer);
	if (refusal.reason != PGH_LIMIT_NONE && refusal.rule == 0)
		snprintf(got, sizeof(got), "%s", pgh_limit_name(refusal.reason));
	else if (refusal.reason != PGH_LIMIT_NONE || refusal.rule != 0)
		snprintf(got, sizeof(got), "%s rule %d",
				 pgh_limit_name(refusal.reason), refusal.rule);
	tap_is_text(got, field[1], "admit.tbl:%d %s", current.line, field[0]);
}

/* ---------------------------------------------------------- evict.tbl */

/* The sessions of a row, and how each is written there. */
static PghCandidate candidates[MAX_SESSIONS];
static const char *labels[MAX_SESSIONS];
static int32_t n_candidates;
static PghTime min_idle;
static bool min_idle_by_rule;
static int32_t cap_limit;		/* of a row about a cap; else 0 */
static PghTally tallies[4 * MAX_SESSIONS];
static int32_t n_tallies;

/* What each of them has, by which it is like others. */
typedef struct Likeness
{
	int32_t		application;
	int32_t		role;
	int32_t		statement;
} Likeness;

static Likeness likenesses[MAX_SESSIONS];
static char names[MAX_APPLICATIONS][20];
static char label_space[TABLE_LINE_LEN];

static void
read_shortage(const char *s, PghShortage *shortage)
{
	memset(shortage, 0, sizeof(*shortage));
	shortage->headroom = 5;
	min_idle = 5 * SECOND;
	min_idle_by_rule = false;
	cap_limit = 0;
	do
	{
		if (table_skip(&s, "available "))
			shortage->available = read_int(&s);
		else if (table_skip(&s, "headroom "))
			shortage->headroom = read_int(&s);
		else if (table_skip(&s, "min_idle "))
		{
			min_idle = read_seconds(&s);
			(void) table_skip(&s, "s");
			min_idle_by_rule = table_skip(&s, " by rule");
		}
		else if (table_skip(&s, "cap "))
			cap_limit = read_int(&s);
		else if (table_skip(&s, "refused"))
			shortage->refused_lately = true;
		else
			bad_row("not a fact about the shortage");
	} while (table_skip(&s, ", "));
	if (*s != '\0')
		bad_row("not a fact about the shortage");
}

static PghState
read_state(char letter)
{
	switch (letter)
	{
		case 'T':
			return PGH_STATE_IDLE_IN_TRANSACTION;
		case 'A':
			return PGH_STATE_IDLE_IN_TRANSACTION_ABORTED;
		case 'I':
			return PGH_STATE_IDLE;
		case 'R':
			return PGH_STATE_ACTIVE;
		case 'S':
			return PGH_STATE_UNKNOWN;
		case 'H':
			return PGH_STATE_DISABLED;
		default:
			bad_row("not a state");
			return PGH_STATE_UNKNOWN;
	}
}

/*
 * The tallies of a session: those of an earlier one that is like it, or new
 * ones.
 */
static void
find_tallies(PghCandidate *candidate, const Likeness *like)
{
	bool		idles = pgh_state_in_transaction_idle(candidate->state);

	candidate->account = candidate->own = -1;
	candidate->alike = candidate->own_alike = -1;
	for (int i = 0; i < n_candidates; i++)
	{
		const PghCandidate *other = &candidates[i];

		if (likenesses[i].application != like->application)
			continue;
		candidate->account = other->account;
		if (likenesses[i].role == like->role)
			candidate->own = other->own;
		if (!idles || other->alike < 0 ||
			likenesses[i].statement != like->statement)
			continue;
		candidate->alike = other->alike;
		if (likenesses[i].role == like->role)
			candidate->own_alike = other->own_alike;
	}
	if (candidate->account < 0)
		candidate->account = n_tallies++;
	if (candidate->own < 0)
		candidate->own = n_tallies++;
	if (idles && candidate->alike < 0)
		candidate->alike = n_tallies++;
	if (idles && candidate->own_alike < 0)
		candidate->own_alike = n_tallies++;
}

static void
add_candidate(const PghCandidate *candidate, const Likeness *like,
			  const char *label)
{
	PghCandidate *added = &candidates[n_candidates];

	if (n_candidates == MAX_SESSIONS)
		bad_row("too many sessions");
	*added = *candidate;
	added->session = n_candidates;
	find_tallies(added, like);
	labels[n_candidates] = label;
	likenesses[n_candidates++] = *like;
	pgh_tally_add(tallies, added);
}

/* "T9*20", "I9!", "T9@m=u" or "R" */
static void
read_session(char *word, int32_t application)
{
	PghCandidate candidate;
	Likeness	like = {application, 0, 0};
	const char *s = word + 1;
	int32_t		times = 1;
	bool		each = false;

	memset(&candidate, 0, sizeof(candidate));
	candidate.state = read_state(*word);
	candidate.state_start = NOW;
	candidate.min_idle = min_idle;
	candidate.min_idle_by_rule = min_idle_by_rule;
	if (*s >= '0' && *s <= '9')
		candidate.state_start -= read_seconds(&s);
	if (table_skip(&s, "@"))
	{
		each = *s == '+';
		like.role = *s++;
	}
	if (table_skip(&s, "="))
		like.statement = *s++;
	if (table_skip(&s, "+"))
		candidate.outlook = PGH_OUTLOOK_RETURNS;
	else if (table_skip(&s, "-"))
		candidate.outlook = PGH_OUTLOOK_LOST;
	candidate.untouchable = table_skip(&s, "!");
	if (table_skip(&s, "*"))
		times = read_int(&s);
	if (*s != '\0')
		bad_row("not a session");
	word[strcspn(word, "!*")] = '\0';
	for (; times > 0; times--)
	{
		if (each)
			like.role = 1000 + n_candidates;
		add_candidate(&candidate, &like, word);
	}
}

/* "orders T9 T8*3; web I30" */
static void
read_sessions(const char *s)
{
	char	   *group_end;
	char	   *group;
	int32_t		application = 0;

	n_candidates = n_tallies = 0;
	memset(tallies, 0, sizeof(tallies));
	snprintf(label_space, sizeof(label_space), "%s", s);
	for (group = strtok_r(label_space, ";", &group_end); group != NULL;
		 group = strtok_r(NULL, ";", &group_end))
	{
		char	   *word_end;
		char	   *word = strtok_r(group, " ", &word_end);

		if (application == MAX_APPLICATIONS)
			bad_row("too many applications");
		snprintf(names[application], sizeof(names[0]), "%s", word);
		while ((word = strtok_r(NULL, " ", &word_end)) != NULL)
			read_session(word, application);
		application++;
	}
}

/*
 * Append "orders T9*3" for a run of the same choice, or "T9*3" if the run
 * before it was of the same application.
 */
static void
print_run(char *buf, size_t size, int32_t i, int times, int32_t *application)
{
	size_t		len = strlen(buf);

	if (times == 0)
		return;
	if (likenesses[i].application != *application)
		len += snprintf(buf + len, size - len, "%s%s", len > 0 ? " " : "",
						names[likenesses[i].application]);
	*application = likenesses[i].application;
	len += snprintf(buf + len, size - len, " %s", labels[i]);
	if (times > 1)
		snprintf(buf + len, size - len, "*%d", times);
}

static bool
same_choice(int32_t i, int32_t j)
{
	return likenesses[i].application == likenesses[j].application &&
		strcmp(labels[i], labels[j]) == 0 &&
		candidates[i].state == candidates[j].state &&
		candidates[i].state_start == candidates[j].state_start;
}

/* Evict as the worker does, and print whom. */
static void
print_order(PghShortage *shortage, char *buf, size_t size, PghTime *ripe_at)
{
	int32_t		application = -1;
	int32_t		last = -1;
	int			times = 0;
	int32_t		i;

	buf[0] = '\0';
	while ((i = pgh_choose_eviction(candidates, n_candidates, tallies,
									shortage, NOW, ripe_at)) >= 0)
	{
		if (candidates[i].untouchable)
			bad_row("an untouchable session was chosen");
		if (times > 0 && !same_choice(i, last))
		{
			print_run(buf, size, last, times, &application);
			times = 0;
		}
		last = i;
		times++;
		candidates[i].untouchable = true;
		pgh_tally_take(tallies, &candidates[i]);
		shortage->available++;
	}
	print_run(buf, size, last, times, &application);
}

/* The sessions of the row are those of a cap: how short is it? */
static bool
cap_is_short(PghShortage *shortage)
{
	PghCap		cap = {
		.limit = cap_limit,.refused_lately = shortage->refused_lately
	};

	cap.held = n_candidates;
	for (int32_t i = 0; i < n_candidates; i++)
	{
		PghState	state = candidates[i].state;

		cap.idle += state == PGH_STATE_IDLE;
		cap.idle_transactions += pgh_state_in_transaction_idle(state);
	}
	for (int32_t i = 0; i < n_candidates; i++)
		candidates[i].min_idle = pgh_cap_min_idle(&cap, &candidates[i]);
	*shortage = pgh_cap_shortage(&cap);
	return pgh_cap_is_short(&cap);
}

static void
test_eviction(char **field)
{
	PghShortage shortage;
	PghTime		ripe_at = PGH_NEVER;
	char		got[TABLE_LINE_LEN] = "not short";
	size_t		len;

	read_shortage(field[0], &shortage);
	read_sessions(field[1]);
	if (cap_limit > 0 ? cap_is_short(&shortage) :
		pgh_slots_are_short(&shortage))
	{
		print_order(&shortage, got, sizeof(got), &ripe_at);
		len = strlen(got);
		if (len > 0)
			len += snprintf(got + len, sizeof(got) - len, ", ");
		if (shortage.available >= 2 * (int64_t) shortage.headroom)
			snprintf(got + len, sizeof(got) - len, "%s", ripe_at == PGH_NEVER ?
					 "enough" : "enough, but not never");
		else if (ripe_at == PGH_NEVER)
			snprintf(got + len, sizeof(got) - len, "never");
		else
			snprintf(got + len, sizeof(got) - len, "in %gs",
					 (double) (ripe_at - NOW) / SECOND);
	}
	tap_is_text(got, field[2], "evict.tbl:%d %s | %s", current.line, field[0],
				field[1]);
}

static void
test_headroom(int32_t max_connections, int32_t usable, int32_t expected)
{
	int32_t		got = pgh_automatic_headroom(max_connections, usable);

	tap_ok(got == expected, "headroom of %d of %d slots is %d, not %d", usable,
		   max_connections, expected, got);
}

int
main(void)
{
	test_headroom(100, 97, 5);
	test_headroom(1000, 990, 50);
	test_headroom(59, 56, 3);
	test_headroom(15, 12, 3);
	test_headroom(14, 11, 2);
	test_headroom(6, 3, 0);
	test_headroom(4, 4, 1);
	test_headroom(1, 1, 0);
	test_headroom(3, 0, 0);
	test_headroom(1000, 20, 5);
	for_each_row("test/unit/admit.tbl", 2, test_admission);
	for_each_row("test/unit/evict.tbl", 3, test_eviction);
	return tap_done();
}
