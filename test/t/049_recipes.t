
# The recipes of doc/rules.md for clients that vanish and for postgres_fdw.

use PgHygiene;
use Time::HiRes qw(time);

my $node = new_node('main');

#
# A rule's client_check_interval is core's setting, for new sessions, unless
# somebody closer to the session says otherwise.
#
sub interval_of
{
	my ($client) = @_;

	return $client->query('SHOW client_connection_check_interval')->[0][0];
}

configure($node, rules => 'application=web-*: client_check_interval=1s');
my $web = client('web-1');
is(interval_of($web), '1s', 'a rule sets it');
$web->query('SET client_connection_check_interval = 7');
is(interval_of($web), '7ms', 'SET still works');
$web->query('RESET client_connection_check_interval');
is(interval_of($web), '1s', 'RESET goes back to it');
is(interval_of(client('batch')), '0', 'others are not touched');
$node->safe_psql('postgres', q{ALTER ROLE app SET client_connection_check_interval = '9s'});
is(interval_of(client('web-2')), '9s', "the role's own stands above it");
$node->safe_psql('postgres', 'ALTER ROLE app RESET client_connection_check_interval');

# Clients that are gone while their backends wait for a lock.
my $holder = client('holder', 'SELECT pg_advisory_lock(1)');
my @waiting = map { client('web-' . $_) } 1 .. 20;
$_->send_query('SELECT pg_advisory_lock(1)') for @waiting;
until_row($node, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", '20');
my $gone = time;
close $_->socket for @waiting;    # no word of farewell
until_row($node,
	"SELECT count(*) FROM hygiene.sessions WHERE application_name LIKE 'web-%' AND state = 'active'", '0');
cmp_ok(time - $gone, '<', 5, 'clients that have gone: their slots are back soon');

#
# postgres_fdw: the session on this server idles while the other one works.
#
sub work_elsewhere
{
	my ($local) = @_;

	$local->try_query('BEGIN');
	$local->try_query('SELECT count(*) FROM far');
	$local->try_query('SELECT pg_sleep(1.5)');
	$local->try_query('SELECT count(*) FROM far') if !$local->{error};
	my $error = $local->{error};

	$local->try_query('ROLLBACK');
	return $error;
}

SKIP:
{
	skip 'postgres_fdw is not installed here', 2
	  if one("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'") == 0;
	my ($host, $port) = ($node->host, $node->port);

	$node->safe_psql('postgres', qq{
		CREATE EXTENSION postgres_fdw;
		CREATE TABLE t (i int);
		GRANT ALL ON t TO app;
		CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
		CREATE USER MAPPING FOR app SERVER far OPTIONS (user 'app', password_required 'false');
		CREATE FOREIGN TABLE far (i int) SERVER far OPTIONS (table_name 't');
		GRANT ALL ON far TO app});
	configure($node, rules => undef, idle_in_transaction_timeout => '500ms');
	my $error = work_elsewhere(client('local'));

	isnt($error, undef, 'without the recipe its remote session is ended');
	configure($node, rules =>
		  'application=pg_dump: exempt; application=postgres_fdw: idle_session_timeout=0, idle_in_transaction_timeout=1h');
	is(work_elsewhere(client('local')), undef, 'with the recipe it is not');
}
$node->stop;
done_testing();
