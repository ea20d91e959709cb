
# The same on a hot standby, and on it again once it is promoted.

use PgHygiene;

my $primary =
  new_node('primary', "pg_hygiene.idle_in_transaction_timeout = '10min'");
$primary->safe_psql('postgres', 'CREATE TABLE t (i int); GRANT ALL ON t TO app');
$primary->backup('copy');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->append_conf('postgresql.conf',
	"pg_hygiene.idle_in_transaction_timeout = '200ms'");
$standby->start;

my $DETAIL =
  qr/^Application "reports" left a transaction idle for .*; pg_hygiene\.idle_in_transaction_timeout allows 200 ms\.$/;

# A session of the standby, idle in a transaction after a statement.
sub idle_in_transaction
{
	my ($statement) = @_;
	my $client =
	  client('reports', on => $standby);

	$client->query("BEGIN; $statement");
	return $client;
}

sub check_end
{
	my ($when, $client) = @_;
	my $last = $client->wait_closed;

	is($last->{C}, '25P03', "$when: SQLSTATE");
	like($last->{D}, $DETAIL, "$when: DETAIL");
	is( $standby->safe_psql(
			'postgres', qq{
			SELECT action, outcome, reason, user_name, state
			FROM hygiene.events WHERE pid = $client->{pid}}),
		'terminate|done|idle_in_transaction_timeout|app|idle in transaction',
		"$when: event");
	return;
}

#
# While it is a standby.
#
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'),
	't', 'it is a standby');
my $worker_before = worker_pid($standby);
cmp_ok($worker_before, '>', 0, 'it has a worker');
check_end('on the standby', idle_in_transaction('SELECT count(*) FROM t'));
is( $standby->safe_psql(
		'postgres', q{
		SELECT connections, opened, closed, terminated
		FROM hygiene.applications WHERE application_name = 'reports'}),
	'0|1|1|1',
	'on the standby: counted');
is( $primary->safe_psql('postgres', 'SELECT count(*) FROM hygiene.events'),
	'0', 'the primary has no part in it');

configure($primary, idle_in_transaction_timeout => '9min');
$primary->wait_for_catchup($standby);
is( $standby->safe_psql(
		'postgres', 'SHOW pg_hygiene.idle_in_transaction_timeout'),
	'200ms',
	'each has its own settings');

my $busy = client('busy', on => $standby);
$busy->send_query('BEGIN; SELECT pg_sleep(0.8); COMMIT');

# Recovery itself, and what feeds it, are not touched.
$primary->safe_psql('postgres', 'INSERT INTO t SELECT generate_series(1, 100)');
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT count(*) FROM t'),
	'100', 'replication goes on');
$busy->wait_ready;
is($busy->{error}, undef, 'a long query on the standby ends well');
$busy->close;

#
# A session that lives through the promotion.
#
$standby->append_conf('postgresql.conf',
	"pg_hygiene.idle_in_transaction_timeout = '10min'");
$standby->reload;
until_row($standby, 'SHOW pg_hygiene.idle_in_transaction_timeout', '10min');
my $through = idle_in_transaction('SELECT 1');

$standby->promote;
until_row($standby, 'SELECT NOT pg_is_in_recovery()');
two_passes($standby);
ok($through->is_open, 'a session within its limit lives through a promotion');
is(worker_pid($standby), $worker_before, 'and so does the worker');
is( $standby->safe_psql(
		'postgres', q{
		SELECT connections, idle_in_transaction, opened, closed, terminated
		FROM hygiene.applications WHERE application_name = 'reports'}),
	'1|1|2|1|1',
	'what was counted stays counted');

configure($standby, idle_in_transaction_timeout => '200ms');
check_end('through the promotion', $through);

#
# Promoted.
#
check_end('promoted', idle_in_transaction('INSERT INTO t VALUES (0)'));
is( $standby->safe_psql(
		'postgres',
		'SELECT wrote FROM hygiene.events ORDER BY event_id DESC LIMIT 1'),
	't',
	'promoted: a session that wrote is seen to have written');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM t WHERE i = 0'),
	'0', 'and rolled back');

$standby->stop;
$primary->stop;
done_testing();
