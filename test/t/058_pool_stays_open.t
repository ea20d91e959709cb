
# A leak behind PgBouncer, in transaction mode with one pool for all programs: a
# rule that names the pooler with its pool's size keeps the pool open for the
# others.  doc/pgbouncer.md has the rule, and what was measured here.

use PgHygiene;
use PgHygiene::Bouncer;
use Time::HiRes qw(time usleep);

plan skip_all => 'PgBouncer is not installed, and test/deps could not get it'
  unless PgHygiene::Bouncer::program();

my $POOL = 20;
my $RATE = 10;			# calls and leaks a second
my $PATIENCE = 3;		# of a caller, in seconds
my $SECONDS = $ENV{PGH_LONG} ? 60 : 20;

my $node = new_node('main', "listen_addresses = '127.0.0.1'",
	'pg_hygiene.warn_at = 0');
$node->safe_psql('postgres', 'CREATE ROLE pooler LOGIN');

# One that has sent its statement, and does not wait.
sub caller_of
{
	my ($bouncer, $application, $sql) = @_;
	my $client = PgHygiene::Client->new($bouncer, application => $application);

	$client->{replied_at} = undef;
	$client->send_query($sql) unless $client->{closed_at};
	return $client;
}

# Whether it was answered; undef = not yet.
sub answer
{
	my ($client) = @_;
	my $open = $client->is_open;

	return 1 if $client->{replied_at} && !$client->{error};
	return 0 if !$open || $client->{replied_at};
	return time - $client->{sent_at} > $PATIENCE ? 0 : undef;
}

# A program that takes its time within each transaction, but does commit.
sub step_batch
{
	my ($batch) = @_;
	my $client = $batch->{client};

	$client->is_open;
	return unless $client->{replied_at} && time >= $batch->{next};
	$batch->{broken}++ if $client->{error} || $client->{closed_at};
	$batch->{done}++ if $batch->{sql} eq 'COMMIT';
	$batch->{sql} = $batch->{sql} eq 'COMMIT' ? 'BEGIN; SELECT 1' : 'COMMIT';
	$batch->{next} = time + ($batch->{sql} eq 'COMMIT' ? 0.5 : 4);
	$client->{replied_at} = undef;
	$client->send_query($batch->{sql});
	return;
}

