
# A transaction that is too old: its statement is cancelled, and if it is
# still open after the grace its session is ended, whatever it does then.

use PgHygiene;
use IO::Select;
use Time::HiRes qw(time);

my $LIMIT = 0.3;
my $GRACE = 0.5;
my $SLEEP = 'SELECT pg_sleep(600)';

my $node = new_node(
	'main',
	'max_prepared_transactions = 2',
	"pg_hygiene.transaction_timeout = '300ms'",
	"pg_hygiene.cancel_grace = '500ms'");

my $CANCELLED = 'canceling statement due to transaction timeout';
my $ENDED = 'terminating connection due to transaction timeout';

# More follows where it can be told what the program does wrong.
my $HINT =
  'Split the work into shorter transactions, or ask for a rule that allows this program more.';

sub detail
{
	my ($application) = @_;

	return
	  qr/^Application "$application" kept a transaction open for (?:[3-9]\d\d ms|\d+\.\d s); pg_hygiene\.transaction_timeout allows 300 ms\.$/;
}

# action:outcome of the session's events, which all have this limit's name.
sub story
{
	my ($client) = @_;

	return one(
		qq{
		SELECT coalesce(string_agg(action || ':' || outcome, ' ' ORDER BY event_id), '')
		FROM hygiene.events
		WHERE pid = $client->{pid} AND reason = 'transaction_timeout'
			AND limit_setting = '300ms' AND rule IS NULL
			AND measured::interval >= '300 ms'});
}

sub check_cancelled
{
	my ($name, $client) = @_;
	my $error = $client->{error} || {};

	is($error->{C}, '57014', "$name: SQLSTATE");
	is($error->{S}, 'ERROR', "$name: an error, not the end");
	is($error->{M}, $CANCELLED, "$name: message");
	like($error->{D}, detail($name), "$name: DETAIL");
	like($error->{H}, qr/^\Q$HINT\E/, "$name: HINT");
	return;
}

sub check_ended
{
	my ($name, $client) = @_;
	my $last;

	# one that lives on must not keep the other tests waiting for long
	eval {
		local $PostgreSQL::Test::Utils::timeout_default = 30;
		$last = $client->wait_closed;
	};
	is($@, '', "$name: the session is ended");
	is($last->{C}, '25P04', "$name: SQLSTATE at the end");
	is($last->{M}, $ENDED, "$name: message at the end");
	like($last->{D}, detail($name), "$name: DETAIL at the end");
	like($last->{H}, qr/^\Q$HINT\E/, "$name: HINT at the end");
	return;
}

one('CREATE TABLE t (i int); CREATE ROLE boss LOGIN SUPERUSER; GRANT ALL ON t TO app');

# BEGIN goes in one message with what follows: on a slow machine the limit could
# be over between two, and then there is no statement to be cancelled.

#
# Cancelled, and the transaction left as it is.
#
my $position = log_position($node);
my $client = client('left');
$client->try_query("BEGIN; $SLEEP");
my $begun = $client->{sent_at};
my $cancelled = $client->{replied_at};
cmp_ok($cancelled - $begun, '>=', $LIMIT, 'left: not cancelled early');
check_cancelled('left', $client);
ok($client->is_open || time - $cancelled >= $GRACE, 'left: the session goes on');
check_ended('left', $client);
cmp_ok(($client->{told_at} || 0) - $begun, '>=', $LIMIT + $GRACE, 'left: not ended early');
is(story($client), 'cancel:done terminate:done', 'left: both are recorded');
my $log = slurp_file($node->logfile, $position);
like(
	$log,
	qr/\[$client->{pid}\] left SELECT ERROR:  $CANCELLED$/m,
	'left: the log has the cancellation');
like($log, qr/\[$client->{pid}\] left \S.* FATAL:  $ENDED$/m, 'left: and the end');
is(scalar(() = $log =~ /DETAIL:  Application "left" kept a transaction open/g),
	2, 'left: with their DETAIL');
is( one(q{SELECT cancelled, terminated, spared FROM hygiene.applications
		WHERE application_name = 'left'}),
	'1|1|0', 'left: both are counted for the application');
is(one('SELECT cancelled, terminated, spared FROM hygiene.status'),
	'1|1|0', 'left: and for the server');

