# A day under load, in an hour: programs that do it right and wrong, leaks that
# come and go, other rules at every reload, workers that are ended, drains,
# rollbacks, names taken later, and standbys that are promoted.  In the end
# every count agrees with the truth, memory is where it was, and the file can
# be read.
#
#   DAY_SECONDS=3600 make test-long TESTS=test/lab/day/day.t
#
# Default: a minute, and three in "make test-long".  DAY_SEED repeats the choices
# of another run, but not what comes of them.

use PgHygiene;
use PgHygiene::History;
use PgHygiene::Truth;
use Time::HiRes qw(time);

my $seconds = $ENV{DAY_SECONDS} || ($ENV{PGH_LONG} ? 180 : 60);
my $seed = $ENV{DAY_SEED} || int rand 1_000_000;
diag "seed $seed, $seconds s";

my $MAX_CONNECTIONS = 120;
my @SETTINGS = (
	"max_connections = $MAX_CONNECTIONS",
	"pg_hygiene.idle_in_transaction_timeout = '2s'",
	"pg_hygiene.idle_blocker_timeout = '500ms'",
	"pg_hygiene.idle_session_timeout = '5s'",
	"pg_hygiene.transaction_timeout = '4s'",
	"pg_hygiene.cancel_grace = '1s'",
	"pg_hygiene.headroom_min_idle = '500ms'");
my @RULES = (
	'',
	'application=orders*: idle_in_transaction_timeout=500ms',
	'application=orders*: idle_action=rollback, idle_in_transaction_timeout=700ms; application=capped: connections=3',
	'application=capped: connections=5; application=checkout: reserve=5; user=app: session_lifetime=20s',
	'application=batch: exempt; application=rated: connect_rate=5; address=127.0.0.0/8: connections=10',
	(join '; ', map { "application=service-$_: connections=$_, idle_in_transaction_timeout=${_}s" } 1 .. 100),
	'application=orders*: nonsense=1');

my $node = new_node('primary', 'wal_keep_size = 64MB', 'max_wal_senders = 5', @SETTINGS);
one('CREATE TABLE items (id int PRIMARY KEY, n int)');
one('INSERT INTO items SELECT i, 0 FROM generate_series(1, 50) i');
one('GRANT ALL ON items TO app');
one('CREATE ROLE operator LOGIN SUPERUSER');

# The operator is nobody's leak.
one(q{ALTER SYSTEM SET pg_hygiene.exempt_superusers = on});
one('SELECT pg_reload_conf()');

sub pick
{
	return $_[ rand @_ ];
}

#
# The programs.  Each is a process with some connections; what it does next it
# chooses from its habits: what to say, and how long to be silent then.
#
my %PROGRAM = (
	checkout => [ 6, [ 'BEGIN; SELECT 1; COMMIT', 0.05 ], [ 'BEGIN; UPDATE items SET n = n + 1 WHERE id = (random() * 49)::int + 1; COMMIT', 0.05 ] ],
	search => [ 4, [ 'SELECT count(*) FROM items', 0.1 ], [ 'SELECT 1/0', 0.3 ] ],
	orders => [ 20, [ 'BEGIN; SELECT * FROM items WHERE id = 7', 60 ], [ 'BEGIN; SELECT 1', 60 ], [ 'SELECT 1', 0.5 ] ],
	'orders-N' => [ 15, [ 'BEGIN; SELECT 1', 60 ], [ 'SELECT 2', 0.2 ] ],
	billing => [ 5, [ 'BEGIN; UPDATE items SET n = 0 WHERE id = 1', 2 ], [ 'UPDATE items SET n = 1 WHERE id = 1', 0.1 ] ],
	queue => [ 4, [ 'BEGIN; SELECT * FROM items LIMIT 1 FOR UPDATE SKIP LOCKED', 0.6 ], [ 'COMMIT', 0.1 ] ],
	news => [ 3, [ 'LISTEN news', 10 ], [ 'NOTIFY news', 0.5 ] ],
	leader => [ 3, [ 'SELECT pg_advisory_lock(1)', 3 ], [ 'SELECT pg_advisory_unlock_all()', 0.2 ], [ 'BEGIN; SELECT pg_advisory_xact_lock(2)', 1 ] ],
	batch => [ 2, [ 'BEGIN; SELECT pg_sleep(5)', 0.1 ], [ 'COMMIT', 0.2 ] ],
	capped => [ 8, [ 'BEGIN; SELECT 1', 3 ], [ 'COMMIT', 0.3 ] ],
	renamer => [ 5, [ q{SELECT set_config('application_name', 'tenant-' || (random() * 1000)::int, false)}, 0.2 ], [ q{SET application_name = 'service-3'}, 0.5 ], [ 'BEGIN; SELECT 3', 8 ] ],
	exporter => [ 3, [ 'BEGIN; DECLARE c CURSOR FOR SELECT * FROM items; FETCH 5 FROM c', 1 ], [ 'FETCH 5 FROM c', 0.5 ], [ 'ROLLBACK', 0.1 ] ]);

