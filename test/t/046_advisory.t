
# Advisory locks: whoever waits to be the leader is in nobody's way.  A lock
# that leaked is another matter, where advisory_blocker_timeout says so: then
# who sits idle on it is ended, in a transaction or outside of one.

use PgHygiene;
use Time::HiRes qw(time);

my $LEADERS = 50;

my $node = new_node('main', 'max_connections = 200');

$node->safe_psql('postgres', 'CREATE DATABASE other');

sub waiter
{
	my ($sql, @options) = @_;
	my $waiter = client('standby', @options);

	$waiter->send_query($sql);
	return $waiter;
}

#
# Leader election, half of it by each kind of lock, with the defaults; but the
# limits on idle transactions are those of a minute's test.
#
configure($node, idle_blocker_timeout => '300ms');
my (@leaders, @standbys);
for my $i (1 .. $LEADERS)
{
	my @lock = $i % 2
	  ? ("SELECT pg_advisory_lock($i)")
	  : ('BEGIN', "SELECT pg_advisory_xact_lock($i)");

	push @leaders, client('leader', @lock);
	push @standbys, waiter("SELECT pg_advisory_lock($i)");
}
until_waiting($node, @standbys);
until_row($node,
	"SELECT count(*) FROM hygiene.sessions WHERE application_name = 'leader' AND state_age > '1 s'",
	$LEADERS);
