
# Who is who: traces are no names, names that differ in a number are of one
# family, the table of names never fills, and one role's sessions are no
# evidence against another's.

use PgHygiene;

my $TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
my $PARENT = "00-$TRACE-00f067aa0ba902b7-01";
my $MAX_APPLICATIONS = 30;
my $node = new_node(
	'main',
	"pg_hygiene.max_applications = $MAX_APPLICATIONS",
	'pg_hygiene.max_events = 200',
	'pg_hygiene.warn_at = 0',
	'max_prepared_transactions = 3',
	'log_statement = none');

$node->safe_psql('postgres',
	'CREATE ROLE alice LOGIN; CREATE ROLE mallory LOGIN');

sub row
{
	my ($columns, $application) = @_;

	return one(
		qq{SELECT $columns FROM hygiene.applications
		WHERE application_name = '$application'});
}

# The names of all applications that tests have made, in their order.
sub names
{
	my ($like) = @_;

	return one(
		qq{SELECT coalesce(string_agg(application_name, ', '
			ORDER BY application_name COLLATE "C"), '')
		FROM hygiene.applications WHERE application_name LIKE '$like'});
}

# Close them, and wait until no other session is there but so many.
sub leave
{
	my ($stay, @clients) = @_;

	$_->close for @clients;
	until_row($node, "SELECT used = $stay + 1 FROM hygiene.status");
	return;
}

sub gone
{
	return leave(0, @_);
}

#
# A traceparent
#
configure($node, rules => 'application=orders: idle_in_transaction_timeout=200ms');
my $orders = client('orders');
$orders->query("SET application_name = '$PARENT'");
is(row('connections, opened, closed', 'orders'), '1|1|0', 'a session keeps its name');
is(names('00-%'), '', 'a traceparent is no application');
is(of_session('application_name', $orders), $PARENT, 'hygiene.sessions shows it');
is(of_session('limit_setting', $orders), '', 'there is no limit yet');
$orders->query('BEGIN');
my $last = $orders->wait_closed;
like(
	$last->{D},
	qr/^Application "orders" left a transaction idle for \S+ m?s; rule 1 \(application=orders\) allows 200 ms\. Its trace is $TRACE\.$/,
	'its rule holds; DETAIL has the name and the trace');
is( one("SELECT application_name, trace_id FROM hygiene.events WHERE pid = $orders->{pid}"),
	"orders|$TRACE", 'the event has both');
is(row('terminated', 'orders'), '1', 'and it counts for the application');

my $nameless = client("_DD_$PARENT");
is(row('connections', ''), '1', 'one that logs in with it has no name');
$nameless->query(q{SET application_name = 'named'});
is(row('connections', 'named'), '1', 'until it takes one');
$nameless->query('SET application_name = ' . "'00-" . '0' x 32 . '-' . '0' x 16 . "-00'");
is(row('connections', 'named'), '1', 'a trace of zeros is none, and no name');
$nameless->query("SET application_name = '${PARENT}0'");
is(names('named'), 'named', 'the last real name still has a row');
is(row('connections', 'named'), '0', 'what only looks like it is a name');
gone($nameless);
configure($node, rules => undef);

#
# Families
#
one('SELECT hygiene.reset()');
my @web = map { client("web$_", 'SELECT 1') } 1 .. 8;
is(names('web%'), join(', ', map { "web$_" } 1 .. 8), 'eight names stay eight applications');
push @web, client('web1');
is(row('connections, opened', 'web1'), '2|2', 'and one of them again is no ninth');
push @web, client('web9');
is(names('web%'), 'web*', 'with the ninth they are one');
is(row('connections, opened, closed, transactions', 'web*'),
	'10|10|0|8', 'and all that was counted is counted for it');
$_->close for @web[ 0 .. 4 ];
until_row($node, q{SELECT closed = 5 FROM hygiene.applications WHERE application_name = 'web*'});
is(row('connections, opened, closed, transactions', 'web*'),
	'5|10|5|8', 'nothing is lost or counted twice when sessions go');
is(one(q{SELECT string_agg(application_name, ',' ORDER BY application_name COLLATE "C")
		FROM hygiene.sessions WHERE application_name LIKE 'web%'}),
	'web1,web6,web7,web8,web9', 'hygiene.sessions shows the exact names');
$web[5]->query(q{SET application_name = 'web77'});
is(row('connections, opened, closed', 'web*'), '5|11|6', 'from one name to another of it');
is(one('SELECT bool_and(opened - closed = connections) FROM hygiene.applications'),
	't', 'opened - closed = connections');
gone(@web);

$node->restart;
is(row('opened, closed, transactions', 'web*'), '11|11|9', 'a family survives a restart');
my $web = client('web4711');
is(names('web%'), 'web*', 'as what it was');
is(row('connections', 'web*'), '1', 'for all its names');
gone($web);