#
# Cancelled, and rolled back in time; there is more of that, for a slow machine.
#
my $MORE_GRACE = 3;
configure($node, rules => "application=honest: cancel_grace=${MORE_GRACE}s");
my $honest = client('honest');
$honest->try_query("BEGIN; $SLEEP");
check_cancelled('honest', $honest);
$honest->query('ROLLBACK');
my $rolled_back = one('SELECT clock_timestamp()');

# What follows runs beside it.

#
# Cancelled, and goes on in the same transaction.
#
$client = client('stubborn');
$client->try_query("BEGIN; SAVEPOINT s; $SLEEP");
$begun = $client->{sent_at};
check_cancelled('stubborn', $client);
$client->try_query("ROLLBACK TO s; $SLEEP");
check_ended('stubborn', $client);
cmp_ok($client->{told_at} - $begun, '>=', $LIMIT + $GRACE, 'stubborn: not early');
is(story($client), 'cancel:done terminate:done', 'stubborn: as recorded');

# A program that swallows the cancellation, so that nobody is told of it.
$client = client('deaf');
$client->try_query(
	q{
	DO $$ BEGIN
		LOOP
			BEGIN
				PERFORM pg_sleep(600);
			EXCEPTION WHEN query_canceled THEN
				NULL;
			END;
		END LOOP;
	END $$});
check_ended('deaf', $client);
is(story($client), 'cancel:spared terminate:done', 'deaf: as recorded');

#
# Idle: there is nothing to cancel.
#
for (1 .. 5)
{
	$client = client('idle');
	$client->try_query('BEGIN; SELECT pg_sleep(0.1)');
	$begun = $client->{sent_at};
	last unless $client->{error};    # a slow machine slept longer
	$client->close;
}
check_ended('idle', $client);
cmp_ok($client->{told_at} - $begun, '>=', $LIMIT, 'idle: not early');
is(story($client), 'terminate:done', 'idle: ended at once');
is(one("SELECT state FROM hygiene.events WHERE pid = $client->{pid}"),
	'idle in transaction', 'idle: the event knows what it did');

# A transaction that has failed by itself is one all the same, although core
# forgets when it began.
$client = client('failed');
$client->try_query('BEGIN; SELECT 1/0');
$begun = $client->{sent_at};
is( one(qq{SELECT state, transaction_age < '1 min' FROM hygiene.sessions
		WHERE pid = $client->{pid}}) || 'idle in transaction (aborted)|t',
	'idle in transaction (aborted)|t', 'failed: its age is known');
check_ended('failed', $client);
cmp_ok($client->{told_at} - $begun, '>=', $LIMIT, 'failed: not early');
is(story($client), 'terminate:done', 'failed: ended at once');

# The age is that of the transaction, however busy it is.
$client = client('busy');
$client->query('BEGIN');
$begun = $client->{sent_at};
do
{
	$client->try_query('SELECT pg_sleep(0.02)');
} until $client->{error} || $client->{closed_at};
cmp_ok($client->{replied_at} - $begun, '>=', $LIMIT, 'busy: not early')
  if $client->{replied_at};
like($client->{error}->{C}, qr/^(?:57014|25P04)$/, 'busy: many short statements are no way out');
$client->close;

#
# Where errors are not logged nobody can complete the message; what was done is
# recorded all the same, and the grace holds.
#
one("ALTER ROLE app SET log_min_messages = fatal");
$client = client('unlogged');
$client->try_query("BEGIN; $SLEEP");
$begun = $client->{sent_at};
is($client->{error}->{M}, 'canceling statement due to user request',
	'unlogged: cancelled');
check_ended('unlogged', $client);
cmp_ok($client->{told_at} - $begun, '>=', $LIMIT + $GRACE, 'unlogged: not early');
is(story($client), 'cancel:done terminate:done', 'unlogged: as recorded');
one('ALTER ROLE app RESET log_min_messages');

#
# A statement without BEGIN is a transaction too.
#
$client = client('implicit');
$client->try_query($SLEEP);
check_cancelled('implicit', $client);
until_row($node,
	"SELECT state_age > '1 s' FROM hygiene.sessions WHERE pid = $client->{pid}");
