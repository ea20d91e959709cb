
# The system clock is set an hour forward and two hours back while limits run:
# nobody is ended before his time is over, and nobody stays for hours; the
# worker goes on as before, and the views show no nonsense.

use PgHygiene;
use PgHygiene::Clock;
use IO::Select;
use POSIX ();
use Time::HiRes qw(time);

my $hour = 3600;
my $moved = 0;
my $clock = PgHygiene::Clock->new;
my $node = $clock->new_node('main', 'autovacuum = off');

sub set_clock
{
	my ($by) = @_;

	$moved += $by;
	$clock->set($moved);
	return;
}

sub steady_client
{
	my ($application, @statements) = @_;
	my $client = client($application);

	$client->try_query($_) for @statements;
	return $client;
}

# How far the server's clock is from ours.
sub difference
{
	return one('SELECT extract(epoch FROM clock_timestamp())') - time;
}

# Where something else must be preloaded, such as a sanitizer, it is not moved.
set_clock($hour);
if (difference() < $hour / 2)
{
	$node->stop;
	plan skip_all => 'the clock of this server cannot be set';
}

# What ends in one second, or is cancelled: settings, what the client sends, and
# the SQLSTATE.
my $limit = 1;
my %cases = (
	'idle in transaction' =>
	  [ { idle_in_transaction_timeout => '1s' }, [ 'BEGIN', 'SELECT 1' ], '25P03' ],
	'idle session' => [ { idle_session_timeout => '1s' }, ['SELECT 1'], '57P05' ],
	'old transaction' =>
	  [ { transaction_timeout => '1s' }, [ 'BEGIN', 'SELECT 1' ], '25P04' ],
	'old and at work' => [
		{ transaction_timeout => '1s', cancel_grace => '1h' },
		[ 'BEGIN', 'SELECT 1' ],
		'57014', 'SELECT pg_sleep(1000)'
	],
	'a leak, slots short' => [
		{ headroom => '100', headroom_min_idle => '1s' },
		[ 'BEGIN', 'SELECT 1' ], '57P01'
	]);

# What the message says was measured, in seconds.
sub measured
{
	my ($error) = @_;
	my %seconds = (ms => 0.001, s => 1, min => 60, h => $hour);
	my ($number, $unit) = $error->{D} =~ /for ([\d.]+) (ms|s|min|h)\b/;

	return defined $number ? $number * $seconds{$unit} : -1;
}

sub check_views
{
	my ($when) = @_;

	is( one(q{SELECT count(*) FROM hygiene.sessions
			WHERE state_age < '0' OR transaction_age < '0' OR ends_in < '0' OR ends_in > '1h'}),
		'0', "$when: hygiene.sessions shows no nonsense");
	is( one(q{SELECT count(*) FROM hygiene.applications
			WHERE mean_session < '0' OR oldest_transaction < '0' OR mean_session > '1 day'}),
		'0', "$when: nor does hygiene.applications");
	is( one(q{SELECT count(*) FROM hygiene.status
			WHERE pass_duration < '0' OR oldest_transaction < '0' OR exhaustion_in < '0'
				OR growth_per_minute NOT BETWEEN -6000 AND 6000}),
		'0', "$when: nor does hygiene.status");
}

# The error of the first of these clients that gets one.
sub first_error
{
	my @clients = @_;
	my $sockets = IO::Select->new(map { $_->socket } @clients);
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	while (time < $give_up)
	{
		$sockets->can_read(1);
		foreach my $client (@clients)
		{
			$client->is_open;
			return $client->{error} if $client->{error};
		}
	}
	die 'no client heard of a limit in time';
}

