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
 * Where the age of transactions is raced, the statement ends the transaction
 * and begins another, and works in either or both, in one message or in two.
 * A client whose statement was cancelled leaves its failed transaction open
 * until its grace is about over.
 *
 * A client that talks (-p) sends Describe and Flush instead of a statement now
 * and then, rests again, for less than the limit, and sends the Sync that ends
 * the exchange.  Until then it must not be ended: once its Describe was
 * answered it is at work.
 *
 * A client that stalls (-u) sends its statements in a pipeline that it does not
 * end, so that its session stays at work while it rests.
 *
 * Many transactions in one message (-m) are each almost as old as they may be,
 * and the last one a little older or not.
 *
 * Every statement raises a sequence of the client's own, which no rollback
 * takes back.  So a client that was ended can tell afterwards whether the
 * statement whose reply it never got had been executed.
 *
 * Standard output, one line each:
 *	 ended PID SQLSTATE sent|unsent [early] [bare] [talking]
 *		a session was ended.  "sent": its next statement was on its way.
 *		"early": less than the limit after the statement was sent that the
 *		idleness came after, or that began the transaction.  "bare": without
 *		a DETAIL or a HINT.  SQLSTATE is "none" when the socket closed without
 *		a word.  "talking": although its Describe had been answered
 *	 cancelled PID SQLSTATE [early] [bare]
 *		the same for a statement.  "early" if the transaction in which it was
 *		cancelled was begun by the same message
 *	 lost PID
 *		a statement of that session, ended before, had been executed though
 *		its reply never came
 *	 total NAME NUMBER
 *		at the end: rounds, survived, closed, refused
 *
 * Exit status: 0, or 2 when it could not run.
 *
 *-------------------------------------------------------------------------
 */
#include "racer.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_RACERS 1000
#define NEVER INT64_MAX

/* A racer that has not come to its end by then hangs. */
#define GRACE INT64_C(60000000)

/* What was asked for. */
const char *conninfo = "";
const char *opening = "";
const char *closing = "";
bool		renews = false;
bool		works_before = false;
bool		talks = false;
bool		stalls = false;
bool		in_series = false;
int64_t		limit = 100000;
static int	n_racers = 60;
static int64_t wanted_endings = 1000;
static int64_t seconds = 60;

static Racer racers[MAX_RACERS];
bool		stopping;

int64_t		endings;
int64_t		rounds;
int64_t		survived;
int64_t		closed;
int64_t		refused;

void
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
int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ----------
 * The loop
 * ----------
 */

static bool
waits(const Racer *racer)
{
	return racer->state == WAITING || racer->state == RESTING ||
		racer->state == TALKING;
}

static bool
is_due(const Racer *racer)
{
	return waits(racer) && (racer->due <= now() || stopping);
}

static void
advance(Racer *racer, bool ready)
{
	if (racer->state == CONNECTING && ready)
		poll_connection(racer);
	else if (racer->conn != NULL && ready)
		read_input(racer);
	else if (is_due(racer))
		be_due(racer);
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
		if (waits(racer) && racer->due < first)
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

	while ((option = getopt(argc, argv, "c:d:e:l:mn:o:prs:t:uw")) != -1)
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
			case 'm':
				in_series = true;
				break;
			case 'n':
				n_racers = number_option(optarg, 1, MAX_RACERS);
				break;
			case 'o':
				opening = optarg;
				break;
			case 'p':
				talks = true;
				break;
			case 'r':
				renews = true;
				break;
			case 's':
				srandom(number_option(optarg, 0, INT32_MAX));
				break;
			case 't':
				seconds = number_option(optarg, 1, 86400);
				break;
			case 'u':
				stalls = true;
				break;
			case 'w':
				works_before = true;
				break;
			default:
				give_up("usage: racer -d CONNINFO [-n CLIENTS] [-l LIMIT_IN_MICROSECONDS] [-e ENDINGS] [-t SECONDS] [-o OPENING] [-c CLOSING] [-m] [-p] [-r] [-u] [-w] [-s SEED]");
		}
	}
}

int
main(int argc, char **argv)
{
	read_options(argc, argv);

	/* Ask the kernel to be woken on time. */
	prctl(PR_SET_TIMERSLACK, 1L);
	for (int i = 0; i < n_racers; i++)
	{
		racers[i].number = i + 1;
		racers[i].state = WAITING;
		racers[i].executed = 0;
	}
	race();
	printf("total rounds %" PRId64 "\ntotal survived %" PRId64
		   "\ntotal closed %" PRId64 "\ntotal refused %" PRId64 "\n",
		   rounds, survived, closed, refused);
	return 0;
}
