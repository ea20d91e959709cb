/*-------------------------------------------------------------------------
 *
 * keeper.c
 *	  Clients whose transactions are rolled back when they are about to end
 *	  them, and who keep book of what they were told.
 *
 * Owns: the clients' half of the race for pg_hygiene.idle_action = rollback,
 * many connections in one process; and the comparison of their books with the
 * table.  Must not: look at the extension's views, which Keep.pm does.
 *
 * A client begins a transaction, inserts a first row, rests, and goes on within
 * a millisecond of the limit: with a second row and COMMIT, in one message or
 * in two, in the simple or the extended protocol or as a pipeline, or with
 * COMMIT alone.  The moment aimed at is learnt, as in racer.c, so that about
 * half of the transactions are rolled back.
 *
 * Within its transactions a client calls itself "racing", or "lone" if it is the
 * only one; rules for these names have the limit, so that nothing hurries it in
 * a block that was rolled back, even on a slow machine.
 *
 * What a client believes is what a driver would: COMMIT that raised no error
 * has committed, whatever its command tag says.
 *
 * Standard output, a line for each of these, with a number: rounds, committed,
 * rolled_back, late (left idle after a rollback until the session was ended),
 * and what must be 0: lost (the connection, otherwise), early (less than the
 * limit after the first row was sent), bare (without DETAIL or HINT), silent
 * (believed committed, and not all there), partial (some of its rows), risen
 * (rolled back, and there).
 *
 * One client alone does not race: it always comes a little late.  Then there
 * are also memory_before and memory_after, the bytes that its backend holds
 * after some rollbacks and at the end, and in_one_session, how many came in
 * between.
 *
 * Exit status: 0, or 2 when it could not run.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#define MAX_KEEPERS 500
#define REASON "25P03"

/* A statement is sent so far from the moment aimed at, at most. */
#define JITTER 1000
#define STEP 10
#define MAX_AIM 100000

/* How late one client alone comes, and when its memory is measured first. */
#define LATENESS 2000
#define SETTLED 100

/* One that has not come to its end by then hangs. */
#define GRACE INT64_C(60000000)

typedef enum State
{
	CONNECTING,
	OPENING,					/* BEGIN and the first row are under way */
	RESTING,					/* until "due" */
	WORKING,					/* on the second row; COMMIT follows */
	ENDING,						/* what is under way has a COMMIT at its end */
	CLEANING,					/* a ROLLBACK is under way */
	CLOSED
} State;

/* What a client believes of a transaction. */
typedef enum Fate
{
	UNKNOWN,					/* the connection was lost */
	GONE,
	ONE_ROW,
	TWO_ROWS
} Fate;

typedef enum Sort
{
	ROW_THEN_COMMIT,
	ROW_AND_COMMIT,				/* in one message */
	COMMIT_ALONE,
	EXTENDED,
	PIPELINE,
	N_SORTS
} Sort;

typedef struct Keeper
{
	int			number;
	State		state;
	Sort		sort;
	PGconn	   *conn;
	PostgresPollingStatusType wants;
	int64_t		due;
	int64_t		measured_from;
	bool		failed;			/* what is under way got the reason */
	bool		fatal;			/* the session was ended after a rollback */
	unsigned char *book;		/* the Fate of each transaction */
	int			n;				/* transactions so far; the last is open */
	int			room;
} Keeper;

static const char *conninfo = "";
static int64_t limit = 100000;
static int	n_keepers = 60;
static int64_t wanted = 1000;
static int64_t seconds = 60;
static int64_t aim = 0;
static bool stopping = false;

static Keeper keepers[MAX_KEEPERS];
static int64_t rounds;
static int64_t committed;
static int64_t rolled_back;
static int64_t late;
static int64_t lost;
static int64_t early;
static int64_t bare;
static int64_t memory_before;
static int64_t memory_after;
static int64_t in_one_session;

static void give_up(const char *format,...)
			__attribute__((noreturn, format(printf, 1, 2)));

