-- hygiene.status: its numbers agree with each other and with PostgreSQL's.
BEGIN;
SELECT plan(18);

SELECT is((SELECT count(*) FROM hygiene.status), 1::bigint, 'it has one row');
SELECT is((SELECT mode FROM hygiene.status),
	current_setting('pg_hygiene.mode'), 'mode');
SELECT ok((SELECT pressure IN ('normal', 'warning', 'critical')
	FROM hygiene.status), 'pressure');
SELECT is((SELECT max_connections FROM hygiene.status),
	current_setting('max_connections')::int, 'max_connections');
SELECT is((SELECT reserved FROM hygiene.status),
	current_setting('superuser_reserved_connections')::int
	+ coalesce(current_setting('reserved_connections', true)::int, 0),
	'reserved');
SELECT cmp_ok((SELECT used FROM hygiene.status), '>=', 1,
	'used: at least this one');
SELECT cmp_ok((SELECT used - authenticating FROM hygiene.status), '<=',
	(SELECT count(*)::int FROM hygiene.sessions),
	'used: those in sessions, and those that authenticate');
SELECT is((SELECT available FROM hygiene.status),
	(SELECT greatest(max_connections - reserved - used, 0)
	 FROM hygiene.status),
	'available');
SELECT is((SELECT headroom FROM hygiene.status),
	CASE current_setting('pg_hygiene.headroom')::int
		WHEN -1 THEN greatest(3, current_setting('max_connections')::int / 20)
		ELSE current_setting('pg_hygiene.headroom')::int END,
	'headroom: what -1 comes to');
SELECT cmp_ok((SELECT active FROM hygiene.status), '>=', 1,
	'active: at least this one');
SELECT is(
	(SELECT active + idle + idle_in_transaction FROM hygiene.status),
	(SELECT count(*)::int FROM hygiene.sessions
	 WHERE state IN ('active', 'idle', 'idle in transaction',
		'idle in transaction (aborted)')),
	'active, idle and idle_in_transaction are those of hygiene.sessions');
SELECT cmp_ok((SELECT oldest_transaction FROM hygiene.status), '>=',
	clock_timestamp() - now() - interval '1 s',
	'oldest_transaction: at least this one''s');
SELECT is(
	(SELECT count(*) FROM hygiene.status
	 WHERE least(terminated, evicted, cancelled, spared, refused,
		refused_by_server) < 0
		OR terminated IS NULL OR evicted IS NULL OR cancelled IS NULL
		OR spared IS NULL OR refused IS NULL OR refused_by_server IS NULL),
	0::bigint, 'counters are never null nor negative');
SELECT cmp_ok((SELECT worker_pid FROM hygiene.status), '>', 0,
	'the worker runs');
SELECT ok((SELECT last_pass > now() - interval '10 s' FROM hygiene.status),
	'it made a pass a moment ago');
SELECT ok((SELECT pass_duration BETWEEN '0' AND '1 s' FROM hygiene.status),
	'which took no time to speak of');
SELECT ok((SELECT stats_since <= now() FROM hygiene.status), 'stats_since');
SELECT ok((SELECT exhaustion_in IS NULL OR exhaustion_in >= '0'
	FROM hygiene.status), 'exhaustion_in');

SELECT * FROM finish();
ROLLBACK;
