
# hygiene.status on a terminal of 80 columns, and the shortcuts for .psqlrc
# that doc/views.md gives.

use PgHygiene;
use IPC::Run;

my $COLUMNS = 80;

my $node = new_node('main', 'max_prepared_transactions = 1');

# A line that is too wide, or ''.
sub too_wide
{
	my ($text) = @_;

	return join "\n", grep { length > $COLUMNS } split /\n/, $text;
}

# What psql prints on both of its channels until that matches; with what is
# read from a start-up file, or without one.
sub watch
{
	my ($input, $until, $psqlrc) = @_;
	my ($in, $out) = ($input, '');

	local $ENV{PSQLRC} = $psqlrc || '/dev/null';
	my $run = IPC::Run::start([ 'psql', '-d', $node->connstr('postgres') ],
		'<', \$in, '>', \$out, '2>&1',
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	$run->pump until $out =~ $until;
	$run->signal('TERM');
	eval { $run->finish; };
	return $out;
}

#
# The longest values that a column of its type may show.
#
my %LONGEST = (
	'text' => 'critical',
	'integer' => '-2147483648',
	'bigint' => '-9223372036854775808',
	'double precision' => '-1.2345678901234567e-300',
	'interval' => '-9999 years -11 mons -30 days -23:59:59.999999',
	'timestamp with time zone' => '2026-09-30 23:59:59.999999+05:45');
my %type = map { split /\|/ } split /\n/, $node->safe_psql(
	'postgres', q{
	SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
	WHERE attrelid = 'hygiene.status'::regclass AND attnum > 0 ORDER BY attnum});
my $longest = 'SELECT ' . join ', ', map { "'$LONGEST{ $type{$_} }'::$type{$_} AS $_" } sort keys %type;

for my $datestyle ('ISO', 'Postgres', 'SQL', 'German')
{
	my $text = watch("SET timezone = 'Asia/Kathmandu'; SET datestyle = '$datestyle';\n\\x\n$longest \\watch 1\n", qr/\(every.*\(every/s);

	like($text, qr/^last_pass +\| /m, "$datestyle: it is there");
	is(too_wide($text), '', "$datestyle: the longest values of hygiene.status fit");
}

#
# The view itself, also when it warns.
#
my $text = watch("\\x\nSELECT * FROM hygiene.status \\watch 1\n", qr/\(every.*\(every/s);
like($text, qr/^mode +\| enforce$/m, 'hygiene.status is there');
is(too_wide($text), '', 'and fits');
$text = watch("SELECT FROM hygiene.get_status(1234);\n", qr/\(1 row\)/);
like($text, qr/^WARNING:  1234 prepared .*\nHINT: /m, 'its warning');
is(too_wide($text), '', 'fits, too');

#
# The shortcuts, as they stand in the documentation.
#
my ($section) = slurp_file('doc/views.md') =~ /^## In psql\n(.*?)^## /ms;
my $psqlrc = join "\n", ($section || '') =~ /^ {4}(\\set .*)$/mg;
my $file = PostgreSQL::Test::Utils::tempdir() . '/psqlrc';
append_to_file($file, "$psqlrc\n");
my %shortcut = $psqlrc =~ /^\\set (\w+) (.*)$/mg;
is(join(' ', sort keys %shortcut), 'apps hygiene hygiene_watch leaks', 'doc/views.md has these shortcuts');
like(watch(":hygiene\n", qr/stats_since.*\n/, $file), qr/RECORD 1.*\nversion +\| .*\nmode +\| enforce\n/, ':hygiene');
$text = watch(":hygiene_watch\n", qr/\(every.*stats_since.*\(every.*stats_since/s, $file);
is(scalar(() = $text =~ /^mode +\| enforce$/mg), 2, ':hygiene_watch goes on');
is(too_wide($text), '', 'and fits');
$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT 1 AS i; GRANT ALL ON t TO app; ALTER SYSTEM SET pg_hygiene.idle_in_transaction_timeout = 100; SELECT pg_reload_conf()');
my $session = session($node, 'orders');
$session->query_until(qr/^/, "BEGIN; SELECT * FROM t;\n");
wait_for($node, q{SELECT ended = 1 FROM hygiene.leaks});
last_words($session);
for my $name ('leaks', 'apps')
{
	$text = watch(":$name\n", qr/\(\d+ rows?\)/, $file);
	like($text, qr/^ *orders /m, ":$name");
	is(too_wide($text), '', 'fits');
}

$node->stop;
done_testing();
