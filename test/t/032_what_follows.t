
# What follows from rules is said before they are set: caps that are exceeded
# now, reserves that leave nothing for others.  And who sets a setting where it
# does not belong is told where it does.

use PgHygiene;

my $node = new_node('main');
my @orders = map { client('orders') } 1 .. 3;
my $checkout = client('checkout');
my $boss = PgHygiene::Client->new($node, user => one('SELECT current_user'));

# The notices and warnings of a statement, and its rows.
sub said
{
	my ($client, $sql) = @_;
	my $before = @{ $client->{notices} };
	my @rows = @{ $client->query($sql) };
	my @new = @{ $client->{notices} }[ $before .. $#{ $client->{notices} } ];

	return (join("\n", map { $_->{M} } @new),
		join("\n", sort map { join '|', map { $_ // '' } @$_ } @rows));
}

my $CAP = 'application=pg_dump: exempt; application=orders: connections=2; application=check*: connections=1';
my $exceeding = q{SELECT application_name, exceeds FROM hygiene.rehearse('%s') WHERE application_name <> ''};

my ($notices, $rows) = said($boss, sprintf $exceeding, $CAP);
is($notices, 'rule 2 allows 2 connections, and 3 sessions match it now', 'rehearse() names the cap');
is( $rows,
	join("\n", 'checkout|', ('orders|connections = 2 by rule 2') x 3),
	'and whose sessions exceed it; not one that is just reached');
like($boss->{notices}->[0]->{D}, qr/^New connections would be refused/, 'and what that means');
is($boss->{notices}->[0]->{S}, 'NOTICE', 'as a notice');

my $NEXT = 'these rules can be set; nothing has been changed';

($notices) = said($boss, "SELECT * FROM hygiene.check_rules('$CAP')");
is($notices, "rule 2 allows 2 connections, and 3 sessions match it now\n$NEXT",
	'check_rules() does, too, and says how to go on');

# Addresses of others are not to be found out.
my $BLOCK = 'application=pg_dump: exempt; address=local: connections=1';

($notices, $rows) = said($boss, sprintf $exceeding, $BLOCK);
like($notices, qr/^rule 2 allows 1 connection, and \d sessions match it now$/,
	'by addresses, for who may see them');
($notices, $rows) = said($checkout, sprintf $exceeding, $BLOCK);
is($notices, '', 'and not for others');
unlike($rows, qr/\|./, 'of no session');

# The cap of each application, which rules leave as it is; a rule comes first.
sub with_cap
{
	configure($node, connections_per_application => $_[0]);
	$boss->close;
	$boss = PgHygiene::Client->new($node, user => one('SELECT current_user'));
	return;
}

with_cap('2');
($notices, $rows) = said($boss, sprintf $exceeding, 'application=pg_dump: exempt');
is( $notices,
	'pg_hygiene.connections_per_application allows 2, and 1 application has more connections now',
	'rehearse() says that the cap of an application is exceeded');
is( $rows,
	join("\n", 'checkout|', ('orders|connections_per_application = 2') x 3),
	'and by whose sessions');
($notices, $rows) = said($boss, sprintf $exceeding, $CAP);
is($rows, join("\n", 'checkout|', ('orders|connections = 2 by rule 2') x 3),
	'where a rule has one, it is named');
with_cap('3');
($notices, $rows) = said($boss, sprintf $exceeding, 'application=pg_dump: exempt');
is($notices, '', 'nothing is said of a cap that is just reached');
unlike($rows, qr/connections_per_application/, 'of no session, either');
with_cap('0');

# Reserves.
my $some = q{application=pg_dump: exempt; application=a: reserve=50; application=b: reserve=%s};

($notices) = said($boss, sprintf "SELECT * FROM hygiene.check_rules('$some')", 47);
is($notices, "rules reserve 97 connection slots, and only 97 are usable\n$NEXT",
	'reserves that leave nothing');
($notices) = said($boss, sprintf "SELECT * FROM hygiene.check_rules('$some')", 46);
is($notices, $NEXT, 'reserves that leave something');

# Where a setting belongs.
for my $sql (
	q{ALTER ROLE app SET pg_hygiene.mode = 'off'},
	q{ALTER DATABASE postgres SET pg_hygiene.rules = ''},
	q{SET pg_hygiene.idle_session_timeout = '1s'})
{
	$boss->try_query($sql);
	is($boss->{error}->{C}, '55P02', "$sql: SQLSTATE");
	like($boss->{error}->{H}, qr/^Settings of pg_hygiene belong to the whole server: use ALTER SYSTEM SET/,
		"$sql: where it belongs");
}
{
	my $late = client('late', options => '-c pg_hygiene.mode=off');

	is($late->{error}->{C}, '55P02', 'PGOPTIONS: SQLSTATE');
	like($late->{error}->{H}, qr/^Settings of pg_hygiene belong to the whole server: use ALTER SYSTEM SET/,
		'PGOPTIONS: where it belongs');
}
$boss->try_query(q{ALTER ROLE app SET max_connections = 5});
is($boss->{error}->{H}, undef, q{nothing is said of other programs' settings});

$node->stop;
done_testing();
