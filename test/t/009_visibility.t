
# Who may see what sessions do: the role itself, those who have its privileges
# and members of pg_read_all_stats, as in pg_stat_activity.

use PgHygiene;

my $node = new_node(
	'main',
	"listen_addresses = '127.0.0.1'",
	"compute_query_id = on",
	"pg_hygiene.idle_in_transaction_timeout = '10min'",
	"pg_hygiene.rules = 'application=ends: idle_in_transaction_timeout=100ms'");

$node->safe_psql(
	'postgres', q{
	CREATE ROLE stranger LOGIN;
	CREATE ROLE member LOGIN;
	GRANT app TO member;
	CREATE ROLE reader LOGIN;
	GRANT pg_read_all_stats TO reader;
	CREATE ROLE boss LOGIN SUPERUSER});

# One session that stays, one that is ended, both over TCP.
my %client = map {
	$_ => client($_, tcp => 1)
} qw(stays ends);
for my $client (values %client)
{
	$client->query("BEGIN; SELECT 'a secret'");
}
is($client{ends}->wait_closed->{C}, '25P03', 'a session over TCP is ended');
my $port = $client{stays}->socket->sockport;

sub seen_by
{
	my ($user, $sql) = @_;
	my $rows = PgHygiene::Client->new($node, user => $user)->query($sql);

	return join '|', map { defined $_ ? $_ : 'null' } @{ $rows->[0] };
}

my $hidden = '<insufficient privilege>';
for my $case (
	[ stranger => 0 ],
	[ app => 1 ],
	[ member => 1 ],
	[ reader => 1 ],
	[ boss => 1 ])
{
	my ($user, $sees) = @$case;
	my $verb = $sees ? 'sees' : 'does not see';

	is( seen_by(
			$user, q{
			SELECT user_name, client_addr, client_port, query,
				query_id IS NOT NULL
			FROM hygiene.sessions WHERE application_name = 'stays'}),
		$sees
		? "app|127.0.0.1|$port|BEGIN; SELECT 'a secret'|t"
		: "app|null|null|$hidden|f",
		"$user $verb address and query of a session");
	is( seen_by(
			$user, q{
			SELECT user_name, client_addr, query, query_id IS NOT NULL
			FROM hygiene.events WHERE application_name = 'ends'}),
		$sees
		? "app|127.0.0.1|BEGIN; SELECT 'a secret'|t"
		: "app|null|$hidden|f",
		"$user $verb address and query of an event");
	is( seen_by(
			$user, q{
			SELECT state, limit_name, ends_in > '1 min'
			FROM hygiene.sessions WHERE application_name = 'stays'}),
		$sees ? 'idle in transaction|idle_in_transaction_timeout|t' : 'null|null|null',
		"$user $verb what it does, and what will become of it");
}

# The query id is the one that PostgreSQL shows.
is( seen_by(
		'boss', q{
		SELECT count(*) FROM hygiene.sessions s
		JOIN pg_stat_activity a USING (pid, query_id)
		WHERE s.application_name = 'stays'}),
	'1',
	'query_id is that of pg_stat_activity');

# Without a database role of its own, an event outlives its role.
$client{stays}->close;
$node->safe_psql('postgres', 'DROP ROLE app');
is( seen_by(
		'stranger',
		q{SELECT user_name, query FROM hygiene.events WHERE application_name = 'ends'}
	),
	"app|$hidden",
	'an event of a dropped role stays hidden from strangers');
is( seen_by(
		'reader',
		q{SELECT user_name, query FROM hygiene.events WHERE application_name = 'ends'}
	),
	"app|BEGIN; SELECT 'a secret'",
	'and visible to pg_read_all_stats');

# What is shown agrees with PostgreSQL's own view, for everyone connected.
my @some = map {
	client("some $_", user => 'reader')
} 1 .. 3;
$some[0]->query('BEGIN');
$some[1]->query('SELECT 1');
$some[2]->send_query('SELECT pg_sleep(100)');
until_row($node,
	q{SELECT state FROM pg_stat_activity WHERE application_name = 'some 3'},
	'active');
is( seen_by(
		'boss', q{
		SELECT count(*) FROM hygiene.sessions s
		FULL JOIN (SELECT * FROM pg_stat_activity
			WHERE backend_type = 'client backend') a USING (pid)
		WHERE (s.application_name, s.user_name, s.database_name, s.client_addr,
				s.client_port, s.backend_start, s.state, s.query)
			IS DISTINCT FROM
			(a.application_name, a.usename::text, a.datname::text, a.client_addr,
				a.client_port, a.backend_start, a.state, a.query)}),
	'0',
	'sessions agree with pg_stat_activity in every column they share');

$node->stop;
done_testing();
