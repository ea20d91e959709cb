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
#define SESSION_OR_TRANSACTION \
	"Its session is terminated, or only the transaction rolled back, as pg_hygiene.idle_action says. "
#define SPARES_THE_NEEDED \
	"One that LISTENs, holds an advisory lock or is between pg_backup_start and pg_backup_stop is spared, unless a rule sets the limit for it. "
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
		.summary = "Sets the maximum time that a transaction may be left idle.",
		.detail = SESSION_OR_TRANSACTION NO_LIMIT,
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
		.summary = "Sets the maximum time that a transaction may be left idle while another session waits for it.",
		.detail = "The time counts from when it went idle. " SESSION_OR_TRANSACTION
		"Who waits is looked at once a second; waiting for an advisory lock does not count. " NO_LIMIT,
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
		.summary = "Sets the maximum time that a transaction that has written may be left idle.",
		.detail = SESSION_OR_TRANSACTION NO_LIMIT,
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
		.summary = "Sets the maximum age, in transaction ids, of the xmin of a transaction that is left idle.",
		.detail = "That is how far it holds VACUUM back. " SESSION_OR_TRANSACTION NO_LIMIT,
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
		.summary = "Sets the maximum time that a session may be idle outside a transaction.",
		.detail = "It is terminated then. " SPARES_THE_NEEDED NO_LIMIT,
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
		.summary = "Sets the maximum time that an idle session may keep others waiting for an advisory lock.",
		.detail = "It is terminated then, in a transaction or outside of one. A leader that others wait to follow needs a rule that sets 0. " NO_LIMIT,
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
		.summary = "Sets the maximum time that a statement may wait for its client without a byte moved.",
		.detail = "Its session is terminated then. It may wait for the client to send, as in COPY FROM STDIN or a pipeline without Sync, or to read. " NO_LIMIT,
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
		.summary = "Sets the maximum age of a session, less up to a tenth.",
		.detail = "It is terminated when it is idle outside a transaction. The tenth is by its process id, so that sessions that came together do not go together; one that makes no pause of a second may stay for another tenth. "
		SPARES_THE_NEEDED NO_LIMIT,
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
		.summary = "Sets the maximum age of a transaction.",
		.detail = "Its statement is canceled, and its session terminated if the transaction is still open when pg_hygiene.cancel_grace is over; one that is idle is terminated at once. " NO_LIMIT,
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
		.summary = "Sets the time between canceling the statement of a transaction that is too old and terminating its session.",
		.detail = "In that time the program can roll back and keep its connection. About pg_hygiene.transaction_timeout. 0 means that it gets none.",
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
		.summary = "Sets the minimum idle time of a session that is terminated because connection slots run short.",
		.detail = "While a limit on connections is full of idle transactions and somebody is refused, a fifth of it suffices for those that are not known to come back. 0 means that any idle session may be.",
		.boot = 5 * 1000,
		.max = INT32_MAX,
	},
	[PGH_LIMIT_ADMISSION_WAIT] = {
		.name = "admission_wait",
		.kind = PGH_KIND_SLOTS,
		.unit = PGH_UNIT_TIME,
		.summary = "Sets the maximum time that a connection that would be refused waits for a place.",
		.detail = "The next place goes to whoever holds the fewest connections. No more than half the headroom waits. 0 means that nobody waits.",
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
