/*-------------------------------------------------------------------------
 *
 * lock_queue_test.c
 *	  Who hangs on whom: the table lock_queue.tbl, and how much work it is.
 *
 * To be run in the project's top folder.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/lock_queue.h"
#include "table.h"

#define MAX_PARTS 20000
#define MAX_LOCKS 2000
#define MAX_GROUPS 10000
#define MANY_STEPS INT64_C(1000000000)

/* The moment at which the table asks. */
#define NOW 100

static PghLockPart parts[MAX_PARTS];
static PghWaitedLock locks[MAX_LOCKS];
static int32_t first_of_group[MAX_GROUPS];
static int32_t stack[MAX_PARTS + 1];
static PghLockQueues queues;

static void
begin(void)
{
	memset(&queues, 0, sizeof(queues));
	queues.part = parts;
	queues.lock = locks;
	queues.first_of_group = first_of_group;
	queues.n_groups = MAX_GROUPS;
	queues.stack = stack;
	queues.steps = MANY_STEPS;
}

static void
add_lock(PghQueueKind kind)
{
	PghWaitedLock *lock = &locks[queues.n_locks++];

	memset(lock, 0, sizeof(*lock));
	lock->first = queues.n_parts;
	lock->kind = kind;
}

static uint32_t
mode_bit(char mode)
{
	return mode == 'R' ? 2 : mode == 'W' ? 4 : 8;
}

static uint32_t
conflicts_of(char mode)
{
	return mode == 'R' ? 8 : mode == 'W' ? 4 | 8 : 2 | 4 | 8;
}

/* "held" and "wanted" are R, W, X, or '\0' for none. */
static void
add_part(int32_t group, char held, char wanted, PghTime since)
{
	PghLockPart *part = &parts[queues.n_parts++];

	memset(part, 0, sizeof(*part));
	part->group = group;
	if (held != '\0')
		part->held = mode_bit(held);
	if (wanted != '\0')
	{
		part->wanted = mode_bit(wanted);
		part->conflicts = conflicts_of(wanted);
		part->since = since;
	}
	locks[queues.n_locks - 1].n++;
}

/* "t: 1R 2?X@10; advisory a: ..." */
static void
read_locks(char *s)
{
	begin();
	for (char *lock = strtok(s, ";"); lock != NULL; lock = strtok(NULL, ";"))
	{
		char	   *at = strchr(lock, ':') + 1;

		add_lock(strstr(lock, "advisory") != NULL ?
				 PGH_QUEUE_ADVISORY : PGH_QUEUE_DATA);
		while (*(at += strspn(at, " ")) != '\0')
		{
			int32_t		group = (int32_t) strtol(at, &at, 10);
			char		held = '\0';
			char		wanted = '\0';
			PghTime		since = 0;

			at += *at == 'b';
			if (*at != '?' && *at != ' ' && *at != '\0')
				held = *at++;
			if (*at == '?')
			{
				wanted = at[1];
				since = strtol(at + 3, &at, 10);
			}
			add_part(group, held, wanted, since);
		}
	}
	pgh_lock_queues_arrange(&queues);
}

/* A queue in the words of the table. */
static void
describe(const PghBlocked *blocked, char *buf)
{
	const PghQueue *data = &blocked->queue[PGH_QUEUE_DATA];
	const PghQueue *advisory = &blocked->queue[PGH_QUEUE_ADVISORY];

	*buf = '\0';
	if (data->n > 0)
		sprintf(buf, "%d since %d", data->n, (int) data->since);
	if (advisory->n > 0)
		sprintf(buf + strlen(buf), "%sadvisory %d since %d",
				*buf ? ", " : "", advisory->n, (int) advisory->since);
	if (blocked->advisory_since > 0)
		sprintf(buf + strlen(buf), ", direct %d",
				(int) blocked->advisory_since);
	if (*buf == '\0')
		strcpy(buf, "nobody");
}

