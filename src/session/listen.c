/*-------------------------------------------------------------------------
 *
 * session/listen.c
 *	  Whether this backend listens for notifications.
 *
 * Owns: this backend's own list of the channels that it listens on, which
 * core keeps private.  Must not: allocate when a transaction ends, since
 * nothing may fail there.
 *
 * Core's LISTEN and UNLISTEN take effect at commit, in their order, and those
 * of a subtransaction that is rolled back are forgotten.  So do ours: each
 * one is noted with its nesting level when it is issued, with the memory that
 * it may need later.
 *
 *-------------------------------------------------------------------------
 */
#include "session/listen.h"

#include "access/xact.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/memutils.h"

#include "session/rollback.h"

typedef struct PghChannel
{
	struct PghChannel *next;
	int			nest_level;		/* where it was issued; while pending */
	bool		listen;			/* LISTEN, or else UNLISTEN; while pending */
	char		name[NAMEDATALEN];	/* "" = all channels */
} PghChannel;

static PghChannel *listening_on = NULL;
static PghChannel *pending = NULL;	/* the newest first */

static ProcessUtility_hook_type prev_process_utility = NULL;

bool
pgh_listen_pending(void)
{
	return pending != NULL;
}

/* ----------
 * Subtransactions
 * ----------
 */

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine,
					  SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	PghChannel **link = &pending;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (*link != NULL)
	{
		PghChannel *channel = *link;

		if (channel->nest_level < level)
			link = &channel->next;
		else if (event == SUBXACT_EVENT_COMMIT_SUB)
		{
			channel->nest_level = level - 1;
			link = &channel->next;
		}
		else
		{
			*link = channel->next;
			pfree(channel);
		}
	}
}

/* ----------
 * Noting
 * ----------
 */

static void
note(bool listen, const char *name)
{
	static bool watching_subtransactions = false;
	PghChannel *channel = MemoryContextAllocZero(TopMemoryContext,
												 sizeof(PghChannel));

	if (!watching_subtransactions)
	{
		RegisterSubXactCallback(at_subtransaction_end, NULL);
		watching_subtransactions = true;
	}
	channel->nest_level = GetCurrentTransactionNestLevel();
	channel->listen = listen;
	if (name != NULL)
		strlcpy(channel->name, name, sizeof(channel->name));
	channel->next = pending;
	pending = channel;
}

static void
process_utility(PlannedStmt *pstmt, const char *queryString,
				bool readOnlyTree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	NodeTag		tag = nodeTag(pstmt->utilityStmt);
	Node	   *statement = pstmt->utilityStmt;

	if (tag == T_TransactionStmt && pgh_rolled_back)
		pgh_rollback_check((TransactionStmt *) statement);
	if (prev_process_utility)
		prev_process_utility(pstmt, queryString, readOnlyTree, context,
							 params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);

	/* It did not fail, so core has noted it too. */
	if (likely(tag != T_ListenStmt && tag != T_UnlistenStmt &&
			   tag != T_DiscardStmt) || pgh_my_slot == NULL)
		return;
	if (tag == T_ListenStmt)
		note(true, ((ListenStmt *) statement)->conditionname);
	else if (tag == T_UnlistenStmt)
		note(false, ((UnlistenStmt *) statement)->conditionname);
	else if (((DiscardStmt *) statement)->target == DISCARD_ALL)
		note(false, NULL);
}

/* ----------
 * Carrying out
 * ----------
 */

static void
forget(PghChannel **list, const char *name)
{
	PghChannel **link = list;

	while (*link != NULL)
	{
		PghChannel *channel = *link;

		if (name[0] != '\0' && strcmp(channel->name, name) != 0)
		{
			link = &channel->next;
			continue;
		}
		*link = channel->next;
		pfree(channel);
	}
}

/* Take over one note; its memory becomes the list's, or is given back. */
static void
carry_out(PghChannel *channel)
{
	forget(&listening_on, channel->name);
	if (channel->listen)
	{
		channel->next = listening_on;
		listening_on = channel;
	}
	else
		pfree(channel);
}

/* The newest note is first in the list; the oldest is carried out first. */
static void
reverse_pending(void)
{
	PghChannel *reversed = NULL;

	while (pending != NULL)
	{
		PghChannel *channel = pending;

		pending = channel->next;
		channel->next = reversed;
		reversed = channel;
	}
	pending = reversed;
}

void
pgh_listen_end(bool committed)
{
	if (!committed)
	{
		forget(&pending, "");
		return;
	}
	reverse_pending();
	while (pending != NULL)
	{
		PghChannel *channel = pending;

		pending = channel->next;
		carry_out(channel);
	}
	if (pgh_my_slot != NULL)
		pg_atomic_write_u32(&pgh_my_slot->listening, listening_on != NULL);
}

void
pgh_listen_install(void)
{
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
