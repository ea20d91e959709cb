/*-------------------------------------------------------------------------
 *
 * racer_client.c
 *	  What one racing client does next: connect, open, rest, race, be ended.
 *
 * Owns: a racer's state and what is printed of it; racer.c says what.  Must
 * not: wait.
 *
 *-------------------------------------------------------------------------
 */
#include "racer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What libpq calls a result may be a refusal or a farewell. */
typedef PGresult Reply;

/* Statements are sent this far from the moment aimed at, at most. */
#define JITTER 1000

/*
 * How far the aim moves after a round; and after one that was over before a
 * statement could be cancelled, where that is what is raced.
 */
#define STEP 10

/* How much less than the limit one takes that must not be cancelled. */
#define SPARE 10000
#define LONG_STEP 100

/*
 * How often the worker looks whether a client that stalls has moved.  It ends
 * those that it has found at rest by the same look all at once.
 */
#define LOOKS_EVERY 250000

/* How far behind the limit the aim may get. */
#define MAX_AIM 100000

/* Length of a long statement; a socket's buffer must have room for it. */
#define LONG_SQL 60000

/* A refused client tries again after this, and gives up after so many. */
#define RETRY_AFTER 2000
#define MAX_REFUSALS 5000

/* The SQLSTATE of a statement that was cancelled. */
#define CANCELED "57014"

/* These take about one and two milliseconds. */
#define WORK "SELECT count(*) FROM generate_series(1, 5000)"
#define LONGER_WORK "SELECT count(*) FROM generate_series(1, 10000)"

/*
 * How long to rest, learnt: one for a session at rest, one for a transaction
 * that was cancelled.  Counted from the limit.
 */
static int64_t aims[2];

/*
 * When those that stall are ended, counted from any look of the worker's;
 * learnt from the first that is ended, and with each after it.
 */
static int64_t stall_ends = 0;

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

/* Remember what a session was told when it was ended or cancelled. */
static void
note_error(Racer *racer, const Reply *result)
{
	const char *severity = PQresultErrorField(result,
											  PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (severity == NULL || sqlstate == NULL)
		return;
	if (strcmp(severity, "FATAL") == 0)
		racer->fatal = true;
	else if (strcmp(sqlstate, CANCELED) != 0)
		return;
	snprintf(racer->sqlstate, sizeof(racer->sqlstate), "%s", sqlstate);
	racer->bare = !PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL) ||
		!PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
}

/* libpq takes an error that comes without a question for a notice. */
static void
receive_notice(void *arg, const Reply *result)
{
	note_error(arg, result);
}

/* Nothing was told yet. */
static void
forget_error(Racer *racer)
{
	racer->fatal = false;
	racer->cut_short = false;
	racer->bare = true;
	strcpy(racer->sqlstate, "none");
}

void
connect_racer(Racer *racer)
{
	forget_error(racer);
	racer->aborted = false;
	racer->measured_from = now();
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

/* Go earlier next time, or later. */
static void
learn(const Racer *racer, int64_t step)
{
	int64_t    *aim = &aims[racer->aborted];

	if (stalls && step < 0 && stall_ends == 0)
		stall_ends = now();
	else if (stalls)
		stall_ends += racer->aimed && stall_ends != 0 ? step : 0;
	else if (*aim + step > -limit && *aim + step < MAX_AIM)
		*aim += step;
}

/*
 * How long it has rested, or its transaction has lasted, is not yet over the
 * limit, and if it was cancelled before, not over as long a grace.  One that
 * stalled is to live if it went on before the limit was over.
 */
static bool
is_early(const Racer *racer)
{
	int64_t		until = stalls && racer->state == RACING ?
		racer->sent_at : now();

	return until - racer->measured_from < (racer->aborted ? 2 : 1) * limit;
}

/*
 * The statement under way was cancelled: report it.  How far it came does not
 * matter, the sequence will be looked at anew.
 */
static void
be_cancelled(Racer *racer)
{
	printf("cancelled %d %s%s%s\n", racer->pid, racer->sqlstate,
		   is_early(racer) ? " early" : "",
		   racer->bare ? " bare" : "");
	endings++;
	learn(racer, -STEP);
	racer->aborted = true;
	racer->bare = true;
}

/* A session was ended: report it, and begin another. */
static void
be_ended(Racer *racer)
{
	bool		sent = racer->state != RESTING;

	printf("ended %d %s %s%s%s%s\n", racer->pid, racer->sqlstate,
		   sent ? "sent" : "unsent",
		   is_early(racer) ? " early" : "",
		   racer->bare ? " bare" : "",
		   racer->state == TALKING ? " talking" : "");
	endings++;
	if (racer->state == RESTING)
		learn(racer, works_before && !racer->aborted ? -LONG_STEP : -STEP);
	if (racer->state == RACING && !racer->aborted && !racer->describes)
		racer->unsure = true;
	disconnect(racer);
	if (stopping && !racer->unsure)
		racer->state = CLOSED;
	else
		connect_racer(racer);
}

/*
 * Send a statement, or find that the session is over.  Its time is taken
 * before: nothing that it begins can begin earlier than that.
 */
static void
send_sql(Racer *racer, State state, const char *sql, bool in_parts)
{
	int			sent;

	racer->state = state;
	racer->sent_at = now();
	racer->in_parts = in_parts;
	if (in_parts)
		sent = PQsendQueryParams(racer->conn, sql,
								 0, NULL, NULL, NULL, NULL, 0);
	else
		sent = PQsendQuery(racer->conn, sql);
	if (sent)
		return;

	/* Have libpq look at what came before the end. */
	(void) PQisBusy(racer->conn);
	be_ended(racer);
}

static void
send_opening(Racer *racer, bool anew)
{
	char		sql[200];

	racer->pid = PQbackendPID(racer->conn);
	racer->refusals = 0;
	snprintf(sql, sizeof(sql), "%s%sSELECT last_value, is_called FROM race_%d",
			 anew ? "ROLLBACK; " : "", opening, racer->number);
	send_sql(racer, OPENING, sql, false);
}

/* A long statement is filled up with blanks. */
static void
fill_up(char *sql, int length)
{
	memset(sql + length, ' ', LONG_SQL - length - 1);
	sql[LONG_SQL - 1] = '\0';
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
					  racer->number, sort == 0 ? " UNION ALL " WORK : "");
	if (sort == 1)
		fill_up(sql, length);
	rounds++;
	send_sql(racer, RACING, sql, sort == 2);
}

