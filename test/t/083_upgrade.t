
# A fresh install and every chain of upgrades end in the same objects.  There
# is one version so far, and an earlier one that is made up here; as soon as sql/
# holds an upgrade script this test follows it, with nothing to be changed here.

use PgHygiene;

my $node = new_node('main');

sub in_database
{
	my ($database, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

# All that belongs to the extension, without oids: a line for each object, with
# definition, owner, privileges and comment.
sub objects
{
	my ($database) = @_;

	return in_database($database, q{
		WITH member AS (
			SELECT classid, objid FROM pg_depend
			WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
			AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_hygiene'))
		SELECT concat_ws(' ', 'schema', nspname, pg_get_userbyid(nspowner), nspacl,
				obj_description(oid, 'pg_namespace'))
			FROM pg_namespace, member WHERE classid = 'pg_namespace'::regclass AND objid = oid
		UNION ALL
		SELECT concat_ws(' ', 'function', oid::regprocedure, pg_get_userbyid(proowner), proacl,
				procost, prorows, pg_get_functiondef(oid), obj_description(oid, 'pg_proc'))
			FROM pg_proc, member WHERE classid = 'pg_proc'::regclass AND objid = oid
		UNION ALL
		SELECT concat_ws(' ', 'relation', oid::regclass, relkind, pg_get_userbyid(relowner), relacl,
				reloptions, pg_get_viewdef(oid), obj_description(oid, 'pg_class'))
			FROM pg_class, member WHERE classid = 'pg_class'::regclass AND objid = oid
		UNION ALL
		SELECT concat_ws(' ', 'column', attrelid::regclass, attnum, attname,
				format_type(atttypid, atttypmod), attacl, col_description(attrelid, attnum))
			FROM pg_attribute, member WHERE classid = 'pg_class'::regclass AND objid = attrelid
			AND attnum > 0 AND NOT attisdropped
		UNION ALL
		SELECT concat_ws(' ', 'other', pg_describe_object(classid, objid, 0))
			FROM member WHERE classid NOT IN ('pg_namespace'::regclass, 'pg_proc'::regclass,
				'pg_class'::regclass)
		UNION ALL
		SELECT concat_ws(' ', 'extension', extversion, extrelocatable, nspname, extconfig)
			FROM pg_extension e, pg_namespace n WHERE extname = 'pg_hygiene' AND extnamespace = n.oid
		ORDER BY 1});
}

my $default = in_database('postgres',
	"SELECT default_version FROM pg_available_extensions WHERE name = 'pg_hygiene'");
my $fresh = objects('postgres');

earlier_version($default);

cmp_ok(scalar(split /\n/, $fresh), '>', 100, 'a fresh install has its objects');
unlike($fresh, qr/^other (?!type)/m,
	'they are a schema, functions, views and their types');

# Every object says what it is.
is( in_database('postgres', q{
		SELECT count(*) FROM pg_depend d
		WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_hygiene')
		AND classid <> 'pg_type'::regclass
		AND obj_description(objid, classid::regclass::name) IS NULL}),
	'0',
	'each of them has a comment');

#
# Every version that can be installed, and every way from there.
#
my @versions = split /\n/,
  in_database('postgres', q{
	SELECT version FROM pg_available_extension_versions
	WHERE name = 'pg_hygiene' ORDER BY version});
ok((grep { $_ eq $default } @versions), "the default version $default can be installed");

my $ways = 0;
for my $version (grep { $_ ne $default } @versions)
{
	my $path = in_database('postgres', qq{
		SELECT path FROM pg_extension_update_paths('pg_hygiene')
		WHERE source = '$version' AND target = '$default'});
	my $database = "upgrade_$version";

	isnt($path, '', "there is a way from $version to $default");
	$node->safe_psql('postgres', qq{CREATE DATABASE "$database"});
	in_database($database, "CREATE EXTENSION pg_hygiene VERSION '$version'");
	isnt(objects($database), $fresh, "$version has other objects");
	in_database($database, 'ALTER EXTENSION pg_hygiene UPDATE');
	is(objects($database), $fresh, "$path: the same as a fresh install");
	$ways++;
}
cmp_ok($ways, '>', 0, "$ways older versions");

# Every sort of difference is seen.
$node->safe_psql('postgres', 'CREATE DATABASE other');
in_database('other', 'CREATE EXTENSION pg_hygiene');
is(objects('other'), $fresh, 'two fresh installs are the same');
for my $change (
	'REVOKE ALL ON hygiene.status FROM PUBLIC',
	"COMMENT ON COLUMN hygiene.events.pid IS 'other'",
	'CREATE OR REPLACE VIEW hygiene.status AS SELECT * FROM hygiene.get_status(1)',
	'ALTER FUNCTION hygiene.get_status(bigint) COST 7')
{
	in_database('other', $change);
	isnt(objects('other'), $fresh, "seen: $change");
	in_database('other', 'DROP EXTENSION pg_hygiene; CREATE EXTENSION pg_hygiene');
}
is(objects('other'), $fresh, 'dropped and created: the same again');

#
# Nothing stays, and an upgrade to what is there does nothing.
#
in_database('other', 'ALTER EXTENSION pg_hygiene UPDATE');
is(objects('other'), $fresh, 'an upgrade to the version that is there changes nothing');
in_database('other', 'DROP EXTENSION pg_hygiene');
is( in_database('other', q{
		SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'hygiene')
			+ (SELECT count(*) FROM pg_proc WHERE probin LIKE '%pg_hygiene%')}),
	'0',
	'DROP EXTENSION leaves nothing');

# It needs no schema but its own.
$node->safe_psql('postgres', 'CREATE DATABASE bare');
in_database('bare', 'DROP SCHEMA public');
in_database('bare', q{SET search_path = ''; CREATE EXTENSION pg_hygiene});
is(objects('bare'), $fresh, 'without a schema public: the same objects');

#
# It comes back from a dump as it was.
#
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('other') ],
	'and restored');
is(objects('other'), $fresh, 'the same objects');

$node->stop;
done_testing();
