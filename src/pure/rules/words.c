/*-------------------------------------------------------------------------
 *
 * pure/rules/words.c
 *	  The words of pg_hygiene.rules: settings, selectors, values, units.
 *
 * Owns: these tables, and the ranges of the values.  Must not: hold code or
 * anything that changes.  For parse.c, print.c and match.c only.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pure/rules.h"
#include "pure/rules/internal.h"

/* What max_connections can be at most; the phrases below repeat it. */
#define MAX_CONNECTIONS 262143
#define MAX_CONNECT_RATE 1000000
#define MAX_HORIZON 2000000000

#define EXPECT_MODE "\"enforce\", \"observe\" or \"off\""
#define EXPECT_IDLE_ACTION "\"terminate\" or \"rollback\""
#define EXPECT_FLAG "\"on\" or \"off\""
#define EXPECT_DURATION "a duration such as 30s or 5min"
#define EXPECT_CONNECTIONS "a whole number from 0 to 262143"
#define EXPECT_RATE "a whole number from 0 to 1000000"
#define EXPECT_HORIZON "a whole number from 0 to 2000000000"

#define DURATION_SETTING(name, setting) \
	{name, (PghRuleSetting) (setting), PGH_VALUE_DURATION, 0, NULL, \
		EXPECT_DURATION}
#define NUMBER_SETTING(name, setting, max, expected) \
	{name, (PghRuleSetting) (setting), PGH_VALUE_NUMBER, max, NULL, expected}
#define WORD_SETTING(name, setting, words, expected) \
	{name, setting, PGH_VALUE_WORD, 0, words, expected}
#define FLAG_SETTING(name, setting) \
	{name, setting, PGH_VALUE_FLAG, 0, flags, EXPECT_FLAG}
#define MOMENT_SETTING(name, setting) \
	{name, setting, PGH_VALUE_MOMENT, 0, NULL, NULL}

/* By what they are kept as; those of mode in the order of PghMode. */
static const char *const flags[] = {"off", "on", NULL};
static const char *const modes[] = {"enforce", "observe", "off", NULL};

/* The same for PghIdleAction. */
static const char *const idle_actions[] = {"terminate", "rollback", NULL};

const PghSettingInfo pgh_setting_info[] = {
	WORD_SETTING("mode", PGH_RULE_MODE, modes, EXPECT_MODE),
	WORD_SETTING("idle_action", PGH_RULE_IDLE_ACTION, idle_actions,
				 EXPECT_IDLE_ACTION),
	DURATION_SETTING("idle_in_transaction_timeout",
					 PGH_LIMIT_IDLE_IN_TRANSACTION),
	DURATION_SETTING("idle_blocker_timeout", PGH_LIMIT_IDLE_BLOCKER),
	DURATION_SETTING("advisory_blocker_timeout", PGH_LIMIT_ADVISORY_BLOCKER),
	DURATION_SETTING("client_stall_timeout", PGH_LIMIT_CLIENT_STALL),
	DURATION_SETTING("idle_writer_timeout", PGH_LIMIT_IDLE_WRITER),
	DURATION_SETTING("idle_session_timeout", PGH_LIMIT_IDLE_SESSION),
	DURATION_SETTING("session_lifetime", PGH_LIMIT_SESSION_LIFETIME),
	DURATION_SETTING("transaction_timeout", PGH_LIMIT_TRANSACTION),
	DURATION_SETTING("cancel_grace", PGH_LIMIT_CANCEL_GRACE),
	DURATION_SETTING("headroom_min_idle", PGH_LIMIT_HEADROOM_MIN_IDLE),
	DURATION_SETTING("admission_wait", PGH_LIMIT_ADMISSION_WAIT),
	NUMBER_SETTING("horizon_limit", PGH_LIMIT_HORIZON,
				   MAX_HORIZON, EXPECT_HORIZON),
	NUMBER_SETTING("connections", PGH_RULE_CONNECTIONS,
				   MAX_CONNECTIONS, EXPECT_CONNECTIONS),
	NUMBER_SETTING("reserve", PGH_RULE_RESERVE,
				   MAX_CONNECTIONS, EXPECT_CONNECTIONS),
	NUMBER_SETTING("connect_rate", PGH_RULE_CONNECT_RATE,
				   MAX_CONNECT_RATE, EXPECT_RATE),
	DURATION_SETTING("client_check_interval", PGH_RULE_CLIENT_CHECK),
	FLAG_SETTING("exempt", PGH_RULE_EXEMPT),
	MOMENT_SETTING("until", PGH_RULE_UNTIL),
	{.name = NULL}
};

const char *const pgh_selector_names[PGH_N_SELECTOR_KINDS] = {
	"application", "user", "database", "address"
};

const PghDurationUnit pgh_duration_units[PGH_N_DURATION_UNITS] = {
	{"us", 1, 1000},
	{"ms", 1, 1},
	{"s", 1000, 1},
	{"min", 60000, 1},
	{"h", 3600000, 1},
	{"d", 86400000, 1},
};
