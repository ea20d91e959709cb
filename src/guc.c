/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  The settings: their definitions, and the check and assign hooks of
 *	  pg_hygiene.rules.
 *
 * Owns: every variable behind a pg_hygiene.* setting.  Must not: touch shared
 * memory (it runs before there is any).  A check hook refuses, an assign hook
 * only copies and never fails.
 *
 *-------------------------------------------------------------------------
 */
#include "guc.h"

#include "common/hashfn.h"

#include "pure/limits.h"
#include "pure/slots.h"
#include "pure/text.h"

#define PGH_MAX_SLOTS 262143	/* PostgreSQL's MAX_BACKENDS */

int			pgh_mode = PGH_MODE_ENFORCE;
int			pgh_limit_setting[PGH_N_LIMITS];
int			pgh_connections_per_application;
int			pgh_warn_at;
int			pgh_max_events;
int			pgh_max_applications;
bool		pgh_tell_client;
bool		pgh_application_families;
bool		pgh_can_roll_back = false;

/* These are asked for by functions. */
static int	headroom;			/* as set: -1 = automatic */
static bool exempt_superusers;
static int	idle_action = PGH_IDLE_TERMINATE;	/* PghIdleAction, as set */
static char *rules_text;		/* the setting itself; GUC's memory */
static const PghRuleSet *current_rules; /* GUC's "extra" of rules_text */
static const PghRuleSet no_rules = {0};

static const struct config_enum_entry mode_options[] = {
	{"enforce", PGH_MODE_ENFORCE, false},
	{"observe", PGH_MODE_OBSERVE, false},
	{"off", PGH_MODE_OFF, false},
	{NULL, 0, false}
};

static const struct config_enum_entry idle_action_options[] = {
	{"terminate", PGH_IDLE_TERMINATE, false},
	{"rollback", PGH_IDLE_ROLLBACK, false},
	{NULL, 0, false}
};

/*
 * Where a rules text went wrong: characters from its beginning, from 1.  Taken
 * as UTF-8, since the postmaster, which reads the file, has no encoding.
 */
static int
error_position(const char *text, const PghParseError *error)
{
	return (int) pgh_count_characters(text, error->position) + 1;
}

/* The rest of an error about a rules text: "expected ..., found ...". */
static const char *
describe_parse_error(const char *text, const PghParseError *error)
{
	int			position = error_position(text, error);

	if (error->found[0] == '\0')
		return psprintf("expected %s at the end, position %d",
						error->expected, position);
	return psprintf("expected %s, found \"%s\" at position %d",
					error->expected, error->found, position);
}

/* Tells these rules from others, in whichever process they were read. */
static uint64
hash_rules(const PghRuleSet *set)
{
	return hash_bytes_extended((const unsigned char *) set->rule,
							   set->n * sizeof(PghRule), set->n);
}

/*
 * check_hook of pg_hygiene.rules: parse into one flat chunk that GUC keeps
 * beside the text.  A text that does not parse is refused whole.
 */
static bool
check_rules(char **newval, void **extra, GucSource source)
{
	PghParseError error;
	int32		capacity = pgh_rules_count(*newval);
	PghRuleSet *set = pgh_guc_malloc(PGH_RULESET_SIZE(capacity));

	if (set == NULL)
		return false;
	if (!pgh_rules_parse(*newval, set, capacity, &error))
	{
		pgh_guc_free(set);
		GUC_check_errcode(ERRCODE_INVALID_PARAMETER_VALUE);
		GUC_check_errmsg("invalid value for parameter \"%s\": %s",
						 "pg_hygiene.rules", describe_parse_error(*newval, &error));
		GUC_check_errhint("A rule looks like this: application=web-* user=app: idle_in_transaction_timeout=30s, connections=40. Rules are separated by semicolons.");
		return false;
	}
	set->hash = hash_rules(set);
	*extra = set;
	return true;
}

static void
assign_rules(const char *newval, void *extra)
{
	if (pgh_note_rules)
		pgh_note_rules(newval);
	current_rules = extra;
}

/* ----------
 * What other processes are told of
 * ----------
 */

void		(*pgh_note_setting) (PghPublished which, int value) = NULL;
void		(*pgh_note_rules) (const char *text) = NULL;

static void
assign_published(PghPublished which, int newval)
{
	if (pgh_note_setting)
		pgh_note_setting(which, newval);
}

static void
assign_mode(int newval, void *extra)
{
	assign_published(PGH_PUBLISHED_MODE, newval);
}

