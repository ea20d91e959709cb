--
-- The extension: created, complete, dropped, created again.
--
CREATE EXTENSION pg_hygiene;
CREATE EXTENSION pg_hygiene;	-- error
CREATE SCHEMA regress_elsewhere;
ALTER EXTENSION pg_hygiene SET SCHEMA regress_elsewhere;	-- error
DROP SCHEMA regress_elsewhere;
SELECT extversion, extrelocatable FROM pg_extension WHERE extname = 'pg_hygiene';

-- Each view can be read.
SELECT mode IN ('enforce', 'observe', 'off') AS mode, worker_pid > 0 AS worker
FROM hygiene.status;
SELECT application_name = current_setting('application_name') AS application,
	user_name = session_user AS "user", database_name, state
FROM hygiene.sessions WHERE pid = pg_backend_pid();
SELECT connections, active, opened - closed AS "there"
FROM hygiene.applications
WHERE application_name = current_setting('application_name');
SELECT count(*) >= 0 AS events FROM hygiene.events;

-- Each object has a comment.
SELECT relname AS "without comment"
FROM pg_class
WHERE relnamespace = 'hygiene'::regnamespace AND relkind = 'v'
	AND obj_description(oid, 'pg_class') IS NULL
UNION ALL
SELECT proname
FROM pg_proc
WHERE pronamespace = 'hygiene'::regnamespace
	AND obj_description(oid, 'pg_proc') IS NULL;

-- It comes with nothing that is not its own, and takes all of it away.
DROP EXTENSION pg_hygiene;
SELECT count(*) FROM pg_namespace WHERE nspname = 'hygiene';
SELECT count(*) FROM hygiene.status;	-- error
CREATE EXTENSION pg_hygiene VERSION '1.0';
SELECT count(*) FROM hygiene.status;