static void
test_table(void)
{
	TestTable	table;

	table_open(&table, "test/unit/lock_queue.tbl");
	while (table_next(&table, 3))
	{
		const char *waited = strstr(table.field[2], ", waited ");
		const char *briefly = strstr(table.field[2], ", briefly");
		const char *after = strstr(table.field[2], " after ");
		PghTime		from = after != NULL ? strtol(after + 7, NULL, 10) : 0;
		int32_t		group = (int32_t) strtol(table.field[1], NULL, 10);
		char		name[256];
		char		got[256];
		PghBlocked	blocked;

		snprintf(name, sizeof(name), "%s: %d", table.field[0], group);
		read_locks(table.field[0]);
		if (briefly != NULL)
			queues.steps = 0;
		pgh_lock_queue_of(&queues, group, from, &blocked);
		describe(&blocked, got);
		if (briefly != NULL)
			strcat(got, ", briefly");
		if (waited != NULL)
		{
			const PghQueue *queue = &blocked.queue[PGH_QUEUE_DATA];

			sprintf(got + strlen(got), ", waited %d",
					(int) (queue->n * (NOW - from) - queue->late));
			if (after != NULL)
				sprintf(got + strlen(got), " after %d", (int) from);
		}
		tap_is_text(got, table.field[2], "%s", name);

		/* Again: the second answer may be a remembered one. */
		pgh_lock_queue_of(&queues, group, from, &blocked);
		describe(&blocked, name);
		tap_ok(strncmp(got, name, strlen(name)) == 0, "and again");
	}
}

/* As many sessions as there may be, in the ways that cost most. */
static void
test_work(void)
{
	PghBlocked	blocked;
	int64_t		used;

	begin();
	add_lock(PGH_QUEUE_DATA);
	for (int i = 0; i < 4000; i++)
		add_part(i, 'R', '\0', 0);
	add_part(4000, '\0', 'X', 1);
	for (int i = 1; i < 1000; i++)
		add_part(4000 + i, '\0', 'R', 1 + i);
	pgh_lock_queues_arrange(&queues);
	for (int i = 0; i < 4000; i++)
		pgh_lock_queue_of(&queues, i, 0, &blocked);
	tap_is_int(blocked.queue[PGH_QUEUE_DATA].n, 1000,
			   "4,000 readers, and 1,000 behind an ALTER");
	used = MANY_STEPS - queues.steps;
	tap_ok(used <= 10000, "it takes %lld steps", (long long) used);

	begin();
	for (int i = 0; i < 1000; i++)
	{
		add_lock(PGH_QUEUE_DATA);
		add_part(i, 'X', '\0', 0);
		add_part(i + 1, '\0', 'X', i);
	}
	pgh_lock_queues_arrange(&queues);
	pgh_lock_queue_of(&queues, 0, 0, &blocked);
	tap_is_int(blocked.queue[PGH_QUEUE_DATA].n, 1000, "a chain of 1,000");
	used = MANY_STEPS - queues.steps;
	tap_ok(used <= 10000, "it takes %lld steps", (long long) used);

	/* Nothing to remember: each holds two locks. */
	begin();
	queues.steps = 2000000;
	for (int lock = 0; lock < 2; lock++)
	{
		add_lock(PGH_QUEUE_DATA);
		for (int i = 0; i < 4000; i++)
			add_part(i, 'R', '\0', 0);
		for (int i = 0; i < 500; i++)
			add_part(4000 + 500 * lock + i, '\0', 'X', i);
	}
	pgh_lock_queues_arrange(&queues);
	for (int i = 0; i < 4000; i++)
	{
		pgh_lock_queue_of(&queues, i, 0, &blocked);
		if (i == 0)
			tap_is_int(blocked.queue[PGH_QUEUE_DATA].n, 1000,
					   "the first of 4,000 that hold two locks each");
		if (blocked.queue[PGH_QUEUE_DATA].n == 0)
			break;
	}
	tap_is_int(blocked.queue[PGH_QUEUE_DATA].n, 1,
			   "the last ones are known to be waited for");
	tap_ok(queues.steps > -10000, "and that is where the work ends");
}

int
main(void)
{
	test_table();
	test_work();
	return tap_done();
}
