
# Nobody is locked out: superusers always get in, a rule that refuses everybody
# can be mended, mode = off stops everything at once, observe lets everybody
# in, and an honest pool as large as the server is left alone until somebody
# else needs a slot.

use PgHygiene;
use Time::HiRes qw(time usleep);

my $USABLE = 17;
my $RESERVED = 3;
my $node = new_node('main', 'max_connections = 20',
	'pg_hygiene.warn_at = 0');
my $root = $node->safe_psql('postgres', 'SELECT current_user');

sub clients
{
	my ($n, @how) = @_;

	return map { client(@how) } 1 .. $n;
}

sub refused
{
	return scalar grep { $_->{closed_at} } @_;
}

sub leave
{
	$_->close for @_;
	until_row($node, 'SELECT used = 1 FROM hygiene.status');
	return;
}

sub value
{
	my ($client, $sql) = @_;

	return $client->query($sql)->[0]->[0];
}

# ALTER SYSTEM by this session and no other.
sub alter_by
{
	my ($client, $name, $value) = @_;

	$client->query(defined $value
		? "ALTER SYSTEM SET pg_hygiene.$name = '$value'"
		: "ALTER SYSTEM RESET pg_hygiene.$name");
	$client->query('SELECT pg_reload_conf()');
	return;
}

# Until a query of this session gives true.
sub until_value
{
	my ($client, $sql) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	until (value($client, $sql) eq 't')
	{
		die "did not happen in time: $sql" if time > $give_up;
		usleep(10_000);
	}
	return;
}

# Longer than a refusal counts, and until the worker has looked after that.
sub wait_out
{
	my ($client) = @_;

	for (1 .. 2)
	{
		my $now = value($client, 'SELECT clock_timestamp()');

		until_value($client,
			"SELECT last_pass > '$now'::timestamptz + '1 s' FROM hygiene.status"
		);
	}
	return;
}

# Try until somebody is let in (or refused); then true.
sub until_client
{
	my ($want_in, @how) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	while (time < $give_up)
	{
		my $client = client(@how);

		return $client if $want_in xor $client->{closed_at};
		$client->close;
		usleep(10_000);
	}
	return;
}

# Applications that are not new here.
my @mob = map { "mob $_" } 'a' .. 'v';
for my $application (@mob)
{
	my $client = client($application);

	$client->query('SELECT 1') for 1 .. 3;
	$client->close;
}
until_row($node, 'SELECT used = 1 FROM hygiene.status');

#
# Superusers have the reserved slots, and any other.
#
my @held;
push @held, client($mob[@held]) until refused(@held) || @held > 20;
pop @held;
is(scalar @held, $USABLE, 'applications with one connection each get every usable slot');
is(client('late')->{error}->{C}, '53300', 'and then no more');
my @roots = clients($RESERVED, 'admin', user => $root);
is(refused(@roots), 0, 'superusers get in beyond that');
is(value($roots[0], 'SELECT available FROM hygiene.status'),
	'0', 'although nothing is available');
is( value($roots[0], 'SELECT refused FROM hygiene.status'),
	'2', 'and no more than two were refused');
leave(@held, @roots);

# As many as they like, whatever their application holds.
configure($node, connections_per_application => 1);
@roots = clients(19, 'admin', user => $root);
is(refused(@roots), 0, 'superusers are not counted out');
leave(@roots);
configure($node, exempt_superusers => 'off');
@roots = clients(3, 'admin', user => $root);
is(refused(@roots), 2, 'unless exempt_superusers is off');
leave(@roots);
configure($node, connections_per_application => undef);

# Not even then does headroom keep them out.
@held = ();
push @held, client($mob[@held]) until refused(@held) || @held > 20;
pop @held;
@roots = clients($RESERVED, 'admin', user => $root);
is(refused(@roots), 0, 'the reserved slots are theirs in any case');
leave(@held, @roots);
configure($node, exempt_superusers => undef);

#
# A rule that refuses everybody
#
for my $rules (
	'application=*: connections=1',
	'user=*: connections=1, connect_rate=1',
	'application=*: connect_rate=1',
	'database=nowhere: reserve=1000',
	"user=$root: connections=1, connect_rate=1")
{
	configure($node, rules => $rules);
	@held = clients(6, 'web');
	cmp_ok(refused(@held), '>=', $rules =~ /^user=\Q$root\E/ ? 0 : 4,
		"$rules: refused");
	@roots = clients(4, 'admin', user => $root);
	is(refused(@roots), 0, 'superusers get in');
	alter_by($roots[0], 'rules', undef);
	ok(my $client = until_client(1, 'web'), 'and mend it');
	my @more = clients(2, 'web');
	is(refused(@more), 0, 'from then on everybody gets in');
	leave(@held, @roots, $client, @more);
}

