
# Who is refused is told why, by every client; each refusal is counted by its
# cause, ours and the server's own; and a storm of them leaves the log and the
# history readable.

use PgHygiene;
use Time::HiRes qw(time usleep);

my $CLOSE = 'Close sessions when the work is done, and let the program share one connection pool.';
my $KEEP = 'Keep connections open and use them again, for example through a connection pool.';
my $MAX_EVENTS = 60;
my $USABLE = 17;

my $node = new_node(
	'main',
	'max_connections = 20',
	"pg_hygiene.max_events = $MAX_EVENTS",
	'pg_hygiene.warn_at = 0',
	'pg_hygiene.headroom = 0');

# Asks the server also when nobody else can.
my $asker = client('asker', user => one('SELECT current_user'));

sub value
{
	my ($sql) = @_;

	return $asker->query($sql)->[0]->[0];
}

sub until_true
{
	my ($sql) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	until (value($sql) eq 't')
	{
		return 0 if time > $give_up;
		usleep(10_000);
	}
	return 1;
}

sub clients
{
	my ($n, @how) = @_;

	return map { client(@how) } 1 .. $n;
}

sub leave
{
	$_->close for @_;
	until_true('SELECT used = 1 FROM hygiene.status') or die 'still there';
	return;
}

#
# What each cause looks like: on the wire, in the counters, in the events.
#
sub refused_for
{
	my ($cause, $application, %expected) = @_;
	my $counted = $expected{counted} || $application;
	my $counts = q{SELECT (SELECT refused FROM hygiene.status) || ' ' ||
		coalesce((SELECT refused FROM hygiene.applications
			WHERE application_name = '%s'), 0) || ' ' ||
		coalesce((SELECT sum(refused) FROM hygiene.rules), 0) || ' ' ||
		(SELECT refused_by_server FROM hygiene.status)};
	my @before = split / /, value(sprintf $counts, $counted);
	my $client = client($application);
	my $error = $client->{error} || {};

	ok($client->{closed_at}, "$cause: refused");
	is($error->{S}, 'FATAL', "$cause: FATAL");
	is($error->{C}, '53300', "$cause: SQLSTATE");
	is($error->{M}, $expected{message}, "$cause: message");
	is($error->{D}, $expected{detail}, "$cause: DETAIL");
	is($error->{H}, $expected{hint} || $CLOSE, "$cause: HINT");

	my @after = split / /, value(sprintf $counts, $counted);
	is( join(' ', map { $after[$_] - $before[$_] } 0 .. 3),
		join(' ', 1, 1, $expected{rule} ? 1 : 0, 0),
		"$cause: counted for the server, the application, the rule");
	is( join(
			'|', map { defined $_ ? $_ : '' } @{
				$asker->query(q{
				SELECT action, outcome, reason, rule, measured, limit_setting,
					application_name, user_name, database_name, state,
					pid > 0, now() - occurred_at < '1 min'
				FROM hygiene.events ORDER BY event_id DESC LIMIT 1})->[0]
			}),
		join('|',
			'refuse', 'done', $expected{reason}, $expected{rule} || '',
			$expected{measured}, $expected{limit}, $application,
			'app', 'postgres', 'starting', 't', 't'),
		"$cause: event");
	return;
}

sub alter
{
	my (%settings) = @_;

	for my $name (sort keys %settings)
	{
		$asker->query(
			defined $settings{$name}
			? "ALTER SYSTEM SET pg_hygiene.$name = '$settings{$name}'"
			: "ALTER SYSTEM RESET pg_hygiene.$name");
	}
	$asker->query('SELECT pg_reload_conf()');
	for my $name (grep { defined $settings{$_} } sort keys %settings)
	{
		until_true("SELECT current_setting('pg_hygiene.$name') = '$settings{$name}'")
		  or die "$name was not set";
	}
	return;
}

alter(connections_per_application => 2);
my @held = clients(2, 'orders');
refused_for(
	'connections_per_application', 'orders',
	reason => 'connections_per_application',
	message => 'too many connections for application "orders"',
	detail => 'Application "orders" holds 2 connections; pg_hygiene.connections_per_application allows 2.',
	measured => 2,
	limit => 2);

