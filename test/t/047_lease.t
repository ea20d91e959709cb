
# What was decided is asked again: a session that was spared, because its client
# did not read, is ended by what holds when it is asked again, not by what held
# when it was asked first.

use PgHygiene;
use Time::HiRes qw(time);

my $node = new_node(
	'main',
	'pg_hygiene.exempt_superusers = on',
	'pg_hygiene.headroom = 0');
my $rows = 100;

one('CREATE TABLE t (i int)');
one('GRANT ALL ON t TO app');
one('CREATE ROLE other LOGIN');

sub backend
{
	my ($client, $what) = @_;

	return one("SELECT $what FROM pg_stat_activity WHERE pid = $client->{pid}");
}

# Have the result of a statement wait for the client to read it although the
# session is at rest already: just as much as the socket takes and a little
# more.  How much that is, is found out once.
sub get_stuck
{
	my ($client) = @_;

	for (1 .. 1000)
	{
		$client->send_query("SELECT repeat('x', 1000) FROM generate_series(1, $rows)");
		until_row($node, qq{SELECT wait_event IN ('ClientRead', 'ClientWrite')
			FROM pg_stat_activity WHERE pid = $client->{pid} AND query LIKE '%, $rows)'});
		my $seen = backend($client, 'state || wait_event');

		return $client if $seen eq 'idle in transactionClientWrite';
		$rows += $seen =~ /ClientRead/ ? 4 : -1;
		$client->wait_ready;
	}
	die 'the client could not get stuck';
}

sub stuck
{
	my ($application, @statements) = @_;

	return get_stuck(client($application, 'BEGIN', @statements));
}

my $learner = stuck('learner');
$learner->wait_ready;
$learner->close;

# action:outcome of its events.
sub story
{
	my ($client) = @_;

	return one(qq{
		SELECT coalesce(string_agg(action || ':' || outcome, ' ' ORDER BY event_id), '')
		FROM hygiene.events WHERE pid = $client->{pid}});
}

sub until_asked
{
	my ($client) = @_;

	until_row($node, qq{SELECT count(*) > 0 FROM hygiene.events
		WHERE pid = $client->{pid} AND outcome = 'pending'});
	return;
}

# The request is withdrawn, and the session can go on.
sub check_spared
{
	my ($name, $client, $action) = @_;
	my $spared = eval {
		local $PostgreSQL::Test::Utils::timeout_default = 20;
		until_row($node, qq{SELECT count(*) = 0 FROM hygiene.events
			WHERE pid = $client->{pid} AND outcome = 'pending'});
		1;
	};

	ok($spared, "$name: what was asked is withdrawn");
	like(story($client), qr/^$action:spared(?: $action:observed)?$/, "$name: as spared");
	$client->wait_ready;
	two_passes($node);
	ok($client->is_open, "$name: the session lives on");
	$client->try_query('SELECT 42') if $client->is_open;
	is($client->{error}, undef, "$name: and can work");
	return;
}

my $spared_before = one('SELECT spared FROM hygiene.status');

#
# Whatever holds no more.
#
my %change = (
	'mode off' => [ mode => 'off' ],
	'observe' => [ mode => 'observe' ],
	'an exemption' => [ rules => 'application=stuck: exempt' ],
	'a rule that only observes' => [ rules => 'application=stuck: mode=observe' ],
	'a longer limit' => [ idle_in_transaction_timeout => '1h' ],
	'a rule with a longer limit' =>
	  [ rules => 'application=stuck: idle_in_transaction_timeout=1h' ],
	'no limit' => [ idle_in_transaction_timeout => '0' ]);

sub undo
{
	configure($node, mode => 'enforce', rules => '',
		idle_in_transaction_timeout => '300ms');
	return;
}

for my $name (sort keys %change)
{
	undo();
	my $client = stuck('stuck');

	until_asked($client);
	configure($node, @{ $change{$name} });
	check_spared($name, $client, 'terminate');
	$client->close;
}
cmp_ok(one('SELECT spared FROM hygiene.status'), '>=',
	$spared_before + keys %change, 'all of them are counted as spared');

# What still holds is carried out, even if something else has changed.
undo();
my $client = stuck('stuck');
until_asked($client);
configure($node, idle_session_timeout => '1h');
two_passes($node);
is(story($client), 'terminate:pending', 'what still holds is asked still');
$client->wait_ready;
is($client->wait_closed->{C}, '25P03', 'and done as soon as it can be');
is(story($client), 'terminate:done', 'once');
configure($node, idle_session_timeout => undef);

# Another limit than the one it was asked for is another decision.
$client = stuck('stuck');
until_asked($client);
configure($node, idle_in_transaction_timeout => '200ms');
until_row($node, qq{SELECT count(*) = 2 FROM hygiene.events WHERE pid = $client->{pid}});
$client->wait_ready;
like($client->wait_closed->{D}, qr/allows 200 ms\.$/, 'a shorter limit: told which');
is(story($client), 'terminate:spared terminate:done', 'and asked anew');

#
# The only one who waited has gone.
#
configure($node, idle_in_transaction_timeout => '0', idle_blocker_timeout => '300ms');
$client = stuck('blocker', 'LOCK TABLE t');
my $waiter = client('waiter');
$waiter->send_query('SELECT * FROM t');
until_asked($client);
one("SELECT pg_cancel_backend($waiter->{pid})");
$waiter->wait_ready;
check_spared('the waiter gone', $client, 'terminate');
$_->close for $client, $waiter;
configure($node, idle_blocker_timeout => undef);

