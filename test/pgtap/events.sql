-- hygiene.events: what holds for each row, whatever has happened.
BEGIN;
SELECT plan(7);

SELECT is(
	(SELECT count(*) FROM hygiene.events
	 WHERE action NOT IN ('terminate', 'evict', 'cancel', 'refuse', 'warn')),
	0::bigint, 'action is one of those documented');
SELECT is(
	(SELECT count(*) FROM hygiene.events
	 WHERE outcome NOT IN ('done', 'spared', 'observed', 'pending')),
	0::bigint, 'outcome is one of those documented');
SELECT is(
	(SELECT string_agg(DISTINCT reason, ', ') FROM hygiene.events
	 WHERE reason NOT IN ('headroom', 'connections', 'reserve',
			'connect_rate')
		AND current_setting('pg_hygiene.' || reason, true) IS NULL),
	NULL, 'reason is the name of a setting, or of one that rules have');
SELECT is(
	(SELECT count(*) FROM (SELECT event_id,
			lag(event_id) OVER () AS before FROM hygiene.events) e
	 WHERE event_id <= before),
	0::bigint, 'newest last');
SELECT is(
	(SELECT count(*) FROM hygiene.events
	 WHERE event_id IS NULL OR occurred_at IS NULL OR measured IS NULL
		OR limit_setting IS NULL),
	0::bigint, 'what every event has');
SELECT is(
	(SELECT count(*) FROM hygiene.events
	 WHERE reason LIKE '%timeout' AND measured::interval
		< CASE WHEN action = 'terminate' THEN limit_setting::interval
			ELSE '0' END),
	0::bigint, 'none was ended before its limit');
SELECT cmp_ok((SELECT count(*) FROM hygiene.events), '<=',
	current_setting('pg_hygiene.max_events')::bigint,
	'no more than max_events');

SELECT * FROM finish();
ROLLBACK;
