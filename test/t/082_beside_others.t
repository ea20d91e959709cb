
# Loaded together with other extensions, in either order, and around what takes
# long or comes from other places than clients: all of it works, with limits
# so short that they would end it if they were mistaken.

use PgHygiene;
use Time::HiRes qw(time);

my @limits = (
	"pg_hygiene.idle_in_transaction_timeout = '200ms'",
	"pg_hygiene.idle_session_timeout = '300ms'");

# Those that are installed; pg_cron and pgaudit are packages of their own, which
# are not there for every PostgreSQL.
my $lib = `pg_config --pkglibdir`;
chomp $lib;
my @wanted = qw(pg_stat_statements auto_explain pg_cron pgaudit);
my @others = grep { -e "$lib/$_.so" } @wanted;
my %there = map { $_ => 1 } @others;

note 'beside ' . join ', ', @others;
for my $name (grep { !$there{$_} } @wanted)
{
  SKIP:
	{
		skip "$name is not there for this PostgreSQL", 1;
	}
}

# A client that sends these, one after the other.  A machine that stands still
# between two of them makes it an idle one, which is ended; then another tries.
sub client_on
{
	my ($node, $application, @statements) = @_;

	for my $try (1 .. 20)
	{
		my $client = client($application, on => $node);

		for my $statement (@statements)
		{
			$client->try_query($statement) unless $client->{closed_at};
		}
		return $client
		  unless $client->{closed_at} || grep { $_ && $_->{S} eq 'FATAL' } $client->{error};
		note "$application is ended between two statements, time $try";
	}
	die "$application is always ended";
}

sub never_crashed
{
	my ($node) = @_;

	unlike(
		slurp_file($node->logfile),
		qr/PANIC|TRAP|was terminated by signal/,
		$node->name . ': nothing crashed');
	return;
}

#
# In either order.
#
for my $order ([ 'pg_hygiene', @others ], [ @others, 'pg_hygiene' ])
{
	my $when = join ', ', @$order;
	my $node = new_node(
		$order->[0] eq 'pg_hygiene' ? 'first' : 'last',
		"shared_preload_libraries = '$when'",
		'auto_explain.log_min_duration = 0',
		$there{pgaudit} ? "pgaudit.log = 'all'" : (),
		$there{pg_cron}
		? ("cron.database_name = 'postgres'",
			'cron.use_background_workers = on',
			'max_worker_processes = 20')
		: (),
		$limits[0]);

	for my $extension (grep { $_ ne 'auto_explain' } @others)
	{
		is($node->psql('postgres', "CREATE EXTENSION $extension"),
			0, "$when: CREATE EXTENSION $extension");
	}
	my $client = client_on($node, 'beside', 'LISTEN x', 'BEGIN', 'SELECT 42');
	my $last = $client->wait_closed;
	my $event = "FROM hygiene.events WHERE pid = $client->{pid}";

	is($last->{C}, '25P03', "$when: limits act");
	like($last->{D}, qr/^Application "beside"/, 'the client hears why');
	is($node->safe_psql('postgres', "SELECT outcome, query_id IS NOT NULL $event"),
		'done|t', 'the event has the query id that pg_stat_statements needs');
	is( $node->safe_psql('postgres',
			q{SELECT count(*) > 0 FROM pg_stat_statements WHERE query LIKE 'SELECT $1'}),
		't',
		'pg_stat_statements counts');

	my $log = slurp_file($node->logfile);
	like($log, qr/Query Text: SELECT 42/, 'auto_explain explains');
	like($log, qr/AUDIT: SESSION/, 'pgaudit logs') if $there{pgaudit};
	wait_log($node, qr/pg_cron scheduler started/) if $there{pg_cron};
	never_crashed($node);
	$node->stop;
}

#
# A publisher and a subscriber, with everything else around them.  Superusers
# are exempt, so what is to be left alone for other reasons is not done by one.
#
my $node = new_node(
	'publisher',
	'wal_level = logical',
	'max_wal_senders = 10',
	'max_replication_slots = 10',
	'max_prepared_transactions = 10',
	@limits,
	"pg_hygiene.idle_writer_timeout = '200ms'");
my $subscriber = new_node('subscriber', @limits);

$node->safe_psql(
	'postgres', q{
	CREATE TABLE t (a int PRIMARY KEY, b text);
	INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 100000) i;
	ANALYZE t;
	GRANT ALL ON t TO app;
	CREATE ROLE copier LOGIN REPLICATION;
	GRANT pg_read_all_data TO copier;
	CREATE PUBLICATION p FOR TABLE t});
