/*-------------------------------------------------------------------------
 *
 * warning_test.c
 *	  When a leak begins, and when a new session is warned of one.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/policy.h"
#include "tap.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

/* The moment of all claims. */
#define NOW (INT64_C(1000000000) * SECOND)

static void
test_loss(void)
{
	static const struct
	{
		const char *what;
		PghTime		ago;
		bool		due;
	}			losses[] = {
		{"at this moment", 0, true},
		{"nine minutes ago", 9 * MINUTE, true},
		{"ten minutes ago", 10 * MINUTE, true},
		{"a microsecond more", 10 * MINUTE + 1, false},
		{"a day ago", 1440 * MINUTE, false},
		{"in the future, for the clock was set back", -5 * MINUTE, true},
	};

	tap_ok(!pgh_warning_is_due(NOW, 0, 0), "nothing was ever lost");
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++)
		tap_ok(pgh_warning_is_due(NOW, NOW - losses[i].ago, 0) == losses[i].due,
			   "lost %s: %s", losses[i].what,
			   losses[i].due ? "told" : "not told");
}

static void
test_repetition(void)
{
	static const struct
	{
		const char *what;
		PghTime		ago;
		bool		due;
	}			tellings[] = {
		{"just now", 0, false},
		{"nearly a minute ago", MINUTE - 1, false},
		{"a minute ago", MINUTE, true},
		{"an hour ago", 60 * MINUTE, true},
		{"a second ahead, which is rounding", -SECOND, false},
		{"an hour ahead, for the clock was set back", -60 * MINUTE, true},
	};

	for (size_t i = 0; i < sizeof(tellings) / sizeof(tellings[0]); i++)
	{
		tap_ok(pgh_warning_is_due(NOW, NOW - SECOND, NOW - tellings[i].ago) ==
			   tellings[i].due,
			   "told %s: %s", tellings[i].what,
			   tellings[i].due ? "told again" : "not again");
		tap_ok(!pgh_warning_is_due(NOW, NOW - 11 * MINUTE,
								   NOW - tellings[i].ago),
			   "told %s, of an old loss: not again", tellings[i].what);
	}
}

/* What a session is, what is to be done about it, and when it is a leak. */
static void
test_leak(void)
{
	PghFacts	facts = {
		.state = PGH_STATE_IDLE_IN_TRANSACTION,.state_start = NOW
	};
	PghVerdict	verdict = {
		.decision.action = PGH_ACTION_TERMINATE,
		.decision.reason = PGH_LIMIT_IDLE_IN_TRANSACTION,
		.decision.limit = 10 * MINUTE,
		.deadline = NOW + 10 * MINUTE
	};

	tap_is_int(pgh_leak_begins(&facts, &verdict), NOW + MINUTE,
			   "idle in a transaction: after a tenth of its limit");
	facts.state = PGH_STATE_IDLE_IN_TRANSACTION_ABORTED;
	tap_is_int(pgh_leak_begins(&facts, &verdict), NOW + MINUTE,
			   "in an aborted one: the same");
	verdict.decision.reason = PGH_LIMIT_TRANSACTION;
	tap_is_int(pgh_leak_begins(&facts, &verdict), NOW + MINUTE,
			   "the limit on its age will end it: the same");
	verdict.decision.limit = PGH_NEVER;
	tap_is_int(pgh_leak_begins(&facts, &verdict), NOW + PGH_NEVER / 10,
			   "a far limit: in time");
	verdict.decision.limit = 9;
	tap_is_int(pgh_leak_begins(&facts, &verdict), NOW,
			   "a limit of microseconds: at once");
	verdict.decision.reason = PGH_LIMIT_HORIZON;
	tap_is_int(pgh_leak_begins(&facts, &verdict), PGH_NEVER,
			   "a limit that is no time: never");
	verdict.decision.reason = PGH_LIMIT_IDLE_IN_TRANSACTION;
	verdict.decision.action = PGH_ACTION_NONE;
	tap_is_int(pgh_leak_begins(&facts, &verdict), PGH_NEVER,
			   "no limit: never");
	verdict.decision.action = PGH_ACTION_TERMINATE;
	facts.state = PGH_STATE_IDLE;
	tap_is_int(pgh_leak_begins(&facts, &verdict), PGH_NEVER,
			   "idle outside of a transaction: never");
	facts.state = PGH_STATE_ACTIVE;
	tap_is_int(pgh_leak_begins(&facts, &verdict), PGH_NEVER,
			   "at work: never");
}