two_passes($node);
ok($client->is_open, 'implicit: the session is not ended');
is(story($client), 'cancel:done', 'implicit: as recorded');
$client->close;

$client = client('extended');
eval { $client->extended($SLEEP); };
check_cancelled('extended', $client);
$client->close;

until_row($node, "SELECT now() > '$rolled_back'::timestamptz + '$MORE_GRACE s'");
two_passes($node);
ok($honest->is_open, 'honest: who has rolled back in time stays');
is(story($honest), 'cancel:done', 'honest: as recorded');
is($honest->query('SELECT 42')->[0]->[0], '42', 'honest: and can work');
$honest->close;

#
# Clients that stall: nothing can be cancelled while the server waits for them.
#
for my $begin ('BEGIN', 'SELECT 1')
{
	my $copy = client('copy');
	my $sql = 'COPY t FROM STDIN';

	$copy->query($begin) if $begin ne 'BEGIN';
	$copy->copy_in($begin eq 'BEGIN' ? "BEGIN; $sql" : $sql);
	$begun = $copy->{sent_at};
	check_ended('copy', $copy);
	cmp_ok($copy->{told_at} - $begun, '>=', $LIMIT + $GRACE, "copy after $begin: not early");
	is(story($copy), 'cancel:spared terminate:done',
		"copy after $begin: not cancelled, but ended");
}
is(one('SELECT count(*) FROM t'), '0', 'copy: nothing was stored');

# Between two messages of a pipeline a session is at work, but core ignores a
# cancel there.
for my $more (0, 1)
{
	my $pipeline = client('pipeline');

	$pipeline->pipeline('SELECT 1');
	$begun = $pipeline->{sent_at};
	if ($more)
	{
		until_row($node, "SELECT count(*) = 1 FROM hygiene.events WHERE pid = $pipeline->{pid}");
		$pipeline->pipeline('SELECT 2');
	}
	check_ended('pipeline', $pipeline);
	cmp_ok($pipeline->{told_at} - $begun, '>=', $LIMIT + $GRACE, 'pipeline: not early');
	like(story($pipeline), $more ? qr/^cancel:\w+ terminate:done$/ : qr/^cancel:spared terminate:done$/,
		'pipeline: not cancelled, but ended');
}

# One that sends until it cannot: on a slow machine it may be cancelled before.
my $reader;
$position = log_position($node);
for (1 .. 3)
{
	$reader = client('reader');
	$reader->query('SET jit = off');
	$reader->send_query(
		q{SELECT repeat('x', 1000), generate_series(1, 100000000)});
	until_row($node,
		"SELECT count(*) FROM pg_stat_activity WHERE pid = $reader->{pid} AND state = 'active'",
		'0');
	last unless story($reader) eq 'cancel:done';
}
is(story($reader), 'cancel:spared terminate:done',
	'reader: a client that does not read its result is ended');
wait_log($node, qr/\[$reader->{pid}\] reader .*FATAL:  $ENDED\n/, $position);
like(slurp_file($node->logfile, $position),
	qr/\[$reader->{pid}\] .*DETAIL:  Application "reader" kept a transaction open for/,
	'reader: the log says why');
$reader->wait_closed;

#
# Who asks for a cancellation himself is told so.
#
one("ALTER ROLE app SET statement_timeout = '100ms'");
for (1 .. 5)
{
	$client = client('own');
	$client->try_query("BEGIN; $SLEEP");
	last if $client->{error}->{M} !~ /transaction timeout/;    # both at once
	$client->close;
}
is($client->{error}->{M}, 'canceling statement due to statement timeout',
	'a statement timeout keeps its message');
$client->close;
one('ALTER ROLE app RESET statement_timeout');

