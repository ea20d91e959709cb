/*-------------------------------------------------------------------------
 *
 * pure/diagnosis.c
 *	  From facts about sessions to a pattern, and from that to advice.
 *
 * Owns: the thresholds, and the sentences.  Must not: read a clock, shared
 * memory or a setting, allocate, or raise an error: it is compiled and tested
 * without PostgreSQL.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#include <stddef.h>

#include "pure/behaviour.h"
#include "pure/diagnosis.h"
#include "pure/policy.h"

#define SECOND INT64_C(1000000)

/*
 * Of sessions that were ended nobody knows whether they would have come back.
 * If fewer than one in this many of their like did, they would not.  What
 * comes back in a few seconds is not noted where the limit is ten minutes, but
 * may be ended for its slot; so the like of those are also the pauses that the
 * application is known for.
 */
#define ENDED_SHARE 10

/*
 * A call makes its own pool: its connection works for seconds and then never
 * again.  The pools that are in use keep far fewer idle by themselves (5 in
 * SQLAlchemy, 10 in most others), but several processes share an address.
 */
#define CALL_TIME (5 * SECOND)
#define CALL_TRANSACTIONS 5
#define CALL_CONNECTIONS 20		/* for each client address */
#define CALL_ONE_BY_ONE 2		/* at once: no more than one in this many */
#define CALL_LATE 10			/* that began when others were silent */

/*
 * A process of a prefork server has one connection, or two.  With this many or
 * more in each, it is pools that are many or large.
 */
#define CONNECTIONS_PER_PROCESS 4

/*
 * Without a pool: nearly as many sessions as transactions, one in two seconds
 * or more, and enough of them.  More slowly, connecting costs nothing that
 * matters: cron jobs, probes, people.
 */
#define SHORT_SESSIONS 100
#define SHORT_SESSION_TIME (10 * SECOND)
#define SHORT_SESSION_TENTHS 20 /* transactions in each, in tenths */
#define SHORT_SESSION_PERIOD (2 * SECOND)	/* one in this time, or more */
#define SHORT_SESSION_OBSERVED (30 * SECOND)

/* Most of a pool idle at all times, and little done by those that are not. */
#define POOL_CONNECTIONS 20
#define POOL_CONNECTIONS_PER_CLIENT 10
#define POOL_USE 4				/* never more than one in this many */
#define POOL_OBSERVED (50 * SECOND)

/* Without a name: several places, or more than one small pool. */
#define NAMELESS_PLACES 5
#define NAMELESS_CONNECTIONS 10

/* A driver may give the name after it has connected, but does so once. */
#define LENT_RENAMES 2

static const char *const advice[PGH_N_PATTERNS] = {
	[PGH_PATTERN_READ_NEVER_ENDED] =
	"A SELECT opened a transaction that the program never ends. "
	"Commit or roll back after reading, or use the session in a with block.",
	[PGH_PATTERN_WRITE_NEVER_COMMITTED] =
	"The program wrote and neither committed nor rolled back, so its locks "
	"stay and the change is lost when the session ends. "
	"Commit when the work is done, and roll back on every error.",
	[PGH_PATTERN_ABORTED_NEVER_ROLLED_BACK] =
	"A statement failed and the program never rolled its transaction back. "
	"Roll back wherever an error is caught, or use the transaction in a "
	"with block, which does so.",
	[PGH_PATTERN_BEGIN_WITHOUT_WORK] =
	"The program began a transaction and then did nothing in it. "
	"Begin only when the first statement is due, and commit or roll back "
	"also when there was nothing to do.",
	[PGH_PATTERN_WAITS_IN_TRANSACTION] =
	"The program waits for something else inside a transaction, and often "
	"comes back. "
	"Do what takes time before BEGIN or after COMMIT, or give it a rule that "
	"allows pauses as long as hygiene.behaviour shows.",
	[PGH_PATTERN_POOL_PER_CALL] =
	"Many connections did a few transactions each and were then left open, "
	"as when an engine or pool is made for every call. "
	"Make one when the program starts, use it everywhere, and close each "
	"session when its work is done.",
	[PGH_PATTERN_NO_POOLING] =
	"The program opens a new connection for almost every transaction. "
	"Use one connection pool for the life of each process, or put a pooler "
	"such as PgBouncer in between.",
	[PGH_PATTERN_POOL_TOO_LARGE] =
	"The application keeps many times more connections open than it uses "
	"at once. "
	"Lower the size of the pool in each of its processes, or let it close "
	"connections that stay idle.",
	[PGH_PATTERN_NO_NAME] =
	"Programs connect without an application name, so nobody can tell which "
	"of them holds these connections. "
	"Set application_name in the connection settings of each program.",
};

