/*-------------------------------------------------------------------------
 *
 * look/interrupt.c
 *	  A way into the main context of a backend that waits for its client.
 *
 * Owns: the way in, and the test that it works on this server.  Must not:
 * know what is done there.
 *
 * PostgreSQL has no hook where a backend waits for its client.  But when it
 * looks at interrupts, which it does before such a wait ends, it takes the
 * messages of parallel workers if a flag says that there are some.  It does
 * so in a memory context of its own, which it resets first; and a context
 * calls back whoever has asked for that when it is reset.  An idle session
 * has no parallel workers, so nothing else happens then.
 *
 * The context is made at the first use.  That is had in the postmaster, once,
 * so that all backends inherit the context by fork and a login costs nothing.
 *
 * The callback is a static struct that is linked into the context's list.
 * Linked twice it would make the list a circle; so it is linked only when
 * "raised" is false, which it becomes when the callback begins, and by then
 * core has taken it out.
 *
 *-------------------------------------------------------------------------
 */
#include "look/interrupt.h"

#include "storage/latch.h"
#include "utils/memutils.h"

static MemoryContext way_in = NULL;
static MemoryContextCallback callback;
static volatile sig_atomic_t raised = false;
static void (*volatile what_to_do) (void);

static void
carry_out(void *arg)
{
	raised = false;
	what_to_do();
}

/* The context that core made for itself, by its name: on 15 and 17
 * "HandleParallelMessages", on 18 and later "ProcessParallelMessages". */
static MemoryContext
find_context(void)
{
	MemoryContext context = TopMemoryContext->firstchild;

	while (context != NULL && strstr(context->name, "ParallelMessages") == NULL)
		context = context->nextchild;
	return context;
}

static bool tried = false;

static void
note_trial(void)
{
	tried = true;
}

bool
pgh_interrupt_prepare(void)
{
	pgh_process_parallel_messages();
	way_in = find_context();
	if (way_in == NULL)
		return false;
	callback.func = carry_out;
	what_to_do = note_trial;
	raised = true;
	MemoryContextRegisterResetCallback(way_in, &callback);
	pgh_process_parallel_messages();
	return tried;
}

void
pgh_interrupt_raise(void (*action) (void))
{
	what_to_do = action;
	if (!raised)
	{
		raised = true;
		MemoryContextRegisterResetCallback(way_in, &callback);
	}
	ParallelMessagePending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}
