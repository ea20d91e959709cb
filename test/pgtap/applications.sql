-- hygiene.applications: sums agree with the sessions that there are.
SET application_name = 'pgtap applications';
BEGIN;
SELECT plan(15);

CREATE TEMP VIEW mine AS
	SELECT * FROM hygiene.applications
	WHERE application_name = current_setting('application_name');

SELECT is((SELECT count(*) FROM mine), 1::bigint,
	'a new name has a row at once');
SELECT is((SELECT connections FROM mine), 1, 'connections');
SELECT is((SELECT active FROM mine), 1, 'active');
SELECT is((SELECT idle + idle_in_transaction FROM mine), 0,
	'idle, idle_in_transaction');
SELECT is((SELECT peak_connections FROM mine), 1, 'peak_connections');
SELECT ok((SELECT peak_at > now() - interval '1 min' FROM mine), 'peak_at');
SELECT is(
	(SELECT round(share::numeric, 6) FROM mine),
	(SELECT round(100.0 / (max_connections - reserved), 6)
	 FROM hygiene.status),
	'share: percent of the usable slots');
SELECT ok((SELECT oldest_transaction >= '0' FROM mine), 'oldest_transaction');
SELECT is((SELECT opened - closed FROM mine), 1::bigint,
	'opened and not closed');
SELECT is(
	(SELECT refused + terminated + evicted + cancelled + spared FROM mine),
	0::bigint, 'nothing happened to it');

SET application_name = 'pgtap applications, renamed';
SELECT is((SELECT count(*) FROM mine), 0::bigint,
	'another name does not count before the transaction is committed');
SELECT is(
	(SELECT connections FROM hygiene.applications
	 WHERE application_name = 'pgtap applications'),
	1, 'the one before does');

SELECT is(
	(SELECT string_agg(application_name, ', ') FROM hygiene.applications
	 WHERE opened - closed <> connections),
	NULL, 'opened - closed = connections, for each');
SELECT is((SELECT sum(connections) FROM hygiene.applications),
	(SELECT count(*) FROM hygiene.sessions),
	'together they have all sessions');
SELECT is(
	(SELECT count(*) FROM (SELECT application_name FROM hygiene.applications
		GROUP BY 1 HAVING count(*) > 1) twice),
	0::bigint, 'no name has two rows');

SELECT * FROM finish();
ROLLBACK;
