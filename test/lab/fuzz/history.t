# The file of the history with anything in it whose checksums are right: what
# neither a crash nor a disk makes, but somebody might.  Every part is changed,
# cut, made longer, left out and put in twice.  The server starts, reads it or
# not, and all that can be read of it can be read; for test/lab/sanitize, which
# finds what it breaks in memory:
#
#   FUZZ_SECONDS=600 test/lab/sanitize test/lab/fuzz/history.t
#
# FUZZ_SEED repeats the choices of another run.  What a checksum finds is in
# test/t/061_history_faults.t.

use PgHygiene;
use PgHygiene::History;
use PgHygiene::Truth;

my $seconds = $ENV{FUZZ_SECONDS} || 30;
my $seed = $ENV{FUZZ_SEED} || int rand 1_000_000;
srand $seed;
diag "seed $seed, $seconds s";

my $node = new_node(
	'main',
	'fsync = off',
	'autovacuum = off',
	'max_connections = 20',
	"pg_hygiene.idle_in_transaction_timeout = '100ms'",
	"pg_hygiene.rules = 'application=few: connections=2; application=roll: idle_action=rollback'");
my $FILE = history_file($node);

sub pick
{
	return $_[ rand @_ ];
}

# Something of everything.
sub live
{
	for my $name (qw(orders-1 orders-2 roll few))
	{
		my $client = client($name, 'BEGIN', "SELECT '$name'");

		# not by a counter, for that may come from the file; idle for the limit
		# once more, it is ended, so a slow look finds nobody
		if ($name eq 'roll')
		{
			until_row($node,
				q{SELECT count(*) FROM pg_stat_activity
				WHERE application_name = 'roll' AND state = 'idle in transaction'}, '0');
		}
		else { $client->wait_closed }
		$client->close;
	}
	my @few = map { client('few') } 1 .. 4;

	$_->close for @few;
	two_passes($node);
	return;
}

live();
$node->stop;
my $good = read_bytes($FILE);
my %parts = parts($good);
my @names = sort { $parts{$a}{at} <=> $parts{$b}{at} } keys %parts;
note join ', ', map { "$_: $parts{$_}{length}" } @names;

#
# A file of these parts, each a hash with entry (of the list: name, format) and
# body.
#
sub split_up
{
	my %is = parts($good);

	return map {
		{
			entry => substr($good, $is{$_}{entry}, 48),
			body => substr($good, $is{$_}{at}, $is{$_}{length})
		}
	} @names;
}

sub put_together
{
	my @pieces = @_;
	my $list = '';

	for (@pieces)
	{
		my $entry = $_->{entry};

		substr $entry, 32, 8, pack 'Q', length $_->{body};
		$list .= $entry;
	}
	my $header = substr $good, 0, $HEADER;
	substr $header, 12, 4, pack 'L', scalar @pieces;
	substr $header, 16, 48 * 32, $list . "\0" x (48 * 32 - length $list);
	return with_checksums($header . join '', map { $_->{body} } @pieces);
}

is(put_together(split_up()), $good, 'this test knows the file');

# Numbers that are on an edge.
sub number
{
	return pick(
		pack('L', pick(0, 1, 0x7fffffff, 0x80000000, 0xffffffff, int rand 65536)),
		pack('Q', pick(0, 1, ~0 >> 1, 1 << 63, ~0)),
		pack('d', pick(0, -1, 9**9**9, -sin(9**9**9), 1e300)),
		join '', map { chr int rand 256 } 1 .. 1 + rand 16);
}

sub change
{
	my ($piece) = @_;
	my $length = length $piece->{body};

	return unless $length;
	for (1 .. 1 + rand 12)
	{
		my $number = number();
		my $at = int rand $length;

		$at -= $at % 4 if rand() < 0.7;
		next if $at + length $number > $length;
		substr $piece->{body}, $at, length $number, $number;
	}
	return;
}

sub changed
{
	my @pieces = split_up();
	my $i = int rand @pieces;
	my $body = \$pieces[$i]{body};

	pick(
		sub { change($pieces[$i]) },
		sub { change($pieces[$i]) },
		sub { change($_) for @pieces },
		sub { $$body = substr $$body, 0, rand length $$body },
		sub { $$body .= join '', map { chr int rand 256 } 1 .. rand 1000 },
		sub { $$body x= 2 + int rand 3 },
		sub { splice @pieces, $i, 1 },
		sub { push @pieces, { %{ $pieces[$i] } } if @pieces < 32 },
		sub { ($pieces[$i]{body}, $pieces[0]{body}) = ($pieces[0]{body}, $pieces[$i]{body}) },
		sub { substr $pieces[$i]{entry}, 40, 4, number() })->();
	return put_together(@pieces);
}

my %count = (files => 0, ignored => 0, read => 0);
my @wrong;
my $until = time + $seconds;
while (time < $until && @wrong < 10)
{
	my $position = log_position($node);
	my $bytes = changed();

	unlink "$FILE.corrupt";
	write_bytes($FILE, $bytes);
	$count{files}++;
	if (!$node->start(fail_ok => 1))
	{
		push @wrong, "file $count{files}: the server does not start";
		last;
	}
	my $session = PgHygiene::Client->new(
		$node,
		user => scalar getpwuid($<),
		application => 'reader');

	push @wrong, map { "file $count{files}: $_" } errors_of_views($session);

	# and it goes on with it
	live() if $count{files} % 5 == 0;
	$session->try_query('SELECT hygiene.reset()') if $count{files} % 7 == 0;
	push @wrong, "file $count{files}: the session is gone" if $session->{closed_at};
	$session->close;
	$node->stop('fast');
	my $log = slurp_file($node->logfile, $position);

	$count{ $log =~ /ignoring (?:file|part)/ ? 'ignored' : 'read' }++;
	push @wrong, "file $count{files}: $1"
	  if $log =~ /(TRAP.*|PANIC.*|.*was terminated by signal.*)/;
}
diag join ', ', map { "$_: $count{$_}" } sort keys %count;
is_deeply(\@wrong, [], 'whatever is in the file, the server lives with it');
cmp_ok($count{read}, '>', 0, 'and reads what can be read');
done_testing();
