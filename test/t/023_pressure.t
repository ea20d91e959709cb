
# How slots fill up can be seen before they run out: in hygiene.status, by one
# warning when warn_at is crossed, and by one line when that is over.

use PgHygiene;
use Time::HiRes qw(time);

# 50 usable slots: one is 2 %, so the warning comes at 40 and ends at 37.
my $node = new_node(
	'main',
	'max_connections = 53',
	'pg_hygiene.headroom = 2',

	# here nobody is to be evicted
	"pg_hygiene.headroom_min_idle = '1h'");
my $hba = slurp_file($node->data_dir . '/pg_hba.conf');

unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf('pg_hba.conf', "local all slow scram-sha-256\n$hba");
$node->safe_psql('postgres', q{CREATE ROLE slow LOGIN PASSWORD 'x'});
$node->reload;

# It holds one slot all the time, and asks.
my $asker = client('asker', user => one('SELECT current_user'));

sub row
{
	my ($sql) = @_;

	return $asker->first_row($sql);
}

sub until_true
{
	my ($sql) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	until (row("SELECT $sql FROM hygiene.status") eq 't')
	{
		die "did not happen in time: $sql" if time > $give_up;
		$asker->query('SELECT pg_sleep(0.01)');
	}
	return 1;
}

my %open;

sub add
{
	my ($n, $application) = @_;

	for (1 .. $n)
	{
		my $client =
		  client($application);

		die $client->{error}->{M} if $client->{closed_at};

		# one that has done nothing yet would share an account with all others
		$client->query('SELECT 1') for 1 .. 3;
		push @{ $open{$application} }, $client;
	}
	return;
}

sub drop
{
	my ($n, $application) = @_;

	for (splice @{ $open{$application} }, 0, $n)
	{
		$_->close;
	}
	return;
}

sub slots
{
	return row(
		'SELECT used, authenticating, available, pressure FROM hygiene.status');
}

# The worker counts once a second, so a pass that began a second from now is
# one that did, or came after it.
sub worker_has_counted
{
	my $now = row('SELECT clock_timestamp()');

	until_true("last_pass > '$now'::timestamptz + '1 s'");
	return;
}

my $start = log_position($node);

sub lines
{
	my ($pattern) = @_;
	my @found = slurp_file($node->logfile, $start) =~ /$pattern/g;

	return scalar @found;
}

my $crossed = qr/WARNING:  \d+ of 50 connection slots are in use/;
my $over =
  qr/LOG:  \d+ of 50 connection slots are in use \(\d+ %\), fewer than at the last warning/;

sub warnings_and_ends
{
	return join ' ', lines($crossed), lines($over), row(
		q{SELECT count(*) FROM hygiene.events WHERE action = 'warn'});
}

#
# What the columns say
#
until_true('used = 1');
is( row(q{SELECT mode, max_connections, reserved, used, authenticating,
		available, headroom, pressure FROM hygiene.status}),
	'enforce|53|3|1|0|49|2|normal',
	'an empty server');

add(22, 'web');
add(10, 'orders');
add(5, 'billing');
add(1, 'batch');
is(slots(), '39|0|11|normal', '78 %');
worker_has_counted();
is(warnings_and_ends(), '0 0 0', 'which is nothing to warn of');
add(1, 'batch');
is(slots(), '40|0|10|warning', 'warn_at, 80 %');

#
# The warning
#
wait_log($node, $crossed, $start);
wait_log($node, qr/HINT:  See the views hygiene/, $start);
my $log = slurp_file($node->logfile, $start);
like(
	$log,
	qr/WARNING:  40 of 50 connection slots are in use \(80 %\)$/m,
	'it is logged');
like(
	$log,
	qr/DETAIL:  The applications with the most connections: "web" 22, "orders" 10, "billing" 5\.$/m,
	'with the three largest applications');
is( row(q{SELECT action, outcome, reason, measured, limit_setting, pid,
		application_name, user_name, state
		FROM hygiene.events WHERE action = 'warn'}),
	'warn|done|warn_at|80|80||||',
	'it is an event');
