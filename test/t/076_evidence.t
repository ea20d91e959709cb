
# Eviction knows what is remembered of pauses: those of a program that does not
# come back go first, also one alone; those of one that does go last.

use PgHygiene;
use Time::HiRes qw(time usleep);

my $node = new_node(
	'main',
	'max_connections = 40',
	'superuser_reserved_connections = 3',
	'pg_hygiene.headroom = 4',
	'pg_hygiene.headroom_min_idle = 2s',
	'pg_hygiene.warn_at = 0');

sub paused
{
	my ($application, $n) = @_;

	return map { client($application, 'BEGIN', 'SELECT 1') } 1 .. $n;
}

# Slots are counted below: who looks has one of them all the time, for a psql
# may be gone later than it says.
my $asker = client('asker');

sub until_idle
{
	my ($application, $n, $age) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	until ($asker->first_row(qq{SELECT count(*) = $n FROM hygiene.sessions
		WHERE application_name = '$application' AND state_age > '$age s'
		AND state = 'idle in transaction'}) eq 't')
	{
		die "no $n of $application idle" if time > $give_up;
		usleep(50_000);
	}
	return;
}

sub until_two_passes
{
	for (1 .. 2)
	{
		my $before = $asker->first_row('SELECT last_pass FROM hygiene.status');

		usleep(10_000)
		  until $asker->first_row("SELECT last_pass > '$before' FROM hygiene.status") eq 't';
	}
	return;
}

sub evicted
{
	my ($application) = @_;

	return qq{SELECT evicted FROM hygiene.applications
		WHERE application_name = '$application'};
}

#
# What they did before: "export" has committed after each of its pauses,
# "leaky" after none.
#
my @export = paused('export', 12);
my @leaky = paused('leaky', 12);
# pauses are like those that lasted for at least half as long
until_idle('export', 12, 3);
until_idle('leaky', 12, 3);
$_->query('COMMIT') for @export;
$_->close for @export, @leaky;
two_passes($node);
is(one(q{SELECT string_agg(application_name || ' ' || periods || ' ' || resumed, ', '
		ORDER BY application_name) FROM hygiene.behaviour
	WHERE kind = 'idle in transaction' AND periods > 0}),
	'export 12 12, leaky 12 0', 'who came back');
$node->restart;
$asker = client('asker');

#
# Slots run short, over a restart.  All have been idle for long enough.
#
@export = paused('export', 12);
@leaky = paused('leaky', 1);
until_idle('export', 12, 2.2);
until_idle('leaky', 1, 2.2);
my @web = map { client('web', 'SELECT 1') } 1 .. 19;
$leaky[0]->wait_closed;
pass('a single one that does not come back is a leak');
until_two_passes();
is($asker->first_row(evicted('export')), '0', 'a dozen that do are left alone for it');

# Without it somebody is refused, and so somebody has to go: there are no others.
push @web, map { client('web') } 1 .. 4;
until_row($node, q{SELECT evicted > 0 FROM hygiene.applications
	WHERE application_name = 'export'});
is(one(evicted('web')), '0', 'before sessions outside of a transaction');
$node->stop;
done_testing();
