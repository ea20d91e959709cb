
# A login that would be refused waits for a place, fewest first; it counts for
# nothing meanwhile, holds nothing, and can be ended like any other.

use PgHygiene;
use Time::HiRes qw(time);

my $node = new_node(
	'main',
	'max_connections = 100',
	'pg_hygiene.headroom = 10',
	"pg_hygiene.admission_wait = '1min'",
	"pg_hygiene.rules = 'user=app: connections=3'");
one('CREATE ROLE alice LOGIN; CREATE ROLE mallory LOGIN');

# A client that has asked, and may be waiting.
sub knock
{
	my ($application, %options) = @_;

	return client($application, %options, nowait => 1);
}

sub wait_until_waiting
{
	my ($n) = @_;

	until_row($node, 'SELECT waiting FROM hygiene.status', $n);
	return;
}

# The applications of those that wait.
sub waiting
{
	return one(q{
		SELECT coalesce(string_agg(application_name, ',' ORDER BY state_age DESC), '')
		FROM hygiene.sessions WHERE state = 'waiting for admission'});
}

# Those that wait are not listening yet.
sub leave
{
	for my $client (@_)
	{
		if ($client->{pid})
		{
			$client->close;
		}
		else
		{
			$client->hang_up;
		}
	}
	return;
}

sub all_is_over
{
	until_row($node,
		'SELECT used = 1 AND waiting = 0 AND authenticating = 0 FROM hygiene.status');
	return;
}

# ---------------------------------------------------------------- waiting

my @in = map { client('web') } 1 .. 3;
my $first = knock('web');
wait_until_waiting(1);
my $second = knock('web');
wait_until_waiting(2);

is( one(q{
	SELECT count(*), min(user_name), min(database_name), bool_and(state_age > '0'),
		bool_and(pid > 0), count(backend_xmin_age), count(limit_name)
	FROM (SELECT *, xmin_age AS backend_xmin_age FROM hygiene.sessions) s
	WHERE state = 'waiting for admission'}),
	'2|app|postgres|t|t|0|0', 'those who wait are shown, and hold back nothing');
is(one(q{SELECT connections, opened, refused FROM hygiene.applications WHERE application_name = 'web'}),
	'3|3|0', 'but not counted for the application');
is(one('SELECT sessions FROM hygiene.rules WHERE rule = 1'), '3', 'nor for the rule');
is(one('SELECT authenticating, refused FROM hygiene.status'), '2|0', 'nor as refused');
is( one(q{
	SELECT count(*) FROM pg_locks l JOIN hygiene.sessions s USING (pid)
	WHERE s.state = 'waiting for admission' AND l.locktype <> 'virtualxid'}),
	'0', 'they hold no lock');
is( one(q{
	SELECT coalesce(string_agg(DISTINCT wait_event, ','), 'HygieneAdmission')
	FROM pg_stat_activity JOIN hygiene.sessions s USING (pid)
	WHERE s.state = 'waiting for admission'}),
	'HygieneAdmission', 'with a wait event, where the server shows them');
my $left_at = time;
(shift @in)->close;
$first->wait_ready;
cmp_ok(time - $left_at, '<', 2, 'who leaves gives the place to the first');
is(waiting(), 'web', 'and to one only');
ok($second->is_open && !$second->{error}, 'the second waits on');
is(of_session('state', $first), 'idle', 'the first is let in');
leave(@in);
$second->wait_ready;
is(one(q{SELECT refused FROM hygiene.status}), '0', 'nobody was refused');
leave($first, $second);
all_is_over();

# ---------------------------------------------------------------- refused

configure($node, admission_wait => '500ms');
@in = map { client('web') } 1 .. 3;
my $began = time;
my $out = knock('web')->wait_closed;
cmp_ok(time - $began, '>=', 0.5, 'refused when its time is over');
is("$out->{C} $out->{M}", '53300 too many connections for rule 1 (user=app)', 'with the usual words');
like($out->{D}, qr/allows 3\. It waited 5\d\d ms for a place\./, 'and how long it waited');
is(one(q{SELECT connections, opened, refused FROM hygiene.applications WHERE application_name = 'web'}),
	'3|8|1', 'counted once');

configure($node, rules => 'user=app: connections=3, admission_wait=0');
$began = time;
$out = knock('web')->wait_closed;
cmp_ok(time - $began, '<', 0.4, 'a rule that says 0 lets nobody wait');
unlike($out->{D}, qr/waited/, 'and says nothing of it');
configure($node, rules => 'user=app: connections=3, admission_wait=1min', admission_wait => undef);

my @crowd = map { knock('web') } 1 .. 8;
wait_until_waiting(5);
until_row($node, q{SELECT refused FROM hygiene.applications WHERE application_name = 'web'}, 5);
is(one('SELECT waiting FROM hygiene.status'), '5', 'no more than half the headroom waits');

# ---------------------------------------------------------------- ended while they wait

my @pids = split /\n/, one(q{SELECT pid FROM hygiene.sessions WHERE state = 'waiting for admission' ORDER BY state_age DESC});
one("SELECT pg_terminate_backend($pids[0])");
wait_until_waiting(4);
one("SELECT pg_cancel_backend($pids[1])");
wait_until_waiting(3);
ok(processes_gone(10, @pids[ 0, 1 ]), 'one that waits can be ended, and cancelled');
leave(@crowd);
wait_until_waiting(0);
ok(processes_gone(10, @pids), 'and goes when its client does');
is(one(q{SELECT connections, refused FROM hygiene.applications WHERE application_name = 'web'}),
	'3|5', 'none of which counts');