static void
assign_connections_per_application(int newval, void *extra)
{
	assign_published(PGH_PUBLISHED_CONNECTIONS_PER_APPLICATION, newval);
}

static void
assign_headroom(int newval, void *extra)
{
	assign_published(PGH_PUBLISHED_HEADROOM, newval);
}

static void
assign_exempt_superusers(bool newval, void *extra)
{
	assign_published(PGH_PUBLISHED_EXEMPT_SUPERUSERS, newval);
}

static void
assign_admission_wait(int newval, void *extra)
{
	assign_published(PGH_PUBLISHED_ADMISSION_WAIT, newval);
}

/* Any other that decides about sessions. */
static void
assign_other(int newval, void *extra)
{
	assign_published(PGH_N_PUBLISHED, newval);
}

void
pgh_published_settings(int *values, char *rules)
{
	values[PGH_PUBLISHED_MODE] = pgh_mode;
	values[PGH_PUBLISHED_CONNECTIONS_PER_APPLICATION] =
		pgh_connections_per_application;
	values[PGH_PUBLISHED_HEADROOM] = headroom;
	values[PGH_PUBLISHED_EXEMPT_SUPERUSERS] = exempt_superusers;
	values[PGH_PUBLISHED_ADMISSION_WAIT] =
		pgh_limit_setting[PGH_LIMIT_ADMISSION_WAIT];
	strlcpy(rules, rules_text, PGH_RULES_TEXT_LEN);
}

/* Not GUC's own memory: it goes by what it has read itself. */
static bool
use_rules(const char *text)
{
	static PghRuleSet *taken = NULL;
	PghParseError error;
	int32		capacity = pgh_rules_count(text);
	PghRuleSet *set = malloc(PGH_RULESET_SIZE(capacity));

	if (set == NULL || !pgh_rules_parse(text, set, capacity, &error))
	{
		free(set);
		return false;
	}
	set->hash = hash_rules(set);
	current_rules = set;
	free(taken);
	taken = set;
	return true;
}

bool
pgh_use_settings(const int *values, const char *rules)
{
	if (!use_rules(rules))
		return false;
	pgh_mode = values[PGH_PUBLISHED_MODE];
	pgh_connections_per_application =
		values[PGH_PUBLISHED_CONNECTIONS_PER_APPLICATION];
	headroom = values[PGH_PUBLISHED_HEADROOM];
	exempt_superusers = values[PGH_PUBLISHED_EXEMPT_SUPERUSERS];
	pgh_limit_setting[PGH_LIMIT_ADMISSION_WAIT] =
		values[PGH_PUBLISHED_ADMISSION_WAIT];
	return true;
}

PghRuleSet *
pgh_parse_rules_or_error(const char *text)
{
	PghParseError error;
	int32		capacity = pgh_rules_count(text);
	PghRuleSet *set = palloc(PGH_RULESET_SIZE(capacity));

	if (!pgh_rules_parse(text, set, capacity, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid rules: %s", describe_parse_error(text, &error)),
				 internalerrposition(error_position(text, &error)),
				 internalerrquery(text),
				 errhint("A rule looks like this: application=web-* user=app: idle_in_transaction_timeout=30s, connections=40. Rules are separated by semicolons.")));
	return set;
}

void
pgh_parse_selectors_or_error(const char *text, PghRule *rule)
{
	PghParseError error;

	if (!pgh_selectors_parse(text, rule, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid selectors: %s", describe_parse_error(text, &error)),
				 internalerrposition(error_position(text, &error)),
				 internalerrquery(text),
				 errhint("Selectors look like this: application=web-* user=app.")));
}

static void
warn_of_rule(const PghRuleSet *rules, int rule, TimestampTz now)
{
	int			hider;

	if (pgh_rule_is_over(&rules->rule[rule - 1], now))
	{
		ereport(WARNING, (errmsg("rule %d of pg_hygiene.rules is over", rule)));
		return;
	}
	hider = pgh_rules_hider(rules, rule, now);
	if (hider > 0)
		ereport(WARNING,
				(errmsg("rule %d of pg_hygiene.rules has no effect", rule),
				 errdetail("Rule %d matches whoever it matches, and decides first.",
						   hider)));
}

