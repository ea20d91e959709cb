
# An idle transaction for which another session waits is ended at
# idle_blocker_timeout: the one at the root of a chain, never one that waits
# itself, and none for which nobody waits.

use PgHygiene;
use Time::HiRes qw(time);

my $LIMIT = 0.3;
my $TRIES = 3;    # for what must be quick where the machine has time

my $node = new_node('main', "pg_hygiene.idle_blocker_timeout = '300ms'");

my $MESSAGE = 'terminating connection due to idle-in-transaction timeout';

# More follows where it can be told what the program does wrong.
my $HINT =
  'Commit or roll back before the program waits for anything else, so that others need not wait for its locks.';
my $DETAIL =
  qr/^Application "holder" left a transaction idle for (?:[3-9]\d\d ms|\d+\.\d s) while another session waited for it; pg_hygiene\.idle_blocker_timeout allows 300 ms\.$/;

$node->safe_psql(
	'postgres', q{
	CREATE ROLE boss LOGIN SUPERUSER;
	CREATE TABLE t (i int PRIMARY KEY, n int DEFAULT 0);
	INSERT INTO t SELECT generate_series(1, 9);
	CREATE TABLE u (i int);
	GRANT CREATE ON SCHEMA public TO app;
	GRANT ALL ON t, u TO app;
	ALTER TABLE u OWNER TO app});

# Looks at others; an open connection is quicker than a new psql.
my $boss = PgHygiene::Client->new($node, user => 'boss');

# A session that asks for a lock that others hold.
sub waiter
{
	my ($sql) = @_;
	my $waiter = client('waiter');

	$waiter->send_query($sql);
	return $waiter;
}

sub event
{
	my ($columns, $client) = @_;

	return one("SELECT $columns FROM hygiene.events WHERE pid = $client->{pid}");
}

# The holder is ended, told why, and the waiter gets what it waits for.
sub check_ended
{
	my ($name, $holder, @waiters) = @_;
	my $last = $holder->wait_closed;

	is($last->{C}, '25P03', "$name: SQLSTATE");
	is($last->{M}, $MESSAGE, "$name: message");
	like($last->{D}, $DETAIL, "$name: DETAIL");
	like($last->{H}, qr/^\Q$HINT\E/, "$name: HINT");

	# the reply may have taken its time to reach us
	cmp_ok($holder->{told_at} - $holder->{sent_at}, '>=', $LIMIT,
		"$name: not early");
	for my $waiter (@waiters)
	{
		$waiter->wait_ready;
		is($waiter->{error}, undef, "$name: who waited goes on");
	}
	is( event(
			'action, outcome, reason, rule, limit_setting, state, measured::interval >= limit_setting::interval, blocking',
			$holder),
		'terminate|done|idle_blocker_timeout||300ms|idle in transaction|t|'
		  . scalar @waiters,
		"$name: event");
	$_->close for @waiters;
	return;
}

#
# The kinds of locks.
#
my @kinds = (
	[ 'a row', 'UPDATE t SET n = 1 WHERE i = 1', 'UPDATE t SET n = 2 WHERE i = 1' ],
	[ 'a row, locked', 'SELECT * FROM t WHERE i = 2 FOR UPDATE', 'DELETE FROM t WHERE i = 2' ],
	[ 'a row to come', 'INSERT INTO t VALUES (100)', 'INSERT INTO t VALUES (100)' ],
	[ 'a table, locked', 'LOCK TABLE u', 'SELECT * FROM u' ],
	[ 'a table, read', 'SELECT * FROM u', 'TRUNCATE u' ],
	[ 'a transaction', 'INSERT INTO u VALUES (1)', 'CREATE INDEX CONCURRENTLY ON u (i)' ],
);
for my $kind (@kinds)
{
	my ($name, $held, $wanted) = @$kind;
	my $holder = client('holder', 'BEGIN', $held);

	check_ended($name, $holder, waiter($wanted));
}

#
# Counted from when it went idle, and only if somebody waits.
#
my $holder = client('holder', 'BEGIN', 'UPDATE t SET n = 1 WHERE i = 3');
ok(outlives($node, $holder, 700), 'nobody waits: it stays');
is(of_session('blocking, limit_name', $holder),
	'0|idle_in_transaction_timeout', 'nobody waits: hygiene.sessions');

# From a waiter's coming to the end of a holder that is past the limit.
my $best;
for my $try (1 .. $TRIES)
{
	$holder ||= client('holder', 'BEGIN', 'UPDATE t SET n = 1 WHERE i = 3');
	outlives($node, $holder, 400);
	my $waiter = waiter('UPDATE t SET n = 2 WHERE i = 3');

	check_ended('past the limit', $holder, $waiter);
	my $seconds = $holder->{told_at} - $waiter->{sent_at};

	$best = $seconds if !defined $best || $seconds < $best;
	undef $holder;
	last if $best < 1.2;
}
cmp_ok($best, '<', 1.2, 'past the limit: ended within a second of the waiter');

# At work it is not idle, whoever waits.
$holder = client('holder', 'BEGIN', 'LOCK TABLE u');
$holder->send_query('SELECT pg_sleep(1.5)');
my @waiters = map { waiter('SELECT count(*) FROM u') } 1 .. 3;
until_waiting($node, @waiters);
is(of_session('state, limit_name, blocking', $holder),
	'active||3', 'at work: no limit');
$holder->wait_ready;
is($holder->{error}, undef, 'at work: not disturbed');
check_ended('idle after work, three wait', $holder, @waiters);

