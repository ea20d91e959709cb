/*-------------------------------------------------------------------------
 *
 * pure/limits.c
 *	  The limits: what each is called, counts, and says.
 *
 * Owns: the one table of limits.  Settings, rules, decisions, messages and
 * views read it; nothing rests on the order of its rows.  Must not: decide.
 *
 *-------------------------------------------------------------------------
 */
#include "pure/limits.h"

#define NO_LIMIT "0 means no limit."
#define MAX_XIDS 2000000000

#define SQLSTATE_IDLE_IN_TRANSACTION "25P03"
#define SQLSTATE_TRANSACTION "25P04"
#define SQLSTATE_IDLE_SESSION "57P05"
#define SQLSTATE_ADMIN_SHUTDOWN "57P01"

#define IDLE_IN_TRANSACTION_PRIMARY \
	"terminating connection due to idle-in-transaction timeout"
#define ROLLBACK_PRIMARY \
	"transaction was rolled back due to idle-in-transaction timeout"
#define ALLOWS "allows %s"

#define EVICTED_FROM_CAP_PRIMARY \
	"terminating connection to make room within a limit on connections"
#define LEFT_WITHIN_CAP \
	"left a transaction idle for %s while a limit on connections was reached"
#define EVICTED_FROM_CAP_HINT \
	"Commit or roll back, and close the session when the work is done."

