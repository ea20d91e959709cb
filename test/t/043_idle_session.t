
# A session that is idle outside a transaction is ended at
# idle_session_timeout, unless what it holds shows that it is idle on purpose:
# it LISTENs, has an advisory lock, or makes a backup.  A rule that names the limit for it
# overrules that.

use PgHygiene;
use Time::HiRes qw(time);

my $LIMIT = 0.4;
my $node = new_node(
	'main',
	"pg_hygiene.idle_session_timeout = '400ms'",
	"pg_hygiene.rules = 'application=pg_dump: exempt; application=strict: idle_session_timeout=400ms; application=lenient: idle_in_transaction_timeout=1h'"
);

my $MESSAGE = 'terminating connection due to idle-session timeout';
my $HINT =
  'Close the session when the work is done, or let a connection pool do it.';

$node->safe_psql(
	'postgres', q{
	CREATE ROLE boss LOGIN SUPERUSER;
	CREATE TABLE t (i int);
	GRANT ALL ON t TO app;
	GRANT EXECUTE ON FUNCTION pg_backup_start, pg_backup_stop TO app;
	CREATE FUNCTION listen_in_function(channel text) RETURNS void
	LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('LISTEN %I', channel); END $$;
	CREATE PROCEDURE listen_and_fail() LANGUAGE plpgsql AS $$
	BEGIN
		LISTEN a;
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END $$});
my $boss = PgHygiene::Client->new($node, user => 'boss');

sub idle_client
{
	my ($application, @statements) = @_;
	my $begun = time;
	my $client = client($application);

	$client->{sent_at} = $begun;
	$client->query($_) for @statements;
	return $client;
}

# Wait until the sessions have been idle for two limits, if they live that
# long, and the worker has looked twice since.
sub outwait
{
	my (@clients) = @_;

	until_row(
		$node,
		"SELECT count(*) FROM hygiene.sessions WHERE state_age <= '800 ms' AND pid IN ("
		  . join(',', map { $_->{pid} } @clients) . ')',
		'0');
	two_passes($node);
	return;
}

sub check_ended
{
	my ($name, $client, $allowance) = @_;
	my $last = $client->wait_closed;

	is($last->{S}, 'FATAL', "$name: the last message is FATAL");
	is($last->{C}, '57P05', "$name: SQLSTATE");
	is($last->{M}, $MESSAGE, "$name: message");
	like(
		$last->{D},
		qr/^Application ".*" left a session idle for (?:[4-9]\d\d ms|\d+\.\d s); \Q$allowance\E allows 400 ms\.$/,
		"$name: DETAIL");
	like($last->{H}, qr/^\Q$HINT\E/, "$name: HINT");

	# the reply may have taken its time to reach us
	cmp_ok($client->{told_at} - $client->{sent_at}, '>=', $LIMIT, "$name: not early");
	is( one("SELECT action, outcome, reason, limit_setting, measured::interval >= '400 ms', state, transaction_age FROM hygiene.events WHERE pid = $client->{pid}"),
		'terminate|done|idle_session_timeout|400ms|t|idle|',
		"$name: event");
	return;
}

#
# Ended.
#
my %by_name = (
	'after a statement' => idle_client('web', 'SELECT 1'),
	'after a transaction' => idle_client('web', 'BEGIN', 'INSERT INTO t VALUES (1)', 'COMMIT'),
	'after a rollback' => idle_client('web', 'BEGIN', 'ROLLBACK'),
	'with a prepared statement, a cursor, a temporary table, a setting' => idle_client(
		'web', 'PREPARE p AS SELECT 1', "SET work_mem = '1MB'",
		'CREATE TEMP TABLE own (i int)',
		'BEGIN', 'DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t', 'COMMIT'),
	'after it has said LISTEN only in a text' => idle_client('web', "SELECT 'LISTEN a'"),
	'without a word' => idle_client('web'),
);
check_ended($_, $by_name{$_}, 'pg_hygiene.idle_session_timeout')
  for sort keys %by_name;

my $busy = idle_client('web');
$busy->query('SELECT pg_sleep(1)');
is($busy->{error}, undef, 'a session at work is not idle');
check_ended('after work', $busy, 'pg_hygiene.idle_session_timeout');

# Each statement begins it anew.
my $chatty = idle_client('web');
my $begun = $chatty->{replied_at};
do
{
	$chatty->query('SELECT pg_sleep(0.05)');
} until $chatty->{replied_at} - $begun > 3 * $LIMIT;
ok($chatty->is_open, 'one that works now and then stays');
$chatty->close;

my $open = idle_client('web', 'BEGIN');
outwait($open);
ok($open->is_open, 'idle in a transaction is another matter');
$open->close;

