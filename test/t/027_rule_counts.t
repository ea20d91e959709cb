
# How many sessions each rule counts is kept, not found out at each login.  It
# never drifts: not when clients come, take other names, are refused, leave and
# are ended while rules change, the worker is ended, and backends still have
# older rules.

use PgHygiene;
use Time::HiRes qw(time);

my $CHILDREN = $ENV{LONG} ? 8 : 4;
my $ROUNDS = $ENV{LONG} ? 10 : 3;
my $SESSIONS = 40;    # of each child in each round

my $node = new_node(
	'main',
	"listen_addresses = '127.0.0.1'",
	'pg_hygiene.headroom = 0');
$node->safe_psql('postgres',
	'CREATE ROLE other LOGIN; CREATE ROLE silent LOGIN; '
	  . 'ALTER ROLE silent SET application_name = \'web-of-role\'');

# Lists that count, of which no two match the same, and one that does not.
my @lists = (
	'application=web-*: connections=90; application=*-1: reserve=1;'
	  . ' user=other: connections=3; address=127.0.0.1: connections=80',
	'application=job-*: connections=90; application=web-1: connections=4;'
	  . ' application!=web-*: connections=90',
	'application=*: connections=95; address=local: reserve=2; '
	  . join('; ', map { "application=*-$_: connections=50" } 1 .. 200),
	'application=web-*: idle_session_timeout=10min');

# The numbers of rules whose count is not what a look at all sessions finds.
# (One that takes a name in a transaction shows it there already.)
my $WRONG = q{
	SELECT coalesce(string_agg(format('rule %s: %s counted, %s there', rule,
		sessions, there), '; '), '')
	FROM hygiene.rules, LATERAL (
		SELECT count(*) AS there FROM hygiene.sessions
		WHERE rule = ANY (rules)) s
	WHERE sessions <> there};

sub right
{
	my ($name) = @_;
	my $reached = wait_for($node, $WRONG, '');

	two_passes($node);
	is($reached ? one($WRONG) : 'never right', '', $name);
	return;
}

# Wait for a backend that waits for a client to say who it is: it has no PGPROC
# yet, only the postmaster's command line.
sub forked
{
	my $postmaster = slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr;
	my $command = slurp_file("/proc/$postmaster/cmdline");
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	until (grep { is_child_like($_, $postmaster, $command) } glob '/proc/[0-9]*')
	{
		die 'no backend was forked' if time > $give_up;
	}
	return;
}

sub is_child_like
{
	my ($process, $parent, $command) = @_;
	my ($stat, $its) = eval {
		map { slurp_file("$process/$_") } qw(stat cmdline)
	};

	return defined $its && $its eq $command && $stat =~ /\) \S $parent /;
}

# One client's life, of many kinds.
sub live
{
	my ($i) = @_;
	my $client = client(
		('web', 'job', 'tool')[ $i % 3 ] . '-' . $i % 4,
		user => ('app', 'app', 'other', 'silent')[ int($i / 3) % 4 ],
		tcp => $i % 2);

	return if $client->{closed_at};
	$client->try_query($_)
	  for (
		[ 'SELECT 1' ],
		[ "SET application_name = 'web-1'", "SET application_name = 'job-9'" ],
		[ "BEGIN; SET LOCAL application_name = 'web-2'", 'COMMIT' ],
		[ "BEGIN; SET application_name = 'web-3'", 'ROLLBACK' ],
		[ "SET application_name = 'job-7'", 'SELECT pg_terminate_backend(pg_backend_pid())' ],
		["SET application_name = ''"])[ $i % 6 ]->@*;
	$client->close if $i % 5;
	return;
}

sub storm
{
	my ($round) = @_;
	my @children;

	for my $child (1 .. $CHILDREN)
	{
		my $pid = fork();

		die "fork: $!" unless defined $pid;
		push @children, $pid;
		next if $pid;
		live($child * 7 + $_) for 1 .. $SESSIONS;
		require POSIX;
		POSIX::_exit(0);
	}

	# Meanwhile the rules change all the time.
	my $changes = 0;
	my $boss = PgHygiene::Client->new($node, user => scalar getpwuid $<);
	while (kill(0, @children) && grep { waitpid($_, 1) == 0 } @children)
	{
		my $list = $lists[ ++$changes % @lists ];

		$boss->query("ALTER SYSTEM SET pg_hygiene.rules = '$list'");
		$boss->query('SELECT pg_reload_conf()');
		$boss->query('SELECT pg_terminate_backend(worker_pid) FROM hygiene.status')
		  if $changes % 5 == 0;
	}
	$boss->close;
	cmp_ok($changes, '>=', 3, "round $round: the rules changed $changes times");
	return;
}

configure($node, rules => $lists[0]);
my @stay = map { client($_) } qw(web-1 job-1 tool web-2);
right('at the beginning');

# A reload, a name, an end: each is followed by itself.
configure($node, rules => $lists[1]);
right('after a reload');
$stay[0]->query("SET application_name = 'job-2'");
is($stay[3]->first_row(q{
		SELECT count(*) FILTER (WHERE sessions > 0) FROM hygiene.rules WHERE rule = 2}),
	'0', 'a name that is taken counts at once');
right('after another name');
my $before = one('SELECT string_agg(sessions::text, $$ $$ ORDER BY rule) FROM hygiene.rules');
$stay[1]->query("BEGIN; SET application_name = 'web-1'");
is(one('SELECT string_agg(sessions::text, $$ $$ ORDER BY rule) FROM hygiene.rules'), $before,
	'a name within a transaction does not count yet');
$stay[1]->query('ROLLBACK');
right('and when that was rolled back');
(shift @stay)->close;
right('after an end');
configure($node, rules => $lists[3]);
right('under rules that count nobody');
configure($node, rules => $lists[2]);
right('and under such again');

# One that was forked before a reload and comes to its end after it.
for my $new (@lists[ 3, 0 ])
{
	my $late = IO::Socket::UNIX->new(
		Peer => $node->host . '/.s.PGSQL.' . $node->port);

	forked();
	configure($node, rules => $new);
	my $body = pack('N', 196608)
	  . pack('(Z*)*', user => 'app', database => 'postgres',
		application_name => 'web-1') . "\0";
	$late->syswrite(pack('N', 4 + length $body) . $body);
	until_row($node,
		q{SELECT count(*) FROM hygiene.sessions WHERE application_name = 'web-1'}, '1');
	right('with a backend that has older rules');
	$late->close;
	until_row($node,
		q{SELECT count(*) FROM hygiene.sessions WHERE application_name = 'web-1'}, '0');
	right('and when that is gone');
}

for my $round (1 .. $ROUNDS)
{
	storm($round);
	for my $i (0 .. 2)
	{
		configure($node, rules => $lists[ ($round + $i) % 3 ]);
		right("round $round: counts are right under list " . ($round + $i) % 3);
	}
}

# Nobody is left in a count when all have gone.
$_->close for @stay;
configure($node, rules => $lists[0]);
until_row($node, 'SELECT count(*) FROM hygiene.sessions', '1');
right('when all have gone');
is(one('SELECT sum(sessions) FROM hygiene.rules'), '0', 'and that is nobody');

$node->stop;
done_testing();
