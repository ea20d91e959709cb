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
	OUT stats_since timestamptz)
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
COMMENT ON COLUMN hygiene.status.mode IS
	'pg_hygiene.mode: enforce, observe or off';
COMMENT ON COLUMN hygiene.status.pressure IS
	'normal; warning from pg_hygiene.warn_at percent of the usable slots on; critical while no more than headroom slots are available';
COMMENT ON COLUMN hygiene.status.reserved IS
	'Slots that ordinary roles cannot have: superuser_reserved_connections and reserved_connections';
COMMENT ON COLUMN hygiene.status.used IS
	'Slots for client connections in use, those of clients still authenticating among them';
COMMENT ON COLUMN hygiene.status.authenticating IS
	'Of the used slots, those whose client has not finished authentication';
COMMENT ON COLUMN hygiene.status.available IS
	'max_connections - reserved - used, not below 0';
COMMENT ON COLUMN hygiene.status.headroom IS
	'Free slots that are kept: pg_hygiene.headroom, or what -1 comes to';
COMMENT ON COLUMN hygiene.status.oldest_transaction IS
	'Age of the oldest open transaction of a client session';
COMMENT ON COLUMN hygiene.status.growth_per_minute IS
	'How fast the used slots grow, in slots per minute';
COMMENT ON COLUMN hygiene.status.exhaustion_in IS
	'When the available slots are used up at that speed; null while they do not grow';
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
	'How long that took';

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
	OUT query text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_sessions';

COMMENT ON FUNCTION hygiene.get_sessions() IS
	'One row for each client session of the server. Everyone may call it; query texts and addresses of other roles are shown to members of pg_read_all_stats only. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.sessions AS SELECT * FROM hygiene.get_sessions();

COMMENT ON VIEW hygiene.sessions IS
	'One row for each client session of the server, with the limit that will end it and when';
COMMENT ON COLUMN hygiene.sessions.user_name IS
	'Login role, as it was named when the session began';
COMMENT ON COLUMN hygiene.sessions.client_addr IS
	'Null for a Unix-domain socket, and for other roles'' sessions unless you are a member of pg_read_all_stats';
COMMENT ON COLUMN hygiene.sessions.client_port IS
	'-1 for a Unix-domain socket; hidden like client_addr';
COMMENT ON COLUMN hygiene.sessions.state IS
	'As in pg_stat_activity; starting until the session is ready, disabled where track_activities is off';
COMMENT ON COLUMN hygiene.sessions.state_age IS
	'Time since it entered this state';
COMMENT ON COLUMN hygiene.sessions.transaction_age IS
	'Time since its transaction began; null outside a transaction';
COMMENT ON COLUMN hygiene.sessions.wrote IS
	'Whether its transaction has been assigned a transaction id';
COMMENT ON COLUMN hygiene.sessions.xmin_age IS
	'How many transaction ids behind the next one its xmin is; null when it holds back nothing';
COMMENT ON COLUMN hygiene.sessions.blocking IS
	'Number of sessions that wait for a lock it holds';
COMMENT ON COLUMN hygiene.sessions.listening IS
	'Whether it LISTENs on a channel';
COMMENT ON COLUMN hygiene.sessions.exempt IS
	'Why it is never refused, ended or evicted: superuser, rule n, track_activities; null if it may be';
COMMENT ON COLUMN hygiene.sessions.rules IS
	'Numbers of the rules of pg_hygiene.rules that match it, from 1';
COMMENT ON COLUMN hygiene.sessions.limit_name IS
	'The setting that acts first if the session goes on doing what it does; null if none will';
COMMENT ON COLUMN hygiene.sessions.limit_setting IS
	'The value of that setting for this session';
COMMENT ON COLUMN hygiene.sessions.ends_in IS
	'Time until that limit acts; null when nothing will end the session';
COMMENT ON COLUMN hygiene.sessions.query IS
	'The statement it runs or ran last; hidden like client_addr';

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
	OUT diagnosis text)
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
	'As the client set it; "(other applications)" sums those beyond pg_hygiene.max_applications';
COMMENT ON COLUMN hygiene.applications.share IS
	'Its connections in percent of the usable slots';
COMMENT ON COLUMN hygiene.applications.opened IS
	'Sessions that took up this name since stats_since, at login or later';
COMMENT ON COLUMN hygiene.applications.closed IS
	'Sessions that gave it up, by ending or by taking another name';
COMMENT ON COLUMN hygiene.applications.transactions IS
	'Transactions that its sessions ended, by commit or rollback';
COMMENT ON COLUMN hygiene.applications.mean_session IS
	'Mean duration of its sessions that have ended';
COMMENT ON COLUMN hygiene.applications.spared IS
	'Sessions that went back to work at the last moment and were left alone';
COMMENT ON COLUMN hygiene.applications.diagnosis IS
	'What it does wrong and what to change; null if nothing is';

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
	OUT query text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_event_list';

COMMENT ON FUNCTION hygiene.get_events() IS
	'The last pg_hygiene.max_events events, newest last. Everyone may call it; query texts and addresses of other roles are shown to members of pg_read_all_stats only. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.events AS SELECT * FROM hygiene.get_events();