#
# Evictions: slots are not short any more.
#
sub leak
{
	my ($name) = @_;
	my @leak = map { stuck($name || 'leak') } 1 .. 3;
	my @idle = map { client('filler') } 1 .. 20;

	configure($node, headroom => '80', headroom_min_idle => '100ms');
	until_asked($_) for @leak;
	return (\@leak, \@idle);
}

my ($leak, $idle) = leak();
configure($node, headroom => '0');
check_spared('headroom 0', $_, 'evict') for @$leak;
$_->close for @$leak, @$idle;

($leak, $idle) = leak();
$_->close for @$idle;
check_spared('slots free again', $_, 'evict') for @$leak;
$_->close for @$leak;

($leak, $idle) = leak();
configure($node, rules => 'application=leak: exempt');
check_spared('a leak that is exempt', $_, 'evict') for @$leak;
configure($node, rules => '');
$_->close for @$leak, @$idle;

# One of which nothing is remembered: else a single one would be a leak, too.
($leak, $idle) = leak('another leak');
$_->wait_ready for @$leak;
until_row($node, q{SELECT count(*) = 1 FROM hygiene.events
	WHERE application_name = 'another leak' AND action = 'evict' AND outcome = 'done'});
is(scalar(grep { !$_->is_open && $_->{error}->{C} eq '57P01' } @$leak), 1,
	'while they are short, who reads on is evicted, until no leak is left');
configure($node, headroom => '0');
$_->close for @$leak, @$idle;

#
# Cancels: nothing is cancelled in a backend that sends, and what was to be is
# forgotten.
#
%change = (
	'mode off' => [ mode => 'off' ],
	'observe' => [ mode => 'observe' ],
	'an exemption' => [ rules => 'application=reader: exempt' ],
	'a longer limit' => [ transaction_timeout => '1h' ]);
for my $name (sort keys %change)
{
	configure($node, mode => 'enforce', rules => '',
		transaction_timeout => '300ms', cancel_grace => '1h');
	my $reader = client('reader', 'SET jit = off');

	$reader->send_query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)");
	until_row($node, qq{SELECT wait_event = 'ClientWrite' FROM pg_stat_activity
		WHERE pid = $reader->{pid}});
	until_asked($reader);
	configure($node, @{ $change{$name} });
	check_spared("cancel, $name", $reader, 'cancel');
	is($reader->{error}, undef, "cancel, $name: the statement was not cancelled");
	$reader->close;
}

# One that has been accepted is taken back: the backend is asked while it
# computes a digest, in which core does not look for interrupts, and has to wait
# for its client with the row that has it.  (How fast this machine is, nobody
# knows; so several limits are tried, and one that is heeded before is as good.)
my $fills = int(((int($rows * 1011 / 8192) + 1) * 8192 - 34) / 1011) + 1;
my $digest = q{encode(sha512(decode(repeat(repeat('00', 1000000), 150 + i % 2), 'hex')), 'hex')};

for my $limit ('300ms', '600ms', '900ms', '1200ms')
{
	configure($node, mode => 'enforce', rules => '', transaction_timeout => $limit);
	my $reader = client('reader', 'SET jit = off');

	$reader->send_query(qq{SELECT repeat('x', 1000) || CASE WHEN i = $fills THEN left($digest, 0) ELSE '' END
		FROM generate_series(1, 1000) i});
	until_row($node, qq{SELECT wait_event = 'ClientWrite' OR state <> 'active'
		FROM pg_stat_activity WHERE pid = $reader->{pid}});
	configure($node, mode => 'off');
	until_row($node, qq{SELECT count(*) = 0 FROM hygiene.events
		WHERE pid = $reader->{pid} AND outcome = 'pending'});
	my $story = story($reader);
	$reader->wait_ready;
	is(($reader->{error} || {})->{C}, $story eq 'cancel:done' ? '57014' : undef,
		"accepted after $limit: taken back, or carried out before ($story)");
	is(story($reader), $story, 'and recorded so');
	$reader->close;
}
configure($node, transaction_timeout => '0', cancel_grace => undef);

#
# "off" is at once: also while the worker is stopped, and for a request that a
# stopped session has not seen yet.
#
sub stop_and_go
{
	my ($name, $stop_worker) = @_;
	my $worker;

	undo();
	my $idler = client('idler', 'BEGIN');

	kill 'STOP', $idler->{pid};
	until_asked($idler);
	if ($stop_worker)
	{
		$worker = worker_pid($node);
		kill 'STOP', $worker;
	}
	configure($node, mode => 'off');
	kill 'CONT', $idler->{pid};
	$idler->try_query('SELECT 42');
	is($idler->{error}, undef, "$name: the session lives on");
	kill 'CONT', $worker if $stop_worker;
	two_passes($node);
	ok($idler->is_open, "$name: and is not ended later");
	is(story($idler), 'terminate:spared', "$name: as recorded");
	$idler->close;
	return;
}

stop_and_go('not seen yet', 0);
stop_and_go('with the worker stopped', 1);

# One that was spared, while the worker is stopped until the client reads on.
undo();
$client = stuck('stuck');
until_asked($client);
my $worker = worker_pid($node);
kill 'STOP', $worker;
configure($node, mode => 'off');
$client->wait_ready;
kill 'CONT', $worker;
two_passes($node);
ok($client->is_open, 'a worker that was stopped asks no more');
is(story($client), 'terminate:spared', 'and says so');
$client->close;

$node->stop;
done_testing();
