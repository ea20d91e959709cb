
# Since when: the age of a transaction is its own, however many came in the same
# message, and who talks to the server without running a statement is at work.

use PgHygiene;
use IO::Select;
use Time::HiRes qw(time);

my $LIMIT = 1;
my $DESCRIBE = [ 'D', "S\0" ];
my $CLOSE = [ 'C', "S\0" ];
my $PARSE = [ 'P', "\0SELECT 1\0\0\0" ];
my $FLUSH = [ 'H', '' ];
my $SYNC = [ 'S', '' ];

my $node = new_node(
	'main',
	"pg_hygiene.transaction_timeout = '${LIMIT}s'",
	"pg_hygiene.cancel_grace = '300ms'");

# How the client's last message ended, and after how long.
sub outcome
{
	my ($client) = @_;

	return $client->{error} ? $client->{error}->{C} : 'done';
}

sub took
{
	my ($client) = @_;

	return ($client->{replied_at} || $client->{closed_at}) - $client->{sent_at};
}

# It was cancelled by a transaction that began so long after the message.
sub check_cancelled_after
{
	my ($name, $client, $began) = @_;
	my $took = took($client);

	is(outcome($client), '57014', "$name: cancelled");
	cmp_ok($took, '>=', $began + $LIMIT, "$name: not early");
	cmp_ok($took, '<', $began + $LIMIT + 0.6, "$name: nor late");
	return;
}

#
# Several transactions of one message.
#
my $client = client('six');
$client->try_query('BEGIN; SELECT pg_sleep(0.3); COMMIT;' x 6);
is(outcome($client), 'done', 'six short transactions in one message are six');
cmp_ok(took($client), '>=', 1.8, 'which took longer than one may');

$client->try_query('BEGIN; SELECT pg_sleep(0.95); COMMIT;' x 2);
is(outcome($client), 'done', 'two that are almost too old are not');

$client->try_query('BEGIN; SELECT pg_sleep(0.7); COMMIT; BEGIN; SELECT pg_sleep(600); COMMIT');
check_cancelled_after('the second', $client, 0.7);
$client->try_query('ROLLBACK');

$client->try_query('BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 1; COMMIT; BEGIN; SELECT pg_sleep(600); COMMIT');
check_cancelled_after('the third', $client, 0);
$client->try_query('ROLLBACK');

$client->try_query('BEGIN; SELECT pg_sleep(0.7); ROLLBACK; BEGIN; SELECT pg_sleep(0.7); COMMIT');
is(outcome($client), 'done', 'one that was rolled back ends, too');

# What the views and the event say is the transaction's own age.
$client->send_query('BEGIN; SELECT pg_sleep(0.6); COMMIT; BEGIN; SELECT pg_sleep(600); COMMIT');
until_row($node, qq{SELECT state_age > '750 ms' AND transaction_age < state_age - interval '500 ms'
	FROM hygiene.sessions WHERE pid = $client->{pid}});
pass('hygiene.sessions.transaction_age is that of the present transaction');
$client->wait_ready;
is(one(qq{SELECT transaction_age < '1500 ms' AND measured::interval < '1500 ms'
	FROM hygiene.events WHERE pid = $client->{pid} ORDER BY event_id DESC LIMIT 1}),
	't', 'and so are the numbers of the event');
$client->close;

# One that failed and is left open.
$client = client('failed');
$client->try_query('BEGIN; SELECT pg_sleep(0.7); COMMIT; BEGIN; SELECT 1/0');
my $began = $client->{sent_at} + 0.7;
$client->wait_closed;
is($client->{error}->{C}, '25P04', 'failed: ended');
cmp_ok($client->{told_at} - $began, '>=', $LIMIT, 'failed: not early');
cmp_ok($client->{told_at} - $began, '<', $LIMIT + 0.6, 'failed: nor late');

# Procedures that commit, a block of them, and the extended protocol.
one(q{CREATE PROCEDURE naps(VARIADIC seconds float8[]) LANGUAGE plpgsql AS
	$$ BEGIN FOR i IN 1..array_length(seconds, 1) LOOP PERFORM pg_sleep(seconds[i]); COMMIT; END LOOP; END $$});
$client = client('procedure');
$client->try_query('CALL naps(0.4, 0.4, 0.4, 0.4)');
is(outcome($client), 'done', 'a procedure that commits now and then');
$client->try_query('CALL naps(0.6, 0.6, 600)');
check_cancelled_after('the third transaction of a procedure', $client, 1.2);
$client->extended('CALL naps(0.4, 0.4, 0.4, 0.4)');
is(outcome($client), 'done', 'over the extended protocol');
$client->close;

