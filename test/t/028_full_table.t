
# A family comes together while the table of applications is full, and one of
# its names rests that is the next to give way.

use PgHygiene;

my $node = new_node(
	'main',
	'pg_hygiene.max_applications = 10',
	"pg_hygiene.admission_wait = '1h'",
	"pg_hygiene.rules = 'user=single: connections=1'",
	'pg_hygiene.warn_at = 0');
one('CREATE ROLE single LOGIN; CREATE ROLE boss LOGIN SUPERUSER');

# Ten places: this one's, two more, and seven names of a family.  It asks for
# all that the test looks at, so that no other name takes a place.
my $asker = client('asker', user => 'boss');
$asker->query('SELECT hygiene.reset()');
my @others = map { client($_) } qw(other last);
my %member = map { $_ => client("w-$_") } 1 .. 7;
is( $asker->first_row(
		q{SELECT count(*) FILTER (WHERE connections = 1) FROM hygiene.applications}),
	'10', 'the table is full');

# One of them leaves; its place rests.
$member{6}->close;
$asker->query('SELECT 1')
  until $asker->first_row('SELECT used FROM hygiene.status') == 9;

# The next name of the family has a place only to ask for: it waits.
my $holds = client('last', user => 'single');
my $waits = client('w-8', user => 'single', nowait => 1);
$asker->query('SELECT 1')
  until $asker->first_row('SELECT waiting FROM hygiene.status') == 1;

# And the ninth makes one application of them.
my $ninth = client('w-9');
ok(!$ninth->{closed_at}, 'the ninth name of a family is let in');
is( $asker->first_row(
		q{SELECT string_agg(concat_ws(':', application_name, connections, opened, closed), ' '
			ORDER BY application_name)
		FROM hygiene.applications WHERE application_name LIKE 'w-%'}),
	'w-*:7:8:1', 'and all of them are one application');

$holds->close;
$waits->wait_ready;
is( $asker->first_row(
		q{SELECT connections FROM hygiene.applications WHERE application_name = 'w-*'}),
	'8', 'with the one that waited');
$_->close for $ninth, $waits, @others, map { $member{$_} } grep { $_ != 6 } keys %member;
$asker->query('SELECT 1')
  until $asker->first_row('SELECT used FROM hygiene.status') == 1;
is( $asker->first_row(
		q{SELECT connections, opened = closed FROM hygiene.applications WHERE application_name = 'w-*'}),
	'0|t', 'and every session is counted out');

$node->stop;
done_testing();