const PghLimitInfo pgh_limit_info[PGH_N_LIMITS] = {
	[PGH_LIMIT_NONE] = {
		.name = "none",
	},
	[PGH_LIMIT_IDLE_IN_TRANSACTION] = {
		.name = "idle_in_transaction_timeout",
		.kind = PGH_KIND_IDLE_IN_TRANSACTION,
		.unit = PGH_UNIT_TIME,
		.summary = "Terminates a session that has been idle in a transaction this long.",
		.detail = NO_LIMIT,
		.boot = 10 * 60 * 1000,
		.max = INT32_MAX,
		.sqlstate = SQLSTATE_IDLE_IN_TRANSACTION,
		.primary = IDLE_IN_TRANSACTION_PRIMARY,
		.rollback_primary = ROLLBACK_PRIMARY,
		.deed = "left a transaction idle for %s",
		.allowance = ALLOWS,
		.hint = "Commit or roll back, and close the session when the work is done.",
	},
	[PGH_LIMIT_IDLE_BLOCKER] = {
		.name = "idle_blocker_timeout",
		.kind = PGH_KIND_IDLE_IN_TRANSACTION,
		.unit = PGH_UNIT_TIME,
		.summary = "Terminates a session that has been idle in a transaction this long while another one waited for it.",
		.detail = NO_LIMIT,
		.boot = 60 * 1000,
		.max = INT32_MAX,
		.sqlstate = SQLSTATE_IDLE_IN_TRANSACTION,
		.primary = IDLE_IN_TRANSACTION_PRIMARY,
		.rollback_primary = ROLLBACK_PRIMARY,
		.deed = "left a transaction idle for %s while another session waited for it",
		.allowance = ALLOWS,
		.hint = "Commit or roll back before the program waits for anything else, so that others need not wait for its locks.",
	},
	[PGH_LIMIT_IDLE_WRITER] = {
		.name = "idle_writer_timeout",
		.kind = PGH_KIND_IDLE_IN_TRANSACTION,
		.unit = PGH_UNIT_TIME,
		.summary = "Terminates a session that has been idle this long in a transaction that has written.",
		.detail = NO_LIMIT,
		.max = INT32_MAX,
		.sqlstate = SQLSTATE_IDLE_IN_TRANSACTION,
		.primary = IDLE_IN_TRANSACTION_PRIMARY,
		.rollback_primary = ROLLBACK_PRIMARY,
		.deed = "left a transaction that had written idle for %s",
		.allowance = ALLOWS,
		.hint = "Commit or roll back as soon as the rows are written.",
	},
	[PGH_LIMIT_HORIZON] = {
		.name = "horizon_limit",
		.kind = PGH_KIND_IDLE_IN_TRANSACTION,
		.unit = PGH_UNIT_XIDS,
		.summary = "Terminates a session that is idle in a transaction whose xmin is this many transaction ids old.",
		.detail = NO_LIMIT,
		.max = MAX_XIDS,
		.sqlstate = SQLSTATE_IDLE_IN_TRANSACTION,
		.primary = IDLE_IN_TRANSACTION_PRIMARY,
		.rollback_primary = ROLLBACK_PRIMARY,
		.deed = "left a transaction idle that holds back VACUUM by %s transaction ids",
		.allowance = ALLOWS,
		.hint = "Commit or roll back when the rows are read: an open snapshot keeps VACUUM from removing dead rows in the whole server.",
	},
	[PGH_LIMIT_IDLE_SESSION] = {
		.name = "idle_session_timeout",
		.kind = PGH_KIND_IDLE_SESSION,
		.unit = PGH_UNIT_TIME,
		.summary = "Terminates a session that has been idle outside a transaction this long.",
		.detail = NO_LIMIT,
		.max = INT32_MAX,
		.sqlstate = SQLSTATE_IDLE_SESSION,
		.primary = "terminating connection due to idle-session timeout",
		.deed = "left a session idle for %s",
		.allowance = ALLOWS,
		.hint = "Close the session when the work is done, or let a connection pool do it.",
	},
	[PGH_LIMIT_ADVISORY_BLOCKER] = {
		.name = "advisory_blocker_timeout",
		.kind = PGH_KIND_IDLE,
		.unit = PGH_UNIT_TIME,
		.summary = "Terminates an idle session with an advisory lock that another one has waited for this long.",
		.detail = NO_LIMIT,
		.max = INT32_MAX,
		.sqlstate = SQLSTATE_IDLE_SESSION,
		.primary = "terminating connection due to advisory-blocker timeout",
		.deed = "kept another session waiting for an advisory lock for %s while idle",
		.allowance = ALLOWS,
		.hint = "Unlock on the connection that locked: through a pool the unlock may have gone to another connection, where it does nothing. pg_advisory_xact_lock needs no unlock, since its lock ends with the transaction.",
	},
	[PGH_LIMIT_CLIENT_STALL] = {
		.name = "client_stall_timeout",
		.kind = PGH_KIND_CLIENT,
		.unit = PGH_UNIT_TIME,
		.summary = "Terminates a session whose statement has waited for its client this long without a byte moved.",
		.detail = NO_LIMIT,
		.max = INT32_MAX,
		.sqlstate = SQLSTATE_IDLE_SESSION,
		.primary = "terminating connection due to client stall",
		.deed = "kept a statement waiting for its client for %s without a byte moved",
		.allowance = ALLOWS,
		.hint = "Read the whole result, or cancel it, and end what was begun: COPY with its last message, a pipeline with Sync.",
	},
	[PGH_LIMIT_SESSION_LIFETIME] = {
		.name = "session_lifetime",
		.kind = PGH_KIND_SESSION,
		.unit = PGH_UNIT_TIME,
		.summary = "Terminates a session this old, less up to a tenth, when it is idle outside a transaction.",
		.detail = NO_LIMIT,
		.max = INT32_MAX,
		.sqlstate = SQLSTATE_ADMIN_SHUTDOWN,
		.primary = "terminating connection due to session lifetime",
		.deed = "kept a session open for %s",
		.allowance = "allows %s, less up to a tenth",
		.hint = "Connect again: no transaction was open. A pool that checks a connection before it lends it does so by itself.",
	},
	[PGH_LIMIT_DRAIN] = {
		.name = "drain",
		.kind = PGH_KIND_SESSION,
		.unit = PGH_UNIT_TIME,
		.sqlstate = SQLSTATE_ADMIN_SHUTDOWN,
		.primary = "terminating connection due to drain",
		.hint = "Connect again: no transaction was open.",
	},
	[PGH_LIMIT_TRANSACTION] = {
		.name = "transaction_timeout",
		.kind = PGH_KIND_TRANSACTION,
		.unit = PGH_UNIT_TIME,
		.summary = "Cancels the statement of a transaction this old, then terminates its session.",
		.detail = NO_LIMIT,
		.max = INT32_MAX,
		.sqlstate = SQLSTATE_TRANSACTION,
		.primary = "terminating connection due to transaction timeout",
		.cancel_primary = "canceling statement due to transaction timeout",
		.deed = "kept a transaction open for %s",
		.allowance = ALLOWS,
		.hint = "Split the work into shorter transactions, or ask for a rule that allows this program more.",
	},
	[PGH_LIMIT_CANCEL_GRACE] = {
		.name = "cancel_grace",
		.kind = PGH_KIND_LENGTH,
		.unit = PGH_UNIT_TIME,
		.summary = "Time between cancelling an old transaction's statement and terminating its session.",
		.boot = 10 * 1000,
		.max = INT32_MAX,
	},
	[PGH_LIMIT_HEADROOM] = {
		.name = "headroom",
		.kind = PGH_KIND_SLOTS,
		.unit = PGH_UNIT_COUNT,
		.sqlstate = SQLSTATE_ADMIN_SHUTDOWN,
		.primary = "terminating connection to free a connection slot",
		.deed = "left this session idle for %s while connection slots ran short",
		.allowance = "keeps %s free",
		.hint = "Close sessions when the work is done, or use one connection pool that is shared by the whole program.",
	},
	[PGH_LIMIT_HEADROOM_MIN_IDLE] = {
		.name = "headroom_min_idle",
		.kind = PGH_KIND_SLOTS,
		.unit = PGH_UNIT_TIME,
		.summary = "Nobody idle for less than this is evicted when slots run short.",
		.boot = 5 * 1000,
		.max = INT32_MAX,
	},
	[PGH_LIMIT_ADMISSION_WAIT] = {
		.name = "admission_wait",
		.kind = PGH_KIND_SLOTS,
		.unit = PGH_UNIT_TIME,
		.summary = "Lets a connection that would be refused wait this long for a place.",
		.detail = "0 means that it is refused at once. No more than half the headroom waits.",
		.max = INT32_MAX,
	},
	[PGH_LIMIT_CONNECTIONS] = {
		.name = "connections",
		.kind = PGH_KIND_SLOTS,
		.unit = PGH_UNIT_COUNT,
		.sqlstate = SQLSTATE_ADMIN_SHUTDOWN,
		.primary = EVICTED_FROM_CAP_PRIMARY,
		.deed = LEFT_WITHIN_CAP,
		.allowance = ALLOWS,
		.hint = EVICTED_FROM_CAP_HINT,
	},
	[PGH_LIMIT_CONNECTIONS_PER_APPLICATION] = {
		.name = "connections_per_application",
		.kind = PGH_KIND_SLOTS,
		.unit = PGH_UNIT_COUNT,
		.sqlstate = SQLSTATE_ADMIN_SHUTDOWN,
		.primary = EVICTED_FROM_CAP_PRIMARY,
		.deed = LEFT_WITHIN_CAP,
		.allowance = ALLOWS,
		.hint = EVICTED_FROM_CAP_HINT,
	},
	[PGH_LIMIT_RESERVE] = {
		.name = "reserve",
		.kind = PGH_KIND_SLOTS,
		.unit = PGH_UNIT_COUNT,
	},
	[PGH_LIMIT_CONNECT_RATE] = {
		.name = "connect_rate",
		.kind = PGH_KIND_SLOTS,
		.unit = PGH_UNIT_COUNT,
	},
	[PGH_LIMIT_WARN_AT] = {
		.name = "warn_at",
		.kind = PGH_KIND_WARNING,
		.unit = PGH_UNIT_COUNT,
	},
};
