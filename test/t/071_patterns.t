
# What real programs do wrong is recognised, and what they do right is not.
#
# The programs, SQLAlchemy and psycopg2, run all at once: each pattern of
# diagnosis.c, and the same work done well, also through PgBouncer.

use PgHygiene;
use IPC::Run;

plan skip_all => 'psycopg2 or SQLAlchemy is not there'
  unless run_log([ '/usr/bin/python3', '-c', 'import psycopg2, sqlalchemy' ]);

my %ADVICE = (
	read_never_ended => qr/^A SELECT opened a transaction/,
	write_never_committed => qr/^The program wrote and neither committed/,
	aborted_never_rolled_back => qr/^A statement failed and the program never rolled/,
	pool_per_call => qr/^Many connections did a few transactions each/,
	no_pooling => qr/^The program opens a new connection for almost every/,
	pool_too_large => qr/^The application keeps many times more connections/,
	no_name => qr/^Programs connect without an application name/);
my @IN_TRANSACTION =
  qw(read_never_ended write_never_committed aborted_never_rolled_back);

my $node = new_node(
	'main',
	'max_connections = 250',
	'pg_hygiene.idle_in_transaction_timeout = 30s',
	'pg_hygiene.warn_at = 0');
$node->safe_psql('postgres',
	'CREATE TABLE shelf (id int, item text); GRANT ALL ON shelf TO PUBLIC');

my @programs;