#
# As the clients of real programs show it
#
{
	local $ENV{PGAPPNAME} = 'orders';
	my $conninfo = $node->connstr('postgres') . ' user=app';
	my $detail = 'DETAIL:  Application "orders" holds 2 connections; pg_hygiene.connections_per_application allows 2.';
	my ($stdout, $stderr);

	ok(!run_log([ 'psql', '-Xc', 'SELECT 1', $conninfo ], '2>', \$stderr),
		'psql is refused');
	like(
		$stderr,
		qr/FATAL:  too many connections for application "orders"\n\Q$detail\E\nHINT:  \Q$CLOSE\E$/m,
		'and shows message, DETAIL and HINT');

	# PQping asks as a program with a name, and takes a refusal for an answer.
	ok(run_log([ 'pg_isready', '-d', $conninfo ], '>', \$stdout),
		'pg_isready says yes');
	like($stdout, qr/accepting connections/, 'also in words');

  SKIP:
	{
		skip 'psycopg2 is not there', 2
		  unless run_log([ '/usr/bin/python3', '-c', 'import psycopg2' ]);
		ok( run_log(
				[
					'/usr/bin/python3', '-c',
					'import sys, psycopg2
try:
    psycopg2.connect(sys.argv[1])
except psycopg2.OperationalError as error:
    print(error)', $conninfo
				],
				'>',
				\$stdout),
			'psycopg2 is refused');
		like(
			$stdout,
			qr/FATAL:  too many connections for application "orders"\n\Q$detail\E\nHINT:  \Q$CLOSE\E$/m,
			'and shows message, DETAIL and HINT');
	}
}
leave(@held);

# A name that is one of a family, which counts as one
@held = map { client("pod-$_") } 1 .. 9;
is(scalar(grep { $_->{closed_at} } @held), 1, 'the ninth name makes a family of them');
refused_for(
	'connections_per_application of a family', 'pod-9',
	counted => 'pod-*',
	reason => 'connections_per_application',
	message => 'too many connections for application "pod-9"',
	detail => 'Application "pod-*", of which "pod-9" is one name, holds 8 connections; pg_hygiene.connections_per_application allows 2.',
	measured => 8,
	limit => 2);
leave(@held);

alter(connections_per_application => undef,
	rules => 'application=web-*: connections=3; application=poller: connect_rate=1');
@held = (client('web-1'), client('web-1'), client('web-2'));
refused_for(
	'connections', 'web-3',
	rule => 1,
	reason => 'connections',
	message => 'too many connections for rule 1 (application=web-*)',
	detail => 'The sessions of this rule hold 3 connections; rule 1 (application=web-*) allows 3. Most of them are those of application "web-1", which holds 2.',
	hint => 'Try again when other sessions of this rule have ended, or ask for a rule of its own for this program.',
	measured => 3,
	limit => 3);
leave(@held);

# where nobody holds more than half, to one that holds none of them
@held = map { client("web-$_") } 1 .. 3;
refused_for(
	'connections, all of one each', 'web-4',
	rule => 1,
	reason => 'connections',
	message => 'too many connections for rule 1 (application=web-*)',
	detail => 'The sessions of this rule hold 3 connections; rule 1 (application=web-*) allows 3.',
	measured => 3,
	limit => 3);
leave(@held);

# who comes from an address is not told
my $rules = 'application=poller: connect_rate=1';
alter(rules => "application=web-* address=local: connections=3; $rules");
@held = (client('web-1'), client('web-1'), client('web-2'));
refused_for(
	'connections by address', 'web-3',
	rule => 1,
	reason => 'connections',
	message => 'too many connections for rule 1 (application=web-* address=local)',
	detail => 'The sessions of this rule hold 3 connections; rule 1 (application=web-* address=local) allows 3.',
	hint => 'Try again when other sessions of this rule have ended, or ask for a rule of its own for this program.',
	measured => 3,
	limit => 3);
leave(@held);