$subscriber->safe_psql('postgres',
	'CREATE TABLE t (a int PRIMARY KEY, b text)');
my $connstr = $node->connstr('postgres') . ' user=copier';
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION s CONNECTION \$\$$connstr\$\$ PUBLICATION p");

sub replicated
{
	my ($rows, $what) = @_;

	ok( $subscriber->poll_query_until(
			'postgres', 'SELECT count(*) FROM t', $rows),
		"logical replication: $what");
	return;
}

# That of the apply worker; what copies tables first has a longer name.
sub walsender
{
	return $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_replication WHERE application_name = 's'});
}

# One that is idle too long shows that the limits are there.
sub somebody_is_ended
{
	my ($when) = @_;

	is( client('idle', on => $node)->wait_closed->{C},
		'57P05', "an idle session is ended $when");
	return;
}

replicated('100000', 'the first copy arrives');
my $walsender = walsender();
somebody_is_ended('beside an idle walsender');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (0)');
replicated('100001', 'it goes on after longer than the limit');
is(walsender(), $walsender, 'by the same walsender');

# By the names that these give themselves, not that of this test.
delete $ENV{PGAPPNAME};
my $folder = $PostgreSQL::Test::Utils::tmp_check;
$node->command_ok([ 'pg_dump', '-Fd', '-j', '2', '-f', "$folder/dump", $connstr ],
	'pg_dump -j, which the first rule exempts');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(
	[ 'pg_restore', '-j', '2', '-d', $node->connstr('restored'), "$folder/dump" ],
	'pg_restore -j');
is($node->safe_psql('restored', 'SELECT count(*) FROM t'),
	'100001', 'everything is there');
$node->command_ok(
	[
		'pg_basebackup', '-D', "$folder/base", '-d', $connstr,
		'--checkpoint=fast', '--no-sync', '--max-rate=16M'
	],
	'pg_basebackup, slowly');

# One message, so that the session is not idle before.
my $loader = client_on($node, 'loader');
$loader->copy_in('CREATE TEMP TABLE c (a int); COPY c FROM STDIN');
if ($loader->{closed_at})
{
	# it was idle for too long before that
	$loader = client_on($node, 'loader');
	$loader->copy_in('CREATE TEMP TABLE c (a int); COPY c FROM STDIN');
}
somebody_is_ended('beside a COPY that waits for its client');
ok($loader->is_open, 'the COPY goes on');
$loader->copy_end;
is($loader->{error}, undef, 'and ends well');

my $slowly = 'SELECT count(pg_sleep(0.0001)) FROM t WHERE a < 10000';
my $parallel = join '; ',
  'SET parallel_setup_cost = 0',
  'SET parallel_tuple_cost = 0',
  'SET min_parallel_table_scan_size = 0',
  'SET enable_indexscan = off',
  'SET enable_indexonlyscan = off',
  'SET enable_bitmapscan = off';
like(join("\n", map { $_->[0] } @{ client_on($node, 'parallel', "$parallel; EXPLAIN $slowly")->{rows} }),
	qr/Gather/, 'a query is parallel');
my $since = time;
is(client_on($node, 'parallel', "$parallel; $slowly")->{rows}->[0]->[0],
	10000, 'and goes on');
cmp_ok(time - $since, '>', 0.3, 'for longer than the limits');

my $preparer = client_on($node, 'preparer',
	"BEGIN; INSERT INTO t VALUES (-1 - (random() * 1e9)::int); PREPARE TRANSACTION 'two'");
is($preparer->wait_closed->{C}, '57P05', 'the session that prepared a transaction is ended');
is($node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts'),
	'two', 'the transaction stays');
$node->safe_psql('postgres', "COMMIT PREPARED 'two'");
replicated('100002', 'what it did arrives');

is( $node->safe_psql(
		'postgres', q{
		SELECT string_agg(concat_ws(' ', application_name, user_name, action, reason), ', ')
		FROM hygiene.events
		WHERE application_name NOT IN ('idle', 'loader', 'parallel', 'preparer')}),
	'',
	'nobody else was ended');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM hygiene.events'),
	'0', 'nor at the subscriber');
is(walsender(), $walsender, 'the walsender is still the same');
never_crashed($_) for $node, $subscriber;

$subscriber->stop;
$node->stop;
done_testing();
