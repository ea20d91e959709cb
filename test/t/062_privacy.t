
# The text of a statement is shown to those who may see it in pg_stat_activity,
# and to nobody else: while its session lives, from the history, after a
# restart, after its role was dropped, and in what clients are told.

use PgHygiene;
use Time::HiRes qw(time usleep);

my $SECRET = q{SELECT 'a secret'};
my $HIDDEN = '<insufficient privilege>';

my $node = new_node(
	'main',
	"listen_addresses = '127.0.0.1'",
	"pg_hygiene.idle_in_transaction_timeout = '10min'",
	"pg_hygiene.rules = 'application=ends: idle_in_transaction_timeout=100ms;"
	  . " application=shop: connections=3, headroom_min_idle=1h,"
	  . " idle_in_transaction_timeout=30s'");
$node->safe_psql(
	'postgres', q{
	CREATE ROLE stranger LOGIN;
	CREATE ROLE member LOGIN;
	CREATE ROLE distant LOGIN NOINHERIT;
	GRANT app TO member, distant;
	CREATE ROLE reader LOGIN;
	GRANT pg_read_all_stats TO reader;
	CREATE ROLE boss LOGIN SUPERUSER});

# What a role sees, in one line.
sub seen_by
{
	my ($user, $sql) = @_;
	my $client = client('looks', user => $user, tcp => 1);
	my $rows = $client->query($sql);

	$client->close;
	return join ',', map {
		join '|', map { defined $_ ? $_ : 'null' }
		  @$_
	} @$rows;
}

# All that a client was told: the error that refused it, or notices.
sub words_to
{
	my ($client) = @_;

	return join "\n", map {
		my $words = $_;

		map { "$_ $words->{$_}" } sort keys %$words
	} $client->{error} || (), @{ $client->{notices} };
}

my %may = (
	stranger => 0,
	distant => 0,
	app => 1,
	member => 1,
	reader => 1,
	boss => 1);
my %sql = (
	events => "SELECT user_name, client_addr, query FROM hygiene.events
		WHERE application_name = 'ends' AND pid = %d",
	leaks => "SELECT DISTINCT user_name, fingerprint <> 0, example_query
		FROM hygiene.leaks WHERE application_name = 'ends'
			AND coalesce(first_seen = '%s', true)");

my $stays = client('stays', tcp => 1, 'BEGIN', $SECRET);
my $ends = client('ends', tcp => 1, 'BEGIN', $SECRET);
is($ends->wait_closed->{C}, '25P03', 'a session is ended');
my $seen_at = $node->safe_psql('postgres',
	"SELECT first_seen FROM hygiene.leaks WHERE application_name = 'ends'");

sub check_core
{
	my ($when) = @_;

	is( seen_by($_, "SELECT query FROM pg_stat_activity WHERE pid = $stays->{pid}"),
		$may{$_} ? $SECRET : $HIDDEN,
		"$when: $_ in pg_stat_activity")
	  for sort keys %may;
	return;
}

sub check_history
{
	my ($when) = @_;

	for my $user (sort keys %may)
	{
		my $verb = $may{$user} ? 'sees' : 'does not see';

		is( seen_by($user, sprintf $sql{events}, $ends->{pid}),
			$may{$user} ? "app|127.0.0.1|$SECRET" : "app|null|$HIDDEN",
			"$when: $user $verb the event's statement");
		is( seen_by($user, sprintf $sql{leaks}, $seen_at),
			$may{$user} ? "app|t|$SECRET" : "app|null|$HIDDEN",
			"$when: $user $verb the leak's");
		next if $may{$user};
		is( seen_by($user, q{
				SELECT count(*) FROM (
					SELECT e::text FROM hygiene.events e
					UNION ALL SELECT l::text FROM hygiene.leaks l
					UNION ALL SELECT s::text FROM hygiene.sessions s) r (row)
				WHERE row LIKE '%a ' || 'secret%'}),
			0,
			"$when: $user does not see it anywhere");
	}
	return;
}

check_core('first');
check_history('first');

#
# What clients are told at their start: the role itself, and nobody else.
# They come first, for one of an application is told in a minute.
#
sub check_warning
{
	my ($when, $is_told) = @_;

	unlike(words_to(client('ends', user => $_, tcp => 1)), qr/a secret/,
		"$when: $_ is not told the statement")
	  for qw(stranger member distant reader boss);
	my $words = words_to(client('ends', tcp => 1));

	like($words, qr/^S WARNING$/m, "$when: the role itself is warned")
	  if $is_told;
	$is_told
	  ? like($words, qr/ran last: \Q$SECRET\E/,
		"$when: the role itself is told its statement")
	  : unlike($words, qr/a secret/,
		"$when: the role is not told another one's statement");
	return;
}

check_warning('at the start', 1);

#
# Who is refused because an application leaks.
#
my @shop = map { client('shop', tcp => 1, 'BEGIN', $SECRET) } 1 .. 3;
my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;
my $refused;
until (($refused = words_to(client('shop', tcp => 1))) =~ /3 of its sessions are idle/
	|| time > $give_up)
{
	usleep(20_000);
}
like($refused, qr/ran last: \Q$SECRET\E/,
	'refused: the role itself is told its statement');
for my $user (qw(stranger member distant reader))
{
	my $words = words_to(client('shop', user => $user, tcp => 1));

	like($words, qr/53300/, "refused: $user, too");
	unlike($words, qr/idle in a transaction|a secret|ran last/,
		"refused: $user is told nothing of what others do");
}
$_->close for @shop;

#
# After a restart, and from a file that others cannot read.
#
$stays->close;
$node->restart;
check_history('restarted');
check_warning('restarted', 1);
is(sprintf('%o', (stat $node->data_dir . '/pg_stat/pg_hygiene.stat')[2] & 07777),
	'600', 'only the server may read the file');

#
# The role is dropped, here under a session of its own.
#
$stays = client('stays', tcp => 1, 'BEGIN', $SECRET);
$node->safe_psql('postgres', 'DROP ROLE app');
delete $may{app};
$may{member} = 0;
check_core('dropped');
check_history('dropped');
$stays->close;
$node->restart;
check_history('dropped, and restarted');

#
# Another role takes the name: it is not the one whose statements those were.
#
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN');
$may{app} = 0;
check_history('another of that name');
check_warning('another of that name', 0);
client('ends', tcp => 1, 'BEGIN', q{SELECT 'of another'})->wait_closed;
is( seen_by(
		'app',
		q{SELECT query FROM hygiene.events WHERE query LIKE 'SELECT%' ORDER BY 1}
	),
	q{SELECT 'of another'},
	'another of that name sees its own statement');
check_history('another of that name, which leaks the same');
unlike(
	words_to(client('ends', tcp => 1)),
	qr/a secret/,
	'another of that name, which leaks the same: is not told');
$node->restart;
check_history('another of that name, restarted');

$node->stop;
done_testing();
