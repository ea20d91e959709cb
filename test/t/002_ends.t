
# A transaction left idle is ended at its limit, and everyone is told why:
# the client, the log, hygiene.events and the counters.  Work is never ended.

use PgHygiene;

my $LIMIT = 0.2;
my $node = new_node('main', "pg_hygiene.idle_in_transaction_timeout = '200ms'");

my $MESSAGE = 'terminating connection due to idle-in-transaction timeout';
# What it was that leaked may follow.
my $HINT =
  'Commit or roll back, and close the session when the work is done.';

sub detail
{
	my ($application) = @_;

	return
	  qr/^Application "\Q$application\E" left a transaction idle for (?:[2-9]\d\d ms|\d+\.\d s); pg_hygiene\.idle_in_transaction_timeout allows 200 ms\.$/m;
}

$node->safe_psql('postgres',
	'CREATE TABLE t (i int); GRANT ALL ON t TO app;');

#
# What psql shows.
#
my $position = log_position($node);
my $psql = session($node, 'orders');
my $pid = $psql->query_safe('SELECT pg_backend_pid()');
# Where a session must not be ended between two statements, they are sent
# together: this machine may be slow.
$psql->query_safe("BEGIN; SELECT 'the statement before'");
until_row($node,
	"SELECT count(*) FROM pg_stat_activity WHERE pid = $pid", '0');
my $words = last_words($psql);
like($words, qr/FATAL:  \Q$MESSAGE\E$/m, 'psql shows the message');
like($words, qr/^DETAIL:  /m, 'psql shows a DETAIL');
my ($shown) = $words =~ /^DETAIL:  (.*)$/m;
like($shown, detail('orders'), 'which names application, time and limit');
like($words, qr/^HINT:  \Q$HINT\E/m, 'psql shows the HINT');

#
# What the log says, with what the session was doing.
#
wait_log($node, qr/HINT:  \Q$HINT\E/, $position);
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile, $position);
like(
	$log,
	qr/^\S+ \S+ \S+ \[$pid\] orders idle in transaction FATAL:  \Q$MESSAGE\E$/m,
	'the log has the message');
like($log, qr/\[$pid\] orders .*DETAIL:  \Q$shown\E$/m, 'and the same DETAIL');
like($log, qr/\[$pid\] orders .*HINT:  \Q$HINT\E/m, 'and the HINT');

#
# What hygiene.events says.
#
is( $node->safe_psql(
		'postgres', qq{
	SELECT action, outcome, reason, rule, limit_setting, application_name,
		user_name, database_name, client_addr, state, wrote, query_id,
		rtrim(query, E'\\n;'),
		measured::interval BETWEEN '200 ms' AND '10 s',
		transaction_age BETWEEN '200 ms' AND '10 s',
		now() - occurred_at BETWEEN '0' AND '1 min'
	FROM hygiene.events WHERE pid = $pid}),
	join('|',
		'terminate', 'done', 'idle_in_transaction_timeout', '', '200ms',
		'orders', 'app', 'postgres', '', 'idle in transaction', 'f', '',
		"SELECT 'the statement before'",
		't', 't', 't'),
	'hygiene.events has who, what and why');

#
# What is counted.
#
is( $node->safe_psql(
		'postgres', q{
	SELECT connections, opened, closed, terminated, spared, evicted,
		cancelled, refused
	FROM hygiene.applications WHERE application_name = 'orders'}),
	'0|1|1|1|0|0|0|0',
	'hygiene.applications counts it');
is( $node->safe_psql(
		'postgres', 'SELECT terminated, evicted, cancelled, refused FROM hygiene.status'),
	'1|0|0|0',
	'hygiene.status counts it');

#
# What is on the wire, and that the client needs to do nothing for it.
#
my $client = client('wire');
$client->query('BEGIN');
my $last = $client->wait_closed;
is($last->{S}, 'FATAL', 'the last message is FATAL');
is($last->{C}, '25P03', 'SQLSTATE');
is($last->{M}, $MESSAGE, 'message');
like($last->{D}, detail('wire'), 'DETAIL');
like($last->{H}, qr/^\Q$HINT\E/, 'HINT');

