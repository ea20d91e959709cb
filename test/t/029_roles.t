
# One role's sessions are no evidence against another's: mallory calls her
# sessions like alice's.  And who is new here competes as one for the last
# slots.

use PgHygiene;

my $node = new_node(
	'main',
	'max_connections = 33',
	'pg_hygiene.headroom = 5',
	'pg_hygiene.headroom_min_idle = 1s',
	'pg_hygiene.warn_at = 0');
my $root = $node->safe_psql('postgres', 'SELECT current_user');

$node->safe_psql('postgres',
	'CREATE ROLE alice LOGIN; CREATE ROLE mallory LOGIN;'
	  . join '', map { "CREATE ROLE tenant$_ LOGIN;" } 1 .. 30);

sub known
{
	for my $application (@_)
	{
		my $client = client($application);

		$client->query('SELECT 1') for 1 .. 3;
		$client->close;
	}
	until_row($node, 'SELECT used = 1 FROM hygiene.status');
	return;
}

sub fill
{
	my ($n, $application, @how) = @_;

	return map { client(ref $application ? $application->() : $application, @how) } 1 .. $n;
}

sub gone
{
	$_->close for @_;
	until_row($node, 'SELECT used = 1 FROM hygiene.status');
	return;
}

sub open_ones
{
	return scalar grep { $_->is_open } @_;
}

sub letters
{
	return join '', map { ('a' .. 'z')[ rand 26 ] } 1 .. 12;
}

known('checkout', 'others');

#
# Admission
#
my $alice = client('checkout', user => 'alice', 'BEGIN', 'SELECT 1');
my @mallory = fill(24, 'checkout', user => 'mallory');
cmp_ok(scalar(grep { $_->{closed_at} } @mallory), '<=', 1, 'mallory gets what is plenty');
push @mallory, fill(3, 'checkout', user => 'mallory');
is($mallory[-1]->{error}->{C}, '53300', 'and is refused then');
like($mallory[-1]->{error}->{D}, qr/^Application "checkout" holds 2\d connections beside those of other roles, /,
	'told of her own sessions');
my $second = client('checkout', user => 'alice');
is($second->{error}, undef, 'alice is let in under the same name');

#
# Eviction: mallory's transactions are a leak, alice's one is none.
#
for my $client (grep { $_->is_open } @mallory)
{
	$client->query('BEGIN');
	$client->query('SELECT 1');
}
until_row($node, q{SELECT evicted >= 1 FROM hygiene.status});
is( one(q{SELECT string_agg(DISTINCT user_name, ',') FROM hygiene.events WHERE action = 'evict'}),
	'mallory', 'only hers are evicted');
ok($alice->is_open, 'alice keeps her transaction');
gone(@mallory, $alice, $second);

# Ten tenants with one name are a leak all the same.
one('SELECT hygiene.reset()');
my @tenants = map { client('saas', user => "tenant$_") } 1 .. 30;
@tenants = grep { !$_->{closed_at} } @tenants;
for my $client (@tenants)
{
	$client->query('BEGIN');
	$client->query('SELECT 1');
}
until_row($node, q{SELECT evicted >= 1 FROM hygiene.applications WHERE application_name = 'saas'});
pass('one name with a role for each tenant is a leak');
gone(@tenants);

# Strangers with transactions of their own are none.
one('SELECT hygiene.reset()');
my @honest = map { my $client = client("honest $_"); $client->query('BEGIN'); $client->query("SELECT 1 AS $_"); $client } 'a' .. 'c';
my @crowd = fill(21, 'others', 'SELECT 1');
two_passes($node) for 1 .. 2;
is(open_ones(@honest), 3, 'three strangers with three statements are no leak');
gone(@honest, @crowd);

#
# Newcomers: each connection has another name.
#
one('SELECT hygiene.reset()');
known('checkout', 'web', 'batch');
my @leaks = map { client(letters()) } 1 .. 28;
my $let_in = grep { !$_->{closed_at} } @leaks;
cmp_ok($let_in, '<=', 25, 'names that were never seen do not get the last slots');
my ($refused) = grep { $_->{closed_at} } @leaks;
is(one(q{SELECT connections > 10, diagnosis FROM hygiene.applications WHERE application_name = '(newcomers)'}),
	't|', 'most of them are shown as one');
cmp_ok(one('SELECT count(*) FROM hygiene.applications'), '<=', 16, 'and not as so many applications');
is(one('SELECT sum(connections) = (SELECT count(*) FROM hygiene.sessions) FROM hygiene.applications'),
	't', 'with all their sessions');
like($refused->{error}->{D}, qr/holds 0 connections beside other applications that are new, and \d of 30 slots are available to it; /,
	'and are told why');
my @known = map { client($_) } qw(checkout web batch);
is(scalar(grep { $_->{closed_at} } @known), 0, 'applications that are known get them');
for my $client (grep { $_->is_open } @leaks)
{
	# the first may be evicted before the last begins
	$client->try_query('BEGIN') and $client->try_query('SELECT 1');
}
until_row($node, 'SELECT evicted >= 1 FROM hygiene.status');
is(open_ones(@known), 3, 'what is new and idles in transactions is evicted, they are not');
gone(@leaks, @known);

# One that ends three transactions under each name before it leaks is
# established with those that it took while slots were plenty, and not with the
# last ones; and all of them are one leak.
one('SELECT hygiene.reset()');
known('checkout');
@leaks = ();
for (1 .. 35)
{
	my $client = client(letters());

	push @leaks, $client;
	# it may be evicted before it is through
	$client->{closed_at} || $client->try_query($_) || last for ('SELECT 1') x 3, 'BEGIN', 'SELECT 1';
}
my $checkout = client('checkout');
ok(!$checkout->{closed_at}, 'who was there before does');
until_row($node, 'SELECT evicted >= 5 FROM hygiene.status');
ok($checkout->is_open, 'who calls itself another each time is evicted, whatever it did before');
gone(@leaks, $checkout);

# Drivers make some transactions of their own first, and one that was left open
# and lost with its client is none that the program ended: as many rows as
# there are programs, also when all have gone.
one('SELECT hygiene.reset()');
known('checkout', 'web', 'batch');
my @lost = map { client(letters(), ('SELECT 1') x 2, 'BEGIN') } 1 .. 20;
close $_->socket for @lost;
until_row($node, 'SELECT used = 1 FROM hygiene.status');
cmp_ok(one('SELECT count(*) FROM hygiene.applications'), '<=', 4 + 10, 'names that came once leave few rows');

#
# A deployment of ten pods with a connection each is one family and no leak, and
# goes last while others have more.
#
one('SELECT hygiene.reset()');
known('checkout', 'web', 'batch');
my @pool = fill(14, 'others', ('SELECT 1') x 3);
my @pods = map { client("shop-7d9f8b6c5-x2x${_}k", ('SELECT 1') x 3) } qw(b c d f g h j k l m);
is(one(q{SELECT connections, diagnosis IS NULL FROM hygiene.applications WHERE application_name = 'shop-*'}),
	'10|t', 'one application without a diagnosis');
push @known, map { client($_, 'SELECT 1') } qw(checkout web batch);
until_row($node, 'SELECT evicted >= 1 FROM hygiene.status');
two_passes($node);
is(one(q{SELECT string_agg(DISTINCT application_name, ',') FROM hygiene.events WHERE action = 'evict'}),
	'others', 'the larger pool gives slots');
is(open_ones(@pods), 10, 'none of the pods is evicted');
gone(@pods, @pool, @known);

$node->stop;
done_testing();
