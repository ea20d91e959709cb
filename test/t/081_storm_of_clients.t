
# 1,000 clients at a time that connect and die at random for ten seconds, in
# "make test-long" for a minute: no session is forgotten, none is counted
# twice, and no slot is lost.

use PgHygiene;
use IO::Socket::UNIX;
use Time::HiRes qw(time);

my $seconds = $ENV{PGH_LONG} ? 60 : 10;
my $processes = 8;
my $each = 125;
my $max_connections = 1040;

my $node = new_node(
	'main',
	"max_connections = $max_connections",
	"pg_hygiene.rules = 'application=capped: connections=5; application=rated: connect_rate=5'",
	"pg_hygiene.idle_in_transaction_timeout = '1s'",
	"pg_hygiene.idle_session_timeout = '5s'",
	"pg_hygiene.headroom_min_idle = '200ms'");

$node->safe_psql('postgres', 'CREATE ROLE locked NOLOGIN; CREATE ROLE killer LOGIN SUPERUSER');

my @applications = ('storm 1', 'storm 2', 'storm 3', 'capped', 'rated', '', "\xc3\xa9" x 31);

sub pick
{
	return $_[ rand @_ ];
}

# A connection that says something and then waits, or not even that.
sub open_one
{
	my $kind = rand;

	# a socket that says nothing, or half a message
	if ($kind < 0.05)
	{
		my $socket = IO::Socket::UNIX->new(
			Peer => $node->host . '/.s.PGSQL.' . $node->port)
		  or return;
		local $SIG{PIPE} = 'IGNORE';

		syswrite $socket, pack('NN', 200, 196608) . 'user' if rand() < 0.5;
		return $socket;
	}

	my %who = (application => pick(@applications), nowait => rand() < 0.3);

	$who{dbname} = 'nowhere' if $kind > 0.95;
	$who{user} = 'nobody at all' if $kind > 0.90 && $kind <= 0.95;
	$who{user} = 'locked' if $kind > 0.85 && $kind <= 0.90;

	# the server may close while it is being talked to
	my $client = eval { PgHygiene::Client->new($node, %who) } or return;

	return $client if $who{nowait} || $client->{closed_at};
	$client->try_query(
		pick('SELECT 1', 'BEGIN', 'BEGIN; SELECT 1/0', "SET application_name = 'renamed'",
			'LISTEN x', 'SELECT pg_advisory_lock_shared(1)'));
	$client->send_query('SELECT pg_sleep(0.3)') if rand() < 0.1;
	return $client;
}

# What becomes of it.
sub close_one
{
	my ($client, $killer) = @_;

	return if ref $client ne 'PgHygiene::Client' || $client->{closed_at};

	# dropped without a word, the process gone; or properly; or ended by others
	my $end = rand;

	if ($end < 0.3)
	{
		$client->close if !$client->{sent_at} || $client->{replied_at};
	}
	elsif ($end < 0.5 && $client->{pid})
	{
		$killer->try_query("SELECT pg_terminate_backend($client->{pid})");
	}
	return;
}

# One process with many clients; it ends by SIGKILL, with all of them open.
sub storm
{
	my ($until) = @_;
	my @open;
	my $killer = PgHygiene::Client->new(
		$node,
		user => 'killer',
		application => 'killer');

	while (time < $until)
	{
		push @open, open_one() // ();
		close_one(splice(@open, rand @open, 1), $killer) if @open > $each;
	}
	kill 'KILL', $$;
	return;
}

my @children;
for my $n (1 .. $processes)
{
	my $pid = fork;

	die "fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		srand $n;
		eval { storm(time + $seconds); };
		print STDERR $@ if $@;
		kill 'KILL', $$;
	}
	push @children, $pid;
}

# Meanwhile the views are read, and never show nonsense.
my $superuser = PgHygiene::Client->new(
	$node,
	user => 'killer',
	application => 'watcher');
my $nonsense = 0;
my $looks = 0;
my $most = 0;
my $until = time + $seconds;
while (time < $until)
{
	my $row = $superuser->query(
		qq{SELECT max(connections), count(*) FILTER (WHERE connections < 0
			OR connections > $max_connections OR peak_connections > $max_connections)
		FROM hygiene.applications})->[0];

	$looks++;
	$nonsense += $row->[1];
	my $used = $superuser->query('SELECT used FROM hygiene.status')->[0]->[0];

	$most = $used if $used > $most;
	select undef, undef, undef, 0.05;
}
for my $pid (@children)
{
	waitpid $pid, 0;
	is($? & 127, 9, 'a process of the storm was killed as it should be');
}
is($nonsense, 0, "no count was out of bounds at $looks looks");
note "up to $most slots were in use";
cmp_ok($most, '>', 200, 'there was a storm');

#
# All of them are gone.
#
my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;
my $left;
do
{
	select undef, undef, undef, 0.05;
	$left = $superuser->query(
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'})->[0]->[0];
} while ($left > 1 && time < $give_up);
is($left, 1, 'all but one session of the storm are gone');
my $rows = $superuser->query(
	q{SELECT application_name, connections, opened, closed, opened - closed, refused
	FROM hygiene.applications WHERE application_name <> 'watcher' ORDER BY 1});
my ($opened, $refused) = (0, 0);
for my $row (@$rows)
{
	my ($name, $connections, $n, $closed, $difference, $no) = @$row;

	is("$connections $difference", '0 0', "\"$name\": $n opened, $closed closed");
	$opened += $n;
	$refused += $no;
}
note "$opened sessions, $refused connections refused";
cmp_ok($opened, '>', 1000, 'many sessions');
cmp_ok($refused, '>', 0, 'and some that were refused');
is( $superuser->query(
		q{SELECT connections, opened - closed FROM hygiene.applications
		WHERE application_name = 'watcher'})->[0]->[0],
	1,
	'the one that is left is counted');
is( $superuser->query('SELECT count(*) FROM hygiene.sessions')->[0]->[0],
	1, 'and seen');
is( $superuser->query(q{SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'})->[0]->[0],
	0, 'no request is left open');
is( $superuser->query(
		q{SELECT s.terminated = sum(a.terminated) AND s.evicted = sum(a.evicted)
			AND s.refused = sum(a.refused) AND s.spared = sum(a.spared)
		FROM hygiene.status s, hygiene.applications a
		GROUP BY s.terminated, s.evicted, s.refused, s.spared})->[0]->[0],
	't', 'the totals are the sums of the applications');
unlike(slurp_file($node->logfile),
	qr/PANIC|TRAP|was terminated by signal/, 'no process of the server crashed');

# Every slot can be had again.
$superuser->close;
$node->safe_psql('postgres',
	'ALTER SYSTEM SET pg_hygiene.rules = \'\'; ALTER SYSTEM SET pg_hygiene.headroom = 0; SELECT pg_reload_conf()');
until_row($node, "SELECT current_setting('pg_hygiene.headroom')", '0');
my @all = map {
	client('afterwards')
} 1 .. $max_connections - 10;
is(scalar(grep { $_->{error} } @all), 0, 'no slot is lost');
$_->close for @all;

$node->stop;
done_testing();
