
# What happens when the worker, a backend or the server ends or restarts.

use PgHygiene;
use Time::HiRes qw(time);

my $node = new_node(
	'main',
	"pg_hygiene.idle_in_transaction_timeout = '100ms'",
	'restart_after_crash = on');

# Ends n sessions one after the other.
sub end_some
{
	my ($n, $when) = @_;
	my $ended = 0;

	for (1 .. $n)
	{
		$ended++ if client('leak', 'BEGIN')->wait_closed->{C} eq '25P03';
	}
	is($ended, $n, "$when: limits act");
	return;
}

my $consistent = q{
	SELECT bool_and(opened - closed = connections), sum(connections) = (
		SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'client backend')
	FROM hygiene.applications};

#
# Sizes that change with a restart.
#
end_some(3, 'default sizes');
for my $sizes ([ 30, 2, 10 ], [ 250, 5000, 5000 ], [ 100, 2000, 1000 ])
{
	my ($connections, $events, $applications) = @$sizes;
	my $when = "max_connections $connections, max_events $events";

	$node->append_conf(
		'postgresql.conf', qq{
		max_connections = $connections
		pg_hygiene.max_events = $events
		pg_hygiene.max_applications = $applications});
	$node->restart;
	is(one('SELECT max_connections FROM hygiene.status'),
		$connections, "$when: status");
	end_some(3, $when);
	is( one(q{SELECT count(*) FROM (SELECT * FROM hygiene.events
			WHERE application_name = 'leak' AND action = 'terminate'
			ORDER BY event_id DESC LIMIT 3) e}),
		$events < 3 ? $events : 3,
		"$when: events");
	is(one('SELECT count(*) = count(DISTINCT event_id) FROM hygiene.events'),
		't', "$when: each event has its number");
	is(one($consistent), 't|t', "$when: counters are consistent");
}

# The newest stay, in their order.
$node->append_conf('postgresql.conf', 'pg_hygiene.max_events = 3');
$node->restart;
my @pids;
for (1 .. 7)
{
	my $client = client('leak', 'BEGIN');

	$client->wait_closed;
	push @pids, $client->{pid};
}
is(one("SELECT string_agg(pid::text, ',') FROM hygiene.events"),
	join(',', @pids[ 4 .. 6 ]),
	'a full history keeps the newest, newest last');

# Room for the last session that the server lets in.
$node->append_conf('postgresql.conf',
	q{
	max_connections = 12
	superuser_reserved_connections = 1
	autovacuum = off
	pg_hygiene.headroom = 0
	pg_hygiene.idle_in_transaction_timeout = 1s});
$node->restart;
until_row($node,
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'}
);
my @full = map { client("full $_") } 1 .. 11;
is(scalar(grep { $_->{error} } @full), 0, 'all slots can be taken');
is(one('SELECT available FROM hygiene.status'), '0', 'none is available');
my $refused = client('refused');
is($refused->{error}->{C}, '53300', 'one more is refused');
is(one('SELECT refused_by_server + refused > 0 FROM hygiene.status'),
	't', 'and counted');
is(one($consistent), 't|t', 'counters are consistent on a full server');
$full[-1]->query('BEGIN');
is($full[-1]->wait_closed->{C}, '25P03', 'the session in the last slot is seen');
$_->close for @full;
$node->append_conf('postgresql.conf',
	q{
	max_connections = 100
	superuser_reserved_connections = 3
	pg_hygiene.headroom = -1
	pg_hygiene.idle_in_transaction_timeout = 100ms
	pg_hygiene.max_events = 2000});
$node->restart;

#
# The worker is terminated: it comes back, and knows who was there.
#
my $before = worker_pid($node);
configure($node, idle_in_transaction_timeout => '10min');
my $early = client('early', 'BEGIN');
my $killed_at = time;
kill 'TERM', $before;
until_row($node,
	"SELECT worker_pid IS NOT NULL AND worker_pid <> $before FROM hygiene.status"
);
my $absent = time - $killed_at;
note sprintf 'the worker was back after %.1f s', $absent;
cmp_ok($absent, '<', 5, 'a terminated worker comes back within seconds');
is($early->is_open, 1, 'sessions are not touched by that');
configure($node, idle_in_transaction_timeout => '100ms');
is($early->wait_closed->{C}, '25P03', 'the new worker ends an old session');
end_some(1, 'with the new worker');
is(one($consistent), 't|t', 'with the new worker: counters are consistent');

#
# A backend crashes: PostgreSQL restarts, and everything begins anew.
#
my $bystander = client('bystander');
my $victim = client('victim');
$before = worker_pid($node);
kill 'KILL', $victim->{pid};
$victim->wait_closed;
$bystander->wait_closed;
until_row($node, 'SELECT worker_pid IS NOT NULL FROM hygiene.status');
isnt(worker_pid($node), $before, 'after a crash there is a new worker');
is( one(q{SELECT coalesce(sum(connections), 0) FROM hygiene.applications
		WHERE application_name IN ('victim', 'bystander')}),
	'0',
	'after a crash nobody is counted who is gone');
is(one($consistent), 't|t', 'after a crash: counters are consistent');
end_some(2, 'after a crash');
my $again = client('again');
is( one(q{SELECT connections FROM hygiene.applications
		WHERE application_name = 'again'}),
	'1',
	'after a crash sessions are counted');
$again->close;

#
# Shutdown, with sessions that are idle.
#
for my $mode (qw(fast immediate))
{
	my $idle = client('idle');

	configure($node, idle_in_transaction_timeout => '10min');
	my $in_transaction = client('idle in transaction', 'BEGIN');
	my $position = log_position($node);

	ok($node->stop($mode), "$mode shutdown with idle sessions succeeds");
	for my $client ($idle, $in_transaction)
	{
		my $last = $client->wait_closed;

		is($last->{C}, $mode eq 'fast' ? '57P01' : '57P02',
			"$mode: PostgreSQL's own reason reaches the client")
		  if $last;
	}
	unlike(
		slurp_file($node->logfile, $position),
		qr/PANIC|was terminated by signal|left a transaction idle/,
		"$mode: nothing crashed, and no limit was blamed");
	$node->start;
	configure($node, idle_in_transaction_timeout => '100ms');
	end_some(1, "after a $mode shutdown");
}

# A smart shutdown waits for clients.  This one becomes idle in its transaction
# after it began; only the limit can let the server stop.
my $held = client('held');
$held->send_query('BEGIN; SELECT pg_sleep(0.5)');
ok($node->stop('smart'), 'smart shutdown: the server stops');
is($held->wait_closed->{C},
	'25P03', 'smart shutdown: because an idle transaction is still ended');

done_testing();
