-- hygiene.horizon: its columns, who may read it, and what this session and a
-- slot look like in it.
BEGIN;
SELECT * FROM no_plan();	-- some are one for each column

CREATE ROLE hygiene_reader;

SELECT columns_are('hygiene', 'horizon', ARRAY['kind', 'name', 'pid',
	'application_name', 'xmin_age', 'age'],
	'hygiene.horizon has these columns and no others');
SELECT col_type_is('hygiene', 'horizon', name::name, type,
	format('%s is of type %s', name, type))
FROM (VALUES
	('kind', 'text'), ('name', 'text'), ('pid', 'integer'),
	('application_name', 'text'), ('xmin_age', 'integer'),
	('age', 'interval')) c(name, type);
SELECT isnt(
	col_description('hygiene.horizon'::regclass, attnum), NULL,
	format('hygiene.horizon.%s has a comment', attname))
FROM pg_attribute
WHERE attrelid = 'hygiene.horizon'::regclass AND attnum > 0
	AND attname NOT IN ('pid', 'application_name')
ORDER BY attnum;

SELECT table_privs_are('hygiene', 'horizon', 'hygiene_reader',
	ARRAY['SELECT'], 'everyone may read it, and do nothing else');
SELECT function_privs_are('hygiene', 'get_horizon', ARRAY[]::text[],
	'hygiene_reader', ARRAY['EXECUTE'], 'and call its function');

--
-- This session, while it looks.
--
CREATE TEMP VIEW me AS
	SELECT * FROM hygiene.horizon WHERE pid = pg_backend_pid();
SELECT results_eq(
	'SELECT kind, name, application_name FROM me',
	$$SELECT 'session', session_user::text, current_setting('application_name')$$,
	'a session, by its login role');
SELECT cmp_ok((SELECT xmin_age FROM me), '>=', 0,
	'it has a snapshot while it looks');
SELECT ok((SELECT age BETWEEN '0' AND clock_timestamp() - transaction_timestamp()
	FROM me), 'age is that of the transaction');
SELECT is((SELECT array_agg(xmin_age) FROM hygiene.horizon),
	(SELECT array_agg(xmin_age ORDER BY xmin_age DESC) FROM hygiene.horizon),
	'the oldest comes first');
SELECT is_empty(
	$$SELECT kind FROM hygiene.horizon
	WHERE kind NOT IN ('session', 'prepared transaction', 'replication slot', 'standby')$$,
	'there are no other kinds');
SELECT is_empty(
	'SELECT * FROM hygiene.horizon WHERE kind IS NULL OR name IS NULL OR xmin_age IS NULL',
	'each row has a kind, a name and an age in transaction ids');

--
-- A slot that holds nothing back is not in it.
--
SELECT lives_ok($$SELECT pg_create_physical_replication_slot('hygiene_slot')$$,
	'a slot is made');
SELECT is_empty($$SELECT * FROM hygiene.horizon WHERE name = 'hygiene_slot'$$,
	'a slot without an xmin holds nothing back');
SELECT lives_ok($$SELECT pg_drop_replication_slot('hygiene_slot')$$,
	'the slot is dropped');

--
-- For everyone.
--
SET LOCAL ROLE hygiene_reader;
DO $$ BEGIN
PERFORM set_config('hygiene_test.seen',
	(SELECT concat_ws('|', kind, name) FROM hygiene.horizon
	 WHERE pid = pg_backend_pid()), true);
END $$;
RESET ROLE;
SELECT is(current_setting('hygiene_test.seen'), 'session|' || session_user,
	'an ordinary role sees the same');

SELECT * FROM finish();
ROLLBACK;
