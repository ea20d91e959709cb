
# Caps, reserves and rates let not one more in, however many come at once, and
# every count comes back to nothing however a session goes.

use PgHygiene;
use Time::HiRes qw(time);

# A client that has said who it is and does not wait for the answer yet.
package Knocking
{
	our @ISA = ('PgHygiene::Client');

	sub _read_until_ready
	{
		my ($self) = @_;

		return unless $self->{knocked}++;
		return $self->SUPER::_read_until_ready;
	}
}

my $CROWD = 200;
my $node = new_node(
	'main',
	'max_connections = 300',
	'pg_hygiene.headroom = 0');

# Of so many clients that come at once: those let in, and those refused.
sub crowd
{
	my ($n, @applications) = @_;
	my (@in, @out);
	my @all = map {
		Knocking->new($node,
			application => $applications[ $_ % @applications ])
	} 0 .. $n - 1;

	for my $client (@all)
	{
		$client->_read_until_ready;
		push @{ $client->{closed_at} ? \@out : \@in }, $client;
	}
	return (\@in, \@out);
}

sub messages
{
	my ($clients) = @_;
	my %seen = map { ("$_->{error}->{C} $_->{error}->{M}" => 1) } @$clients;

	return join '; ', sort keys %seen;
}

sub leave
{
	$_->close for @_;
	return;
}

# Whoever asks is one of them.
sub nobody_is_left
{
	my ($when) = @_;

	ok( wait_for(
			$node, q{
			SELECT used = 1 AND authenticating = 0
				AND (SELECT bool_and(connections = 0) FROM hygiene.applications
					WHERE application_name NOT LIKE '0%')
			FROM hygiene.status}),
		"nothing is counted any more $when");
	is( one(q{
		SELECT string_agg(application_name || ' ' || opened || ' ' || closed, ', ')
		FROM hygiene.applications
		WHERE opened <> closed AND connections = 0}),
		'', "and whoever came has gone $when");
	return;
}

#
# connections_per_application
#
configure($node, connections_per_application => 20);
for my $round (1 .. 2)
{
	my ($in, $out) = crowd($CROWD, 'orders');

	is(scalar @$in, 20, "per application: 20 of $CROWD get in, round $round");
	is( messages($out),
		'53300 too many connections for application "orders"',
		'the others are told');
	is( one(q{SELECT connections, peak_connections FROM hygiene.applications
			WHERE application_name = 'orders'}),
		'20|20',
		'20 are counted, and never were there more');

	# a place that is given back is given to one
	leave(shift @$in);
	ok( wait_for($node,
			q{SELECT connections = 19 FROM hygiene.applications
			WHERE application_name = 'orders'}),
		'one leaves');
	my ($in_again, $out_again) = crowd(20, 'orders');
	is(scalar @$in_again, 1, 'one more gets in');
	leave(@$in, @$in_again);
}
{
	my ($in, $out) = crowd($CROWD, 'orders', 'returns', 'billing');
	my %count;

	$count{$_}++ for split /\n/, one(q{
		SELECT application_name || ' ' || connections
		FROM hygiene.applications
		WHERE application_name IN ('orders', 'returns', 'billing')});
	is( join(', ', sort keys %count),
		'billing 20, orders 20, returns 20',
		'each application has its own limit');
	is(scalar @$in, 60, 'and no more than that are in');
	leave(@$in);
}
configure($node, connections_per_application => undef);
nobody_is_left('after limits per application');

#
# A rule's connections.  Many rules that take long to match make it likely
# that two newcomers count at the same moment.
#
my $long = 'a' x 50;
my $decoys = join '',
  map { '; application=' . '*a' x 20 . "*b$_: connections=1" } 1 .. 250;

configure($node,
	rules => "application=web-*: connections=60; user=app: connections=80$decoys");
for my $round (1 .. 2)
{
	my ($in, $out) = crowd($CROWD, map { "web-$_-$long" } 1 .. 3);

	is(scalar @$in, 60,
		"connections=60: all that the rule matches together, round $round");
	is( messages($out),
		'53300 too many connections for rule 1 (application=web-*)',
		'the others are told');
	my ($others_in, $others_out) = crowd(60, 'orders', 'returns');
	is(scalar @$others_in, 20, 'connections=80: caps add up');
	is( messages($others_out),
		'53300 too many connections for rule 2 (user=app)',
		'and it is said whose');
	leave(@$in, @$others_in);
	nobody_is_left("after a rule's cap");
}