sub start
{
	my ($file, $pattern, $application, $database, $port) = @_;
	my $url = sprintf 'postgresql://app@/%s?host=%s&port=%s%s',
	  $database || 'postgres', $node->host, $port || $node->port,
	  $application ? "&application_name=$application" : '';
	my %program = (name => $application || 'nameless', in => '', out => '');

	delete local $ENV{PGAPPNAME};
	$program{run} = IPC::Run::start(
		[ '/usr/bin/python3', "test/programs/patterns/$file.py", $pattern, $url ],
		'<', \$program{in}, '>', \$program{out}, '2>', \$program{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	push @programs, \%program;
	return;
}

sub diagnosis
{
	my ($view, $application) = @_;

	return one(
		qq{SELECT string_agg(diagnosis, '; ') FROM hygiene.$view
		WHERE application_name = '$application'});
}

#
# PgBouncer in transaction mode: a small pool for many clients, and a large one
# for those who need it.
#
my ($pgbouncer) = grep { -x } '/usr/sbin/pgbouncer', '/usr/bin/pgbouncer';
my ($bouncer, $bouncer_port);
if ($pgbouncer)
{
	my $folder = $node->basedir;
	my $server = 'host=' . $node->host . ' port=' . $node->port . ' user=app';

	$bouncer_port = PostgreSQL::Test::Cluster::get_free_port();
	append_to_file("$folder/pgbouncer.ini", join "\n",
		'[databases]',
		"postgres = $server",
		"large = $server dbname=postgres pool_size=30",
		'[pgbouncer]',
		"listen_addr =\nlisten_port = $bouncer_port",
		'unix_socket_dir = ' . $node->host,
		"auth_type = any\npool_mode = transaction",
		"max_client_conn = 200\ndefault_pool_size = 5",
		'ignore_startup_parameters = extra_float_digits', '');
	$bouncer = IPC::Run::start([ $pgbouncer, "$folder/pgbouncer.ini" ],
		'>', \my $out, '2>', \my $err);
}

sub await_ready
{
	my ($program) = @_;

	return if $program->{out} =~ /ready/;
	eval { $program->{run}->pump until $program->{out} =~ /ready/; };
	like($program->{out}, qr/ready/, "$program->{name} runs")
	  or diag($program->{err});
	return;
}

#
# A program whose calls are so short that no pass of the worker sees a session
# of it.
#
{
	my $worker = worker_pid($node);

	kill 'STOP', $worker;
	client('wrong_unseen', 'SELECT 1')->close for 1 .. 110;
	kill 'CONT', $worker;
}

#
# All at once, but for one in which each call must take no more than seconds.
#
start('wrong', 'pool_per_call', 'wrong_pool_per_call');
await_ready($programs[0]);
for my $pattern (sort keys %ADVICE)
{
	start('right', $pattern, "right_$pattern");
	next if $pattern eq 'pool_per_call';
	start('wrong', $pattern, $pattern eq 'no_name' ? '' : "wrong_$pattern");
}
if ($bouncer)
{
	until_row($node, 'SELECT true');
	my $socket = $node->host . "/.s.PGSQL.$bouncer_port";
	my $tries = 1800;
	select undef, undef, undef, 0.1 while !-S $socket && $tries--;
	start('right', $_, 'bouncer', undef, $bouncer_port)
	  for qw(read_never_ended pool_per_call no_pooling);
	# what is wrong without it, and right with it
	start('wrong', $_, "bouncer_$_", undef, $bouncer_port)
	  for qw(pool_per_call no_pooling pool_too_large);
	start('right', $_, "bouncer_$_", 'large', $bouncer_port)
	  for qw(burst short_bursts);
	# and what is wrong in either case
	start('wrong', 'read_never_ended', 'wrong_bouncer', 'large', $bouncer_port);
}
start('right', $_, "right_$_") for qw(burst short_bursts);
await_ready($_) for @programs;

#
# In a transaction: in the HINT when some are ended, and in hygiene.leaks.
#
my $leaking = 3 + !!$bouncer;
until_row($node, "SELECT sum(sessions_now) = 4 * $leaking FROM hygiene.leaks");
is(one(q{SELECT count(diagnosis) FROM hygiene.leaks}), '0',
	'four that are idle are no evidence');
is(one(q{SELECT count(*) FROM hygiene.leaks
	WHERE application_name NOT LIKE 'wrong%'}), '0', 'nobody else leaks');
my $position = log_position($node);
configure($node, idle_in_transaction_timeout => '3s');
until_row($node, sprintf
	'SELECT sum(terminated) = %d FROM hygiene.applications', 4 * $leaking);
configure($node, idle_in_transaction_timeout => '30s');
my $log = slurp_file($node->logfile, $position);
for my $pattern (@IN_TRANSACTION)
{
	my ($hint) = $log =~ /wrong_$pattern [^\n]*HINT:  [^.]*\. ([^\n]*)/;

	like($hint, $ADVICE{$pattern}, "$pattern: HINT");
	like(diagnosis('leaks', "wrong_$pattern"),
		$ADVICE{$pattern}, "$pattern: hygiene.leaks");
}

#
# How they connect: needs silence of ten seconds, and a minute of a large pool.
#
for my $pattern (qw(no_pooling pool_per_call no_name pool_too_large))
{
	my $application = $pattern eq 'no_name' ? '' : "wrong_$pattern";

	until_row($node, qq{SELECT diagnosis IS NOT NULL FROM hygiene.applications
		WHERE application_name = '$application'});
  SKIP:
	{
		skip 'the machine is too slow for calls of seconds', 1
		  if $pattern eq 'pool_per_call' && one(qq{
			SELECT count(*) > 4 FROM pg_stat_activity
			WHERE application_name = '$application'
			AND state_change - backend_start > '4 s'}) eq 't';
		like(diagnosis('applications', $application),
			$ADVICE{$pattern}, "$pattern: hygiene.applications");
	}
}

until_row($node, q{SELECT diagnosis IS NOT NULL FROM hygiene.applications
	WHERE application_name = 'wrong_unseen'});
like(diagnosis('applications', 'wrong_unseen'),
	$ADVICE{no_pooling}, 'no_pooling, and no pass saw it: hygiene.applications');
is(one(q{SELECT count(*) FROM hygiene.behaviour
	WHERE application_name = 'wrong_unseen'}), '0', 'indeed, no pass saw it');

for my $pattern (sort(keys %ADVICE), 'burst', 'short_bursts')
{
	is(diagnosis('applications', "right_$pattern"), '', "right $pattern: no diagnosis");
	is(diagnosis('leaks', "right_$pattern"), '', "right $pattern: no leak");
}
SKIP:
{
	skip 'PgBouncer is not there', 9 unless $bouncer;
	cmp_ok(one(q{SELECT sum(opened) FROM hygiene.applications WHERE application_name LIKE 'bouncer%'}),
		'>', 0, 'PgBouncer in transaction mode was used');
	for my $application ('bouncer', map { "bouncer_$_" }
		qw(pool_per_call no_pooling pool_too_large burst short_bursts))
	{
		is(diagnosis('applications', $application) . diagnosis('leaks', $application),
			'', "$application: no diagnosis");
	}
	is(one(q{SELECT ended FROM hygiene.leaks WHERE application_name = 'wrong_bouncer'}),
		'4', 'a leak through PgBouncer is one');
	like(diagnosis('leaks', 'wrong_bouncer'),
		$ADVICE{read_never_ended}, 'and has a diagnosis');
}

$_->{run}->finish for @programs;
if ($bouncer)
{
	$bouncer->signal('INT');
	$bouncer->kill_kill;
}
$node->stop;
done_testing();
