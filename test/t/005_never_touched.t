
# Who is never ended, and that everyone is counted under the right name.

use PgHygiene;

my $MAX_APPLICATIONS = 20;
my $node = new_node(
	'main',
	"pg_hygiene.idle_in_transaction_timeout = '100ms'",
	"pg_hygiene.max_applications = $MAX_APPLICATIONS",
	'pg_hygiene.application_families = off',
	'wal_level = logical',
	'wal_keep_size = 256MB');

$node->safe_psql(
	'postgres', q{
	CREATE ROLE boss LOGIN SUPERUSER;
	CREATE ROLE sender LOGIN REPLICATION;
	CREATE ROLE silent LOGIN;
	ALTER ROLE silent SET track_activities = off;
	GRANT pg_read_all_stats TO app});

# Wait until a session is gone, or has been idle in its transaction for three
# limits and the worker has looked twice since; true if it is still there.
sub survives
{
	my ($client) = @_;

	until_row($node,
		qq{
		SELECT count(*) FROM pg_stat_activity
		WHERE pid = $client->{pid} AND now() - state_change <= '300 ms'},
		'0');
	two_passes($node);
	return $client->is_open;
}

sub counts
{
	my ($application) = @_;

	return one(
		qq{
			SELECT connections, opened, closed
			FROM hygiene.applications
			WHERE application_name = '$application'}
	);
}

# Processes that serve no client, and last.
my $others = q{
	SELECT string_agg(pid || ' ' || backend_type, ', ' ORDER BY pid)
	FROM pg_stat_activity
	WHERE backend_type NOT IN ('client backend', 'parallel worker',
		'walsender', 'autovacuum worker', 'io worker')};
until_row($node,
	q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'logical replication launcher'},
	'1');
my $others_before = one($others);

