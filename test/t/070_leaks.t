
# hygiene.leaks: idle transactions grouped by where they come from.

use PgHygiene;

my $MAX_LEAKS = 500;

my $node = new_node(
	'main',
	"listen_addresses = '127.0.0.1'",
	'pg_hygiene.idle_in_transaction_timeout = 10s',
	'pg_hygiene.warn_at = 0',
	'compute_query_id = off');

$node->safe_psql(
	'postgres', q{
	CREATE ROLE other LOGIN;
	CREATE ROLE curious LOGIN;
	CREATE TABLE shelf (id int, item text);
	GRANT ALL ON shelf TO PUBLIC});
$node->safe_psql('postgres', 'CREATE DATABASE shop TEMPLATE template0');
$node->safe_psql('shop',
	'CREATE TABLE shelf (id int, item text); GRANT ALL ON shelf TO PUBLIC');

my @sessions;

sub known_client
{
	my ($application, %options) = @_;

	push @sessions, client($application, %options);
	return $sessions[-1];
}

sub leak
{
	my ($application, $statement, %options) = @_;
	my $client = known_client($application, %options);

	$client->query('BEGIN');
	$client->query($statement);
	return $client;
}

sub leaks
{
	my ($columns, $condition) = @_;

	my $rows = one("SELECT $columns FROM hygiene.leaks WHERE $condition");

	return join "\n", sort split /\n/, $rows;
}

sub limit
{
	my ($limit) = @_;

	configure($node, idle_in_transaction_timeout => $limit);
	return;
}

# End what leaks, and forget it.
sub start_over
{
	limit('50ms');
	$_->wait_closed for grep { !$_->{stays} } @sessions;
	limit('10s');
	$_->close for @sessions;
	@sessions = ();
	one('SELECT hygiene.reset()');
	return;
}

#
# One group for application, role, database and shape.
#
my $began = one('SELECT clock_timestamp()');
my $shape = 'SELECT item FROM shelf WHERE id';
leak('orders', qq{$shape IN (1, 2, 3)\n-- orders.py:7});
leak('orders', qq{/* orders.py:9 */ select  item\n\tfrom shelf where id in (-42);}, tcp => 1);
leak('orders', qq{$shape IN (\n1,2  ,3,4,5,\t6, 7) /* orders.py:11 */});
leak('orders', "$shape IN (1)", user => 'other');
leak('batch', "$shape IN (1)");
leak('orders', "$shape IN (1)", dbname => 'shop');
leak('orders', "$shape = 1 AND item = 'one'");
leak('orders', "$shape = 22 AND item = 'it''s two'");
my $idle = leak('orders', 'SELECT id FROM shelf');
$idle->query('COMMIT');
$idle->{stays} = 1;

until_row($node, 'SELECT sum(sessions_now) = 8 FROM hygiene.leaks');
is( leaks('application_name, user_name, database_name, sessions_now, clients',
		"example_query ~* 'in \\('"),
	"batch|app|postgres|1|1\n"
	  . "orders|app|postgres|3|2\n"
	  . "orders|app|shop|1|1\n"
	  . 'orders|other|postgres|1|1',
	'grouped by application, role and database; IN lists, blanks and comments fold');
is(leaks('count(DISTINCT fingerprint), min(fingerprint) <> 0', "example_query ~* 'in \\('"),
	'1|t', 'with the same fingerprint for the same shape');
is(leaks('sessions_now, count(*) OVER ()', "example_query ~ 'item ='"),
	'2|1', 'literals fold; another shape is another group');
is(leaks('count(*)', "example_query ~ 'SELECT id|COMMIT'"),
	'0', 'a session outside a transaction is no leak');
like(leaks('example_query', 'clients = 2'),
	qr/orders\.py:\d+/, 'comments stay in the example');

my $main = q{application_name = 'orders' AND user_name = 'app'
	AND database_name = 'postgres' AND example_query ~* 'in \('};
is( leaks(
		qq{first_seen > '$began'::timestamptz + '1 s', first_seen <= last_seen, last_seen <= clock_timestamp(),
		extract(epoch FROM now() - oldest_now - (SELECT min(state_change) FROM pg_stat_activity
			WHERE application_name = 'orders' AND datname = 'postgres' AND usename = 'app'
			AND state LIKE 'idle in%' AND query ~* 'in \\(')) BETWEEN -0.5 AND 0.5},
		$main),
	't|t|t|t',
	'first_seen after a tenth of the limit, last_seen, oldest_now');
is(leaks('ended', $main), '0', 'none was ended');
is(leaks('count(diagnosis), count(*)', 'true'), '0|5',
	'no diagnosis of a few that may come back');

#
# Ended.
#
my $still = one("SELECT count(*) FROM hygiene.sessions WHERE state LIKE 'idle in%' AND user_name <> current_user");
limit('50ms');
$_->wait_closed for grep { !$_->{stays} } @sessions;
is($still, '8', 'up to the limit they live');
is( leaks('sessions_now, oldest_now IS NULL, ended, last_seen >= first_seen, clients', $main),
	'0|t|3|t|2',
	'once ended they are counted so');
is(leaks('sum(ended), count(diagnosis)', 'true'), '8|5', 'with a diagnosis');
is( $node->safe_psql(
		'postgres', 'SELECT DISTINCT example_query FROM hygiene.leaks',
		extra_params => [ '-U', 'curious' ]),
	'<insufficient privilege>',
	'the text is not for everybody');
is($idle->is_open, 1, 'the idle session is still there');

# Seen again after it was ended.
my $first = leaks('first_seen', $main);
my $last = leaks('last_seen', $main);
leak('orders', "$shape IN (4711)");
$sessions[-1]->wait_closed;
is(leaks("first_seen = '$first', last_seen > '$last', ended", $main),
	't|t|4', 'seen again: first_seen stays, last_seen and ended go on');
