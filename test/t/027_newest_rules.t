
# The newest rules decide: connections that were opened before a reload and log
# in after it.

use PgHygiene;

my $node = new_node('main', "pg_hygiene.rules = 'application=x: connections=10'");

sub later
{
	my ($application, $n) = @_;

	return map { client($application, later => 1) } 1 .. $n;
}

# Log them in, and say how many got in; those who did are closed.
sub admitted
{
	my @clients = @_;

	$_->log_in for @clients;
	my @in = grep { !$_->{closed_at} } @clients;
	$_->close for @in;
	until_row($node, q{SELECT count(*) = 0 FROM hygiene.sessions WHERE application_name = 'x'});
	return scalar @in;
}

is(admitted(later('x', 12)), 10, 'by the rule that was there');

# A smaller cap, a larger one, none, another rule, and all the other settings.
my %reload = (
	'a smaller cap' => [ 3, rules => 'application=x: connections=3' ],
	'a larger cap' => [ 6, rules => 'application=x: connections=6' ],
	'no cap' => [ 8, rules => '' ],
	'a cap by another rule' =>
	  [ 2, rules => 'application=y: connections=1; application=x: connections=2' ],
	'an exemption' => [ 8, rules => 'application=x: connections=2, exempt' ],
	'a rule that only observes' => [ 8, rules => 'application=x: connections=2, mode=observe' ],
	'mode off' => [ 8, rules => 'application=x: connections=2', mode => 'off' ],
	'observe' => [ 8, rules => 'application=x: connections=2', mode => 'observe' ],
	'a cap for all' => [ 4, rules => '', connections_per_application => '4' ]);

for my $name (sort keys %reload)
{
	my ($expected, %settings) = @{ $reload{$name} };

	configure($node, rules => 'application=x: connections=5', mode => 'enforce',
		connections_per_application => '0');
	my @early = later('x', 8);

	configure($node, %settings);
	is(admitted(@early), $expected, "$name: who came before the reload");
	is(admitted(later('x', 8)), $expected, "$name: who came after it");
}

# What a session has later is what it reads itself.
configure($node, rules => '', mode => 'enforce', connections_per_application => '0');
my ($early) = later('x', 1);
configure($node, rules => 'application=x: connections=7', mode => 'observe');
$early->log_in;
is($early->first_row("SELECT current_setting('pg_hygiene.mode'), current_setting('pg_hygiene.rules')"),
	'observe|application=x: connections=7', 'its settings are the new ones');
configure($node, mode => 'enforce');
until_row($node, "SELECT current_setting('pg_hygiene.mode')", 'enforce');
is($early->first_row("SELECT current_setting('pg_hygiene.mode')"), 'enforce', 'and newer ones');
$early->close;

# A name that is taken later: in the transaction in which the rule changes.
configure($node, rules => '');
my ($renamer) = client('other', 'BEGIN');
configure($node, rules => 'application=x: connections=1');
my $first = client('x');
my $rest = $renamer->try_query("SET application_name = 'x'; COMMIT");
is($renamer->wait_closed->{C}, '53300', 'a name that is taken later is admitted by the newest rules');
$first->close;

#
# What is kept for each rule: those who came before do not put it back.
#
configure($node, rules => 'application=x: connect_rate=1000');
my @early = later('x', 10);
configure($node, rules => 'application=y: connections=1; application=x: connect_rate=1');
my @y = (client('y'), client('y'));
is(one('SELECT string_agg(refused::text, $$ $$ ORDER BY rule) FROM hygiene.rules'), '1 0', 'one was refused by rule 1');
my $in = admitted(@early);
cmp_ok($in, '<', 10, 'the new rate holds for those who came before');
is(one('SELECT string_agg((refused > 0)::text, $$ $$ ORDER BY rule) FROM hygiene.rules'), 'true true',
	'and they leave what was counted for the other rule');
$_->close for grep { !$_->{closed_at} } @y;

# The longest text there is.
my $long = join '; ', map { sprintf 'application=%s user=%s: connections=9', 'a' x 60, 'b' x 60 } 1 .. 255;
$long .= '; application=x: connections=2';
configure($node, rules => '');
@early = later('x', 4);
configure($node, rules => $long);
is(admitted(@early), 2, 'a long text is read, too');

$node->stop;
done_testing();