$client = client('pipeline');
my @bind = ([ 'B', "\0\0" . pack('nnn', 0, 0, 0) ], [ 'E', "\0" . pack('N', 0) ]);
sub step
{
	my ($sql) = @_;

	return ([ 'P', "\0$sql\0\0\0" ], @bind);
}
$client->talk((map { (step('BEGIN'), step('SELECT pg_sleep(0.4)'), step('COMMIT')) } 1 .. 4), $SYNC);
is(outcome($client), 'done', 'transactions in one pipeline are several');
$client->close;

#
# A limit that is switched on while such a message runs acts as if the present
# transaction had begun then, since nobody noted when it did.
#
configure($node, transaction_timeout => '0');
$client = client('late');
$client->send_query('BEGIN; SELECT pg_sleep(1.2); COMMIT; BEGIN; SELECT pg_sleep(0.9); COMMIT');
until_row($node, qq{SELECT state_age > '1.3 s' FROM hygiene.sessions WHERE pid = $client->{pid}});
configure($node, transaction_timeout => "${LIMIT}s");
$client->wait_ready;
is(outcome($client), 'done', 'a limit that comes later is not for the transaction before');
$client->close;
configure($node, transaction_timeout => '0');
my $old = client('old');
$old->query('BEGIN');
until_row($node, "SELECT transaction_age > '1.2 s' FROM hygiene.sessions WHERE pid = $old->{pid}");
configure($node, transaction_timeout => "${LIMIT}s");
my $changed = time;
$old->wait_closed;
cmp_ok($old->{closed_at} - $changed, '<', 0.9, 'but one that was alone in its message is old at once');

#
# Clients that talk.
#
configure($node,
	transaction_timeout => '0',
	idle_session_timeout => '600ms',
	idle_in_transaction_timeout => '600ms');

# Let it talk like that for three limits, then go on.
sub check_talker
{
	my ($name, $begin, @messages) = @_;
	my $talker = client('talker');
	my $end = time + 1.8;

	$talker->query($_) for $begin, 'PREPARE s AS SELECT 1';
	while (time < $end && $talker->is_open)
	{
		$talker->talk(@messages);
		IO::Select->new($talker->socket)->can_read(0.1);
	}
	ok($talker->is_open, "$name lives on");
	if ($talker->is_open)
	{
		$talker->talk($SYNC);
		is($talker->query('SELECT 42')->[0]->[0], '42', "$name can work");
		$talker->wait_closed;
		like($talker->{error}->{C}, qr/^(?:57P05|25P03)$/, "$name ends when it is quiet");
		cmp_ok($talker->{told_at} - $talker->{sent_at}, '>=', 0.6, "$name: not early");
	}
	my $events = one(qq{SELECT count(*) FROM hygiene.events WHERE pid = $talker->{pid}});
	cmp_ok($events, '<=', 3, "$name: it is not asked again and again")
	  or note(one("SELECT string_agg(action || ':' || outcome, ' ') FROM hygiene.events WHERE pid = $talker->{pid}"));
	return;
}

for my $begin ('SELECT 1', 'BEGIN')
{
	my $where = $begin eq 'BEGIN' ? ' in a transaction' : '';

	check_talker("who describes$where", $begin, $PARSE, $DESCRIBE, $FLUSH);
	check_talker("who only describes$where", $begin, [ 'D', "Ss\0" ], $FLUSH);
	check_talker("who parses$where", $begin, $PARSE, $FLUSH);
	check_talker("who closes$where", $begin, $CLOSE);
	check_talker("who syncs$where", $begin, $SYNC);
}

# After one Describe the exchange is open until the Sync, however long that is,
# for core's own timers as well.
for my $begin ('SELECT 1', 'BEGIN')
{
	$client = client('describes once');
	$client->query($begin);
	$client->query('PREPARE s AS SELECT 1');
	$client->talk([ 'D', "Ss\0" ], $FLUSH);
	until_row($node, qq{SELECT state_age > '1.5 s' AND ends_in IS NULL AND limit_name IS NULL
		FROM hygiene.sessions WHERE pid = $client->{pid}});
	ok($client->is_open, "after a Describe without Sync it is not idle ($begin)");
	$client->talk($SYNC);
	$client->wait_closed;
	like($client->{error}->{C}, qr/^(?:57P05|25P03)$/, "after the Sync it is ($begin)");
}

$node->stop;
done_testing();