#
# mode = off
#
configure($node, connections_per_application => 2,
	idle_in_transaction_timeout => '1h');
@held = clients(2, 'orders');
is(refused(client('orders')), 1, 'enforced: the third is refused');
$_->query('BEGIN') for @held;
my $admin = client('admin', user => $root);
alter_by($admin, 'mode', 'off');
ok(my $third = until_client(1, 'orders'), 'mode = off: it gets in');
my $refused = value($admin, 'SELECT refused FROM hygiene.status');
my @more = clients(5, 'orders');
is(refused(@more), 0, 'and others with it');
is(value($admin, 'SELECT refused FROM hygiene.status'),
	$refused, 'nobody is refused any more');
is( value($admin, q{SELECT mode || ' ' || (SELECT connections
		FROM hygiene.applications WHERE application_name = 'orders')
		FROM hygiene.status}),
	'off 8', 'they are counted');

# also what it does to those who are there already
alter_by($admin, 'idle_in_transaction_timeout', '100ms');
alter_by($admin, 'headroom_min_idle', '0');
alter_by($admin, 'headroom', '16');
until_row($node, q{SELECT current_setting('pg_hygiene.headroom') = '16'});
two_passes($node);
is( value($admin, 'SELECT terminated + evicted FROM hygiene.status'),
	'0', 'nobody is ended or evicted');
is(scalar(grep { !$_->is_open } @held), 0, 'really not');

# and it comes back
alter_by($admin, 'mode', undef);
is($held[0]->wait_closed->{C} =~ /^(25P03|57P01)$/,
	1, 'mode = enforce: the limits act again');
ok(until_client(0, 'orders'), 'and connections are refused again');
configure($node,
	map { $_ => undef } qw(connections_per_application headroom
	headroom_min_idle idle_in_transaction_timeout));
leave(@held, $third, @more, $admin);

# A rule may switch it off for some.
configure($node, connections_per_application => 1,
	rules => 'application=free: mode=off');
@held = (clients(3, 'free'), clients(3, 'bound'));
is(refused(@held[ 0 .. 2 ]), 0, 'mode=off in a rule: for those it matches');
is(refused(@held[ 3 .. 5 ]), 2, 'and for nobody else');
leave(@held);
configure($node, connections_per_application => undef, rules => undef);

#
# observe
#
$node->safe_psql('postgres', 'SELECT hygiene.reset()');
$admin = client('admin', user => $root);
wait_out($admin);    # what was refused above is logged within a second
my $position = log_position($node);
configure($node, mode => 'observe', connections_per_application => 2);
@held = clients(14, 'orders');
is(refused(@held), 0, 'observe: everybody gets in');
is( join(
		',', map { join ' ', @$_ } @{
			$admin->query(q{
			SELECT DISTINCT action, outcome, reason, application_name
			FROM hygiene.events})
		}),
	'refuse observed connections_per_application orders',
	'what would have been done is recorded');
is(value($admin, 'SELECT refused FROM hygiene.status'),
	'0', 'but not counted as a refusal');
ok( $node->log_contains(
		qr/LOG:  pg_hygiene would refuse a connection, but only observes: too many connections for application "orders"/,
		$position),
	'and logged');

# After ten the others follow as a count, which must not claim what did not happen.
wait_log($node, qr/LOG:  \d+ more connections? of application "orders"/,
	$position);
my @claims = slurp_file($node->logfile, $position) =~
  /(\d+ more connections? of application "orders" (?:was|were) refused)/g;
is("@claims", '', 'without saying that somebody was refused');

# So is eviction.
alter_by($admin, 'headroom', '15');
alter_by($admin, 'headroom_min_idle', '0');
$_->query('BEGIN') for @held;
until_row($node,
	q{SELECT count(*) > 0 FROM hygiene.events WHERE action = 'evict' AND reason = 'headroom'});
is( join(
		',', map { join ' ', @$_ } @{
			$admin->query(q{
			SELECT DISTINCT outcome, reason, application_name
			FROM hygiene.events WHERE action = 'evict' AND reason = 'headroom'})
		}),
	'observed headroom orders',
	'and what would be evicted');