leave(@in);
all_is_over();
is(one('SELECT sessions FROM hygiene.rules WHERE rule = 1'), '0', 'nothing is left of them');

# ---------------------------------------------------------------- changes

@in = map { client('web') } 1 .. 3;
$first = knock('web');
wait_until_waiting(1);
configure($node, rules => 'user=app: connections=4, admission_wait=1min');
$first->wait_ready;
ok($first->is_open, 'a rule that allows more lets it in');
$second = knock('web');
wait_until_waiting(1);
configure($node, mode => 'off');
$second->wait_ready;
ok($second->is_open, 'and so does mode=off');
leave(@in, $first, $second);
configure($node, mode => undef, rules => 'user=app: connections=4, admission_wait=1min');
all_is_over();

# ---------------------------------------------------------------- fewest first

# Neither is new: one that is shares its turn with all that are.
leave(client('many'), client('few'));
@in = ((map { client('many') } 1 .. 3), client('few'));
$first = knock('many');
wait_until_waiting(1);
$second = knock('few');
wait_until_waiting(2);
(shift @in)->close;
$second->wait_ready;
is(waiting(), 'many', 'who holds the fewest comes first');
leave(@in, $second, $first);
all_is_over();

# Each newcomer would be let in if it did not stand behind those who wait.
@in = map { client('web') } 1 .. 4;
my @line = map { my $c = knock('web'); wait_until_waiting($_); $c } 1 .. 5;
for my $turn (0 .. 4)
{
	(shift @in)->close;
	$line[$turn]->wait_ready;
	push @in, $line[$turn];
}
pass('and then who has waited for longest');
leave(@in);
all_is_over();

# ---------------------------------------------------------------- one role's waiters

configure($node, rules => 'database=postgres user!=postgres: connections=3, admission_wait=1min');
@in = map { client('web') } 1 .. 3;
my @liars = map { knock("liar$_", user => 'mallory') } 1 .. 9;
wait_until_waiting(5);
my $alice = knock('web', user => 'alice');
until_row($node, q{SELECT count(*) FROM hygiene.sessions WHERE state = 'waiting for admission' AND user_name = 'alice'}, 1);
is( one(q{SELECT count(*) FILTER (WHERE user_name = 'mallory') FROM hygiene.sessions WHERE state = 'waiting for admission'}),
	'4', 'a role that waits many times makes room for another');
leave(@in, @liars, $alice);
all_is_over();

# ---------------------------------------------------------------- short of slots

configure($node, rules => '', headroom => 40, admission_wait => '1min');
@in = map { client('web') } 1 .. 57;
my @others = map { knock('web') } 1 .. 6;
until_row($node, 'SELECT waiting > 0 FROM hygiene.status');
my @small = grep { $_->is_open } map { client("small$_", user => 'alice') } 'a' .. 'j';
cmp_ok(scalar @small, '>=', 1, 'others are served meanwhile');
is(one(q{SELECT refused_by_server FROM hygiene.status}), '0', 'and none of them finds the server full');
leave(@in, @others, @small);

# ---------------------------------------------------------------- many at once

configure($node, rules => 'user=app: connections=15, admission_wait=1min', headroom => 60);
all_is_over();
one('SELECT hygiene.reset()');
@crowd = map { knock('web') } 1 .. 45;
my $served = 0;
while (@crowd)
{
	my @in_line;

	for my $client (@crowd)
	{
		if ($client->is_open && $client->{status})
		{
			$client->close;
			$served++;
		}
		elsif (!$client->{closed_at})
		{
			push @in_line, $client;
		}
	}
	@crowd = @in_line;
	select undef, undef, undef, 0.01;
}
is($served, 45, 'of many at once all are served');
is(one('SELECT refused FROM hygiene.status'), '0', 'and none is refused');
cmp_ok(one(q{SELECT peak_connections FROM hygiene.applications WHERE application_name = 'web'}),
	'<=', 15, 'nor is their cap exceeded');

# ---------------------------------------------------------------- the end of the server

configure($node, rules => 'user=app: connections=1, admission_wait=1min', headroom => undef);
all_is_over();
@in = client('web');
$first = knock('web');
wait_until_waiting(1);
my $pid = one(q{SELECT pid FROM hygiene.sessions WHERE state = 'waiting for admission'});
$node->stop('fast');
ok(processes_gone(10, $pid), 'it ends with the server');
$node->start;
@in = client('web');
$first = knock('web');
wait_until_waiting(1);
$pid = one(q{SELECT pid FROM hygiene.sessions WHERE state = 'waiting for admission'});
$node->kill9;
ok(processes_gone(10, $pid), 'also when the postmaster is gone');
$node->start;

# authentication_timeout is longer than all of it
$node->append_conf('postgresql.conf', "authentication_timeout = 2s");
$node->reload;
until_row($node, q{SELECT current_setting('authentication_timeout')}, '2s');
@in = client('web');
$out = knock('web')->wait_closed;
is($out->{C}, '53300', 'it is refused before core gives it up');

$node->stop;
done_testing();