#
# Walsenders: one that sends, and one that sits idle in a transaction.
#
my $receiver = IPC::Run::start(
	[
		'pg_receivewal', '-D', $node->basedir,
		'-d', $node->connstr . ' user=sender application_name=receiver',
		'--no-loop'
	],
	'>', \my $received, '2>', \my $complaints,
	IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
until_row($node,
	"SELECT count(*) FROM pg_stat_replication WHERE application_name = 'receiver'",
	'1');
my $receiver_pid = q{
	SELECT pid FROM pg_stat_replication WHERE application_name = 'receiver'};
my $receiver_before = one($receiver_pid);

my $walsender =
  client('walsender', user => 'sender', replication => 'database');
$walsender->query('BEGIN');
ok(survives($walsender), 'a walsender idle in a transaction stays');
is( one("SELECT count(*) FROM hygiene.sessions WHERE pid = $walsender->{pid}"),
	'0', 'and is no session of ours');
is( one(q{SELECT count(*) FROM hygiene.applications
		WHERE application_name IN ('walsender', 'receiver')}),
	'0',
	'nor counted as an application');
$walsender->query('COMMIT');
kill 'USR2', $walsender->{pid};
$walsender->close;
is(one($receiver_pid), $receiver_before, 'pg_receivewal goes on');
$node->command_ok(
	[
		'pg_basebackup', '-D', $node->basedir . '/taken',
		'-d', $node->connstr . ' user=sender', '-c', 'fast', '--no-sync'
	],
	'pg_basebackup succeeds');

#
# Parallel workers: not sessions, and their leader's work ends well.
#
my $guc =
  $node->pg_version < 16 ? 'force_parallel_mode' : 'debug_parallel_query';
my $leader = client('leader');
$leader->query("SET $guc = on");
$leader->send_query('BEGIN; SELECT pg_sleep(1); COMMIT');
until_row($node,
	"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'",
	'1');
is( one(q{SELECT count(*) FROM hygiene.sessions s JOIN pg_stat_activity a USING (pid)
		WHERE a.backend_type <> 'client backend'}),
	'0',
	'a parallel worker is no session');
is(counts('leader'), '1|1|0', 'and not counted');
$leader->wait_ready;
is($leader->{error}, undef, 'a parallel query longer than the limit ends well');
$leader->close;

#
# Superusers.
#
my $boss = client('boss', user => 'boss');
$boss->query('BEGIN');
ok(survives($boss), 'a superuser stays');
is( one(qq{
	SELECT exempt, limit_name, ends_in
	FROM hygiene.sessions
	WHERE pid = $boss->{pid}}),
	'superuser||',
	'hygiene.sessions says why');
is(counts('boss'), '1|1|0', 'and is counted');

# A role that a session assumes does not change whose session it is.
my $ward = client('ward', user => 'boss');
$ward->query('SET SESSION AUTHORIZATION app');
$ward->query('BEGIN');
ok(survives($ward), "a superuser's session stays one after SET SESSION AUTHORIZATION");

configure($node, exempt_superusers => 'off');
is($boss->wait_closed->{C}, '25P03', 'exempt_superusers = off ends it at once');
is($ward->wait_closed->{C}, '25P03', 'and the other');
is(counts('boss'), '0|1|1', 'and it is counted out');
configure($node, exempt_superusers => 'on');

#
# Sessions whose state cannot be seen.
#
my $silent = client('silent', user => 'silent');
$silent->query('BEGIN');
# its state change is not shown either, so measure by a statement elsewhere
one('SELECT pg_sleep(0.3)');
two_passes($node);
ok($silent->is_open, 'a session with track_activities = off stays');
is( one("SELECT state, exempt, ends_in FROM hygiene.sessions WHERE pid = $silent->{pid}"),
	'disabled|track_activities|',
	'hygiene.sessions says why');
is(counts('silent'), '1|1|0', 'and it is counted');
$silent->close;

#
# A rule with "exempt": pg_dump by default.
#
my $dump = client('pg_dump');
$dump->query('BEGIN');
ok(survives($dump), 'pg_dump stays');
is( one("SELECT exempt, rules, ends_in FROM hygiene.sessions WHERE pid = $dump->{pid}"),
	'rule 1|{1}|',
	'hygiene.sessions says why');
$dump->close;

#
# A session that has asked nothing yet.
#
my $mute = client('mute');
ok(survives($mute), 'a session that has not said anything stays');
$mute->close;

#
# A session that is still starting, for as long as its database is locked.
#
one('CREATE DATABASE other');
my $locker = client('locker', user => 'boss');
$locker->query('BEGIN');
$locker->query('ALTER DATABASE other RENAME TO another');
my $slow = client('slow start', dbname => 'other', nowait => 1);
until_row($node,
	q{SELECT count(*) FROM hygiene.sessions WHERE state = 'starting'}, '1');
two_passes($node);
is( one(q{
		SELECT application_name, user_name, database_name, limit_name, ends_in
		FROM hygiene.sessions WHERE state = 'starting'}),
	'slow start|app|other||',
	'a session that is starting is shown, and has no limit');
is(counts('slow start'), '1|1|0', 'it is counted by the name it gave');
$locker->query('ROLLBACK');
$slow->wait_ready;
ok($slow->is_open, 'and left to start');
two_passes($node);
is(counts('slow start'), '1|1|0', 'under which it stays counted');
$_->close for $slow, $locker;

#
# An application name that changes in mid-session.
#
my $renamed = client('first name');
until_row($node,
	"SELECT connections FROM hygiene.applications WHERE application_name = 'first name'",
	'1');
$renamed->query("SET application_name = 'second name'");
is(counts('second name'), '1|1|0', 'the new name is counted at once');
is(counts('first name'), '0|1|1', 'and the old one given up');
two_passes($node);
is(counts('second name'), '1|1|0', 'the same once the worker has seen it');
is(counts('first name'), '0|1|1', 'for both');
$renamed->query("BEGIN; SET LOCAL application_name = 'third name'");
my $last = $renamed->wait_closed;
like($last->{D}, qr/^Application "third name" /, 'it is ended under its last name');
is( one("SELECT application_name FROM hygiene.events WHERE pid = $renamed->{pid}"),
	'third name', 'and recorded so');
is(counts('first name'), '0|1|1', 'first name: opened and closed');
is(counts('second name'), '0|1|1', 'second name: opened and closed');
is(counts('third name'), '', 'it counts for the name that it had before its transaction');

# A role's own setting names a client that gives no name.
one("CREATE ROLE batch LOGIN; ALTER ROLE batch SET application_name = 'batch role'");
my $batch = client(undef, user => 'batch');
is(counts('batch role'), '1|1|0', "a role's own application_name counts");
$batch->close;

# Names are cut as PostgreSQL cuts them.
my $long = client('x' x 80);
is(counts('x' x 63), '1|1|0', 'a long name is counted under its 63 bytes');
two_passes($node);
is(counts('x' x 63), '1|1|0', 'and stays there');
$long->close;

#
# All names together.
#
my $sums = q{
	SELECT sum(opened) - sum(closed) - sum(connections),
		bool_and(opened - closed = connections)
	FROM hygiene.applications};
is(one($sums), '0|t', 'opened - closed = connections, for every name');

#
# More names than max_applications.
#
one('SELECT hygiene.reset()');
my @crowd = map { client("crowd $_", ('SELECT 1') x 3) } 1 .. $MAX_APPLICATIONS + 10;
is( one(q{SELECT count(*) FROM hygiene.applications
		WHERE application_name <> '(other applications)'}),
	$MAX_APPLICATIONS,
	'max_applications names are counted on their own');
is( one(q{SELECT sum(connections), (SELECT count(*) FROM hygiene.sessions)
		FROM hygiene.applications}),
	join('|', (@crowd + 1) x 2),
	'the rest is summed, and no session is lost');
cmp_ok(one(q{SELECT connections FROM hygiene.applications WHERE application_name = '(other applications)'}),
	'>=', 10, 'under (other applications)');

$crowd[-1]->query('BEGIN');
like($crowd[-1]->wait_closed->{D}, qr/^Application "crowd 30" /,
	'a name without a counter of its own is still told');
is( one(q{SELECT terminated FROM hygiene.applications WHERE application_name = '(other applications)'}),
	'1',
	'and its end counted with the others');
$crowd[-2]->query("SET application_name = 'crowd 1'");
$crowd[0]->query("SET application_name = 'yet another'");
two_passes($node);
is(counts('crowd 1'), '1|2|1', 'names change between counted and summed ones');
is(one($sums), '0|t', 'and nothing is lost');
$_->close for @crowd;
until_row($node,
	q{SELECT sum(connections) = 0 FROM hygiene.applications WHERE application_name LIKE 'crowd %' OR application_name = '(other applications)'}
);
is(one($sums), '0|t', 'nor when all have gone');

#
# After all this.
#
is(one($others), $others_before, 'every other process is the one it was');
is(one($receiver_pid), $receiver_before, 'pg_receivewal still goes on');
ok($receiver->pumpable, 'and is content');
$receiver->signal('INT');
$receiver->finish;
is( one("SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'"),
	'0', 'no event is left pending');

$node->stop;
done_testing();
