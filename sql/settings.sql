--
-- The settings: what there is, and that what makes no sense is refused where
-- it is set.
--
SELECT name, boot_val, unit, context, vartype, min_val, max_val, enumvals
FROM pg_settings WHERE name LIKE 'pg\_hygiene.%' ORDER BY name COLLATE "C";
-- Each is described for whoever sees nothing else: what it sets, and what 0 or
-- -1 means where it can be that.
SELECT name FROM pg_settings
WHERE name LIKE 'pg\_hygiene.%'
AND (short_desc !~ '^(Sets|Selects|Exempts|Warns|Counts) .*\.$'
	OR extra_desc !~ '\.$' OR extra_desc IS NULL
	OR min_val IN ('0', '-1') AND extra_desc !~ '\m0 (means|turns)'
	OR min_val = '-1' AND extra_desc !~ '-1 means');

-- Bad values.  PostgreSQL's versions print ranges in two ways, so leave them out.
\pset format unaligned
\pset tuples_only on
\set VERBOSITY sqlstate
\set complaint 'SELECT regexp_replace(:\'LAST_ERROR_MESSAGE\', \' \\(-?\\d.*\\)$\', \'\') AS message;'

ALTER SYSTEM SET pg_hygiene.mode = 'bogus';
:complaint
ALTER SYSTEM SET pg_hygiene.idle_in_transaction_timeout = -1;
:complaint
ALTER SYSTEM SET pg_hygiene.idle_in_transaction_timeout = 'soon';
:complaint
ALTER SYSTEM SET pg_hygiene.idle_in_transaction_timeout = '25 days';
:complaint
ALTER SYSTEM SET pg_hygiene.idle_blocker_timeout = '1 parsec';
:complaint
ALTER SYSTEM SET pg_hygiene.idle_writer_timeout = '-1s';
:complaint
ALTER SYSTEM SET pg_hygiene.advisory_blocker_timeout = 'never';
:complaint
ALTER SYSTEM SET pg_hygiene.client_stall_timeout = -5;
:complaint
ALTER SYSTEM SET pg_hygiene.idle_session_timeout = '1min 30s';
:complaint
ALTER SYSTEM SET pg_hygiene.transaction_timeout = '';
:complaint
ALTER SYSTEM SET pg_hygiene.cancel_grace = '10MB';
:complaint
ALTER SYSTEM SET pg_hygiene.horizon_limit = 2000000001;
:complaint
ALTER SYSTEM SET pg_hygiene.horizon_limit = '10s';
:complaint
ALTER SYSTEM SET pg_hygiene.connections_per_application = -1;
:complaint
ALTER SYSTEM SET pg_hygiene.headroom = -2;
:complaint
ALTER SYSTEM SET pg_hygiene.headroom_min_idle = '-5s';
:complaint
ALTER SYSTEM SET pg_hygiene.warn_at = 101;
:complaint
ALTER SYSTEM SET pg_hygiene.warn_at = 'eighty';
:complaint
ALTER SYSTEM SET pg_hygiene.exempt_superusers = 'perhaps';
:complaint
ALTER SYSTEM SET pg_hygiene.tell_client = 2;
:complaint
ALTER SYSTEM SET pg_hygiene.application_families = 'some';
:complaint
ALTER SYSTEM SET pg_hygiene.max_events = 0;
:complaint
ALTER SYSTEM SET pg_hygiene.max_applications = 0;
:complaint
ALTER SYSTEM SET pg_hygiene.rules = 'application=web-*';
:complaint
ALTER SYSTEM SET pg_hygiene.rules = 'application=web-*: idle_in_transaction_timeout=often';
:complaint
ALTER SYSTEM SET pg_hygiene.rules = 'application=web-*: warn_at=80';
:complaint
ALTER SYSTEM SET pg_hygiene.rules = 'application=web-*: exempt; address=10.1.0.0/33: exempt';
:complaint
ALTER SYSTEM SET pg_hygiene.rules = 'programme=web-*: exempt';
:complaint

\set VERBOSITY default

-- Nothing of that was written down.
SELECT count(*) FROM pg_file_settings
WHERE name LIKE 'pg\_hygiene.%' AND error IS NOT NULL;

-- What the messages look like.
ALTER SYSTEM SET pg_hygiene.mode = 'bogus';
ALTER SYSTEM SET pg_hygiene.idle_in_transaction_timeout = 'soon';
ALTER SYSTEM SET pg_hygiene.rules = 'application=web-*: idle_in_transaction_timeout=often';
