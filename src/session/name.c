/*-------------------------------------------------------------------------
 *
 * session/name.c
 *	  Which name a session counts for: the one that its client logs in with,
 *	  and those that it takes later.
 *
 * Owns: reading application_name.  Must not: decide who may have a name.  For
 * the hooks of the backend itself.
 *
 * Names taken later
 * -----------------
 * Nothing that a client does changes the name behind our back:
 *
 * - Whatever changes the setting calls its assign hook: SET, RESET, DISCARD,
 *   set_config(), a function's SET, a reload, and the end of a transaction, a
 *   subtransaction or a function that brings an earlier value back.  That hook
 *   is ours, and leaves a word.  (The address of the value would not do: its
 *   memory is used again.)
 * - Core calls us before it works off what the transaction has stacked.  So
 *   the value that will last is not always the one that is set; it is found
 *   where core will find it a moment later, and admitted at the end of the
 *   very transaction that took it, by COMMIT or PREPARE TRANSACTION.
 * - Should core come to another value than we do, it calls the hook once more
 *   for that, and the next commit looks again.
 * - A transaction that is rolled back leaves what was there before, which has
 *   been admitted.  The word stays for the next commit.  Only a reload changes
 *   a value beside transactions, that of those who have none of their own.
 *
 *-------------------------------------------------------------------------
 */
#include "session/name.h"

#include "pure/application_name.h"
#include "session/admission.h"

/* Whoever was forked has a name that nobody has looked at yet. */
bool		pgh_name_was_set = true;

static struct config_generic *setting = NULL;
static GucStringAssignHook prev_assign = NULL;

static void
assign_name(const char *value, void *extra)
{
	pgh_name_was_set = true;
	if (prev_assign)
		prev_assign(value, extra);
}

void
pgh_name_install(void)
{
	GucStringAssignHook *hook;

	setting = pgh_find_setting("application_name");
	if (setting == NULL)
		return;
	hook = pgh_setting_assign_hook(setting);
	prev_assign = *hook;
	*hook = assign_name;
}

/*
 * What of a value is the application's own name, in PGH_NAME_LEN bytes; false
 * if it is no name but a trace.
 */
static bool
read_name(const char *value, char *name)
{
	char		trace_id[PGH_TRACE_ID_LEN];

	if (pgh_read_traceparent(value, trace_id))
		return false;
	strlcpy(name, value, PGH_NAME_LEN);
	name[pgh_application_length(name)] = '\0';
	return true;
}

/*
 * The value after the transaction that is being committed: SET LOCAL and a
 * function's SET end with it, and bring back what was there before them.
 */
static const char *
lasting_value(void)
{
	const GucStack *stack = setting != NULL ? setting->stack : NULL;
	const char *value = application_name;

	if (stack != NULL && stack->state == GUC_SET_LOCAL)
		value = stack->masked.val.stringval;
	else if (stack != NULL && stack->state != GUC_SET)
		value = stack->prior.val.stringval;
	return value != NULL ? value : "";
}

bool
pgh_name_follow(PghSlot *slot, uint64 transactions)
{
	char		name[PGH_NAME_LEN];

	pgh_name_was_set = false;
	if (!read_name(lasting_value(), name) || strcmp(name, slot->name) == 0)
		return false;
	return pgh_admit_name(slot, name, pgh_slot_credit(slot, transactions));
}

void
pgh_name_at_login(const Port *port, char *name)
{
	name[0] = '\0';
	if (port->application_name)
		(void) read_name(port->application_name, name);
}