COMMENT ON VIEW hygiene.events IS
	'What pg_hygiene did, refused and warned about, newest last';
COMMENT ON COLUMN hygiene.events.action IS
	'terminate, evict, cancel, refuse or warn';
COMMENT ON COLUMN hygiene.events.outcome IS
	'done; spared: the session had gone back to work; observed: only recorded, as pg_hygiene.mode says; pending: not answered yet';
COMMENT ON COLUMN hygiene.events.reason IS
	'The setting that acted, without its prefix';
COMMENT ON COLUMN hygiene.events.rule IS
	'Number of the rule whose limit it was; null for the server-wide setting';
COMMENT ON COLUMN hygiene.events.measured IS
	'What was measured when it was decided; casts to interval where the limit is a time';
COMMENT ON COLUMN hygiene.events.limit_setting IS
	'The value of the limit';

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
	OUT diagnosis text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_leak_list';

COMMENT ON FUNCTION hygiene.get_leaks() IS
	'One row for each place that leaves transactions idle. Everyone may call it; example queries of other roles are shown to members of pg_read_all_stats only. Fails with object_not_in_prerequisite_state unless pg_hygiene is in shared_preload_libraries';

CREATE VIEW hygiene.leaks AS
	SELECT * FROM hygiene.get_leaks()
	ORDER BY sessions_now DESC, ended DESC, last_seen DESC;

COMMENT ON VIEW hygiene.leaks IS
	'Transactions left idle for more than a tenth of their limit, grouped by application, role, database and the statement that was last before the silence';
COMMENT ON COLUMN hygiene.leaks.fingerprint IS
	'The query id where the server computes one, else a hash of the statement''s shape';
COMMENT ON COLUMN hygiene.leaks.sessions_now IS
	'Sessions of this moment that are idle there';
COMMENT ON COLUMN hygiene.leaks.oldest_now IS
	'How long the oldest of them has been idle; null if there is none';
COMMENT ON COLUMN hygiene.leaks.ended IS
	'Sessions that a limit ended there since stats_since';
COMMENT ON COLUMN hygiene.leaks.clients IS
	'Distinct client addresses seen there, 32 at the most';
COMMENT ON COLUMN hygiene.leaks.example_query IS
	'A statement of that shape as it was sent, with its comments; hidden from those who may not see it in pg_stat_activity';
COMMENT ON COLUMN hygiene.leaks.diagnosis IS
	'What the program does wrong and what to change; null if that cannot be told';

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
COMMENT ON COLUMN hygiene.rules.sessions IS
	'Sessions of this moment that match it';
COMMENT ON COLUMN hygiene.rules.connections_limit IS
	'Most sessions that may match it at once; null if it sets none';
COMMENT ON COLUMN hygiene.rules.reserve IS
	'Slots that are kept for its sessions; null if none';
COMMENT ON COLUMN hygiene.rules.refused IS
	'Connections refused because of it, since the server started or the rule was changed';
COMMENT ON COLUMN hygiene.rules.ended IS
	'Sessions ended and statements cancelled because of it, likewise';
COMMENT ON COLUMN hygiene.rules.last_used IS
	'When it last refused or ended something';

CREATE FUNCTION hygiene.check_rules(
	rules text,
	OUT rule integer,
	OUT selectors text,
	OUT settings text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_check_rules';

COMMENT ON FUNCTION hygiene.check_rules(text) IS
	'The rules that a text for pg_hygiene.rules stands for. Raises invalid_parameter_value with the position and what was expected if it does not parse. Everyone may call it';

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
	OUT verdict text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pgh_rehearse';

COMMENT ON FUNCTION hygiene.rehearse(text) IS
	'What a text for pg_hygiene.rules would do to the sessions of this moment, if pg_hygiene.mode were enforce. Rows as in hygiene.sessions, and verdict: terminate, cancel, observe, exempt or none. Touches nobody. Raises invalid_parameter_value if the text does not parse. Everyone may call it; texts and addresses are hidden as in hygiene.sessions';

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
	'session, prepared transaction, replication slot or standby';
COMMENT ON COLUMN hygiene.horizon.name IS
	'Login role of a session, gid of a prepared transaction, name of a slot, role of a standby''s walsender';
COMMENT ON COLUMN hygiene.horizon.xmin_age IS
	'How many transaction ids behind the next one it holds VACUUM';
COMMENT ON COLUMN hygiene.horizon.age IS
	'Since when: the age of the transaction, or of the standby''s connection; null for a slot';

--
-- hygiene.reset(): begin counting anew
--
CREATE FUNCTION hygiene.reset()
RETURNS void
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pgh_reset';

REVOKE ALL ON FUNCTION hygiene.reset() FROM PUBLIC;

COMMENT ON FUNCTION hygiene.reset() IS
	'Clears counters and events. Superusers may call it, and those to whom EXECUTE was granted';

GRANT SELECT ON hygiene.status, hygiene.sessions, hygiene.applications,
	hygiene.events, hygiene.leaks, hygiene.rules, hygiene.horizon TO PUBLIC;
