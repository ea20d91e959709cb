
# Sessions whose statement waits for a client that neither sends nor reads:
# client_stall_timeout ends them, over TCP, TLS and Unix-domain sockets, and
# nobody whose client moves a byte in that time.

use PgHygiene;
use IPC::Run ();
use Time::HiRes qw(time);

my $LIMIT = 3;
my $SLOW = 7;     # of each of three sorts; the others are one of each
my $LASTS = $ENV{PGH_LONG} ? 60 : 8;    # for how long the slow ones are watched
$SLOW = 67 if $ENV{PGH_LONG};

my $node = new_node('main', "listen_addresses = '127.0.0.1'", 'max_connections = 300');

$node->safe_psql('postgres', 'CREATE TABLE t (x text); GRANT ALL ON t TO app');

# A certificate of the server's own, where there is a program to make one.
my $folder = $node->data_dir;
my @hows = qw(unix tcp);
if (run_log([
			'openssl', 'req', '-new', '-x509', '-nodes', '-days', '9', '-subj', '/CN=localhost',
			'-keyout', "$folder/server.key", '-out', "$folder/server.crt" ]))
{
	chmod 0600, "$folder/server.key" or die $!;
	$node->append_conf('postgresql.conf', 'ssl = on');
	$node->restart;
	push @hows, 'tls';
}

