/*-------------------------------------------------------------------------
 *
 * message.c
 *	  What a client, the log and an event are told.
 *
 * Owns: the wording.  Must not: allocate, take a lock or raise an error: it
 * runs while a message is being emitted.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "message.h"

#include "pure/diagnosis.h"
#include "pure/policy.h"

#define USECS_PER_MS INT64CONST(1000)

/* How each reason is told; NULL where it never ends a session. */
static const struct
{
	int			sqlerrcode;
	const char *primary;
	const char *hint;
}			texts[PGH_N_REASONS] = {
	[PGH_REASON_IDLE_IN_TRANSACTION] = {
		ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
		"terminating connection due to idle-in-transaction timeout",
		"Commit or roll back, and close the session when the work is done."
	},
	[PGH_REASON_IDLE_BLOCKER] = {
		ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
		"terminating connection due to idle-in-transaction timeout",
		"Commit or roll back before the program waits for anything else, so that others need not wait for its locks."
	},
	[PGH_REASON_IDLE_WRITER] = {
		ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
		"terminating connection due to idle-in-transaction timeout",
		"Commit or roll back as soon as the rows are written."
	},
	[PGH_REASON_HORIZON] = {
		ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
		"terminating connection due to idle-in-transaction timeout",
		"Commit or roll back when the rows are read: an open snapshot keeps VACUUM from removing dead rows in the whole server."
	},
	[PGH_REASON_IDLE_SESSION] = {
		ERRCODE_IDLE_SESSION_TIMEOUT,
		"terminating connection due to idle-session timeout",
		"Close the session when the work is done, or let a connection pool do it."
	},
	[PGH_REASON_TRANSACTION] = {
		ERRCODE_TRANSACTION_TIMEOUT,
		"terminating connection due to transaction timeout",
		"Split the work into shorter transactions, or ask for a rule that allows this program more."
	},
	[PGH_REASON_HEADROOM] = {
		ERRCODE_ADMIN_SHUTDOWN,
		"terminating connection to free a connection slot",
		"Close sessions when the work is done, or use one connection pool that is shared by the whole program."
	},
};

const char *const pgh_cannot_commit =
"cannot commit: transaction was rolled back due to idle-in-transaction timeout";

/* Put a blank between the number and the unit: "30s" to "30 s". */
static void
space_unit(char *buf, size_t size)
{
	size_t		digits = strspn(buf, "0123456789");
	size_t		length = strlen(buf);

	if (buf[digits] == '\0' || length + 2 > size)
		return;
	memmove(buf + digits + 1, buf + digits, length - digits + 1);
	buf[digits] = ' ';
}

void
pgh_print_measured(int64 microseconds, char *buf, size_t size)
{
	double		seconds = microseconds / 1e6;

	if (microseconds < 0)
		snprintf(buf, size, "0 ms");	/* the clock was set back */
	else if (seconds < 1)
		snprintf(buf, size, "%d ms", (int) (microseconds / USECS_PER_MS));
	else if (seconds < 120)
		snprintf(buf, size, "%.1f s", seconds);
	else if (seconds < 7200)
		snprintf(buf, size, "%.1f min", seconds / 60);
	else
		snprintf(buf, size, "%.1f h", seconds / 3600);
}

/* Is the limit of this reason a plain number rather than a time? */
static bool
counts_things(PghReason reason)
{
	return reason >= PGH_REASON_HORIZON;
}

void
pgh_print_limit(PghReason reason, int64 limit, char *buf, size_t size)
{
	if (counts_things(reason))
		snprintf(buf, size, INT64_FORMAT, limit);
	else
		(void) pgh_print_duration(limit, buf, size);
}

void
pgh_print_allowance(PghReason reason, int rule, const char *label,
					int64 limit, char *buf, size_t size)
{
	char		value[32];

	pgh_print_limit(reason, limit, value, sizeof(value));
	space_unit(value, sizeof(value));
	if (reason == PGH_REASON_HEADROOM)
		snprintf(buf, size, "pg_hygiene.headroom keeps %s free", value);
	else if (rule > 0)
		snprintf(buf, size, "rule %d (%s) allows %s", rule, label, value);
	else
		snprintf(buf, size, "pg_hygiene.%s allows %s",
				 pgh_reason_name(reason), value);
}

