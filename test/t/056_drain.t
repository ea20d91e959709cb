
# hygiene.drain() ends the sessions that it matches between two transactions:
# none of these is broken, nobody else is touched, and what has become of it is
# shown.

use PgHygiene;
use Time::HiRes qw(time);

my $node = new_node('main');
$node->safe_psql(
	'postgres', q{
	CREATE ROLE boss LOGIN SUPERUSER;
	CREATE ROLE operator LOGIN IN ROLE pg_signal_backend;
	CREATE TABLE a (id int PRIMARY KEY, n int);
	CREATE TABLE b (id int PRIMARY KEY, n int);
	INSERT INTO a SELECT i, 0 FROM generate_series(0, 29) i;
	INSERT INTO b SELECT i, 0 FROM generate_series(0, 29) i;
	GRANT ALL ON a, b TO app});

my $MESSAGE = 'FATAL 57P01 terminating connection due to drain';
my $BETWEEN = 'The sessions of "application=old" are to end, each between two transactions.';
my $OVERDUE = 'The sessions of "application=old" were to end between two transactions, and the deadline for that is over.';

sub drain
{
	my ($selectors, $deadline) = @_;

	return one(sprintf q{SELECT hygiene.drain('%s', %s)},
		$selectors, $deadline ? "'$deadline'" : 'NULL');
}

sub progress
{
	my ($drain) = @_;

	return one("SELECT matched, ended, remaining FROM hygiene.drains WHERE drain = $drain");
}

sub until_progress
{
	my ($drain, $expected) = @_;

	return until_row($node,
		"SELECT concat_ws('|', matched, ended, remaining) FROM hygiene.drains WHERE drain = $drain",
		$expected);
}