# So many leaks and calls a second, beside the batch and some clients that only
# stay; of the calls how many were served, and how long they took.
sub perform
{
	my ($bouncer, $n_idle) = @_;
	my %result = (calls => 0, served => 0, waits => []);
	my %batch = (client => caller_of($bouncer, 'batch', 'SELECT 1'),
		sql => 'COMMIT', next => 0, done => 0, broken => 0);
	my @pool = map { caller_of($bouncer, 'web', 'SELECT 1') } 1 .. $n_idle;
	my (@leaks, @calls);
	my $began = time;

	for my $i (0 .. $RATE * ($SECONDS + $PATIENCE) - 1)
	{
		my $due = $began + $i / $RATE;
		my @open;

		if ($i < $RATE * $SECONDS)
		{
			push @leaks, caller_of($bouncer, 'orders', 'BEGIN; SELECT 1');
			push @calls, caller_of($bouncer, 'checkout', 'BEGIN; SELECT 1; COMMIT');
			$result{calls}++;
		}
		do
		{
			step_batch(\%batch);
			@open = ();
			for my $call (@calls)
			{
				my $served = answer($call);

				if (!defined $served)
				{
					push @open, $call;
					next;
				}
				$result{served} += $served;
				push @{ $result{waits} }, $call->{replied_at} - $call->{sent_at} if $served;
				$call->close;
			}
			@calls = @open;
			usleep(5_000);
		} while (time < $due + 1 / $RATE);
		$_->is_open for @leaks;
		@leaks = grep { !$_->{closed_at} } @leaks;
	}
	my @waits = sort { $a <=> $b } @{ $result{waits} };
	@result{qw(median p99)} = map { $_ // 0 } @waits[ @waits / 2, 0.99 * @waits ];
	$result{batch} = \%batch;
	$result{pool} = grep { $_->is_open && !$_->{error} } @pool;
	close $_->socket for @leaks, @pool, $batch{client};
	note sprintf '%d of %d calls served, median %.3f s, 99th percentile %.3f s',
	  @result{qw(served calls median p99)};
	return \%result;
}

sub bouncer
{
	my ($mode, %settings) = @_;

	return PgHygiene::Bouncer->new(
		$node,
		pool_mode => $mode,
		default_pool_size => $POOL,
		server_login_retry => 1,
		database => 'host=127.0.0.1 user=pooler',
		%settings);
}

my $rule = "address=127.0.0.1: connections=$POOL, headroom_min_idle=1s";
my ($documented) = slurp_file('doc/pgbouncer.md') =~ /pg_hygiene\.rules =\s+'(.*)';/;
like($documented, qr/address=10\.0\.0\.5: connections=$POOL, headroom_min_idle=1s\b/,
	'doc/pgbouncer.md has this rule');

if ($ENV{PGH_LONG})
{
	note 'without:';
	configure($node, mode => 'off');
	my $bouncer = bouncer('transaction');
	my $without = perform($bouncer, 8);
	cmp_ok($without->{served}, '<', 0.5 * $without->{calls}, 'without it hardly anybody is served');
	$bouncer->stop;
	until_row($node, q{SELECT used FROM hygiene.status}, '1');
}

configure($node, mode => undef, rules => $rule);
my $bouncer = bouncer('transaction');
my $with = perform($bouncer, 8);
cmp_ok($with->{served}, '>=', 0.99 * $with->{calls}, 'checkout is served beside ten leaks a second');
is($with->{batch}->{broken}, 0, 'a batch that pauses for 4 s within its transactions is not ended');
cmp_ok($with->{batch}->{done}, '>=', 3, 'and comes to its ends');
is($with->{pool}, 8, 'nor is an idle client');
is(one(q{SELECT string_agg(DISTINCT application_name || ' ' || reason, ', ') FROM hygiene.events WHERE action = 'evict'}),
	'orders connections', 'only leaks were ended');
cmp_ok(one(q{SELECT max(peak_connections) FROM hygiene.applications}), '<=', $POOL, 'the pool was no larger than its cap');
$bouncer->stop;

#
# In session mode, where each client has a server connection for as long as it
# stays; where nobody waits for long; where idle clients keep their connections
# in session mode, so that the pool must be larger than its cap and its next
# connection waits; and where each of several pools has a rule.
#
$SECONDS = 10;
my @waits = (default_pool_size => $POOL + 4);
for my $case (
	[ 'session mode', 'session', 0, $rule ],
	[ 'query_wait_timeout of 3 s', 'transaction', 0, $rule, query_wait_timeout => 3 ],
	[ 'session mode with idle clients', 'session', 8,
		"address=127.0.0.1: connections=$POOL, headroom_min_idle=500ms, admission_wait=5s", @waits ],
	[ 'one rule for each pool', 'transaction', 8,
		"address=127.0.0.1 user=app: connections=10, headroom_min_idle=500ms; address=127.0.0.1 user=other: connections=10, headroom_min_idle=500ms",
		default_pool_size => 10, database => 'host=127.0.0.1' ])
{
	my ($name, $mode, $n_idle, $rules, %settings) = @$case;

	until_row($node, q{SELECT used FROM hygiene.status}, '1');
	configure($node, rules => $rules);
	note "$name:";
	$bouncer = bouncer($mode, %settings);
	$with = perform($bouncer, $n_idle);
	cmp_ok($with->{served}, '>=', 0.95 * $with->{calls}, "$name: checkout is served");
	is($with->{batch}->{broken}, 0, "$name: the batch is not ended");
	is($with->{pool}, $n_idle, "$name: nor is an idle client");
	$bouncer->stop;
}

$node->stop;
done_testing();
