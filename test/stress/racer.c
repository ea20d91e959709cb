/*-------------------------------------------------------------------------
 *
 * racer.c
 *	  Clients that go back to work at the moment at which a limit ends them.
 *
 * Owns: the clients' half of the stress test, many connections in one
 * process.  Must not: judge.  It reports what its clients saw; whether that
 * was right is found out by comparing it with the server's log and views.
 *
 * A client opens its session, rests, and sends its next statement within a
 * millisecond of the limit, earlier or later by chance.  When exactly its
 * session would end depends on the server and the machine, so the moment aimed
 * at is learnt: later after each round that survived, earlier after each that
 * was ended before its statement was sent.  About half of the rounds end
 * either way, and the rest of them are what the test is about.
 *
 * Every statement raises a sequence of the client's own, which no rollback
 * takes back.  So a client that was ended can tell afterwards whether the
 * statement whose reply it never got had been executed.
 *
 * Standard output, one line each:
 *	 ended PID SQLSTATE sent|unsent [early] [bare]
 *		a session was ended.  "sent": its next statement was on its way.
 *		"early": less than the limit after the statement before it was sent,
 *		which is before the session began to rest.  "bare": without a DETAIL
 *		or a HINT.  SQLSTATE is "none" when the socket closed without a word
 *	 lost PID
 *		a statement of that session, ended before, had been executed though
 *		its reply never came
 *	 total NAME NUMBER
 *		at the end: rounds, survived, closed, refused; aim in microseconds
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

/* What libpq calls a result may be a refusal or a farewell. */
typedef PGresult Reply;

#define MAX_RACERS 1000
#define NEVER INT64_MAX

/* Statements are sent this far from the moment aimed at, at most. */
#define JITTER 1000

/* How far the aim moves after a round. */
#define STEP 10

/* How far behind the limit the aim may get. */
#define MAX_AIM 100000

/* Length of a long statement; a socket's buffer must have room for it. */
#define LONG_SQL 60000

/* A refused client tries again after this, and gives up after so many. */
#define RETRY_AFTER 2000
#define MAX_REFUSALS 5000

/* A racer that has not come to its end by then hangs. */
#define GRACE INT64_C(60000000)

typedef enum State
{
	WAITING,					/* without a connection, until "due" */
	CONNECTING,
	OPENING,					/* the opening statements are under way */
	RESTING,					/* until "due", or until it is ended */
	RACING,						/* its statement is under way */
	CLOSING,					/* the closing statement is under way */
	CLOSED
} State;

typedef struct Racer
{
	int			number;			/* from 1; names its sequence */
	State		state;
	PGconn	   *conn;
	PostgresPollingStatusType wants;	/* while CONNECTING */
	int64_t		due;
	int64_t		sent_at;		/* the statement under way */
	int64_t		rests_since;	/* when the last one replied to was sent */
	int64_t		executed;		/* what its sequence must have come to */
	bool		unsure;			/* ended with a statement under way */
	int			pid;			/* of its present or last session */
	int			refusals;		/* in a row */

	/* The FATAL of this session, if it came. */
	bool		fatal;
	bool		cut_short;		/* the statement under way got an error */
	bool		bare;
	char		sqlstate[6];
} Racer;

/* What was asked for. */
static const char *conninfo = "";
static const char *opening = "";
static const char *closing = "";
static int	n_racers = 60;
static int64_t limit = 100000;
static int64_t wanted_endings = 1000;
static int64_t seconds = 60;

static Racer racers[MAX_RACERS];
static int64_t aim;
static bool stopping;

static int64_t endings;
static int64_t rounds;
static int64_t survived;
static int64_t closed;
static int64_t refused;

