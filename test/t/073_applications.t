
# hygiene.applications: what each application opened, closed, was refused and
# did, its peak and when that was.  (More names than max_applications are in
# 005_never_touched.t.)

use PgHygiene;

my $node = new_node(
	'main',
	'pg_hygiene.connections_per_application = 5',
	'pg_hygiene.warn_at = 0');

sub row
{
	my ($columns, $application) = @_;

	return one(
		qq{SELECT $columns FROM hygiene.applications
		WHERE application_name = '$application'});
}

sub closed
{
	my ($n, $application) = @_;

	until_row($node,
		qq{SELECT closed = $n FROM hygiene.applications WHERE application_name = '$application'});
	return;
}

#
# Opened, closed, refused, and the peak with its time.
#
my $counts = 'connections, opened, closed, refused, peak_connections';
my $before = one('SELECT clock_timestamp()');
my @clients = map { client('shop') } 1 .. 5;
my $after = one('SELECT clock_timestamp()');
is(row($counts, 'shop'), '5|5|0|0|5', 'opened');
is(client('shop')->{error}->{C}, '53300', 'one more is refused') for 1 .. 3;
is(row($counts, 'shop'), '5|5|0|3|5', 'what was refused was not opened, and is no peak');
is( row(
		"peak_at BETWEEN '$before' AND '$after',
		abs(share - 500.0 / (SELECT max_connections - reserved FROM hygiene.status)) < 0.000001",
		'shop'),
	't|t',
	'the peak has the time of the last one that was let in; share of the usable slots');
$_->close for @clients[ 0 .. 3 ];
closed(4, 'shop');
is(row($counts, 'shop'), '1|5|4|3|5', 'closed; the peak stays');
my $peak = row('peak_at', 'shop');
push @clients, client('shop');
is(row("$counts, peak_at = '$peak'", 'shop'), '2|6|4|3|5|t', 'fewer again is no peak');

#
# Transactions: of sessions that are there and that have gone; not the one of
# the start, not one that is still open; those rolled back, too.
#
my $worker = client('worker');
is(row('transactions', 'worker'), '0', 'the start of a session is no transaction');
$worker->query('SELECT 1') for 1 .. 3;
$worker->query('BEGIN');
$worker->query('SELECT 1');
is(row('transactions', 'worker'), '3', 'one that is open does not count');
$worker->query('ROLLBACK');
is(row('transactions', 'worker'), '4', 'one that was rolled back does');
$worker->try_query('SELECT 1 / 0');
is(row('transactions', 'worker'), '5', 'and one that failed');
$worker->query('BEGIN');
$worker->query('SAVEPOINT a');
$worker->query('SELECT 1');
$worker->query('RELEASE a');
$worker->query('COMMIT');
is(row('transactions', 'worker'), '6', 'subtransactions do not');
$worker->close;
closed(1, 'worker');
is(row('transactions', 'worker'), '6', 'they stay when the session has gone');

my $leaver = client('leaver');
$leaver->query('SELECT 1');
$leaver->query('BEGIN');
$leaver->close;
closed(1, 'leaver');
is(row('transactions', 'leaver'), '2', 'one that ends with its session counts');
$leaver = client('leaver');
$leaver->query('BEGIN');
$leaver->try_query('SELECT 1 / 0');
$leaver->close;
closed(2, 'leaver');
is(row('transactions', 'leaver'), '3', 'and one that failed before it counts once');

#
# Mean session: of those that have ended, from login to end.
#
is(row('mean_session IS NULL', 'shop'), 'f', 'there is a mean once one has ended');
my $living = client('living');
is(row('mean_session IS NULL', 'living'), 't', 'and none before');
my $age = one("SELECT now() - backend_start FROM pg_stat_activity WHERE pid = $living->{pid}");
my $start = one("SELECT backend_start FROM pg_stat_activity WHERE pid = $living->{pid}");
$living->close;
closed(1, 'living');
is(row("mean_session BETWEEN '$age'::interval - '1 s'::interval AND clock_timestamp() - '$start'", 'living'),
	't', 'it is how long the session lasted');

#
# A name that changes in mid-session: everything the session did counts where
# it ends, and each name opens and closes once.
#
my $renamed = client('old name');
$renamed->query('SELECT 1') for 1 .. 2;
$renamed->query("SET application_name = 'new name'");
two_passes($node);
is(row('connections, opened, closed', 'old name'), '0|1|1', 'the old name is closed');
is(row('connections, opened, closed, peak_connections', 'new name'), '1|1|0|1',
	'the new one opened, with a peak');
$renamed->query('SELECT 1');
$renamed->close;
closed(1, 'new name');
is(one(q{SELECT sum(transactions) FROM hygiene.applications WHERE application_name IN ('old name', 'new name')}),
	'4', 'no transaction is lost between them, nor counted twice');
is(row('mean_session IS NULL', 'old name'), 't', 'no session ended under the old name');
is(row('mean_session IS NULL', 'new name'), 'f', 'but one under the new');

# A refused client counts for the name that it gave.
my @many = map { client('many') } 1 .. 5;
$many[0]->query("SET application_name = 'shop'");
two_passes($node);
is(row('connections, opened', 'many'), '4|5', 'one has left the name');
push @many, client('many');
is($many[-1]->{error}, undef, 'so another may take it');
is(client('many')->{error}->{C}, '53300', 'and no more');
is(row('refused', 'many'), '1', 'which is counted');

#
# Reset keeps what is open.
#
$many[1]->query('SELECT 1') for 1 .. 3;
$many[0]->query('SELECT 1');
one('SELECT hygiene.reset()');
is(row($counts, 'many'), '5|5|0|0|5', 'reset: what is open was opened, and is the peak');
is(one(q{SELECT sum(transactions) FROM hygiene.applications WHERE application_name IN ('many', 'shop')}),
	'0', 'reset: what was done before does not count');
$many[1]->query('SELECT 1');
is(row('transactions', 'many'), '1', 'reset: what is done afterwards does');
$_->close for @clients, @many;
closed(5, 'many');
is(row('transactions', 'many'), '1', 'reset: also when the sessions have gone');
is(one('SELECT bool_and(opened - closed = connections) FROM hygiene.applications'),
	't', 'opened - closed = connections');

$node->stop;
done_testing();
