
# Every statement of the runbook works as it stands, in the order in which it
# stands there, on a server in the state that the runbook speaks of; and what
# it says of turning off, upgrading and removing is so.

use PgHygiene;
use IPC::Run;

my $runbook = slurp_file('doc/runbook.md');
my $node = new_node(
	'main', "pg_hygiene.mode = 'observe'",
	'max_prepared_transactions = 10',
	"pg_hygiene.idle_in_transaction_timeout = '100ms'");

# The commands of a section, without those of its subsections: a list of
# statements, and of lines for a shell.  What is in fences is output.
sub commands
{
	my ($heading) = @_;
	my ($text) = ($runbook =~ s/^```.*?^```//gmsr) =~
	  /^#+ \Q$heading\E[ \t]*\n(.*?)(?=^#|\z)/ms;
	my @commands;

	die "the runbook has no section \"$heading\"" unless defined $text;
	for my $block ($text =~ /((?:^ {4,}\S.*\n|^ {4,}\S.*\z)+)/mg)
	{
		$block =~ s/^ +(?=[\$\\])//mg;
		push @commands, $1
		  while $block =~ /\G\s*(\$ [^\n]*|\\copy [^\n]*|.*?(?:;[ \t]*$|\\g\w+$|\\watch \d+$))/msg;
	}
	return map { s/^\s+|\s+$//gr } @commands;
}

# Statements through psql, as they stand; what they print, without headers.
sub psql
{
	my ($sql) = @_;

	$sql =~ s/\s*\\watch \d+$/;/;
	return $node->safe_psql('postgres', $sql, extra_params => [ '-v', 'ON_ERROR_STOP=1' ]);
}

# At night, in a terminal of 100 columns: what is asked and what is shown.
sub check_width
{
	my ($sql, $name) = @_;
	my ($longest) = sort { $b <=> $a } map { length } split /\n/, $sql =~ s/^ {4}//gmr;
	my $shown = '';

	$node->psql(
		'postgres', $sql =~ s/\s*\\watch \d+$/;/r,
		stdout => \$shown,
		extra_params => [ '-P', 'format=aligned', '-P', 'tuples_only=off' ])
	  if $sql !~ /\\gexec|pg_terminate_backend|drain\(/;
	for (map { length } split /\n/, $shown)
	{
		$longest = $_ if $_ > $longest;
	}
	cmp_ok($longest, '<=', 100, "fits 100 columns: $name");
	return;
}

# A query on the views must show something, perhaps after a while.
my $ran = 0;

sub run_statements
{
	my ($heading) = @_;

	for my $sql (grep { !/^\$ / } commands($heading))
	{
		my $shown = psql($sql);
		my $name = $sql =~ s/\s+/ /gr;

		$ran++;
		if ($sql =~ /FROM\s+hygiene\./ && $sql !~ /^\\copy/)
		{
			for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
			{
				last if $shown ne '';
				select undef, undef, undef, 0.1;
				$shown = psql($sql);
			}
			isnt($shown, '', "$heading: $name");
			check_width($sql, $name);
		}
		else
		{
			pass("$heading: $name");
		}
	}
	return;
}

my $folder = "$PostgreSQL::Test::Utils::tmp_check/runbook";

mkdir $folder;
chdir $folder or die "$folder: $!";    # for what \copy writes

#
# Observed for some days.
#
$node->safe_psql('postgres',
	'CREATE ROLE oncall; CREATE ROLE report LOGIN; CREATE TABLE t AS SELECT 1 AS i; GRANT ALL ON t TO app');
my @orders =
  map { client('orders', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1 /* orders.py:31 */' . ' + 1' x 100) }
  1 .. 6;
my $checkout = client('checkout', 'SELECT 1');
until_row($node, q{SELECT count(*) >= 6 FROM hygiene.events WHERE outcome = 'observed'});
until_row($node, 'SELECT sum(sessions_now) = 6 FROM hygiene.leaks');

run_statements($_)
  for 'What this is', 'Begin by observing', 'Which limit hurts nobody?', 'Timeouts', 'Caps', 'Headroom';

# On a slow machine, the limits of the runbook would not wait for its commands.
configure($node, map { $_ => '1h' } qw(idle_in_transaction_timeout idle_blocker_timeout transaction_timeout));
run_statements('Rehearse, then enforce');
until_row($node, q{SELECT current_setting('pg_hygiene.mode')}, 'enforce');

#
# The night.
#
my $batch = client('batch', 'BEGIN', 'UPDATE t SET i = 2');
my $waiter = client('waiter');
$waiter->send_query('UPDATE t SET i = 3');
run_statements($_) for '1. Get in and look', '2. Who it is';
ok($batch->is_open, 'the blocker is still there');
run_statements('3. Who blocks');
$batch->wait_closed;
$waiter->wait_ready;
pass('who was waiting goes on');

# Twice: where there are no other rules, and where there are.
configure($node, rules => '');
psql($_) for grep { !/^SELECT pg_reload/ } commands('4. Stop it');
run_statements('4. Stop it');
$_->wait_closed for @orders;
pass('who leaks is ended');
ok($checkout->is_open, 'and nobody else');
run_statements($_) for '5. See that it helps', '6. Before you go back to bed';
is(join("\n", grep { /^\$ / } commands('6. Before you go back to bed')),
	"\$ psql -XAt -c 'select hygiene.report()' >report.html", 'the report');
IPC::Run::run([ 'psql', '-XAt', '-c', 'select hygiene.report()', $node->connstr('postgres') ],
	'>', "$folder/report.html");
ok(-s "$folder/$_", "$_ was written") for 'events.csv', 'leaks.csv', 'report.html';

# What the tables of the night name is a rule.
my @rules = map { /^\|[^|]*\| `(\w+=[^`]*: [^`]*)` \|$/ ? $1 : () } split /\n/, $runbook;

is(scalar @rules, 5, 'the rules of the night');
is($node->psql('postgres', "SELECT * FROM hygiene.check_rules('$_')"), 0, "a rule: $_") for @rules;

#
# Off, by SQL and by hand.
#

# A line for a shell, in the data directory.
sub run_line
{
	my ($line) = @_;

	chdir $node->data_dir or die $!;
	my ($out, $err) = run_command([ 'sh', '-c', $line =~ s/^\$ //r ]);
	is($err, '', $line);
	chdir $folder or die $!;
	return;
}

run_statements('Turn it off');
until_row($node, 'SELECT mode FROM hygiene.status', 'off');
$node->safe_psql('postgres', q{ALTER SYSTEM SET pg_hygiene.mode = 'enforce'});
$node->reload;
until_row($node, 'SELECT mode FROM hygiene.status', 'enforce');
run_line($_) for grep { /^\$ / } commands('Turn it off');
until_row($node, 'SELECT mode FROM hygiene.status', 'off');
pass('the last line of the file wins');
$checkout->close;
$waiter->close;

#
# Upgrades.
#
run_statements('Upgrade');
$node->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
my $bindir = $node->config_data('--bindir');

$new->init(allows_streaming => 1);
$new->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_hygiene'");
command_ok(
	[
		'pg_upgrade', '--no-sync', '-d', $node->data_dir, '-D', $new->data_dir,
		'-b', $bindir, '-B', $bindir, '-s', $new->host,
		'-p', $node->port, '-P', $new->port
	],
	'pg_upgrade to a cluster that preloads the library');
$new->start;
is($new->safe_psql('postgres', 'SELECT mode FROM hygiene.status'),
	'enforce', 'the views are there, and the settings are not');
is($new->safe_psql('postgres', 'SELECT count(*) FROM hygiene.events'), '0', 'the history begins anew');
$new->stop;

#
# Removed.
#
$node->append_conf('postgresql.conf', 'pg_hygiene.warn_at = 50');
$node->start;
run_statements('Uninstall');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is($node->safe_psql('postgres', 'SHOW pg_hygiene.warn_at'), '50', 'a line that is left does no harm');
my @last = grep { !/apt-get/ } grep { /^\$ / } commands('Uninstall');

is("@last", '$ rm pg_stat/pg_hygiene.stat', 'one file is left');
run_line($last[0]);
ok(!-e $node->data_dir . '/pg_stat/pg_hygiene.stat', 'and can be removed');
$node->stop;

#
# The worst: all slots are taken, the reserved ones, too, and the server only
# observes.
#
$node = new_node('worst', 'max_connections = 12', "pg_hygiene.mode = 'observe'");
my $boss = one('SELECT current_user');
my @worst = map { client('orders', 'BEGIN', 'SELECT 1') } 1 .. 9;
push @worst, map { client('admin', user => $boss, 'BEGIN', 'SELECT 1') } 1 .. 3;
ok(!run_log([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', 'SELECT 1' ]),
	'nobody gets in, not even a superuser');

my $began = time;
my @lines = grep { /^\$ / } commands('The worst: nobody gets in');

is(pop @lines, '$ psql -d postgres', 'the last line is to get in');
run_line($_) for @lines;
until_row($node, 'SELECT 1', '1');
cmp_ok(time - $began, '<', 60, 'in, within a minute: ' . (time - $began) . ' s');
run_statements('The worst: nobody gets in');
until_row($node, 'SHOW pg_hygiene.exempt_superusers', 'on');
$node->stop;

cmp_ok($ran, '>', 30, "$ran statements were run");
done_testing();
