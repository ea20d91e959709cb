
# A program that leaks keeps working within its cap: what it leaks is ended as
# soon as somebody is refused because of it, or nobody could work.  Nobody
# else's session is touched, nor an honest one of the same cap.

use PgHygiene;
use Time::HiRes qw(time usleep);

my $node = new_node('main', 'pg_hygiene.warn_at = 0');

# So many connections a second that are left in a transaction, for so long.
# Returns for each of them when it was tried and whether it was let in.
sub leak
{
	my ($application, $rate, $seconds, $meanwhile) = @_;
	my $began = time;
	my @tries;

	for my $i (0 .. $rate * $seconds - 1)
	{
		my $due = $began + $i / $rate;

		$meanwhile->() if $meanwhile;
		usleep(($due - time) * 1e6) if $due > time;
		my $client = client($application);

		$client->try_query('BEGIN; SELECT 1') unless $client->{closed_at};
		push @tries, { at => time - $began, client => $client,
			served => defined $client->{replied_at} };
	}
	return @tries;
}

sub served_after
{
	my ($seconds, @tries) = @_;
	my @later = grep { $_->{at} >= $seconds } @tries;

	return 100 * (grep { $_->{served} } @later) / @later;
}

sub leave
{
	for my $client (map { ref $_ eq 'HASH' ? $_->{client} : $_ } @_)
	{
		$client->is_open;
		$client->close;
	}
	return;
}

#
# The cap of a rule, as it stands: ten leaks a second into twenty places.
#
configure($node, rules => 'application=orders: connections=20');
my @neighbours = (client('checkout', 'SELECT 1'),
	map { client('batch', 'BEGIN', 'SELECT 1') } 1 .. 4);
my @tries = leak('orders', 10, 15);
my $share = served_after(5, @tries);
note "orders was served $share % after five seconds";
cmp_ok($share, '>=', 95, 'a program that leaks is served within its cap');
ok($_->is_open, 'nobody else is touched') for @neighbours;
cmp_ok(one(q{SELECT connections FROM hygiene.applications WHERE application_name = 'orders'}),
	'<=', 20, 'and the cap holds');
is( one(q{SELECT string_agg(DISTINCT concat_ws('|', action, outcome, reason, rule, limit_setting, state), ' ')
		FROM hygiene.events WHERE action = 'evict'}),
	'evict|done|connections|1|20|idle in transaction', 'the events say why');
is(one(q{SELECT count(*) FROM hygiene.events WHERE action = 'evict' AND measured::interval < '1 s'}),
	'0', 'none had idled for less than a fifth of headroom_min_idle');
cmp_ok(one('SELECT ended FROM hygiene.rules'), '>', 50, 'the rule has them');
my ($ended) = grep { !$_->is_open } map { $_->{client} } grep { $_->{served} } @tries;
is("$ended->{error}->{C} $ended->{error}->{M}",
	'57P01 terminating connection to make room within a limit on connections', 'what one is told');
like($ended->{error}->{D},
	qr/^Application "orders" left a transaction idle for \S+ s while a limit on connections was reached; rule 1 \(application=orders\) allows 20\.$/,
	'with DETAIL');
like($ended->{error}->{H}, qr/^Commit or roll back, and close the session when the work is done\./, 'and HINT');
leave(@tries, @neighbours);

# A rule's headroom_min_idle holds as it stands.
configure($node, rules => 'application=orders: connections=5, headroom_min_idle=1h');
@tries = leak('orders', 20, 1);
is(scalar(grep { $_->{served} } @tries), 5, 'one hour is one hour');
two_passes($node);
is(scalar(grep { $_->{client}->is_open } @tries), 5, 'nobody is ended');
configure($node, rules => 'application=orders: connections=5, headroom_min_idle=100ms');
until_row($node, q{SELECT connections <= 3 FROM hygiene.applications WHERE application_name = 'orders'});
my $remaining = one(q{SELECT string_agg(pid::text, ' ') FROM hygiene.sessions WHERE application_name = 'orders'});
$_->wait_closed
  for grep { !$_->{closed_at} && " $remaining " !~ / $_->{pid} / } map { $_->{client} } @tries;
