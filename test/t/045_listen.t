
# What it costs that a session's channels are remembered, and that they are
# remembered rightly, whatever LISTENs and UNLISTENs a transaction has.

use PgHygiene;

plan skip_all => 'the kernel does not count what a process uses'
  if !-r '/proc/self/schedstat';

my $node = new_node('main');

# What a server process has used of the processor, in seconds: a busy machine
# does not change it.
sub processor_time
{
	my ($pid) = @_;

	my ($ns) = split ' ', slurp_file("/proc/$pid/schedstat");
	return $ns / 1e9;
}

# The best of three, of a new session each time.
sub cost_of
{
	my ($before, $measured, $after) = @_;
	my $best;

	for (1 .. 3)
	{
		my $client = client('listener');

		$client->query($_) for @$before;
		my $start = processor_time($client->{pid});
		$client->query($_) for @$measured;
		my $cost = processor_time($client->{pid}) - $start;
		$client->query($_) for @$after;
		$client->close;
		$best = $cost if !defined $best || $cost < $best;
	}
	return $best;
}

sub channels
{
	my ($n) = @_;

	return qq{DO \$\$ BEGIN FOR i IN 1..$n LOOP
		EXECUTE 'LISTEN c' || i; END LOOP; END \$\$};
}

# Nothing of it is core's that grows: a subtransaction moves the whole list.
my $SUBTRANSACTIONS = q{DO $$ BEGIN FOR i IN 1..2000 LOOP
	BEGIN PERFORM 1; EXCEPTION WHEN division_by_zero THEN NULL; END;
	END LOOP; END $$};
my $FAILURES = q{DO $$ BEGIN FOR i IN 1..2000 LOOP
	BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;
	END LOOP; END $$};

# One in another, each of which hands its list to the next.
my @nested = map { "SAVEPOINT s$_" } 1 .. 500;
my @released = map { "RELEASE s$_" } reverse 1 .. 500;

# What is measured, before which, and behind which.
my %cost = (
	'2,000 subtransactions' => [ [], [$SUBTRANSACTIONS] ],
	'2,000 subtransactions that fail' => [ [], [$FAILURES] ],
	'500 savepoints one in another' => [ \@nested, \@released ]);

for my $what (sort keys %cost)
{
	my ($before, $measured) = @{ $cost{$what} };
	my $none = cost_of([ 'BEGIN', @$before ], $measured, ['ROLLBACK']);
	my $many = cost_of([ 'BEGIN', @$before, channels(20_000) ],
		$measured, ['ROLLBACK']);
	my $ratio = $many / $none;

	note sprintf '%s: %.1f ms, %.1f ms with 20,000 LISTENs pending',
	  $what, 1e3 * $none, 1e3 * $many;
	cmp_ok($ratio, '<', 3, "$what cost the same with 20,000 LISTENs pending");
}

# Core's own COMMIT looks through a list for each channel, so what the library
# adds is seen only by a server without it.
my @commit = ([ 'BEGIN', channels(10_000) ], ['COMMIT'], []);
my @again = ([ channels(10_000), 'BEGIN', channels(10_000) ], ['COMMIT'], []);
my @unlisten = ([ channels(5_000), 'BEGIN', q{DO $$ BEGIN FOR i IN 1..5000 LOOP
	EXECUTE 'UNLISTEN d' || i; END LOOP; END $$} ], ['COMMIT'], []);
my @with = map { cost_of(@$_) } \@commit, \@again, \@unlisten;

# Each transaction is random, and there are few names, so that they meet.
srand 13;
my $session = client('random');
my $asker = client('asks');
my @wrong;

sub random_statements
{
	my ($depth) = @_;
	my @statements;

	for (1 .. 1 + int rand 5)
	{
		my $which = int rand 10;
		my $channel = 'c' . int rand 4;

		push @statements,
			$which < 4 ? "LISTEN $channel"
		  : $which < 7 ? "UNLISTEN $channel"
		  : $which < 8 ? 'UNLISTEN *'
		  : $depth > 3 ? 'SELECT 1'
		  : ( 'SAVEPOINT s', random_statements($depth + 1),
			(   'RELEASE s', 'ROLLBACK TO s', 'ROLLBACK TO s; RELEASE s',
				'SELECT 1')[ int rand 4 ]);
	}
	return @statements;
}

for (1 .. 300)
{
	my $text = join '; ', 'BEGIN', random_statements(0),
	  rand() < 0.8 ? 'COMMIT' : 'ROLLBACK';

	$session->query($_) for split /; /, $text;
	my $listening = @{ $session->query('SELECT pg_listening_channels()') } > 0;
	my $seen = $asker->first_row(
		"SELECT listening::int FROM hygiene.sessions WHERE pid = $session->{pid}");
	push @wrong, $text if $seen != $listening;
}
is_deeply(\@wrong, [],
	'300 random transactions: the session is seen to listen when it does');
$_->close for $session, $asker;

$node->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->start;
my @without = map { cost_of(@$_) } \@commit, \@again, \@unlisten;

for my $what ('LISTEN to 10,000 channels', 'LISTEN to 10,000 again',
	'UNLISTEN of 5,000 others')
{
	my ($with, $without) = (shift @with, shift @without);

	note sprintf '%s: %.1f ms, %.1f ms without the library', $what,
	  1e3 * $with, 1e3 * $without;
	cmp_ok($with / $without, '<', 1.5,
		"$what: COMMIT costs what it costs without the library");
}

$node->stop;
done_testing();
