-- Who may read the views, see texts in them and call the functions; and that
-- each of them says what it is for.
BEGIN;
SELECT * FROM no_plan();	-- some are one for each view

CREATE ROLE hygiene_reader;
CREATE ROLE hygiene_stats;
CREATE ROLE hygiene_resetter;
GRANT pg_read_all_stats TO hygiene_stats;

CREATE TEMP VIEW each_view AS
	SELECT relname AS name FROM pg_class
	WHERE relnamespace = 'hygiene'::regnamespace AND relkind = 'v'
	ORDER BY relname;

-- What is asked for by a role that has no right to pgTAP's temporary tables.
CREATE FUNCTION pg_temp.as_role(role name, query text)
RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	BEGIN
		EXECUTE query INTO result;
	EXCEPTION WHEN OTHERS THEN
		result := 'error ' || SQLSTATE;
	END;
	RESET ROLE;
	RETURN result;
END
$$;

--
-- Everyone may read every view.
--
SELECT schema_privs_are('hygiene', 'public', ARRAY['USAGE'],
	'everyone may use the schema, and put nothing into it');
SELECT table_privs_are('hygiene', name, 'public', ARRAY['SELECT'],
	format('everyone may read hygiene.%s, and do nothing else', name))
FROM each_view;
SELECT is(
	pg_temp.as_role('hygiene_reader',
		format('SELECT count(*) >= 0 FROM hygiene.%I', name)),
	'true',
	format('an ordinary role reads hygiene.%s', name))
FROM each_view;

--
-- But not what others do, nor from where.
--
SELECT is(
	pg_temp.as_role('hygiene_reader', $$
		SELECT concat_ws('|', query, coalesce(client_port::text, 'null'),
			coalesce(query_id::text, 'null'))
		FROM hygiene.sessions WHERE pid = pg_backend_pid()$$),
	'<insufficient privilege>|null|null',
	'an ordinary role does not see the text and the port of another one');
SELECT is(
	pg_temp.as_role('hygiene_reader', $$
		SELECT concat_ws('|', user_name, database_name)
		FROM hygiene.sessions WHERE pid = pg_backend_pid()$$),
	concat_ws('|', session_user, current_database()),
	'who it is it sees');
SELECT is(
	pg_temp.as_role('hygiene_reader', $$
		SELECT coalesce(backend_start::text, state, state_age::text,
			transaction_age::text, listening::text, exempt, rules::text,
			limit_name, limit_setting, ends_in::text)
		FROM hygiene.sessions WHERE pid = pg_backend_pid()$$),
	NULL,
	'but not what it does');
SELECT alike(
	pg_temp.as_role('hygiene_stats', $$
		SELECT query FROM hygiene.sessions WHERE pid = pg_backend_pid()$$),
	'%pg_temp.as_role%',
	'a member of pg_read_all_stats sees the text');
SELECT is(
	pg_temp.as_role('hygiene_stats', $$
		SELECT client_port = (SELECT client_port FROM pg_stat_activity
			WHERE pid = pg_backend_pid())
		FROM hygiene.sessions WHERE pid = pg_backend_pid()$$),
	'true',
	'and the port');
SELECT is(
	pg_temp.as_role('hygiene_reader', $$
		SELECT bool_and(query = '<insufficient privilege>' AND verdict IS NULL)
		FROM hygiene.rehearse('') WHERE pid = pg_backend_pid()$$),
	'true',
	'rehearse() hides the same');

SELECT function_privs_are('hygiene', 'report', ARRAY[]::text[], 'public',
	ARRAY['EXECUTE'], 'report() is for everyone');
SELECT alike(
	pg_temp.as_role('hygiene_reader', 'SELECT hygiene.report()'),
	'<!DOCTYPE html>%</html>',
	'an ordinary role gets a page');

--
-- reset() is for superusers and whom they name.
--
SELECT function_privs_are('hygiene', 'reset', ARRAY[]::text[], 'public',
	ARRAY[]::text[], 'reset() is not for everyone');
SELECT is(
	pg_temp.as_role('hygiene_resetter', 'SELECT hygiene.reset()'),
	'error 42501',
	'an ordinary role may not reset');
SELECT is(
	pg_temp.as_role('hygiene_stats', 'SELECT hygiene.reset()'),
	'error 42501',
	'nor a member of pg_read_all_stats');
GRANT EXECUTE ON FUNCTION hygiene.reset() TO hygiene_resetter;
SELECT is(
	pg_temp.as_role('hygiene_resetter', 'SELECT hygiene.reset()'),
	'',
	'one to whom it was granted may');
SELECT is(
	(SELECT string_agg(proname, ', ')
	 FROM pg_proc
	 WHERE pronamespace = 'hygiene'::regnamespace AND proname NOT IN ('reset', 'drain', 'stop_drain')
		AND NOT has_function_privilege('hygiene_reader', oid, 'EXECUTE')),
	NULL,
	'every other function is for everyone');
SELECT is(
	(SELECT string_agg(proname, ', ')
	 FROM pg_proc
	 WHERE pronamespace = 'hygiene'::regnamespace AND prosecdef),
	NULL,
	'no function runs with its owner''s rights');

--
-- Each object says what it is for.
--
SELECT isnt(obj_description('hygiene'::regnamespace, 'pg_namespace'), NULL,
	'the schema has a comment');
SELECT is(
	(SELECT string_agg(relname, ', ')
	 FROM pg_class
	 WHERE relnamespace = 'hygiene'::regnamespace
		AND obj_description(oid, 'pg_class') IS NULL),
	NULL,
	'each view has a comment');
SELECT is(
	(SELECT string_agg(oid::regprocedure::text, ', ')
	 FROM pg_proc
	 WHERE pronamespace = 'hygiene'::regnamespace
		AND obj_description(oid, 'pg_proc') IS NULL),
	NULL,
	'each function has a comment');
SELECT is(
	(SELECT string_agg(proname, ', ')
	 FROM pg_proc
	 WHERE pronamespace = 'hygiene'::regnamespace
		AND obj_description(oid, 'pg_proc') !~* 'every ?one|superuser'),
	NULL,
	'that of a function says who may call it');

--
-- What the extension owns.
--
SELECT is(
	(SELECT string_agg(o.name, ', ')
	 FROM (SELECT oid, 'pg_class'::regclass, relname::text FROM pg_class
		   WHERE relnamespace = 'hygiene'::regnamespace AND relkind <> 'c'
		   UNION ALL
		   SELECT oid, 'pg_proc', proname FROM pg_proc
		   WHERE pronamespace = 'hygiene'::regnamespace) o(oid, class, name)
	 WHERE NOT EXISTS (SELECT FROM pg_depend d
		 WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e')),
	NULL,
	'everything in the schema belongs to the extension');
SELECT is(
	(SELECT extrelocatable FROM pg_extension WHERE extname = 'pg_hygiene'),
	false,
	'the extension stays in its schema');

SELECT * FROM finish();
ROLLBACK;
