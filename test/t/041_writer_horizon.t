
# Idle transactions that have written, and those that hold VACUUM back: which
# ones these are, on a primary and on a standby; and where several limits
# apply, that the earliest acts and is named everywhere.

use PgHygiene;
use IO::Select;

my $LIMIT = 0.3;
my $ROUNDS = 3;
my $MEDIAN = 0.05;    # seconds between ends_in and the end

my $node = new_node(
	'primary',
	'hot_standby_feedback = off',
	'autovacuum = off',
	"pg_hygiene.rules = 'application=writer: idle_writer_timeout=300ms; application=reader: horizon_limit=20'");

my $MESSAGE = 'terminating connection due to idle-in-transaction timeout';

$node->safe_psql(
	'postgres', q{
	CREATE ROLE boss LOGIN SUPERUSER;
	CREATE TABLE t (i int PRIMARY KEY, n int DEFAULT 0);
	INSERT INTO t SELECT generate_series(1, 20);
	CREATE TABLE ids (i int);
	GRANT ALL ON t TO app});
my $boss = PgHygiene::Client->new($node, user => 'boss');

sub client_on
{
	my ($where, $application, @statements) = @_;
	my $client = client($application, on => $where);

	$client->try_query($_) for @statements;
	return $client;
}

# Columns of the first row, nulls as nothing.
# Use up so many transaction ids.
sub burn
{
	my ($n) = @_;

	$boss->query('INSERT INTO ids VALUES (0)') for 1 .. $n;
	return;
}