# One case beside one step of the clock.
sub try_step
{
	my ($name, $by) = @_;
	my ($settings, $statements, $sqlstate, $work) = @{ $cases{$name} };
	my $when = "$name, clock set " . ($by > 0 ? 'forward' : 'back');

	# three make a leak
	configure($node, %$settings);
	my $since = time;
	my @clients = map { steady_client($when, @$statements) } 1 .. 4;
	$clients[0]->send_query($work) if $work;
	my $position = log_position($node);
	set_clock($by);

	# within a second the worker has noticed
	wait_log($node, qr/the system clock was set/, $position);
	check_views($when);
	my $error = first_error($work ? $clients[0] : @clients);
	my $lasted = time - $since;

	is($error->{C}, $sqlstate, "$when: its limit acts")
	  or diag(explain($error));
	cmp_ok($lasted, '>=', $limit, "$when: not early");
	cmp_ok(measured($error), '>=', $limit, "$when: the message says how long");
	cmp_ok(measured($error), '<', $hour / 2, "$when: and does not count the step");
	$_->close for @clients;
	configure($node, map { $_ => undef } keys %$settings);
	return;
}

for my $by ($hour, -2 * $hour)
{
	my $position = log_position($node);

	try_step($_, $by) for sort keys %cases;
	wait_log($node, $by > 0
		? qr/the system clock was set forward by 36\d\d\.\d+ s/
		: qr/the system clock was set back by (?:7200|71\d\d)\.\d+ s/, $position);
}

# Set several times, it is as if it had been set the last time only.
configure($node, idle_in_transaction_timeout => '3s');
for my $steps ([ -$hour, -$hour ], [ -2 * $hour, 2 * $hour, -24 * $hour ], [ -2 * $hour, $hour ])
{
	my $when = 'set by ' . join ' and ', map { $_ / $hour . ' h' } @$steps;
	my $client = steady_client('set several times', 'BEGIN');
	my $since;

	for my $by (@$steps)
	{
		my $position = log_position($node);

		$since = time;
		set_clock($by);
		wait_log($node, qr/the system clock was set/, $position);
	}
	my $ends = q{FROM hygiene.sessions WHERE application_name = 'set several times'};
	if (is(one("SELECT ends_in BETWEEN '0' AND '3s' $ends"), 't', "$when: it ends soon")
		&& ok($client->is_open, "$when: not yet"))
	{
		is($client->wait_closed->{C}, '25P03', "$when: it is ended");
		cmp_ok(time - $since, '>=', 3, "$when: three seconds after the last step");
	}
	else
	{
		diag(one("SELECT ends_in, state_age $ends"));
	}
	$client->close;
}

# Sessions that were there before the step are exact afterwards.
set_clock(-2 * $hour);
configure($node, idle_in_transaction_timeout => '200ms');
my $after = steady_client('afterwards', 'BEGIN');
is($after->wait_closed->{C}, '25P03', 'a session that comes after a step is ended');
cmp_ok($after->{told_at} - $after->{sent_at}, '>=', 0.2, 'not early');
configure($node, idle_in_transaction_timeout => '10min');

# The worker neither sleeps long nor spins.
sub cpu_ticks
{
	my ($pid) = @_;
	my (undef, @stat) = slurp_file("/proc/$pid/stat") =~ /^(.*\)) (.*)$/s;

	return (split ' ', $stat[0])[11] + (split ' ', $stat[0])[12];
}

{
	my $idle = steady_client('waiting', 'BEGIN');
	my $worker = one('SELECT worker_pid FROM hygiene.status');

	set_clock(-$hour);
	until_row($node, 'SELECT last_pass <= clock_timestamp() FROM hygiene.status');
	my ($since, $ticks) = (time, cpu_ticks($worker));

	two_passes($node) for 1 .. 2;
	my $elapsed = time - $since;
	my $used = (cpu_ticks($worker) - $ticks) / POSIX::sysconf(&POSIX::_SC_CLK_TCK);

	note sprintf 'four passes took %.2f s and %.2f s of CPU', $elapsed, $used;
	cmp_ok($used, '<', $elapsed / 2, 'the worker goes on, and does not spin');
	ok($idle->is_open, 'who has ten minutes keeps them');
	$idle->close;
}
check_views('in the end');
is(one('SELECT count(*) FROM hygiene.events WHERE measured LIKE \'-%\' OR transaction_age < \'0\''),
	'0', 'nor does any event');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|was terminated by signal/, 'nothing crashed');
$node->stop;
done_testing();