sub open_one
{
	my ($name) = @_;

	$name =~ s/N$/int rand 100_000/e;
	my $client = eval { PgHygiene::Client->new($node, application => $name,
		rand() < 0.2 ? (tcp => 1) : ()) };

	return $client && !$client->{closed_at} ? { client => $client, next => 0 } : undef;
}

# Reads what has come without waiting for more; false when it is closed.
sub is_silent
{
	my ($client) = @_;

	IO::Select->new($client->{socket})->can_read(0) or return 1;
	sysread($client->{socket}, my $bytes, 65536) or return 0;
	return 1;
}

sub message
{
	my ($sql) = @_;

	return 'Q' . pack('N', 5 + length $sql) . "$sql\0";
}

# What a program does until it is told to end; it never waits for an answer,
# so that one who waits for a lock keeps nobody else.
sub run_program
{
	my ($name, $n, @habits) = @_;
	my @sessions;
	my $end = 0;

	local $SIG{TERM} = sub { $end = 1 };
	local $SIG{PIPE} = 'IGNORE';
	while (!$end)
	{
		# leaks come and go
		my $busy = $name !~ /^orders/ || (time / 20) % 3 != 0;

		for my $i (0 .. $n - 1)
		{
			if (!$sessions[$i])
			{
				$sessions[$i] = open_one($name) if $busy && rand() < 0.2;
				next;
			}
			my $session = $sessions[$i];

			if (!is_silent($session->{client}) || rand() < 0.002)
			{
				$sessions[$i] = undef;
			}
			elsif (time >= $session->{next})
			{
				my ($sql, $pause) = @{ pick(@habits) };

				syswrite $session->{client}{socket}, message($sql);
				$session->{next} = time + $pause * (0.5 + rand);
			}
		}
		select undef, undef, undef, 0.05;
	}
	$_ && close $_->{client}{socket} for @sessions;
	return;
}

my $number = 0;
my @children = map {
	my ($name, @how) = ($_, @{ $PROGRAM{$_} });

	$number++;
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		srand $seed + $number;
		eval { run_program($name, @how) };
		require POSIX;
		POSIX::_exit($@ ? 1 : 0);
	}
	$pid;
} sort keys %PROGRAM;
srand $seed;

#
# The operator.
#
my %count = map { $_ => 0 } qw(reloads workers drains standbys looks resets);
my %errors;
my $operator = PgHygiene::Client->new(
	$node,
	user => 'operator',
	application => 'operator');

sub say_to_server
{
	my ($sql) = @_;
	my $rows = $operator->try_query($sql);

	$errors{"$sql: $operator->{error}{M}"}++ if $operator->{error};
	$operator->{error} = undef;
	return $rows;
}

sub change_rules
{
	my $rules = pick(@RULES);

	# those that do not parse are not taken by ALTER SYSTEM
	append_to_file($node->data_dir . '/postgresql.conf', "\npg_hygiene.rules = '$rules'\n");
	say_to_server('SELECT pg_reload_conf()');
	$count{reloads}++;
	return;
}

sub change_mode
{
	append_to_file($node->data_dir . '/postgresql.conf',
		"\npg_hygiene.mode = " . pick(qw(enforce enforce enforce observe off)) . "\n");
	say_to_server('SELECT pg_reload_conf()');
	$count{reloads}++;
	return;
}

sub end_worker
{
	my $pid = say_to_server('SELECT worker_pid FROM hygiene.status')->[0][0];

	return unless $pid;
	kill 'TERM', $pid;
	$count{workers}++;
	return;
}

sub drain
{
	say_to_server(pick(
			q{SELECT hygiene.drain('application=search')},
			q{SELECT hygiene.drain('application=checkout', '2s')},
			q{SELECT hygiene.drain('user=app', '30s')},
			q{SELECT hygiene.stop_drain(drain) FROM hygiene.drains WHERE remaining > 0}));
	$count{drains}++;
	return;
}