#
# A rule's connect_rate: a burst of as many, and then so many a second.
#
configure($node, rules => 'application=poller: connect_rate=20');
{
	my $began = time;
	my ($in, $out) = crowd($CROWD, 'poller');
	my $most = 20 + 20 * (time - $began);

	cmp_ok(scalar @$in, '>=', 20, 'connect_rate=20: a burst of 20 gets in');
	cmp_ok(scalar @$in, '<=', $most, "and no more than $most");
	is( messages($out),
		'53300 too many new connections for rule 1 (application=poller)',
		'the others are told');
	my ($others) = crowd(30, 'orders');
	is(scalar @$others, 30, 'whom it does not match it does not hold back');
	leave(@$others, @$in);

	# It is filled up again with time, to no more than a burst.
	my $give_up = time + 30;
	my @later;
	until (@later >= 30 || time > $give_up)
	{
		my $client = client('poller');

		push @later, $client unless $client->{closed_at};
	}
	my $elapsed = time - $began;
	is(scalar @later, 30, 'later ones get in');
	cmp_ok(@$in + @later, '<=', 20 + 20 * $elapsed + 1,
		'at 20 a second, neither more');
	leave(@later);
}
configure($node, rules => undef);
nobody_is_left('after a rate');

#
# However a session goes
#
$node->safe_psql('postgres', q{
	CREATE DATABASE full_one CONNECTION LIMIT 0;
	CREATE DATABASE closed_one ALLOW_CONNECTIONS false;
	CREATE ROLE limited LOGIN CONNECTION LIMIT 0;
	CREATE ROLE barred NOLOGIN;
	CREATE ROLE secret LOGIN PASSWORD 'right';});
my $hba = slurp_file($node->data_dir . '/pg_hba.conf');
unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf('pg_hba.conf',
	"local all secret scram-sha-256\nlocal all rejected reject\n$hba");
$node->reload;

# A psql that waits in a statement, and is killed as by kill -9.
sub kill_psql
{
	my $psql = session($node, 'killed');

	$psql->query_safe('BEGIN');
	$psql->{run}->kill_kill(grace => 0);
	return;
}

my %gone = (
	'exit' => sub { client('exit')->close },
	'closed socket' => sub { close client('closed')->socket },
	'killed client' => \&kill_psql,
	'pg_terminate_backend' => sub {
		my $client = client('terminated');
		one("SELECT pg_terminate_backend($client->{pid})");
		is($client->wait_closed->{C}, '57P01', 'ended by an administrator');
	},
	'terminated in a statement' => sub {
		my $client = client('terminated');
		$client->send_query('SELECT pg_sleep(1000)');
		one("SELECT pg_terminate_backend($client->{pid})");
		is($client->wait_closed->{C}, '57P01', 'ended at work');
	});

my %fatal = (
	'wrong setting' => [ '42704', options => '-c no_such_setting=1' ],
	'wrong database' => [ '3D000', dbname => 'nowhere' ],
	'closed database' => [ '55000', dbname => 'closed_one' ],
	'full database' => [ '53300', dbname => 'full_one' ],
	'role without LOGIN' => [ '28000', user => 'barred' ],
	'role at its limit' => [ '53300', user => 'limited' ],
	'no such role' => [ '28000', user => 'nobody_at_all' ],
	'rejected by pg_hba.conf' => [ '28000', user => 'rejected' ]);

for my $way (sort keys %gone)
{
	$gone{$way}->();
}
for my $way (sort keys %fatal)
{
	my ($sqlstate, %options) = @{ $fatal{$way} };
	my $client = client("fatal $way", %options);

	is($client->{error}->{C}, $sqlstate, "FATAL in start-up: $way");
}
nobody_is_left('after each way to go');

#
# Authentication that fails, or never ends
#
{
	local $ENV{PGPASSWORD} = 'wrong';
	local $ENV{PGAPPNAME} = 'guesser';
	my @psql = ('psql', '-XAt', '-d', $node->connstr('postgres'), '-U', 'secret', '-c', 'SELECT 1');
	my (undef, $stderr) = run_command(\@psql);

	is($? >> 8, 2, 'a wrong password');
	like($stderr, qr/password authentication failed/, 'is refused');
	$ENV{PGPASSWORD} = 'right';
	is((run_command(\@psql))[0], '1', 'the right one is not');
}
is( one(q{SELECT coalesce(sum(opened), 0) FROM hygiene.applications
		WHERE application_name = 'guesser'}),
	'1', 'only who has authenticated is counted');
{
	my @undecided =
	  map { Knocking->new($node, application => 'undecided', user => 'secret') }
	  1 .. 7;

	ok( wait_for($node,
			'SELECT used = 8 AND authenticating = 7 FROM hygiene.status'),
		'those who have not are seen as authenticating');
	close $_->socket for @undecided;
}
nobody_is_left('after failed authentication');

