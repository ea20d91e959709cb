/*-------------------------------------------------------------------------
 *
 * pg_hygiene.c
 *	  The library's magic block and _PG_init.
 *
 * Owns: the order in which the parts are installed.  Must not: hold anything
 * else.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/loop.h"

#include "fmgr.h"

#include "look/interrupt.h"
#include "look/rule_sessions.h"
#include "session/hooks.h"
#include "shared/history.h"
#include "shared/shmem.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static void
restore_history(void)
{
	pgh_history_load();
	pgh_follow_rules();
	pgh_history_at_shutdown();
}

/*
 * Without the preload there is no shared memory to work on: the library then
 * only lets its SQL functions say so.
 */
void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	pgh_define_settings();
	pgh_can_roll_back = pgh_interrupt_prepare();
	pgh_shmem_install(restore_history);
	pgh_session_install();
	pgh_register_workers();
}
