
# A transaction left idle is rolled back whatever it holds and whatever it has
# done: all of that is gone at once, what belongs to the session stays, and
# the session can be used as after any error.

use PgHygiene;
use PgHygiene::Rollback;

my $node = rollback_node('main');

# A case that runs SQL in its transaction, and is looked at by other means.
sub state_of
{
	my ($name, $sql, $check, %more) = @_;

	return {
		name => $name,
		begin => sub { $_[0]->query($sql); },
		check => sub { told($_[0], 'SELECT 1', $REASON); $check->($_[0]); },
		%more
	};
}

# All that is held by its backend is gone.
sub holds_nothing
{
	my ($client, $locks) = @_;
	my $pid = $client->{pid};

	is( one(
			"SELECT backend_xid IS NULL, backend_xmin IS NULL, state, xact_start IS NULL FROM pg_stat_activity WHERE pid = $pid"
		),
		't|t|idle in transaction (aborted)|t',
		'no transaction id, no snapshot');
	is(one("SELECT count(*) FROM pg_locks WHERE pid = $pid"),
		$locks || 0, 'no locks');
	return;
}

one(q{
	CREATE TABLE parent (i int PRIMARY KEY);
	CREATE TABLE child (i int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE others AS SELECT 1;
	CREATE TABLE many AS SELECT i FROM generate_series(1, 100000) i;
	CREATE SEQUENCE numbers;
	CREATE ROLE other;
	GRANT other TO app;
	GRANT ALL ON parent, child, many, others, t TO app;
	GRANT ALL ON numbers TO app;
	INSERT INTO t VALUES ('there');
	CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO t VALUES ('kept'); COMMIT; INSERT INTO t VALUES ('kept'); END $$;
});

my $snapshot;

roll_back_each(
	$node,
	state_of(
		'a lock that somebody waits for',
		"DELETE FROM t WHERE who = 'there'",
		\&holds_nothing),
	state_of(
		'two thousand savepoints',
		join(';', map { "SAVEPOINT s$_; INSERT INTO t VALUES ('s$_')" }
			  1 .. 2000),
		sub {
			my ($client) = @_;

			holds_nothing($client);
			told($client, 'ROLLBACK TO s1', $REASON);
			told($client, 'RELEASE s1', $REASON);
			silent($client, 'ROLLBACK', 'ROLLBACK');
		}),
	{
		name => 'a savepoint in which a statement failed',
		begin => sub {
			$_[0]->query("INSERT INTO t VALUES ('outer'); SAVEPOINT a");
			$_[0]->try_query('SELECT 1/0');
		},
		check => sub {
			my ($client) = @_;

			holds_nothing($client);
			told($client, 'ROLLBACK TO a', $REASON);
			told($client, 'COMMIT', $CANNOT_COMMIT, 'I');
		}
	},
	state_of(
		'cursors',
		'DECLARE c CURSOR FOR SELECT i FROM many; FETCH 10 FROM c; DECLARE d CURSOR WITH HOLD FOR SELECT 1',
		sub {
			my ($client) = @_;

			holds_nothing($client);
			told($client, 'FETCH 10 FROM c', $REASON);
			silent($client, 'ROLLBACK', 'ROLLBACK');
			is( $client->first_row('SELECT count(*) FROM pg_cursors'),
				'0', 'are gone');
		}),
	{
		name => 'a cursor that was held before',
		first => 'BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT i FROM many ORDER BY i LIMIT 20; COMMIT',
		begin => sub {
			$_[0]->query(
				"FETCH 5 FROM held; INSERT INTO t VALUES ('x')");
		},
		check => sub {
			my ($client) = @_;

			holds_nothing($client);
			silent($client, 'ROLLBACK', 'ROLLBACK');
			is( $client->first_row('FETCH 1 FROM held'), '6', 'goes on');
		}
	},
	state_of(
		'temporary tables',
		'CREATE TEMP TABLE mine (i int) ON COMMIT DROP; INSERT INTO earlier VALUES (2)',
		sub {
			my ($client) = @_;

			holds_nothing($client);
			silent($client, 'ROLLBACK', 'ROLLBACK');
			is( $client->first_row('SELECT string_agg(i::text, $$,$$) FROM earlier'),
				'1', 'what was there before');
			is($client->first_row(q{SELECT to_regclass('mine')}),
				'', 'what is gone');
		},
		first => 'CREATE TEMP TABLE earlier AS SELECT 1 AS i'),
	state_of(
		'a large object that is open',
		'SELECT lo_open(lo_creat(-1), 131072)',
		sub {
			my ($client) = @_;

			holds_nothing($client);
			is(one('SELECT count(*) FROM pg_largeobject_metadata'),
				'0', 'is gone');
		}),
	state_of(
		'SET and SET LOCAL',
		q{SET work_mem = '7MB'; SET LOCAL random_page_cost = 9; SET ROLE other; SET search_path = pg_catalog; SET TimeZone = 'Asia/Tokyo'; SET application_name = 'rolled and renamed'},
		sub {
			my ($client) = @_;

			holds_nothing($client);
			silent($client, 'ROLLBACK', 'ROLLBACK');
			is( $client->first_row(
					q{SELECT current_setting('work_mem'), current_setting('random_page_cost'), current_user, current_setting('enable_sort'), current_setting('application_name')}
				),
				'4MB|4|app|off|case',
				'are taken back; what was set before is not');
		},
		first => 'SET enable_sort = off'),
	state_of(
		'NOTIFY and LISTEN',
		'NOTIFY news; LISTEN later; UNLISTEN before',
		sub {
			my ($client) = @_;

			holds_nothing($client);
			silent($client, 'ROLLBACK', 'ROLLBACK');
			is( $client->first_row(
					'SELECT string_agg(c, $$,$$) FROM pg_listening_channels() c'),
				'before',
				'as before');
			is( one("SELECT listening FROM hygiene.sessions WHERE pid = $client->{pid}"),
				't', 'hygiene.sessions says so, too');
		},
		first => 'LISTEN before'),
	state_of(
		'a deferred constraint that is violated',
		'INSERT INTO child VALUES (4711)',
		sub {
			my ($client) = @_;

			holds_nothing($client);
			told($client, 'COMMIT', $CANNOT_COMMIT, 'I');
		}),
	{
		name => 'serializable',
		mode => 'ISOLATION LEVEL SERIALIZABLE',
		begin => sub {
			$_[0]->query(
				"SELECT count(*) FROM t; INSERT INTO t VALUES ('s')"
			);
			is( one("SELECT count(*) > 0 FROM pg_locks WHERE pid = $_[0]->{pid} AND mode = 'SIReadLock'"),
				't', 'it has predicate locks');
		},
		check => \&holds_nothing
	},
	{
		name => 'an exported snapshot',
		mode => 'ISOLATION LEVEL REPEATABLE READ',
		begin => sub {
			$snapshot = $_[0]->first_row('SELECT pg_export_snapshot()');
		},
		check => sub {
			my ($client) = @_;
			my ($status, $out, $err) = $node->psql('postgres',
				"BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '$snapshot'");

			holds_nothing($client);
			like($err, qr/snapshot/, 'cannot be imported any more');
		}
	},
	{
		name => 'read only, no statement with a snapshot',
		mode => 'READ ONLY',
		begin => sub { },
		check => \&holds_nothing
	},
	state_of(
		'advisory locks',
		'SELECT pg_advisory_lock(1), pg_advisory_xact_lock(2)',
		sub {
			my ($client) = @_;

			holds_nothing($client, 1);
			is( one("SELECT objid FROM pg_locks WHERE pid = $client->{pid}"),
				'1', 'only that of the session stays');
		}),
	state_of(
		'a sequence, a lock on a table, a catalog change',
		q{SELECT nextval('numbers'); LOCK TABLE others; CREATE TABLE made (i int)},
		\&holds_nothing),
	state_of(
		'prepared statements of the session',
		'PREPARE inside AS SELECT 1; EXECUTE before',
		sub {
			my ($client) = @_;

			silent($client, 'ROLLBACK', 'ROLLBACK');
			is( $client->first_row(
					'SELECT string_agg(name, $$,$$ ORDER BY name) FROM pg_prepared_statements'
				),
				'before,inside',
				'stay');
		},
		first => 'PREPARE before AS SELECT 2'),
	state_of(
		'a parallel query before',
		q{SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0;
		  SET LOCAL min_parallel_table_scan_size = 0; SELECT count(*) FROM many},
		\&holds_nothing),
	state_of(
		'a procedure before, and blocks with exceptions',
		q{DO $$ BEGIN FOR i IN 1 .. 100 LOOP BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN INSERT INTO t VALUES ('caught'); END; END LOOP; END $$},
		\&holds_nothing,
		first => 'CALL twice()'));

is(one('SELECT string_agg(DISTINCT who, $$,$$ ORDER BY who) FROM t'),
	'kept,there', 'nothing of them is in the table');
is(one(q{SELECT to_regclass('made')}), '', 'nor in the catalog');

#
# Who waits for a row has it at once.
#
configure($node, idle_in_transaction_timeout => '500ms');
two_passes($node);
my $holder = client('holder');
my $waiter = client('waiter');
$holder->query("BEGIN; UPDATE t SET who = 'theirs' WHERE who = 'there'");
$waiter->query("UPDATE t SET who = 'ours' WHERE who = 'there'");
is_deeply($waiter->{tags}, ['UPDATE 1'], 'the waiter gets the row');
is( $holder->{closed_at}, undef, 'whose holder is still connected');

#
# A block that failed by itself has nothing to roll back: it is ended as ever.
#
my $failed = client('failed');
$failed->try_query('BEGIN; SELECT 1/0');
is($failed->wait_closed->{M},
	'terminating connection due to idle-in-transaction timeout',
	'a block that failed by itself: the session is terminated');

#
# One that stays idle after the rollback for the limit once more.
#
my $sleeper = client('sleeper');
$sleeper->query('BEGIN; SELECT 1');
my $last = $sleeper->wait_closed;
is($last->{M}, 'terminating connection due to idle-in-transaction timeout',
	'the second stage: the usual words');
is($last->{C}, '25P03', 'SQLSTATE');
like(
	$last->{D},
	qr/^Application "sleeper" left a transaction idle for [\d.]+ m?s after it had been rolled back; pg_hygiene\.idle_in_transaction_timeout allows 500 ms\.$/,
	'DETAIL');
cmp_ok($sleeper->{told_at} - $sleeper->{sent_at},
	'>=', 1, 'not before both limits are over');
is( one(
		q{SELECT string_agg(action || ' ' || outcome || ' ' || state, ', ' ORDER BY event_id)
		FROM hygiene.events WHERE application_name = 'sleeper'}),
	'rollback done idle in transaction, terminate done idle in transaction (aborted)',
	'both are recorded');
is( one(
		q{SELECT ended, rolled_back, diagnosis LIKE 'A SELECT opened a transaction%' FROM hygiene.leaks WHERE application_name = 'sleeper'}
	),
	'2|1|t',
	'as one leak, whose diagnosis is that of the program');

#
# What is next is shown beforehand.
#
configure($node, idle_in_transaction_timeout => '1h');
two_passes($node);
my $next = client('next');
$next->query('BEGIN; SELECT 1');
is( one(
		q{SELECT limit_name, limit_setting, ends_in > '59min', verdict
		FROM hygiene.rehearse('') WHERE application_name = 'next'}),
	'idle_in_transaction_timeout|1h|t|rollback',
	'rehearse() says that it would be rolled back');
$next->try_query('SELECT 1/0');
is( one(q{SELECT verdict FROM hygiene.rehearse('') WHERE application_name = 'next'}),
	'terminate',
	'and that a failed block would be ended with its session');

#
# Shorter limits roll back as well, and are given once more.
#
$next->query('ROLLBACK');
configure($node, idle_writer_timeout => '300ms');
two_passes($node);
$next->query("BEGIN; INSERT INTO t VALUES ('x')");
$last = $next->wait_closed;
is( one(
		q{SELECT string_agg(action || ' ' || reason, ', ' ORDER BY event_id) FROM hygiene.events WHERE application_name = 'next'}
	),
	'rollback idle_writer_timeout, terminate idle_writer_timeout',
	'idle_writer_timeout rolls back, and then terminates');
like(
	$last->{D},
	qr/^Application "next" left a transaction idle for .* after it had been rolled back; pg_hygiene\.idle_writer_timeout allows 300 ms\.$/,
	'and says so');

#
# Only observed.
#
my $position = log_position($node);
configure($node, mode => 'observe', idle_in_transaction_timeout => '100ms', idle_writer_timeout => undef);
my $watched = client('watched');
$watched->query('BEGIN; SELECT 1');
wait_log(
	$node,
	qr/pg_hygiene would roll back the transaction of process $watched->{pid}, but only observes: idle_in_transaction_timeout/,
	$position);
$watched->query('COMMIT');
is( one(
		q{SELECT action, outcome FROM hygiene.events WHERE application_name = 'watched'}
	),
	'rollback|observed',
	'the event of a rollback that is only observed');

done_testing();
