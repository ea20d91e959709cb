-- Every view has the columns of its documentation, in their order and with
-- their types: programs select them by name, people read them by place.
BEGIN;
SELECT plan(21);

CREATE FUNCTION pg_temp.columns_of(name regclass)
RETURNS TABLE (column_name text, type_name text)
LANGUAGE sql AS $$
	SELECT attname::text, format_type(atttypid, atttypmod)
	FROM pg_attribute
	WHERE attrelid = name AND attnum > 0 AND NOT attisdropped
	ORDER BY attnum
$$;

SELECT views_are('hygiene', ARRAY[
	'status',
	'sessions',
	'applications',
	'events',
	'leaks',
	'rules',
	'horizon',
	'samples',
	'behaviour',
	'incidents',
	'drains'],
	'these are all views');

SELECT results_eq(
	$$SELECT * FROM pg_temp.columns_of('hygiene.status')$$,
	$$VALUES
		('version', 'text'),
		('mode', 'text'),
		('pressure', 'text'),
		('max_connections', 'integer'),
		('reserved', 'integer'),
		('used', 'integer'),
		('authenticating', 'integer'),
		('available', 'integer'),
		('headroom', 'integer'),
		('active', 'integer'),
		('idle', 'integer'),
		('idle_in_transaction', 'integer'),
		('oldest_transaction', 'interval'),
		('growth_per_minute', 'double precision'),
		('exhaustion_in', 'interval'),
		('terminated', 'bigint'),
		('evicted', 'bigint'),
		('cancelled', 'bigint'),
		('spared', 'bigint'),
		('refused', 'bigint'),
		('refused_by_server', 'bigint'),
		('worker_pid', 'integer'),
		('last_pass', 'timestamp with time zone'),
		('pass_duration', 'interval'),
		('stats_since', 'timestamp with time zone'),
		('rolled_back', 'bigint'),
		('idle_action', 'text'),
		('waiting', 'integer')$$,
	'hygiene.status: columns and types in their order');
SELECT lives_ok('SELECT * FROM hygiene.status', 'hygiene.status can be read');

SELECT results_eq(
	$$SELECT * FROM pg_temp.columns_of('hygiene.sessions')$$,
	$$VALUES
		('pid', 'integer'),
		('application_name', 'text'),
		('user_name', 'text'),
		('database_name', 'text'),
		('client_addr', 'inet'),
		('client_port', 'integer'),
		('backend_start', 'timestamp with time zone'),
		('state', 'text'),
		('state_age', 'interval'),
		('transaction_age', 'interval'),
		('wrote', 'boolean'),
		('xmin_age', 'integer'),
		('blocking', 'integer'),
		('listening', 'boolean'),
		('exempt', 'text'),
		('rules', 'integer[]'),
		('limit_name', 'text'),
		('limit_setting', 'text'),
		('ends_in', 'interval'),
		('query_id', 'bigint'),
		('query', 'text'),
		('advisory_locks', 'integer'),
		('longest_wait', 'interval'),
		('client_wait', 'interval')$$,
	'hygiene.sessions: columns and types in their order');
SELECT lives_ok('SELECT * FROM hygiene.sessions', 'hygiene.sessions can be read');

SELECT results_eq(
	$$SELECT * FROM pg_temp.columns_of('hygiene.applications')$$,
	$$VALUES
		('application_name', 'text'),
		('connections', 'integer'),
		('active', 'integer'),
		('idle', 'integer'),
		('idle_in_transaction', 'integer'),
		('peak_connections', 'integer'),
		('peak_at', 'timestamp with time zone'),
		('share', 'double precision'),
		('oldest_transaction', 'interval'),
		('opened', 'bigint'),
		('closed', 'bigint'),
		('refused', 'bigint'),
		('terminated', 'bigint'),
		('evicted', 'bigint'),
		('cancelled', 'bigint'),
		('spared', 'bigint'),
		('transactions', 'bigint'),
		('mean_session', 'interval'),
		('diagnosis', 'text'),
		('rolled_back', 'bigint'),
		('would_terminate', 'bigint'),
		('would_evict', 'bigint'),
		('would_refuse', 'bigint'),
		('blocked_time', 'interval'),
		('slot_time', 'interval'),
		('horizon_xids', 'bigint'),
		('diagnosed_since', 'timestamp with time zone'),
		('diagnosed_at', 'timestamp with time zone')$$,
	'hygiene.applications: columns and types in their order');
SELECT lives_ok('SELECT * FROM hygiene.applications', 'hygiene.applications can be read');

