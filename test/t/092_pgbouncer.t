
# PgBouncer, the real one, in transaction and in session mode: names are
# followed from one client to the next, what is ended surfaces at the client
# whose it was, and nobody blames the pooler for its idle connections.
#
# doc/pgbouncer.md says what is tried here.

use PgHygiene;
use IPC::Run;
use PgHygiene::Bouncer;
use Time::HiRes qw(time usleep);

plan skip_all => 'PgBouncer is not installed, and test/deps could not get it'
  unless PgHygiene::Bouncer::program();
plan skip_all => 'psycopg2 and SQLAlchemy are not there'
  unless run_log([ '/usr/bin/python3', '-c', 'import psycopg2, sqlalchemy' ]);

my $node = new_node('main',
	"listen_addresses = '127.0.0.1'", 'pg_hygiene.warn_at = 0');
$node->safe_psql(
	'postgres', q{
	CREATE ROLE other LOGIN;
	CREATE ROLE pooler LOGIN;
	CREATE TABLE shelf (id int, item text);
	INSERT INTO shelf VALUES (1, 'book');
	GRANT ALL ON shelf TO PUBLIC});

sub application
{
	my ($columns, $name) = @_;

	return one(qq{SELECT $columns FROM hygiene.applications
		WHERE application_name = '$name'});
}

sub through
{
	my ($bouncer, $application, %options) = @_;
	my $client = client($application, on => $bouncer, %options);

	die "$client->{error}->{M}" if $client->{closed_at};
	return $client;
}

# All that a client was told, as "severity SQLSTATE message"; PgBouncer's own
# SQLSTATE is not always the same.
sub told
{
	my ($client) = @_;

	return map { "$_->{S} $_->{C} $_->{M}" =~ s/ (08P01|53300) / /r } @{ $client->{errors} };
}