/* Is a session that is ended in a pause ended in a leak? */
static void
test_end(void)
{
	static const struct
	{
		PghState	state;
		PghLimit	reason;
		PghTime		limit;
		PghTime		lasted;
		bool		leak;
		const char *what;
	}			ends[] = {
		{PGH_STATE_IDLE_IN_TRANSACTION, PGH_LIMIT_IDLE_IN_TRANSACTION,
		10 * MINUTE, 10 * MINUTE, true, "at the limit on pauses"},
		{PGH_STATE_IDLE_IN_TRANSACTION_ABORTED, PGH_LIMIT_IDLE_BLOCKER,
		MINUTE, MINUTE, true, "while others wait"},
		{PGH_STATE_IDLE_IN_TRANSACTION, PGH_LIMIT_HEADROOM,
		3, 5 * SECOND, true, "for its slot"},
		{PGH_STATE_IDLE_IN_TRANSACTION, PGH_LIMIT_HORIZON,
		1000, SECOND / 2, true, "for VACUUM"},
		{PGH_STATE_IDLE_IN_TRANSACTION, PGH_LIMIT_ADVISORY_BLOCKER,
		MINUTE, MINUTE, false, "for an advisory lock"},
		{PGH_STATE_IDLE, PGH_LIMIT_IDLE_SESSION,
		MINUTE, MINUTE, false, "outside of a transaction"},
		{PGH_STATE_ACTIVE, PGH_LIMIT_TRANSACTION,
		MINUTE, MINUTE, false, "at work"},
		{PGH_STATE_IDLE_IN_TRANSACTION, PGH_LIMIT_TRANSACTION,
		3 * SECOND, SECOND / 7, false, "between two rows of an old cursor"},
		{PGH_STATE_IDLE_IN_TRANSACTION, PGH_LIMIT_TRANSACTION,
		3 * SECOND, SECOND / 2, false, "half a second of three"},
		{PGH_STATE_IDLE_IN_TRANSACTION, PGH_LIMIT_TRANSACTION,
		3 * SECOND, SECOND, true, "a second of three"},
		{PGH_STATE_IDLE_IN_TRANSACTION, PGH_LIMIT_TRANSACTION,
		SECOND, SECOND / 2, true, "half a second of one"},
		{PGH_STATE_IDLE_IN_TRANSACTION, PGH_LIMIT_TRANSACTION,
		MINUTE, 5 * SECOND, false, "five seconds of a minute"},
		{PGH_STATE_IDLE_IN_TRANSACTION, PGH_LIMIT_TRANSACTION,
		MINUTE, 6 * SECOND, true, "six seconds of a minute"},
	};

	for (int i = 0; i < (int) (sizeof(ends) / sizeof(ends[0])); i++)
	{
		PghFacts	facts = {
			.state = ends[i].state,.state_start = NOW - ends[i].lasted
		};
		PghDecision decision = {
			.action = PGH_ACTION_TERMINATE,.reason = ends[i].reason,
			.limit = ends[i].limit
		};

		tap_ok(pgh_ends_leak(&facts, &decision, NOW) == ends[i].leak,
			   "ended %s: %s", ends[i].what,
			   ends[i].leak ? "a leak" : "no leak");
	}
}

int
main(void)
{
	test_end();
	test_loss();
	test_repetition();
	test_leak();
	return tap_done();
}
