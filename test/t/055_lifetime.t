
# A session that is older than session_lifetime goes at its next moment idle
# outside a transaction, and no sooner: nothing of it is broken, nothing that
# was acknowledged is lost, and those that came together do not go together.

use PgHygiene;
use Time::HiRes qw(time);

my $node = new_node('main');
$node->safe_psql('postgres', 'CREATE TABLE t (i int); GRANT ALL ON t TO app');

my $MESSAGE = 'terminating connection due to session lifetime';

sub told_why
{
	my ($name, $client, $allowance) = @_;
	my $last = $client->wait_closed || {};

	is(join(' ', map { $_ // '' } @$last{qw(S C M)}), "FATAL 57P01 $MESSAGE",
		"$name: message");
	like(
		$last->{D},
		qr/^Application ".*" kept a session open for \S+ m?s; \Q$allowance\E, less up to a tenth\.$/,
		"$name: DETAIL");
	is($last->{H},
		'Connect again: no transaction was open. A pool that checks a connection before it lends it does so by itself.',
		"$name: HINT");
	return;
}

# When a session began, by the server's clock.
sub age_at
{
	my ($client, $moment) = @_;

	return $moment - $client->{began};
}

sub begun
{
	my ($application, @statements) = @_;
	my $before = time;
	my $client = client($application, @statements);

	$client->{began} = $before;
	return $client;
}

#
# Idle ones, all at once: each goes by its own time, at nine tenths of the
# lifetime at the earliest.
#
configure($node, session_lifetime => '2s');
my @crowd = map { begun('crowd', 'SELECT 1') } 1 .. 40;
for my $client (@crowd)
{
	$client->wait_closed;
	cmp_ok(age_at($client, $client->{told_at}), '>=', 1.8 - 0.001, 'not early');
}
is( one(q{SELECT count(*), count(DISTINCT action || outcome || reason || limit_setting || state)
		FROM hygiene.events WHERE application_name = 'crowd'}),
	'40|1', 'each has one event');
is( one(q{SELECT action, outcome, reason, limit_setting, state, transaction_age, query,
			min(measured::interval) >= '1.8 s'
		FROM hygiene.events WHERE application_name = 'crowd' GROUP BY 1,2,3,4,5,6,7}),
	'terminate|done|session_lifetime|2s|idle||SELECT 1|t', 'which says why');
is(one(q{SELECT terminated FROM hygiene.applications WHERE application_name = 'crowd'}),
	'40', 'and they are counted');
cmp_ok(one(q{SELECT count(DISTINCT round(extract(epoch FROM measured::interval) * 50))
		FROM hygiene.events WHERE application_name = 'crowd'}),
	'>=', 7, 'they go spread over the tenth');
told_why('idle', $crowd[0], 'pg_hygiene.session_lifetime allows 2 s');

#
# In a transaction, at work or not, it stays until the end of it.
#
my $open = begun('open', 'BEGIN', 'INSERT INTO t VALUES (1)');
my $working = begun('working');
$working->send_query('SELECT pg_sleep(6)');
until_row($node, q{SELECT now() - backend_start > '2.5 s' FROM hygiene.sessions WHERE application_name = 'open'});
two_passes($node);
ok($open->is_open, 'in a transaction: stays');
ok($working->is_open, 'at work: stays');
$open->query('COMMIT');
told_why('after COMMIT', $open, 'pg_hygiene.session_lifetime allows 2 s');
is(one('SELECT count(*) FROM t'), '1', 'what was committed is there');
told_why('after work', $working, 'pg_hygiene.session_lifetime allows 2 s');
is(scalar @{ $working->{rows} }, 1, 'the statement came to its end');
cmp_ok($open->{told_at} - $open->{replied_at}, '<', 1, 'soon after COMMIT');
cmp_ok($working->{told_at} - $working->{sent_at}, '>=', 6, 'not before the end of the statement');
cmp_ok($working->{told_at} - $working->{sent_at}, '<', 7.5, 'soon after it');

# Other limits hold for it while it waits for its moment.
configure($node, session_lifetime => '100ms', idle_in_transaction_timeout => '1500ms');
my $leak = begun('leak', 'BEGIN');
is($leak->wait_closed->{C}, '25P03', 'one that leaks is ended as a leak');
cmp_ok($leak->{told_at} - $leak->{sent_at}, '>=', 1.5, 'not early');
cmp_ok($leak->{told_at} - $leak->{replied_at}, '<', 2.5, 'and not late');
is(one(q{SELECT string_agg(reason || ' ' || outcome, ', ') FROM hygiene.events WHERE application_name = 'leak'}),
	'idle_in_transaction_timeout done', 'by one event');
configure($node, idle_in_transaction_timeout => undef);

# What a Describe has begun is not between two transactions.
configure($node, session_lifetime => '500ms');
my $flushed = begun('flushed');
$flushed->pipeline('INSERT INTO t VALUES (2)');
until_row($node, q{SELECT now() - backend_start > '1.5 s' FROM hygiene.sessions WHERE application_name = 'flushed'});
two_passes($node);
ok($flushed->is_open, 'in a pipeline that was not synced: stays');
$flushed->close;

#
# Busy ones: idle for moments only.  pgbench says at which command of a script
# a client lost its connection: it must be the first.
#
$node->safe_psql(
	'postgres', q{
	CREATE TABLE a (id int PRIMARY KEY, n int);
	CREATE TABLE b (id int PRIMARY KEY, n int);
	INSERT INTO a SELECT i, 0 FROM generate_series(0, 9) i;
	INSERT INTO b SELECT i, 0 FROM generate_series(0, 9) i;
	GRANT ALL ON a, b TO app});
configure($node, session_lifetime => '1500ms');
my $script = $node->basedir . '/transfer.sql';
append_to_file($script, join "\n",
	'BEGIN;',
	'UPDATE a SET n = n + 1 WHERE id = :client_id;',
	'UPDATE b SET n = n + 1 WHERE id = :client_id;',
	'COMMIT;', '');
my ($stdout, $stderr) = ('', '');
{
	local $ENV{PGAPPNAME} = 'busy';

	IPC::Run::run(
		[
			'pgbench', '-n', '-h', $node->host, '-p', $node->port,
			'-U', 'app', '-c', 10, '-T', 60, '-f', $script, 'postgres'
		],
		'>', \$stdout, '2>', \$stderr);
}
my @aborted = $stderr =~ /client \d+ (?:script \d+ )?aborted in command (\d+)/g;
is(scalar @aborted, 10, 'busy: all of them are ended') or diag $stderr;
is(join(' ', grep { $_ } @aborted), '', 'busy: none within a transaction') or diag $stderr;
my ($done) = $stdout =~ /number of transactions actually processed: (\d+)/;
is(one('SELECT (SELECT sum(n) FROM a), (SELECT sum(n) FROM b)'),
	"$done|$done", 'busy: what was acknowledged is there, and nothing else');
is(one(q{SELECT count(*), max(measured::interval) < '10 s' FROM hygiene.events WHERE application_name = 'busy'}),
	'10|t', 'busy: each has one event');

#
# Who is idle on purpose stays, unless a rule says otherwise.
#
configure($node, session_lifetime => '300ms');
my %purpose = (
	LISTEN => client('listens', 'LISTEN a'),
	'an advisory lock' => client('locks', 'SELECT pg_advisory_lock(1)'));
my $plain = client('plain', 'SELECT 1');
$plain->wait_closed;
until_row($node, q{SELECT min(now() - backend_start) > '1 s' FROM hygiene.sessions WHERE application_name IN ('listens', 'locks')});
two_passes($node);
ok($purpose{$_}->is_open, "$_: stays") for sort keys %purpose;
is(of_session('limit_name', $purpose{LISTEN}), '', 'and is shown so');
configure($node, rules => 'application=l*: session_lifetime=200ms');
told_why($_, $purpose{$_}, 'rule 1 (application=l*) allows 200 ms') for sort keys %purpose;
is(one(q{SELECT string_agg(DISTINCT rule::text, ',') FROM hygiene.events WHERE application_name IN ('listens', 'locks')}),
	'1', 'the event has the rule');
is(one('SELECT ended FROM hygiene.rules'), '2', 'and the rule has them');

#
# What is shown, and what is only observed.
#
configure($node, rules => undef, session_lifetime => '1h');
my $shown = client('shown', 'SELECT 1');
is(of_session(q{limit_name || ' ' || limit_setting || ' ' || (ends_in BETWEEN '53 min' AND '1 h')}, $shown),
	'session_lifetime 1h true', 'hygiene.sessions shows when');
configure($node, mode => 'observe', session_lifetime => '200ms');
until_row($node, q{SELECT count(*) FROM hygiene.events WHERE application_name = 'shown' AND outcome = 'observed'}, '1');
$shown->query('SELECT 1');
two_passes($node);
ok($shown->is_open, 'observed only: stays');
is(one(q{SELECT count(*) FROM hygiene.events WHERE application_name = 'shown'}), '1', 'and has one event');
configure($node, mode => 'off');
my $off = client('off', 'SELECT 1');
two_passes($node);
ok($off->is_open, 'off: stays');
$_->close for $shown, $off;

$node->stop;
done_testing();