is(scalar(grep { $_->{client}->is_open } @tries), 3, 'a full cap in which all are in a transaction makes room by itself');
leave(@tries);

#
# Honest sessions within the same cap.
#
configure($node, rules => 'user=app: connections=12, headroom_min_idle=300ms');
my $batch = client('batch', 'BEGIN', 'SELECT 1');
my $working = client('report');
$working->send_query('SELECT pg_sleep(60)');
my @pool = map { client('pool', 'SELECT 1') } 1 .. 3;
my $served = 0;
my $calls = 0;
@tries = leak('orders', 10, 6, sub {
	my $checkout = client('checkout');

	$calls++;
	$served++ unless $checkout->{closed_at};
	$checkout->try_query('BEGIN; SELECT 1; COMMIT') unless $checkout->{closed_at};
	$checkout->close;
});
note "of $calls calls of checkout $served were served";
cmp_ok($served, '>=', 0.9 * $calls, 'who shares the cap with a leak is served');
ok($_->is_open, 'who does not leak stays') for $batch, $working, @pool;
is(one(q{SELECT string_agg(DISTINCT application_name, ' ') FROM hygiene.events WHERE action = 'evict' AND reason = 'connections'
		AND rule = 1 AND limit_setting = '12'}),
	'orders', 'only leaks are ended');
leave(@tries, $batch, @pool);
$working->close;

#
# connections_per_application
#
configure($node, rules => 'application=orders: headroom_min_idle=300ms', connections_per_application => 10);
@tries = leak('orders', 10, 6);
$share = served_after(2, @tries);
cmp_ok($share, '>=', 90, 'the same with connections_per_application');
is(one(q{SELECT string_agg(DISTINCT concat_ws('|', reason, rule, limit_setting), ' ') FROM hygiene.events
		WHERE action = 'evict' AND reason <> 'connections'}),
	'connections_per_application|10', 'the events say so');
($ended) = grep { !$_->is_open } map { $_->{client} } grep { $_->{served} } @tries;
like($ended->{error}->{D}, qr/; pg_hygiene\.connections_per_application allows 10\.$/, 'and the message');
leave(@tries);

#
# A leak does not hide from its cap under a name for one transaction, nor is
# another one's taken for it.
#
configure($node, connections_per_application => undef,
	rules => 'application=orders: connections=6; application=*: headroom_min_idle=300ms');
my @hidden = map { client('orders', "BEGIN; SET LOCAL application_name = 'hidden'") } 1 .. 6;
my @others = map { client('other', "BEGIN; SET LOCAL application_name = 'orders'") } 1 .. 6;
# refused, unless room was made already
my $seventh = client('orders');
until_row($node, q{SELECT count(*) > 0 FROM hygiene.events
		WHERE action = 'evict' AND rule = 1 AND limit_setting = '6'});
is(one(q{SELECT string_agg(DISTINCT application_name, ' ') FROM hygiene.events
		WHERE action = 'evict' AND rule = 1 AND limit_setting = '6'}),
	'hidden', 'what leaks is ended under whatever name');
ok($_->is_open, 'who only calls itself so is not') for @others;
leave(@hidden, @others, $seventh);

#
# Only observed.
#
configure($node, mode => 'observe', connections_per_application => undef,
	rules => 'application=orders: connections=5, headroom_min_idle=100ms');
@tries = leak('orders', 10, 2);
is(scalar(grep { $_->{client}->is_open } @tries), 20, 'observed: nobody is ended');
until_row($node, q{SELECT count(*) > 0 FROM hygiene.events WHERE action = 'evict' AND outcome = 'observed' AND limit_setting = '5'});
leave(@tries);

$node->stop;
done_testing();
