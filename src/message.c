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

#include "pure/application_name.h"
#include "pure/limits.h"
#include "pure/text.h"
#include "shared/drains.h"
#include "shared/rule_labels.h"

#define USECS_PER_MS INT64CONST(1000)

/* Put a blank between the number and the unit: "30s" to "30 s". */
static void
space_unit(char *buf, size_t size)
{
	size_t		digits = strspn(buf, PGH_DIGITS);
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

void
pgh_print_limit(PghLimit reason, int64 limit, char *buf, size_t size)
{
	if (pgh_limit_unit(reason) == PGH_UNIT_TIME)
		(void) pgh_print_duration(limit, buf, size);
	else
		snprintf(buf, size, INT64_FORMAT, limit);
}

/*
 * Who allows the limit: "rule 2 (application=web-*) allows 30 s", or
 * "pg_hygiene.idle_in_transaction_timeout allows 10 min".
 */
static void
print_allowance(const PghDecision *decision, const char *label,
				char *buf, size_t size)
{
	const PghLimitInfo *info = &pgh_limit_info[decision->reason];
	char		value[32];
	char		allowance[64];

	pgh_print_limit(decision->reason, decision->limit, value, sizeof(value));
	space_unit(value, sizeof(value));
	snprintf(allowance, sizeof(allowance), info->allowance, value);
	if (decision->rule > 0 && label[0] == '\0')
		snprintf(buf, size, "rule %d %s", decision->rule, allowance);
	else if (decision->rule > 0)
		snprintf(buf, size, "rule %d (%s) %s",
				 decision->rule, label, allowance);
	else
		snprintf(buf, size, "pg_hygiene.%s %s", info->name, allowance);
}

/*
 * What the session did, up to the semicolon.  What is not measured in ids is
 * a time, also where the limit is a number of slots.
 */
static void
print_deed(PghLimit reason, const char *application, int64 measured,
		   char *buf, size_t size)
{
	char		value[32];
	char		deed[128];

	if (pgh_limit_unit(reason) == PGH_UNIT_XIDS)
		snprintf(value, sizeof(value), INT64_FORMAT, measured);
	else
		pgh_print_measured(measured, value, sizeof(value));
	snprintf(deed, sizeof(deed), pgh_limit_info[reason].deed, value);
	snprintf(buf, size, "Application \"%s\" %s", application, deed);
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

/* An SQLSTATE as core keeps it. */
static int
sqlstate_from_text(const char *s)
{
	return MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]);
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

/*
 * Append the trace of a session that calls itself like one.  Its name is the
 * one that it keeps.
 */
static const char *
print_trace(const char *name, const char *kept, char *detail, size_t size)
{
	char		trace_id[PGH_TRACE_ID_LEN];

	detail[0] = '\0';
	if (!pgh_read_traceparent(name, trace_id))
		return name;
	if (trace_id[0] != '\0')
		snprintf(detail, size, " Its trace is %s.", trace_id);
	return kept;
}

/* What drains a session.  The selectors are those of the drain, printed. */
static void
print_drain(const PghRequest *request, PghMessage *message)
{
	bool		at_once = request->leave == PGH_LEAVE_AT_ONCE;
	char		label[PGH_RULE_LABEL_LEN];

	pgh_drain_label(request->drain, label, sizeof(label));

	snprintf(message->detail, sizeof(message->detail), at_once ?
			 "The sessions of \"%s\" were to end between two transactions, and the deadline for that is over." :
			 "The sessions of \"%s\" are to end, each between two transactions.",
			 label);
	strlcpy(message->hint, at_once ?
			"Connect again, and repeat the transaction if one was open." :
			pgh_limit_info[PGH_LIMIT_DRAIN].hint, sizeof(message->hint));
}

void
pgh_message_for_request(const PghRequest *request, const char *name,
						const char *kept, int64 measured,
						PghMessage *message)
{
	const PghDecision *decision = &request->decision;
	const PghLimitInfo *info = &pgh_limit_info[decision->reason];
	char		printed[PGH_PRINTED_NAME_LEN];
	char		deed[320];
	char		allowance[192];
	char		label[PGH_RULE_LABEL_LEN];
	char		trace[64];

	message->sqlerrcode = sqlstate_from_text(info->sqlstate);
	message->primary = info->primary;
	if (decision->action == PGH_ACTION_CANCEL)
	{
		message->sqlerrcode = ERRCODE_QUERY_CANCELED;
		message->primary = info->cancel_primary;
	}
	if (decision->reason == PGH_LIMIT_DRAIN)
	{
		print_drain(request, message);
		return;
	}
	if (decision->action == PGH_ACTION_ROLLBACK)
		message->primary = info->rollback_primary;
	print_hint(info->hint, request->pattern, message->hint,
			   sizeof(message->hint));
	name = print_trace(name, kept, trace, sizeof(trace));
	if (request->rolled_back && info->rollback_primary != NULL)
		print_second_deed(pgh_print_name(name, printed), measured, deed,
						  sizeof(deed));
	else
		print_deed(decision->reason, pgh_print_name(name, printed),
				   measured, deed, sizeof(deed));
	pgh_rule_label(decision->rule, request->rules_version, label);
	print_allowance(decision, label, allowance, sizeof(allowance));
	snprintf(message->detail, sizeof(message->detail), "%s; %s.%s",
			 deed, allowance, trace);
}

static void
print_refusal(const PghRefusalFacts *facts, char *primary, size_t size)
{
	switch (facts->reason)
	{
		case PGH_LIMIT_CONNECTIONS:
			snprintf(primary, size, "too many connections for rule %d (%s)",
					 facts->rule, facts->rule_label);
			break;
		case PGH_LIMIT_CONNECT_RATE:
			snprintf(primary, size, "too many new connections for rule %d (%s)",
					 facts->rule, facts->rule_label);
			break;
		case PGH_LIMIT_RESERVE:
			snprintf(primary, size, "remaining connection slots are reserved by rule %d (%s)",
					 facts->rule, facts->rule_label);
			break;
		default:
			snprintf(primary, size, "too many connections for application \"%s\"",
					 facts->application);
			break;
	}
}

/* What it asks to count for: one name, or a family that has it. */
static void
print_subject(const PghRefusalFacts *facts, char *subject, size_t size)
{
	char		family[PGH_PRINTED_NAME_LEN];

	if (facts->family[0] == '\0')
		snprintf(subject, size, "Application \"%s\"", facts->application);
	else
		snprintf(subject, size, "Application \"%s\", of which \"%s\" is one name,",
				 pgh_print_name(facts->family, family), facts->application);
}

/* One role is told how many it holds itself, and that it is not all. */
static void
print_held(const PghRefusalFacts *facts, char *held, size_t size)
{
	snprintf(held, size, facts->held == 1 ?
			 "%d connection" : "%d connections", facts->held);
	if (facts->beside_newcomers)
		strlcat(held, " beside other applications that are new", size);
	else if (facts->beside_roles)
		strlcat(held, " beside those of other roles", size);
}

static void
print_refusal_detail(const PghRefusalFacts *facts, char *detail, size_t size)
{
	char		subject[320];
	char		held[96];

	print_subject(facts, subject, sizeof(subject));
	print_held(facts, held, sizeof(held));
	switch (facts->reason)
	{
		case PGH_LIMIT_CONNECTIONS:
			snprintf(detail, size, "The sessions of this rule hold %s; rule %d (%s) allows %d.",
					 held, facts->rule, facts->rule_label, facts->limit);
			break;
		case PGH_LIMIT_CONNECTIONS_PER_APPLICATION:
			snprintf(detail, size, "%s holds %s; pg_hygiene.connections_per_application allows %d.",
					 subject, held, facts->limit);
			break;
		case PGH_LIMIT_CONNECT_RATE:
			snprintf(detail, size, "As many new connections came within a second as rule %d (%s) allows, which is %d.",
					 facts->rule, facts->rule_label, facts->limit);
			break;
		case PGH_LIMIT_RESERVE:
			snprintf(detail, size, facts->available == 1 ?
					 "%d of %d connection slots is available; rule %d (%s) keeps %d for its own sessions." :
					 "%d of %d connection slots are available; rule %d (%s) keeps %d for its own sessions.",
					 facts->available, facts->usable, facts->rule,
					 facts->rule_label, facts->limit);
			break;
		default:
			if (facts->available == 0)
				snprintf(detail, size, "%s holds %s, and none of %d slots is available to it, although pg_hygiene.headroom keeps %d free as long as it can.",
						 subject, held, facts->usable, facts->limit);
			else
				snprintf(detail, size, facts->available == 1 ?
						 "%s holds %s, and %d of %d slots is available to it; pg_hygiene.headroom keeps the last %d for applications that hold fewer connections than there are slots left." :
						 "%s holds %s, and %d of %d slots are available to it; pg_hygiene.headroom keeps the last %d for applications that hold fewer connections than there are slots left.",
						 subject, held, facts->available, facts->usable,
						 facts->limit);
			break;
	}
}

/* Append how long it waited for a place, if it did. */
static void
print_waited(const PghRefusalFacts *facts, char *detail, size_t size)
{
	size_t		length = strlen(detail);
	char		waited[32];

	if (facts->waited <= 0)
		return;
	pgh_print_measured(facts->waited, waited, sizeof(waited));
	snprintf(detail + length, size - length,
			 " It waited %s for a place.", waited);
}

/* Append who holds what it lacks, if that is somebody else. */
static void
print_holder(const PghRefusalFacts *facts, char *detail, size_t size)
{
	size_t		length = strlen(detail);
	char		name[PGH_PRINTED_NAME_LEN];

	if (facts->holder[0] == '\0')
		return;
	snprintf(detail + length, size - length,
			 facts->reason == PGH_LIMIT_CONNECTIONS ?
			 " Most of them are those of application \"%s\", which holds %d." :
			 " The most connections are those of application \"%s\", which holds %d.",
			 pgh_print_name(facts->holder, name), facts->holder_holds);
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
	if (facts->reason == PGH_LIMIT_CONNECT_RATE)
		return "Keep connections open and use them again, for example through a connection pool.";
	if (facts->own == 0 && facts->reason == PGH_LIMIT_CONNECTIONS &&
		(facts->holder[0] != '\0' || facts->by_address))
		return "Try again when other sessions of this rule have ended, or ask for a rule of its own for this program.";
	if (facts->own == 0 && facts->reason != PGH_LIMIT_CONNECTIONS)
		return "Try again when other sessions have ended, or ask for a rule that reserves slots for this program.";
	return "Close sessions when the work is done, and let the program share one connection pool.";
}

void
pgh_message_for_refusal(const PghRefusalFacts *facts,
						char *primary, size_t size, PghMessage *message)
{
	char		name[PGH_PRINTED_NAME_LEN];
	PghRefusalFacts told = *facts;

	told.application = pgh_print_name(facts->application, name);
	message->sqlerrcode = ERRCODE_TOO_MANY_CONNECTIONS;
	message->primary = primary;
	print_hint(refusal_hint(&told), told.pattern, message->hint,
			   sizeof(message->hint));
	print_refusal(&told, primary, size);
	print_refusal_detail(&told, message->detail, sizeof(message->detail));
	print_waited(&told, message->detail, sizeof(message->detail));
	print_holder(&told, message->detail, sizeof(message->detail));
	print_leak(&told, message->detail, sizeof(message->detail));
}
