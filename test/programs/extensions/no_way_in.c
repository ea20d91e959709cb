/*-------------------------------------------------------------------------
 *
 * no_way_in.c
 *	  A server in which pg_hygiene finds no way to roll a transaction back.
 *
 * Owns: hiding the memory context that it looks for.  For
 * test/t/047_rollback_beside.t, which builds it and preloads it first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "fmgr.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	MemoryContext context;

#if PG_VERSION_NUM >= 180000
	ProcessParallelMessages();
#else
	HandleParallelMessages();
#endif
	for (context = TopMemoryContext->firstchild; context != NULL;
		 context = context->nextchild)
		if (strstr(context->name, "ParallelMessages") != NULL)
			context->name = "hidden";
}