#
# Many at once, of all kinds, a few of them at a time in conflict
#
configure($node, connections_per_application => 5,
	rules => 'application=web: connections=3');
for my $round (1 .. 2)
{
	my @all = map {
		my @kind = (
			[ application => 'orders' ],
			[ application => 'web' ],
			[ application => 'lost', dbname => 'nowhere' ],
			[ application => 'limited', user => 'limited' ],
			[ application => 'odd', options => '-c no_such_setting=1' ]);
		Knocking->new($node, @{ $kind[ $_ % @kind ] })
	} 1 .. $CROWD;
	my %in;

	for my $client (@all)
	{
		$client->_read_until_ready;
		$in{ $client->query('SHOW application_name')->[0]->[0] }++
		  unless $client->{closed_at};
	}
	is(join(' ', map { "$_ $in{$_}" } sort keys %in),
		'orders 5 web 3', "a mixed crowd, round $round");

	# half of them say goodbye, half vanish
	for my $i (0 .. $#all)
	{
		$i % 2 ? $all[$i]->close : close $all[$i]->socket;
	}
}
configure($node, connections_per_application => undef, rules => undef);
nobody_is_left('after a mixed crowd');

# A session goes by the name that its client gave from its first moment on,
# also while it starts: else it would not be counted by that.
is( one(q{SELECT count(*) FROM hygiene.applications
		WHERE application_name = ''}),
	'0', 'nobody was ever counted without a name');
$node->stop;

#
# reserve
#
$node = new_node(
	'reserve',
	'max_connections = 30',
	'pg_hygiene.headroom = 0',
	"pg_hygiene.rules = 'application=vip: reserve=10'");
my $usable = 27;
{
	my @in;

	# Who authenticates has a slot, so a crowd gets in one by one at the end.
	for my $size (60, (1) x 20)
	{
		my ($now_in) = crowd($size, 'mob', 'rabble');
		push @in, @$now_in;
	}
	is(scalar @in, $usable - 10, 'reserve=10: others get all but these');
	my ($late, $refused) = crowd(1, 'mob');
	is( messages($refused),
		'53300 remaining connection slots are reserved by rule 1 (application=vip)',
		'and are told');
	my ($vip) = crowd(10, 'vip');
	is(scalar @$vip, 10, 'whom it is for gets all of it');

	# a slot of the reserve that is given back is not for others either
	leave(shift @$vip);
	ok( wait_for($node, 'SELECT used = 27 FROM hygiene.status'),
		'one leaves');
	($late) = crowd(1, 'mob');
	is(scalar @$late, 0, 'its slot is still kept');
	($late) = crowd(1, 'vip');
	is(scalar @$late, 1, 'for whom it is for');
	leave(@in, @$vip, @$late);
}
nobody_is_left('after a reserve');

# A name that is taken later takes no slot along that a reserve is short of.
{
	my @all = map { client('vip') } 1 .. 27;
	my @stay;

	# vip holds 27: the first 17 are more than its reserve
	$_->try_query("SET application_name = 'mob'") for @all;
	ok( wait_for($node, q{
			SELECT (SELECT used = 17 + 1 FROM hygiene.status)
				AND (SELECT connections = 17 FROM hygiene.applications
					WHERE application_name = 'mob')}),
		'so many leave the reserve as others could have come');
	@stay = grep { $_->is_open } @all;
	my ($refused) = grep { !$_->is_open } @all;
	is($refused->wait_closed->{M}, 'remaining connection slots are reserved by rule 1 (application=vip)',
		'the next is told why it is ended');
	my ($vip) = crowd(10, 'vip');
	is(scalar @$vip, 10, 'and the reserve is there');

	# who has no slot of it keeps his own
	$_->query("SET application_name = 'rabble'") for @stay;
	is(scalar(grep { $_->is_open } @stay), 17, 'from one name to another of others');
	$_->query("SET application_name = 'vip'") for @stay[ 0 .. 4 ];
	$_->query("SET application_name = 'mob'") for @stay[ 0 .. 4 ];
	is(scalar(grep { $_->is_open } @stay), 17, 'and back from a reserve that is used up');
	leave(@stay, @$vip);
}
nobody_is_left('after names taken later');
done_testing();