/* What the session did, up to the semicolon. */
static void
print_deed(PghReason reason, const char *application, int64 measured,
		   char *buf, size_t size)
{
	char		value[32];

	pgh_print_measured(measured, value, sizeof(value));
	switch (reason)
	{
		case PGH_REASON_IDLE_BLOCKER:
			snprintf(buf, size, "Application \"%s\" left a transaction idle for %s while another session waited for it",
					 application, value);
			break;
		case PGH_REASON_IDLE_WRITER:
			snprintf(buf, size, "Application \"%s\" left a transaction that had written idle for %s",
					 application, value);
			break;
		case PGH_REASON_HORIZON:
			snprintf(buf, size, "Application \"%s\" left a transaction idle that holds back VACUUM by " INT64_FORMAT " transaction ids",
					 application, measured);
			break;
		case PGH_REASON_IDLE_SESSION:
			snprintf(buf, size, "Application \"%s\" left a session idle for %s",
					 application, value);
			break;
		case PGH_REASON_HEADROOM:
			snprintf(buf, size, "Application \"%s\" left this session idle for %s while connection slots ran short",
					 application, value);
			break;
		case PGH_REASON_TRANSACTION:
			snprintf(buf, size, "Application \"%s\" kept a transaction open for %s",
					 application, value);
			break;
		default:
			snprintf(buf, size, "Application \"%s\" left a transaction idle for %s",
					 application, value);
			break;
	}
}

/* The same, of a session that idles on after its transaction was ended. */
static void
print_second_deed(const char *application, int64 measured, char *buf,
				  size_t size)
{
	char		value[32];

	pgh_print_measured(measured, value, sizeof(value));
	snprintf(buf, size, "Application \"%s\" left a transaction idle for %s after it had been rolled back",
			 application, value);
}

/* What to change in general, and what in this program. */
static void
print_hint(const char *general, PghPattern pattern, char *buf, size_t size)
{
	if (pattern == PGH_PATTERN_NONE)
		strlcpy(buf, general, size);
	else
		snprintf(buf, size, "%s %s", general, pgh_pattern_advice(pattern));
}

void
pgh_message_for_request(const PghRequest *request, const char *application,
						int64 measured, PghMessage *message)
{
	PghReason	reason = request->reason;
	char		deed[256];
	char		allowance[192];

	message->sqlerrcode = texts[reason].sqlerrcode;
	message->primary = texts[reason].primary;
	print_hint(texts[reason].hint, request->pattern, message->hint,
			   sizeof(message->hint));
	if (request->action == PGH_ACTION_CANCEL)
	{
		message->sqlerrcode = ERRCODE_QUERY_CANCELED;
		message->primary = "canceling statement due to transaction timeout";
	}
	if (request->action == PGH_ACTION_ROLLBACK)
		message->primary =
			"transaction was rolled back due to idle-in-transaction timeout";
	if (request->rolled_back && reason != PGH_REASON_TRANSACTION &&
		reason != PGH_REASON_HEADROOM)
		print_second_deed(application, measured, deed, sizeof(deed));
	else
		print_deed(reason, application, measured, deed, sizeof(deed));
	pgh_print_allowance(reason, request->rule, request->rule_label,
						request->limit, allowance, sizeof(allowance));
	snprintf(message->detail, sizeof(message->detail), "%s; %s.",
			 deed, allowance);
}

void
pgh_copy_ascii(const char *from, char *to, size_t size)
{
	size_t		n = 0;

	for (const char *c = from; *c != '\0' && n < size - 1; c++)
	{
		if (IS_HIGHBIT_SET(*c))
		{
			if (!IS_HIGHBIT_SET(c[1]))
				to[n++] = '?';	/* for all that stand together */
		}
		else
			to[n++] = (unsigned char) *c < ' ' ? ' ' : *c;
	}
	to[n] = '\0';
}