sub told
{
	my ($client) = @_;
	my $last = $client->wait_closed || {};

	return join ' ', map { $_ // '' } @$last{qw(S C M)};
}

#
# Idle, in a transaction, at work, listening; and those it does not match.
#
my $idle = client('old', 'SELECT 1');
my $listening = client('old', 'LISTEN a');
my $open = client('old', 'BEGIN', 'SELECT 1');
my $working = client('old');
$working->send_query('SELECT pg_sleep(2)');
my $other = client('new', 'SELECT 1');
my $drain = drain('application=old');
my $late = client('old', 'SELECT 1');

is($drain, 1, 'a drain has a number');
is(told($idle), $MESSAGE, 'an idle one is ended');
is($idle->{error}->{D}, $BETWEEN, 'with DETAIL');
is($idle->{error}->{H}, 'Connect again: no transaction was open.', 'and HINT');
is(told($listening), $MESSAGE, 'also one that listens');
until_progress($drain, '4|2|2');
ok($open->is_open && $working->is_open, 'who is in a transaction stays');
$open->query('COMMIT');
is(told($open), $MESSAGE, 'until its end');
$working->wait_ready;
is(scalar @{ $working->{rows} }, 1, 'who is at work comes to its end');
is(told($working), $MESSAGE, 'and is ended then');
until_progress($drain, '4|4|0');
is(one(q{SELECT selectors, deadline, now() - started_at < '1 min' FROM hygiene.drains}),
	'application=old||t', 'what it was about');
ok($other->is_open, 'others are not touched');
ok($late->is_open, 'nor who logged in later');
is( one(q{SELECT string_agg(DISTINCT concat_ws('|', action, outcome, reason, limit_setting, rule, state, application_name, user_name), ' '), count(*)
		FROM hygiene.events WHERE reason = 'drain'}),
	'terminate|done|drain|0|idle|old|app|4', 'each has an event');
is(one(q{SELECT terminated, spared FROM hygiene.applications WHERE application_name = 'old'}), '4|0', 'and is counted');
$late->close;

# A name that is taken later does not save it, nor make it one.
my $renamed = client('old', 'BEGIN');
$drain = drain('application=old');
$renamed->query("SET LOCAL application_name = 'young'");
$other->query("SET application_name = 'old'");
$renamed->query('COMMIT');
is(told($renamed), $MESSAGE, 'what it is called when it is begun counts');
until_progress($drain, '1|1|0');
ok($other->is_open, 'not what it is called later');
$other->close;

#
# A deadline.
#
my @late = (client('old', 'BEGIN', 'UPDATE a SET n = 1 WHERE id = 0'), client('old'));
$late[1]->send_query('SELECT pg_sleep(1000)');
until_row($node, q{SELECT count(*) FROM hygiene.sessions WHERE application_name = 'old' AND state = 'active'}, '1');
my $began = time;
$drain = drain('application=old', '1 s');
is(one("SELECT deadline - started_at FROM hygiene.drains WHERE drain = $drain"), '00:00:01', 'the deadline is shown');
for my $client (@late)
{
	is(told($client), $MESSAGE, 'after the deadline whatever it does');
	is($client->{error}->{D}, $OVERDUE, 'and it is said so');
	is($client->{error}->{H}, 'Connect again, and repeat the transaction if one was open.', 'with HINT');
	cmp_ok($client->{told_at} - $began, '>=', 1, 'not before');
}
until_progress($drain, '2|2|0');
is(one(q{SELECT string_agg(state || ' ' || limit_setting, ', ' ORDER BY state) FROM hygiene.events
		WHERE reason = 'drain' AND limit_setting <> '0'}),
	'active 1s, idle in transaction 1s', 'the events have the deadline');
is(one('SELECT sum(n) FROM a'), '0', 'an open transaction is rolled back');

#
# Stopped, and two at once.
#
my @held = map { client('old', 'BEGIN') } 1 .. 3;
my $gone = client('old', 'BEGIN');
my $first = drain('application=old');
my $second = drain('user=app application=o*');
$gone->query('ROLLBACK');
is(told($gone), $MESSAGE, 'of two drains at once');
until_progress($_, '4|1|3') for $first, $second;
is(one("SELECT hygiene.stop_drain($first)"), 't', 'one can be stopped');
is(one("SELECT hygiene.stop_drain($first)"), 'f', 'once');
is(progress($first), '4|1|0', 'nothing remains for it to do');
$held[0]->query('COMMIT');
is(told($held[0]), $MESSAGE, 'the other goes on');
until_progress($second, '4|2|2');
is(one("SELECT hygiene.stop_drain($second)"), 't', 'until it is stopped, too');
$_->query('COMMIT') for @held[ 1, 2 ];
two_passes($node);
ok($_->is_open, 'then who is left stays') for @held[ 1, 2 ];
is(one('SELECT hygiene.stop_drain(12345)'), 'f', 'one that never was cannot be');

#
# The worker is killed while one runs.
#
$_->query('BEGIN') for @held[ 1, 2 ];
$drain = drain('application=old');
my $worker = worker_pid($node);
kill 'TERM', $worker;
until_row($node, "SELECT worker_pid <> $worker FROM hygiene.status WHERE worker_pid IS NOT NULL");
$_->query('COMMIT') for @held[ 1, 2 ];
is(told($_), $MESSAGE, "after the worker's restart it goes on") for @held[ 1, 2 ];
until_progress($drain, '2|2|0');

# Also those whom no limit may end, for it was an administrator who said so.
configure($node, mode => 'off', rules => 'application=old: exempt');
my $exempt = client('old', 'SELECT 1');
my $boss = PgHygiene::Client->new($node, user => 'boss', application => 'old');
my $hidden = PgHygiene::Client->new($node, user => 'boss', application => 'old', options => '-c track_activities=off');
$hidden->query('BEGIN');
$drain = drain('application=old');
is(told($_), $MESSAGE, 'mode and exempt are about limits') for $exempt, $boss;
until_progress($drain, '3|2|1');
two_passes($node);
ok($hidden->is_open, 'one without track_activities stays in its transaction');
$hidden->query('COMMIT');
is(told($hidden), $MESSAGE, 'and no longer');
configure($node, mode => undef, rules => undef);

#
# Who may.
#
my $operator = PgHygiene::Client->new($node, user => 'operator', application => 'old');
$boss = PgHygiene::Client->new($node, user => 'boss', application => 'old');
$exempt = client('old', 'SELECT 1');
$drain = $operator->query(q{SELECT hygiene.drain('application=old')})->[0]->[0];
is(told($exempt), $MESSAGE, 'a member of pg_signal_backend may');
until_progress($drain, '1|1|0');
ok($boss->is_open, 'but not drain a superuser');
my ($warning) = @{ $operator->{notices} };
is("$warning->{M} $warning->{H}", '1 session of a superuser was left alone Only a superuser may drain them.', 'and is told so');
ok($operator->is_open, 'and does not drain itself');
my $nobody = client('x');
$nobody->try_query(q{SELECT hygiene.drain('user=*')});
is($nobody->{error}->{C}, '42501', 'others may not');
$nobody->try_query('SELECT hygiene.stop_drain(1)');
is($nobody->{error}->{C}, '42501', 'nor stop one');
$nobody->query('SELECT * FROM hygiene.drains');
for my $case (
	[ '', 'invalid selectors: expected "application", "user", "database" or "address" at the end, position 1' ],
	[ 'application=a: exempt', 'invalid selectors: expected "application", "user", "database" or "address", found ":" at position 14' ])
{
	$operator->try_query("SELECT hygiene.drain('$case->[0]')");
	is("$operator->{error}->{C} $operator->{error}->{M}", "22023 $case->[1]", "selectors: '$case->[0]'");
}
$boss->close;

# Addresses are hidden, so nobody finds them out by whom a drain matches.
my $matched = drain('address=10.9.8.7');
is($operator->first_row("SELECT selectors, matched, ended, remaining FROM hygiene.drains WHERE drain = $matched"),
	'address=10.9.8.7|||', 'whom an address matches is hidden');
is(progress($matched), '0|0|0', 'but not from a superuser');
$operator->try_query(q{SELECT hygiene.drain('user=app address=local')});
is("$operator->{error}->{C} $operator->{error}->{M}", '42501 permission denied to drain sessions by address',
	'nor is it asked for');
one('GRANT pg_read_all_stats TO operator');
$operator->query(q{SELECT hygiene.stop_drain(hygiene.drain('user=nobody address=local'))});
one('REVOKE pg_read_all_stats FROM operator');
$operator->query('BEGIN');
my $many = client('many', 'BEGIN');
drain('application=many') for 1 .. 16;
$boss = PgHygiene::Client->new($node, user => 'boss');
$boss->try_query(q{SELECT hygiene.drain('application=many')});
is("$boss->{error}->{C} $boss->{error}->{M}", '53400 cannot run more than 16 drains at once', 'no more than 16 at once');
$many->query('COMMIT');
is(told($many), $MESSAGE, 'a session of many drains is ended once');
until_row($node, 'SELECT count(*) || \' \' || sum(remaining) FROM hygiene.drains', '16 0');
is(progress(drain('application=nobody')), '0|0|0', 'one that matches nobody is over at once');
$_->close for $operator, $boss, $nobody;

#
# Thirty busy ones.  pgbench says at which command of a script a client lost
# its connection: it must be the first.
#
my $script = $node->basedir . '/transfer.sql';
append_to_file($script, join "\n",
	'BEGIN;',
	'UPDATE a SET n = n + 1 WHERE id = :client_id;',
	'UPDATE b SET n = n + 1 WHERE id = :client_id;',
	'COMMIT;', '');
my $longest = 0;
for my $round (1 .. ($ENV{PGH_LONG} ? 100 : 1))
{
	my ($in, $out, $err) = ('', '', '');
	my $bench;

	$node->safe_psql('postgres', 'UPDATE a SET n = 0; UPDATE b SET n = 0');
	{
		local $ENV{PGAPPNAME} = 'old';

		$bench = IPC::Run::start(
			[
				'pgbench', '-n', '-h', $node->host, '-p', $node->port,
				'-U', 'app', '-c', 30, '-T', 120, '-f', $script, 'postgres'
			],
			'<', \$in, '>', \$out, '2>', \$err);
	}
	until_row($node, q{SELECT count(*) >= 30 AND (SELECT sum(n) > 300 FROM a) FROM hygiene.sessions WHERE application_name = 'old'});
	$drain = drain('application=old');
	$bench->finish;
	until_progress($drain, '30|30|0');
	my @aborted = $err =~ /client \d+ (?:script \d+ )?aborted in command (\d+)/g;
	is(scalar @aborted, 30, 'busy: all of them are ended') or diag $err;
	is(join(' ', grep { $_ } @aborted), '', 'busy: none within a transaction') or diag $err;
	my ($done) = $out =~ /number of transactions actually processed: (\d+)/;
	is(one('SELECT (SELECT sum(n) FROM a), (SELECT sum(n) FROM b)'),
		"$done|$done", 'busy: what was acknowledged is there, and nothing else');
	my $took = one("SELECT extract(epoch FROM max(e.occurred_at) - min(d.started_at)) FROM hygiene.events e, hygiene.drains d WHERE d.drain = $drain AND e.reason = 'drain' AND e.occurred_at > d.started_at");
	$longest = $took if $took > $longest;
}
note "thirty busy clients were drained within $longest s";
cmp_ok($longest, '<', 5, 'busy: soon');

#
# On a standby.
#
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
my $reader = client('old', on => $standby, 'SELECT 1');
is($standby->safe_psql('postgres', q{SELECT hygiene.drain('application=old')}), '1', 'on a standby');
is(told($reader), $MESSAGE, 'the session is ended');
$standby->stop;
$node->stop;
done_testing();