#
# Other ways to be idle in a transaction.
#
$client = client('aborted');
$client->try_query('BEGIN; SELECT 1/0');
is($client->{error}->{C}, '22012', 'a transaction is aborted');
$last = $client->wait_closed;
is($last->{C}, '25P03', 'an aborted transaction is ended');
like($last->{D}, detail('aborted'), 'with its DETAIL');
is( $node->safe_psql(
		'postgres', q{
	SELECT state FROM hygiene.events WHERE application_name = 'aborted'}),
	'idle in transaction (aborted)',
	'and its state in the event');

$client = client('writer');
$client->query('BEGIN; INSERT INTO t VALUES (1)');
is($client->wait_closed->{C}, '25P03', 'a transaction that wrote is ended');
is( $node->safe_psql(
		'postgres', q{
	SELECT wrote FROM hygiene.events WHERE application_name = 'writer'}),
	't',
	'and the event says that it wrote');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'),
	'0', 'what it wrote is rolled back');

$client = client('extended');
$client->extended('BEGIN');
is($client->wait_closed->{C}, '25P03', 'by the extended protocol');

$client = PgHygiene::Client->new($node);
$client->query('BEGIN');
like($client->wait_closed->{D}, detail(''), 'without an application name');

$client = client('örders "x"');
$client->query('BEGIN');
$last = $client->wait_closed;
is($last->{C}, '25P03', 'with an odd application name');

#
# Work is never ended.
#
my $sleeper = client('sleeper');
$sleeper->send_query("BEGIN; SELECT pg_sleep($LIMIT * 4); COMMIT");

my $copier = client('copier');
$copier->copy_in('BEGIN; COPY t FROM STDIN; COMMIT');

my $idler = client('idler');
$idler->query('SELECT 1');

# One transaction of many short statements, much longer than the limit.
my $honest = client('honest');
$honest->query('BEGIN');
my $begun = $honest->{replied_at};
my $statements = 0;
do
{
	$honest->try_query('SELECT pg_sleep(0.01)');
	$statements++;
} until ($honest->{closed_at} || $honest->{replied_at} - $begun > $LIMIT * 4);
ok($honest->is_open, "a long transaction of $statements statements goes on");
$honest->query('COMMIT');

$sleeper->wait_ready;
is($sleeper->{error}, undef, 'a statement longer than the limit ends well');

ok($copier->is_open, 'a COPY that waits for its data goes on');
$copier->copy_end;
is($copier->{error}, undef, 'and ends well');

ok($idler->is_open, 'a session idle outside a transaction stays');
# One that was never idle in a transaction is not even asked; the honest one
# may have been, and spared.
for my $name (qw(sleeper copier idler))
{
	is(outcomes($node, $name), '', "$name has no event");
}
unlike(outcomes($node, 'honest'), qr/done|pending/, 'honest was never ended');

#
# Other reasons to end keep their own words.
#
$client = client('shot');
$client->query('SELECT 1');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($client->{pid})");
$last = $client->wait_closed;
is($last->{C}, '57P01', 'pg_terminate_backend keeps its SQLSTATE');
is($last->{M}, 'terminating connection due to administrator command',
	'and its message');
is($last->{H}, undef, 'and has no HINT of ours');

$client = client('core');
$client->query("SET idle_in_transaction_session_timeout = '20ms'");
$client->query('BEGIN');
$last = $client->wait_closed;
is($last->{C}, '25P03', "core's own timeout still works");
is($last->{D}, undef, 'with its own words');

is( $node->safe_psql('postgres',
		"SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'"),
	'0',
	'no event is left pending');

#
# reset() begins anew.
#
$node->safe_psql('postgres', 'SELECT hygiene.reset()');
is( $node->safe_psql(
		'postgres', q{
	SELECT (SELECT count(*) FROM hygiene.events), terminated, spared,
		now() - stats_since < '1 min'
	FROM hygiene.status}),
	'0|0|0|t',
	'reset() clears events and counters');
is( $node->safe_psql(
		'postgres', q{
	SELECT opened, closed, terminated, connections, peak_connections
	FROM hygiene.applications WHERE application_name = 'idler'}),
	'1|0|0|1|1',
	'a session that is still there stays counted');

$node->stop;
done_testing();
