/* sql/pg_hygiene--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION pg_hygiene" to load this file. \quit

CREATE SCHEMA hygiene;
GRANT USAGE ON SCHEMA hygiene TO PUBLIC;
COMMENT ON SCHEMA hygiene IS
	'Connections, limits and leaks of the whole server, as pg_hygiene sees them';

--
-- hygiene.status: the server in one row
--
CREATE FUNCTION hygiene.get_status(
	old_prepared bigint,
	OUT version text,
	OUT mode text,
	OUT pressure text,
	OUT max_connections integer,
	OUT reserved integer,
	OUT used integer,
	OUT authenticating integer,
	OUT available integer,
	OUT headroom integer,
	OUT active integer,
	OUT idle integer,
	OUT idle_in_transaction integer,
	OUT oldest_transaction interval,
	OUT growth_per_minute double precision,
	OUT exhaustion_in interval,
	OUT terminated bigint,
	OUT evicted bigint,
	OUT cancelled bigint,
	OUT spared bigint,
	OUT refused bigint,
	OUT refused_by_server bigint,
	OUT worker_pid integer,
	OUT last_pass timestamptz,
	OUT pass_duration interval,
	OUT stats_since timestamptz,
	OUT rolled_back bigint,
	OUT idle_action text,
	OUT waiting integer)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_status';

COMMENT ON FUNCTION hygiene.get_status(bigint) IS
	'One row about the whole server. Raises a WARNING when old_prepared, the number of prepared transactions older than an hour, is not 0. Everyone may call it. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.status AS
	SELECT * FROM hygiene.get_status((
		SELECT count(*) FROM pg_catalog.pg_prepared_xacts
		WHERE prepared < now() - interval '1 hour'));

COMMENT ON VIEW hygiene.status IS
	'The server in one row: connection slots, sessions by state, what was ended and refused, and the worker';
COMMENT ON COLUMN hygiene.status.version IS
	'Of the library that the server has loaded';
COMMENT ON COLUMN hygiene.status.mode IS
	'pg_hygiene.mode: "enforce", "observe" or "off"';
COMMENT ON COLUMN hygiene.status.pressure IS
	'"normal"; "warning" from pg_hygiene.warn_at percent of the usable slots on; "critical" while no more than "headroom" slots are available';
COMMENT ON COLUMN hygiene.status.max_connections IS
	'The setting max_connections of PostgreSQL';
COMMENT ON COLUMN hygiene.status.reserved IS
	'Slots that ordinary roles cannot have: superuser_reserved_connections and reserved_connections';
COMMENT ON COLUMN hygiene.status.used IS
	'Slots for client connections in use, including those of clients still authenticating';
COMMENT ON COLUMN hygiene.status.authenticating IS
	'Of the used slots, those whose client has not finished authentication';
COMMENT ON COLUMN hygiene.status.available IS
	'max_connections - "reserved" - "used", not below 0';
COMMENT ON COLUMN hygiene.status.headroom IS
	'Free slots to keep: pg_hygiene.headroom, or what -1 stands for';
COMMENT ON COLUMN hygiene.status.active IS
	'Sessions that run a statement; null while one of the sessions is hidden';
COMMENT ON COLUMN hygiene.status.idle IS
	'Sessions idle outside a transaction; null while one of the sessions is hidden';
COMMENT ON COLUMN hygiene.status.idle_in_transaction IS
	'Sessions idle in a transaction, including aborted ones; null while one of the sessions is hidden';
COMMENT ON COLUMN hygiene.status.oldest_transaction IS
	'Age of the oldest open transaction of a client session; null while one of the sessions is hidden';
COMMENT ON COLUMN hygiene.status.growth_per_minute IS
	'How fast the used slots grow, in slots per minute, measured over the last minute, or since the start if that is less; 0 while they grow in a way that will not last';
COMMENT ON COLUMN hygiene.status.exhaustion_in IS
	'When the available slots are used up at that speed; null while it is not above 0';
COMMENT ON COLUMN hygiene.status.terminated IS
	'Sessions ended by a limit since stats_since';
COMMENT ON COLUMN hygiene.status.evicted IS
	'Sessions ended to free a slot since stats_since';
COMMENT ON COLUMN hygiene.status.cancelled IS
	'Statements cancelled because their transaction was too old, since stats_since';
COMMENT ON COLUMN hygiene.status.spared IS
	'Sessions that went back to work at the last moment and were left alone, since stats_since';
COMMENT ON COLUMN hygiene.status.refused IS
	'Connections refused by pg_hygiene since stats_since';
COMMENT ON COLUMN hygiene.status.refused_by_server IS
	'Connections refused by PostgreSQL itself (SQLSTATE 53300) since stats_since';
COMMENT ON COLUMN hygiene.status.worker_pid IS
	'Process id of the worker; null while it is not running';
COMMENT ON COLUMN hygiene.status.last_pass IS
	'When the worker last looked at all sessions';
COMMENT ON COLUMN hygiene.status.pass_duration IS
	'How long that look took';
COMMENT ON COLUMN hygiene.status.rolled_back IS
	'Idle transactions that a limit rolled back while the connection stayed, since stats_since';
COMMENT ON COLUMN hygiene.status.idle_action IS
	'What a limit on an idle transaction ends where no rule says otherwise: "terminate" or "rollback"; always "terminate" where this server gives no way to roll back';
COMMENT ON COLUMN hygiene.status.waiting IS
	'Logins that wait for a place, as admission_wait lets them; among those that are authenticating, and counted nowhere else';
COMMENT ON COLUMN hygiene.status.stats_since IS
	'When counting began, or hygiene.reset() was called; a restart does not change it';

--
-- hygiene.sessions: one row for each client session
--
CREATE FUNCTION hygiene.get_sessions(
	OUT pid integer,
	OUT application_name text,
	OUT user_name text,
	OUT database_name text,
	OUT client_addr inet,
	OUT client_port integer,
	OUT backend_start timestamptz,
	OUT state text,
	OUT state_age interval,
	OUT transaction_age interval,
	OUT wrote boolean,
	OUT xmin_age integer,
	OUT blocking integer,
	OUT listening boolean,
	OUT exempt text,
	OUT rules integer[],
	OUT limit_name text,
	OUT limit_setting text,
	OUT ends_in interval,
	OUT query_id bigint,
	OUT query text,
	OUT advisory_locks integer,
	OUT longest_wait interval,
	OUT client_wait interval)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_sessions';

COMMENT ON FUNCTION hygiene.get_sessions() IS
	'One row for each client session of the server. Everyone may call it; what pg_stat_activity hides from the caller is hidden here. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.sessions AS SELECT * FROM hygiene.get_sessions();

COMMENT ON VIEW hygiene.sessions IS
	'One row for each client session of the server, with the limit that will end it and when';
COMMENT ON COLUMN hygiene.sessions.pid IS
	'Process id of the backend';
COMMENT ON COLUMN hygiene.sessions.application_name IS
	'As the session has it now, with the client that PgBouncer appends (application_name_add_host)';
COMMENT ON COLUMN hygiene.sessions.user_name IS
	'Login role, as it was named when the session began';
COMMENT ON COLUMN hygiene.sessions.database_name IS
	'Database it is connected to, as it was named then';
COMMENT ON COLUMN hygiene.sessions.client_addr IS
	'Null for a Unix-domain socket; hidden from others';
COMMENT ON COLUMN hygiene.sessions.client_port IS
	'-1 for a Unix-domain socket; hidden from others';
COMMENT ON COLUMN hygiene.sessions.backend_start IS
	'When the session began; hidden from others';
COMMENT ON COLUMN hygiene.sessions.state IS
	'As in pg_stat_activity; "starting" until the session is ready, "disabled" where track_activities is off; the others are "active" (also during a fast-path function call), "idle", "idle in transaction" and "idle in transaction (aborted)"; "waiting for admission" is a login that is not let in yet, see admission_wait, and has nothing but its name, role, database, state and age; hidden from others';
COMMENT ON COLUMN hygiene.sessions.state_age IS
	'Time since it entered this state; hidden from others';
COMMENT ON COLUMN hygiene.sessions.transaction_age IS
	'Time since its transaction began, its own also when several came in one message (where transaction_timeout is set for anybody), and of one that has failed and was not rolled back; null outside a transaction; hidden from others';
COMMENT ON COLUMN hygiene.sessions.wrote IS
	'Whether its transaction has been assigned a transaction id';
COMMENT ON COLUMN hygiene.sessions.xmin_age IS
	'How many transaction ids behind the next one its xmin is; null when it holds back nothing';
COMMENT ON COLUMN hygiene.sessions.blocking IS
	'Number of processes that hang on it: they wait for a lock it holds, stand in the queue behind one that does, or wait for one of those';
COMMENT ON COLUMN hygiene.sessions.listening IS
	'Whether it LISTENs on a channel; hidden from others';
COMMENT ON COLUMN hygiene.sessions.exempt IS
	'Why it is never refused, ended or evicted: "superuser", "rule n", track_activities; null if it may be; hidden from others';
COMMENT ON COLUMN hygiene.sessions.rules IS
	'Numbers of the rules of pg_hygiene.rules that match it, from 1; hidden from others';
COMMENT ON COLUMN hygiene.sessions.limit_name IS
	'The setting that acts first if the session goes on doing what it does; null if none will; hidden from others';
COMMENT ON COLUMN hygiene.sessions.limit_setting IS
	'The value of that setting for this session; hidden from others';
COMMENT ON COLUMN hygiene.sessions.ends_in IS
	'Time until that limit acts; null when nothing will end the session, also because it is only observed; hidden from others';
COMMENT ON COLUMN hygiene.sessions.query_id IS
	'Identifier of its statement, where compute_query_id gives one; hidden from others';
COMMENT ON COLUMN hygiene.sessions.query IS
	'The statement it runs or ran last, its first 1023 bytes; where that is hidden, "<insufficient privilege>"';
COMMENT ON COLUMN hygiene.sessions.advisory_locks IS
	'Number of advisory locks it holds, as pg_locks lists them: of the session or the transaction, shared or not';
COMMENT ON COLUMN hygiene.sessions.longest_wait IS
	'How long the one of these that waits longest has waited; null if nobody waits';
COMMENT ON COLUMN hygiene.sessions.client_wait IS
	'How long its statement has waited for the client, to send or to read, without a byte moved; seen up to a second late; null if it does not wait; hidden from others';

--
-- hygiene.applications: one row for each application name
--
CREATE FUNCTION hygiene.get_applications(
	OUT application_name text,
	OUT connections integer,
	OUT active integer,
	OUT idle integer,
	OUT idle_in_transaction integer,
	OUT peak_connections integer,
	OUT peak_at timestamptz,
	OUT share double precision,
	OUT oldest_transaction interval,
	OUT opened bigint,
	OUT closed bigint,
	OUT refused bigint,
	OUT terminated bigint,
	OUT evicted bigint,
	OUT cancelled bigint,
	OUT spared bigint,
	OUT transactions bigint,
	OUT mean_session interval,
	OUT diagnosis text,
	OUT rolled_back bigint,
	OUT would_terminate bigint,
	OUT would_evict bigint,
	OUT would_refuse bigint,
	OUT blocked_time interval,
	OUT slot_time interval,
	OUT horizon_xids bigint,
	OUT diagnosed_since timestamptz,
	OUT diagnosed_at timestamptz)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_application_list';

COMMENT ON FUNCTION hygiene.get_applications() IS
	'One row for each application name since the server started. Everyone may call it. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.applications AS
	SELECT * FROM hygiene.get_applications();

COMMENT ON VIEW hygiene.applications IS
	'One row for each application name, with its sessions of this moment and its counters';
COMMENT ON COLUMN hygiene.applications.application_name IS
	'As the client set it, without the client that PgBouncer appends; "orders-*" is a family, see applications.md; "(newcomers)" sums most of those that are new here, if they are more than 16; "(other applications)" sums what has no row any more';
COMMENT ON COLUMN hygiene.applications.connections IS
	'Sessions of this moment; a name that is taken later counts from the end of its transaction on';
COMMENT ON COLUMN hygiene.applications.active IS
	'Of those, the ones that run a statement; null while one of its sessions is hidden';
COMMENT ON COLUMN hygiene.applications.idle IS
	'Of those, the ones idle outside a transaction; null while one of its sessions is hidden';
COMMENT ON COLUMN hygiene.applications.idle_in_transaction IS
	'Of those, the ones idle in a transaction, including aborted ones; null while one of its sessions is hidden';
COMMENT ON COLUMN hygiene.applications.peak_connections IS
	'Most sessions it had at once since stats_since';
COMMENT ON COLUMN hygiene.applications.peak_at IS
	'When that was';
COMMENT ON COLUMN hygiene.applications.share IS
	'Its connections in percent of the usable slots';
COMMENT ON COLUMN hygiene.applications.oldest_transaction IS
	'Age of its oldest open transaction; null while one of its sessions is hidden';
COMMENT ON COLUMN hygiene.applications.opened IS
	'Sessions that took up this name since stats_since, at login or later, and those that had it at that time';
COMMENT ON COLUMN hygiene.applications.closed IS
	'Sessions that gave it up, by ending or by taking another name';
COMMENT ON COLUMN hygiene.applications.refused IS
	'Connections refused by pg_hygiene';
COMMENT ON COLUMN hygiene.applications.terminated IS
	'Sessions ended by a limit';
COMMENT ON COLUMN hygiene.applications.evicted IS
	'Sessions ended to free a slot';
COMMENT ON COLUMN hygiene.applications.cancelled IS
	'Statements cancelled because their transaction was too old';
COMMENT ON COLUMN hygiene.applications.spared IS
	'Sessions that went back to work at the last moment and were left alone';
COMMENT ON COLUMN hygiene.applications.transactions IS
	'Transactions that sessions ended under this name, by commit or rollback; null while one of its sessions is hidden';
COMMENT ON COLUMN hygiene.applications.mean_session IS
	'Mean duration of its sessions that have ended';
COMMENT ON COLUMN hygiene.applications.rolled_back IS
	'Idle transactions of its sessions that a limit rolled back while the connection stayed';
COMMENT ON COLUMN hygiene.applications.diagnosis IS
	'What it does wrong and what to change; null if nothing is wrong, or one of its sessions is hidden';
COMMENT ON COLUMN hygiene.applications.would_terminate IS
	'What a limit would have ended or cancelled, where pg_hygiene.mode or a rule says observe; once for each idle spell or transaction; null while one of its sessions is hidden';
COMMENT ON COLUMN hygiene.applications.would_evict IS
	'Sessions that would have been ended to free a slot, counted likewise; null while one of its sessions is hidden';
COMMENT ON COLUMN hygiene.applications.would_refuse IS
	'Connections that would have been refused; null while one of its sessions is hidden';
COMMENT ON COLUMN hygiene.applications.blocked_time IS
	'How long others waited for its sessions while these were idle, added up; for advisory locks only where advisory_blocker_timeout limits that. A second behind, as the next two are';
COMMENT ON COLUMN hygiene.applications.slot_time IS
	'How long its sessions held their slots idle in a transaction, added up; null while one of its sessions is hidden';
COMMENT ON COLUMN hygiene.applications.horizon_xids IS
	'By how many transaction ids one of its idle transactions held back VACUUM, at most';
COMMENT ON COLUMN hygiene.applications.diagnosed_since IS
	'Since when `diagnosis` holds: when the worker first saw it, to a minute, or the leak was first seen; null while there is none';
COMMENT ON COLUMN hygiene.applications.diagnosed_at IS
	'When it was last seen so: that it is no more stays for a week, and over a restart; null while there is none';

--
-- hygiene.events: what was done, newest last
--
CREATE FUNCTION hygiene.get_events(
	OUT event_id bigint,
	OUT occurred_at timestamptz,
	OUT action text,
	OUT outcome text,
	OUT reason text,
	OUT rule integer,
	OUT measured text,
	OUT limit_setting text,
	OUT pid integer,
	OUT application_name text,
	OUT user_name text,
	OUT database_name text,
	OUT client_addr inet,
	OUT state text,
	OUT transaction_age interval,
	OUT wrote boolean,
	OUT blocking integer,
	OUT query_id bigint,
	OUT query text,
	OUT resumed_after interval,
	OUT trace_id text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_event_list';

COMMENT ON FUNCTION hygiene.get_events() IS
	'The last pg_hygiene.max_events events, newest last. Everyone may call it; what pg_stat_activity hides from the caller is hidden here. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.events AS SELECT * FROM hygiene.get_events();

COMMENT ON VIEW hygiene.events IS
	'What pg_hygiene did, refused and warned about, newest last';
COMMENT ON COLUMN hygiene.events.event_id IS
	'Number of the event, from 1';
COMMENT ON COLUMN hygiene.events.occurred_at IS
	'When it was decided';
COMMENT ON COLUMN hygiene.events.action IS
	'"terminate", "rollback", "evict", "cancel", "refuse" or "warn"';
COMMENT ON COLUMN hygiene.events.outcome IS
	'"done"; "spared": the session had gone back to work, or left by itself, or its program caught the cancellation; "observed": only recorded, as pg_hygiene.mode says; "pending": not answered yet';
COMMENT ON COLUMN hygiene.events.reason IS
	'The setting that acted, without its prefix, or the rule''s "connections", "reserve" or connect_rate; hidden from others';
COMMENT ON COLUMN hygiene.events.rule IS
	'Number of the rule whose limit it was; null for the server-wide setting; hidden from others';
COMMENT ON COLUMN hygiene.events.measured IS
	'What was measured when it was decided; casts to interval where the limit is a time, and for "evict"; hidden from others';
COMMENT ON COLUMN hygiene.events.limit_setting IS
	'The value of the limit; hidden from others';
COMMENT ON COLUMN hygiene.events.pid IS
	'Process id of the backend';
COMMENT ON COLUMN hygiene.events.application_name IS
	'The name it had, without the client that PgBouncer appends';
COMMENT ON COLUMN hygiene.events.user_name IS
	'Its login role';
COMMENT ON COLUMN hygiene.events.database_name IS
	'Its database';
COMMENT ON COLUMN hygiene.events.client_addr IS
	'Its address; hidden from others';
COMMENT ON COLUMN hygiene.events.state IS
	'What it was doing; "starting" for one that was refused; hidden from others';
COMMENT ON COLUMN hygiene.events.transaction_age IS
	'Age of its transaction; null where it had none; hidden from others';
COMMENT ON COLUMN hygiene.events.wrote IS
	'Whether its transaction had been assigned a transaction id';
COMMENT ON COLUMN hygiene.events.blocking IS
	'Number of sessions that waited for it';
COMMENT ON COLUMN hygiene.events.query_id IS
	'Identifier of its last statement; hidden from others';
COMMENT ON COLUMN hygiene.events.query IS
	'Its last statement, at most 1023 bytes; where that is hidden, "<insufficient privilege>"';
COMMENT ON COLUMN hygiene.events.resumed_after IS
	'How long after that moment the session went back to work by itself, where it was only observed or was spared; null if it did not; hidden from others';
COMMENT ON COLUMN hygiene.events.trace_id IS
	'Id of the trace that its application_name was, which is what the client says';

--
-- hygiene.leaks: idle transactions grouped by where they come from
--
CREATE FUNCTION hygiene.get_leaks(
	OUT application_name text,
	OUT user_name text,
	OUT database_name text,
	OUT fingerprint bigint,
	OUT sessions_now integer,
	OUT oldest_now interval,
	OUT ended bigint,
	OUT first_seen timestamptz,
	OUT last_seen timestamptz,
	OUT clients integer,
	OUT example_query text,
	OUT diagnosis text,
	OUT rolled_back bigint,
	OUT resumed bigint,
	OUT longest_pause interval,
	OUT slot_time interval,
	OUT source text,
	OUT trace_id text,
	OUT client_addrs inet[],
	OUT blocked_time interval,
	OUT horizon_xids bigint)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_leak_list';

COMMENT ON FUNCTION hygiene.get_leaks() IS
	'One row for each place that leaves transactions idle. Everyone may call it; what pg_stat_activity hides from the caller is hidden here. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.leaks AS
	SELECT * FROM hygiene.get_leaks()
	ORDER BY slot_time + blocked_time DESC NULLS LAST, ended DESC,
		last_seen DESC NULLS LAST;

COMMENT ON VIEW hygiene.leaks IS
	'Transactions that were ended while idle, or have been idle for more than a tenth of the limit that will end them, grouped by application, role, database and the statement that was last before the silence';
COMMENT ON COLUMN hygiene.leaks.application_name IS
	'Name that the sessions have or had';
COMMENT ON COLUMN hygiene.leaks.user_name IS
	'Their login role';
COMMENT ON COLUMN hygiene.leaks.database_name IS
	'Their database';
COMMENT ON COLUMN hygiene.leaks.fingerprint IS
	'The query id where the server computes one (compute_query_id), else a hash of the statement''s shape; hidden from others';
COMMENT ON COLUMN hygiene.leaks.sessions_now IS
	'Sessions of this moment that are idle there; hidden from others';
COMMENT ON COLUMN hygiene.leaks.oldest_now IS
	'How long the oldest of them has been idle; null if there is none; hidden from others';
COMMENT ON COLUMN hygiene.leaks.ended IS
	'Sessions and transactions that were ended there since stats_since, by a limit or for their slot';
COMMENT ON COLUMN hygiene.leaks.rolled_back IS
	'Of those ended: transactions whose connection stayed';
COMMENT ON COLUMN hygiene.leaks.first_seen IS
	'When the first such session was noted; hidden from others';
COMMENT ON COLUMN hygiene.leaks.last_seen IS
	'When the last one was noted; now, while there is one; hidden from others';
COMMENT ON COLUMN hygiene.leaks.clients IS
	'Distinct client addresses seen there, 32 at the most; hidden from others';
COMMENT ON COLUMN hygiene.leaks.example_query IS
	'A statement of that shape as it was sent, with its comments; where that is hidden, "<insufficient privilege>"';
COMMENT ON COLUMN hygiene.leaks.diagnosis IS
	'What the program does wrong and what to change; null without evidence, or if that cannot be told; hidden from others';
COMMENT ON COLUMN hygiene.leaks.resumed IS
	'Pauses of a tenth of their limit or more that the client came back to by itself; hidden from others';
COMMENT ON COLUMN hygiene.leaks.longest_pause IS
	'The longest pause there, of those of this moment, too; hidden from others';
COMMENT ON COLUMN hygiene.leaks.slot_time IS
	'How long slots were held by such pauses, all added up; the rows come in the order of this and blocked_time together; hidden from others';
COMMENT ON COLUMN hygiene.leaks.source IS
	'Where in the program the statement comes from, by its sqlcommenter tags: file and line, else route, else controller and action; hidden from others';
COMMENT ON COLUMN hygiene.leaks.trace_id IS
	'The trace id of its traceparent tag; hidden from others';
COMMENT ON COLUMN hygiene.leaks.client_addrs IS
	'Up to five of the addresses; hidden from others';
COMMENT ON COLUMN hygiene.leaks.blocked_time IS
	'How long others waited for them while they were idle, added up; hidden from others';
COMMENT ON COLUMN hygiene.leaks.horizon_xids IS
	'By how many transaction ids one of them held back VACUUM, at most; hidden from others';

--
-- hygiene.behaviour: how long sessions idle, work and last
--
CREATE FUNCTION hygiene.get_pauses(
	OUT application_name text,
	OUT kind text,
	OUT at_least interval,
	OUT resumed bigint,
	OUT not_resumed bigint)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_pause_list';

COMMENT ON FUNCTION hygiene.get_pauses() IS
	'How many pauses of each application were how long, in and outside of a transaction, and came back or did not, for the pictures of hygiene.report(). Everyone may call it; it leaves out what hygiene.behaviour does. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE FUNCTION hygiene.get_behaviour(
	OUT application_name text,
	OUT kind text,
	OUT periods bigint,
	OUT resumed bigint,
	OUT p50 interval,
	OUT p90 interval,
	OUT p99 interval,
	OUT longest_resumed interval,
	OUT longest interval,
	OUT open_now integer,
	OUT since timestamptz)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_behaviour_list';

COMMENT ON FUNCTION hygiene.get_behaviour() IS
	'How long the sessions of each application idle, work and last. Everyone may call it; applications with a session that is hidden from the caller are left out. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.behaviour AS
	SELECT * FROM hygiene.get_behaviour() ORDER BY application_name, kind;

COMMENT ON VIEW hygiene.behaviour IS
	'How long the sessions of each application idle, work and last; periods of a second or more';
COMMENT ON COLUMN hygiene.behaviour.application_name IS
	'Name that the sessions had';
COMMENT ON COLUMN hygiene.behaviour.kind IS
	'"idle in transaction" (aborted or not), "idle" (outside of one), "transaction" or "session"';
COMMENT ON COLUMN hygiene.behaviour.periods IS
	'How many lasted a second or more, including those that are not over yet';
COMMENT ON COLUMN hygiene.behaviour.resumed IS
	'Of these pauses, the ones ended by the client''s return; null for transactions and sessions';
COMMENT ON COLUMN hygiene.behaviour.p50 IS
	'Half of them lasted no longer; null without any';
COMMENT ON COLUMN hygiene.behaviour.p90 IS
	'Nine in ten lasted no longer';
COMMENT ON COLUMN hygiene.behaviour.p99 IS
	'99 in a hundred lasted no longer';
COMMENT ON COLUMN hygiene.behaviour.longest_resumed IS
	'The longest pause that its client came back to, exact; null for transactions and sessions';
COMMENT ON COLUMN hygiene.behaviour.longest IS
	'The longest of all, exact';
COMMENT ON COLUMN hygiene.behaviour.open_now IS
	'How many go on at this moment, however short they are yet';
COMMENT ON COLUMN hygiene.behaviour.since IS
	'When the application was first seen, or seen again after hygiene.reset()';

--
-- Which limit hurts nobody, and what limits would have done
--
CREATE FUNCTION hygiene.suggest(
	harm double precision DEFAULT 0,
	OUT application_name text,
	OUT setting text,
	OUT value text,
	OUT rule text,
	OUT would_end bigint,
	OUT of_which_resumed bigint,
	OUT slot_time_freed interval,
	OUT periods bigint,
	OUT observed_for interval,
	OUT confidence text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_suggest';

COMMENT ON FUNCTION hygiene.suggest(double precision) IS
	'For each application and setting the value that would have hurt at most the share "harm" (0 to 1) of the pauses its clients came back to, and what it would have done. For 0 that is the longest of them, doubled and rounded up. The value is null where nothing was seen, and the rule where the name has a wildcard and is no family''s, for as a rule it would be about others; confidence is low under 20 periods or an hour, fair, or good from a week on. Raises invalid_parameter_value for another harm. Everyone may call it; applications with a session that is hidden from the caller are left out';

CREATE FUNCTION hygiene.suggest_rules(harm double precision DEFAULT 0)
RETURNS text
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_suggest_rules';

COMMENT ON FUNCTION hygiene.suggest_rules(double precision) IS
	'A text for pg_hygiene.rules: what hygiene.suggest has for this harm with a confidence of fair or good, and behind it the rules in force. Limits on idle sessions and caps are left out where they would have done nothing. Everyone may call it; applications with a session that is hidden from the caller are left out';

CREATE FUNCTION hygiene.predict(
	rules text,
	OUT application_name text,
	OUT limit_name text,
	OUT limit_setting text,
	OUT would_end bigint,
	OUT of_which_resumed bigint,
	OUT slot_time_freed interval,
	OUT observed_for interval)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_predict_rules';

COMMENT ON FUNCTION hygiene.predict(text) IS
	'What a text for pg_hygiene.rules, with the server-wide settings behind it, would have done to all that was observed, if pg_hygiene.mode had been enforce: for each application and each of the limits idle_in_transaction_timeout, idle_session_timeout and transaction_timeout that it has. Rules that ask for more than the application are answered for the session that was seen last. Raises invalid_parameter_value if the text does not parse. Everyone may call it; applications with a session that is hidden from the caller are left out';

--
-- hygiene.rules: the rules in force
--
CREATE FUNCTION hygiene.get_rules(
	OUT rule integer,
	OUT selectors text,
	OUT settings text,
	OUT sessions integer,
	OUT connections_limit integer,
	OUT reserve integer,
	OUT refused bigint,
	OUT ended bigint,
	OUT last_used timestamptz)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_rule_list';

COMMENT ON FUNCTION hygiene.get_rules() IS
	'The rules of pg_hygiene.rules in their order. Everyone may call it. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.rules AS SELECT * FROM hygiene.get_rules();

COMMENT ON VIEW hygiene.rules IS
	'The rules in force, with the sessions that each matches and what it did';
COMMENT ON COLUMN hygiene.rules.rule IS
	'Its number, from 1, in the order in which rules are read';
COMMENT ON COLUMN hygiene.rules.selectors IS
	'Whom it matches';
COMMENT ON COLUMN hygiene.rules.settings IS
	'What it sets';
COMMENT ON COLUMN hygiene.rules.sessions IS
	'Sessions of this moment that match it, as its cap counts them; hidden from others where the rule goes by addresses';
COMMENT ON COLUMN hygiene.rules.connections_limit IS
	'Most sessions that may match it at once; null if it sets none';
COMMENT ON COLUMN hygiene.rules.reserve IS
	'Slots that are kept for its sessions; null if none';
COMMENT ON COLUMN hygiene.rules.refused IS
	'Connections refused because of it, since stats_since or since the rule was changed; hidden from others where the rule goes by addresses';
COMMENT ON COLUMN hygiene.rules.ended IS
	'Sessions ended and statements cancelled because of it, likewise; hidden from others where the rule goes by addresses';
COMMENT ON COLUMN hygiene.rules.last_used IS
	'When it last refused or ended something; hidden from others where the rule goes by addresses';

CREATE FUNCTION hygiene.check_rules(
	rules text,
	OUT rule integer,
	OUT selectors text,
	OUT settings text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_check_rules';

COMMENT ON FUNCTION hygiene.check_rules(text) IS
	'The rules that a text for pg_hygiene.rules stands for. Warns of what may be a mistake, and a NOTICE says what follows: caps that are exceeded now, and how to set the text. Raises invalid_parameter_value with the position and what was expected if it does not parse. Everyone may call it';

CREATE FUNCTION hygiene.with_rule(rule text)
RETURNS text
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_with_rule';

COMMENT ON FUNCTION hygiene.with_rule(text) IS
	'The whole text of pg_hygiene.rules with a rule, or several, in front of it. Nothing is set. Raises invalid_parameter_value if the rule does not parse, program_limit_exceeded if there are too many. Everyone may call it';

CREATE FUNCTION hygiene.without_rule(rule integer)
RETURNS text
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_without_rule';

COMMENT ON FUNCTION hygiene.without_rule(integer) IS
	'The whole text of pg_hygiene.rules without the rule of this number. Nothing is set. Raises invalid_parameter_value if there is none. Everyone may call it';

CREATE FUNCTION hygiene.rehearse(
	rules text,
	OUT pid integer,
	OUT application_name text,
	OUT user_name text,
	OUT database_name text,
	OUT client_addr inet,
	OUT client_port integer,
	OUT backend_start timestamptz,
	OUT state text,
	OUT state_age interval,
	OUT transaction_age interval,
	OUT wrote boolean,
	OUT xmin_age integer,
	OUT blocking integer,
	OUT listening boolean,
	OUT exempt text,
	OUT rules integer[],
	OUT limit_name text,
	OUT limit_setting text,
	OUT ends_in interval,
	OUT query_id bigint,
	OUT query text,
	OUT advisory_locks integer,
	OUT longest_wait interval,
	OUT client_wait interval,
	OUT verdict text,
	OUT exceeds text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_rehearse';

COMMENT ON FUNCTION hygiene.rehearse(text) IS
	'What a text for pg_hygiene.rules would do to the sessions of this moment, if pg_hygiene.mode were enforce. Rows as in hygiene.sessions, and verdict: terminate, rollback, cancel, observe, exempt or none; and exceeds: a cap, of these rules or pg_hygiene.connections_per_application, that has more sessions than it allows, which a NOTICE tells, too. Touches nobody. Raises invalid_parameter_value if the text does not parse. Everyone may call it; of a session that is hidden from the caller nothing is said';

--
-- hygiene.horizon: what holds VACUUM back
--
CREATE FUNCTION hygiene.get_horizon(
	OUT kind text,
	OUT name text,
	OUT pid integer,
	OUT application_name text,
	OUT xmin_age integer,
	OUT age interval)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_horizon';

COMMENT ON FUNCTION hygiene.get_horizon() IS
	'The processes that hold VACUUM back. Everyone may call it. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.horizon AS
	SELECT h.kind,
		   coalesce(h.name, r.rolname, a.backend_type) AS name,
		   h.pid,
		   coalesce(h.application_name, a.application_name) AS application_name,
		   h.xmin_age,
		   coalesce(h.age, now() - a.backend_start) AS age
	FROM hygiene.get_horizon() h
		 LEFT JOIN pg_catalog.pg_stat_get_activity(NULL) a
			  ON h.name IS NULL AND a.pid = h.pid
		 LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
	UNION ALL
	SELECT 'prepared transaction', gid, NULL, NULL,
		   pg_catalog.age(transaction), now() - prepared
	FROM pg_catalog.pg_prepared_xacts
	UNION ALL
	SELECT 'replication slot', slot_name, active_pid, NULL,
		   greatest(pg_catalog.age(xmin), pg_catalog.age(catalog_xmin)), NULL
	FROM pg_catalog.pg_replication_slots
	WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL
	ORDER BY 5 DESC, 6 DESC NULLS LAST;

COMMENT ON VIEW hygiene.horizon IS
	'What keeps VACUUM from removing dead rows, the oldest first';
COMMENT ON COLUMN hygiene.horizon.kind IS
	'"session", "prepared transaction", "replication slot" or "standby"';
COMMENT ON COLUMN hygiene.horizon.name IS
	'Login role of a session, gid of a prepared transaction, name of a slot, role of a standby''s walsender';
COMMENT ON COLUMN hygiene.horizon.pid IS
	'Process id; null for a prepared transaction, and for a slot that nobody uses';
COMMENT ON COLUMN hygiene.horizon.application_name IS
	'Of a session or a standby';
COMMENT ON COLUMN hygiene.horizon.xmin_age IS
	'How many transaction ids behind the next one it holds VACUUM back';
COMMENT ON COLUMN hygiene.horizon.age IS
	'Since when: the age of the transaction, or of the standby''s connection; null for a slot; hidden from others';

--
-- hygiene.samples: who held the slots in the last six hours
--
CREATE FUNCTION hygiene.get_samples(
	OUT sampled_at timestamptz,
	OUT used integer,
	OUT most_used integer,
	OUT idle_in_transaction integer,
	OUT ended bigint,
	OUT refused bigint,
	OUT refused_by_server bigint,
	OUT application_names text[],
	OUT application_connections integer[],
	OUT application_idle_in_transaction integer[])
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_sample_list';

COMMENT ON FUNCTION hygiene.get_samples() IS
	'One sample for each ten seconds of the last six hours, oldest first. Everyone may call it. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE FUNCTION hygiene.get_unsampled(
	OUT ended bigint,
	OUT refused bigint,
	OUT refused_by_server bigint)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_unsampled';

COMMENT ON FUNCTION hygiene.get_unsampled() IS
	'What was ended and refused since the newest sample, one row. Everyone may call it. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.samples AS SELECT * FROM hygiene.get_samples();

COMMENT ON VIEW hygiene.samples IS
	'Who held the connection slots: a sample every ten seconds, for six hours or since the server started';
COMMENT ON COLUMN hygiene.samples.sampled_at IS
	'When the sample was taken';
COMMENT ON COLUMN hygiene.samples.used IS
	'Slots for client connections in use, as in hygiene.status';
COMMENT ON COLUMN hygiene.samples.most_used IS
	'The most that were seen in use since the sample before; the worker looks once a second, and while slots run short more often, and so does each login';
COMMENT ON COLUMN hygiene.samples.idle_in_transaction IS
	'Sessions idle in a transaction, including aborted ones; null unless you may see all sessions';
COMMENT ON COLUMN hygiene.samples.ended IS
	'Sessions ended by a limit or to free a slot since the sample before';
COMMENT ON COLUMN hygiene.samples.refused IS
	'Connections refused by pg_hygiene since the sample before';
COMMENT ON COLUMN hygiene.samples.refused_by_server IS
	'Connections refused by PostgreSQL itself since the sample before';
COMMENT ON COLUMN hygiene.samples.application_names IS
	'The eight applications with the most connections, the largest first; fewer if there are fewer';
COMMENT ON COLUMN hygiene.samples.application_connections IS
	'The connections of each of them';
COMMENT ON COLUMN hygiene.samples.application_idle_in_transaction IS
	'How many of these were idle in a transaction; null unless you may see all sessions';

--
-- hygiene.incidents: when connection slots ran out
--
CREATE FUNCTION hygiene.get_incidents(
	OUT incident bigint,
	OUT began_at timestamptz,
	OUT ended_at timestamptz,
	OUT lowest_available integer,
	OUT largest_application text,
	OUT largest_connections integer,
	OUT ended bigint,
	OUT refused bigint,
	OUT refused_by_server bigint,
	OUT most_blocked integer,
	OUT summary text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_incident_list';

COMMENT ON FUNCTION hygiene.get_incidents() IS
	'One row for each time that connection slots ran out or somebody was refused, oldest first. Everyone may call it; what sessions did is left out of the summary for those who may not see all sessions. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.incidents AS SELECT * FROM hygiene.get_incidents();

COMMENT ON VIEW hygiene.incidents IS
	'The last 200 times that the pressure was critical, if only for a moment, or somebody was refused, with a sentence about each';
COMMENT ON COLUMN hygiene.incidents.incident IS
	'Number, rising';
COMMENT ON COLUMN hygiene.incidents.began_at IS
	'When no more than the headroom was available, somebody was refused, or a session was evicted to keep the headroom';
COMMENT ON COLUMN hygiene.incidents.ended_at IS
	'When that was so for the last time; null until it has not been so for a minute';
COMMENT ON COLUMN hygiene.incidents.lowest_available IS
	'The fewest slots that were available';
COMMENT ON COLUMN hygiene.incidents.largest_application IS
	'The application that held the most connections then';
COMMENT ON COLUMN hygiene.incidents.largest_connections IS
	'How many it held';
COMMENT ON COLUMN hygiene.incidents.ended IS
	'Sessions that were ended by a limit or to free a slot while it lasted';
COMMENT ON COLUMN hygiene.incidents.refused IS
	'Connections that pg_hygiene refused while it lasted';
COMMENT ON COLUMN hygiene.incidents.refused_by_server IS
	'Connections that PostgreSQL itself refused while it lasted';
COMMENT ON COLUMN hygiene.incidents.most_blocked IS
	'The most sessions that waited at once for one that was idle in a transaction';
COMMENT ON COLUMN hygiene.incidents.summary IS
	'All of it in a sentence, for a colleague; times are in UTC';

--
-- hygiene.report(): all of it as one page for a browser
--
CREATE FUNCTION hygiene.get_html(value text)
RETURNS text
LANGUAGE C STRICT STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'pgh_html';

COMMENT ON FUNCTION hygiene.get_html(text) IS
	'A text so that it means itself in HTML, in an element or a quoted attribute; the result is ASCII. Everyone may call it. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

-- What comes from clients, names and statements, goes through get_html().  All
-- else that is put into the page is a number, a time or a word of our own.
-- Compiling the query would take longer than running it.
CREATE FUNCTION hygiene.report()
RETURNS text
LANGUAGE sql VOLATILE PARALLEL RESTRICTED SET jit = off
RETURN (WITH
status AS MATERIALIZED (
	SELECT *, greatest(max_connections - reserved, 1) AS usable, now() AS at
	FROM hygiene.status
),
app AS MATERIALIZED (
	SELECT *, hygiene.get_html(coalesce(nullif(application_name, ''),
										'(no name)')) AS name
	FROM hygiene.applications
),
-- Behind the samples, what there is now: the next one is yet to be taken.
sampled AS MATERIALIZED (
	SELECT * FROM hygiene.samples
	UNION ALL
	SELECT at, used, used, idle_in_transaction, l.ended, l.refused,
		   l.refused_by_server, names, connections, a.idle
	FROM status, hygiene.get_unsampled() l,
		 (SELECT array_agg(application_name ORDER BY connections DESC) AS names,
				 array_agg(connections ORDER BY connections DESC)
					 AS connections,
				 array_agg(app.idle_in_transaction ORDER BY connections DESC)
					 AS idle
		  FROM app WHERE connections > 0) a
),
-- The time, in n columns of "step" seconds each; "first" is the number of the
-- first column, counted from the epoch.
axis AS MATERIALIZED (
	SELECT step, n, floor(till / step)::bigint - n + 1 AS first
	FROM (SELECT till, step, ceil(span / step)::integer + 1 AS n
		  FROM (SELECT till, span,
					   greatest(10, ceil(span / 1800) * 10)::integer AS step
				FROM (SELECT extract(epoch FROM max(at)) AS till,
							 least(21600, greatest(600,
								extract(epoch FROM max(at) - min(sampled_at))))
								AS span
					  FROM status, sampled) a) b) c
),
-- The fullest sample of each column, and what happened in the column.
col AS MATERIALIZED (
	SELECT DISTINCT ON (k) k, sampled_at, used, idle_in_transaction,
		   application_names, application_connections,
		   application_idle_in_transaction AS idle,
		   max(most_used) OVER w AS most_used,
		   sum(ended) OVER w AS ended,
		   sum(refused) OVER w AS refused,
		   sum(refused_by_server) OVER w AS by_server
	FROM (SELECT *, floor(extract(epoch FROM sampled_at) / step)::bigint
					- first AS k
		  FROM sampled, axis) s
	WHERE k BETWEEN 0 AND n - 1
	WINDOW w AS (PARTITION BY k)
	ORDER BY k, used DESC
),
held AS MATERIALIZED (
	SELECT k, connections, coalesce(u.idle, 0) AS idle,
		   hygiene.get_html(coalesce(nullif(name, ''), '(no name)')) AS name
	FROM col, unnest(application_names, application_connections, col.idle)
			  AS u (name, connections, idle)
),
-- Those that a column has no name for.
rest AS MATERIALIZED (
	SELECT k, greatest(0, used - coalesce(h.connections, 0)) AS connections,
		   greatest(0, idle_in_transaction - coalesce(h.idle, 0)) AS idle
	FROM col LEFT JOIN (SELECT k, sum(connections) AS connections,
							   sum(idle) AS idle
						FROM held GROUP BY k) h USING (k)
),
-- Seven have a colour each, the eighth is for all others.  Where that would be
-- more than half of it, several share each colour instead.
ranked AS MATERIALIZED (
	SELECT name, peak, rank,
		   CASE WHEN 2 * others <= total THEN least(rank, 8)
				ELSE least(8, 1 + floor(8.0 * before / total)) END::integer
			   AS colour
	FROM (SELECT *, total - max(before + area) FILTER (WHERE rank <= 7) OVER ()
						AS others
		  FROM (SELECT name, max(connections) AS peak,
					   sum(connections) AS area,
					   row_number() OVER w AS rank,
					   sum(sum(connections)) OVER w - sum(connections)
						   AS before,
					   (SELECT sum(used) FROM col) AS total
				FROM held GROUP BY name
				WINDOW w AS (ORDER BY sum(connections) DESC, name)) a) b
),
part AS (
	SELECT k, colour, n, idle,
		   sum(n) OVER (PARTITION BY k ORDER BY colour) - n AS base
	FROM (SELECT k, colour, sum(n) AS n, least(sum(idle), sum(n)) AS idle
		  FROM (SELECT k, colour, connections AS n, idle
				FROM held JOIN ranked USING (name)
				UNION ALL
				SELECT k, 8, connections, idle FROM rest) a
		  GROUP BY k, colour) b
	WHERE n > 0
),
areas AS (
	SELECT string_agg(format('<path class="c%s" d="%s"/>', colour, d), ''
					  ORDER BY colour)
		   || '<path class="in" d="' || string_agg(waiting, '') || '"/>'
			   AS areas
	FROM (SELECT colour,
				 string_agg(format('M%s %sh1v%sh-1z', k, base, n), '') AS d,
				 string_agg(format('M%s %sh1v%sh-1z', k, base, idle), '')
					 FILTER (WHERE idle > 0) AS waiting
		  FROM part GROUP BY colour) a
),
legend AS (
	SELECT string_agg(format('<li><i class="c%s"></i>%s <small>%s at most'
							 '</small></li>', colour, names, peak), ''
					  ORDER BY colour) AS items,
		   bool_or(colour = 8) AS has_others
	FROM (SELECT colour, max(peak) AS peak, concat(
				 CASE WHEN colour = 8 AND count(*) > 1 THEN 'others: ' END,
				 string_agg('<bdi>' || name || '</bdi>', ', ' ORDER BY rank)
					 FILTER (WHERE place <= 3),
				 ' and ' || nullif(greatest(count(*) - 3, 0), 0) || ' more')
				 AS names
		  FROM (SELECT *, row_number() OVER (PARTITION BY colour
											 ORDER BY rank) AS place
				FROM ranked) r
		  GROUP BY colour) a
),
marks AS (
	SELECT max(ended + refused + by_server) AS top,
		   sum(ended) AS all_ended, sum(refused) AS all_refused,
		   sum(by_server) AS all_by_server,
		   string_agg(format('M%s %sh1', k, most_used), '')
			   FILTER (WHERE most_used > used) AS most,
		   string_agg(format('M%s 0h1v%sh-1z', k, ended), '')
			   FILTER (WHERE ended > 0) AS ended,
		   string_agg(format('M%s %sh1v%sh-1z', k, ended, refused), '')
			   FILTER (WHERE refused > 0) AS refused,
		   string_agg(format('M%s %sh1v%sh-1z', k, ended + refused,
							 by_server), '')
			   FILTER (WHERE by_server > 0) AS by_server,
		   string_agg(concat(
			   '<rect x="', k, '" width="1" height="100%"><title>',
			   to_char(sampled_at, 'HH24:MI:SS'), ': ', used, ' in use',
			   ' (' || holders || ')', ', ', ended, ' ended, ',
			   refused + by_server, ' refused</title></rect>'), '') AS hover
	FROM col LEFT JOIN (
		SELECT k, string_agg(concat(name, ' ', connections,
									', ' || nullif(idle, 0)
									|| ' idle in transaction'), '; '
							 ORDER BY connections DESC) AS holders
		FROM held GROUP BY k) h USING (k)
),
ticks AS (
	SELECT (SELECT string_agg(format('<span style="left:%s%%">%s</span>',
				round(100.0 * (t - first * step) / (n * step), 2),
				to_char(to_timestamp(t), 'HH24:MI')), '')
			FROM (SELECT min(e) AS every
				  FROM unnest('{120,300,600,900,1800,3600,7200}'::integer[]) e
				  WHERE n * step <= 6.5 * e) e,
				 generate_series((first * step / every + 1) * every,
								 (first + n) * step, every) t) AS times,
		   (SELECT string_agg(format('<span style="bottom:%s%%">%s</span>',
				round(100.0 * y / max_connections, 2), y), '')
			FROM (SELECT min(e * p)::integer AS every
				  FROM unnest('{1,2,5}'::integer[]) e,
					   unnest('{1,10,100,1000,10000}'::integer[]) p
				  WHERE max_connections <= 5.3 * e * p) e,
				 generate_series(0, max_connections, every) y) AS counts,
		   CASE WHEN step < 60 THEN step || ' s'
				ELSE step / 60 || ' min' END AS width
	FROM axis, status
),
-- What would have been done, where nobody is touched; null when hidden.
would AS (
	SELECT sum(would_terminate + would_evict) AS ended,
		   sum(would_refuse) AS refused
	FROM app
),
-- All of it in a sentence or three.
summary AS (
	SELECT concat(
		used, ' of ', usable, ' usable connection slots are in use',
		CASE pressure WHEN 'critical' THEN ', and no more than the headroom of '
			 || headroom || ' is left' END,
		(SELECT concat('; <bdi>', name, '</bdi> holds ', connections,
					   ' of them', ', ' || nullif(idle_in_transaction, 0)
					   || ' idle in a transaction')
		 FROM app WHERE connections > 0
		 ORDER BY connections DESC, name LIMIT 1),
		'. ',
		CASE WHEN all_ended + all_refused + all_by_server = 0
			 THEN 'Nobody was ended or refused' ELSE concat(
			 all_ended, CASE all_ended WHEN 1 THEN ' session was'
						ELSE ' sessions were' END, ' ended and ',
			 all_refused + all_by_server, CASE all_refused + all_by_server
			 WHEN 1 THEN ' connection' ELSE ' connections' END, ' refused',
			 ', ' || nullif(all_by_server, 0) || ' of them by PostgreSQL itself')
			 END,
		' in the last ', CASE WHEN n * step < 5400 THEN
			 round(n * step / 60.0) || ' minutes' ELSE
			 round(n * step / 3600.0, 1) || ' hours' END, '.',
		CASE WHEN mode <> 'enforce' AND would.ended + would.refused > 0
			 THEN concat(' But for mode ', mode, ', ', would.ended,
				CASE would.ended WHEN 1 THEN ' session would'
				ELSE ' sessions would' END, ' have been ended and ',
				would.refused, CASE would.refused WHEN 1 THEN ' connection'
				ELSE ' connections' END, ' refused.') END) AS html
	FROM status, marks, would, axis
),
head AS (
	SELECT concat(
		'<h1>Connections as pg_hygiene sees them</h1><p><small>',
		hygiene.get_html(nullif(current_setting('cluster_name'), '')) || ', ',
		'PostgreSQL ', hygiene.get_html(current_setting('server_version')),
		', pg_hygiene ', hygiene.get_html(version),
		to_char(at, ', YYYY-MM-DD HH24:MI:SS TZ'), '. Mode: ', mode,
		to_char(stats_since, '". Counted since "YYYY-MM-DD HH24:MI:SS'),
		'.</small></p>',
		'<p class="lead">', summary.html, '</p>',
		CASE WHEN worker_pid IS NULL
			 THEN '<p class="bad">The worker is not running: '
				  'nobody is ended now.</p>' END,
		CASE WHEN mode <> 'enforce'
			 THEN '<p class="bad">Mode ' || mode
				  || ': only rules may end or refuse somebody.</p>' END,
		'<dl><div><dt>Slots in use</dt><dd>', used,
		'<small>of ', usable, ' usable; ', available, ' available, headroom ',
		headroom, '</small></dd></div><div><dt>Pressure</dt><dd class="',
		CASE pressure WHEN 'normal' THEN 'good' ELSE 'bad' END, '">', pressure,
		'<small>growth ', round(growth_per_minute::numeric, 1),
		' connections a minute',
		', exhausted in ' || date_trunc('second', exhaustion_in),
		'</small></dd></div><div><dt>Idle in transaction</dt><dd>',
		coalesce(idle_in_transaction::text, '&#8211;'), '<small>',
		coalesce(active || ' active, ' || idle || ' idle sessions',
				 'not to be seen of other roles'' sessions'),
		'; oldest transaction ' || date_trunc('second', oldest_transaction),
		'</small></dd></div><div><dt>Sessions ended</dt><dd>',
		terminated + evicted, '<small>', terminated, ' by a limit, ', evicted,
		' to free a slot; ', spared, ' spared',
		'; ' || nullif(rolled_back, 0) || ' transactions rolled back',
		'; ' || nullif(would.ended, 0) || ' more would have been ended',
		'</small></dd></div><div><dt>Connections refused</dt><dd>',
		refused_by_server + status.refused,
		'<small>', status.refused, ' by pg_hygiene, ', refused_by_server,
		' by PostgreSQL itself',
		'; ' || nullif(would.refused, 0) || ' more would have been refused',
		'</small></dd></div></dl>') AS html
	FROM status, summary, would
),
curve AS (
	SELECT concat(
		'<section><h2>Connections by application <small>slots in use; ',
		'time of day, ', to_char(at, 'TZ'), '; a column is ', width,
		'</small></h2><div class="chart">',
		'<div class="y">', counts,
		'</div><div class="x">', times, '</div><svg viewBox="0 0 ', n, ' ',
		max_connections,
		'" preserveAspectRatio="none"><g transform="matrix(1 0 0 -1 0 ',
		max_connections, ')">', areas,
		'<path class="line" d="', most,
		'"/><path class="line max" d="M0 ', usable, 'H', n,
		'"/><path class="line room" d="M0 ',
		greatest(usable - headroom, 0), 'H', n, '"/></g>', hover,
		'</svg></div><ul>', items,
		CASE WHEN has_others IS NOT TRUE AND EXISTS (
				SELECT FROM rest WHERE connections > 0)
			 THEN '<li><i class="c8"></i>others</li>' END,
		'<li><i class="in"></i>dark: idle in a transaction</li>',
		'<li><i class="dash"></i>most between two samples</li>',
		'<li><i class="dash max"></i>', usable, ' usable slots</li>',
		'<li><i class="dash room"></i>less the headroom of ', headroom,
		'</li></ul></section>',
		'<section><h2>Ended and refused <small>sessions and connections in ',
		width, '</small></h2>') AS html
	FROM status, axis, areas, legend, marks, ticks
),
actions AS (
	SELECT CASE WHEN top > 0 THEN concat(
		'<div class="chart low"><div class="y"><span style="bottom:0">0</span>',
		'<span style="bottom:100%">', top, '</span></div>',
		'<div class="x">', times, '</div><svg viewBox="0 0 ', n, ' ', top,
		'" preserveAspectRatio="none">',
		'<g transform="matrix(1 0 0 -1 0 ', top, ')">',
		'<path class="e1" d="', ended, '"/><path class="e2" d="', refused,
		'"/><path class="e3" d="', by_server, '"/></g>', hover,
		'</svg></div><ul><li><i class="e1"></i>sessions ended</li>',
		'<li><i class="e2"></i>connections refused by pg_hygiene</li>',
		'<li><i class="e3"></i>connections refused by PostgreSQL itself</li>',
		'</ul></section>')
		ELSE '<p>Nobody was, in this time.</p></section>' END AS html
	FROM axis, marks, ticks
),
incidents AS (
	SELECT concat('<h2>Incidents</h2><section>', coalesce(
		string_agg(concat(
			'<p><strong>',
			to_char(began_at, 'YYYY-MM-DD HH24:MI:SS'), '</strong> ',
			CASE WHEN ended_at IS NULL THEN '<span class="bad">goes on</span>'
				 ELSE 'for ' || date_trunc('second', ended_at - began_at) END,
			'. ', hygiene.get_html(summary), '</p>'), ''
			ORDER BY incident DESC), 'There was none.'), '</section>') AS html
	FROM (SELECT * FROM hygiene.incidents ORDER BY incident DESC LIMIT 10) i
),
leaks AS (
	SELECT concat('<h2>Leaks: transactions left idle, and what to change</h2>',
		coalesce(string_agg(concat(
			'<article><h3><bdi>',
			hygiene.get_html(coalesce(nullif(application_name, ''),
									  '(no name)')),
			'</bdi> <small>role ', hygiene.get_html(user_name), ', database ',
			hygiene.get_html(database_name), ', from ' || clients
			|| CASE clients WHEN 1 THEN ' address' ELSE ' addresses' END,
			(SELECT ': ' || string_agg(host(a), ', ' ORDER BY a)
			 FROM unnest(client_addrs) a),
			'</small></h3><p>', '<strong>' || sessions_now
			|| '</strong> idle in a transaction now',
			', the oldest for ' || date_trunc('second', oldest_now),
			CASE WHEN sessions_now IS NOT NULL THEN '; ' END,
			'<strong>', ended, '</strong> ended',
			', ' || resumed || ' came back by themselves',
			', the longest after ' || date_trunc('second', longest_pause),
			'. It held slots for ' || date_trunc('second', slot_time),
			', and others waited for it for ' || date_trunc('second',
				nullif(blocked_time, '0')),
			', VACUUM was held back by ' || nullif(horizon_xids, 0)
			|| ' transaction ids',
			to_char(first_seen, '". Seen from "YYYY-MM-DD HH24:MI:SS'),
			to_char(last_seen, '" to "YYYY-MM-DD HH24:MI:SS'),
			'.</p><p>The last statement before the silence',
			', from <bdi>' || hygiene.get_html(source) || '</bdi>',
			', trace <bdi>' || hygiene.get_html(trace_id) || '</bdi>',
			':</p><pre>',
			hygiene.get_html(example_query), '</pre>',
			'<p class="advice">' || hygiene.get_html(diagnosis) || '</p>',
			'</article>'),
			'' ORDER BY place) FILTER (WHERE place <= 12),
			'<section>None was seen.</section>'),
		'<p>' || nullif(greatest(count(*) - 12, 0), 0)
		|| ' more are in hygiene.leaks.</p>') AS html
	FROM (SELECT *, row_number() OVER (ORDER BY slot_time + blocked_time
									   DESC NULLS LAST, ended DESC,
									   last_seen DESC NULLS LAST) AS place
		  FROM hygiene.leaks) l
),
blockers AS (
	SELECT concat('<h2>Who blocks others now</h2><section class="scroll">',
		coalesce('<table><thead><tr><th>application</th><th class="l">state'
		'</th><th>sessions that wait</th><th>the longest for</th>'
		'<th>ends in</th></tr></thead><tbody>'
		|| string_agg(concat(
			'<tr><th><bdi>',
			hygiene.get_html(coalesce(nullif(application_name, ''),
									  '(no name)')),
			'</bdi><small>process ', pid, '</small></th><td class="l">',
			coalesce(state || ' for ' || date_trunc('second', state_age),
					 '&#8211;'),
			'<small>' || hygiene.get_html(left(query, 120)) || '</small>',
			'</td><td>', blocking, '</td><td>',
			coalesce(date_trunc('second', longest_wait)::text, '&#8211;'),
			'</td><td>',
			coalesce(date_trunc('second', ends_in)::text, '&#8211;'),
			'<small>' || limit_name || '</small></td></tr>'), ''
			ORDER BY blocking DESC, pid) || '</tbody></table>',
		'Nobody.'), '</section>') AS html
	FROM (SELECT * FROM hygiene.sessions WHERE blocking > 0
		  ORDER BY blocking DESC, pid LIMIT 10) s
),
vacuum AS (
	SELECT concat('<h2>Who keeps VACUUM from removing dead rows</h2>',
		'<section class="scroll">',
		coalesce('<table><thead><tr><th>who</th><th class="l">kind</th>'
		'<th>held back by, transaction ids</th><th>for</th></tr></thead><tbody>'
		|| string_agg(concat('<tr><th><bdi>',
			hygiene.get_html(coalesce(nullif(application_name, ''), name,
									  '(no name)')),
			'</bdi><small>process ' || pid || '</small></th><td class="l">',
			kind, '</td><td>', xmin_age, '</td><td>',
			coalesce(date_trunc('second', age)::text, '&#8211;'),
			'</td></tr>'), '' ORDER BY xmin_age DESC, age DESC)
		|| '</tbody></table>', 'Nobody.'), '</section>') AS html
	FROM (SELECT * FROM hygiene.horizon
		  WHERE pid IS DISTINCT FROM pg_backend_pid() AND xmin_age > 0
		  ORDER BY xmin_age DESC, age DESC NULLS LAST LIMIT 5) h
),
applications AS (
	SELECT concat('<h2>Applications</h2><section class="scroll"><table>',
		'<thead><tr><th>name</th><th>connections now</th>',
		'<th>idle in transaction</th>',
		'<th class="w">peak</th><th class="w">opened</th>',
		'<th>ended</th><th>refused</th></tr></thead><tbody>',
		string_agg(concat(
			'<tr><th><i class="c', coalesce(colour, 8), '"></i><bdi>',
			name, '</bdi></th><td>', connections,
			'</td><td>', coalesce(idle_in_transaction::text, '&#8211;'),
			'</td><td class="w">', peak_connections, '</td><td class="w">',
			opened, '</td><td>', terminated + evicted,
			'<small>' || nullif(would_terminate + would_evict, 0)
			|| ' would have been</small>', '</td><td>', refused,
			'<small>' || nullif(would_refuse, 0)
			|| ' would have been</small>', '</td></tr>',
			'<tr><td colspan="7"><p class="advice">'
			|| hygiene.get_html(diagnosis) || '</p></td></tr>'),
			'' ORDER BY place),
		'</tbody></table></section>') AS html
	FROM (SELECT *,
			row_number() OVER (ORDER BY connections DESC,
							   terminated + evicted + refused DESC,
							   opened DESC, application_name) AS place
		  FROM app) a LEFT JOIN ranked USING (name)
	WHERE place <= 20
),
-- Pauses by their length, two parts for each doubling; where "x" is 0 for a
-- second and 34 for all from 37 hours on.
pause AS MATERIALIZED (
	SELECT application_name, kind, x, sum(resumed) AS resumed,
		   sum(not_resumed) AS lost
	FROM (SELECT *, least(34, floor(2 * log(2,
					greatest(1, extract(epoch FROM at_least)))))::integer AS x
		  FROM hygiene.get_pauses()) p
	GROUP BY application_name, kind, x
),
lengths AS MATERIALIZED (
	SELECT application_name, setting, value, suggested, confidence
	FROM (SELECT application_name, limit_name AS setting,
				 limit_setting AS value, NULL::text AS suggested,
				 NULL::text AS confidence
		  FROM hygiene.predict(current_setting('pg_hygiene.rules'))
		  UNION ALL
		  SELECT application_name, setting, NULL, value, confidence
		  FROM hygiene.suggest() WHERE value IS NOT NULL) l
	WHERE setting IN ('idle_in_transaction_timeout', 'idle_session_timeout')
),
picture AS (
	SELECT application_name, kind, resumed + lost AS pauses, lost, concat(
		'<article class="pauses"><h3><bdi>',
		hygiene.get_html(coalesce(nullif(application_name, ''), '(no name)')),
		'</bdi> <small>', kind, ': ', resumed, ' came back, ', lost,
		' did not', '; limit ' || value, '; suggested ' || suggested,
		' (confidence ' || confidence || ')',
		'</small></h3><div class="chart low"><div class="x">',
		(SELECT string_agg(format('<span style="left:%s%%">%s</span>',
				round(200 * log(2, s) / 35, 1), t), '')
		 FROM (VALUES (1, '1 s'), (10, '10 s'), (60, '1 min'),
					  (600, '10 min'), (3600, '1 h'), (36000, '10 h')) v (s, t)),
		'</div><svg viewBox="0 0 35 200" preserveAspectRatio="none">',
		'<path class="e4" d="', up, '"/><path class="e3" d="', down, '"/>',
		'<path class="line" d="M0 100H35"/>',
		'<path class="line max" d="M' || at || ' 0V200"/>',
		'<path class="line hint" d="M' || hint || ' 0V200"/>',
		'</svg></div></article>') AS html
	FROM (SELECT application_name, kind, sum(resumed) AS resumed,
				 sum(lost) AS lost,
				 string_agg(format('M%s 100h1v-%sh-1z', x,
					round(100 * ln(1 + resumed) / top, 1)), '')
					 FILTER (WHERE resumed > 0) AS up,
				 string_agg(format('M%s 100h1v%sh-1z', x,
					round(100 * ln(1 + lost) / top, 1)), '')
					 FILTER (WHERE lost > 0) AS down
		  FROM (SELECT *, max(ln(1 + greatest(resumed, lost)))
						  OVER (PARTITION BY application_name, kind) AS top
				FROM pause) p
		  GROUP BY application_name, kind) p
		 LEFT JOIN (SELECT application_name,
						   CASE setting WHEN 'idle_session_timeout' THEN 'idle'
						   ELSE 'idle in transaction' END AS kind,
						   max(value) AS value, max(suggested) AS suggested,
						   max(confidence) AS confidence,
						   max(round((2 * log(2, greatest(1, extract(epoch
							   FROM value::interval)))), 1)) AS at,
						   max(round((2 * log(2, greatest(1, extract(epoch
							   FROM suggested::interval)))), 1)) AS hint
					FROM lengths GROUP BY application_name, setting) l
		 USING (application_name, kind)
),
pictures AS (
	SELECT concat('<h2>How long applications pause, and who comes back</h2>',
		'<ul class="flat"><li><i class="e4"></i>up: pauses that came back</li>'
		'<li><i class="e3"></i>down: that did not, or go on</li>'
		'<li><i class="dash max"></i>the limit in force</li>'
		'<li><i class="dash hint"></i>the limit that would have hurt nobody'
		'</li><li>pauses of a second or more; each height grows with the '
		'logarithm of their number</li></ul>',
		'<div class="grid">', coalesce(string_agg(html, '' ORDER BY place),
		'<article>Too little was seen.</article>'), '</div>') AS html
	FROM (SELECT *, row_number() OVER (ORDER BY kind = 'idle',
									   lost DESC, pauses DESC,
									   application_name) AS place
		  FROM picture WHERE pauses >= 3) p
	WHERE place <= 12
),
-- Events of one kind, of one program, for one reason.
deed AS (
	SELECT CASE WHEN outcome = 'observed' THEN 2
				WHEN action = 'refuse' THEN 1 ELSE 0 END AS sort,
		   max(event_id) AS last, concat(
		'<tr><th><bdi>',
		hygiene.get_html(coalesce(nullif(application_name, ''), '(no name)')),
		'</bdi><small>role ', hygiene.get_html(user_name), ', database ',
		hygiene.get_html(database_name), '</small></th><td class="l">',
		coalesce(reason || ' = ' || limit_setting, '&#8211;'),
		' by rule ' || rule,
		'<small>', action, ', ' || nullif(outcome, 'done'),
		to_char(max(occurred_at), '"; last at "YYYY-MM-DD HH24:MI:SS'),
		', measured ' || (array_agg(measured ORDER BY event_id DESC))[1],
		', ' || nullif(count(resumed_after), 0)
		|| ' came back by themselves',
		'</small></td><td>',
		count(*), '</td></tr>') AS html
	FROM hygiene.events WHERE action <> 'warn'
	GROUP BY action, outcome, application_name, user_name, database_name,
			 reason, limit_setting, rule
),
deeds AS (
	SELECT concat('<h2>', whom, '</h2><section class="scroll">', coalesce(
		'<table><thead><tr><th>application</th><th class="l">limit</th>'
		'<th>events</th></tr></thead><tbody>'
		|| string_agg(html, '' ORDER BY place) || '</tbody></table>',
		'None was.'), '</section>') AS html, r AS sort
	FROM (VALUES (0, 'Why sessions were ended'),
				 (1, 'Why connections were refused'),
				 (2, 'What would have been ended or refused')) v (r, whom)
		 LEFT JOIN (SELECT *, row_number() OVER (PARTITION BY sort
												 ORDER BY last DESC) AS place
					FROM deed) d ON sort = r AND place <= 20
	GROUP BY r, whom
	HAVING r < 2 OR count(html) > 0
),
settings AS (
	SELECT concat('<h2>Settings in force</h2><section><ul class="flat">',
		string_agg(format('<li>%s = %s</li>', short,
			CASE WHEN setting = boot_val THEN value
				 ELSE '<strong>' || value || '</strong>' END), ''
			ORDER BY short),
		'<li><small>in bold: not the default</small></li></ul></section>')
		AS html
	FROM (SELECT substr(name, 12) AS short, setting, boot_val,
				 hygiene.get_html(current_setting(name)) AS value
		  FROM pg_settings
		  WHERE name LIKE 'pg\_hygiene.%' AND name <> 'pg_hygiene.rules') s
),
rules AS (
	SELECT concat('<h2>Rules in force</h2><section class="scroll">', coalesce(
		'<table><thead><tr><th>rule</th><th class="l">what it sets</th>'
		'<th>sessions now</th><th>ended</th><th>refused</th></tr></thead><tbody>'
		|| string_agg(concat('<tr><th>', rule, '. <bdi>',
			hygiene.get_html(selectors), '</bdi></th><td class="l"><bdi>',
			hygiene.get_html(settings), '</bdi></td><td>',
			coalesce(sessions::text, '&#8211;'), '</td><td>',
			coalesce(ended::text, '&#8211;'), '</td><td>',
			coalesce(refused::text, '&#8211;'), '</td></tr>'), ''
			ORDER BY rule) || '</tbody></table>', 'There are none.'),
		'</section>') AS html
	FROM hygiene.rules
)
SELECT concat($page$<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Connections as pg_hygiene sees them</title><style>
:root { color-scheme: light dark; --page: #f5f6f8; --card: #fff; --ink: #1b1f24; --dim: #5d6672;
  --edge: #dfe3e8; --bad: #b3261e; --sad: #ef8a80; --good: #1a7f4b; --note: #fff4d6; --in: #0007; --c1: #2f6fde;
  --c2: #e07b00; --c3: #159a6c; --c4: #c2459a; --c5: #7a5bd0; --c6: #b39a00; --c7: #2aa5bd; --c8: #9aa3ad }
@media screen and (prefers-color-scheme: dark) { :root { --page: #14171b; --card: #1d2126; --ink: #e6e9ed;
  --dim: #9aa4b0; --edge: #343a42; --bad: #ff8a80; --sad: #a8443b; --good: #5fd39a; --note: #3a3116; --in: #0008;
  --c1: #6ba1ff; --c2: #ffa64d; --c3: #3fcf9c; --c4: #f07cc6; --c5: #a98cff; --c6: #d9c84a; --c7: #5cc9de;
  --c8: #8b95a1 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 66rem; font: 15px/1.45 system-ui, sans-serif;
  background: var(--page); color: var(--ink) }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.1rem; margin: 1.6rem 0 .5rem }
section h2 { margin-top: 0 } h3 { font-size: 1rem; margin: 0 } p { margin: .4rem 0 }
small { color: var(--dim); font-size: .85em; font-weight: 400 } bdi { overflow-wrap: anywhere }
.lead { font-size: 1.1rem; max-width: 50rem }
.bad { color: var(--bad) } .good { color: var(--good) }
section, article, dl > div { background: var(--card); border: 1px solid var(--edge);
  border-radius: 8px; padding: .8rem; margin: 0 0 .8rem }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem }
dl > div { margin: 0 } dt { color: var(--dim) } dd { margin: 0; font-size: 1.5rem; font-weight: 600 }
dd small { display: block; font-size: .8rem; line-height: 1.3 }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: .8rem }
.grid article { margin: 0 }
.chart { position: relative; height: 15rem; margin: .8rem .8rem 0 2.2rem;
  border: solid var(--edge); border-width: 0 0 1px 1px } .low { height: 4rem }
.pauses .chart { margin: .6rem .6rem 1.2rem .6rem; border-left: 0; height: 5rem }
.chart span { position: absolute; color: var(--dim); font-size: .75rem; line-height: 1; white-space: nowrap }
.y span { right: 100%; margin-right: .3rem; transform: translateY(50%) }
.x span { top: 100%; margin-top: .35rem; transform: translateX(-50%) }
svg { position: absolute; width: 100%; height: 100% } path { shape-rendering: crispEdges }
rect { fill: transparent } rect:hover { fill: var(--ink); fill-opacity: .15 }
.line { fill: none; vector-effect: non-scaling-stroke; stroke-width: 1.5px; stroke: var(--ink) }
.pauses .line { stroke-width: 1px }
.max, .room { stroke: var(--bad) } .room { stroke-dasharray: 2 3 }
.pauses .max, .pauses .hint { stroke-width: 2px } .hint { stroke: var(--c1); stroke-dasharray: 4 3 }
ul { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: 1.6rem 0 0; padding: 0 }
.flat { margin: 0 0 .5rem }
i { display: inline-block; width: .75em; height: .75em; border-radius: 2px; margin-right: .4em;
  background: var(--c) }
.dash { width: 1.6em; height: 0; border-top: 2px solid var(--ink); border-radius: 0; vertical-align: middle }
.dash.max, .dash.room { border-color: var(--bad) } .dash.room { border-top-style: dotted }
.dash.hint { border-color: var(--c1); border-top-style: dashed }
.c1 { --c: var(--c1) } .c2 { --c: var(--c2) } .c3 { --c: var(--c3) } .c4 { --c: var(--c4) }
.c5 { --c: var(--c5) } .c6 { --c: var(--c6) } .c7 { --c: var(--c7) } .c8 { --c: var(--c8) }
path { fill: var(--c) } .in { --c: var(--in) }
.e1 { --c: var(--dim) } .e2 { --c: var(--sad) } .e3 { --c: var(--bad) } .e4 { --c: var(--good) }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: right; padding: .35rem .5rem; border-top: 1px solid var(--edge);
  vertical-align: top; font-variant-numeric: tabular-nums }
thead th { border: 0; color: var(--dim); font-weight: 400 } tbody small { display: block }
th:first-child, .l, [colspan] { text-align: left } td.l, tbody th { overflow-wrap: anywhere }
th:first-child { min-width: 6rem }
[colspan] { border: 0; padding-top: 0 }
@media (max-width: 34rem) { body { padding: .6rem } th, td { padding: .35rem .2rem; font-size: .85rem }
  .w { display: none } }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--page); border-radius: 6px;
  padding: .6rem; margin: .5rem 0 }
.advice { background: var(--note); border-radius: 6px; padding: .5rem .6rem; font-weight: 400 }
@page { size: A4; margin: 14mm 12mm }
@media print { * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
  body { max-width: none; padding: 0 1px; font-size: 11px; background: none }
  dl { grid-template-columns: repeat(5, 1fr) } .grid { grid-template-columns: 1fr 1fr }
  article, dl > div, tr, .chart { break-inside: avoid } h2 { break-after: avoid } .scroll { overflow: visible }
  section:has(.chart) { break-inside: avoid } }
</style></head><body>$page$,
	head.html, curve.html, actions.html, incidents.html, leaks.html,
	blockers.html, vacuum.html, applications.html, pictures.html,
	(SELECT string_agg(html, '' ORDER BY sort) FROM deeds),
	settings.html, rules.html,
	'<p><small>A sample every ten seconds; each column shows the fullest. ',
	'The last one has what there is now. ',
	'Of repeated refusals, one event a second is kept.</small></p></body></html>')
FROM head, curve, actions, incidents, leaks, blockers, vacuum, applications,
	 pictures, settings, rules);

COMMENT ON FUNCTION hygiene.report() IS
	'A page of HTML about connections, leaks, endings and refusals, for psql -XAt -c ''select hygiene.report()''. It loads nothing and runs no script. Everyone may call it; it shows what the views show the caller. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

--
-- hygiene.drains: sessions that are to end between two transactions
--
CREATE FUNCTION hygiene.get_drains(
	OUT drain integer,
	OUT selectors text,
	OUT started_at timestamptz,
	OUT matched integer,
	OUT ended integer,
	OUT remaining integer,
	OUT deadline timestamptz)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_drain_list';

COMMENT ON FUNCTION hygiene.get_drains() IS
	'One row for each of the last 16 drains since the server started. Everyone may call it. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.drains AS
	SELECT * FROM hygiene.get_drains() ORDER BY drain;

COMMENT ON VIEW hygiene.drains IS
	'The last 16 drains, and how far each has come';
COMMENT ON COLUMN hygiene.drains.drain IS
	'Its number, from 1, as hygiene.drain() returned it';
COMMENT ON COLUMN hygiene.drains.selectors IS
	'Whose sessions it ends';
COMMENT ON COLUMN hygiene.drains.started_at IS
	'When it was begun';
COMMENT ON COLUMN hygiene.drains.matched IS
	'Sessions that it matched then; those that logged in later are not touched; of selectors with an address hidden from who may not see all sessions';
COMMENT ON COLUMN hygiene.drains.ended IS
	'Of those, the ones that have left until now, or until it was stopped, by the drain or of themselves; hidden like matched';
COMMENT ON COLUMN hygiene.drains.remaining IS
	'Of those, the ones that it is still going to end; 0 when it was stopped; hidden like matched';
COMMENT ON COLUMN hygiene.drains.deadline IS
	'When the rest is ended whatever it does; null if that is never';

CREATE FUNCTION hygiene.drain(selectors text, deadline interval DEFAULT NULL)
RETURNS integer
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pgh_drain_sessions';

REVOKE ALL ON FUNCTION hygiene.drain(text, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hygiene.drain(text, interval) TO pg_signal_backend;

COMMENT ON FUNCTION hygiene.drain(text, interval) IS
	'Ends every session that matches the selectors of a rule now, but the caller''s, between two transactions, with SQLSTATE 57P01; after the deadline, whatever it does. Returns the number of the drain. Superusers and members of pg_signal_backend may call it; the latter leave sessions of superusers alone, with a WARNING. Raises insufficient_privilege for selectors with an address, unless the caller may see all sessions, invalid_parameter_value for selectors that cannot be read, configuration_limit_exceeded while 16 are running. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE FUNCTION hygiene.stop_drain(drain integer)
RETURNS boolean
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pgh_stop_drain';

REVOKE ALL ON FUNCTION hygiene.stop_drain(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hygiene.stop_drain(integer) TO pg_signal_backend;

COMMENT ON FUNCTION hygiene.stop_drain(integer) IS
	'Stops a drain: those of its sessions that are still there stay. Returns whether one of this number was running. Superusers and members of pg_signal_backend may call it. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

--
-- hygiene.reset(): begin counting anew
--
CREATE FUNCTION hygiene.reset()
RETURNS void
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pgh_reset';

REVOKE ALL ON FUNCTION hygiene.reset() FROM PUBLIC;

COMMENT ON FUNCTION hygiene.reset() IS
	'Clears counters, leaks, events, incidents and samples. Superusers may call it, and those to whom EXECUTE was granted';

GRANT SELECT ON hygiene.status, hygiene.sessions, hygiene.applications,
	hygiene.events, hygiene.leaks, hygiene.rules, hygiene.horizon,
	hygiene.samples, hygiene.behaviour, hygiene.incidents,
	hygiene.drains TO PUBLIC;