# on a slow machine the transaction may become too old before anybody looks
$client = client('own');
$client->send_query($SLEEP);
until_row($node,
	"SELECT state = 'active' OR EXISTS (SELECT FROM hygiene.events e WHERE e.pid = s.pid)
	FROM hygiene.sessions s WHERE pid = $client->{pid}");
one("SELECT pg_cancel_backend($client->{pid})");
$client->wait_ready;
like($client->{error}->{M},
	qr/^canceling statement due to (?:user request|transaction timeout)$/,
	'a cancelled statement has one reason');
is($client->{error}->{D}, undef, 'and no DETAIL if it is not ours')
  if $client->{error}->{M} =~ /user request/;
$client->close;

#
# Who is never touched: superusers, prepared transactions.
#
my $boss = client('boss', user => 'boss');
$boss->query('BEGIN');
$client = client('preparer');
$client->query("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'p'");
until_row($node,
	"SELECT now() - prepared > '1200 ms' FROM pg_prepared_xacts");
two_passes($node);
is(one("SELECT gid FROM pg_prepared_xacts"), 'p', 'a prepared transaction stays');
ok($boss->is_open, 'and a superuser');
is(story($client) . story($boss), '', 'without a word');
one("ROLLBACK PREPARED 'p'");
$_->close for $boss, $client;

#
# observe: recorded once, and nothing done.
#
configure($node, mode => 'observe');
$client = client('observed');
$client->send_query("SELECT pg_sleep(1.2)");
$client->wait_ready;
is($client->{error}, undef, 'observe cancels nothing');
is(story($client), 'cancel:observed', 'and records it once');
$client->close;
configure($node, mode => undef);

#
# A transaction is never cancelled or ended for the age of the one before:
# clients whose transactions end just about when the limit is reached, and who
# begin the next one at once.
#
my $RACE_LIMIT = 0.06;
my $RACERS = 8;
my $RACE_TIME = 3;
my %count = (done => 0, cancelled => 0, ended => 0, early => 0, other => 0);

configure($node,
	rules => 'application=racer: transaction_timeout=60ms, cancel_grace=20ms');

sub start_race
{
	my ($racer) = @_;

	$racer->{replied_at} = undef;
	$racer->send_query(
		sprintf 'BEGIN; SELECT pg_sleep(%.4f); COMMIT',
		$RACE_LIMIT - 0.003 + rand 0.006);
	$racer->{race_at} = $racer->{sent_at};
	return;
}

# One of them has an answer: judge it, and on to the next.
sub finish_lap
{
	my ($racer) = @_;
	my $error = $racer->{error};
	my $age = time - $racer->{race_at};
	my $least = $RACE_LIMIT;

	if (!$error)
	{
		$count{done}++;
	}
	elsif ($error->{C} eq '57014')
	{
		$count{cancelled}++;
	}
	elsif ($error->{C} eq '25P04')
	{
		$count{ended}++;
		$least += 0.02;
	}
	else
	{
		$count{other}++;
	}
	if ($error)
	{
		my ($told) = $error->{D} =~ /open for (\d+) ms;/;

		$count{early}++ if $age < $least || defined $told && $told < 60;
	}
	return;
}

my @racers = map { client('racer') } 1 .. $RACERS;
start_race($_) for @racers;
my $over = time + $RACE_TIME;
while (time < $over)
{
	my %by_handle = map { $_->socket => $_ } @racers;

	for my $handle (IO::Select->new(map { $_->socket } @racers)->can_read(1))
	{
		my $racer = $by_handle{$handle};

		$racer->receive;
		next unless $racer->{replied_at} || $racer->{closed_at};
		finish_lap($racer);
		if ($racer->{closed_at})
		{
			$racer = client('racer');
			@racers = ((grep { !$_->{closed_at} } @racers), $racer);
		}
		elsif ($racer->{error})
		{
			$racer->try_query('ROLLBACK');
			next if $racer->{closed_at};
		}
		start_race($racer);
	}
}
note join ', ', map { "$_ $count{$_}" } sort keys %count;
cmp_ok($count{cancelled}, '>=', 10, 'the race was one: some were too late');
is($count{early}, 0, 'nobody was cancelled or ended for a transaction before');
is($count{other}, 0, 'nor for anything else');
one("SELECT pg_terminate_backend(pid) FROM hygiene.sessions WHERE application_name = 'racer'");
$_->wait_closed for @racers;
until_row($node,
	"SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'", '0');
is( one(q{
	SELECT count(*) FROM hygiene.events
	WHERE measured::interval < limit_setting::interval
		OR transaction_age < limit_setting::interval}),
	'0', 'no event is of a transaction younger than its limit');

$node->stop;
done_testing();