const char *
pgh_pattern_advice(PghPattern pattern)
{
	return advice[pattern];
}

static inline int64_t
clients_of(int32_t clients)
{
	return clients > 0 ? clients : 1;
}

bool
pgh_session_is_abandoned(const PghFacts *facts, int64_t transactions,
						 PghTime now)
{
	return ((facts->state == PGH_STATE_IDLE && facts->renames == 0) ||
			pgh_state_in_transaction_idle(facts->state)) &&
		transactions >= 1 && transactions <= CALL_TRANSACTIONS &&
		facts->state_start - facts->backend_start <= CALL_TIME &&
		now - facts->state_start >= PGH_CALL_SILENCE;
}

bool
pgh_session_is_used_again(const PghFacts *facts, int64_t transactions)
{
	return transactions >= 2 &&
		facts->state_start - facts->backend_start >= PGH_CALL_SILENCE;
}

bool
pgh_session_is_lent(const PghFacts *facts)
{
	return facts->renames >= LENT_RENAMES;
}

static inline int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Is there evidence that such transactions are not ended by themselves? */
static bool
never_ends(const PghLeakFacts *facts)
{
	int64_t		resumed = larger(facts->resumed, facts->like_resumed);
	int64_t		lost = larger(facts->periods - facts->resumed,
							  larger(facts->ended, facts->like_lost));

	return pgh_never_resumes(facts->periods, facts->resumed) ||
		(facts->ended > 0 && resumed * ENDED_SHARE < resumed + lost);
}

static PghPattern
diagnose_transaction(const PghLeakFacts *facts)
{
	if (!never_ends(facts))
		return facts->ended > 0 ? PGH_PATTERN_WAITS_IN_TRANSACTION :
			PGH_PATTERN_NONE;
	if (facts->state == PGH_STATE_IDLE_IN_TRANSACTION_ABORTED)
		return PGH_PATTERN_ABORTED_NEVER_ROLLED_BACK;
	if ((facts->wrote && !facts->locks_rows) ||
		facts->last_statement == PGH_STATEMENT_WRITE)
		return PGH_PATTERN_WRITE_NEVER_COMMITTED;
	if (facts->last_statement == PGH_STATEMENT_READ)
		return PGH_PATTERN_READ_NEVER_ENDED;
	if (facts->last_statement == PGH_STATEMENT_BEGIN)
		return PGH_PATTERN_BEGIN_WITHOUT_WORK;
	return PGH_PATTERN_NONE;
}

PghPattern
pgh_diagnose_leak(const PghLeakFacts *facts)
{
	if (pgh_state_in_transaction_idle(facts->state))
		return diagnose_transaction(facts);
	if (facts->state == PGH_STATE_IDLE &&
		facts->periods >= CALL_CONNECTIONS * clients_of(facts->clients) &&
		pgh_never_resumes(facts->periods, facts->resumed) &&
		facts->transactions_per_session >= 10 &&
		facts->transactions_per_session <= 10 * CALL_TRANSACTIONS)
		return PGH_PATTERN_POOL_PER_CALL;
	return PGH_PATTERN_NONE;
}