start_over();

#
# The query id, where the server computes one.
#
$node->safe_psql('postgres', q{ALTER SYSTEM SET compute_query_id = 'on'});
$node->reload;
until_row($node, q{SELECT current_setting('compute_query_id')}, 'on');
leak('ids', q{SELECT 1 AS a});
leak('ids', q{SELECT 2 AS b /* ids.py:3 */});
leak('ids', q{SELECT 2, 3});
until_row($node, 'SELECT sum(sessions_now) = 3 FROM hygiene.leaks');
is( leaks('sessions_now, count(*) OVER ()', 'true'),
	"1|2\n2|2",
	'with a query id statements are told apart by it');
is( leaks(
		q{count(*), bool_and(fingerprint IN (SELECT query_id FROM pg_stat_activity WHERE application_name = 'ids'))},
		'true'),
	'2|t',
	'and it is the fingerprint');
start_over();
$node->safe_psql('postgres', q{ALTER SYSTEM SET compute_query_id = 'off'});
$node->reload;
until_row($node, q{SELECT current_setting('compute_query_id')}, 'off');

#
# A text that PostgreSQL cut within a character.
#
leak('cut', q{SELECT '} . "\x{c3}\x{a4}" x 600 . q{'});
leak('cut', q{SELECT 'x} . "\x{c3}\x{a4}" x 600 . q{'});
leak('cut', q{SELECT 'xy} . "\x{e6}\x{bc}\x{a2}" x 600 . q{'});
until_row($node, 'SELECT sum(sessions_now) = 3 FROM hygiene.leaks');
is( leaks(
		q{count(*), bool_and(octet_length(example_query) BETWEEN 1019 AND 1023
			AND example_query ~ '[\u00e4\u6f22]$')}, 'true'),
	'1|t',
	'no character is broken, and the cut literals fold');
start_over();

#
# Bounded: the least recently seen goes first.  Observing leaves the sessions,
# so that each can show many statements; a round is over when all are noted.
# One leaks all the time.
#
configure($node, mode => 'observe', idle_in_transaction_timeout => '10ms');
my $constant = known_client('constant');
$constant->query('BEGIN; SELECT 1 AS constant');
my $WIDTH = 52;
my @crowd = map { known_client('crowd') } 1 .. $WIDTH;
$_->query('BEGIN') for @crowd;

sub round
{
	my ($round) = @_;

	$crowd[$_]->query("SELECT 1 AS r${round}_$_") for 0 .. $#crowd;
	until_row($node,
		"SELECT count(*) FROM hygiene.leaks WHERE example_query LIKE 'SELECT 1 AS r${round}\\_%'",
		$WIDTH);
	return;
}

until_row($node,
	q{SELECT count(*) FROM hygiene.leaks WHERE example_query LIKE 'BEGIN%'}, '2');
round($_) for 1 .. 9;
is(leaks('count(*)', 'true'), 9 * $WIDTH + 2, 'up to the bound all are kept');
my $seen = one(q{SELECT last_seen FROM hygiene.leaks WHERE example_query = 'SELECT 1 AS r1_0'});
$crowd[0]->query('SELECT 1 AS r1_0');
until_row($node, qq{SELECT last_seen > '$seen' FROM hygiene.leaks
	WHERE example_query = 'SELECT 1 AS r1_0'});
$_->query('COMMIT') for @crowd;
$_->query('BEGIN') for @crowd;
# BEGIN was seen again, too, and so is once a second what leaks
my $now = one('SELECT clock_timestamp()');
until_row($node, "SELECT last_pass > '$now'::timestamptz + '2 s' FROM hygiene.status");
round(10);
is(leaks('count(*)', 'true'), $MAX_LEAKS, 'then there are no more');
# BEGIN may have been seen too seldom on a slow machine, and have gone.
cmp_ok(leaks('count(*)', "example_query !~ 'r1_'"), '>=', 9 * $WIDTH,
	'of the later ones none has gone');
is(leaks('count(*)', "example_query = 'SELECT 1 AS r1_0'"), '1',
	'nor of the first round the one that was seen again');
cmp_ok(leaks('count(*)', "example_query ~ 'r1_'"), '<=', $MAX_LEAKS - 9 * $WIDTH,
	'the others made room');
is(leaks('sessions_now', "application_name = 'constant'"), '1',
	'nor the one that leaks all the time');
cmp_ok(one(q{SELECT (SELECT sum(used_bytes) FROM pg_backend_memory_contexts
		WHERE name IN ('ExprContext', 'pg_hygiene row'))
	FROM hygiene.get_leaks() LIMIT 1}), '<', 100_000,
	'a row is out of memory before the next one');

# Reset forgets what was, not what is.
one('SELECT hygiene.reset()');
until_row($node, q{SELECT sessions_now = 1 AND clients = 1 FROM hygiene.leaks
	WHERE application_name = 'constant'});
pass('after hygiene.reset() what still leaks is noted again');
$_->close for @crowd, $constant;

# What a comment names is decoded, and is text all the same.
limit('10s');
one('SELECT hygiene.reset()');
leak('encoded', q{SELECT 1 /*controller='caf%C3%A9'*/});
leak('encoded', q{SELECT 1, 2 /*controller='x%ff%fey'*/});
until_row($node, q{SELECT count(*) = 2 FROM hygiene.leaks WHERE application_name = 'encoded'});
is( leaks("source, encode(convert_to(source, 'UTF8'), 'hex')", "application_name = 'encoded'"),
	"caf\xc3\xa9|636166c3a9\nx??y|783f3f79", 'what is no text in the database is shown as none');
$_->close for @sessions;

$node->stop;
done_testing();
