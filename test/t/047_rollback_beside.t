
# Rollbacks beside what else may be there: other libraries with hooks of their
# own, one that fails while a transaction is rolled back, postgres_fdw, TLS, a
# hot standby, PostgreSQL's own timers, a log without errors; and a server that
# gives no way to roll back.

use PgHygiene;
use FindBin;
use PgHygiene::Rollback;

my $folder = $PostgreSQL::Test::Utils::tmp_check;
my $ENDED = 'terminating connection due to idle-in-transaction timeout';

# Build a library that is another extension; returns what to preload.
sub module
{
	my ($name) = @_;
	chomp(my $include = qx{"$ENV{PG_CONFIG}" --includedir-server});

	system_or_bail(
		'gcc', '-shared', '-fPIC', "-I$include",
		'-o', "$folder/$name.so", "$FindBin::RealBin/../programs/extensions/$name.c");
	return "$folder/$name";
}

sub insert
{
	my ($client) = @_;

	$client->query("INSERT INTO t VALUES ('$client->{pid}')");
	return;
}

my @usual = map {
	my $sql = $_;

	{
		name => $sql,
		begin => \&insert,
		check => sub { told($_[0], $sql, $CANNOT_COMMIT, 'I'); }
	}
} 'COMMIT', 'PREPARE TRANSACTION $$x$$';

#
# Others before us: their hooks are called after ours.
#
my $fails = module('fail_abort');
my $node = rollback_node(
	'before',
	"shared_preload_libraries = 'pg_stat_statements, $fails, pg_hygiene'",
	"pg_hygiene.rules = '$RULE; application=postgres_fdw: exempt; application=harsh: idle_action=terminate'",
	"listen_addresses = '127.0.0.1'",
	'max_standby_streaming_delay = -1',
	'log_min_messages = warning');
my $postmaster = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION pg_stat_statements;
	CREATE EXTENSION postgres_fdw;
	CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw
		OPTIONS (host '@{[ $node->host ]}', port '@{[ $node->port ]}', dbname 'postgres', application_name 'postgres_fdw');
	CREATE USER MAPPING FOR app SERVER loopback OPTIONS (user 'app', password_required 'false');
	CREATE TABLE far (who text);
	CREATE FOREIGN TABLE near (who text) SERVER loopback OPTIONS (table_name 'far');
	GRANT ALL ON far, near TO app});

roll_back_each(
	$node, @usual,
	{
		name => 'postgres_fdw',
		first => 'SELECT count(*) FROM near',
		begin => sub { insert($_[0]); $_[0]->query("INSERT INTO near VALUES ('far')"); },
		check => sub {
			my ($client) = @_;

			is( $node->safe_psql(
					'postgres',
					q{SELECT state, backend_xid IS NULL FROM pg_stat_activity WHERE application_name = 'postgres_fdw'}
				),
				'idle|t',
				'the remote transaction is over at once');
			told($client, 'SELECT count(*) FROM near', $REASON);
			silent($client, 'ROLLBACK', 'ROLLBACK');
			is($client->first_row('SELECT count(*) FROM near'),
				'0', 'and was rolled back');
			is( $node->safe_psql(
					'postgres',
					q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'postgres_fdw'}
				),
				'1',
				'its connection is kept, too');
		}
	},
	{
		name => 'a WARNING in the abort',
		begin => \&insert,
		check => sub {
			is(scalar @{ $_[0]->{notices} }, 0, 'is not sent');
			told($_[0], 'SELECT 1', $REASON);
		}
	},
	{
		name => q{PostgreSQL's own timer},
		first => q{SET idle_in_transaction_session_timeout = '5s'},
		begin => \&insert,
		over => 1,
		check => sub {
			my $last = $_[0]->wait_closed;

			is($last->{M}, $ENDED, 'goes on in the block that was rolled back');
			is($last->{D}, undef, q{and ends the session in PostgreSQL's words});
		}
	},
	{
		name => 'transaction_timeout of PostgreSQL',
		first => $node->pg_version->major >= 17
		? q{SET transaction_timeout = '5s'}
		: 'SELECT 1',
		begin => \&insert,
		check => sub {
			my ($client) = @_;

			told($client, 'COMMIT', $CANNOT_COMMIT, 'I');
			$client->query('BEGIN; SELECT pg_sleep(4); COMMIT');
			pass('does not go on in the next transaction');
		}
	},
	{
		name => 'statement_timeout and lock_timeout',
		first => q{SET statement_timeout = '1s'; SET lock_timeout = '1s'},
		begin => \&insert,
		check => sub { told($_[0], 'COMMIT', $CANNOT_COMMIT, 'I'); }
	});

cmp_ok(
	$node->safe_psql(
		'postgres',
		q{SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'INSERT INTO t%'}
	),
	'>', 0,
	'pg_stat_statements has seen the statements');

#
# A rule says otherwise.
#
configure($node, idle_in_transaction_timeout => '300ms');
two_passes($node);
my $harsh = client('harsh');
$harsh->query("BEGIN; INSERT INTO t VALUES ('harsh')");
is($harsh->wait_closed->{M}, $ENDED, 'a rule with idle_action=terminate');
is( $node->safe_psql('postgres', q{SELECT action FROM hygiene.events WHERE application_name = 'harsh'}),
	'terminate', 'and no rollback came before');

#
# Somebody fails while the transaction is rolled back, once or twice.  (One that
# had written would be too much for PostgreSQL's own assertions.)
#
for my $times (1, 2)
{
	my $position = log_position($node);
	my $unlucky = client("unlucky $times", "SET fail_abort.fails = $times",
		"BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE");

	my $last = $unlucky->wait_closed;
	is($last->{M}, $ENDED, "an abort that fails $times times: the session is terminated");
	is($last->{C}, '25P03', 'SQLSTATE');
	like($last->{D}, qr/left a transaction idle for/, 'DETAIL');
	wait_log($node, qr/\[$unlucky->{pid}\].*ERROR:  fail_abort fails/, $position);
	is($node->safe_psql('postgres', 'BEGIN; LOCK TABLE t NOWAIT; SELECT 1'),
		'1', 'nothing of its locks is left');
	until_row(
		$node,
		qq{SELECT action || ' ' || outcome FROM hygiene.events WHERE pid = $unlucky->{pid}},
		'terminate done');
}
is( $node->safe_psql(
		'postgres',
		q{SELECT sum(rolled_back), sum(terminated) FROM hygiene.applications WHERE application_name LIKE 'unlucky%'}
	),
	'0|2',
	'counted as terminated');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'),
	'0', 'nothing was committed by all these');
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'),
	$postmaster, 'the server runs on');