void
pgh_warn_of_rules(const PghRuleSet *rules, TimestampTz now)
{
	for (int i = 1; i <= rules->n; i++)
		warn_of_rule(rules, i, now);
	if (pgh_rules_lack_default(rules, now))
		ereport(WARNING,
				(errmsg("no rule of pg_hygiene.rules exempts pg_dump"),
				 errhint("Keep the default rule behind your own: application=pg_dump: exempt.")));
}

const PghRuleSet *
pgh_current_rules(void)
{
	return current_rules ? current_rules : &no_rules;
}

void
pgh_server_limits(PghLimits *limits)
{
	memset(limits, 0, sizeof(*limits));
	for (int i = 0; i < PGH_N_LIMITS; i++)
		limits->value[i] = pgh_limit_unit(i) == PGH_UNIT_TIME ?
			(int64) pgh_limit_setting[i] * 1000 : pgh_limit_setting[i];
	limits->mode = pgh_mode;
	limits->idle_action = idle_action;
	limits->exempt_superusers = exempt_superusers;
}

void
pgh_limits_under(const PghRuleSet *rules, const PghLimits *server_wide,
				 const PghIdentity *who, TimestampTz now, PghRuleBits *bits,
				 PghLimits *limits)
{
	(void) pgh_rules_match(rules, who, now, bits);
	pgh_rules_resolve(rules, bits, server_wide, limits);

	/* "off" stands above every rule: the way out when a rule does harm. */
	if (server_wide->mode == PGH_MODE_OFF)
		limits->mode = PGH_MODE_OFF;
	if (!pgh_can_roll_back)
		limits->idle_action = PGH_IDLE_TERMINATE;
}

void
pgh_limits_for(const PghIdentity *who, TimestampTz now, PghRuleBits *bits,
			   PghLimits *limits)
{
	PghLimits	server_wide;

	pgh_server_limits(&server_wide);
	pgh_limits_under(pgh_current_rules(), &server_wide, who, now, bits,
					 limits);
}

bool
pgh_rollback_is_wanted(void)
{
	const PghRuleSet *rules = pgh_current_rules();

	for (int i = 0; i < rules->n; i++)
		if (rules->rule[i].value[PGH_RULE_IDLE_ACTION] == PGH_IDLE_ROLLBACK)
			return true;
	return idle_action == PGH_IDLE_ROLLBACK;
}

int64
pgh_shortest_limit(void)
{
	const PghRuleSet *rules = pgh_current_rules();
	int64		shortest = PGH_NEVER;

	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		if (!pgh_limit_is_setting(i) || pgh_limit_unit(i) != PGH_UNIT_TIME ||
			pgh_limit_kind(i) == PGH_KIND_LENGTH ||
			pgh_limit_kind(i) == PGH_KIND_SLOTS)
			continue;
		if (pgh_limit_setting[i] > 0)
			shortest = Min(shortest, (int64) pgh_limit_setting[i] * 1000);
		for (int r = 0; r < rules->n; r++)
			if (rules->rule[r].value[i] > 0)
				shortest = Min(shortest, rules->rule[r].value[i]);
	}
	return shortest;
}

bool
pgh_is_limited(PghLimit limit)
{
	const PghRuleSet *rules = pgh_current_rules();

	if (pgh_limit_setting[limit] > 0)
		return true;
	for (int r = 0; r < rules->n; r++)
		if (rules->rule[r].value[limit] > 0)
			return true;
	return false;
}

int64
pgh_shortest_min_idle(void)
{
	const PghRuleSet *rules = pgh_current_rules();
	int64		shortest =
	(int64) pgh_limit_setting[PGH_LIMIT_HEADROOM_MIN_IDLE] * 1000;

	for (int i = 0; i < rules->n; i++)
		if (pgh_rule_sets(&rules->rule[i], PGH_LIMIT_HEADROOM_MIN_IDLE))
			shortest = Min(shortest,
						   rules->rule[i].value[PGH_LIMIT_HEADROOM_MIN_IDLE]);
	return shortest;
}

int
pgh_effective_headroom(void)
{
	if (headroom >= 0)
		return headroom;
	return pgh_automatic_headroom(MaxConnections,
								  MaxConnections - pgh_reserved_slots());
}

static void
define_limits(void)
{
	for (int i = 0; i < PGH_N_LIMITS; i++)
	{
		const PghLimitInfo *info = &pgh_limit_info[i];

		if (!pgh_limit_is_setting(i))
			continue;
		DefineCustomIntVariable(psprintf("pg_hygiene.%s", info->name),
								info->summary, info->detail,
								&pgh_limit_setting[i],
								info->boot, 0, info->max, PGC_SIGHUP,
								info->unit == PGH_UNIT_TIME ? GUC_UNIT_MS : 0,
								NULL, i == PGH_LIMIT_ADMISSION_WAIT ?
								assign_admission_wait : assign_other, NULL);
	}
}