# The program of these clients: what it says, when it is told to end.
sub start_clients
{
	my (@words) = @_;
	my %run = (in => '', out => '', err => '');

	$run{handle} = IPC::Run::start(
		[ '/usr/bin/python3', 'test/programs/stall/clients.py', $node->host, $node->port, 1, @words ],
		'<', \$run{in}, '>', \$run{out}, '2>', \$run{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	$run{handle}->pump until $run{out} =~ /^ready$/m || $run{err} ne '';
	is($run{err}, '', 'the clients have begun');
	$run{moved}{"$1 $2 $3"} = $4 while $run{out} =~ /^(\S+) (\S+) (\d+) ([\d.]+)$/mg;
	return \%run;
}

# Returns how each of them ended, as lines; without those that were to be slow
# and moved nothing for as long as the limit, because the machine was busy.
sub end_clients
{
	my ($run) = @_;

	$run->{out} = '';
	$run->{handle}->finish;
	is($run->{err}, '', 'the clients are through');
	my @busy = grep { / ([\d.]+) / && $1 >= $LIMIT } split /\n/, $run->{out};

	note "not slow, but at rest: $_" for @busy;
	return grep { !/ ([\d.]+) / || $1 < $LIMIT } split /\n/, $run->{out};
}

my $MESSAGE = 'terminating connection due to client stall';
my $ENDED = "SELECT count(*) FROM hygiene.events WHERE reason = 'client_stall_timeout' AND outcome = 'done' AND application_name NOT LIKE 'slow%'";

#
# Without a limit hygiene.sessions shows who waits, and how long.
#
my $run = start_clients(map { ("copy/$_", "copyto/$_", "result/$_", "pipeline/$_", "sleep/$_") } @hows);
until_row($node,
	"SELECT count(*) FROM hygiene.sessions WHERE client_wait > '2 s' AND application_name IN ('copy', 'copyto', 'result', 'pipeline')",
	4 * @hows);
is( one("SELECT count(*) FROM hygiene.sessions WHERE client_wait > '2 s' AND application_name NOT IN ('copy', 'copyto', 'result', 'pipeline')"),
	'0', 'and nobody else does');
is(one("SELECT count(*) FROM hygiene.sessions WHERE application_name = 'sleep' AND client_wait IS NOT NULL"),
	'0', 'who sleeps does not wait for its client');
is(client('other', user => 'app')->first_row("SELECT count(*) FROM hygiene.sessions WHERE client_wait > '2 s' AND user_name = 'app'"),
	4 * @hows, 'a role sees its own');
one('CREATE ROLE other LOGIN');
is(client('other', user => 'other')->first_row('SELECT count(client_wait) FROM hygiene.sessions'),
	'0', 'and not those of another one');
is( one("SELECT count(*), bool_and(ends_in < '1 h') FROM hygiene.rehearse('application=copy*: client_stall_timeout=1h') WHERE limit_name = 'client_stall_timeout' AND client_wait > '1 s'"),
	2 * @hows . '|t', 'rehearse() knows them');
is(one("SELECT count(*) FROM hygiene.sessions WHERE limit_name = 'client_stall_timeout'"), '0', 'no limit');

end_clients($run);

#
# Observed: one event each, and when it moved on.
#
configure($node, mode => 'observe', client_stall_timeout => '3s');
$run = start_clients(map { ("copy/$_", "copyto/$_", "result/$_", "pipeline/$_", "slowresult/$_") } @hows);
until_row($node,
	"SELECT count(*) FROM hygiene.events WHERE reason = 'client_stall_timeout' AND outcome = 'observed' AND resumed_after IS NULL AND action = 'terminate'",
	4 * @hows);
is( one("SELECT sum(would_terminate) FROM hygiene.applications WHERE application_name IN ('copy', 'copyto', 'result', 'pipeline')"),
	4 * @hows, 'would_terminate');
is(one("SELECT count(*) FROM hygiene.sessions WHERE limit_name = 'client_stall_timeout' AND ends_in IS NULL") >= 4 * @hows,
	1, 'limit_name and no ends_in');
my @ends = end_clients($run);
is((grep { /closed|57P05/ } @ends), 0, 'none was ended');
is(one("SELECT count(*) FROM hygiene.events WHERE application_name LIKE 'slow%'"), '0', 'who is slow was not even observed')
  if grep { /^slow/ } @ends;
is( one("SELECT count(*) FROM hygiene.events WHERE application_name IN ('copyto', 'result') AND resumed_after < '10 s'"),
	2 * @hows, 'resumed_after of those that went on');
configure($node, mode => undef, client_stall_timeout => undef);

#
# Enforced.
#
my @stops = qw(copy copyto result pipeline commit);
my @slow = qw(slowcopy slowresult slowcopyto slowpipeline);
$node->safe_psql('postgres', 'SELECT hygiene.reset(); TRUNCATE t');
configure($node, client_stall_timeout => "${LIMIT}s");
$run = start_clients(
	(map { my $how = $_; map { "$_/$how" } @stops, @slow, 'sleep' } @hows),
	(map { my $how = $_; map { "$_/$how/" . int($SLOW / 4 + 1) } @slow } @hows));
until_row($node, $ENDED, @stops * @hows);
for my $client (sort grep { !/^s/ } keys %{ $run->{moved} })
{
	my ($what, $how, $pid) = split / /, $client;
	my ($at, $event) = split /\|/, one(
		"SELECT extract(epoch FROM occurred_at), action || ' ' || outcome || ' ' || state || ' ' || limit_setting || ' ' || (measured::interval >= limit_setting::interval) FROM hygiene.events WHERE pid = $pid");
	my $seconds = $at - $run->{moved}{$client};

	is($event, "terminate done active ${LIMIT}s true", "$what, $how: event");
	cmp_ok($seconds, '>=', $LIMIT, "$what, $how: not early");
	cmp_ok($seconds, '<', $LIMIT + 1.5, "$what, $how: and not late");
}
until_row($node,
	"SELECT min(state_age) > '$LASTS s' FROM hygiene.sessions WHERE application_name = 'sleep'");
is(one($ENDED), @stops * @hows, 'nobody else was ended');
@ends = end_clients($run);
for my $what (@stops, @slow, 'sleep')
{
	my $end = $what =~ /^(?:copy|pipeline|commit)$/ ? "57P05 $MESSAGE"
	  : $what =~ /^slow/ ? 'done'
	  : $what eq 'sleep' ? 'open'
	  : 'closed';

	is_deeply([ grep { !/ \Q$end\E$/ } grep { /^$what / } @ends ], [], "$what: $end");
}
note scalar(grep { /^slow/ } @ends), ' were slow all the time';
cmp_ok(one("SELECT count(*) FROM t"), '>=', scalar(grep { /^slowcopy / } @ends), 'what slow clients copied is there');

#
# What a client is told, and rules.
#
configure($node, client_stall_timeout => undef, rules => 'application=copy: client_stall_timeout=500ms');
$run = start_clients('copy/unix', 'pipeline/unix');
my $offset = log_position($node);
until_row($node, "SELECT count(*) FROM hygiene.events WHERE rule = 1 AND outcome = 'done'", '1');
like(
	slurp_file($node->logfile),
	qr/DETAIL:  Application "copy" kept a statement waiting for its client for \S+ m?s without a byte moved; rule 1 \(application=copy\) allows 500 ms\.\n.*HINT:  Read the whole result, or cancel it, and end what was begun: COPY with its last message, a pipeline with Sync\./,
	'DETAIL and HINT');
two_passes($node);
is(one("SELECT count(*) FROM hygiene.sessions WHERE application_name = 'pipeline' AND limit_name IS NULL"), '1',
	'whom the rule is not about stays');
configure($node, rules => 'application=pipeline: exempt', client_stall_timeout => '500ms');
two_passes($node) for 1 .. 4;
is(one("SELECT count(*) FROM hygiene.sessions WHERE application_name = 'pipeline'"), '1', 'nor who is exempt');
configure($node, rules => undef);
until_row($node, "SELECT count(*) FROM hygiene.sessions WHERE application_name = 'pipeline'", '0');
end_clients($run);
is(one("SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'"), '0', 'no event is left pending');
$node->stop;
done_testing();