/*
 * A statement of a pipeline that goes on.  Sometimes it takes a millisecond, or
 * is long.
 */
static void
send_in_pipeline(Racer *racer)
{
	static char sql[LONG_SQL];
	int			sort = random() % 4;
	int			length = snprintf(sql, sizeof(sql), "SELECT nextval('race_%d')%s",
								  racer->number,
								  sort == 0 ? " UNION ALL " WORK : "");

	if (sort == 1)
		fill_up(sql, length);
	racer->state = RACING;
	racer->sent_at = now();
	racer->in_parts = false;
	rounds++;
	if (!PQenterPipelineMode(racer->conn) ||
		!PQsendQueryParams(racer->conn, sql, 0, NULL, NULL, NULL, NULL, 0) ||
		!PQsendFlushRequest(racer->conn) || PQflush(racer->conn) < 0)
		be_ended(racer);
}

/*
 * Statements that end the transaction which is being measured, and work in
 * another one right away: all in one message, or in two.  What works in the
 * new one first has a command tag of its own.
 */
static void
send_renewal(Racer *racer)
{
	static char sql[LONG_SQL];
	const char *before = works_before ? LONGER_WORK : "";
	int			sort = random() % 4;
	int			length;

	if (sort == 2)
		length = snprintf(sql, sizeof(sql),
						  "SELECT nextval('race_%d')%s%s", racer->number,
						  works_before ? " UNION ALL " : "", before);
	else if (sort == 0)
		length = snprintf(sql, sizeof(sql),
						  "%s; ROLLBACK; BEGIN; DO $$BEGIN PERFORM count(*) FROM generate_series(1, 5000); PERFORM nextval('race_%d'); END$$",
						  before, racer->number);
	else
		length = snprintf(sql, sizeof(sql),
						  "%s; ROLLBACK; BEGIN; SELECT nextval('race_%d')",
						  before, racer->number);
	if (sort == 1)
		fill_up(sql, length);
	rounds++;
	send_sql(racer, RACING, sql, sort == 2);
}

/*
 * Transactions that take a little less than they may, and one that takes that
 * or a little more, in one message.  What they take together is known to be at
 * least the sum.
 */
static void
send_series(Racer *racer)
{
	char		sql[MAX_TRANSACTIONS * 100];
	int			n = 2 + random() % (MAX_TRANSACTIONS - 1);
	int			length = 0;

	for (int i = 0; i < n; i++)
	{
		int64_t		takes = i < n - 1 ?
			limit - SPARE - random() % (2 * SPARE) :
			limit - JITTER + random() % (2 * JITTER);

		racer->durations[n - 1 - i] = takes;
		length += snprintf(sql + length, sizeof(sql) - length,
						   "BEGIN; SELECT pg_sleep(%.6f); COMMIT; ",
						   takes / 1e6);
	}
	racer->n_durations = n;
	rounds++;
	send_sql(racer, RACING, sql, false);
	if (racer->state == RACING)
		racer->measured_from = racer->sent_at;
}