is( $node->safe_psql('postgres', 'SELECT 1'), '1', 'and answers');

# From here on nobody is ended in the block that remains, however long a slow
# machine takes to look at it.
configure($node, idle_in_transaction_timeout => '10min');

#
# TLS.
#
SKIP:
{
	my $data = $node->data_dir;

	skip 'this PostgreSQL has no TLS', 3
	  unless qx{"$ENV{PG_CONFIG}" --configure} =~ /openssl/;
	system_or_bail(
		'openssl', 'req', '-new', '-x509', '-nodes', '-days', '2',
		'-subj', '/CN=localhost', '-out', "$data/server.crt",
		'-keyout', "$data/server.key");
	chmod 0600, "$data/server.key";
	$node->safe_psql('postgres', 'ALTER SYSTEM SET ssl = on');
	$node->reload;
	until_row($node, q{SELECT current_setting('ssl')}, 'on');
	local $ENV{PGAPPNAME} = 'sealed';
	my $psql = $node->background_psql(
		'postgres',
		on_error_stop => 0,
		extra_params => [
			'-d',
			'host=127.0.0.1 user=app dbname=postgres sslmode=require port='
			  . $node->port
		]);
	my $pid = $psql->query_safe('SELECT pg_backend_pid()');

	is($psql->query_safe("SELECT ssl FROM pg_stat_ssl WHERE pid = $pid"),
		't', 'a session with TLS');
	$psql->query_safe("BEGIN; SET LOCAL application_name = 'rolled'; INSERT INTO t VALUES ('sealed')");
	until_row($node,
		"SELECT state FROM pg_stat_activity WHERE pid = $pid",
		'idle in transaction (aborted)');
	$psql->query('COMMIT');
	like($psql->{stderr}, qr/ERROR:  \Q$CANNOT_COMMIT\E/, 'is told the reason');
	$psql->{stderr} = '';
	is($psql->query_safe('SELECT pg_backend_pid()'),
		$pid, 'and its connection is kept');
	$psql->quit;
}

#
# On a hot standby, whose replay waits for the transaction.
#
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->append_conf('postgresql.auto.conf', 'ssl = off');
$standby->start;
my $reader = PgHygiene::Client->new($standby, application => 'reader');
$reader->query(q{BEGIN; SET LOCAL application_name = 'rolled'; SELECT count(*) FROM t});
$node->safe_psql('postgres', q{TRUNCATE t; INSERT INTO t VALUES ('replayed')});
until_row($standby, q{SELECT count(*) FROM t WHERE who = 'replayed'}, '1');
pass('replay on a standby goes on');
$reader->try_query('COMMIT');
is($reader->{error}->{M}, $CANNOT_COMMIT, 'whose client is told the reason');
is($reader->first_row('SELECT count(*) FROM t'), '1', 'and goes on, too');
$standby->stop;
$node->stop;

#
# Others behind us, and a log without errors: only the first error of a block
# has the reason, but no COMMIT succeeds.
#
$node = rollback_node(
	'behind',
	"shared_preload_libraries = 'pg_hygiene, pg_stat_statements'",
	'log_min_messages = fatal');
roll_back_each(
	$node, @usual,
	{
		name => 'a log without errors',
		begin => \&insert,
		check => sub {
			my ($client) = @_;

			told($client, 'SELECT 1', $REASON);
			$client->try_query('SELECT 1');
			is($client->{error}->{C}, '25P02', q{the second error is PostgreSQL's});
			told($client, 'COMMIT', $CANNOT_COMMIT, 'I');
		}
	});
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'),
	'0', 'nothing was committed');
$node->stop;

#
# No way to roll back: sessions are terminated, and the log says so once.
#
my $hides = module('no_way_in');
my $RELUCTANT =
  'pg_hygiene cannot roll back idle transactions on this server';
$node = rollback_node('without',
	"shared_preload_libraries = '$hides, pg_hygiene'",
	"pg_hygiene.rules = 'application=eager: idle_action=rollback'");
configure($node, idle_in_transaction_timeout => '300ms');
two_passes($node);
is($node->safe_psql('postgres', 'SELECT idle_action FROM hygiene.status'),
	'terminate', 'no way in: hygiene.status says what holds');
for my $name (qw(plain eager))
{
	my $client = client($name, "BEGIN; INSERT INTO t VALUES ('$name')");

	is($client->wait_closed->{M}, $ENDED, "$name: the session is terminated");
}
is(scalar(() = slurp_file($node->logfile) =~ /WARNING:  \Q$RELUCTANT\E/g),
	1, 'the log says so, once');

done_testing();
