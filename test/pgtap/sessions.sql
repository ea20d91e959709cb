-- hygiene.sessions: this session as it sees itself, and its limits.
BEGIN;
SELECT plan(22);

SET LOCAL application_name = 'pgtap sessions';
CREATE TEMP VIEW me AS
	SELECT * FROM hygiene.sessions WHERE pid = pg_backend_pid();

SELECT is((SELECT count(*) FROM me), 1::bigint, 'this session is there once');
SELECT is((SELECT application_name FROM me), 'pgtap sessions',
	'application_name is the one of now');
SELECT is((SELECT user_name FROM me), session_user::text, 'user_name');
SELECT is((SELECT database_name FROM me), current_database()::text,
	'database_name');
SELECT is((SELECT client_addr FROM me), inet_client_addr(), 'client_addr');
SELECT is((SELECT client_port FROM me),
	coalesce(inet_client_port(), -1), 'client_port');
SELECT is((SELECT backend_start FROM me),
	(SELECT backend_start FROM pg_stat_activity
	 WHERE pid = pg_backend_pid()), 'backend_start');
SELECT is((SELECT state FROM me), 'active', 'state');
SELECT ok((SELECT state_age >= '0' AND state_age <= transaction_age FROM me),
	'state_age is not more than transaction_age');
SELECT ok((SELECT transaction_age BETWEEN
		clock_timestamp() - now() - interval '1 s'
		AND clock_timestamp() - now() + interval '1 s' FROM me),
	'transaction_age');
SELECT cmp_ok((SELECT xmin_age FROM me), '>=', 0, 'xmin_age');
SELECT is((SELECT wrote FROM me), true,
	'wrote: pgTAP has a transaction id by its temporary tables');
SELECT is((SELECT exempt FROM me),
	CASE WHEN (SELECT usesuper FROM pg_user WHERE usename = session_user)
		AND current_setting('pg_hygiene.exempt_superusers')::bool
		THEN 'superuser' END,
	'exempt');
SELECT alike((SELECT query FROM me), '%SELECT alike(%', 'query');

-- Sessions are those of pg_stat_activity, and nothing else is.
SELECT is(
	(SELECT string_agg(pid::text, ', ') FROM hygiene.sessions
	 WHERE pid NOT IN (SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'client backend')),
	NULL, 'only client backends are sessions');
SELECT is((SELECT count(*) FROM hygiene.sessions WHERE ends_in < '0'),
	0::bigint, 'nobody should have ended long ago');
SELECT is(
	(SELECT count(*) FROM hygiene.sessions
	 WHERE exempt IS NOT NULL AND ends_in IS NOT NULL),
	0::bigint, 'an exempt session has no end');

-- Rules that match, in their order.
SELECT is((SELECT rules FROM me), ARRAY[]::integer[],
	'no rule matches by default');
SET LOCAL application_name = 'pg_dump';
SELECT is((SELECT rules FROM me), ARRAY[1],
	'a rule matches the name of now');
SELECT is((SELECT count(*) FROM me), 1::bigint,
	'a session that changes its name is still there once');
SET LOCAL application_name = '';
SELECT is((SELECT application_name FROM me), '', 'a name may be empty');
SELECT ok((SELECT bool_and(application_name IS NOT NULL)
	FROM hygiene.sessions), 'but is never null');

SELECT * FROM finish();
ROLLBACK;
