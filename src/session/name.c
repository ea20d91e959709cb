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

/* ----------
 * At login
 * ----------
 */

/* Those of postgres's switches behind which a value stands. */
#define SWITCHES_WITH_VALUE "BCcDdfhkNprStvW-"

/* The value in "application_name=value", or NULL if it is something else. */
static const char *
value_of(const char *assignment)
{
	for (const char *at = "application_name"; *at != '\0'; at++, assignment++)
		if (pg_tolower((unsigned char) *assignment) != *at &&
			(*at != '_' || *assignment != '-'))
			return NULL;
	return *assignment == '=' ? assignment + 1 : NULL;
}

/*
 * The name that "-c application_name=..." or "--application_name=..." gives, or
 * NULL; the last one holds.  What is no switch ends the login in a moment.
 */
static const char *
name_in_switches(char **word, int n)
{
	const char *name = NULL;

	for (int i = 0; i < n && word[i][0] == '-'; i++)
	{
		const char *at = word[i] + 1;
		const char *value;

		while (*at != '\0' && strchr(SWITCHES_WITH_VALUE, *at) == NULL)
			at++;
		if (*at == '\0')
			continue;
		value = at[1] != '\0' ? at + 1 : i + 1 < n ? word[++i] : "";
		if ((*at == 'c' || *at == '-') && value_of(value) != NULL)
			name = value_of(value);
	}
	return name;
}

/* In the start-up packet's "options", for which libpq has PGOPTIONS. */
static const char *
name_in_options(const char *options)
{
	char	  **word;
	int			n = 0;

	if (options == NULL)
		return NULL;

	/* so many at most, says pg_split_opts() */
	word = palloc((strlen(options) + 1) / 2 * sizeof(char *));
	pg_split_opts(word, &n, options);
	return name_in_switches(word, n);
}

/* In the packet itself: whatever case the setting's name is written in. */
static const char *
name_in_packet(const Port *port)
{
	const char *name = NULL;

	for (int i = 0; i + 1 < list_length(port->guc_options); i += 2)
		if (pg_strcasecmp(list_nth(port->guc_options, i),
						  "application_name") == 0)
			name = list_nth(port->guc_options, i + 1);
	return name;
}

/*
 * Core sets what is in the options first, and then what is in the packet.  A
 * name that a role, a database or the configuration file has is not known yet:
 * the session takes that later, in its first transaction.
 */
void
pgh_name_at_login(const Port *port, char *name)
{
	const char *given = name_in_packet(port);

	if (given == NULL)
		given = name_in_options(port->cmdline_options);
	name[0] = '\0';
	if (given != NULL)
		(void) read_name(pgh_clean_ascii(given), name);
}
