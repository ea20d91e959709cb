
# What idle sessions cost: slots, waiting, VACUUM held back.  The ledger says the
# same as this script has measured, for applications and for leaks.

use PgHygiene;
use List::Util qw(max);
use Time::HiRes qw(time usleep);

# For how long: within a second that is not seen, or 5 %.
my $LONG = $ENV{PGH_LONG} ? 40 : 10;

my $node = new_node('main', "pg_hygiene.idle_in_transaction_timeout = '${LONG}s'",
	'pg_hygiene.idle_blocker_timeout = 0');

$node->safe_psql('postgres', q{
	CREATE TABLE t (i int PRIMARY KEY, n int DEFAULT 0);
	INSERT INTO t SELECT generate_series(1, 9);
	GRANT ALL ON t TO app});

# Looks at others; an open connection is quicker than a new psql.
my $boss = PgHygiene::Client->new($node, user => 'postgres');

sub is_within
{
	my ($got, $expected, $name) = @_;
	my $off = abs($got - $expected);

	note sprintf '%s: %.2f, measured %.2f', $name, $got, $expected;
	cmp_ok($off, '<=', max(0.05 * $expected, 0.3), $name);
	return;
}

sub costs
{
	my ($view, $application) = @_;

	return split /\|/, one("SELECT extract(epoch FROM slot_time), extract(epoch FROM blocked_time), horizon_xids
		FROM hygiene.$view WHERE application_name = '$application'");
}

# Some are ended, some commit, some leave, after so many seconds.
my @holders = (
	{ application => 'ended', row => 1, waiters => 3 },
	{ application => 'commits', row => 2, waiters => 5, after => 0.63 * $LONG, last => 'COMMIT' },
	{ application => 'leaves', row => 3, waiters => 2, after => 0.48 * $LONG },
	{ application => 'works', row => 4, waiters => 0, after => 0.7 * $LONG, last => 'SELECT 1; COMMIT' },
);
for my $holder (@holders)
{
	$holder->{client} = client($holder->{application}, 'BEGIN',
		"UPDATE t SET n = 1 WHERE i = $holder->{row}");
	$holder->{idle_since} = time;
}
for my $holder (@holders)
{
	for (1 .. $holder->{waiters})
	{
		my $waiter = client('waiter');

		$waiter->send_query("UPDATE t SET n = 2 WHERE i = $holder->{row}");
		push @{ $holder->{waiting} }, { client => $waiter, since => time };
	}
}
my ($first_xid) = one('SELECT txid_current()');
my $xids = 0;
my $xids_by_then = 0;

# What happens when; ids are used up all the time.
sub finish
{
	my ($holder) = @_;
	my $client = $holder->{client};

	if ($holder->{last}) { $client->query($holder->{last}) }
	elsif ($holder->{after}) { $client->close }
	else { $client->wait_closed }
	$holder->{idle_for} = time - $holder->{idle_since};
	$holder->{xids} = $boss->query('SELECT txid_current()')->[0][0] - $first_xid;
	for my $waiting (@{ $holder->{waiting} })
	{
		$waiting->{client}->wait_ready;
		$holder->{waited} += time - $waiting->{since};
		$waiting->{client}->close;
	}
	return;
}

my @left = sort { ($a->{after} || $LONG) <=> ($b->{after} || $LONG) } @holders;

while (@left)
{
	my $holder = $left[0];

	if (time - $holder->{idle_since} >= ($holder->{after} || $LONG - 0.2))
	{
		finish(shift @left);
		next;
	}
	$boss->query('SELECT txid_current()');
	usleep(10_000);
}
two_passes($node);
two_passes($node);

for my $holder (@holders)
{
	my $name = $holder->{application};

	for my $view ('applications', 'leaks')
	{
		my ($slot_time, $blocked_time, $xids) = costs($view, $name);

		is_within($slot_time, $holder->{idle_for}, "$name: slot_time in hygiene.$view");
		is_within($blocked_time, $holder->{waited} || 0, "$name: blocked_time in hygiene.$view");

		# a second's worth may be missing
		cmp_ok(abs($xids - $holder->{xids}), '<=',
			max(0.05 * $holder->{xids}, $holder->{xids} / $holder->{idle_for} * 0.5),
			"$name: horizon_xids in hygiene.$view: $xids, measured $holder->{xids}");
	}
}

is( one('SELECT string_agg(application_name, \' \') FROM hygiene.leaks'),
	one("SELECT string_agg(application_name, ' ' ORDER BY slot_time + blocked_time DESC) FROM hygiene.leaks"),
	'leaks come in the order of what they cost');
like(one('SELECT hygiene.report()'),
	qr/It held slots for 00:00:\d\d, and others waited for it for 00:\d\d:\d\d, VACUUM was held back by \d+ transaction ids/,
	'the report says so');

# A restart keeps it, a reset does not.
my $before = one("SELECT application_name, slot_time, blocked_time, horizon_xids FROM hygiene.applications WHERE slot_time > '0' ORDER BY 1");
$node->restart;
is( one("SELECT application_name, slot_time, blocked_time, horizon_xids FROM hygiene.applications WHERE slot_time > '0' ORDER BY 1"),
	$before, 'a restart keeps the ledger of applications');
is(one("SELECT count(*) FROM hygiene.leaks WHERE slot_time > '0'"), '4', 'and of leaks');
$node->safe_psql('postgres', 'SELECT hygiene.reset()');
is(one("SELECT count(*) FROM hygiene.applications WHERE slot_time > '0'"), '0', 'a reset clears it');
$node->stop;
done_testing();
