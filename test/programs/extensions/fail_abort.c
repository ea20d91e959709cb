/*-------------------------------------------------------------------------
 *
 * fail_abort.c
 *	  Another extension, one that fails while a transaction is rolled back.
 *
 * Owns: a setting, fail_abort.fails, that makes it so for a session.  For
 * test/t/047_rollback_beside.t, which builds it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/* How many aborts fail; each takes one off. */
static int	fails = 0;

static void
at_transaction_event(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT && fails > 0)
	{
		fails--;
		ereport(ERROR, (errmsg("fail_abort fails")));
	}
	if (event == XACT_EVENT_ABORT)
		ereport(WARNING, (errmsg("fail_abort saw an abort")));
}

void
_PG_init(void)
{
	DefineCustomIntVariable("fail_abort.fails",
							"How many of the next aborts fail.",
							NULL, &fails, 0, 0, 10, PGC_USERSET, 0,
							NULL, NULL, NULL);
	RegisterXactCallback(at_transaction_event, NULL);
}