# What is left in the bucket may be used up by one that is let in.
@held = ();
until (@held > 20 || (@held && $held[-1]->{closed_at}))
{
	push @held, client('poller');
}
refused_for(
	'connect_rate', 'poller',
	rule => 2,
	reason => 'connect_rate',
	message => 'too many new connections for rule 2 (application=poller)',
	detail => 'As many new connections came within a second as rule 2 (application=poller) allows, which is 1.',
	hint => $KEEP,
	measured => 1,
	limit => 1);
leave(@held);

alter(rules => 'application=vip: reserve=7');
@held = clients($USABLE - 1 - 7, 'mob');
is(scalar(grep { $_->{closed_at} } @held), 0, 'up to the reserve all get in');
refused_for(
	'reserve', 'late',
	rule => 1,
	reason => 'reserve',
	message => 'remaining connection slots are reserved by rule 1 (application=vip)',
	hint => 'Try again when other sessions have ended, or ask for a rule that reserves slots for this program.',
	detail => '7 of 17 connection slots are available; rule 1 (application=vip) keeps 7 for its own sessions. The most connections are those of application "mob", which holds 9.',
	measured => 0,
	limit => 7);
leave(@held);

alter(rules => undef, headroom => 4);
@held = clients($USABLE - 1 - 4, 'mob');
is(scalar(grep { $_->{closed_at} } @held), 0, 'up to the headroom all get in');
refused_for(
	'headroom', 'mob',
	reason => 'headroom',
	message => 'too many connections for application "mob"',
	detail => 'Application "mob" holds 12 connections, and 4 of 17 slots are available to it; pg_hygiene.headroom keeps the last 4 for applications that hold fewer connections than there are slots left.',
	measured => 12,
	limit => 4);
leave(@held);

@held = map { client("mob-$_") } 1 .. $USABLE - 1 - 4;
refused_for(
	'headroom of a family', 'mob-14',
	counted => 'mob-*',
	reason => 'headroom',
	message => 'too many connections for application "mob-14"',
	detail => 'Application "mob-*", of which "mob-14" is one name, holds 12 connections, and 4 of 17 slots are available to it; pg_hygiene.headroom keeps the last 4 for applications that hold fewer connections than there are slots left.',
	measured => 12,
	limit => 4);
leave(@held);
alter(headroom => undef);
alter(headroom => 0);

#
# The server's own refusals
#
my %server = (refused => value('SELECT refused_by_server FROM hygiene.status'));

sub refused_by_server
{
	my ($cause, $n, $message, @how) = @_;
	my $ours = value('SELECT refused FROM hygiene.status');

	for my $client (clients($n, 'late', @how))
	{
		is("$client->{error}->{C} $client->{error}->{M}",
			"53300 $message", "$cause: the server says so");
		$server{refused}++;
	}
	is(value('SELECT refused_by_server FROM hygiene.status'),
		$server{refused}, "$cause: each one is counted");
	is(value('SELECT refused FROM hygiene.status'),
		$ours, "$cause: as the server's, not ours");
	is( value(q{SELECT connections FROM hygiene.applications
			WHERE application_name = 'late'}),
		'0', "$cause: and nobody is left in the count");
	return;
}

$asker->query($_)
  for (
	'CREATE ROLE limited LOGIN CONNECTION LIMIT 2',
	'CREATE DATABASE small CONNECTION LIMIT 1');
@held = clients(2, 'early', user => 'limited');
refused_by_server('role', 5, 'too many connections for role "limited"',
	user => 'limited');
leave(@held);

@held = clients(1, 'early', dbname => 'small');
refused_by_server('database', 4, 'too many connections for database "small"',
	dbname => 'small');
leave(@held);

my $root = value('SELECT current_user');
@held = clients($USABLE - 1, 'early');
is(scalar(grep { $_->{closed_at} } @held), 0, 'all usable slots can be had');
my $reserved = client('late');
like($reserved->{error}->{M}, qr/^remaining connection slots are reserved/,
	'one more is refused');
$server{refused}++;
refused_by_server('reserved slots', 4, $reserved->{error}->{M});

push @held, clients(3, 'early', user => $root);
is(scalar(grep { $_->{closed_at} } @held), 0,
	'superusers have the reserved ones');
refused_by_server('max_connections', 6, 'sorry, too many clients already');
refused_by_server('max_connections', 3, 'sorry, too many clients already',
	user => $root);