is(scalar(grep { !$_->is_open } @held), 0, 'nobody is touched');
is(value($admin, 'SELECT evicted + terminated FROM hygiene.status'),
	'0', 'nor counted');
leave(@held, $admin);
configure($node,
	map { $_ => undef }
	  qw(mode connections_per_application headroom headroom_min_idle));

# One application that is only observed, and would be the first to be evicted,
# does not keep the server from evicting others.
$node->safe_psql('postgres', 'SELECT hygiene.reset()');
$admin = client('admin', user => $root);
@held = ();
configure($node, headroom_min_idle => '1s', rules => 'application=orders: mode=observe');
for my $application (('orders') x 10, ('leaker') x 3)
{
	push @held, client($application);
	$held[-1]->query('BEGIN');
}
until_row($node,
	q{SELECT count(*) > 0 FROM hygiene.events WHERE action = 'evict' AND outcome = 'done'});
is( join(
		',', map { join ' ', @$_ } @{
			$admin->query(q{
			SELECT DISTINCT outcome, application_name
			FROM hygiene.events WHERE action = 'evict' ORDER BY 1})
		}),
	'done leaker,observed orders',
	'observed by a rule: others are evicted');
is(scalar(grep { !$_->is_open } @held[ 0 .. 9 ]), 0, 'and it is not touched');
leave(@held, $admin);
configure($node, headroom_min_idle => undef, rules => undef);

#
# An honest pool as large as the usable slots
#
$node->safe_psql('postgres', 'SELECT hygiene.reset()');
configure($node, headroom_min_idle => '0');
my $headroom =
  $node->safe_psql('postgres', 'SELECT headroom FROM hygiene.status');

is($headroom, '3', 'the default headroom of a small server');

# It opens what it can have and asks for one more; the headroom is for others.
$admin = client('admin', user => $root);
my @pool;
push @pool, client('web') until refused(@pool) || @pool > 20;
my $last = pop @pool;
is(scalar @pool, $USABLE - 1 - $headroom,
	'a pool gets all but the headroom');
is($last->{error}->{C}, '53300', 'and is told so');
wait_out($admin);
is(value($admin, 'SELECT evicted FROM hygiene.status'),
	'0', 'nobody is evicted while nobody else needs a slot');
is(scalar(grep { !$_->is_open } @pool), 0, 'the pool is whole');

# However often it asks, it does not push its own connections out.
is(refused(clients(10, 'web')), 10, 'it cannot have more');
wait_out($admin);
is(scalar(grep { !$_->is_open } @pool), 0, 'and keeps what it has');

# So it does with one or two of them in a transaction.
@pool = grep { $_->is_open } @pool;
$_->query('BEGIN') for @pool[ 0, 1 ];
wait_out($admin);
is(scalar(grep { !$_->is_open } @pool), 0, 'also with two in a transaction');

# A neighbour who comes gets its slot, and the pool gives only what it takes.
my @neighbours = map { client("neighbour$_") } 1 .. 2;
is(refused(@neighbours), 0, 'others get in at once');
until_value($admin,
	'SELECT evicted > 0 AND available >= headroom FROM hygiene.status');

# It is counted a moment before its socket closes.
my $evicted = value($admin, 'SELECT evicted FROM hygiene.status');
my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;
my $gone;
until (($gone = grep { !$_->is_open } @pool) >= $evicted || time > $give_up)
{
	usleep(10_000);
}
cmp_ok($gone, '>=', 1, 'and take a slot of the pool then');
cmp_ok($gone, '<=', 2, 'not more than they need');
is(scalar(grep { !$_->is_open } @pool[ 0, 1 ]), 0,
	'none of those in a transaction');
is( value($admin, q{
		SELECT string_agg(DISTINCT application_name || ' ' || reason, ',')
		FROM hygiene.events WHERE action = 'evict'}),
	'web headroom',
	'and it is told');
leave(@pool, @neighbours, $admin);

# With headroom = 0 it may have them all, and keeps them.
configure($node, headroom => 0);
@pool = clients($USABLE, 'web');
is(refused(@pool), 0, 'headroom = 0: the pool gets every usable slot');
$_->query('SELECT 1') for @pool;
@roots = clients(2, 'admin', user => $root);
wait_out($roots[0]);
is(scalar(grep { !$_->is_open } @pool), 0,
	'and keeps them, also while superusers sit on the reserved ones');
leave(@pool, @roots);

done_testing();
