
# What is suggested after a mixed day, enforced: it ends every leak and no pause
# of an honest program.  A short form of test/lab/evidence/run day, which see.

use PgHygiene;
use PgHygiene::Clock;
use Time::HiRes qw(time);

plan skip_all => 'psycopg2 is not there'
  unless run_log([ '/usr/bin/python3', '-c', 'import psycopg2' ]);

my $SECONDS = 32;    # long enough for twenty leaks of each kind
my $clock = PgHygiene::Clock->new;
my $node = $clock->new_node(
	'main',
	'max_connections = 200',
	'autovacuum = off',
	'pg_hygiene.mode = observe',
	'pg_hygiene.warn_at = 0');

one('CREATE TABLE job AS SELECT i AS id, 0 AS tries FROM generate_series(1, 100) i');
one('CREATE TABLE item (id int); GRANT ALL ON job, item TO app');

# What each program did, as day.py says it.
sub play
{
	my $url = sprintf 'host=%s port=%s user=app dbname=postgres', $node->host, $node->port;
	my %done;

	my ($out, $err) = run_command(
		[ '/usr/bin/python3', 'test/lab/evidence/day.py', $url, $SECONDS ]);
	for (split /\n/, $out)
	{
		my ($program) = /"program": "(\w+)"/;
		my %counts = /"(\w+)": ([\d.]+)/g;

		$done{$program} = \%counts;
	}
	is(scalar keys %done, 12, 'twelve programs') or diag($err);
	return %done;
}

my %observed = play();
my ($code, $out, $err) = $node->psql('postgres', 'SELECT hygiene.suggest_rules()');
like($err, qr/NOTICE:  no rule is suggested, because too little was seen/,
	'after minutes too little was seen');

$clock->set(8 * 86400);
two_passes($node);
plan skip_all => 'the clock of this server cannot be set'
  if one('SELECT extract(epoch FROM clock_timestamp())') < time + 86400;
my $rules = one('SELECT hygiene.suggest_rules()');
cmp_ok(one(q{SELECT count(*) FROM hygiene.check_rules(hygiene.suggest_rules())}),
	'>=', 11, 'after a week the rules parse');
for my $program (sort keys %observed)
{
	next if $program eq 'web';
	like($rules, qr/application=$program: /, "a rule for $program");
}
unlike($rules, qr/application=web: /, 'a pool that rests needs none');

configure($node, mode => 'enforce', rules => $rules);
my %enforced = play();
for my $program (sort keys %enforced)
{
	my $done = $enforced{$program};

	is($done->{hurt}, '0', "$program: no pause that it came back to was ended");
	is($done->{refused}, '0', "$program: nobody was refused")
	  unless $observed{$program}{leaks};
	next unless $observed{$program}{leaks};
	cmp_ok($done->{leaks}, '>', 10, "$program leaks");
	is($done->{leaks_ended}, $done->{leaks}, 'and each of these was ended');
}
$node->stop;
done_testing();
