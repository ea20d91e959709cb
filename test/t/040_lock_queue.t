
# A queue for a lock: an idle reader, an ALTER TABLE that waits for it, and 50
# readers a second behind that.  Nobody waits for longer than
# idle_blocker_timeout and a second, and all who hang on the idle one are shown.

use PgHygiene;
use List::Util qw(max);
use Time::HiRes qw(time usleep);

my $LIMIT = 3;
my $RATE = 50;

my $node = new_node('main', 'max_connections = 400',
	"pg_hygiene.idle_blocker_timeout = '${LIMIT}s'");

$node->safe_psql('postgres', 'CREATE TABLE t (i int); CREATE ROLE owner LOGIN; ALTER TABLE t OWNER TO owner; GRANT ALL ON t TO app');

# Looks at others; an open connection is quicker than a new psql.
my $boss = PgHygiene::Client->new($node, user => 'postgres', application => 'boss');

# Connections of their own, so that a reader only has to send.
my $N = $RATE * ($LIMIT + 2);
my @pool = map { client('reader') } 1 .. $N;
my $idle = client('idle', 'BEGIN', 'SELECT count(*) FROM t');
my $idle_since = time;
my $alter = client('alter', user => 'owner');
my @waiting = ($alter);
my $shown;

$alter->send_query('ALTER TABLE t ADD COLUMN j int');
usleep(2_000) until $boss->first_row("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");

# As long as the idle one is there, so is the queue.
my $began = time;
while ($idle->is_open && @pool)
{
	if (time - $began < @waiting / $RATE)
	{
		usleep(2_000);
		next;
	}
	my $reader = shift @pool;

	$reader->send_query('SELECT count(*) FROM t');
	push @waiting, $reader;
	next if $shown || @waiting < $RATE / 2;

	# nobody comes while we look, once the last one has arrived
	next if $boss->first_row("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") < @waiting;
	my ($row) = @{
		$boss->query("SELECT blocking, (SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'),
			extract(epoch FROM longest_wait), (SELECT count(*) FROM hygiene.sessions WHERE application_name IN ('alter', 'reader') AND blocking > 0 AND limit_name IS NULL) > 0
			FROM hygiene.sessions WHERE pid = $idle->{pid}") };
	next if !$row;
	$shown = $row;
}
cmp_ok(scalar @waiting, '>', $RATE / 2, 'many came: ' . @waiting);
is($shown->[0], $shown->[1], "all $shown->[1] of the queue are shown");
cmp_ok($shown->[2], '>', 0.2, 'and how long the first of them has waited');
is($shown->[3], 't', 'the one in the middle blocks, and is no culprit');
is($idle->wait_closed->{C}, '25P03', 'the idle reader is ended');
cmp_ok($idle->{told_at} - $idle_since, '>=', $LIMIT, 'not early');
for (@waiting)
{
	$_->wait_ready;
	$_->{waited} = $_->{replied_at} - $_->{sent_at};
}
is((grep { $_->{error} } @waiting), 0, 'all who waited go on');
my $longest = max(map { $_->{waited} } @waiting);
note sprintf 'the longest wait: %.2f s', $longest;
cmp_ok($longest, '<', $LIMIT + 1, 'nobody waited for longer than the limit and a second');

my ($blocking, $others) = split /\|/,
  one("SELECT sum(blocking) FILTER (WHERE pid = $idle->{pid}), count(*) FILTER (WHERE pid <> $idle->{pid}) FROM hygiene.events WHERE reason = 'idle_blocker_timeout'");
cmp_ok($blocking, '>=', 0.8 * @waiting, "the event has the whole queue: $blocking of " . @waiting);
is($others, '0', 'nobody else was ended');
$node->stop;
done_testing();