sub reset_all
{
	say_to_server('SELECT hygiene.reset()');
	$count{resets}++;
	return;
}

# A copy follows, is read, is promoted, ends somebody, and agrees with itself.
sub promote_standby
{
	my $name = 'standby' . $count{standbys}++;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$node->backup($name);
	$standby->init_from_backup($node, $name, has_streaming => 1);
	$standby->append_conf('postgresql.conf', "pg_hygiene.rules = ''\npg_hygiene.mode = enforce");
	$standby->start;
	my @readers = map { PgHygiene::Client->new($standby, application => 'reader') } 1 .. 3;

	$_->try_query('BEGIN; SELECT count(*) FROM items') for @readers;
	$standby->promote;
	$_->wait_closed for @readers;
	my $session = PgHygiene::Client->new(
		$standby,
		user => 'operator',
		application => 'operator');

	$errors{"$name: $_"}++ for errors_of_views($session);
	until_row($standby, q{SELECT count(*) FROM hygiene.sessions WHERE application_name = 'reader'}, '0');
	two_passes($standby);
	$errors{"$name: $_"}++ for untruths($session);
	$session->close;
	$standby->stop;
	$standby->clean_node;
	system 'rm', '-rf', $node->backup_dir . "/$name";
	return;
}

# Two backends that live through it, and the worker while it is one.
sub memory
{
	return map { memory_of($_) } $operator->{pid},
	  $node->safe_psql('postgres', 'SELECT worker_pid FROM hygiene.status');
}

my $began = time;
my $until = $began + $seconds;
my $next_standby = $began + $seconds / 4;
my @early;
while (time < $until)
{
	my $part = (time - $began) / $seconds;

	pick(\&change_rules, \&change_rules, \&drain, $part < 0.5 ? \&end_worker : \&drain,
		\&change_mode, $part < 0.5 && rand() < 0.1 ? \&reset_all : \&drain)->();
	$errors{$_}++ for errors_of_views($operator);
	$count{looks}++;
	if ($operator->{closed_at})
	{
		$errors{'the operator was ended'}++;
		last;
	}
	if (time > $next_standby)
	{
		promote_standby();
		$next_standby += $seconds / 4;
	}
	@early = memory() if !@early && $part > 0.6;
	select undef, undef, undef, 0.5 + rand;
}
my @late = memory();

#
# The evening.
#
kill 'TERM', @children;
waitpid $_, 0 for @children;
until_row($node,
	q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'}, '0');
append_to_file($node->data_dir . '/postgresql.conf',
	"\npg_hygiene.mode = enforce\npg_hygiene.rules = ''\npg_hygiene.headroom = 0\n");
say_to_server('SELECT pg_reload_conf()');
until_row($node, q{SELECT current_setting('pg_hygiene.headroom')}, '0');
two_passes($node);

diag join ', ', map { "$_: $count{$_}" } sort keys %count;
diag 'done: ' . join ', ', map { $_ // '' } @{ $operator->query(
		q{SELECT format('%s terminated, %s evicted, %s rolled back, %s cancelled, %s refused, %s spared',
			terminated, evicted, rolled_back, cancelled, refused, spared) FROM hygiene.status})->[0] };
diag 'sessions: ' . $operator->query('SELECT sum(opened) FROM hygiene.applications')->[0][0];
is_deeply(\%errors, {}, 'no view and no command has failed');
is_deeply([ untruths($operator) ], [], 'every count agrees with the truth');
diag "kilobytes of a backend and of the worker: @early, then @late";
cmp_ok($late[$_], '<', $early[$_] + 2048, (qw(backend worker))[$_] . ': memory is where it was')
  for 0 .. 1;
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|was terminated by signal/,
	'no process has crashed');

my @all = map { client('afterwards') } 1 .. $MAX_CONNECTIONS - 10;
is(scalar(grep { $_->{error} } @all), 0, 'no place is lost');
$_->close for @all;

$operator->close;
$node->stop;
my $bytes = read_bytes(history_file($node));
is(with_checksums($bytes), $bytes, 'the file is whole');
my $position = log_position($node);
$node->start;
unlike(slurp_file($node->logfile, $position), qr/ignoring/, 'and is read');
cmp_ok(one('SELECT count(*) FROM hygiene.events'), '>', 0, 'with what has happened');
$node->stop;
done_testing();