#
# Spared, for what they really do: statements, whether hygiene.sessions shows
# them as listening, and whether they stay.
#
my @cases = (
	[ 'LISTEN', 1, 1, 'LISTEN a' ],
	[ 'LISTEN twice, UNLISTEN once', 0, 0, 'LISTEN a', 'LISTEN a', 'UNLISTEN a' ],
	[ 'LISTEN in a function', 1, 1, q{SELECT listen_in_function('a')} ],
	[ 'LISTEN among others', 1, 1, q{SELECT 1; LISTEN a; SELECT 2} ],
	[ 'LISTEN, then other work', 1, 1, 'LISTEN a', 'SELECT 1', 'BEGIN', 'ROLLBACK' ],
	[ 'LISTEN with a text about UNLISTEN', 1, 1, 'LISTEN a', "SELECT 'UNLISTEN *'" ],
	[ 'UNLISTEN', 0, 0, 'LISTEN a', 'UNLISTEN a' ],
	[ 'UNLISTEN *', 0, 0, 'LISTEN a', 'LISTEN b', 'UNLISTEN *' ],
	[ 'UNLISTEN of another channel', 1, 1, 'LISTEN a', 'UNLISTEN b' ],
	[ 'UNLISTEN of one of two', 1, 1, 'LISTEN a', 'LISTEN b', 'UNLISTEN a' ],
	[ 'UNLISTEN of another spelling', 1, 1, 'LISTEN "A"', 'UNLISTEN A' ],
	[ 'UNLISTEN of a folded name', 0, 0, 'LISTEN Chan', 'UNLISTEN CHAN' ],
	[ 'DISCARD ALL', 0, 0, 'LISTEN a', 'DISCARD ALL' ],
	[ 'DISCARD PLANS', 1, 1, 'LISTEN a', 'DISCARD PLANS' ],
	[ 'LISTEN after DISCARD ALL', 1, 1, 'LISTEN a', 'DISCARD ALL', 'LISTEN a' ],
	[ 'a LISTEN rolled back', 0, 0, 'BEGIN', 'LISTEN a', 'ROLLBACK' ],
	[ 'an UNLISTEN rolled back', 1, 1, 'LISTEN a', 'BEGIN', 'UNLISTEN a', 'ROLLBACK' ],
	[ 'LISTEN in a transaction', 1, 1, 'BEGIN', 'LISTEN a', 'COMMIT' ],
	[ 'LISTEN, UNLISTEN in a transaction', 0, 0, 'BEGIN', 'LISTEN a', 'UNLISTEN a', 'COMMIT' ],
	[ 'UNLISTEN, LISTEN in a transaction', 1, 1, 'BEGIN', 'UNLISTEN a', 'LISTEN a', 'COMMIT' ],
	[ 'a LISTEN rolled back to a savepoint', 0, 0, 'BEGIN', 'SAVEPOINT s', 'LISTEN a', 'ROLLBACK TO s', 'COMMIT' ],
	[ 'a LISTEN in a released savepoint', 1, 1, 'BEGIN', 'SAVEPOINT s', 'LISTEN a', 'RELEASE s', 'COMMIT' ],
	[ 'a LISTEN released, then rolled back', 0, 0, 'BEGIN', 'SAVEPOINT s', 'SAVEPOINT s2', 'LISTEN a', 'RELEASE s2', 'ROLLBACK TO s', 'COMMIT' ],
	[ 'LISTEN before a savepoint that is rolled back', 1, 1, 'BEGIN', 'LISTEN a', 'SAVEPOINT s', 'UNLISTEN a', 'ROLLBACK TO s', 'COMMIT' ],
	[ 'a LISTEN in a block that failed', 0, 0, 'CALL listen_and_fail()' ],
	[ 'an advisory lock', 0, 1, 'SELECT pg_advisory_lock(pg_backend_pid())' ],
	[ 'a shared advisory lock', 0, 1, 'SELECT pg_advisory_lock_shared(7)' ],
	[ 'an advisory lock taken twice, given back once', 0, 1, 'SELECT pg_advisory_lock(pg_backend_pid())', 'SELECT pg_advisory_lock(pg_backend_pid())', 'SELECT pg_advisory_unlock(pg_backend_pid())' ],
	[ 'an advisory lock given back', 0, 0, 'SELECT pg_advisory_lock(pg_backend_pid())', 'SELECT pg_advisory_unlock(pg_backend_pid())' ],
	[ 'advisory locks given back together', 0, 0, 'SELECT pg_advisory_lock(pg_backend_pid(), 1)', 'SELECT pg_advisory_lock(pg_backend_pid(), 2)', 'SELECT pg_advisory_unlock_all()' ],
	[ 'an advisory lock after DISCARD ALL', 0, 0, 'SELECT pg_advisory_lock(pg_backend_pid())', 'DISCARD ALL' ],
	[ "an advisory lock of a transaction that is over", 0, 0, 'BEGIN', 'SELECT pg_advisory_xact_lock(pg_backend_pid())', 'COMMIT' ],
	[ 'an online backup', 0, 1, q{SELECT pg_backup_start('a', true)} ],
	[ 'an online backup, then other work', 0, 1, q{SELECT pg_backup_start('b', true)}, 'BEGIN', 'ROLLBACK', 'SELECT 1' ],
	[ 'a backup begun in a transaction', 0, 1, 'BEGIN', q{SELECT pg_backup_start('c', true)}, 'COMMIT' ],
	[ 'a backup that is over', 0, 0, q{SELECT pg_backup_start('d', true)}, 'SELECT 1 FROM pg_backup_stop(false)' ],
	[ "a session's advisory lock out of a transaction rolled back", 0, 1, 'BEGIN', 'SELECT pg_advisory_lock(pg_backend_pid())', 'ROLLBACK' ],
);

