# Random messages of the protocol against a server whose limits act all the
# time; for test/lab/sanitize, which finds what they break in memory:
#
#   FUZZ_SECONDS=600 test/lab/sanitize test/lab/fuzz/wire.t
#
# FUZZ_SEED repeats the choices of another run (the server's answers are not
# repeated with them).  The clients are an ordinary role's.

use PgHygiene;
use PgHygiene::Truth;

my $seconds = $ENV{FUZZ_SECONDS} || 30;
my $seed = $ENV{FUZZ_SEED} || int rand 1_000_000;
srand $seed;
diag "seed $seed, $seconds s";

my $CLIENTS = 20;
my $node = new_node(
	'wire',
	'max_connections = 40',
	'autovacuum = off',
	'fsync = off',
	'statement_timeout = 2s',
	"log_min_messages = panic",
	"pg_hygiene.idle_in_transaction_timeout = '150ms'",
	"pg_hygiene.idle_session_timeout = '400ms'",
	"pg_hygiene.transaction_timeout = '300ms'",
	"pg_hygiene.cancel_grace = '200ms'",
	"pg_hygiene.idle_blocker_timeout = '100ms'",
	"pg_hygiene.rules = 'application=roll*: idle_action=rollback; application=few*: connections=3'");
my $start_of_log = log_position($node);

one('CREATE TABLE things (id int PRIMARY KEY, n int)');
one('INSERT INTO things SELECT i, 0 FROM generate_series(1, 10) i');
one('GRANT ALL ON things TO app');
one('CREATE ROLE watcher SUPERUSER LOGIN');

my $watcher = PgHygiene::Client->new(
	$node,
	user => 'watcher',
	application => 'watcher');
my $worker = worker_pid($node);

sub pick
{
	return $_[ rand @_ ];
}

sub bytes
{
	my ($most) = @_;

	return join '', map { chr int rand 256 } 1 .. rand $most;
}

sub name
{
	return pick(
		'roll', 'few', "orders-" . int rand 100_000, bytes(80),
		'00-' . ('ab' x 16) . '-' . ('cd' x 8) . '-01',
		'web - 10.0.0.1:' . int rand 65536, '');
}

