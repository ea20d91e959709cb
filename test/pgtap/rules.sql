-- hygiene.rules, check_rules() and rehearse(): what they show of rules, how
-- they are called, and that a text that is none is refused.
BEGIN;
SELECT * FROM no_plan();	-- some are one for each function or column

CREATE ROLE hygiene_reader;

--
-- How they are called.
--
SELECT is(
	(SELECT concat_ws(' ', provolatile, proparallel, proisstrict, proretset,
		prosecdef, oid::regprocedure)
	 FROM pg_proc
	 WHERE pronamespace = 'hygiene'::regnamespace AND proname = name),
	'v r t t f hygiene.' || name || arguments,
	format('hygiene.%s: volatile, restricted to the leader, strict, rows', name))
FROM (VALUES
	('get_rules', '()'),
	('check_rules', '(text)'),
	('rehearse', '(text)'),
	('get_horizon', '()')) f(name, arguments);
SELECT is(
	(SELECT proargnames[1] FROM pg_proc WHERE oid = f::regprocedure),
	'rules',
	format('%s: the argument has a name', f))
FROM unnest(ARRAY['hygiene.check_rules(text)', 'hygiene.rehearse(text)']) f;
SELECT is_empty('SELECT * FROM hygiene.check_rules(NULL)',
	'no text, no rules');
SELECT is_empty('SELECT * FROM hygiene.rehearse(NULL)',
	'no text, no rehearsal');

SELECT function_privs_are('hygiene', name, arguments, 'hygiene_reader',
	ARRAY['EXECUTE'], format('everyone may call hygiene.%s', name))
FROM (VALUES
	('get_rules', ARRAY[]::text[]),
	('check_rules', ARRAY['text']),
	('rehearse', ARRAY['text'])) f(name, arguments);

-- Columns whose names do not say it all are explained.
SELECT isnt(
	col_description('hygiene.rules'::regclass, attnum), NULL,
	format('hygiene.rules.%s has a comment', attname))
FROM pg_attribute
WHERE attrelid = 'hygiene.rules'::regclass AND attnum > 0
	AND attname NOT IN ('selectors', 'settings')
ORDER BY attnum;
SELECT columns_are('hygiene', 'rules', ARRAY['rule', 'selectors', 'settings',
	'sessions', 'connections_limit', 'reserve', 'refused', 'ended', 'last_used'],
	'hygiene.rules has these and no others');
SELECT is(
	(SELECT concat_ws(' ', proargnames, proallargtypes::regtype[])
	 FROM pg_proc WHERE oid = 'hygiene.check_rules(text)'::regprocedure),
	'{rules,rule,selectors,settings} {text,integer,text,text}',
	'check_rules(): columns and types in their order');

--
-- hygiene.rules: the one rule that there is by default.
--
SELECT results_eq(
	$$SELECT rule, selectors, settings, sessions, connections_limit, reserve,
		refused, ended, last_used FROM hygiene.rules$$,
	$$VALUES (1, 'application=pg_dump', 'exempt', 0, NULL::integer,
		NULL::integer, 0::bigint, 0::bigint, NULL::timestamptz)$$,
	'the default exempts pg_dump');
SET LOCAL application_name = 'pg_dump';
SELECT is((SELECT sessions FROM hygiene.rules), 0,
	'a session counts by the name that it was let in with');
RESET application_name;
SELECT is(
	(SELECT array_agg(rule || selectors || settings)
	 FROM hygiene.check_rules(current_setting('pg_hygiene.rules'))),
	(SELECT array_agg(rule || selectors || settings) FROM hygiene.rules),
	'check_rules() reads the setting as the server does');
SELECT throws_ok(
	$$SET pg_hygiene.rules = ''$$, '55P02', NULL,
	'rules are not for a session to set');