static void
give_up(const char *format,...)
{
	va_list		args;

	fflush(stdout);
	va_start(args, format);
	fputs("racer: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

/* Microseconds of a clock that never jumps. */
static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ----------
 * Connections
 * ----------
 */

static void
disconnect(Racer *racer)
{
	PQfinish(racer->conn);
	racer->conn = NULL;
}

/* Remember the last words of a session. */
static void
note_fatal(Racer *racer, const Reply *result)
{
	const char *severity = PQresultErrorField(result,
											  PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (severity == NULL || strcmp(severity, "FATAL") != 0)
		return;
	racer->fatal = true;
	snprintf(racer->sqlstate, sizeof(racer->sqlstate), "%s",
			 sqlstate ? sqlstate : "none");
	racer->bare = !PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL) ||
		!PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
}

/* libpq takes an error that comes without a question for a notice. */
static void
receive_notice(void *arg, const Reply *result)
{
	note_fatal(arg, result);
}

static void
connect_racer(Racer *racer)
{
	racer->fatal = false;
	racer->cut_short = false;
	racer->bare = true;
	strcpy(racer->sqlstate, "none");
	racer->rests_since = now();
	racer->conn = PQconnectStart(conninfo);
	if (racer->conn == NULL || PQstatus(racer->conn) == CONNECTION_BAD)
		give_up("cannot connect: %s", PQerrorMessage(racer->conn));
	PQsetNoticeReceiver(racer->conn, receive_notice, racer);
	racer->wants = PGRES_POLLING_WRITING;
	racer->state = CONNECTING;
}

/* ----------
 * What a racer does next
 * ----------
 */

/* A session was ended: report it, and begin another. */
static void
be_ended(Racer *racer)
{
	bool		sent = racer->state != RESTING;

	printf("ended %d %s %s%s%s\n", racer->pid, racer->sqlstate,
		   sent ? "sent" : "unsent",
		   now() - racer->rests_since < limit ? " early" : "",
		   racer->bare ? " bare" : "");
	endings++;
	if (racer->state == RESTING && aim > 0)
		aim -= STEP;
	if (racer->state == RACING)
		racer->unsure = true;
	disconnect(racer);
	if (stopping && !racer->unsure)
		racer->state = CLOSED;
	else
		connect_racer(racer);
}

/*
 * Send a statement, or find that the session is over.  Its time is taken
 * before: the session cannot rest again earlier than that.
 */
static void
send_sql(Racer *racer, State state, const char *sql, bool in_parts)
{
	int			sent;

	racer->state = state;
	racer->sent_at = now();
	if (in_parts)
		sent = PQsendQueryParams(racer->conn, sql,
								 0, NULL, NULL, NULL, NULL, 0);
	else
		sent = PQsendQuery(racer->conn, sql);
	if (!sent)
		be_ended(racer);
}

static void
send_opening(Racer *racer)
{
	char		sql[200];

	racer->pid = PQbackendPID(racer->conn);
	racer->refusals = 0;
	snprintf(sql, sizeof(sql), "%sSELECT last_value, is_called FROM race_%d",
			 opening, racer->number);
	send_sql(racer, OPENING, sql, false);
}

/*
 * Statements that are over before anybody can look, statements that take a
 * millisecond, statements that come in several messages, and long ones: the
 * server converts the whole text between receiving it and beginning with it.
 */
static void
send_statement(Racer *racer)
{
	static char sql[LONG_SQL];
	int			sort = random() % 4;
	int			length;

	length = snprintf(sql, sizeof(sql), "SELECT nextval('race_%d')%s",
					  racer->number, sort == 0 ?
					  " UNION ALL SELECT count(*) FROM generate_series(1, 5000)" : "");
	if (sort == 1)
	{
		memset(sql + length, ' ', sizeof(sql) - length - 1);
		sql[sizeof(sql) - 1] = '\0';
	}
	rounds++;
	send_sql(racer, RACING, sql, sort == 2);
}

/*
 * The last statement takes the session to where no limit acts, so that it can
 * hang up without missing its own end.
 */
static void
rest(Racer *racer)
{
	if (stopping)
	{
		send_sql(racer, CLOSING, closing, false);
		return;
	}
	racer->state = RESTING;
	racer->due = now() + aim - JITTER + random() % (2 * JITTER + 1);
}

/* The reply to the statement under way is complete: it was not ended. */
static void
note_reply(Racer *racer)
{
	if (racer->state == RACING)
	{
		survived++;
		racer->executed++;
		if (aim < limit + MAX_AIM)
			aim += STEP;
	}
	racer->rests_since = racer->sent_at;
}

/* Go on after a reply. */
static void
go_on(Racer *racer)
{
	if (racer->state == CLOSING)
	{
		closed++;
		disconnect(racer);
		racer->state = CLOSED;
	}
	else
		rest(racer);
}

/* How far had the sequence come before this session? */
static void
check_executed(Racer *racer, const Reply *result)
{
	int64_t		value = 0;

	if (strcmp(PQgetvalue(result, 0, 1), "t") == 0)
		value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	if (racer->unsure && value > racer->executed)
		printf("lost %d\n", racer->pid);
	racer->unsure = false;
	racer->executed = value;
}

static void
take_result(Racer *racer, const Reply *result)
{
	switch (PQresultStatus(result))
	{
		case PGRES_TUPLES_OK:
			if (racer->state == OPENING)
				check_executed(racer, result);
			break;
		case PGRES_COMMAND_OK:
			break;
		default:
			racer->cut_short = true;
			note_fatal(racer, result);
			if (!racer->fatal && PQstatus(racer->conn) == CONNECTION_OK)
				give_up("unexpected: %s", PQresultErrorMessage(result));
			break;
	}
}

/* Read what has come: a reply, the end of the session, or both. */
static void
read_input(Racer *racer)
{
	bool		over = !PQconsumeInput(racer->conn);
	bool		complete = false;

	while (!complete && !PQisBusy(racer->conn))
	{
		PGresult   *result = PQgetResult(racer->conn);

		if (result == NULL)
			complete = true;
		else
			take_result(racer, result);
		PQclear(result);
	}

	/* Have libpq look at what came after the reply, too. */
	(void) PQisBusy(racer->conn);
	if (racer->fatal || PQstatus(racer->conn) == CONNECTION_BAD)
		over = true;

	/* When idle, libpq always says that it is complete. */
	complete = complete && racer->state != RESTING && !racer->cut_short;
	if (complete)
		note_reply(racer);
	if (over)
	{
		if (complete)
			racer->state = RESTING;
		be_ended(racer);
	}
	else if (complete)
		go_on(racer);
}

/* The server has no slot: those of sessions just ended are not yet free. */
static void
be_refused(Racer *racer)
{
	refused++;
	if (++racer->refusals > MAX_REFUSALS)
		give_up("cannot connect: %s", PQerrorMessage(racer->conn));
	disconnect(racer);
	racer->state = WAITING;
	racer->due = now() + RETRY_AFTER;
}

static void
poll_connection(Racer *racer)
{
	racer->wants = PQconnectPoll(racer->conn);
	if (racer->wants == PGRES_POLLING_FAILED)
		be_refused(racer);
	else if (racer->wants == PGRES_POLLING_OK)
		send_opening(racer);
}

/* ----------
 * The loop
 * ----------
 */

static bool
is_due(const Racer *racer)
{
	return (racer->state == WAITING || racer->state == RESTING) &&
		(racer->due <= now() || stopping);
}

static void
advance(Racer *racer, bool ready)
{
	if (racer->state == CONNECTING && ready)
		poll_connection(racer);
	else if (racer->conn != NULL && ready)
		read_input(racer);
	else if (racer->state == RESTING && is_due(racer))
	{
		if (stopping)
			rest(racer);
		else
			send_statement(racer);
	}
	else if (racer->state == WAITING && is_due(racer))
		connect_racer(racer);
}

/* Fill in what to wait for, and return when the first racer is due. */
static int64_t
prepare(struct pollfd *fds)
{
	int64_t		first = NEVER;

	for (int i = 0; i < n_racers; i++)
	{
		Racer	   *racer = &racers[i];

		fds[i].fd = racer->conn ? PQsocket(racer->conn) : -1;
		fds[i].events = racer->state == CONNECTING &&
			racer->wants == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
		fds[i].revents = 0;
		if ((racer->state == WAITING || racer->state == RESTING) &&
			racer->due < first)
			first = racer->due;
	}
	return first;
}

static void
wait_for_sockets(struct pollfd *fds, int64_t until)
{
	int64_t		left = until - now();
	struct timespec timeout = {0, 0};

	if (left > 0)
	{
		timeout.tv_sec = left / 1000000;
		timeout.tv_nsec = left % 1000000 * 1000;
	}
	if (ppoll(fds, n_racers, &timeout, NULL) < 0 && errno != EINTR)
		give_up("cannot poll: %s", strerror(errno));
}

static bool
all_closed(void)
{
	for (int i = 0; i < n_racers; i++)
		if (racers[i].state != CLOSED)
			return false;
	return true;
}

static void
race(void)
{
	struct pollfd fds[MAX_RACERS];
	int64_t		stop_at = now() + seconds * 1000000;

	while (!all_closed())
	{
		int64_t		first = prepare(fds);

		if (now() > stop_at + GRACE)
			give_up("a client got no reply");
		wait_for_sockets(fds, first < stop_at ? first : now() + 10000);
		for (int i = 0; i < n_racers; i++)
			advance(&racers[i], fds[i].revents != 0);
		stopping = endings >= wanted_endings || now() >= stop_at;
	}
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

	while ((option = getopt(argc, argv, "c:d:e:l:n:o:s:t:")) != -1)
	{
		switch (option)
		{
			case 'c':
				closing = optarg;
				break;
			case 'd':
				conninfo = optarg;
				break;
			case 'e':
				wanted_endings = number_option(optarg, 1, INT32_MAX);
				break;
			case 'l':
				limit = number_option(optarg, 1000, INT32_MAX);
				break;
			case 'n':
				n_racers = number_option(optarg, 1, MAX_RACERS);
				break;
			case 'o':
				opening = optarg;
				break;
			case 's':
				srandom(number_option(optarg, 0, INT32_MAX));
				break;
			case 't':
				seconds = number_option(optarg, 1, 86400);
				break;
			default:
				give_up("usage: racer -d CONNINFO [-n CLIENTS] [-l LIMIT_IN_MICROSECONDS] [-e ENDINGS] [-t SECONDS] [-o OPENING] [-c CLOSING] [-s SEED]");
		}
	}
}

int
main(int argc, char **argv)
{
	read_options(argc, argv);

	/* Ask the kernel to be woken on time. */
	prctl(PR_SET_TIMERSLACK, 1L);
	aim = limit;
	for (int i = 0; i < n_racers; i++)
	{
		racers[i].number = i + 1;
		racers[i].state = WAITING;
		racers[i].executed = 0;
	}
	race();
	printf("total rounds %" PRId64 "\ntotal survived %" PRId64
		   "\ntotal closed %" PRId64 "\ntotal refused %" PRId64
		   "\ntotal aim %" PRId64 "\n",
		   rounds, survived, closed, refused, aim);
	return 0;
}
