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
 * one is noted at the nesting level where it is issued, with the memory that
 * it may need later, its place in the table of channels included.
 *
 * A transaction may have tens of thousands of them, and of subtransactions:
 * the end of one takes no longer for what is pending, and carrying one out no
 * longer for what is listened to.
 *
 *-------------------------------------------------------------------------
 */
#include "session/listen.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "lib/ilist.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/memutils.h"

#include "session/rollback.h"

/* A LISTEN or UNLISTEN that is pending; or a channel that is listened to. */
typedef struct PghChannel
{
	struct PghChannel *next;	/* the next of its level; while pending */
	dlist_node	in_all;			/* in listening_on */
	dlist_node	in_bucket;		/* in one of the buckets */
	uint32		hash;			/* of the name */
	bool		listen;			/* LISTEN, or else UNLISTEN */
	char		name[FLEXIBLE_ARRAY_MEMBER];	/* "" = all channels */
} PghChannel;

/* What is pending of one nesting level, the oldest first. */
typedef struct PghLevel
{
	struct PghLevel *upper;		/* the next one, of a lower number, that has
								 * any */
	int			nest_level;
	PghChannel *first;
	PghChannel *last;
} PghLevel;

#define PGH_FIRST_BUCKETS 16

static dlist_head listening_on = DLIST_STATIC_INIT(listening_on);
static uint32 n_listening = 0;
static dlist_head *buckets = NULL;
static uint32 n_buckets = 0;	/* a power of 2, or 0; never fewer than
								 * n_listening + n_pending */

static PghLevel *pending = NULL;	/* the innermost level */
static uint32 n_pending = 0;

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

/* Forget the innermost level with all that is pending there. */
static void
drop_level(void)
{
	PghLevel   *level = pending;

	while (level->first != NULL)
	{
		PghChannel *channel = level->first;

		level->first = channel->next;
		pfree(channel);
		n_pending--;
	}
	pending = level->upper;
	pfree(level);
}

/* Put what is pending at the innermost level behind that of the next one. */
static void
merge_level(void)
{
	PghLevel   *level = pending;
	PghLevel   *upper = level->upper;

	if (upper->last != NULL)
		upper->last->next = level->first;
	else
		upper->first = level->first;
	if (level->last != NULL)
		upper->last = level->last;
	pending = upper;
	pfree(level);
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine,
					  SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (pending != NULL && pending->nest_level >= level)
	{
		if (event == SUBXACT_EVENT_ABORT_SUB)
			drop_level();
		else if (pending->upper != NULL &&
				 pending->upper->nest_level >= level - 1)
			merge_level();
		else
			pending->nest_level = level - 1;
	}
}

/* ----------
 * The table of channels
 * ----------
 */

static dlist_head *
bucket_of(const PghChannel *channel)
{
	return &buckets[channel->hash & (n_buckets - 1)];
}

static void
make_buckets(uint32 n)
{
	dlist_head *larger = MemoryContextAllocZero(TopMemoryContext,
												n * sizeof(dlist_head));
	dlist_iter	iter;

	if (buckets != NULL)
		pfree(buckets);
	buckets = larger;
	n_buckets = n;
	dlist_foreach(iter, &listening_on)
	{
		PghChannel *channel = dlist_container(PghChannel, in_all, iter.cur);

		dlist_push_head(bucket_of(channel), &channel->in_bucket);
	}
}

/* The channel of this name that is listened to, or NULL. */
static PghChannel *
find_channel(const PghChannel *wanted)
{
	dlist_iter	iter;

	dlist_foreach(iter, bucket_of(wanted))
	{
		PghChannel *channel = dlist_container(PghChannel, in_bucket, iter.cur);

		if (channel->hash == wanted->hash &&
			strcmp(channel->name, wanted->name) == 0)
			return channel;
	}
	return NULL;
}

static void
add_channel(PghChannel *channel)
{
	dlist_push_head(bucket_of(channel), &channel->in_bucket);
	dlist_push_head(&listening_on, &channel->in_all);
	n_listening++;
}

static void
remove_channel(PghChannel *channel)
{
	dlist_delete(&channel->in_bucket);
	dlist_delete(&channel->in_all);
	n_listening--;
	pfree(channel);
}

/* ----------
 * Noting
 * ----------
 */

static void
note(bool listen, const char *name)
{
	static bool watching_subtransactions = false;
	int			nest_level = GetCurrentTransactionNestLevel();
	PghChannel *channel;

	if (!watching_subtransactions)
	{
		RegisterSubXactCallback(at_subtransaction_end, NULL);
		watching_subtransactions = true;
	}
	if (n_listening + n_pending >= n_buckets)
		make_buckets(Max(2 * n_buckets, PGH_FIRST_BUCKETS));
	if (pending == NULL || pending->nest_level != nest_level)
	{
		PghLevel   *level = MemoryContextAllocZero(TopMemoryContext,
												   sizeof(PghLevel));

		level->nest_level = nest_level;
		level->upper = pending;
		pending = level;
	}
	channel = MemoryContextAllocZero(TopMemoryContext,
									 offsetof(PghChannel, name) +
									 strlen(name) + 1);
	channel->listen = listen;
	strcpy(channel->name, name);
	channel->hash = hash_bytes((const unsigned char *) name,
							   (int) strlen(name));
	if (pending->last != NULL)
		pending->last->next = channel;
	else
		pending->first = channel;
	pending->last = channel;
	n_pending++;
}

/* An UNLISTEN's statement has no name when it means all channels. */
static void
note_unlisten(const char *name)
{
	note(false, name != NULL ? name : "");
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
		note_unlisten(((UnlistenStmt *) statement)->conditionname);
	else if (((DiscardStmt *) statement)->target == DISCARD_ALL)
		note_unlisten(NULL);
}

/* ----------
 * Carrying out
 * ----------
 */

static void
remove_all_channels(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &listening_on)
		remove_channel(dlist_container(PghChannel, in_all, iter.cur));
}

/* Take over one note; its memory becomes the table's, or is given back. */
static void
carry_out(PghChannel *channel)
{
	PghChannel *known = NULL;

	if (channel->name[0] == '\0')
		remove_all_channels();
	else
		known = find_channel(channel);
	if (channel->listen && known == NULL)
	{
		add_channel(channel);
		return;
	}
	if (!channel->listen && known != NULL)
		remove_channel(known);
	pfree(channel);
}

void
pgh_listen_end(bool committed)
{
	if (!committed)
	{
		while (pending != NULL)
			drop_level();
		return;
	}
	while (pending != NULL && pending->upper != NULL)
		merge_level();
	while (pending != NULL && pending->first != NULL)
	{
		PghChannel *channel = pending->first;

		pending->first = channel->next;
		n_pending--;
		carry_out(channel);
	}
	if (pending != NULL)
		drop_level();
	if (pgh_my_slot != NULL)
		pgh_slot_set_purpose(pgh_my_slot, PGH_LISTENS, n_listening > 0);
}

void
pgh_listen_install(void)
{
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