static void
define_slots(void)
{
	DefineCustomIntVariable("pg_hygiene.connections_per_application",
							"Sets the maximum number of connections of each application.",
							"Further ones are refused. From the ninth name on, those of a family are one application. 0 means no limit.",
							&pgh_connections_per_application,
							0, 0, PGH_MAX_SLOTS, PGC_SIGHUP, 0,
							NULL, assign_connections_per_application, NULL);
	DefineCustomIntVariable("pg_hygiene.headroom",
							"Sets the number of connection slots to keep free for applications that hold few.",
							"When no more are free, an application that holds as many as are left is refused, and leaks are ended. -1 means 5 % of max_connections, at least 3, at most a quarter of the usable slots; 0 turns it off.",
							&headroom,
							-1, -1, PGH_MAX_SLOTS, PGC_SIGHUP, 0,
							NULL, assign_headroom, NULL);
	DefineCustomIntVariable("pg_hygiene.warn_at",
							"Sets the percentage of usable connection slots in use at which a warning is logged.",
							"It is logged once, and once more when it is over. 0 means no warning.",
							&pgh_warn_at,
							80, 0, 100, PGC_SIGHUP, 0,
							NULL, NULL, NULL);
}

static void
define_history(void)
{
	DefineCustomIntVariable("pg_hygiene.max_events",
							"Sets the number of events that hygiene.events keeps.",
							"A new one takes the place of the oldest.",
							&pgh_max_events,
							2000, 1, PGH_MAX_HISTORY, PGC_POSTMASTER, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hygiene.max_applications",
							"Sets the number of application names that are counted separately.",
							"Of those without a session the ones that were not used for longest give way to others, and are summed under (other applications).",
							&pgh_max_applications,
							1000, 1, PGH_MAX_HISTORY, PGC_POSTMASTER, 0,
							NULL, NULL, NULL);
}

void
pgh_define_settings(void)
{
	DefineCustomEnumVariable("pg_hygiene.mode",
							 "Selects whether limits are enforced, only observed, or off.",
							 "\"enforce\" ends and refuses sessions. \"observe\" decides, logs and records the same, but touches nobody. \"off\" only counts; it stands above every rule.",
							 &pgh_mode,
							 PGH_MODE_ENFORCE, mode_options, PGC_SIGHUP, 0,
							 NULL, assign_mode, NULL);
	define_limits();
	DefineCustomEnumVariable("pg_hygiene.idle_action",
							 "Selects what a limit on idle transactions ends: the session, or only the transaction.",
							 "\"terminate\" closes the connection. \"rollback\" keeps it, and the program's next statement fails with the reason; a session that stays idle for the limit once more is terminated.",
							 &idle_action,
							 PGH_IDLE_TERMINATE, idle_action_options,
							 PGC_SIGHUP, 0, NULL, assign_other, NULL);
	define_slots();
	DefineCustomBoolVariable("pg_hygiene.exempt_superusers",
							 "Exempts superusers from all limits.",
							 "They are counted, but never refused or ended.",
							 &exempt_superusers,
							 true, PGC_SIGHUP, 0,
							 NULL, assign_exempt_superusers, NULL);
	DefineCustomBoolVariable("pg_hygiene.tell_client",
							 "Warns a new session of an application that lost sessions to a limit.",
							 "One WARNING at its start, if sessions of that application and role were ended while idle in a transaction within the last ten minutes; at most one a minute for each application and address.",
							 &pgh_tell_client,
							 true, PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("pg_hygiene.application_families",
							 "Counts application names that differ in a number or the like as one application.",
							 "From the ninth such name on: web-1 to web-8 are eight applications, and with web-9 all are web-*.",
							 &pgh_application_families,
							 true, PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomStringVariable("pg_hygiene.rules",
							   "Sets limits for some applications, roles, databases or addresses.",
							   "Rules are separated by semicolons; for each setting the first matching rule decides. A new value replaces the default: repeat its rule if you want to keep it.",
							   &rules_text,
							   "application=pg_dump: exempt", PGC_SIGHUP, 0,
							   check_rules, assign_rules, NULL);
	define_history();
	MarkGUCPrefixReserved("pg_hygiene");
}