static void
print_refusal(const PghRefusalFacts *facts, char *primary, size_t size)
{
	switch (facts->reason)
	{
		case PGH_REASON_CONNECTIONS:
			snprintf(primary, size, "too many connections for rule %d (%s)",
					 facts->rule, facts->rule_label);
			break;
		case PGH_REASON_CONNECT_RATE:
			snprintf(primary, size, "too many new connections for rule %d (%s)",
					 facts->rule, facts->rule_label);
			break;
		case PGH_REASON_RESERVE:
			snprintf(primary, size, "remaining connection slots are reserved by rule %d (%s)",
					 facts->rule, facts->rule_label);
			break;
		default:
			snprintf(primary, size, "too many connections for application \"%s\"",
					 facts->application);
			break;
	}
}

static void
print_refusal_detail(const PghRefusalFacts *facts, char *detail, size_t size)
{
	char		held[32];

	snprintf(held, sizeof(held), "%d connections", facts->held);
	switch (facts->reason)
	{
		case PGH_REASON_CONNECTIONS:
			snprintf(detail, size, "The sessions of this rule hold %s; rule %d (%s) allows %d.",
					 held, facts->rule, facts->rule_label, facts->limit);
			break;
		case PGH_REASON_CONNECTIONS_PER_APPLICATION:
			snprintf(detail, size, "Application \"%s\" holds %s; pg_hygiene.connections_per_application allows %d.",
					 facts->application, held, facts->limit);
			break;
		case PGH_REASON_CONNECT_RATE:
			snprintf(detail, size, "As many new connections came within a second as rule %d (%s) allows, which is %d.",
					 facts->rule, facts->rule_label, facts->limit);
			break;
		case PGH_REASON_RESERVE:
			snprintf(detail, size, "%d of %d connection slots are available; rule %d (%s) keeps %d for its own sessions.",
					 facts->available, facts->usable, facts->rule,
					 facts->rule_label, facts->limit);
			break;
		default:
			if (facts->available == 0)
				snprintf(detail, size, "Application \"%s\" holds %s, and none of %d slots is available to it, although pg_hygiene.headroom keeps %d free as long as it can.",
						 facts->application, held, facts->usable,
						 facts->limit);
			else
				snprintf(detail, size, "Application \"%s\" holds %s, and %d of %d slots are available to it; pg_hygiene.headroom keeps the last %d for applications that hold fewer connections than there are slots left.",
						 facts->application, held, facts->available,
						 facts->usable, facts->limit);
			break;
	}
}

/*
 * Append what the application leaks: most drivers hide what a server tells an
 * idle client, but all of them show why a connection was refused.
 */
static void
print_leak(const PghRefusalFacts *facts, char *detail, size_t size)
{
	size_t		length = strlen(detail);
	char		idle[32];

	if (facts->leaking <= 0)
		return;
	pgh_print_measured(facts->leaking_for, idle, sizeof(idle));
	snprintf(detail + length, size - length,
			 facts->leaking == 1 ?
			 " %d of its sessions is idle in a transaction, for %s." :
			 " %d of its sessions are idle in a transaction, the oldest for %s.",
			 facts->leaking, idle);
	length = strlen(detail);
	if (facts->statement[0] != '\0')
		snprintf(detail + length, size - length,
				 facts->leaking == 1 ? " It ran last: %s" :
				 " Most of them ran last: %s", facts->statement);
}

static const char *
refusal_hint(const PghRefusalFacts *facts)
{
	if (facts->reason == PGH_REASON_CONNECT_RATE)
		return "Keep connections open and use them again, for example through a connection pool.";
	if (facts->held == 0)
		return "Try again when other sessions have ended, or ask for a rule that reserves slots for this program.";
	return "Close sessions when the work is done, and let the program share one connection pool.";
}

void
pgh_message_for_refusal(const PghRefusalFacts *facts,
						char *primary, size_t size, PghMessage *message)
{
	message->sqlerrcode = ERRCODE_TOO_MANY_CONNECTIONS;
	message->primary = primary;
	print_hint(refusal_hint(facts), facts->pattern, message->hint, sizeof(message->hint));
	print_refusal(facts, primary, size);
	print_refusal_detail(facts, message->detail, sizeof(message->detail));
	print_leak(facts, message->detail, sizeof(message->detail));
}
