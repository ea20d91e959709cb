
# What a program hears of its own leak: when it is refused, and when it starts
# a new session after some were ended.

use PgHygiene;
use PgHygiene::History;
use Time::HiRes qw(time usleep);

my $READ = 'A SELECT opened a transaction that the program never ends. '
  . 'Commit or roll back after reading, or use the session in a with block.';
my $CLOSE = 'Close sessions when the work is done, and let the program share one connection pool.';
my $SELECT = q{SELECT item FROM shelf WHERE id = 4711 /*controller='cart'*/};

# A leak is noted after a tenth of this, and must be there while we ask.
my $node = new_node(
	'main',
	"listen_addresses = '127.0.0.1'",
	'pg_hygiene.idle_in_transaction_timeout = 30s',
	'pg_hygiene.connections_per_application = 4',
	'pg_hygiene.headroom_min_idle = 1h',
	'pg_hygiene.warn_at = 0',
	q{pg_hygiene.rules = 'application=lone: connections=1'});

$node->safe_psql(
	'postgres', q{
	CREATE ROLE other LOGIN;
	CREATE ROLE third LOGIN;
	CREATE ROLE batch LOGIN;
	ALTER ROLE batch SET application_name = 'named by role';
	CREATE TABLE shelf (id int, item text);
	GRANT ALL ON shelf TO PUBLIC});

# A session left idle in a transaction.
sub leak
{
	my ($application, $statement, %options) = @_;
	my $client = client($application, %options);

	$client->query('BEGIN');
	$client->query($statement);
	return $client;
}

# What a new session is told, as message, DETAIL and HINT.
sub told
{
	my ($application, %options) = @_;
	my $client = client($application, %options);

	die "$application: $client->{error}->{M}" if $client->{closed_at};
	$client->close;
	return map { "$_->{S}: $_->{M}\n$_->{D}\n$_->{H}" } @{ $client->{notices} };
}

# Connect until the refusal tells of so many leaks; the error's fields.
sub refused
{
	my ($number, $application, %options) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	while (1)
	{
		my $error = client($application, %options)->{error};

		die "$application was let in" unless $error;
		return $error
		  if $error->{D} =~ /\. $number of its sessions/ || time > $give_up;
		usleep(20_000);
	}
}

#
# Refused: how many, since when, the statement, the advice.
#
is_deeply([ told('orders') ], [], 'nobody is told anything without a leak');