two_passes($node);
is((grep { $_->is_open } @leaders), $LEADERS, 'all leaders live');
is( one("SELECT count(*), sum(blocking), min(advisory_locks), max(advisory_locks),
	min(longest_wait) > '1 s', bool_and(limit_name IS DISTINCT FROM 'idle_blocker_timeout')
	FROM hygiene.sessions WHERE application_name = 'leader'"),
	"$LEADERS|$LEADERS|1|1|t|t", 'their sessions');
is(one('SELECT count(*) FROM hygiene.events'), '0', 'no event');
is( one("SELECT blocked_time FROM hygiene.applications WHERE application_name = 'leader'"),
	'00:00:00', 'waiting for the lead costs nobody anything');
is(of_session('advisory_locks, longest_wait', $standbys[0]), '0|', 'a standby holds none');
$_->close for @leaders, @standbys;
configure($node, idle_blocker_timeout => undef);

#
# A lock that leaked.
#
my $MESSAGE = 'terminating connection due to advisory-blocker timeout';
my $HINT =
  'Unlock on the connection that locked: through a pool the unlock may have gone to another connection, where it does nothing. pg_advisory_xact_lock needs no unlock, since its lock ends with the transaction.';

configure($node, advisory_blocker_timeout => '500ms');

my @kinds = (
	[ 'of the session', ['SELECT pg_advisory_lock(1)'], 'SELECT pg_advisory_lock(1)' ],
	[ 'shared', ['SELECT pg_advisory_lock_shared(2)'], 'SELECT pg_advisory_lock(2)' ],
	[ 'two keys', ['SELECT pg_advisory_lock(3, 4)'], 'SELECT pg_advisory_lock_shared(3, 4)' ],
	[ 'of the transaction', [ 'BEGIN', 'SELECT pg_advisory_xact_lock(5)' ],
		'SELECT pg_advisory_xact_lock(5)' ],
	[ 'of a transaction that failed', [ 'SELECT pg_advisory_lock(6)', 'BEGIN', \'SELECT 1/0' ],
		'SELECT pg_advisory_lock(6)' ],
	[ 'of another database', ['SELECT pg_advisory_lock(7)'], 'SELECT pg_advisory_lock(7)',
		dbname => 'other' ],
);
for my $kind (@kinds)
{
	my ($name, $held, $wanted, @options) = @$kind;
	my $holder = client('holder', @options);

	ref $_ ? $holder->try_query($$_) : $holder->query($_) for @$held;
	two_passes($node);
	ok($holder->is_open, "$name: nobody waits, it stays");
	my $waiter = waiter($wanted, @options);
	my $last = $holder->wait_closed;

	is("$last->{C} $last->{M}", "57P05 $MESSAGE", "$name: message");
	like(
		$last->{D},
		qr/^Application "holder" kept another session waiting for an advisory lock for \S+ m?s while idle; pg_hygiene\.advisory_blocker_timeout allows 500 ms\.$/,
		"$name: DETAIL");
	is($last->{H}, $HINT, "$name: HINT");
	my $seconds = $holder->{told_at} - $waiter->{sent_at};

	cmp_ok($seconds, '>=', 0.5, "$name: not early");
	cmp_ok($seconds, '<', 2.5, "$name: and not late");
	$waiter->wait_ready;
	is($waiter->{error}, undef, "$name: who waited goes on");
	is( one("SELECT action, outcome, reason, limit_setting, measured::interval >= '500 ms', blocking
		FROM hygiene.events WHERE pid = $holder->{pid}"),
		'terminate|done|advisory_blocker_timeout|500ms|t|1', "$name: event");
	$waiter->close;
}
is(one('SELECT count(*) FROM hygiene.leaks'), '0', 'none of them is a leak');

# What is lent out again and again is ended in a pause all the same.
my $lent = client('pool', 'SELECT pg_advisory_lock(8)');
my $waiter = waiter('SELECT pg_advisory_lock(8)');
my $begun = time;

$lent->try_query('SELECT 1') until $lent->{closed_at} || time - $begun > 10;
ok($lent->{closed_at}, 'one that is used meanwhile is ended between two statements');
$waiter->wait_ready;
$waiter->close;

# One at work is not, and one for which nobody waits any more neither.
my $holder = client('holder', 'SELECT pg_advisory_lock(9)');
$waiter = client('standby', "SET lock_timeout = '1400ms'");
$waiter->send_query('SELECT pg_advisory_lock(9)');
$holder->query('SELECT pg_sleep(2)');
$waiter->wait_ready;
is($waiter->{error}{C}, '55P03', 'the one that waited gave up');
two_passes($node);
ok($holder->is_open, 'the holder stays');
$_->close for $holder, $waiter;

# A rule may allow a leader more.
configure($node, rules => 'application=leader: advisory_blocker_timeout=0');
my $leader = client('leader', 'SELECT pg_advisory_lock(10)');
$waiter = waiter('SELECT pg_advisory_lock(10)');
until_row($node,
	"SELECT longest_wait > '1500 ms' FROM hygiene.sessions WHERE pid = $leader->{pid}", 't');
two_passes($node);
ok($leader->is_open, 'a rule takes it back');
$_->close for $leader, $waiter;

#
# The whole queue: an idle reader, a waiting ALTER, and readers behind it.
#
configure($node, rules => undef, idle_blocker_timeout => '4s');
$node->safe_psql('postgres', 'CREATE TABLE t (i int); ALTER TABLE t OWNER TO app');
my $reader = client('reader', 'BEGIN', 'SELECT * FROM t');
my $other = client('other reader', 'BEGIN', 'SELECT * FROM t');
my $alter = waiter('ALTER TABLE t ADD j int');
until_waiting($node, $alter);
my @readers = map { waiter('SELECT count(*) FROM t') } 1 .. 50;
until_waiting($node, $alter, @readers);
is(of_session('blocking', $reader), '51', 'an idle reader: all hang on it');
is(of_session('blocking', $other), '51', 'and on the other one');
is(of_session('blocking', $alter), '50', 'who waits has its own behind it');
$_->wait_closed for $reader, $other;
is( one("SELECT blocking FROM hygiene.events WHERE pid = $reader->{pid}"),
	'51', 'the event says so too');
for my $client ($alter, @readers)
{
	$client->wait_ready;
	fail("waiter: $client->{error}{M}") if $client->{error};
	$client->close;
}
$node->stop;
done_testing();