# a rule sees the exact name
configure($node, rules => 'application=web3: connections=1; application=web*: idle_session_timeout=1h');
my $web3 = client('web3');
like(client('web3')->{error}->{M}, qr/^too many connections for rule 1 /, 'a cap on one name');
is(client('web4')->{error}, undef, 'does not hold for another one of its family');
is(of_session('limit_setting', $web3), '1h', 'a rule for all is a glob');
gone($web3);
configure($node, rules => undef);

# off
configure($node, application_families => 'off');
one('SELECT hygiene.reset()');
my @node = map { client("node-$_") } 1 .. 12;
is(one(q{SELECT count(*) FROM hygiene.applications WHERE application_name LIKE 'node-%'}),
	'12', 'application_families = off: each name is one');
configure($node, application_families => undef);
push @node, client('node-13');
is(row('connections, opened', 'node-*'), '13|13', 'on again: they are united');
gone(@node);

#
# The table never fills.
#
one('SELECT hygiene.reset()');
my $known = client('known');
$known->query('SELECT 1') for 1 .. 3;
one(q{DO $$ BEGIN FOR i IN 1 .. 1000 LOOP
	PERFORM set_config('application_name',
		translate(md5(i::text), '0123456789abcdef', 'ghijklmnopqrstuv'), false);
	COMMIT; END LOOP; END $$});
cmp_ok(one('SELECT count(*) FROM hygiene.applications'), '<=', 14,
	'a thousand names leave a handful of rows');
is(row('opened > 900, connections', '(other applications)'), 't|0', 'the others are summed');
is(row('connections, transactions', 'known'), '1|3', 'who was there is there');
my @three = map { client($_, 'BEGIN') } qw(billing search cron);
is(row('connections', $_), '1', "$_ has a row of its own") for qw(billing search cron);
leave(1, @three);

for my $i (1 .. 3 * $MAX_APPLICATIONS)
{
	my $name = join '', map { ('a' .. 'z')[ $_ ] } $i % 26, $i / 26, 17;
	my $client = client("program $name");

	$client->query('SELECT 1') for 1 .. 3;
	$client->close;
}
until_row($node, 'SELECT used = 2 FROM hygiene.status');
cmp_ok(one('SELECT count(*) FROM hygiene.applications'), '<=', $MAX_APPLICATIONS + 2,
	'established ones give way to others, too');
is(row('connections, transactions', 'known'), '1|3', 'but none that has a session');
is(one('SELECT sum(opened) - sum(closed) - sum(connections) FROM hygiene.applications'),
	'0', 'nothing is lost');
gone($known);
one('SELECT hygiene.reset()');
is(one('SELECT count(*) FROM hygiene.applications'), '1', 'reset() forgets all that have no session');

# Who is called like a row that sums others up is in a row with the nameless.
my @rows = map { client($_) } '(other applications)', '(newcomers)', '';
is(row('connections', ''), '3', 'such a name is none');
is(names('(%'), '', 'and no row of its own');
is(of_session('application_name', $rows[1]), '(newcomers)', 'hygiene.sessions shows it');
configure($node, connections_per_application => 3);
is(client('(other applications)')->{error}->{C}, '53300', 'nor a way around a cap');
configure($node, connections_per_application => undef);
gone(@rows);
one('SELECT hygiene.reset()');

#
# Refusals under rotating names; "make test-long" has more of them
#
my $refusals = $ENV{PGH_LONG} ? 3200 : 500;
my $boss = client('boss', user => $node->safe_psql('postgres', 'SELECT current_user'));
configure($node, rules => 'user=mallory: connections=1', idle_in_transaction_timeout => '100ms');
my @ended = map { client("ended $_", 'BEGIN') } qw(a b c);
$_->wait_closed for @ended;
my $inside = client('inside', user => 'mallory');
my $log = log_position($node);
my $before = one('SELECT count(*) FROM hygiene.applications');
client(join('', map { ('a' .. 'z')[ rand 26 ] } 1 .. 12), user => 'mallory') for 1 .. $refusals;
is(one(q{SELECT count(*) FROM hygiene.events WHERE action = 'terminate'}),
	'3', 'every other event is still there');
cmp_ok(one(q{SELECT count(*) FROM hygiene.events WHERE action = 'refuse'}),
	'<=', 40, 'refusals take a fifth of the ring');
cmp_ok(log_position($node) - $log, '<', 50_000, 'and little of the log');
cmp_ok(one('SELECT count(*) FROM hygiene.applications') - $before, '<=', 3, 'and no places');
is(one('SELECT refused FROM hygiene.status'), $refusals, 'each is counted');
is(one('SELECT sum(refused) FROM hygiene.applications'), $refusals, 'for somebody');
gone($inside, $boss);
configure($node, rules => undef, idle_in_transaction_timeout => undef);

