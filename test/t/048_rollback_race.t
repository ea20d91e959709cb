
# Clients that come back about when their transaction is rolled back, a thousand
# times: every transaction is whole or gone, nobody believes otherwise, and no
# connection is lost.  The same without the check of COMMIT must lose some in
# silence, so that this test can fail.  And one session that is rolled back very
# often does not grow.  test/lab/stress/run is the longer one.

use PgHygiene;
use FindBin;
use lib "$FindBin::RealBin/../lab/stress";
use Keep;

my $folder = $PostgreSQL::Test::Utils::tmp_check;

sub keep
{
	my ($node, @more) = @_;

	return Keep->new(
		host => $node->host,
		port => $node->port,
		name => $node->safe_psql('postgres', 'SELECT current_user'),
		folder => $folder,
		@more);
}

my $node = new_node('keep', Keep::settings());
my $figures = keep($node)->race(1000);

note(Keep::table('rollback' => $figures));
cmp_ok($figures->{rolled_back}, '>=', 1000, 'transactions were rolled back');
cmp_ok($figures->{committed}, '>', 0, 'and others committed');
is($figures->{$_}, 0, "$_: none") foreach qw(lost late silent partial risen early bare unequal);

#
# One session, very often.
#
$figures = keep($node)->alone(1000);
note(Keep::table('one session' => $figures),
	"memory: $figures->{memory_before}, then $figures->{memory_after}, $figures->{in_one_session} rollbacks");
cmp_ok($figures->{in_one_session}, '>=', 1000, 'one session was rolled back often');
is($figures->{$_}, 0, "one session, $_: none")
  foreach qw(late lost silent partial risen bare);
SKIP:
{
	skip 'a sanitizer, or valgrind, keeps what was freed', 1
	  if slurp_file("/proc/$node->{_pid}/maps") =~ /libasan|vgpreload/;
	cmp_ok(
		$figures->{memory_after} - $figures->{memory_before},
		'<', 128 * 1024,
		'and did not grow');
}
$node->stop;

#
# Without the check.
#
my $control = PostgreSQL::Test::Cluster->new('control');
$control->init;
$control->append_conf('postgresql.conf', join "\n",
	Keep::settings(Keep::library_without_check($folder)));
$control->start;
$control->safe_psql('postgres', 'CREATE ROLE app LOGIN');
$figures = keep($control, control => 1)->race(200);
note(Keep::table('without the check of COMMIT' => $figures));
cmp_ok($figures->{silent}, '>', 0, 'without the check of COMMIT some are lost in silence');

done_testing();