/* libpq sends no Sync only while it is in its mode for pipelines. */
static void
send_describe(Racer *racer)
{
	racer->state = RACING;
	racer->sent_at = now();
	racer->in_parts = false;
	racer->describes = true;
	rounds++;
	if (!PQenterPipelineMode(racer->conn) ||
		!PQsendDescribePrepared(racer->conn, "talk") ||
		!PQsendFlushRequest(racer->conn) || PQflush(racer->conn) < 0)
		be_ended(racer);
}

static void
send_sync(Racer *racer)
{
	racer->state = SYNCING;
	racer->sent_at = now();
	if (!PQpipelineSync(racer->conn))
		be_ended(racer);
}

/*
 * When a session that begins to stall now is ended: as long after the
 * worker's next look as the limit says.  Before that is known it is waited for.
 */
static int64_t
end_of_stall(void)
{
	int64_t		least = now() + limit;

	if (stall_ends == 0)
		return least + 2 * LOOKS_EVERY;
	return least + ((stall_ends - least) % LOOKS_EVERY + LOOKS_EVERY) %
		LOOKS_EVERY;
}

/*
 * The last statement takes the session to where no limit acts, so that it can
 * hang up without missing its own end.
 */
static void
rest(Racer *racer)
{
	bool		in_pipeline = PQpipelineStatus(racer->conn) != PQ_PIPELINE_OFF;

	if (stopping && in_pipeline)
	{
		send_sync(racer);
		return;
	}
	if (stopping)
	{
		send_sql(racer, CLOSING, closing, false);
		return;
	}
	racer->state = RESTING;
	racer->describes = false;
	racer->due = now();
	racer->aimed = !(in_series && !racer->aborted) && !(stalls && !in_pipeline);
	if (!racer->aimed)
		return;
	racer->due = stalls ? end_of_stall() :
		racer->due + limit + aims[racer->aborted];
	racer->due += random() % (2 * JITTER + 1) - JITTER;
}

void
be_due(Racer *racer)
{
	if (racer->state == WAITING)
		connect_racer(racer);
	else if (racer->state == TALKING)
		send_sync(racer);
	else if (stopping)
		rest(racer);
	else if (racer->aborted)
		send_opening(racer, true);
	else if (in_series)
		send_series(racer);
	else if (renews)
		send_renewal(racer);
	else if (stalls)
		send_in_pipeline(racer);
	else if (talks && random() % 2 == 0)
		send_describe(racer);
	else
		send_statement(racer);
}

/* The reply to the statement under way is complete: it was not ended. */
static void
note_reply(Racer *racer)
{
	if (racer->state == RACING)
	{
		survived++;
		racer->executed += !in_series && !racer->describes;
		learn(racer, STEP);
	}
	else if (racer->state == OPENING && racer->aborted)
	{
		survived++;
		learn(racer, STEP);
		racer->aborted = false;
	}
	if (!renews || !racer->in_parts)
		racer->measured_from = racer->sent_at;
}

/* Go on after a reply. */
static void
go_on(Racer *racer)
{
	if (racer->cut_short)
	{
		forget_error(racer);
		rest(racer);
	}
	else if (racer->state == CLOSING)
	{
		closed++;
		disconnect(racer);
		racer->state = CLOSED;
	}
	else if (racer->state == RACING && racer->in_parts && renews)
		send_opening(racer, true);
	else if (racer->state == RACING && racer->describes)
	{
		racer->state = TALKING;
		racer->due = now() + limit / 2 + random() % limit;
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
			/* From here on it is another transaction. */
			if (strcmp(PQcmdStatus((PGresult *) result), "ROLLBACK") == 0)
				racer->measured_from = racer->sent_at;
			if (strcmp(PQcmdStatus((PGresult *) result), "COMMIT") == 0 &&
				racer->n_durations > 0)
				racer->measured_from += racer->durations[--racer->n_durations];
			break;
		case PGRES_PIPELINE_SYNC:
		case PGRES_EMPTY_QUERY:
			break;
		default:
			racer->cut_short = true;
			note_error(racer, result);
			if (!racer->fatal && strcmp(racer->sqlstate, CANCELED) == 0)
				be_cancelled(racer);
			else if (!racer->fatal && PQstatus(racer->conn) == CONNECTION_OK)
				give_up("unexpected: %s", PQresultErrorMessage(result));
			break;
	}
}

/* Read what has come: a reply, the end of the session, or both. */
void
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
	complete = complete && racer->state != RESTING &&
		racer->state != TALKING;
	if (complete && racer->state == SYNCING && !over &&
		!PQexitPipelineMode(racer->conn))
		complete = false;
	if (complete && !racer->cut_short)
		note_reply(racer);
	if (over)
	{
		if (complete && !racer->cut_short)
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

void
poll_connection(Racer *racer)
{
	racer->wants = PQconnectPoll(racer->conn);
	if (racer->wants == PGRES_POLLING_FAILED)
		be_refused(racer);
	else if (racer->wants == PGRES_POLLING_OK)
		send_opening(racer, false);
}