#
# The name at login: of the packet, or of its options, as core reads them
#
configure($node, rules => 'application="": connections=1; application=optional: connections=1; application="o p*": connections=1');
my @named = (client(''), client('optional'), client('o p'));
for my $options (
	'-c application_name=optional',
	'-capplication_name=optional',
	'--application_name=optional',
	' -c  Application-Name=opt\iona\l ',
	'-B16 -N 5 -ec application_name=optional --work_mem=1MB',
	'-c application_name=x -c application_name=optional',
	'-c application_name=o\ p\ \\')
{
	my $with = client(undef, options => $options);

	like($with->{error}->{M}, qr/^too many connections for rule [23] /, "options=$options");
}
my $packet = client(undef, packet => { Application_Name => 'optional' });
like($packet->{error}->{M}, qr/ rule 2 /, 'case does not matter in the packet');
my @other = (
	client('other', options => '-c application_name=optional'),
	client(undef, packet => { APPLICATION_NAME => 'other' }, options => '-c application_name=optional'));
is(join('|', map { $_->first_row('SHOW application_name') } @other), 'other|other', 'the packet stands above its options');
for my $options ('-c application_name', '-c', '--', '-W', '-q -c application_name=optional x', '\\')
{
	isnt(client(undef, options => $options)->{error}->{M}, undef, "options=$options is an error, as ever");
}
is(row('connections, opened', 'other'), '2|2', 'under which they were let in');
gone(@named, @other);
configure($node, rules => undef);

#
# Names taken later
#
configure($node, connections_per_application => 3);
my @late = map { client("late $_") } 'a' .. 'e';
$_->try_query("SET application_name = 'capped'") for @late;
until_row($node, q{SELECT connections = 3 FROM hygiene.applications WHERE application_name = 'capped'});
my @over = grep { !$_->is_open } @late;
is(scalar @over, 2, 'a cap holds for a name taken later');
$_->wait_closed for @over;
is("$over[0]->{error}->{S} $over[0]->{error}->{C}", 'FATAL 53300', 'who is over it is ended');
is($over[0]->{error}->{M}, 'too many connections for application "capped"', 'with the words of a refusal');
like($over[0]->{error}->{D}, qr/^Application "capped" holds 3 connections; pg_hygiene\.connections_per_application allows 3\.$/, 'and the reason');
is(row('refused, peak_connections, opened, closed', 'capped'), '2|3|3|0', 'counted as one that was refused');
is(outcomes($node, 'capped'), 'done,done', 'and recorded');
my $wrote = client('w');
$node->safe_psql('postgres', 'CREATE TABLE t (i int); GRANT ALL ON t TO app');
$wrote->try_query(q{BEGIN; INSERT INTO t VALUES (1); SET application_name = 'capped'; COMMIT});
$wrote->wait_closed;
is(one('SELECT count(*) FROM t'), '1', 'its transaction is committed before');
my $local = client('local');
$local->query(q{BEGIN; SET LOCAL application_name = 'capped'; COMMIT});
$local->query('SELECT 1');
ok($local->is_open, 'SET LOCAL takes no name');
gone(@late, $local);
configure($node, connections_per_application => undef,
	rules => 'application=capped: connections=3');
@late = map { client('') } 1 .. 20;
$_->try_query("SET application_name = 'capped'") for @late;
until_row($node, 'SELECT used = 4 FROM hygiene.status');
is(row('connections', 'capped'), '3', 'twenty sessions without a name through a cap of three');
gone(@late);

# What lasts is not always what is set when the transaction ends.
$node->safe_psql('postgres', q{
	CREATE FUNCTION take() RETURNS text LANGUAGE plpgsql SET application_name = 'inside'
		AS $$ BEGIN SET application_name = 'capped'; RETURN 'taken'; END $$;
	CREATE FUNCTION try() RETURNS text LANGUAGE plpgsql SET application_name = 'capped'
		AS $$ BEGIN RETURN current_setting('application_name'); END $$;});