#
# hygiene.sessions while it lasts.
#
configure($node, idle_blocker_timeout => '20min', idle_in_transaction_timeout => '30min');
$holder = client('holder', 'BEGIN', 'UPDATE t SET n = 1 WHERE i = 3');
@waiters = map { waiter('UPDATE t SET n = 2 WHERE i = 3') } 1 .. 3;
until_waiting($node, @waiters);
is( of_session(
		"blocking >= 1, limit_name, limit_setting, ends_in BETWEEN '18 min' AND '20 min'",
		$holder),
	't|idle_blocker_timeout|20min|t',
	'hygiene.sessions names the limit and its time');
is(of_session('limit_name, ends_in', $waiters[0]),
	'|', 'and none for one that waits');
$boss->query("SELECT pg_cancel_backend($_->{pid})") for @waiters;
$_->wait_ready for @waiters;
is(of_session('blocking, limit_name', $holder),
	'0|idle_in_transaction_timeout', 'nor when nobody waits any more');
$_->close for $holder, @waiters;
configure($node, idle_blocker_timeout => '300ms', idle_in_transaction_timeout => undef);

#
# One waits for several.
#
my @holders =
  map { client('holder', 'BEGIN', 'SELECT * FROM t WHERE i = 4 FOR SHARE') } 1 .. 3;
my $waiter = waiter('DELETE FROM t WHERE i = 4');
is($_->wait_closed->{C}, '25P03', 'one waits for three: all are ended') for @holders;
$waiter->wait_ready;
is($waiter->{error}, undef, 'and it goes on');
$waiter->close;

#
# A chain: the root is ended, for whom all others wait, not the one in the
# middle that is waited for too.
#
my $root = client('holder', 'BEGIN', 'UPDATE t SET n = 1 WHERE i = 5');
my $middle = client('middle', 'BEGIN', 'UPDATE t SET n = 1 WHERE i = 6');
$middle->send_query('UPDATE t SET n = 1 WHERE i = 5; COMMIT');
my $end = client('end');
$end->send_query('UPDATE t SET n = 1 WHERE i = 6');
until_waiting($node, $middle, $end);
check_ended('chain', $root, $middle, $end);
is(event('count(*)', $middle) . event('count(*)', $end), '00', 'chain: no event of theirs');

# With a root that may not be ended nobody is, however long they wait.
$root = client('pg_dump', 'BEGIN', 'UPDATE t SET n = 1 WHERE i = 5');
$middle = client('middle', 'BEGIN', 'UPDATE t SET n = 1 WHERE i = 6');
$middle->send_query('UPDATE t SET n = 1 WHERE i = 5');
$end = client('end');
$end->send_query('UPDATE t SET n = 1 WHERE i = 6');
until_row($node,
	"SELECT sum(blocking) FROM hygiene.sessions WHERE pid IN ($root->{pid}, $middle->{pid})",
	'3');
is(of_session('exempt, blocking', $root), 'rule 1|2', 'an exempt root is seen');
is(of_session('state, blocking, limit_name', $middle),
	'active|1|', 'one that waits is not idle');
ok(outlives($node, $middle, 1200) && $root->is_open && $end->is_open,
	'an exempt root, and those behind it, stay');
$root->query('COMMIT');
$middle->wait_ready;
$middle->query('COMMIT');
$end->wait_ready;
is($end->{error}, undef, 'until it commits');
$_->close for $root, $middle, $end;

# Waiting for an advisory lock is no harm, in a transaction or outside of one;
# see 046_advisory.t.
$holder = client('holder', 'SELECT pg_advisory_lock(3)');
$waiter = waiter('SELECT pg_advisory_lock(3)');
until_row($node,
	"SELECT blocking FROM hygiene.sessions WHERE pid = $holder->{pid}", '1');
ok(outlives($node, $holder, 1000), 'an idle session that blocks outside a transaction stays');
$holder->query('SELECT pg_advisory_unlock(3)');
$waiter->wait_ready;
$_->close for $holder, $waiter;

#
# A holder for which nobody waits any more.
#
configure($node, idle_blocker_timeout => '2500ms');
$holder = client('holder', 'BEGIN', 'UPDATE t SET n = 1 WHERE i = 7');
$waiter = client('waiter', "SET lock_timeout = '300ms'");
$waiter->try_query('UPDATE t SET n = 2 WHERE i = 7');
is($waiter->{error}->{C}, '55P03', 'a waiter gives up');
ok(outlives($node, $holder, 2700), 'and the holder stays');
$_->close for $holder, $waiter;
configure($node, idle_blocker_timeout => '300ms');

# Waited for in one transaction, then idle in the next.  In the first it is
# mostly idle, but never for long, until the worker has looked who waits; where
# the machine was too slow for that, it was ended with good reason.
configure($node, idle_blocker_timeout => '150ms');
my $tries = 0;
for (1 .. 5 * $TRIES)
{
	last if $tries == $TRIES;
	$holder = client('holder', 'BEGIN', 'UPDATE t SET n = 1 WHERE i = 8');
	$waiter = waiter('UPDATE t SET n = 2 WHERE i = 8');
	my $begun = time;

	do
	{
		my $pause = time;

		$holder->try_query('SELECT 1');
		1 while time - $pause < 0.01 && one('SELECT 1');
	} until $holder->{closed_at} || time - $begun > 1.2;
	$holder->try_query('COMMIT');
	$waiter->wait_ready;
	$holder->try_query('BEGIN');
	if (!$holder->{closed_at})
	{
		$tries++;
		ok(outlives($node, $holder, 500),
			"nobody waited for the next transaction, try $tries");
	}
	$_->close for $holder, $waiter;
}

is(one("SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'"),
	'0', 'no event is left pending');
$node->stop;
done_testing();