# Start a program, and when it is ready, have it go on as soon as its session
# was ended; what it then prints.
sub perform
{
	my ($program, $begin, $until_ended, $end) = @_;
	my ($in, $out, $err) = ($begin, '', '');
	my $run = IPC::Run::start($program, '<', \$in, '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

	$run->pump until $out =~ /ready/;
	$until_ended->();
	$in .= $end;
	eval { $run->finish; };
	$out =~ s/.*?ready\n//s;
	return $out . $err;
}

my $CRASHED = 'FATAL server conn crashed?';
my $IDLE = 'FATAL 25P03 terminating connection due to idle-in-transaction timeout';

#
# Transaction mode, two programs on a single server connection: each has its
# name there for as long as it has the connection, in views, counters, limits
# and events.
#
my $bouncer = PgHygiene::Bouncer->new($node,
	pool_mode => 'transaction',
	default_pool_size => 1);
my $orders = through($bouncer, 'orders');
my $checkout = through($bouncer, 'checkout');

$orders->query('SELECT 1') for 1 .. 3;
$checkout->query('SELECT 1') for 1 .. 4;
$orders->query('SELECT 1') for 1 .. 2;
my ($pid) = @{ $orders->query('SELECT pg_backend_pid()')->[0] };
is($checkout->query('SELECT pg_backend_pid()')->[0]->[0],
	$pid, 'both are served by one server connection');

# and each time that it is handed over, PgBouncer's SET is one more
is(application('transactions, connections', 'orders'),
	'8|0', 'the transactions of the one count for the one');
is(application('transactions, connections', 'checkout'),
	'7|1', 'those of the other for the other');
is( application('opened, closed', 'orders') . ' '
	  . application('opened, closed', 'checkout'),
	'2|2 2|1',
	'a name is taken up and given up with each hand-over');

configure($node, rules => 'application=orders: idle_in_transaction_timeout=200ms');
$checkout->query('BEGIN; SELECT 1');
is(one(qq{SELECT application_name, limit_setting FROM hygiene.sessions WHERE pid = $pid}),
	'checkout|10min', 'while the one has it, the limits of the one hold');
until_row($node, qq{SELECT state_age > '1 s' FROM hygiene.sessions WHERE pid = $pid});
$checkout->query('COMMIT');
is_deeply([ told($checkout) ], [], 'it is not ended for the limit of the other');
$orders->send_query('BEGIN; SELECT 1');
$orders->wait_closed;
is(one(q{SELECT application_name, pid, query, outcome FROM hygiene.events WHERE action = 'terminate'}),
	"orders|$pid|BEGIN; SELECT 1|done", 'the other is, on the same connection, and the event has its name');
ok($checkout->is_open, 'the one, whose turn it was not, notices nothing');
isnt($checkout->query('SELECT pg_backend_pid()')->[0]->[0],
	$pid, 'and is served by a new server connection');
$checkout->close;

#
# What the right client hears in transaction mode: all of it, then PgBouncer's
# own words.
#
is_deeply([ told($orders) ], [ $IDLE, $CRASHED ], 'in a transaction: the reason, then that it is over');
is($orders->{errors}->[0]->{D} =~ s/\d+(\.\d)? m?s;/N ms;/r,
	'Application "orders" left a transaction idle for N ms; rule 1 (application=orders) allows 200 ms.',
	'with DETAIL');
like($orders->{errors}->[0]->{H}, qr/^Commit or roll back, /, 'and HINT');

configure($node, rules => 'user=app: transaction_timeout=200ms');
my $slow = through($bouncer, 'slow');
$slow->try_query('SELECT pg_sleep(600)');
is_deeply([ told($slow) ], ['ERROR 57014 canceling statement due to transaction timeout'],
	'a statement that is cancelled: the reason');

# An idle server connection that nobody holds.
configure($node, rules => 'user=app: idle_session_timeout=200ms');
until_row($node, q{SELECT count(*) = 0 FROM hygiene.sessions WHERE user_name = 'app'});
ok($slow->is_open, q{an idle server connection that is ended is nobody's loss});
configure($node, rules => '');
is($slow->query('SELECT 1')->[0]->[0], '1', 'and the client goes on');
$slow->close;

#
# The same as programs show it.
#
sub ends_noticed
{
	my ($bouncer) = @_;

	return scalar(() = $bouncer->log =~ /S-\S+ .*closing because: server conn crashed\?/g);
}

# The event is done a moment before PgBouncer has noticed; to a statement that
# comes in between it has other words.
sub ends_idle
{
	my ($bouncer, $application) = @_;
	my $noticed = ends_noticed($bouncer);
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	configure($node, rules => "application=$application: idle_in_transaction_timeout=200ms");
	until_row($node, qq{SELECT count(*) = 1 FROM hygiene.events
		WHERE application_name = '$application' AND outcome = 'done'});
	until (ends_noticed($bouncer) > $noticed)
	{
		die 'PgBouncer does not notice' if time > $give_up;
		usleep(10_000);
	}
	return;
}

sub psql_says
{
	my ($bouncer, $application) = @_;

	return perform(
		[ 'psql', '-XAtq', $bouncer->connstr("application_name=$application") ],
		"BEGIN;\nSELECT 1;\n\\echo ready\n",
		sub { ends_idle($bouncer, $application) },
		"SELECT 2;\n\\q\n");
}

sub psycopg2_says
{
	my ($bouncer, $application) = @_;

	return perform(
		[ '/usr/bin/python3', 'test/programs/pooler/idle.py',
			$bouncer->connstr("application_name=$application") ],
		'',
		sub { ends_idle($bouncer, $application) },
		"\n");
}

my $psql = psql_says($bouncer, 'psql-1');
note "psql in transaction mode:\n$psql";
like($psql, qr/^FATAL:  terminating connection due to idle-in-transaction timeout
DETAIL:  Application "psql-1" left a transaction idle for \S+ m?s; rule 1 \(application=psql-1\) allows 200 ms\.
HINT:  Commit or roll back, .*
FATAL:  server conn crashed\?
server closed the connection unexpectedly\n/, 'psql shows everything');
my $psycopg2 = psycopg2_says($bouncer, 'psycopg2');
note "psycopg2 in transaction mode:\n$psycopg2";
like($psycopg2, qr/server closed the connection unexpectedly/, 'psycopg2 shows nothing of it');
$bouncer->stop;
configure($node, rules => '');

#
# Session mode: the client's own session, idle or not, until it leaves.
#
$bouncer = PgHygiene::Bouncer->new($node,
	pool_mode => 'session',
	default_pool_size => 3);
$orders = through($bouncer, 'orders');
$orders->query('BEGIN');
my $idler = through($bouncer, 'idler');
$idler->query('SELECT 1');
my $guest = through($bouncer, 'guest');
$guest->query('SELECT 1');
$guest->close;
my $DISCARDED = q{query = 'DISCARD ALL' AND state = 'idle'};
until_row($node, qq{SELECT count(*) = 1 FROM hygiene.sessions WHERE $DISCARDED});
configure($node, rules =>
	  'application=orders: idle_in_transaction_timeout=200ms; application=idler: idle_session_timeout=200ms; application=guest: idle_session_timeout=200ms');
$_->wait_closed for $orders, $idler;
is_deeply([ told($orders) ], [ $IDLE, $CRASHED ], 'session mode, in a transaction');
is_deeply([ told($idler) ],
	[ 'FATAL 57P05 terminating connection due to idle-session timeout', $CRASHED ],
	'session mode, outside of one');
like($idler->{errors}->[0]->{D}, qr/^Application "idler" left a session idle for \S+ m?s; rule 2 /, 'with DETAIL');
two_passes($node);
is(one(qq{SELECT application_name FROM hygiene.sessions WHERE $DISCARDED}), '',
	'a server connection that a client gave back has no name, and no limit of that client');
is(application('connections, opened, closed, terminated', 'guest'), '0|1|1|0', 'as the counters have it');
$psql = psql_says($bouncer, 'psql-2');
note "psql in session mode:\n$psql";
like($psql, qr/^FATAL:  terminating .*^DETAIL:  .*^HINT:  /ms, 'psql shows everything in session mode, too');
$bouncer->stop;
configure($node, rules => '');

#
# Refused: a client that waits to log in hears why, once PgBouncer knows the
# server it only waits for its turn, and is served when there is a slot.
#
configure($node, rules => 'application=full: connections=1');
my $full = client('full');
$bouncer = PgHygiene::Bouncer->new($node,
	pool_mode => 'transaction',
	database => 'application_name=full');
my $refused = PgHygiene::Client->new($bouncer, application => 'web');
like(join("\n", told($refused)),
	qr/^FATAL .*too many connections for rule 1 \(application=full\)$/,
	'refused before the first server connection: the client hears why');
$full->close;
until_row($node, q{SELECT connections = 0 FROM hygiene.applications WHERE application_name = 'full'});
my $web = through($bouncer, 'web');
$web->query('BEGIN');
$full = client('full');
my $waiting = through($bouncer, 'web');
$waiting->send_query('SELECT 1');
until_row($node, q{SELECT refused >= 2 FROM hygiene.applications WHERE application_name = 'full'});
ok($waiting->is_open && !$waiting->{error}, 'refused later: the client waits');
$full->close;
is($waiting->wait_ready->[0]->[0], '1', 'and is served in the end');
$_->close for $web, $waiting;
$bouncer->stop;
configure($node, rules => '');

#
# Clients without a name.  PgBouncer leaves them the name of whom the server
# connection served before, unless the database's line has one.
#
sub nameless_is
{
	my ($bouncer) = @_;
	my $named = through($bouncer, 'orders');
	my $nameless = through($bouncer, undef);

	$named->query('SELECT 1');
	my $name = $nameless->query(q{SELECT application_name FROM hygiene.sessions WHERE pid = pg_backend_pid()})->[0]->[0];
	$_->close for $named, $nameless;
	$bouncer->stop;
	return $name;
}

is(nameless_is(PgHygiene::Bouncer->new($node,
		pool_mode => 'transaction', default_pool_size => 1, database => 'application_name=pgbouncer')),
	'pgbouncer', 'application_name in the line of the database names the nameless');

#
# application_name_add_host: the whole name where a session is looked for, the
# application's own part in rules, limits, counters, leaks.
#
$bouncer = PgHygiene::Bouncer->new($node,
	pool_mode => 'transaction',
	application_name_add_host => 1);
my @hosts = map { through($bouncer, 'shop', tcp => 1) } 1 .. 3;
push @hosts, through($bouncer, 'shop'), through($bouncer, undef, tcp => 1);
my @names = map { $_->query(q{BEGIN; SELECT application_name FROM hygiene.sessions WHERE pid = pg_backend_pid()})->[0]->[0] } @hosts;
is_deeply([ @names[ 0 .. 2, 4 ] ],
	[ (map { 'shop - 127.0.0.1:' . $_->socket->sockport } @hosts[ 0 .. 2 ]),
		'app - 127.0.0.1:' . $hosts[4]->socket->sockport ],
	'hygiene.sessions shows which client a server connection serves');
like($names[3], qr/^shop - unix/, 'also by a Unix-domain socket');
is(application('connections, idle_in_transaction', 'shop'), '4|4', 'they are one application');
is(one(q{SELECT count(*) FROM hygiene.applications WHERE application_name LIKE '% - %'}), '0',
	'and there is none for each client');
configure($node, rules => 'application=shop: idle_in_transaction_timeout=200ms');
$_->wait_closed for @hosts[ 0 .. 3 ];
my $next = through($bouncer, 'shop');
$next->query('SELECT 1');
is_deeply($next->{notices}, [], 'the next client is not warned: the session on the server is none of its');
$next->close;
is($hosts[1]->{errors}->[0]->{D} =~ s/for \S+ m?s/for N ms/r,
	qq{Application "$names[1]" left a transaction idle for N ms; rule 1 (application=shop) allows 200 ms.},
	'a rule for the application holds; the message says which client');
ok($hosts[4]->is_open, 'and not for another application');
is(one(q{SELECT ended FROM hygiene.leaks WHERE application_name = 'shop'}), '4', 'they are one leak');
is(application('terminated', 'shop'), '4', 'and are counted together');
$hosts[4]->close;
$bouncer->stop;
configure($node, rules => '');

#
# Idle server connections of a pooler: nobody's leak, and no diagnosis.  A
# burst has opened them, and each has done a little and rests, as those do that
# are made for a call and forgotten.
#
my $SIZE = 24;
my $by_transaction = PgHygiene::Bouncer->new($node,
	pool_mode => 'transaction',
	default_pool_size => $SIZE,
	database => 'user=pooler');
my @burst = map { through($by_transaction, 'burst') } 1 .. $SIZE;
$_->query('BEGIN; SELECT 1') for @burst;
$_->query('COMMIT') for @burst;
my $by_session = PgHygiene::Bouncer->new($node,
	pool_mode => 'session',
	default_pool_size => $SIZE);
my @guests = map { through($by_session, 'guests') } 1 .. $SIZE;
$_->query('SELECT 1') for @guests;
$_->close for @guests;

my $RESTING = q{(user_name = 'pooler' OR query = 'DISCARD ALL') AND state = 'idle'};
until_row($node, qq{SELECT count(*) = 2 * $SIZE AND min(state_age) > '11 s' FROM hygiene.sessions WHERE $RESTING});
for my $name ('burst', 'guests', '')
{
	is(application('diagnosis IS NULL', $name), 't', "no diagnosis for \"$name\"");
}
is(one(q{SELECT count(*) FROM hygiene.leaks WHERE application_name IN ('burst', 'guests', '')}),
	'0', 'no leak');
$by_session->stop;

# A direct client fills the server; the pooler has a reserve.
until_row($node, qq{SELECT count(*) = $SIZE FROM hygiene.sessions WHERE $RESTING});
configure($node, rules => "user=pooler: reserve=$SIZE", headroom_min_idle => '1h');
my @greedy;
push @greedy, client('greedy')
  until @greedy && $greedy[-1]->{error} || @greedy == 100;
is($greedy[-1]->{error}->{C}, '53300', 'another program fills the server');
configure($node, headroom_min_idle => '100ms');
until_row($node, q{SELECT count(*) > 0 FROM hygiene.events WHERE action = 'evict' AND outcome = 'done'});
two_passes($node);
is(one(q{SELECT string_agg(DISTINCT application_name, ',') FROM hygiene.events WHERE action = 'evict'}),
	'greedy', 'only its own sessions are evicted');
is(one(qq{SELECT count(*) FROM hygiene.sessions WHERE $RESTING}), $SIZE, 'not those of the reserve');
is(scalar(grep { !$_->is_open } @burst), 0, 'no client of the pooler notices');
$_->close for @greedy, @burst;
$by_transaction->stop;
configure($node, rules => '', headroom_min_idle => undef);

#
# The case that it is all about: an engine and a Session for each call, never
# closed, in two waves, and a healthy program beside it.  A wave and what is
# still held of the one before are fewer clients than PgBouncer lets in; both
# waves are more.
#
my %POOL = (pool_mode => 'transaction', default_pool_size => 10, max_client_conn => 34);
my ($CALLS, $WAVES) = (20, 2);

sub leak_through
{
	my ($bouncer, $application, $patience) = @_;
	my %program = (in => '', out => '', err => '');
	my $url = sprintf 'postgresql://app@/postgres?host=%s&port=%s&application_name=%s',
	  $bouncer->host, $bouncer->port, $application;

	$program{run} = IPC::Run::start(
		[ '/usr/bin/python3', 'test/programs/pooler/seed.py', $url, $WAVES, $CALLS, $patience ],
		'<', \$program{in}, '>', \$program{out}, '2>', \$program{err},
		IPC::Run::timeout(2 * $PostgreSQL::Test::Utils::timeout_default));
	return \%program;
}

configure($node, mode => 'off');
$bouncer = PgHygiene::Bouncer->new($node, %POOL);
my $program = leak_through($bouncer, 'leaks-off', 1);
$program->{run}->pump until $program->{out} =~ /done/;
note "without pg_hygiene:\n$program->{out}";
my ($few) = $program->{out} =~ /^(\d+) served$/m;
cmp_ok($few, '<=', 10, 'without: no more calls are served than the pool has connections');

# Of those that come at once PgBouncer may refuse more than it must, so the
# leaks take twenty places at least, and a healthy program what is left.
my @healthy;
my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;
do
{
	(pop @healthy)->close if @healthy > 14;
	push @healthy, PgHygiene::Client->new($bouncer, application => 'checkout');
  } until $healthy[-1]->{closed_at} || time > $give_up;
is_deeply([ told($healthy[-1]) ], ['FATAL no more connections allowed (max_client_conn)'],
	'and PgBouncer refuses a healthy program');
note 'without, psql: ' . (run_command([ 'psql', '-X', '-d', $bouncer->connstr, '-c', 'SELECT 1' ]))[1];
$program->{run}->finish;
$bouncer->stop;

# With the recipe as it stands in the documentation, but for its addresses and
# a shorter limit.
my $recipe = slurp_file('doc/pgbouncer.md');
my ($line) = $recipe =~ /^shop = .*? (application_name=.*)$/m;
my ($block) = $recipe =~ /^\[pgbouncer\]\n(.*?)^```$/ms;
my %recipe = ($block || '') =~ /^(\w+) = (.*)$/mg;
my ($rules) = $recipe =~ /pg_hygiene\.rules =\s+'(.*)';/;
delete @recipe{qw(listen_addr listen_port auth_type auth_file)};
like($rules, qr/address=10\.0\.0\.5: .*idle_in_transaction_timeout=15s/, 'doc/pgbouncer.md has a rule');
is($recipe{application_name_add_host}, '1', 'and settings of PgBouncer');
configure($node, mode => undef,
	rules => $rules =~ s/10\.0\.0\.5/127.0.0.1/r =~ s/timeout=15s/timeout=3s/r);
$bouncer = PgHygiene::Bouncer->new($node, %recipe, %POOL,
	database => "host=127.0.0.1 $line");
$program = leak_through($bouncer, 'leaks-on', $PostgreSQL::Test::Utils::timeout_default);
my @checkouts;
until ($program->{out} =~ /done/)
{
	$program->{run}->pump_nb;
	my $one = PgHygiene::Client->new($bouncer, application => 'checkout');
	$one->try_query('SELECT 1') unless $one->{closed_at};
	push @checkouts, told($one);
	$one->close;
	$program->{calls}++;
	usleep(50_000);
}
note "with pg_hygiene:\n$program->{out}checkout: $program->{calls} calls";
unlike($program->{out}, qr/max_client_conn|timeout/, 'with: PgBouncer refuses no call');
my ($served) = $program->{out} =~ /^(\d+) served$/m;
# on a slow machine one may be ended between its first statements
cmp_ok($served, '>=', 0.8 * $WAVES * $CALLS, 'they are served');
is_deeply(\@checkouts, [], 'the healthy program is served all the time');
until_row($node, q{SELECT connections = 0 FROM hygiene.applications WHERE application_name = 'leaks-on'});
cmp_ok(application('terminated', 'leaks-on'), '>=', $served, 'each leak was ended');
is(application('terminated + evicted + cancelled + refused', 'checkout'), '0', 'and nothing of the healthy program');
like(one(q{SELECT diagnosis FROM hygiene.leaks WHERE application_name = 'leaks-on' ORDER BY ended DESC LIMIT 1}),
	qr/^A SELECT opened a transaction that the program never ends\./, 'hygiene.leaks says what to change');
$program->{run}->finish;
$bouncer->stop;

$node->stop;
done_testing();
