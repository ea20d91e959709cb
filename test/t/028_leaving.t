
# A session that is being rolled back holds its connection and its locks, and
# counts for caps until that is over.

use PgHygiene;

my $node = new_node('main', "pg_hygiene.rules = 'application=x: connections=1'",
	'max_locks_per_transaction = 1000', 'fsync = off');

one('GRANT CREATE ON SCHEMA public TO app');

# So many new tables take a while to be rolled back.
my $tables = q{DO $$ BEGIN FOR i IN 1..4000 LOOP EXECUTE 'CREATE TABLE t' || i || ' (i int)'; END LOOP; END $$};
my $refused = 0;
my $too_early = 0;

for my $by ('goodbye', 'an administrator')
{
	my $leaver = client('x', 'BEGIN', $tables);
	my $pid = $leaver->{pid};
	my $next;

	if ($by eq 'goodbye') { close $leaver->socket; }
	else { one("SELECT pg_terminate_backend($pid)"); }
	do
	{
		$next = client('x');
		$refused += defined $next->{closed_at};
	} while $next->{closed_at};
	$too_early += $next->first_row("SELECT count(*) FROM pg_locks WHERE pid = $pid") > 0;
	$next->close;
	until_row($node, q{SELECT count(*) = 0 FROM hygiene.sessions WHERE application_name = 'x'});
}
cmp_ok($refused, '>', 0, 'while a session is rolled back nobody has its place');
is($too_early, 0, 'nor before it has given its locks back');
is(one(q{SELECT transactions FROM hygiene.applications WHERE application_name = 'x'}), '4',
	'a transaction that ended with its session is counted once');

$node->stop;
done_testing();