#
# What a transaction holds: statements, whether they have written, and
# whether VACUUM is held back.
#
my @kinds = (
	[ 'a SELECT', 0, 0, 'BEGIN', 'SELECT * FROM t' ],
	[ 'an UPDATE of no rows', 0, 0, 'BEGIN', 'UPDATE t SET n = 1 WHERE i = 1000' ],
	[ 'an UPDATE', 1, 1, 'BEGIN', 'UPDATE t SET n = 1 WHERE i = %d' ],
	[ 'a row lock', 1, 1, 'BEGIN', 'SELECT * FROM t WHERE i = %d FOR UPDATE' ],
	[ 'an UPDATE that was undone', 1, 1, 'BEGIN', 'SAVEPOINT s', 'UPDATE t SET n = 1 WHERE i = %d', 'ROLLBACK TO s' ],
	[ 'an UPDATE, then an error', 0, 0, 'BEGIN', 'UPDATE t SET n = 1 WHERE i = %d', 'SELECT 1/0' ],
	[ 'an open cursor', 0, 1, 'BEGIN', 'DECLARE c CURSOR FOR SELECT * FROM t', 'FETCH c' ],
	[ 'a closed cursor', 0, 0, 'BEGIN', 'DECLARE c CURSOR FOR SELECT * FROM t', 'FETCH c', 'CLOSE c' ],
	[ 'REPEATABLE READ', 0, 0, 'BEGIN ISOLATION LEVEL REPEATABLE READ' ],
	[ 'REPEATABLE READ and a SELECT', 0, 1, 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT * FROM t' ],
	[ 'REPEATABLE READ and an UPDATE of no rows', 0, 1, 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'UPDATE t SET n = 1 WHERE i = 1000' ],
	[ 'SERIALIZABLE and a SELECT', 0, 1, 'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY', 'SELECT * FROM t' ],
);

# Each kind once, each on a row of its own.
sub cast_of
{
	my ($application, $first_row) = @_;
	my @clients;

	for my $kind (@kinds)
	{
		my ($name, $writes, $pins, @statements) = @$kind;
		my $row = $first_row + @clients;
		my $client =
		  client_on($node, $application, map { s/%d/$row/r } @statements);

		@$client{qw(name writes pins)} = ($name, $writes, $pins);
		push @clients, $client;
	}
	return @clients;
}

my @idlers = cast_of('idler', 1);
for my $client (@idlers)
{
	is( of_session('wrote::int, (xmin_age IS NOT NULL)::int', $client),
		"$client->{writes}|$client->{pins}",
		"$client->{name}: what it holds");
}

# The same as core says.
my $same = q{
	SELECT string_agg(DISTINCT (s.xmin_age
			IS NOT DISTINCT FROM greatest(age(backend_xmin), age(backend_xid)))::text, ','),
		count(s.xmin_age)
	FROM hygiene.sessions s JOIN pg_stat_activity a USING (pid)
	WHERE s.application_name = 'idler'};
my $pinning = grep { $_->{pins} } @idlers;
is(one($same), "true|$pinning", 'xmin_age is that of pg_stat_activity');
burn(6);
is(one($same), "true|$pinning", 'also when it has grown');
is( one("SELECT min(xmin_age) >= 6 FROM hygiene.sessions WHERE application_name = 'idler'"),
	't', 'and grown it has');
$_->close for @idlers;

#
# Writers.
#
my @writers = cast_of('writer', 1);
for my $client (grep { $_->{writes} } @writers)
{
	my $last = $client->wait_closed;

	is($last->{C}, '25P03', "$client->{name}: SQLSTATE");
	is($last->{M}, $MESSAGE, "$client->{name}: message");
	like(
		$last->{D},
		qr/^Application "writer" left a transaction that had written idle for (?:[3-9]\d\d ms|\d+\.\d s); rule 1 \(application=writer\) allows 300 ms\.$/,
		"$client->{name}: DETAIL");
	like($last->{H}, qr/^Commit or roll back as soon as the rows are written\./,
		"$client->{name}: HINT");

	# the reply may have taken its time to reach us
	cmp_ok($client->{told_at} - $client->{sent_at}, '>=', $LIMIT,
		"$client->{name}: not early");
	is( one("SELECT action, outcome, reason, rule, wrote, limit_setting, measured::interval >= '300 ms' FROM hygiene.events WHERE pid = $client->{pid}"),
		'terminate|done|idle_writer_timeout|1|t|300ms|t',
		"$client->{name}: event");
}
my @others = grep { !$_->{writes} } @writers;
outlives($node, $others[-1], 700);
ok($_->is_open, "$_->{name}: has not written, and stays") for @others;
is(of_session('limit_name', $others[0]), 'idle_in_transaction_timeout',
	'the next limit is another one');
$_->close for @others;

#
# The horizon.
#
my @readers = cast_of('reader', 1);
my @pinning = grep { $_->{pins} } @readers;
my $busy = client_on($node, 'reader',
	'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT * FROM t');
$busy->send_query("SELECT pg_sleep(8)");
burn(5);
outlives($node, $readers[-1], 300);
is(scalar(grep { $_->is_open } @readers), scalar @readers,
	'before the horizon is far away nobody is ended');
is(of_session('limit_name, ends_in IS NULL', $pinning[0]),
	'idle_in_transaction_timeout|f', 'nor shown to be, for who knows when that is');
burn(20);
for my $client (@pinning)
{
	my $last = $client->wait_closed;

	is($last->{C}, '25P03', "$client->{name}: SQLSTATE");
	is($last->{M}, $MESSAGE, "$client->{name}: message");
	like(
		$last->{D},
		qr/^Application "reader" left a transaction idle that holds back VACUUM by \d+ transaction ids; rule 2 \(application=reader\) allows 20\.$/,
		"$client->{name}: DETAIL");
	like($last->{H}, qr/^Commit or roll back when the rows are read: an open snapshot keeps VACUUM/,
		"$client->{name}: HINT");
	is( one("SELECT action, outcome, reason, rule, measured::int >= 20, limit_setting FROM hygiene.events WHERE pid = $client->{pid}"),
		'terminate|done|horizon_limit|2|t|20',
		"$client->{name}: event");
}
two_passes($node);
ok($_->is_open, "$_->{name}: holds nothing back, and stays")
  for grep { !$_->{pins} } @readers;
ok($busy->is_open, 'one at work is not ended, whatever it holds back');
is(of_session('state, xmin_age >= 20, limit_name', $busy), 'active|t|', 'nor shown to be');
$busy->wait_ready;
is($busy->{failed}, undef, 'and its statement ends well');
is($busy->wait_closed->{C}, '25P03', 'but no longer than that');
cmp_ok($busy->{told_at} - $busy->{replied_at}, '<', 5, 'it has had its time');
$_->close for @readers;

#
# Several limits: the earliest acts, and all name it.
#
# For each application its limits in milliseconds, the statements of its
# session, and what acts.
my %LIMITS = (
	I => 'idle_in_transaction_timeout',
	W => 'idle_writer_timeout',
	B => 'idle_blocker_timeout',
	S => 'idle_session_timeout',
	T => 'transaction_timeout',
	H => 'horizon_limit');
my $write = 'INSERT INTO t (i) VALUES (%d)';
my $work = 'SELECT pg_sleep(0.5)';
my @contests = (
	[ { I => 1300, W => 1700, T => 2100 }, 'I', 'BEGIN', $write ],
	[ { I => 1700, W => 1300, T => 2100 }, 'W', 'BEGIN', $write ],
	[ { I => 2100, W => 1700, T => 1300 }, 'T', 'BEGIN', $write ],
	[ { I => 1300, W => 1100, T => 2100 }, 'I', 'BEGIN', 'SELECT 1' ],
	[ { I => 1350, B => 1200 }, 'I', 'BEGIN', $write ],
	[ { I => 2800, W => 3100, B => 1400, T => 3500 }, 'B', 'BEGIN', $write, 'waiter' ],
	[ { I => 1400, B => 1800 }, 'I', 'BEGIN', $write, 'waiter' ],
	[ { I => 1350, T => 1600 }, 'T', 'BEGIN', $work, 'SELECT 1' ],
	[ { I => 1350, T => 3700 }, 'I', 'BEGIN', $work, 'SELECT 1' ],
	[ { S => 1400, I => 1100, T => 1100 }, 'S', 'SELECT 1' ],
	[ { S => 1100, I => 1400 }, 'I', 'BEGIN' ],
	[ { S => 1100, T => 1450 }, 'T', 'BEGIN', 'SELECT 1/0', 'ROLLBACK', 'BEGIN' ],
	[ { I => 1300, H => 1000000 }, 'I', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1' ],
);
my @names = map { "contest-$_" } 'a' .. 'z';
my %codes = (S => '57P05', T => '25P04');

sub rules_of_contests
{
	my @rules;

	for my $i (0 .. $#contests)
	{
		my $limits = $contests[$i]->[0];

		push @rules,
		  "application=$names[$i]: " . join ', ',
		  map { "$LIMITS{$_}=$limits->{$_}" } sort keys %$limits;
	}
	return join '; ', @rules;
}

sub contest
{
	my ($round) = @_;
	my (@clients, @waiters, @errors);

	for my $i (0 .. $#contests)
	{
		my (undef, undef, @statements) = @{ $contests[$i] };
		my $row = 1000 * $round + $i;

		push @clients, client_on($node, $names[$i],
			map { s/%d/$row/r } grep { $_ ne 'waiter' } @statements);
		next if $statements[-1] ne 'waiter';
		push @waiters, client_on($node, 'waiter');
		$waiters[-1]->send_query("INSERT INTO t (i) VALUES ($row)");
	}
	# on a slow machine they may have waited already
	until_row($node,
		q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'waiter'
			AND (wait_event_type = 'Lock' OR state = 'idle' AND query LIKE 'INSERT%')},
		scalar @waiters);
	my $rows = $boss->query(
		q{SELECT application_name, limit_name, limit_setting,
			extract(epoch FROM clock_timestamp() + ends_in)
		FROM hygiene.sessions WHERE application_name LIKE 'contest-%'});
	my %shown = map { $_->[0] => $_ } @$rows;

	# each is to be read from when it ends
	my %by_handle = map { $_->socket => $_ } @clients;
	my $select = IO::Select->new(map { $_->socket } @clients);
	while ($select->count)
	{
		for my $client (map { $by_handle{$_} }
			$select->can_read($PostgreSQL::Test::Utils::timeout_default))
		{
			$client->receive;
			$select->remove($client->socket) if $client->{closed_at};
		}
	}

	for my $i (0 .. $#contests)
	{
		my ($limits, $first) = @{ $contests[$i] };
		my $client = $clients[$i];
		my $name = "round $round, " . join ' ',
		  map { "$_=$limits->{$_}" } sort keys %$limits;
		my $setting = "$limits->{$first}ms";
		my $last = $client->{error};

		is($last->{C}, $codes{$first} || '25P03', "$name: SQLSTATE");
		like($last->{D}, qr/; rule \d+ \(application=$names[$i]\) allows $limits->{$first} ms\.$/,
			"$name: DETAIL");
		is( one("SELECT reason, limit_setting FROM hygiene.events WHERE pid = $client->{pid}"),
			"$LIMITS{$first}|$setting",
			"$name: event");

		# on a slow machine it may be gone before we can look
		next unless $shown{ $names[$i] };
		is(join('|', @{ $shown{ $names[$i] } }[ 1, 2 ]),
			"$LIMITS{$first}|$setting",
			"$name: hygiene.sessions");
		push @errors, abs $client->{told_at} - $shown{ $names[$i] }->[3];
		note sprintf '%s: ends_in was wrong by %.1f ms', $name, $errors[-1] * 1000;
	}
	$_->wait_ready for @waiters;
	$_->close for @waiters;
	@errors = sort { $a <=> $b } @errors;
	note sprintf 'round %d: error of ends_in: p50 %.1f ms, max %.1f ms',
	  $round, $errors[ $#errors / 2 ] * 1000, $errors[-1] * 1000;
	return $errors[ $#errors / 2 ];
}

# Whole seconds are printed as such.
is( one("SELECT string_agg(settings, ' ') ~ '\\d000ms' FROM hygiene.check_rules('"
		  . rules_of_contests() . "')"), 'f', 'settings are printed as they are written');
configure($node, rules => rules_of_contests());
my $median;
for my $round (1 .. $ROUNDS)
{
	$median = contest($round);
	last if $median <= $MEDIAN;
}
cmp_ok($median, '<=', $MEDIAN, 'ends_in is when it ends');

# A horizon that is past is earlier than any time.
configure($node,
	rules => 'application=past: horizon_limit=1, idle_in_transaction_timeout=100ms');
my $past = client_on($node, 'past', 'BEGIN ISOLATION LEVEL REPEATABLE READ',
	'SELECT * FROM t', 'SELECT pg_sleep(0)');
$past->send_query('SELECT pg_sleep(0.5)');
burn(2);
$past->wait_ready;
like($past->wait_closed->{D}, qr/ holds back VACUUM by \d+ transaction ids; rule 1 \(application=past\) allows 1\.$/,
	'a horizon that is past comes first');

#
# On a standby.
#
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->append_conf('postgresql.conf',
	"max_standby_streaming_delay = -1
pg_hygiene.idle_writer_timeout = '100ms'
pg_hygiene.horizon_limit = 20
pg_hygiene.rules = ''");
unlink $standby->data_dir . '/postgresql.auto.conf';
$standby->start;

my $committed = client_on($standby, 'rc', 'BEGIN', 'SELECT * FROM t');
my $snapshot = client_on($standby, 'rr', 'BEGIN ISOLATION LEVEL REPEATABLE READ',
	'SELECT * FROM t');
my $shown = q{SELECT wrote, xmin_age IS NOT NULL, limit_name FROM hygiene.sessions WHERE pid = };
is($standby->safe_psql('postgres', $shown . $committed->{pid}),
	'f|f|idle_in_transaction_timeout',
	'standby: READ COMMITTED holds nothing');
is($standby->safe_psql('postgres', $shown . $snapshot->{pid}),
	'f|t|idle_in_transaction_timeout',
	'standby: REPEATABLE READ holds a snapshot');
ok(outlives($standby, $snapshot, 300), 'standby: which is none of the writer limit');
burn(20);
$node->wait_for_catchup($standby, 'replay');
my $last = $snapshot->wait_closed;
is($last->{C}, '25P03', 'standby: ended for its horizon');
like($last->{D},
	qr/^Application "rr" left a transaction idle that holds back VACUUM by 2\d transaction ids; pg_hygiene\.horizon_limit allows 20\.$/,
	'standby: DETAIL');
is( $standby->safe_psql('postgres', "SELECT outcome, reason, wrote FROM hygiene.events WHERE pid = $snapshot->{pid}"),
	'done|horizon_limit|f', 'standby: event');
two_passes($standby);
ok($committed->is_open, 'standby: READ COMMITTED stays');

is($_->safe_psql('postgres', "SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'"),
	'0', 'no event is left pending') for $node, $standby;
$standby->stop;
$node->stop;
done_testing();
