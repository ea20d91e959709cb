/*-------------------------------------------------------------------------
 *
 * drainer.c
 *	  Clients that are drained over and over while they move money.
 *
 *	  drainer HOST PORT CLIENTS SESSIONS
 *
 * Each client, in a process of its own, connects as application "old" and
 * repeats a transaction of two updates and a COMMIT, in messages of their own;
 * when its connection is gone it connects again.  The parent drains them all,
 * waits until nothing remains and all are there again, and drains again, until
 * SESSIONS were ended.
 *
 * A transaction is broken when the connection was lost after its BEGIN was
 * answered and before its COMMIT was.  Then the sums of both tables are
 * compared with what the clients were told.
 *
 * Standard output, a line for each with a number: drained, drains, committed,
 * broken, other (how many more or fewer connections the clients have lost than
 * were drained), difference.  The last three must be 0.
 *
 * Exit status: 0, or 2 when it could not run.
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libpq-fe.h>

#define MAX_CLIENTS 200

/* Each W its own process; R the parent when that has ended. */
typedef struct Book
{
	volatile int64_t committed;
	volatile int64_t broken;
	volatile int64_t lost;
	volatile bool stop;			/* W the parent */
	char		pad[39];
} Book;

static const char *host;
static const char *port;
static Book *books;

static void
give_up(const char *what, PGconn * connection)
{
	fprintf(stderr, "drainer: %s: %s\n", what,
			connection ? PQerrorMessage(connection) : "");
	exit(2);
}

static PGconn *
connect_as(const char *user, const char *application)
{
	const char *names[] = {"host", "port", "user", "dbname", "application_name", NULL};
	const char *values[] = {host, port, user, "postgres", application, NULL};
	PGconn	   *connection = PQconnectdbParams(names, values, 0);

	if (PQstatus(connection) != CONNECTION_OK)
		give_up("could not connect", connection);
	return connection;
}

/* libpq reports the end of a session that idles as a notice. */
static void
ignore(void *arg, const char *message)
{
	(void) arg;
	(void) message;
}

/* Whether a command was answered in good order. */
static bool
command(PGconn * connection, const char *sql)
{
	PGresult   *result = PQexec(connection, sql);
	bool		done = PQresultStatus(result) == PGRES_COMMAND_OK;

	PQclear(result);
	return done;
}

/* One transaction; false when the connection is gone. */
static bool
move(PGconn * connection, int client, Book *book)
{
	char		sql[3][64];

	snprintf(sql[0], sizeof(sql[0]), "UPDATE a SET n = n + 1 WHERE id = %d", client);
	snprintf(sql[1], sizeof(sql[1]), "UPDATE b SET n = n + 1 WHERE id = %d", client);
	snprintf(sql[2], sizeof(sql[2]), "COMMIT");
	if (!command(connection, "BEGIN"))
	{
		book->lost++;
		return false;
	}
	for (int i = 0; i < 3; i++)
	{
		if (command(connection, sql[i]))
			continue;
		fprintf(stderr, "drainer: broken at \"%s\": %s", sql[i],
				PQerrorMessage(connection));
		book->broken++;
		book->lost++;
		return false;
	}
	book->committed++;
	return true;
}

static void
be_client(int client)
{
	Book	   *book = &books[client];

	(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!book->stop)
	{
		PGconn	   *connection = connect_as("app", "old");

		PQsetNoticeProcessor(connection, ignore, NULL);
		while (!book->stop && move(connection, client, book))
			if (client % 3 == 0)
				usleep(client * 10);	/* some idle, some never do */
		PQfinish(connection);
	}
	_exit(0);
}

static int64_t
number(PGconn * connection, const char *sql)
{
	PGresult   *result = PQexec(connection, sql);
	int64_t		value;

	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
		give_up(sql, connection);
	value = atoll(PQgetvalue(result, 0, 0));
	PQclear(result);
	return value;
}

/* A drain of few takes as long as one of all, and all must know of the last. */
static void
await_all(PGconn * connection, int clients)
{
	while (number(connection, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'old' AND state IS NOT NULL") < clients)
		usleep(1000);
}

/* Drain until so many were ended; returns how many, and in how many drains. */
static int64_t
drain(PGconn * connection, int clients, int64_t wanted, int64_t *drains)
{
	int64_t		drained = 0;

	for (*drains = 0; drained < wanted; (*drains)++)
	{
		char		sql[128];
		int64_t		id;

		await_all(connection, clients);
		id = number(connection, "SELECT hygiene.drain('application=old')");
		snprintf(sql, sizeof(sql), "SELECT coalesce(sum(remaining), 0) FROM hygiene.drains WHERE drain = %lld",
				 (long long) id);
		while (number(connection, sql) > 0)
			usleep(1000);
		snprintf(sql, sizeof(sql), "SELECT coalesce(sum(ended), 0) FROM hygiene.drains WHERE drain = %lld",
				 (long long) id);
		drained += number(connection, sql);
	}
	await_all(connection, clients);
	return drained;
}

int
main(int argc, char **argv)
{
	int			n = argc == 5 ? atoi(argv[3]) : 0;
	int64_t		drained;
	int64_t		drains;
	Book		sum = {0};
	PGconn	   *connection;

	if (n < 1 || n > MAX_CLIENTS)
		give_up("usage: drainer HOST PORT CLIENTS SESSIONS", NULL);
	host = argv[1];
	port = argv[2];
	books = mmap(NULL, MAX_CLIENTS * sizeof(Book), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (books == MAP_FAILED)
		give_up("no memory", NULL);
	for (int i = 0; i < n; i++)
		if (fork() == 0)
			be_client(i);
	connection = connect_as("postgres", "drainer");
	drained = drain(connection, n, atoll(argv[4]), &drains);
	for (int i = 0; i < n; i++)
		books[i].stop = true;
	for (int i = 0; i < n; i++)
	{
		int			status;

		if (wait(&status) < 0 || status != 0)
			give_up("a client failed", NULL);
	}
	for (int i = 0; i < n; i++)
	{
		sum.committed += books[i].committed;
		sum.broken += books[i].broken;
		sum.lost += books[i].lost;
	}
	printf("drained %lld\ndrains %lld\ncommitted %lld\nbroken %lld\nother %lld\n",
		   (long long) drained, (long long) drains, (long long) sum.committed,
		   (long long) sum.broken, (long long) llabs(sum.lost - drained));
	printf("difference %lld\n",
		   (long long) (llabs(number(connection, "SELECT sum(n) FROM a") - sum.committed) +
						llabs(number(connection, "SELECT sum(n) FROM b") - sum.committed)));
	PQfinish(connection);
	return 0;
}
