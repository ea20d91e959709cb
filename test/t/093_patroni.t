
# Patroni: what its dynamic configuration sets holds on both servers, also
# after a switchover.
#
# doc/patroni.md says what is tried here.

use PgHygiene;
use IPC::Run;
use PgHygiene::Patroni;

my $why_not = PgHygiene::Patroni::why_not();
plan skip_all => $why_not if $why_not;

my @SERVERS = ('one', 'two');
my $patroni = PgHygiene::Patroni->new;

$patroni->start($_) for @SERVERS;
is(join(' ', map { $patroni->role($_) } @SERVERS), 'primary replica', 'a primary and a replica');

# What every server must come to.
sub both
{
	my ($sql, $expected, $name) = @_;

	$patroni->until_row($_, $sql, $expected) for @SERVERS;
	pass($name);
	return;
}

# Is an idle transaction ended there, and what is the client told?
sub ends_idle_transaction
{
	my ($server) = @_;
	my ($in, $out, $err) = ("BEGIN;\n\\echo ready\n", '', '');
	my $run = IPC::Run::start(
		[ 'psql', '-XAtq', $patroni->connstr($server, 'user=app', 'application_name=orders') ],
		'<', \$in, '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	my $before = $patroni->query($server, 'SELECT terminated FROM hygiene.status');

	$run->pump until $out =~ /ready/;
	$patroni->until_row($server, "SELECT terminated > $before FROM hygiene.status");
	$in .= "SELECT 1;\n\\q\n";
	eval { $run->finish; };
	return $err;
}

#
# The library: Patroni writes it, and says that both servers wait for a
# restart.
#
$patroni->ctl('edit-config', '--force', '-p', 'shared_preload_libraries=pg_hygiene');
both(q{SELECT pending_restart FROM pg_settings WHERE name = 'shared_preload_libraries'},
	't', 'the library waits for a restart on both');
$patroni->until_listed(qr/^\| one .*\*.*^\| two .*\*/ms);
note $patroni->ctl('list');
$patroni->ctl('restart', 'shop', '--pending', '--force');
both('SHOW shared_preload_libraries', 'pg_hygiene', 'after patronictl restart both have it');
$patroni->query('one', 'CREATE EXTENSION pg_hygiene; CREATE ROLE app LOGIN');
both('SELECT worker_pid IS NOT NULL FROM hygiene.status', 't', 'the worker runs on both');
$patroni->until_settled(@SERVERS);

#
# Settings: by patronictl, and by the REST interface.
#
my $LIMIT = 'application=orders: idle_in_transaction_timeout=200ms; user=report: exempt';
$patroni->ctl('edit-config', '--force', '-p', 'pg_hygiene.headroom=7',
	'-p', "pg_hygiene.rules='user=report: exempt'");
both('SHOW pg_hygiene.headroom', '7', 'patronictl edit-config reaches both, without a restart');
both('SHOW pg_hygiene.rules', 'user=report: exempt', 'and rules, in quotes of their own');
$patroni->patch({ postgresql => { parameters => { 'pg_hygiene.rules' => $LIMIT } } });
both('SHOW pg_hygiene.rules', $LIMIT, 'PATCH /config reaches both, semicolons and all');

# Without quotes patronictl takes them for a map: "name: value" in YAML.
$patroni->ctl('edit-config', '--force', '-p', 'pg_hygiene.warn_at=55',
	'-p', 'pg_hygiene.rules=user=report: exempt');
both('SHOW pg_hygiene.warn_at', '55', 'what stands beside rules that are wrong holds');
both('SHOW pg_hygiene.rules', $LIMIT, 'and the old rules go on to hold');
like($patroni->log($_), qr/LOG: +invalid value for parameter "pg_hygiene\.rules": expected "application".* found "\{'user/,
	"as the log of $_ says") for @SERVERS;
$patroni->patch({ postgresql => { parameters => { 'pg_hygiene.rules' => $LIMIT } } });

for my $server (@SERVERS)
{
	like(ends_idle_transaction($server), qr/^FATAL:  terminating .*^DETAIL:  .* rule 1 /ms,
		"the limit acts on $server, the " . $patroni->role($server));
}

#
# After a switchover.
#
$patroni->switchover('one', 'two');
both('SHOW pg_hygiene.rules', $LIMIT, 'after a switchover the rules are the same on both');
both('SHOW pg_hygiene.headroom', '7', 'and the settings');
for my $server (@SERVERS)
{
	like(ends_idle_transaction($server), qr/^FATAL:  terminating .*^DETAIL:  .* rule 1 /ms,
		"the limit acts on $server still");
}
$patroni->until_settled(@SERVERS);
$patroni->patch({ postgresql => { parameters => { 'pg_hygiene.headroom' => undef } } });
both('SHOW pg_hygiene.headroom', '-1', 'a setting that is taken out is the default again on both');

$patroni->stop;
done_testing();