leave(@held);

#
# A storm of refusals
#
# So many of a series are told one by one.
my $FIRST = 10;

# All lines about one application's refusals: the first ones, and the counts.
sub log_since
{
	my ($position, $application) = @_;
	my $log = slurp_file($node->logfile, $position);
	my $told = () =
	  $log =~ /FATAL:  too many connections for application "$application"/g;
	my $summed = 0;
	my $lines = 0;

	while ($log =~
		/LOG:  (\d+) more connections? of application "$application" (?:was|were) refused in the last second: connections_per_application/g)
	{
		$summed += $1;
		$lines++;
	}
	return ($told, $summed, $lines);
}

sub until_logged
{
	my ($position, $application, $n) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;
	my ($told, $summed, $lines);

	do
	{
		usleep(10_000) if defined $told;
		($told, $summed, $lines) = log_since($position, $application);
	} until ($told + $summed >= $n || time > $give_up);
	return ($told, $summed, $lines);
}

alter(connections_per_application => 1);
@held = (client('shipping'), client('returns'));
my $position = log_position($node);
my $events = value('SELECT max(event_id) FROM hygiene.events');
my $refused = value('SELECT refused FROM hygiene.status');
my %refusals = (shipping => 0, returns => 0);
my $began = time;

# Until the worker has counted more than once.
until ((log_since($position, 'returns'))[2] >= 2
	|| time - $began > $PostgreSQL::Test::Utils::timeout_default)
{
	for my $application ('shipping', 'shipping', 'returns')
	{
		my $client = client($application);

		$refusals{$application}++ if $client->{error}->{C} eq '53300';
	}
}
my $took = time - $began;
is(value('SELECT refused FROM hygiene.status') - $refused,
	$refusals{shipping} + $refusals{returns}, 'every refusal is counted');

my %lines;
for my $application (sort keys %refusals)
{
	my ($told, $summed, $lines) =
	  until_logged($position, $application, $refusals{$application});

	is($told, $FIRST, "$application: the first of $refusals{$application} are logged");
	is($told + $summed, $refusals{$application},
		'the counts in the log add up');
	cmp_ok($lines, '>=', 2, 'more than once while it goes on');
	cmp_ok($lines, '<=', $took + 2, 'but not more than once a second');
	is( value(qq{SELECT refused FROM hygiene.applications
			WHERE application_name = '$application'}) >= $refusals{$application},
		1,
		"and all are in the application's counter");
}
my $detail = 'DETAIL:  Application "shipping" holds 1 connection;';
my $log = slurp_file($node->logfile, $position);
my $details = () = $log =~ /\Q$detail\E/g;
is($details, $FIRST, 'with their DETAIL');
cmp_ok(value('SELECT max(event_id) FROM hygiene.events') - $events,
	'<=', 2 * ($FIRST + $took + 2), 'at most about one event a second each, after the first');

# When it was quiet for a second, the next one is news again.
{
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;
	my $told = $FIRST;

	until ($told > $FIRST || time > $give_up)
	{
		my $quiet_since = log_position($node);

		two_quiet_seconds();
		client('shipping');
		($told) = log_since($position, 'shipping');
	}
	is($told, $FIRST + 1, 'after a pause the next one is logged again');
}

# Two looks of the worker that are a second apart.
sub two_quiet_seconds
{
	for (1 .. 2)
	{
		my $now = value('SELECT now()');

		until_true("SELECT last_pass > '$now'::timestamptz + '1 s' FROM hygiene.status")
		  or die 'the worker does not look';
	}
	return;
}
leave(@held);

# History has an end: pauses make events, and old ones make room.
alter(rules => 'application=flood*: connect_rate=1');
for my $i (1 .. $MAX_EVENTS)
{
	client("flood$i");
}
is(value('SELECT count(*) <= ' . $MAX_EVENTS . ' FROM hygiene.events'),
	't', 'the history is no longer than max_events');
is( value(q{SELECT count(*) FROM hygiene.events WHERE action = 'refuse'}),
	$MAX_EVENTS / 5, 'refusals are a fifth of it');
$asker->close;
done_testing();
