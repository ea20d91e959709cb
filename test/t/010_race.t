
# No session that has gone back to work is ended, nor evicted, and no transaction
# but the one that was measured is cancelled: clients that send a statement
# within a millisecond of the limit, some thousand times, and the same clients
# against signals that are sent after a look at pg_stat_activity, some of which
# do wrong, so that this test can fail.  test/lab/stress/run is the longer one.

use PgHygiene;
use FindBin;
use lib "$FindBin::RealBin/../lab/stress";
use Race;

my $decisions = $ENV{PGH_LONG} ? 1000 : 150;
my $control_endings = $ENV{PGH_LONG} ? 1000 : 300;
my %meaning = (
	running => 'was running a statement when it ended',
	talking => 'was ended although its client had begun to talk',
	other => 'was cancelled in another transaction',
	lost => 'lost a statement that was executed',
	early => 'was ended before its time',
	bare => 'lacks its SQLSTATE, DETAIL or HINT',
	pending => 'event stayed pending',
	unequal => 'difference between clients, log, events and status');

my $node = do
{
	local $ENV{LD_PRELOAD} = Race::late_signals($PostgreSQL::Test::Utils::tmp_check);

	new_node('race', Race::settings());
};
my $race = Race->new(
	host => $node->host,
	port => $node->port,
	name => $node->safe_psql('postgres', 'SELECT current_user'),
	log => $node->data_dir . '/log/race.csv',
	folder => $PostgreSQL::Test::Utils::tmp_check);

my $spared = 0;
my $cancelled = 0;

foreach my $kind (Race::kinds())
{
	my $figures = $race->enforce($kind, $decisions);

	note(Race::table($figures), "$figures->{sent} were ended with a statement on its way");
	foreach my $sort (sort keys %meaning)
	{
		is($figures->{$sort}, 0, "$kind: no $meaning{$sort}")
		  or diag(Race::complaints($figures));
	}
	$spared += $figures->{spared};
	$cancelled += $figures->{cancelled};
}
cmp_ok($spared, '>', 0, 'some were spared');
cmp_ok($cancelled, '>', 0, 'some were cancelled');

foreach my $name (Race::controls())
{
	my $control = $race->control($name, $control_endings, 60);

	note(Race::table($control));
	cmp_ok($control->{proof}, '>', 0, "$name ends some that it should not");
}

done_testing();