static void
give_up(const char *format,...)
{
	va_list		args;

	fflush(stdout);
	va_start(args, format);
	fputs("keeper: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Memory that a backend has for itself, in bytes. */
static int64_t
memory_of(int pid)
{
	char		path[64];
	long		pages = 0;
	long		shared = 0;
	FILE	   *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	file = fopen(path, "r");
	if (file == NULL || fscanf(file, "%*d %ld %ld", &pages, &shared) != 2)
		give_up("cannot read %s", path);
	fclose(file);
	return (int64_t) (pages - shared) * sysconf(_SC_PAGESIZE);
}

/* ----------
 * One client
 * ----------
 */

static void receive_notice(void *arg, const PGresult * result);

static void
begin_connection(Keeper *keeper)
{
	keeper->conn = PQconnectStart(conninfo);
	if (keeper->conn == NULL || PQstatus(keeper->conn) == CONNECTION_BAD)
		give_up("cannot connect: %s", PQerrorMessage(keeper->conn));
	PQsetNoticeReceiver(keeper->conn, receive_notice, keeper);
	keeper->wants = PGRES_POLLING_WRITING;
	keeper->state = CONNECTING;
	keeper->fatal = false;
}

static void
note_fate(Keeper *keeper, Fate fate)
{
	keeper->book[keeper->n - 1] = fate;
	if (fate == ONE_ROW || fate == TWO_ROWS)
		committed++;
}

static void
learn(int64_t step)
{
	if (aim + step > -limit && aim + step < MAX_AIM)
		aim += step;
}

/* The session has ended. */
static void
be_ended(Keeper *keeper)
{
	if (keeper->fatal)
		late++;
	else
		lost++;

	/* Ended after a rollback, it cannot have committed. */
	if (keeper->n > 0 && keeper->fatal &&
		keeper->book[keeper->n - 1] == UNKNOWN)
		note_fate(keeper, GONE);
	rolled_back += keeper->fatal && !keeper->failed;
	in_one_session = 0;
	PQfinish(keeper->conn);
	begin_connection(keeper);
}

static void
send_sql(Keeper *keeper, State state, const char *sql, bool extended)
{
	int			sent = extended ?
		PQsendQueryParams(keeper->conn, sql, 0, NULL, NULL, NULL, NULL, 0) :
		PQsendQuery(keeper->conn, sql);

	keeper->state = state;
	if (sent)
		return;
	(void) PQisBusy(keeper->conn);
	be_ended(keeper);
}

static void
send_pipeline(Keeper *keeper, const char *sql)
{
	keeper->state = ENDING;
	if (PQenterPipelineMode(keeper->conn) &&
		PQsendQueryParams(keeper->conn, sql, 0, NULL, NULL, NULL, NULL, 0) &&
		PQsendQueryParams(keeper->conn, "COMMIT", 0, NULL, NULL, NULL, NULL, 0) &&
		PQpipelineSync(keeper->conn))
		return;
	(void) PQisBusy(keeper->conn);
	be_ended(keeper);
}

static void
open_transaction(Keeper *keeper)
{
	char		sql[200];

	if (stopping)
	{
		if (n_keepers == 1)
			memory_after = memory_of(PQbackendPID(keeper->conn));
		PQfinish(keeper->conn);
		keeper->conn = NULL;
		keeper->state = CLOSED;
		return;
	}
	if (in_one_session == SETTLED)
		memory_before = memory_of(PQbackendPID(keeper->conn));
	if (keeper->n == keeper->room)
	{
		keeper->room = keeper->room * 2 + 1000;
		keeper->book = realloc(keeper->book, keeper->room);
		if (keeper->book == NULL)
			give_up("out of memory");
	}
	keeper->book[keeper->n++] = UNKNOWN;
	keeper->failed = false;
	keeper->measured_from = now();
	snprintf(sql, sizeof(sql), "BEGIN; SET LOCAL application_name = %s; INSERT INTO kept VALUES (%d, %d, 1)",
			 n_keepers == 1 ? "lone" : "racing",
			 keeper->number, keeper->n);
	send_sql(keeper, OPENING, sql, false);
}

/* Its rest is over: go on. */
static void
go_on(Keeper *keeper)
{
	char		row[100];
	char		both[200];

	rounds++;
	keeper->sort = random() % N_SORTS;
	snprintf(row, sizeof(row), "INSERT INTO kept VALUES (%d, %d, 2)",
			 keeper->number, keeper->n);
	snprintf(both, sizeof(both), "%s; COMMIT", row);
	switch (keeper->sort)
	{
		case ROW_AND_COMMIT:
			send_sql(keeper, ENDING, both, false);
			break;
		case COMMIT_ALONE:
			send_sql(keeper, ENDING, "COMMIT", random() % 2);
			break;
		case PIPELINE:
			send_pipeline(keeper, row);
			break;
		default:
			send_sql(keeper, WORKING, row, keeper->sort == EXTENDED);
			break;
	}
}

/* What was under way is over, with or without an error. */
static void
be_answered(Keeper *keeper)
{
	if (PQpipelineStatus(keeper->conn) != PQ_PIPELINE_OFF)
		(void) PQexitPipelineMode(keeper->conn);
	if (keeper->state == OPENING)
	{
		keeper->state = RESTING;
		keeper->due = now() + limit +
			(n_keepers == 1 ? LATENESS :
			 aim - JITTER + random() % (2 * JITTER + 1));
		return;
	}
	if (keeper->state != CLEANING && keeper->failed)
	{
		rolled_back++;
		in_one_session++;
		learn(-STEP);
		note_fate(keeper, GONE);
		early += now() - keeper->measured_from < limit;
	}
	if (keeper->failed && PQtransactionStatus(keeper->conn) != PQTRANS_IDLE)
		send_sql(keeper, CLEANING, "ROLLBACK", false);
	else if (keeper->state == WORKING)
		send_sql(keeper, ENDING, "COMMIT", keeper->sort == EXTENDED);
	else
	{
		if (keeper->state == ENDING && !keeper->failed)
		{
			learn(STEP);
			note_fate(keeper,
					  keeper->sort == COMMIT_ALONE ? ONE_ROW : TWO_ROWS);
		}
		open_transaction(keeper);
	}
}

static void
note_error(Keeper *keeper, const PGresult * result)
{
	const char *severity = PQresultErrorField(result,
											  PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);

	if (severity == NULL || sqlstate == NULL || strcmp(severity, "WARNING") == 0)
		return;
	if (strcmp(sqlstate, REASON) != 0)
	{
		if (strcmp(severity, "FATAL") != 0)
			give_up("unexpected: %s", PQresultErrorMessage(result));
		return;
	}
	bare += detail == NULL ||
		PQresultErrorField(result, PG_DIAG_MESSAGE_HINT) == NULL;
	if (strcmp(severity, "FATAL") == 0)
		keeper->fatal = detail != NULL &&
			strstr(detail, "after it had been rolled back") != NULL;
	else
		keeper->failed = true;
}

static void
receive_notice(void *arg, const PGresult * result)
{
	note_error(arg, result);
}

/* All that has come; true when what was sent is answered. */
static bool
take_results(Keeper *keeper)
{
	bool		pipeline = PQpipelineStatus(keeper->conn) != PQ_PIPELINE_OFF;
	int			nulls = 0;

	while (!PQisBusy(keeper->conn))
	{
		PGresult   *result = PQgetResult(keeper->conn);
		ExecStatusType status = PQresultStatus(result);

		if (result == NULL && (!pipeline || ++nulls > 1))
			return !pipeline;
		if (result != NULL)
			nulls = 0;
		if (status == PGRES_FATAL_ERROR && result != NULL)
			note_error(keeper, result);
		PQclear(result);
		if (status == PGRES_PIPELINE_SYNC)
			return true;
	}
	return false;
}

static void
read_input(Keeper *keeper)
{
	bool		over = !PQconsumeInput(keeper->conn);
	bool		answered = keeper->state != RESTING && take_results(keeper);

	(void) PQisBusy(keeper->conn);
	if (over || PQstatus(keeper->conn) == CONNECTION_BAD)
		be_ended(keeper);
	else if (answered)
		be_answered(keeper);
}

static void
advance(Keeper *keeper, bool ready)
{
	if (keeper->state == CONNECTING && ready)
	{
		keeper->wants = PQconnectPoll(keeper->conn);
		if (keeper->wants == PGRES_POLLING_FAILED)
			give_up("cannot connect: %s", PQerrorMessage(keeper->conn));
		if (keeper->wants == PGRES_POLLING_OK)
			open_transaction(keeper);
	}
	else if (keeper->state != CONNECTING && keeper->state != CLOSED && ready)
		read_input(keeper);
	else if (keeper->state == RESTING && keeper->due <= now())
		go_on(keeper);
}

/* ----------
 * The loop
 * ----------
 */

static bool
wait_for_sockets(struct pollfd *fds)
{
	int64_t		began = now();
	int64_t		first = began + 10000;
	struct timespec timeout = {0, 0};
	bool		open = false;

	for (int i = 0; i < n_keepers; i++)
	{
		Keeper	   *keeper = &keepers[i];

		fds[i].fd = keeper->state == CLOSED ? -1 : PQsocket(keeper->conn);
		fds[i].events = keeper->state == CONNECTING &&
			keeper->wants == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
		fds[i].revents = 0;
		if (keeper->state == RESTING && keeper->due < first)
			first = keeper->due;
		open |= keeper->state != CLOSED;
	}
	if (first > began)
		timeout.tv_nsec = (first - began) * 1000;
	if (ppoll(fds, n_keepers, &timeout, NULL) < 0 && errno != EINTR)
		give_up("cannot poll: %s", strerror(errno));
	return open;
}

static void
race(void)
{
	struct pollfd fds[MAX_KEEPERS];
	int64_t		stop_at = now() + seconds * 1000000;

	for (int i = 0; i < n_keepers; i++)
	{
		keepers[i].number = i + 1;
		begin_connection(&keepers[i]);
	}
	while (wait_for_sockets(fds))
	{
		if (now() > stop_at + GRACE)
			give_up("a client got no reply");
		for (int i = 0; i < n_keepers; i++)
			advance(&keepers[i], fds[i].revents != 0);
		stopping = rolled_back >= wanted || now() >= stop_at;
	}
}

/* ----------
 * The books and the table
 * ----------
 */

static void
compare(int64_t *silent, int64_t *partial, int64_t *risen)
{
	static const int rows[] = {0, 0, 1, 2};
	PGconn	   *conn = PQconnectdb(conninfo);

	for (int i = 0; i < n_keepers; i++)
	{
		Keeper	   *keeper = &keepers[i];
		int		   *found = calloc(keeper->n + 1, sizeof(int));
		char		sql[100];
		PGresult   *result;

		snprintf(sql, sizeof(sql), "SELECT number, count(*) FROM kept WHERE client = %d GROUP BY number",
				 keeper->number);
		result = PQexec(conn, sql);
		if (found == NULL || PQresultStatus(result) != PGRES_TUPLES_OK)
			give_up("cannot read the table: %s", PQerrorMessage(conn));
		for (int j = 0; j < PQntuples(result); j++)
			found[atoi(PQgetvalue(result, j, 0))] =
				atoi(PQgetvalue(result, j, 1));
		for (int j = 1; j <= keeper->n; j++)
		{
			Fate		fate = keeper->book[j - 1];

			*silent += fate > GONE && found[j] == 0;
			*partial += fate > GONE && found[j] != 0 && found[j] != rows[fate];
			*risen += fate == GONE && found[j] != 0;
		}
		PQclear(result);
		free(found);
	}
	PQfinish(conn);
}

static int64_t
number_option(const char *text, int64_t min, int64_t max)
{
	char	   *end;
	int64_t		value = strtoll(text, &end, 10);

	if (end == text || *end != '\0' || value < min || value > max)
		give_up("\"%s\" is not a number between %" PRId64 " and %" PRId64,
				text, min, max);
	return value;
}

static void
read_options(int argc, char **argv)
{
	int			option;

	while ((option = getopt(argc, argv, "d:e:l:n:s:t:")) != -1)
	{
		switch (option)
		{
			case 'd':
				conninfo = optarg;
				break;
			case 'e':
				wanted = number_option(optarg, 1, INT32_MAX);
				break;
			case 'l':
				limit = number_option(optarg, 1000, INT32_MAX);
				break;
			case 'n':
				n_keepers = number_option(optarg, 1, MAX_KEEPERS);
				break;
			case 's':
				srandom(number_option(optarg, 0, INT32_MAX));
				break;
			case 't':
				seconds = number_option(optarg, 1, 86400);
				break;
			default:
				give_up("usage: keeper -d CONNINFO [-n CLIENTS] [-l LIMIT_IN_MICROSECONDS] [-e ROLLBACKS] [-t SECONDS] [-s SEED]");
		}
	}
}

int
main(int argc, char **argv)
{
	int64_t		silent = 0;
	int64_t		partial = 0;
	int64_t		risen = 0;

	read_options(argc, argv);
	prctl(PR_SET_TIMERSLACK, 1L);
	race();
	compare(&silent, &partial, &risen);
	printf("rounds %" PRId64 "\ncommitted %" PRId64 "\nrolled_back %" PRId64
		   "\nlate %" PRId64 "\nlost %" PRId64 "\nearly %" PRId64
		   "\nbare %" PRId64 "\nsilent %" PRId64 "\npartial %" PRId64
		   "\nrisen %" PRId64 "\nmemory_before %" PRId64
		   "\nmemory_after %" PRId64 "\nin_one_session %" PRId64 "\n",
		   rounds, committed, rolled_back, late, lost, early, bare,
		   silent, partial, risen, memory_before, memory_after,
		   in_one_session);
	return 0;
}
