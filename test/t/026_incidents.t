
# What happened at night is written down by itself: one row for each time that
# slots ran out or somebody was refused, with a sentence about it.

use PgHygiene;

# 20 usable slots; the test build ends an incident after two quiet seconds.
my $node = new_node(
	'main',
	'max_connections = 23',
	'pg_hygiene.headroom = 3',
	"pg_hygiene.headroom_min_idle = '1h'",
	'pg_hygiene.rules = \'application=capped: connections=1\'');

$node->safe_psql('postgres', 'CREATE ROLE other LOGIN');
my $asker = client('asker', user => one('SELECT current_user'));

sub row
{
	my ($sql) = @_;

	return $asker->first_row($sql);
}

sub until_true
{
	my ($sql) = @_;

	return $node->poll_query_until('postgres', "SELECT $sql");
}

is(one('SELECT count(*) FROM hygiene.incidents'), '0', 'a quiet server has none');

# A leak takes all but three slots, and is refused the next ones.
my @leak;
for (1 .. 20)
{
	my $client = client('orders', user => 'app');

	last if $client->{closed_at};
	$client->query('BEGIN');
	$client->query("SELECT 'of stock'");
	push @leak, $client;
}
cmp_ok(scalar @leak, '<', 20, 'somebody was refused');
ok( until_true(
		q{lowest_available <= 3 AND largest_application = 'orders'
		AND ended_at IS NULL AND refused > 0 FROM hygiene.incidents}),
	'it is open, and says who');
ok( until_true(
		q{summary ~ '^\d\d:\d\d UTC until now: \d of 20 slots were free; orders held \d+, \d+ of them idle in a transaction after "SELECT ''of stock''"; 0 sessions were ended, orders was refused (once|\d+ times), nobody by PostgreSQL itself\.$'
		FROM hygiene.incidents}),
	'with a sentence') or diag one('SELECT summary FROM hygiene.incidents');
is( $node->safe_psql(
		'postgres',
		q{SELECT bool_or(summary LIKE '%stock%') FROM hygiene.incidents},
		connstr => $node->connstr('postgres') . ' user=other'),
	'f',
	'whose statement others do not see');

# It comes and goes, and stays one incident.
$_->close for splice @leak, 0, 5;
ok(until_true(q{available > 3 FROM hygiene.status}), 'slots are free again');
my $again = client('capped', user => 'app');
my $refused = client('capped', user => 'app');
ok($refused->{closed_at}, 'somebody else is refused');
is(one('SELECT count(*) FROM hygiene.incidents'), '1', 'it is the same incident');
$_->close for @leak, $again;
ok(until_true(q{count(*) = 1 AND bool_and(ended_at > began_at) FROM hygiene.incidents}),
	'and ends when all was quiet for a while');
like(
	one('SELECT summary FROM hygiene.incidents'),
	qr/^\d\d:\d\d to \d\d:\d\d UTC: .* and others once, nobody by/,
	'it says when, and who else was refused');

# A row waits for a session that is idle in a transaction: how many did.
$node->safe_psql('postgres', 'CREATE TABLE stock AS SELECT 1 AS n');
my $blocker = client('holder', user => one('SELECT current_user'));
$blocker->query('BEGIN');
$blocker->query('UPDATE stock SET n = 2');
my @waiters = map { client('waiter', user => one('SELECT current_user')) } 1 .. 2;
$_->send_query('UPDATE stock SET n = 3') for @waiters;
$again = client('capped', user => 'app');
$refused = client('capped', user => 'app');
ok(until_true(q{max(most_blocked) >= 1 FROM hygiene.incidents}),
	'sessions that wait are counted');
is(one('SELECT count(*) FROM hygiene.incidents'), '2', 'in the next incident');
$blocker->query('COMMIT');
$_->close for $blocker, $again, @waiters;

# Over a restart, which ends it.
$asker->close;
$node->restart;
is( one(q{SELECT count(*) FROM hygiene.incidents WHERE ended_at IS NOT NULL}),
	'2',
	'they outlive a restart, which ends the last one');
one('SELECT hygiene.reset()');
is(one('SELECT count(*) FROM hygiene.incidents'), '0', 'reset() clears them');
$node->stop;

# What is over before the worker looks the next time is written down, too, and
# of that moment.  7 usable slots, 1 of them headroom.
$node = new_node(
	'small', 'max_connections = 10',
	'max_wal_senders = 2', 'superuser_reserved_connections = 3',
	"pg_hygiene.headroom_min_idle = '1h'");
$asker = client('asker', user => one('SELECT current_user'));

sub burst
{
	my ($n) = @_;

	two_passes($node);
	$asker->query('SELECT hygiene.reset()');
	my @burst = map { client('pool', user => 'app') } 1 .. $n;
	my $refused = grep { $_->{closed_at} } @burst;
	$_->close for @burst;
	until_row($node, "SELECT sum(refused) = $refused FROM hygiene.incidents");
	return $refused;
}

for my $round (1 .. 3)
{
	is(burst(5), 0, "burst $round: nobody is refused");
	is( row('SELECT lowest_available, largest_application, largest_connections, refused FROM hygiene.incidents'),
		'1|pool|5|0', 'but slots ran short, and who took them is named');
	cmp_ok(burst(8), '>=', 2, "a larger burst $round is refused");
	like(
		row('SELECT summary FROM hygiene.incidents'),
		qr/: 0 of 7 slots were free; pool held [56]; /,
		'and it is named');
}

# What was before reset() does not come back.
for my $round (1 .. 3)
{
	my @held = map { client('pool', user => 'app') } 1 .. 5;

	until_row($node, 'SELECT bool_or(ended_at IS NULL) FROM hygiene.incidents');
	one('SELECT 1') for 1 .. 3;
	$_->close for @held;
	1 until row('SELECT used FROM hygiene.status') == 1;
	$asker->query('SELECT hygiene.reset()');
	two_passes($node);
	is(row('SELECT count(*) FROM hygiene.incidents'), '0', "nothing is left after reset() $round");
}
$asker->close;
$node->stop;

# Evictions keep slots free: it is an incident all the same.
$node = new_node(
	'evicting', 'max_connections = 10',
	'max_wal_senders = 2', 'superuser_reserved_connections = 3',
	"pg_hygiene.headroom_min_idle = '1ms'");
for (1 .. 12)
{
	my $client = client('orders', user => 'app');

	$client->try_query('BEGIN');
	push @leak, $client;
}
cmp_ok(one('SELECT evicted FROM hygiene.status'), '>', 0, 'leaks are evicted');
ok(until_true(q{bool_or(lowest_available <= 1 AND largest_application = 'orders') FROM hygiene.incidents}),
	'which is written down');
$_->close for @leak;
$node->stop;

done_testing();
