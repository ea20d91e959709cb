
# A double quote in an application name does not end it where a message has it
# between double quotes, so nobody can have the log say what is not so.

use PgHygiene;

my $forged = 'x" held all 97 slots; rule 1 (application="y';
my $printed = 'x"" held all 97 slots; rule 1 (application=""y';
my $node = new_node(
	'main',
	"pg_hygiene.idle_in_transaction_timeout = '200ms'",
	'pg_hygiene.connections_per_application = 2',
	'pg_hygiene.warn_at = 1');
my $position = log_position($node);

my $client = client($forged, 'BEGIN', 'SELECT 1');
like($client->wait_closed->{D}, qr/^Application "\Q$printed\E" left a transaction idle for /,
	'the session that is ended');
like(client($forged)->{notices}->[0]->{M} || '', qr/ of application "\Q$printed\E" was ended /,
	'the next one');

my @clients = map { client($forged) } 1 .. 20;
my ($refused) = grep { $_->{closed_at} } @clients;
is($refused->{error}->{M}, qq{too many connections for application "$printed"}, 'one that is refused');
like($refused->{error}->{D}, qr/^Application "\Q$printed\E" holds 2 connections; /, 'and its DETAIL');
wait_log($node, qr/more connections? of application "\Q$printed\E" w(?:as|ere) refused/, $position);
wait_log($node, qr/DETAIL:.*"\Q$printed\E" [0-9]+/, $position);
unlike(slurp_file($node->logfile, $position), qr/pplication "x" /, 'no line of the log is forged');
is(one('SELECT DISTINCT application_name FROM hygiene.events WHERE action = $$refuse$$'), $forged,
	'the views have the name as it is');

$node->stop;
done_testing();