my $TAKE = q{SET application_name = 'capped'};
my @taken = (
	[ 'SET and SET LOCAL', "BEGIN; $TAKE; SET LOCAL application_name = 'x'; COMMIT" ],
	[ 'SET and back to the default for now', "BEGIN; $TAKE; SET LOCAL application_name TO DEFAULT; COMMIT" ],
	[ 'SET LOCAL and SET', "BEGIN; SET LOCAL application_name = 'x'; $TAKE; COMMIT" ],
	[ 'SET in a savepoint', "BEGIN; SAVEPOINT a; $TAKE; SAVEPOINT b; SET LOCAL application_name = 'x'; COMMIT" ],
	[ 'SET before a savepoint', "BEGIN; $TAKE; SAVEPOINT a; SET application_name = 'x'; ROLLBACK TO a; COMMIT" ],
	[ 'SET in a function that sets it', 'SELECT take()' ],
	[ 'SET in a loop', "DO \$\$ BEGIN FOR i IN 1..3 LOOP PERFORM set_config('application_name', 'capped', false); PERFORM set_config('application_name', 'x', true); COMMIT; END LOOP; END \$\$" ],
	[ 'COMMIT AND CHAIN', "BEGIN; $TAKE; COMMIT AND CHAIN; SET LOCAL application_name = 'x'" ],
	[ 'PREPARE TRANSACTION', "BEGIN; $TAKE; PREPARE TRANSACTION 'p'" ],
	[ 'PREPARE TRANSACTION after SET LOCAL', "BEGIN; $TAKE; SET LOCAL application_name = 'x'; PREPARE TRANSACTION 'q'" ]);
my @not_taken = (
	[ 'ROLLBACK', "BEGIN; $TAKE; ROLLBACK" ],
	[ 'an error', "BEGIN; $TAKE; SELECT 1/0; COMMIT", 'COMMIT' ],
	[ 'ROLLBACK TO', "BEGIN; SAVEPOINT a; $TAKE; ROLLBACK TO a; COMMIT" ],
	[ 'SET LOCAL', "BEGIN; SET LOCAL application_name = 'capped'; COMMIT" ],
	[ 'PREPARE TRANSACTION after only SET LOCAL', "BEGIN; SET LOCAL application_name = 'capped'; PREPARE TRANSACTION 'r'" ],
	[ "a function's SET", 'SELECT try()' ]);
my @holders = map { client('capped') } 1 .. 3;
one('SELECT hygiene.reset()');
for my $way (@taken)
{
	my ($what, $sql) = @$way;
	my $taker = client('taker');

	$taker->try_query($sql);
	is($taker->wait_closed->{C}, '53300', "$what: it has taken the name");
}
one(q{CREATE ROLE preset LOGIN; ALTER ROLE preset SET application_name = 'capped'});
is(client(undef, user => 'preset')->wait_closed->{C}, '53300', 'nor is who has it from his role');
is(client('given', user => 'preset')->{error}, undef, 'unless his client says another one');

# Until it is let in, it counts for what it was let in with.
my $open = client('taker', "BEGIN; $TAKE");
is(of_session('application_name', $open), 'capped', 'in its transaction it has the name');
is(row('connections', 'capped'), '3', 'which nobody counts yet');
is(row('connections', 'taker'), '1', 'but the one that it came with');
is(one('SELECT sessions FROM hygiene.rules'), '3', 'so do rules');
is(one("SELECT count(exceeds) FROM hygiene.rehearse('application=capped: connections=3')"), '0', 'and rehearse()');
is(one("SELECT count(exceeds) FROM hygiene.rehearse('application=capped: connections=2')"), '3', 'for which others are too many');
$open->close;
until_row($node, q{SELECT connections = 0 FROM hygiene.applications WHERE application_name = 'taker'});
for my $way (@not_taken)
{
	my ($what, @sql) = @$way;
	my $trier = client('trier');

	$trier->try_query($_) for @sql, 'BEGIN', 'ROLLBACK';
	$trier->query('SELECT 1');
	is($trier->first_row('SHOW application_name'), 'trier', "$what: it has its name");
	is(row('connections', 'trier'), '1', "$what: and counts for it");
	$trier->close;
	until_row($node, q{SELECT connections = 0 FROM hygiene.applications WHERE application_name = 'trier'});
}
is(row('connections, opened, refused, peak_connections', 'capped'), '3|3|11|3', 'nobody was let in');
leave(0, @holders);
one("ROLLBACK PREPARED '$_'") for qw(p q r);

# Nor is what is said where another text was before.
configure($node, rules => 'application=evil-*: connections=1');
my $tail = 'a' x 43;
my @evil = map { client('still good') } 1 .. 6;
for my $evil (@evil)
{
	$evil->query("SET application_name = 'good-$tail'");
	$evil->query(q{BEGIN; SET application_name = 'm1'; SET LOCAL application_name = 'm2'; COMMIT});
	$evil->try_query("SET application_name = 'evil-$tail'");
}
until_row($node, 'SELECT used = 2 FROM hygiene.status');
is(scalar(grep { $_->is_open } @evil), 1, 'the same address is not the same name');
gone(@evil);
configure($node, rules => undef);

$node->stop;
done_testing();