is(row('SELECT terminated, evicted, refused FROM hygiene.status'),
	'0|0|0', 'and nobody was hurt');

#
# It does not flap: one up and one down, or to and fro across the line.
#
for (1 .. 2)
{
	add(1, 'web');
	worker_has_counted();
	drop(3, 'web');
	until_true('used = 38');
	worker_has_counted();
	add(2, 'web');
}
is(warnings_and_ends(), '1 0 1', 'more and a little fewer: no more is said');

drop(3, 'web');
wait_log($node, $over, $start);
is(slots(), '37|0|13|normal', 'back at 74 %');
is(warnings_and_ends(), '1 1 1', 'which is said once');
worker_has_counted();
is(warnings_and_ends(), '1 1 1', 'and not again');
like(
	slurp_file($node->logfile, $start),
	qr/LOG:  37 of 50 connection slots are in use \(74 %\), fewer/,
	'with the numbers');

add(3, 'web');
until_true("(SELECT count(*) = 2 FROM hygiene.events WHERE action = 'warn')");
is(warnings_and_ends(), '2 1 2', 'crossed again, it is said again');

#
# critical, from the headroom on
#
add(7, 'web');
is(slots(), '47|0|3|warning', 'one more than the headroom is free');
add(1, 'late');
is(slots(), '48|0|2|critical', 'no more than the headroom is free');
add(1, 'late');
is(slots(), '49|0|1|critical', 'an application that holds few gets one more');
is( client('late')->{error}->{C},
	'53300', 'and not the last');

#
# Those who authenticate hold a slot too.
#
drop(2, 'late');
drop(10, 'orders');
until_true('used = 37');

# It answers the server's question for a password with silence.
package Silent
{
	our @ISA = ('PgHygiene::Client');

	sub _read_until_ready { return }
}

my @silent = map { Silent->new($node, user => 'slow') } 1 .. 3;
ok(until_true('authenticating = 3'), 'clients that authenticate are shown');
is(slots(), '40|3|10|warning', 'and count as used');
is( row('SELECT count(*) FROM hygiene.sessions'),
	'37', 'without being sessions yet');
close $_->socket for @silent;
ok(until_true('authenticating = 0 AND used = 37'), 'also when they give up');

#
# warn_at = 0, and another value
#
configure($node, warn_at => 0);
worker_has_counted();
my $before = warnings_and_ends();
add(4, 'orders');
worker_has_counted();
is(slots(), '41|0|9|normal', 'warn_at = 0: nothing to warn of');
is(warnings_and_ends(), $before, 'and nothing is said');
configure($node, warn_at => 50);
until_true("(SELECT measured = '82' FROM hygiene.events
	WHERE action = 'warn' ORDER BY event_id DESC LIMIT 1)");
is(slots(), '41|0|9|warning', 'a lower warn_at is crossed at once');
configure($node, warn_at => undef);

#
# Growth.  A new worker begins to count anew.
#
sub growth_is_consistent
{
	return row(q{
		SELECT CASE WHEN growth_per_minute > 0
			THEN abs(extract(epoch FROM exhaustion_in) / 60
				* growth_per_minute - available) < 0.1
			ELSE exhaustion_in IS NULL END
		FROM hygiene.status});
}

until_true('used = 41');
my $worker = worker_pid($node);
kill 'TERM', $worker;
until_true("worker_pid <> $worker");
worker_has_counted();
is(row('SELECT growth_per_minute, exhaustion_in FROM hygiene.status'),
	'0|', 'nothing grows, nothing is exhausted');

drop(4, 'orders');
ok(until_true('growth_per_minute < 0'), 'slots become free');
is(growth_is_consistent(), 't', 'and are never used up');
add(5, 'orders');
ok(until_true('growth_per_minute > 0'), 'slots fill up');
is(growth_is_consistent(), 't', 'and will be used up, at this speed');
is( row(q{SELECT exhaustion_in > '0' AND exhaustion_in < '5 min'
		FROM hygiene.status}),
	't', 'soon');
done_testing();