SELECT results_eq(
	$$SELECT * FROM pg_temp.columns_of('hygiene.events')$$,
	$$VALUES
		('event_id', 'bigint'),
		('occurred_at', 'timestamp with time zone'),
		('action', 'text'),
		('outcome', 'text'),
		('reason', 'text'),
		('rule', 'integer'),
		('measured', 'text'),
		('limit_setting', 'text'),
		('pid', 'integer'),
		('application_name', 'text'),
		('user_name', 'text'),
		('database_name', 'text'),
		('client_addr', 'inet'),
		('state', 'text'),
		('transaction_age', 'interval'),
		('wrote', 'boolean'),
		('blocking', 'integer'),
		('query_id', 'bigint'),
		('query', 'text'),
		('resumed_after', 'interval'),
		('trace_id', 'text')$$,
	'hygiene.events: columns and types in their order');
SELECT lives_ok('SELECT * FROM hygiene.events', 'hygiene.events can be read');

SELECT results_eq(
	$$SELECT * FROM pg_temp.columns_of('hygiene.leaks')$$,
	$$VALUES
		('application_name', 'text'),
		('user_name', 'text'),
		('database_name', 'text'),
		('fingerprint', 'bigint'),
		('sessions_now', 'integer'),
		('oldest_now', 'interval'),
		('ended', 'bigint'),
		('first_seen', 'timestamp with time zone'),
		('last_seen', 'timestamp with time zone'),
		('clients', 'integer'),
		('example_query', 'text'),
		('diagnosis', 'text'),
		('rolled_back', 'bigint'),
		('resumed', 'bigint'),
		('longest_pause', 'interval'),
		('slot_time', 'interval'),
		('source', 'text'),
		('trace_id', 'text'),
		('client_addrs', 'inet[]'),
		('blocked_time', 'interval'),
		('horizon_xids', 'bigint')$$,
	'hygiene.leaks: columns and types in their order');
SELECT lives_ok('SELECT * FROM hygiene.leaks', 'hygiene.leaks can be read');

SELECT results_eq(
	$$SELECT * FROM pg_temp.columns_of('hygiene.behaviour')$$,
	$$VALUES
		('application_name', 'text'),
		('kind', 'text'),
		('periods', 'bigint'),
		('resumed', 'bigint'),
		('p50', 'interval'),
		('p90', 'interval'),
		('p99', 'interval'),
		('longest_resumed', 'interval'),
		('longest', 'interval'),
		('open_now', 'integer'),
		('since', 'timestamp with time zone')$$,
	'hygiene.behaviour: columns and types in their order');
SELECT lives_ok('SELECT * FROM hygiene.behaviour', 'hygiene.behaviour can be read');

SELECT results_eq(
	$$SELECT * FROM pg_temp.columns_of('hygiene.rules')$$,
	$$VALUES
		('rule', 'integer'),
		('selectors', 'text'),
		('settings', 'text'),
		('sessions', 'integer'),
		('connections_limit', 'integer'),
		('reserve', 'integer'),
		('refused', 'bigint'),
		('ended', 'bigint'),
		('last_used', 'timestamp with time zone')$$,
	'hygiene.rules: columns and types in their order');
SELECT lives_ok('SELECT * FROM hygiene.rules', 'hygiene.rules can be read');

SELECT results_eq(
	$$SELECT * FROM pg_temp.columns_of('hygiene.horizon')$$,
	$$VALUES
		('kind', 'text'),
		('name', 'text'),
		('pid', 'integer'),
		('application_name', 'text'),
		('xmin_age', 'integer'),
		('age', 'interval')$$,
	'hygiene.horizon: columns and types in their order');
SELECT lives_ok('SELECT * FROM hygiene.horizon', 'hygiene.horizon can be read');

SELECT results_eq(
	$$SELECT * FROM pg_temp.columns_of('hygiene.samples')$$,
	$$VALUES
		('sampled_at', 'timestamp with time zone'),
		('used', 'integer'),
		('most_used', 'integer'),
		('idle_in_transaction', 'integer'),
		('ended', 'bigint'),
		('refused', 'bigint'),
		('refused_by_server', 'bigint'),
		('application_names', 'text[]'),
		('application_connections', 'integer[]'),
		('application_idle_in_transaction', 'integer[]')$$,
	'hygiene.samples: columns and types in their order');
SELECT lives_ok('SELECT * FROM hygiene.samples', 'hygiene.samples can be read');

SELECT is_empty(
	$$SELECT attrelid::regclass, attname
	  FROM pg_attribute JOIN pg_class c ON attrelid = c.oid
	  WHERE relnamespace = 'hygiene'::regnamespace AND relkind = 'v'
	  AND attnum > 0 AND coalesce(col_description(attrelid, attnum), '') = ''$$,
	'each column has a description');

-- rehearse() gives the same rows and two columns more.
CREATE TEMP VIEW rehearsal AS SELECT * FROM hygiene.rehearse('');
SELECT results_eq(
	$$SELECT * FROM pg_temp.columns_of('pg_temp.rehearsal')$$,
	$$SELECT * FROM pg_temp.columns_of('hygiene.sessions')
	  UNION ALL VALUES ('verdict', 'text'), ('exceeds', 'text')$$,
	'hygiene.rehearse(): the columns of sessions, verdict and exceeds');

SELECT * FROM finish();
ROLLBACK;