sub literal
{
	my ($text) = @_;

	$text =~ s/['\\\0]//g;
	return "'$text'";
}

my @WORDS = qw(application user database address idle_in_transaction_timeout
  connections = ; : * 1s 5min exempt orders 10.0.0.0/8 until);

sub statement
{
	return pick(
		'BEGIN', 'BEGIN ISOLATION LEVEL SERIALIZABLE', 'COMMIT', 'ROLLBACK',
		'SELECT 1', 'SELECT 1/0', 'SELECT pg_sleep(0.1)', 'SAVEPOINT s',
		'ROLLBACK TO s', 'LISTEN news', 'UNLISTEN *', 'NOTIFY news',
		'BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 2',
		'UPDATE things SET n = n + 1 WHERE id = ' . int(1 + rand 10),
		'SELECT * FROM things FOR UPDATE NOWAIT',
		'COPY things FROM STDIN', 'COPY things TO STDOUT',
		'SELECT pg_advisory_lock(' . int(rand 3) . ')',
		'SELECT pg_advisory_xact_lock(' . int(rand 3) . ')',
		'DECLARE c CURSOR FOR SELECT * FROM things; FETCH c',
		'SET application_name = ' . literal(name()),
		q{DO $$ BEGIN FOR i IN 1..20 LOOP
			PERFORM set_config('application_name', 'loop-' || i, false); COMMIT;
		END LOOP; END $$},
		'DISCARD ALL', 'SET idle_in_transaction_session_timeout = 100',
		'SELECT count(*) FROM hygiene.' . pick(qw(status sessions applications events leaks)),
		'SELECT * FROM hygiene.rehearse(' . literal(join ' ', map { pick(@WORDS) } 1 .. 8) . ')',
		'SELECT * FROM hygiene.check_rules(' . literal(bytes(60)) . ')',
		q{SELECT hygiene.drain('application=roll')},
		bytes(40), '');
}

sub message
{
	my ($type, $body) = @_;

	return $type . pack('N', 4 + length $body) . $body;
}

sub good_message
{
	my $portal = pick('', '', 'p');
	my $prepared = pick('', '', 's');

	return pick(
		sub { message('Q', statement() . "\0") },
		sub { message('Q', statement() . "\0") },
		sub { message('P', "$prepared\0" . statement() . "\0" . pack 'n', 0) },
		sub { message('B', "$portal\0$prepared\0" . pack 'nnn', 0, 0, 0) },
		sub { message('E', "$portal\0" . pack 'N', int rand 3) },
		sub { message('D', pick("S$prepared", "P$portal") . "\0") },
		sub { message('C', pick("S$prepared", "P$portal") . "\0") },
		sub { message('S', '') },
		sub { message('H', '') },
		sub { message('F', pack 'Nnnn', pick(1598, 2021, 0), 0, 0, 0) },
		sub { message('d', bytes(50)) },
		sub { message('c', '') },
		sub { message('f', bytes(20) . "\0") },
		sub { message('X', '') })->();
}

# What no client should send.
sub bad_message
{
	return pick(
		sub { bytes(100) },
		sub { pick('A' .. 'Z', 'a' .. 'z') . pack('N', int rand 64) . bytes(64) },
		sub { 'Q' . pack('N', 0x7fffffff) },
		sub { 'P' . pack('N', 3) },
		sub { message(chr rand 256, bytes(30)) },
		sub { substr good_message(), 0, 1 + int rand 6 },
		sub {
			my $message = good_message();

			substr($message, rand length $message, 1) = chr rand 256;
			$message;
		})->();
}

sub startup
{
	my %fields = (user => 'app', database => 'postgres', application_name => name());

	$fields{application_name} =~ tr/\0//d;
	my $body = pack('N', 196608) . pack('(Z*)*', %fields) . "\0";

	return pack('N', 4 + length $body) . $body;
}

# A connection that may never become a session.
sub bad_startup
{
	return pick(
		sub { bytes(200) },
		sub { pack 'NN', 8, 80877103 },
		sub { pack 'NN', 8, 80877104 },
		sub { pack 'NNNN', 16, 80877102, int rand 65536, int rand 65536 },
		sub { my $s = startup(); substr $s, 0, rand length $s },
		sub {
			my $s = startup();

			substr($s, 4 + rand(-4 + length $s), 1) = chr rand 256;
			$s;
		})->();
}

my %count = (connections => 0, messages => 0, closed_by_server => 0, looks => 0);

sub connection
{
	my $socket = IO::Socket::UNIX->new(
		Peer => $node->host . '/.s.PGSQL.' . $node->port);

	return unless $socket;
	$socket->blocking(0);
	$count{connections}++;
	syswrite $socket, rand() < 0.9 ? startup() : bad_startup();
	return $socket;
}

# What one client does next; false when it is gone.
sub act
{
	my ($socket) = @_;
	my $chance = rand;

	# what is not read fills the server's buffer, which is wanted now and then
	if (rand() < 0.9)
	{
		my $n = sysread $socket, my $answer, 65536;

		if (defined $n && $n == 0)
		{
			$count{closed_by_server}++;
			return 0;
		}
	}
	return 1 if $chance < 0.5;
	return 0 if $chance < 0.53;
	my $bytes = $chance < 0.57 ? bad_message() : join '',
	  map { good_message() } 1 .. 1 + rand 6;

	$count{messages}++;
	return defined(syswrite $socket, $bytes) || $!{EAGAIN};
}

local $SIG{PIPE} = 'IGNORE';
my %errors;
my @sockets;
my $until = time + $seconds;
my $next_look = 0;
while (time < $until)
{
	for my $i (0 .. $CLIENTS - 1)
	{
		$sockets[$i] //= connection();
		$sockets[$i] = undef if $sockets[$i] && !act($sockets[$i]);
	}
	select undef, undef, undef, 0.005 + rand 0.02;
	next if time < $next_look;
	$next_look = time + 2;
	$errors{$_}++ for errors_of_views($watcher);
	$count{looks}++;
	last if $watcher->{closed_at};
}
@sockets = ();
diag join ', ', map { "$_: $count{$_}" } sort keys %count;
cmp_ok($count{messages}, '>', 10 * $seconds, 'many messages');
cmp_ok($count{connections}, '>', $seconds, 'of many connections');
is_deeply(\%errors, {}, 'no view has erred');
ok(!$watcher->{closed_at}, 'the server has lived through it');
is(worker_pid($node), $worker, 'and so has the worker');
unlike(slurp_file($node->logfile, $start_of_log),
	qr/TRAP|was terminated by signal/, 'and every backend');

until_row($node,
	q{SELECT count(*) FROM hygiene.sessions WHERE application_name NOT IN ('watcher', 'psql')
		AND pid <> pg_backend_pid() AND user_name = 'app'}, '0');
two_passes($node);
is_deeply([ untruths($watcher) ], [], 'and everything is counted right');
my ($ended, $rolled_back, $cancelled, $refused) = @{
	$watcher->query('SELECT terminated, rolled_back, cancelled, refused FROM hygiene.status')->[0] };
diag "$ended ended, $rolled_back rolled back, $cancelled cancelled, $refused refused";
cmp_ok($ended, '>', 0, 'limits have acted');
$watcher->close;
$node->stop;
done_testing();
