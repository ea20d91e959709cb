--
-- What an ordinary role may do.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hygiene;
RESET client_min_messages;
CREATE ROLE regress_hygiene;
SET ROLE regress_hygiene;

SELECT count(*) FROM hygiene.status;
SELECT count(*) > 0 AS sessions FROM hygiene.sessions;
SELECT count(*) > 0 AS applications FROM hygiene.applications;
SELECT count(*) >= 0 AS events FROM hygiene.events;

-- This session is another role's.
SELECT query, query_id, client_addr, client_port, state, rules, ends_in
FROM hygiene.sessions WHERE pid = pg_backend_pid();

-- Beginning to count anew is for superusers and whom they name.
SELECT hygiene.reset();	-- error
RESET ROLE;
GRANT EXECUTE ON FUNCTION hygiene.reset() TO regress_hygiene;
SET ROLE regress_hygiene;
SELECT hygiene.reset();
SELECT now() - stats_since < '1 min' AS "from now on" FROM hygiene.status;

-- Settings are not an ordinary role's to change, nor a session's.
ALTER SYSTEM SET pg_hygiene.mode = off;	-- error
SET pg_hygiene.mode = off;	-- error
RESET ROLE;
SET pg_hygiene.mode = off;	-- error

-- Views are for reading.
SET ROLE regress_hygiene;
DELETE FROM hygiene.events;	-- error
CREATE VIEW hygiene.mine AS SELECT 1;	-- error
RESET ROLE;

REVOKE ALL ON FUNCTION hygiene.reset() FROM regress_hygiene;
DROP ROLE regress_hygiene;