/*
 * Several connections in each process of the clients?  "if_unknown" where that
 * is not known, as over TCP.
 */
static bool
has_many_per_process(const PghApplicationFacts *facts, bool if_unknown)
{
	if (facts->processes == 0)
		return if_unknown;
	return facts->connections >= CONNECTIONS_PER_PROCESS * facts->processes;
}

/* Do connections that were silent for a while come into use again? */
static bool
are_used_again(const PghApplicationFacts *facts)
{
	return facts->silences_resumed > 0 &&
		!pgh_never_resumes(facts->silences, facts->silences_resumed);
}

/*
 * Nearly all of them, so that a good pool of the same name is not blamed; nor
 * is a large one, PgBouncer's perhaps, that grew in a burst and waits for the
 * next: its connections were all at work at once.  A prefork server that has
 * just started shows the same for a while, but makes no more connections while
 * those that it has lie idle.
 */
static bool
makes_pool_per_call(const PghApplicationFacts *facts)
{
	return facts->abandoned >=
		CALL_CONNECTIONS * clients_of(facts->clients) &&
		facts->abandoned >= facts->connections - facts->connections / 4 &&
		facts->abandoned_at_once * CALL_ONE_BY_ONE <= facts->abandoned &&
		!are_used_again(facts) &&
		has_many_per_process(facts, facts->abandoned_late >= CALL_LATE);
}

/*
 * What ended the sessions matters: those of a leak are as short when they are
 * ended for their slot, but pooling is not what that program lacks.
 */
static bool
has_no_pool(const PghApplicationFacts *facts)
{
	return facts->ended >= SHORT_SESSIONS &&
		facts->terminated <= facts->ended / 10 &&
		facts->transactions * 10 <= facts->ended * SHORT_SESSION_TENTHS &&
		facts->mean_session <= SHORT_SESSION_TIME &&
		facts->observed_for >= SHORT_SESSION_OBSERVED &&
		facts->ended >= facts->observed_for / SHORT_SESSION_PERIOD;
}

/*
 * The most that was seen in use is not the most there was, hence the number
 * of transactions: below one a second for each connection, bursts that nobody
 * saw are unlikely to have needed them all.  What a pooler lends to others
 * under their names is not seen in use under this one.  Where each connection
 * is used again it may be that of a process of its own.
 */
static bool
has_large_pool(const PghApplicationFacts *facts)
{
	int64_t		used = (int64_t) facts->active + facts->idle_in_transaction;
	int32_t		connections = facts->connections - facts->lent;

	if (facts->peak_active > used)
		used = facts->peak_active;
	return connections >= POOL_CONNECTIONS &&
		connections >=
		POOL_CONNECTIONS_PER_CLIENT * clients_of(facts->clients) &&
		used * POOL_USE <= connections &&
		has_many_per_process(facts, (int64_t) facts->used_again * POOL_USE <=
							 connections) &&
		facts->observed_for >= POOL_OBSERVED &&
		facts->transactions + facts->live_transactions <=
		connections * (facts->observed_for / SECOND);
}

PghPattern
pgh_diagnose_application(const PghApplicationFacts *facts)
{
	/* those that had a name lost it when a pooler took them back */
	int32_t		nameless = facts->named ? 0 :
		facts->connections - facts->renamed;

	/* where several programs are counted as one, other numbers say little */
	if (facts->clients >= 2 && nameless >= NAMELESS_PLACES)
		return PGH_PATTERN_NO_NAME;
	if (makes_pool_per_call(facts))
		return PGH_PATTERN_POOL_PER_CALL;
	if (has_no_pool(facts))
		return PGH_PATTERN_NO_POOLING;
	if (has_large_pool(facts))
		return PGH_PATTERN_POOL_TOO_LARGE;
	if (nameless >= NAMELESS_CONNECTIONS)
		return PGH_PATTERN_NO_NAME;
	return PGH_PATTERN_NONE;
}
