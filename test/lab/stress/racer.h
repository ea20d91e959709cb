/*-------------------------------------------------------------------------
 *
 * racer.h
 *	  What the two halves of the racing clients share: the loop in racer.c,
 *	  and what a client does next in racer_client.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACER_H
#define RACER_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

typedef enum State
{
	WAITING,					/* without a connection, until "due" */
	CONNECTING,
	OPENING,					/* the opening statements are under way */
	RESTING,					/* until "due", or until it is ended */
	RACING,						/* its statement is under way */
	TALKING,					/* its Describe was answered; until "due" */
	SYNCING,					/* its Sync is under way */
	CLOSING,					/* the closing statement is under way */
	CLOSED
} State;

/* In one message. */
#define MAX_TRANSACTIONS 5

typedef struct Racer
{
	int			number;			/* from 1; names its sequence */
	State		state;
	PGconn	   *conn;
	PostgresPollingStatusType wants;	/* while CONNECTING */
	int64_t		due;
	bool		aimed;			/* at the moment at which it is ended, and not
								 * sent at once */
	int64_t		sent_at;		/* the statement under way */
	int64_t		measured_from;	/* the limit cannot be over earlier than its
								 * length after this */
	int64_t		executed;		/* what its sequence must have come to */
	bool		unsure;			/* ended with a statement under way */
	bool		in_parts;		/* the statement under way left the
								 * transaction open that it came in */
	bool		describes;		/* what is under way is a Describe, no
								 * statement */
	int			n_durations;	/* of the message under way, the transactions
								 * of which nothing was heard yet, last first,
								 * and how long each takes at least */
	int64_t		durations[MAX_TRANSACTIONS];
	bool		aborted;		/* its transaction was cancelled, and is open */
	int			pid;			/* of its present or last session */
	int			refusals;		/* in a row */

	/* The last error of this session, if one came. */
	bool		fatal;
	bool		cut_short;		/* the statement under way got an error */
	bool		bare;
	char		sqlstate[6];
} Racer;

/* What was asked for. */
extern const char *conninfo;
extern const char *opening;
extern const char *closing;
extern bool renews;				/* statements begin new transactions */
extern bool works_before;		/* and work in the old one first */
extern bool talks;				/* Describe and Flush now and then */
extern bool stalls;				/* statements come in a pipeline without Sync */
extern bool in_series;			/* many transactions in one message */
extern int64_t limit;

extern bool stopping;

extern int64_t endings;			/* cancellations are among them */
extern int64_t rounds;
extern int64_t survived;
extern int64_t closed;
extern int64_t refused;

/* The loop's, for both. */
extern void give_up(const char *format,...)
			__attribute__((noreturn, format(printf, 1, 2)));
extern int64_t now(void);

/*
 * What a racer does when its socket is ready, and when it is due.
 */
extern void connect_racer(Racer *racer);
extern void poll_connection(Racer *racer);
extern void read_input(Racer *racer);
extern void be_due(Racer *racer);

#endif							/* RACER_H */
