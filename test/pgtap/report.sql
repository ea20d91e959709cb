-- hygiene.samples: what holds for each sample; and how report() writes what
-- clients choose.
BEGIN;
SELECT * FROM no_plan();	-- some need a database in UTF8

--
-- Samples.
--
SELECT is(
	(SELECT count(*) FROM (SELECT sampled_at,
			lag(sampled_at) OVER () AS before FROM hygiene.samples) s
	 WHERE sampled_at <= before),
	0::bigint, 'newest last');
SELECT is(
	(SELECT count(*) FROM hygiene.samples WHERE sampled_at > clock_timestamp()),
	0::bigint, 'none is of the future');
SELECT cmp_ok((SELECT count(*) FROM hygiene.samples), '<=', 2160::bigint,
	'six hours of them at the most');
SELECT is(
	(SELECT count(*) FROM hygiene.samples
	 WHERE used < 0 OR most_used < used OR idle_in_transaction < 0
		OR ended < 0 OR refused < 0 OR refused_by_server < 0),
	0::bigint, 'no count is less than it can be');
SELECT is(
	(SELECT count(*) FROM hygiene.samples
	 WHERE cardinality(application_names) > 8
		OR cardinality(application_names) <> cardinality(application_connections)
		OR cardinality(application_names)
			<> cardinality(application_idle_in_transaction)),
	0::bigint, 'eight applications at the most, in three arrays of a length');
SELECT is(
	(SELECT count(*)
	 FROM hygiene.samples, unnest(application_names, application_connections,
			application_idle_in_transaction)
		WITH ORDINALITY AS a (name, connections, idle, place)
	 WHERE connections <= 0 OR idle < 0 OR idle > connections
		OR connections > application_connections[greatest(place - 1, 1)]),
	0::bigint, 'the largest first; none without a connection');

--
-- What clients choose is only text in the page.
--
SELECT is(hygiene.get_html(NULL), NULL, 'null');
SELECT is(hygiene.get_html(''), '', 'nothing');
SELECT is(hygiene.get_html('SELECT 1;'), 'SELECT 1;', 'what needs no care');
SELECT is(hygiene.get_html($$<a b="c" d='e'>&amp;$$),
	'&#60;a b=&#34;c&#34; d=&#39;e&#39;&#62;&#38;amp;', 'what HTML reads');
SELECT is(hygiene.get_html(E'a\n\tb'), E'a\n\tb', 'ends of lines, tabs');
SELECT is(hygiene.get_html(E'\x01\x1f\r\x7f'), repeat('&#65533;', 4),
	'control characters are replaced');
SELECT is(hygiene.get_html(U&'\00e9\20ac\+01f418'), '&#233;&#8364;&#128024;',
	'characters of two, three and four bytes')
WHERE current_setting('server_encoding') = 'UTF8';
SELECT is(hygiene.get_html(U&'\0085\fdd0\ffff\+01fffe'), repeat('&#65533;', 4),
	'characters that HTML forbids')
WHERE current_setting('server_encoding') = 'UTF8';

SELECT * FROM finish();
ROLLBACK;
