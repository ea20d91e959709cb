
# What is remembered of how applications behave, on workloads whose pauses the
# clients have measured themselves: over sessions that end, take another name
# or are killed, and over a restart.

use PgHygiene;
use List::Util qw(max);
use PgHygiene::Workload;

my $RULES = 'application=pg_dump: exempt; application=rolled*: '
  . 'idle_action=rollback, idle_in_transaction_timeout=4s';
my $node = new_node('main', "pg_hygiene.rules = '$RULES'");

sub behaviour
{
	my ($columns, $application, $kind) = @_;

	return one(qq{SELECT $columns FROM hygiene.behaviour
		WHERE application_name = '$application' AND kind = '$kind'});
}

# Within so many percent, or one.
sub is_near
{
	my ($got, $want, $what) = @_;
	my $off = abs($got - $want);

	ok($off <= 1 || $off <= 0.1 * $want, "$what: $got, in truth $want");
	return;
}

my %longest;
my %at_most;
my %truth;

sub remember
{
	my ($application, @pauses) = @_;

	for my $pause (@pauses)
	{
		$truth{$application}{periods}++;
		$truth{$application}{resumed} += $pause->{resumed} ? 1 : 0;
		next unless $pause->{resumed};
		$longest{$application} = max($longest{$application} // 0, $pause->{length});
		$at_most{$application} = max($at_most{$application} // 0, $pause->{at_most});
	}
	return;
}

sub compare
{
	my ($when) = @_;

	for my $application (sort keys %truth)
	{
		my ($periods, $resumed, $longest) = split /\|/,
		  behaviour('periods, resumed, extract(epoch FROM longest_resumed)',
			$application, 'idle in transaction');

		is_near($periods, $truth{$application}{periods},
			"$when, $application: periods");
		is_near($resumed, $truth{$application}{resumed},
			"$when, $application: resumed");
		ok( $longest > $longest{$application} - 0.01
			  && $longest < $at_most{$application} + 0.01,
			"$when, $application: longest_resumed: $longest, in truth $longest{$application} to $at_most{$application}");
	}
	return;
}

#
# Each distribution under a name of its own, one with a leak beside it.
#
my $work = PgHygiene::Workload->new($node);
$work->add('uniform', 11, 5, 5, sub { 1.1 + 2 * $_[0]->() });
$work->add('long_tailed', 12, 5, 4, sub { 1.05 / (1.05 - $_[0]->())**0.6 });
$work->add('two_groups', 13, 5, 4,
	sub { $_[0]->() < 0.7 ? 1.1 + 0.4 * $_[0]->() : 4 + $_[0]->() });
$work->add('leak_beside', 14, 4, 5, sub { 1.1 + $_[0]->() });
$work->add('leak_beside', 15, 4, 2, sub { -2 - 3 * $_[0]->() });
$work->run;
two_passes($node);
remember($_, $work->pauses($_))
  for qw(uniform long_tailed two_groups leak_beside);
compare('at once');

#
# Pauses that end in other ways.
#
sub paused
{
	my ($application) = @_;
	my $client = PgHygiene::Client->new($node, application => $application);

	$client->query('BEGIN');
	$client->query('SELECT 1');
	return $client;
}

sub until_paused
{
	my ($application, $n) = @_;

	until_row($node, qq{SELECT count(*) = $n FROM hygiene.sessions
		WHERE application_name = '$application' AND state_age > '1.2 s'
		AND state = 'idle in transaction'});
	return;
}

my @killed = map { paused('killed') } 1 .. 4;
my $renamed = paused('first_name');
my $left = paused('left');
my $back = paused('came_back_and_left');
until_paused('killed', 4);
until_paused('first_name', 1);
until_paused('left', 1);
until_paused('came_back_and_left', 1);
is(behaviour('periods, resumed, open_now', 'killed', 'idle in transaction'),
	'4|0|4', 'pauses that are not over are periods');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid)
	FROM pg_stat_activity WHERE application_name = 'killed'");
$_->wait_closed for @killed;
$renamed->query("SET application_name = 'second_name'");
until_row($node, q{SELECT count(*) = 1 FROM hygiene.sessions
	WHERE application_name = 'second_name' AND state_age > '1.2 s'});
$renamed->query('COMMIT');
$left->close;
$back->query('COMMIT');
$back->close;
two_passes($node);
my $pause = 'periods, resumed, open_now';
is(behaviour($pause, 'killed', 'idle in transaction'),
	'4|0|0', 'killed: nobody came back');
is(behaviour($pause, 'first_name', 'idle in transaction'),
	'2|2|0', 'pauses of a transaction are those of the name it began with');
is(behaviour($pause, 'second_name', 'idle in transaction'),
	'0|0|0', 'also after it has taken another one');
is(behaviour($pause, 'left', 'idle in transaction'),
	'1|0|0', 'a client that leaves has not come back');
is(behaviour($pause, 'came_back_and_left', 'idle in transaction'),
	'1|1|0', 'one that commits and leaves at once has');
is(behaviour('periods, resumed IS NULL, longest_resumed IS NULL', 'left', 'transaction'),
	'1|t|t', 'its transaction is one, however it ended');
is(behaviour('periods', 'left', 'session'), '1', 'and its session');

# One whose transaction we roll back has not come back by that.
my @rolled = map { paused($_) } 'rolled_back', 'rolled_left';
until_row($node, q{SELECT count(*) = 2 FROM hygiene.events
	WHERE action = 'rollback' AND outcome = 'done'});
two_passes($node);
is(behaviour($pause, 'rolled_back', 'idle in transaction'),
	'1|0|1', 'rolled back: the pause goes on');
$rolled[0]->try_query('COMMIT');
$rolled[0]->try_query('ROLLBACK');
$rolled[1]->close;
two_passes($node);
is(behaviour($pause, 'rolled_back', 'idle in transaction'),
	'1|1|0', 'until the client comes back');
is(behaviour($pause, 'rolled_left', 'idle in transaction'),
	'1|0|0', 'or leaves');

#
# Outside of a transaction.
#
my $idle = PgHygiene::Client->new($node, application => 'idler');
$idle->query('SELECT 1');
until_row($node, q{SELECT count(*) = 1 FROM hygiene.sessions
	WHERE application_name = 'idler' AND state_age > '1.2 s'});
$idle->query('SELECT 1');
until_row($node, q{SELECT count(*) = 1 FROM hygiene.sessions
	WHERE application_name = 'idler' AND state_age > '1.2 s'});
is(behaviour($pause, 'idler', 'idle'), '2|1|1', 'idle: one is over, one goes on');

#
# Over a restart: what was known, and the pauses that it ended.
#
my @open = map { paused('open_at_restart') } 1 .. 3;
until_paused('open_at_restart', 3);
$node->restart;
compare('after a restart');
is(behaviour($pause, 'open_at_restart', 'idle in transaction'),
	'3|0|0', 'pauses that the restart ended');
is(behaviour($pause, 'idler', 'idle'), '2|1|0', 'outside of a transaction, too');

#
# What is suggested.
#
is(one(q{SELECT value, rule, would_end, of_which_resumed, confidence FROM hygiene.suggest()
	WHERE application_name = 'leak_beside' AND setting = 'idle_in_transaction_timeout'}),
	join('|', '5s', 'application=leak_beside: idle_in_transaction_timeout=5s',
		one(q{SELECT would_end FROM hygiene.predict('application=leak_beside: idle_in_transaction_timeout=5s')
			WHERE application_name = 'leak_beside' AND limit_name = 'idle_in_transaction_timeout'}),
		0, 'low'),
	'twice the longest pause that came back, rounded up; less than an hour is little');
is(one(q{SELECT bool_and(value IS NULL) FROM hygiene.suggest()
	WHERE application_name = 'first_name' AND setting = 'idle_session_timeout'}),
	't', 'nothing was seen, nothing is suggested');
my ($code, $out, $err) =
  $node->psql('postgres', 'SELECT hygiene.suggest_rules()');
like($out, qr/^application=pg_dump: exempt; application=rolled\*: [^;]*$/,
	'no rules with little confidence');
like($err, qr/NOTICE:  no rule is suggested, because too little was seen/, 'and it says so');
is(one('SELECT count(*) FROM hygiene.check_rules(hygiene.suggest_rules(0.1))'), '2', 'the text is one of rules');
for my $harm ('-0.1', '1.1', q{'NaN'})
{
	($code, $out, $err) = $node->psql('postgres', "SELECT * FROM hygiene.suggest($harm)");
	like($err, qr/ERROR:  harm must be between 0 and 1/, "a harm of $harm");
}

#
# Everybody may look; reset() begins anew.
#
is($node->safe_psql('postgres', q{SELECT count(*) > 0 FROM hygiene.behaviour}, extra_params => [ '-U', 'app' ]),
	't', 'an ordinary role sees it');
one('SELECT hygiene.reset()');
is(behaviour('count(*)', 'uniform', 'idle in transaction'), '0', 'reset() forgets it');
$node->stop;
done_testing();
