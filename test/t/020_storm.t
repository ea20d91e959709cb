
# The storm, in short: one application leaks sixty sessions a second, and with
# the default settings the others notice nothing.  test/lab/bench/storm measures
# the same for a minute, its variants, and how it goes without pg_hygiene.

use PgHygiene;
use JSON::PP;

my $PYTHON = '/usr/bin/python3';
my $STORM = 'test/lab/bench/storm.py';

plan skip_all => 'psycopg2 and SQLAlchemy are not there'
  unless run_log([ $PYTHON, '-c', 'import psycopg2, sqlalchemy' ]);

my $node = new_node('main');

$node->safe_psql(
	'postgres', q{
	CREATE TABLE orders (id int PRIMARY KEY, item text);
	INSERT INTO orders VALUES (1, 'item');
	GRANT SELECT ON orders TO app;});

# What each program of a storm has to report.
sub perform
{
	my ($storm, $seconds) = @_;
	my ($out, $err);
	my $directory = PostgreSQL::Test::Utils::tempdir();

	run_log(
		[
			$PYTHON, '-B', $STORM,
			'--server' => $node->host . ':' . $node->port,
			'--seconds' => $seconds,
			'--only' => $storm,
			$directory
		],
		'>', \$out, '2>', \$err) or die $err;
	note $out;
	return decode_json($out);
}

for my $case ([ default => 10, 8 ], [ 'pool-70' => 7, 70 ])
{
	my ($name, $seconds, $size) = @$case;

	$node->safe_psql('postgres', 'SELECT hygiene.reset()');
	my $report = perform($name, $seconds);
	my ($checkout, $batch, $web, $orders) =
	  @{$report}{ 'checkout', 'batch', 'web', 'orders' };

	# Without a storm nothing would be proved.
	cmp_ok($orders->{asked} - $orders->{served},
		'>', 50, "$name: the leaking program was refused");
	cmp_ok($orders->{served}, '>', 15, "$name: but not always");

	is_deeply($checkout->{errors}, {}, "$name: checkout saw no error");
	cmp_ok($checkout->{served}, '>=', 5 * $seconds,
		"$name: and was served all the time");
	is("$batch->{killed} $batch->{refused}", '0 0',
		"$name: batch lost no transaction");
	cmp_ok($batch->{committed}, '>=', 1, "$name: and committed");
	is_deeply($web->{errors}, {}, "$name: web saw no error");
	is("$web->{lost} of $web->{pool}", "0 of $size",
		"$name: and lost no connection");

	is( $node->safe_psql(
			'postgres', q{
			SELECT coalesce(string_agg(DISTINCT application_name || ' ' || action, ', '), '')
			FROM hygiene.events
			WHERE application_name <> 'orders' AND action <> 'warn'}),
		'',
		"$name: nobody else is in the events");
	is($node->safe_psql('postgres',
			'SELECT refused_by_server FROM hygiene.status'),
		'0', "$name: the server itself had to refuse nobody");
	is( $node->safe_psql(
			'postgres', q{
			SELECT refused FROM hygiene.applications
			WHERE application_name = 'orders'}),
		$orders->{asked} - $orders->{served},
		"$name: every refusal was counted");
	ok( wait_for($node, 'SELECT used = 1 FROM hygiene.status'),
		"$name: afterwards all slots are free");
}
#
# Alone, a program that leaks slowly enough works on the slots of its own
# oldest leaks: they are freed before it is refused.
#
my $orders = perform('alone', 10)->{orders};

cmp_ok($orders->{asked}, '>', 100, 'alone: more requests than there are slots');
cmp_ok($orders->{percent}, '>=', 99, 'alone: it is served');

cmp_ok(
	$node->safe_psql('postgres', 'SELECT sum(connections) FROM hygiene.applications'),
	'==', 1, 'and nobody is counted any more');
done_testing();
