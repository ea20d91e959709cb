
# A grace of a millisecond is one that hardly anybody has; it does not have the
# worker look at all sessions a thousand times a second.

use PgHygiene;
use Time::HiRes qw(time);

my $node = new_node(
	'main',
	"pg_hygiene.transaction_timeout = '300ms'",
	"pg_hygiene.cancel_grace = '1ms'",
	"pg_hygiene.idle_in_transaction_timeout = '1h'");
my $idler = client('idler');
my %passes;

# How many passes are there in two seconds?  One for each 300 ms, and those that
# sessions wake it for.
my $until = time + 2;
my $watcher = client('watcher', user => $node->safe_psql('postgres', 'SELECT current_user'));
$passes{ $watcher->first_row('SELECT last_pass FROM hygiene.status') }++ while time < $until;
cmp_ok(scalar keys %passes, '>=', 2, 'the worker looks');
cmp_ok(scalar keys %passes, '<=', 30, 'now and then');

# It is exact all the same.
my $client = client('busy');
$client->try_query('BEGIN; SELECT pg_sleep(600)');
like($client->{error}->{C}, qr/^(?:57014|25P04)$/, 'cancelled, or ended at once');
my $cancelled_at = time;
is($client->wait_closed->{C}, '25P04', 'ended');
cmp_ok($client->{closed_at} - $cancelled_at, '<', 0.3, 'when the grace was over');
ok($idler->is_open, 'who is idle outside a transaction stays');

$node->stop;
done_testing();
