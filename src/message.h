/*-------------------------------------------------------------------------
 *
 * message.h
 *	  What a client, the log and an event are told.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGH_MESSAGE_H
#define PGH_MESSAGE_H

#include "pure/diagnosis.h"
#include "pure/text.h"
#include "shared/slot.h"

/* Longest statement that is quoted in a message. */
#define PGH_STATEMENT_LEN 160

/* The texts of one decision; detail and hint are composed into the buffers. */
typedef struct PghMessage
{
	int			sqlerrcode;
	const char *primary;		/* in English; untranslated */
	char		hint[512];
	char		detail[1024];
} PghMessage;

/*
 * Compose the message for what is done to a session: "name" is its
 * application_name, "kept" the one that it keeps while that is a trace's,
 * "measured" what it has reached by now (microseconds, or transaction ids for
 * the horizon).  Allocates nothing, takes no lock.
 */
extern void pgh_message_for_request(const PghRequest *request,
									const char *name, const char *kept,
									int64 measured, PghMessage *message);

/* What is told to a client that is refused. */
typedef struct PghRefusalFacts
{
	PghLimit	reason;
	int			rule;			/* 0 = server-wide */
	const char *rule_label;		/* its selectors */
	const char *application;
	char		family[PGH_NAME_LEN];	/* of which that is one name, and what
										 * the session counts for; "" = none */
	int			held;			/* by the application, or by the rule */
	int			own;			/* by the application, of the client's role */
	int			holder_holds;	/* by the one below */
	char		holder[PGH_NAME_LEN];	/* another application, which holds
										 * the most; "" = not to be told */
	bool		by_address;		/* the rule goes by addresses: who holds most
								 * was not looked for, and is not told */
	bool		beside_roles;	/* it was counted with that of other roles, */
	bool		beside_newcomers;	/* or of other applications */
	int			limit;			/* cap, rate, reserve or headroom */
	int			available;
	int			usable;
	int64		waited;			/* for a place; microseconds, 0 = not at all */
	int			leaking;		/* its sessions idle in a transaction */
	int64		leaking_for;	/* the longest of them; microseconds */
	PghPattern	pattern;
	char		statement[PGH_STATEMENT_LEN];	/* "" = not to be told */
} PghRefusalFacts;

/* Compose a refusal; "primary" gets the message, the rest is as above. */
extern void pgh_message_for_refusal(const PghRefusalFacts *facts,
									char *primary, size_t size,
									PghMessage *message);

/* A duration as prose has it: "30.0 s", "12.5 min", "850 ms". */
extern void pgh_print_measured(int64 microseconds, char *buf, size_t size);

/* How a limit's value is shown: "30s", "10min", "500000". */
extern void pgh_print_limit(PghLimit reason, int64 limit,
							char *buf, size_t size);

#endif							/* PGH_MESSAGE_H */