my $began = time;
my @leaks = map { leak('orders', $SELECT) } 1 .. 3;
push @leaks, leak('orders', q{SELECT 'of other'}, user => 'other');
my @good = map { client('web') } 1 .. 4;
push @leaks, leak('lone', "SELECT 'K\x{c3}\x{a4}se',\n\t'" . "\x{e6}\x{bc}\x{a2}" x 9 . q{', '} . 'x' x 200 . q{'});

my $error = refused(3, 'orders');
my $asked = time;
is("$error->{S} $error->{C}", 'FATAL 53300', 'SQLSTATE of a refusal');
is($error->{M}, 'too many connections for application "orders"', 'message');
like(
	$error->{D},
	qr/^Application "orders" holds 3 connections beside those of other roles; pg_hygiene\.connections_per_application allows 4\. 3 of its sessions are idle in a transaction, the oldest for \d+\.\d s\. Most of them ran last: \Q$SELECT\E$/,
	'DETAIL says how many leak, since when, and the statement');
my ($idle) = $error->{D} =~ /the oldest for (\d+\.\d) s/;
cmp_ok($idle || 0, '>=', 3, 'not before a tenth of the limit');
cmp_ok($idle || 0, '<=', $asked - $began + 0.1, 'no longer than it is');
is($error->{H}, $CLOSE, 'HINT gives no advice without evidence');

$error = refused(1, 'orders', user => 'other');
like(
	$error->{D},
	qr/allows 4\. 1 of its sessions is idle in a transaction, for \S+ s\.$/,
	'another role is told of its own session, and of no statement of others');
is($error->{H}, $CLOSE, 'nor what others are to change');
$error = client('orders', user => 'third')->{error};
like($error->{D}, qr/allows 4\.$/,
	'one that leaks nothing is told nothing of what others do');
is($error->{H},
	'Try again when other sessions have ended, or ask for a rule that reserves slots for this program.',
	'nor what they are to change');

$error = client('web')->{error};
like($error->{D}, qr/allows 4\.$/, 'an application that leaks nothing is told of no leak');
is($error->{H}, $CLOSE, 'and is given no advice on one');

$error = refused(1, 'lone');
like(
	$error->{D},
	qr/rule 1 \(application=lone\) allows 1\. 1 of its sessions is idle in a transaction, for \S+ s\. It ran last: SELECT 'K\?se',  '\?', 'x+$/,
	'one alone; the statement in one line of ASCII');
my ($statement) = $error->{D} =~ /ran last: (.*)/;
is(length $statement, 159, 'and not at full length');

is($error->{H}, $CLOSE, 'no guess from one or two, which may be somebody thinking');

#
# A new leak after old ones: told is the one that is there.
#
configure($node, idle_in_transaction_timeout => '100ms');
$_->wait_closed for @leaks;
is_deeply([ grep { $_->{error}->{C} ne '25P03' } @leaks ], [], 'all are ended');
configure($node, idle_in_transaction_timeout => '30s');
$_->close for @good;
# one that is let in now is told; so by another address, not to spend this one's
@leaks = map { leak('orders', q{SELECT 'new' FROM shelf}, tcp => 1) } 1 .. 2;
push @leaks, map { client('orders', tcp => 1) } 1 .. 2;
$error = refused(2, 'orders', tcp => 1);
like($error->{D}, qr/2 of its sessions are idle .* ran last: SELECT 'new' FROM shelf$/,
	'the statement told is that of the sessions that are there');
$_->close for @leaks;

#
# The statement of most of those that leak now, not of most that ever did.
#
my @past = map { leak('mixed', q{SELECT 'then' FROM shelf}) } 1 .. 4;
refused(4, 'mixed');
$_->close for @past;
my @mixed = map { leak('mixed', "SELECT '$_' $_ FROM shelf") } qw(then now now);
push @mixed, client('mixed');
$error = refused(3, 'mixed');
like($error->{D}, qr/ran last: SELECT 'now' now FROM shelf$/,
	'the statement told is that of most sessions that leak now');
$_->close for @mixed;

#
# At the start of a new session.
#
is(@{ $leaks[0]->{notices} }, 1, 'a session by TCP was told of the first leak');
is_deeply([ map { scalar @{ $_->{notices} } } @leaks[ 1 .. 3 ] ],
	[ 0, 0, 0 ], 'and the next ones were not: once a minute');
is_deeply([ told('web') ], [], 'another application is told nothing');
is_deeply([ told('orders', user => 'third') ], [], 'nor another role');

my $position = log_position($node);
my @told = told('orders');
is(scalar @told, 1, 'the role that lost sessions is told once by each address');
like(
	$told[0],
	qr/^WARNING: 3 sessions of application "orders" were ended because they were idle in a transaction
The first one was ended \d+(\.\d+)? m?s ago, the last one \d+(\.\d+)? m?s ago\. Most of them ran last: \Q$SELECT\E
\Q$READ\E$/,
	'how many, when, the statement, the advice');
wait_log($node, qr/WARNING: .*3 sessions of application "orders" were ended/, $position);
pass('and so says the log');
is_deeply([ told('orders') ], [], 'not again within a minute');
is_deeply([ told('orders', user => 'other') ], [],
	'a minute for application and address, whoever it is');

# Several statements: the losses of all, and the one that lost most.
sub lose
{
	my ($application, $statements, %options) = @_;
	my @sessions =
	  map { leak($application, $_, %options) } @$statements;

	configure($node, idle_in_transaction_timeout => '50ms');
	$_->wait_closed for @sessions;
	configure($node, idle_in_transaction_timeout => '30s');
	return;
}

lose('several', [ 'SELECT 1 FROM shelf', ('SELECT 2, 3 FROM shelf') x 2 ]);
like((told('several'))[0], qr/^WARNING: 3 sessions .* ran last: SELECT 2, 3 FROM shelf\n/s,
	'the losses of several statements are added up');

lose('single', ['BEGIN']);
like((told('single'))[0],
	qr/^WARNING: 1 session of application "single" was ended because it was idle in a transaction
It was ended \d+(\.\d+)? m?s ago\. It ran last: BEGIN
/,
	'one session');

lose(undef, ['SELECT 1 FROM shelf'], user => 'batch');
like((told(undef, user => 'batch'))[0],
	qr/^WARNING: 1 session of application "named by role" was ended/,
	'a name that the role was given counts');

#
# When not to tell.
#
lose('quiet', ['SELECT 1 FROM shelf']);
configure($node, tell_client => 'off');
is_deeply([ told('quiet') ], [], 'tell_client = off');
configure($node, tell_client => 'on', mode => 'off');
is_deeply([ told('quiet') ], [], 'mode = off');
configure($node, mode => 'enforce');
is(scalar(() = told('quiet')), 1, 'and on again');

#
# A client of another encoding gets in, and is told.
#
lose('translated', ["SELECT '\x{e6}\x{bc}\x{a2}' FROM shelf"]);
@told = told('translated', options => '-c client_encoding=LATIN1');
like($told[0], qr/ran last: SELECT '\?' FROM shelf\n/,
	'a statement that the client cannot read locks nobody out');

#
# As real programs show it.
#
lose('shown', [$SELECT]);
{
	local $ENV{PGAPPNAME} = 'shown';
	my $conninfo = $node->connstr('postgres') . ' user=app';
	my ($stdout, $stderr);

	ok( run_log([ 'psql', '-XAtc', 'SELECT 42', $conninfo ], '>', \$stdout, '2>', \$stderr),
		'psql is let in');
	like($stdout, qr/^42$/, 'and served');
	like($stderr, qr/^WARNING:  1 session of application "shown" was ended .*^DETAIL:  .*^HINT:  /ms,
		'and prints the warning');
}

#
# For ten minutes, also through a restart.  So that nobody has to wait, the
# server finds a history in which all of it happened earlier.
#
sub restart_later
{
	my ($minutes) = @_;

	$node->stop;
	write_bytes(history_file($node),
		aged(read_bytes(history_file($node)), 60 * $minutes));
	$node->start;
	return;
}

lose('earlier', [ ('SELECT 1 FROM shelf') x 2 ]);
restart_later(9);
like((told('earlier'))[0],
	qr/^WARNING: 2 sessions .*\nThe first one was ended (9\.\d) min ago, the last one 9\.\d min ago\./,
	'what was lost nine minutes ago is told');
restart_later(1);
is_deeply([ told('earlier') ], [], 'ten minutes ago: no longer');
lose('earlier', ['SELECT 1 FROM shelf']);
like((told('earlier'))[0], qr/^WARNING: 1 session .*\nIt was ended \S+ m?s ago\./,
	'then only what was lost since counts');
is(one(q{SELECT ended FROM hygiene.leaks WHERE application_name = 'earlier'}), 3,
	'while hygiene.leaks has all');
restart_later(11);
is_deeply([ told('earlier') ], [], 'until that is forgotten, too');

#
# What was forgotten is not told.
#
lose('forgotten', ['SELECT 1 FROM shelf']);
one('SELECT hygiene.reset()');
is_deeply([ told('forgotten') ], [], 'after hygiene.reset() nobody is told');

$node->stop;
done_testing();
