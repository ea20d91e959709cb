/*-------------------------------------------------------------------------
 *
 * look/describe.c
 *	  What an event says of the session that it is about.
 *
 * Owns: the copy from a session that was read into an event.  Must not: record
 * it.  Anyone may call it.
 *
 *-------------------------------------------------------------------------
 */
#include "look/describe.h"

void
pgh_describe_session(const PghSession *session, PghEvent *event,
					 TimestampTz now)
{
	const PghFacts *facts = &session->facts;

	event->has_session = true;
	event->pid = session->login.pid;
	event->roleid = session->login.roleid;
	event->who = session->who;
	memcpy(event->trace_id, session->trace_id, PGH_TRACE_ID_LEN);
	event->state = facts->state;
	event->wrote = facts->wrote;
	event->blocking = facts->blocking + facts->blocking_advisory;
	event->transaction_age = facts->xact_start ?
		Max(now - facts->xact_start, 0) : -1;
	event->query_id = session->query_id;
	pgh_scan_query(session, event->query, sizeof(event->query));
}