--
-- check_rules(): the rules in their printed form, which parses to itself.
--
CREATE TEMP TABLE texts (id serial, given text, printed text);
INSERT INTO texts (given, printed) VALUES
	('', NULL),
	('application=pg_dump: exempt', '1 application=pg_dump: exempt'),
	('APPLICATION = "pg_dump" : Exempt', '1 application=pg_dump: exempt'),
	('user != "a b" address=10.1.2.3/8: connections = 007',
	 '1 user!="a b" address=10.0.0.0/8: connections=7'),
	('user=a: idle_session_timeout=60000; user=b: exempt, mode=observe',
	 E'1 user=a: idle_session_timeout=1min\n2 user=b: mode=observe, exempt'),
	('database="": transaction_timeout=1.5h, cancel_grace=90 s',
	 '1 database="": transaction_timeout=90min, cancel_grace=90s'),
	('address=local: reserve=2, connect_rate=20, horizon_limit=100',
	 '1 address=local: horizon_limit=100, reserve=2, connect_rate=20'),
	('address=::1 address!=fd00::/8: idle_writer_timeout=0',
	 '1 address=::1 address!=fd00::/8: idle_writer_timeout=0'),
	('application="say ""hi""": idle_blocker_timeout=1d',
	 '1 application="say ""hi""": idle_blocker_timeout=1d');
SELECT is(
	(SELECT string_agg(format('%s %s: %s', rule, selectors, settings),
		E'\n' ORDER BY rule)
	 FROM hygiene.check_rules(given)),
	printed,
	format('check_rules: %s', given))
FROM texts ORDER BY id;
SELECT is(
	(SELECT string_agg(format('%s: %s', selectors, settings), '; ')
	 FROM hygiene.check_rules((SELECT string_agg(
		format('%s: %s', selectors, settings), '; ')
		FROM hygiene.check_rules(given)))),
	(SELECT string_agg(format('%s: %s', selectors, settings), '; ')
	 FROM hygiene.check_rules(given)),
	format('what is printed is read as the same: %s', given))
FROM texts WHERE printed IS NOT NULL ORDER BY id;

-- A text that is none, by either function.
SELECT throws_ok(
	format(E'SELECT * FROM hygiene.%s(\'%s\')', name, given),
	'22023',
	'invalid rules: ' || message,
	format('%s: %s', name, given))
FROM (VALUES ('check_rules'), ('rehearse')) f(name),
	(VALUES
	('nobody: exempt',
	 'expected "application", "user", "database" or "address", found "nobody" at position 1'),
	('user=a: exempt;;', 'expected a rule, found ";" at position 16'),
	('user=a: mode=on',
	 'expected "enforce", "observe" or "off", found "on" at position 14')) t(given, message);

--
-- rehearse(): one row for each session, as hygiene.sessions has them.
--
SELECT bag_eq(
	$$SELECT pid FROM hygiene.rehearse('')$$,
	'SELECT pid FROM hygiene.sessions',
	'rehearse() speaks of each session');
SELECT results_eq(
	$$SELECT exempt, rules, limit_name, ends_in, verdict
	FROM hygiene.rehearse('user=nobody: exempt; user=*: transaction_timeout=1ms')
	WHERE pid = pg_backend_pid()$$,
	$$VALUES ('superuser', ARRAY[2], NULL::text, NULL::interval, 'exempt')$$,
	'a superuser is exempt, and what matches it is shown');
SELECT results_eq(
	$$SELECT exempt, rules, verdict
	FROM hygiene.rehearse('database=*: exempt; database=pg*: idle_writer_timeout=1s')
	WHERE pid = pg_backend_pid()$$,
	$$VALUES ('superuser', ARRAY[1, 2], 'exempt')$$,
	'all rules that match are listed');
SELECT results_eq(
	$$SELECT rule, selectors, settings FROM hygiene.rules$$,
	$$VALUES (1, 'application=pg_dump', 'exempt')$$,
	'rehearsing leaves the rules as they are');

-- For everyone.
SET LOCAL ROLE hygiene_reader;
DO $$ BEGIN
PERFORM set_config('hygiene_test.seen',
	concat_ws('|',
		(SELECT count(*) FROM hygiene.rules),
		(SELECT count(*) FROM hygiene.check_rules('user=a: exempt')),
		(SELECT count(*) FROM hygiene.rehearse('user=a: exempt')
		 WHERE pid = pg_backend_pid())), true);
END $$;
RESET ROLE;
SELECT is(current_setting('hygiene_test.seen'), '1|1|1',
	'an ordinary role uses all three');

SELECT * FROM finish();
ROLLBACK;