# What core itself says of its channels, and whether the session stays.  (The
# question makes the session idle anew.)
sub check_case
{
	my ($client) = @_;
	my ($name, $listens, $stays) = @{ $client->{case} };
	my $listening =
	  one("SELECT listening::int FROM hygiene.sessions WHERE pid = $client->{pid}");

	is($client->is_open ? 1 : 0, $stays, "$name: " . ($stays ? 'stays' : 'ends'));
	return if $client->{closed_at};
	is($listening, $listens, "$name: hygiene.sessions");
	is(scalar @{ $client->query('SELECT pg_listening_channels()') } > 0 ? 1 : 0,
		$listens, "$name: pg_listening_channels()");
	is( one("SELECT count(*) FROM hygiene.events WHERE pid = $client->{pid}"),
		'0', "$name: no event");
	return;
}

# However long the machine takes to set them up, none is idle for too long yet.
my @clients;
configure($node, idle_session_timeout => '0');
for my $case (@cases)
{
	my (undef, undef, undef, @statements) = @$case;

	push @clients, idle_client('pooler', @statements);
	$clients[-1]->{case} = $case;
}
configure($node, idle_session_timeout => '400ms');
outwait(@clients);
check_case($_) for @clients;
check_ended($_->{case}->[0], $_, 'pg_hygiene.idle_session_timeout')
  for grep { !$_->{case}->[2] } @clients;

# Every one of them is over once it gives up what it holds.
my @holders = grep { !$_->{closed_at} } @clients;
$_->query('UNLISTEN *') for @holders;
$_->query('SELECT pg_advisory_unlock_all()') for @holders;
$_->query('SELECT 1 FROM pg_backup_stop(false)')
  for grep { $_->{case}->[0] =~ /backup/ } @holders;
is(scalar(grep { $_->wait_closed->{C} eq '57P05' } @holders),
	scalar @holders, 'all end once they hold nothing');

# A notification arrives at a session that was spared.
my $listener = idle_client('pooler', 'LISTEN news');
outwait($listener);
$boss->query("NOTIFY news, 'hello'");
is(scalar @{ $listener->query('SELECT 1') }, 1, 'a spared listener works on');
$listener->close;

#
# A rule that names the limit overrules that; one that names others does not.
#
my $strict = idle_client('strict', 'LISTEN a');
my $strict_lock = idle_client('strict', 'SELECT pg_advisory_lock(pg_backend_pid())');
my $lenient = idle_client('lenient', 'LISTEN a');
check_ended('a rule, LISTEN', $strict, 'rule 2 (application=strict)');
check_ended('a rule, an advisory lock', $strict_lock,
	'rule 2 (application=strict)');
outwait($lenient);
ok($lenient->is_open, 'a rule about other limits changes nothing');
is(one("SELECT rules, listening, limit_name, ends_in FROM hygiene.sessions WHERE pid = $lenient->{pid}"),
	'{3}|t||', 'nor what hygiene.sessions shows');
$lenient->query("SET application_name = 'strict'");
check_ended('a new name', $lenient, 'rule 2 (application=strict)');

# With a rule that takes the limit away nothing is ended.
configure($node, rules => 'application=web: idle_session_timeout=0');
my $free = idle_client('web', 'SELECT 1');
outwait($free);
ok($free->is_open, 'a rule can take the limit away');
is(one("SELECT limit_name FROM hygiene.sessions WHERE pid = $free->{pid}"),
	'', 'and none is shown');
$free->close;

# So is who is never touched: superusers.
is(scalar @{ $boss->query('SELECT 1') }, 1, 'a superuser stays');
is(one("SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'"),
	'0', 'no event is left pending');
$node->stop;
done_testing();
