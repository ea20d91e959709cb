
# Who comes back is not accused: sessions that were ended sooner than such
# pauses are noted, because slots ran short or others waited, are judged by
# what their application did when it was left alone.  And what a session was
# ended in is put down as a pause of its leak, once.

use PgHygiene;
use Time::HiRes qw(time usleep);

my $node = new_node(
	'main',
	'pg_hygiene.warn_at = 0',
	'pg_hygiene.idle_blocker_timeout = 2s',
	q{pg_hygiene.rules = 'application=queue: connections=4, headroom_min_idle=1500ms;}
	  . ' application=fresh: connections=4, headroom_min_idle=1500ms;'
	  . q{ application=export: transaction_timeout=2s; application=forgets: transaction_timeout=1s;}
	  . q{ application=open: idle_in_transaction_timeout=20s'});
$node->safe_psql('postgres',
	'CREATE TABLE t (i int PRIMARY KEY, n int); GRANT ALL ON t TO app; INSERT INTO t VALUES (1, 0)');

my $ACCUSED = qr/never ends|neither committed|then did nothing/;
my $WAITS = 'The program waits for something else inside a transaction, and often comes back. Do what takes time before BEGIN or after COMMIT, or give it a rule that allows pauses as long as hygiene.behaviour shows.';
my $NEVER_ENDS = 'A SELECT opened a transaction that the program never ends. Commit or roll back after reading, or use the session in a with block.';

sub until_idle
{
	my ($application, $n, $age) = @_;

	until_row($node, qq{SELECT count(*) >= $n FROM hygiene.sessions
		WHERE application_name = '$application' AND state_age > '$age'
		AND state = 'idle in transaction'});
	return;
}

sub leak
{
	my ($columns, $application) = @_;

	return one("SELECT $columns FROM hygiene.leaks WHERE application_name = '$application'");
}

# A cap is full of pauses and somebody is refused: what the first one is told
# who is ended for that.
sub ended_in_cap
{
	my ($application) = @_;
	my @paused = map { client($application, 'BEGIN', 'SELECT 1') } 1 .. 4;
	my $refused = client($application);

	is($refused->{error}->{C}, '53300', "$application: one is refused");
	my $last = $paused[0]->wait_closed;

	$_->close for @paused;
	two_passes($node);
	return $last;
}

#
# In a cap: "queue" has committed after each of its pauses.
#
for my $round (1 .. 3)
{
	my @queue = map { client('queue', 'BEGIN', 'SELECT 1') } 1 .. 4;

	until_idle('queue', 4, '1.1 s');
	$_->query('COMMIT') for @queue;
	$_->close for @queue;
}
two_passes($node);
is(one(q{SELECT periods || ' ' || resumed FROM hygiene.behaviour
	WHERE application_name = 'queue' AND kind = 'idle in transaction'}), '12 12', 'who came back');
is(leak('count(*)', 'queue'), '0', 'none of that was noted: the limit is ten minutes');
my $last = ended_in_cap('queue');
is($last->{H}, "Commit or roll back, and close the session when the work is done. $WAITS", 'queue: HINT');
like($last->{D}, qr/^Application "queue" left a transaction idle for 1\.\d s while/, 'queue: DETAIL has what was measured');
is(leak('diagnosis', 'queue'), $WAITS, 'queue: diagnosis');
is(one(q{SELECT diagnosis FROM hygiene.applications WHERE application_name = 'queue'}),
	$WAITS, 'queue: diagnosis of the application');

# A program that nothing is known of, and does the same.
$last = ended_in_cap('fresh');
is($last->{H}, "Commit or roll back, and close the session when the work is done. $NEVER_ENDS", 'fresh: HINT');
is(leak('diagnosis', 'fresh'), $NEVER_ENDS, 'fresh: diagnosis');

# What they were ended in was a pause.
for my $application ('queue', 'fresh')
{
	is(leak(q{ended >= 1 AND slot_time BETWEEN ended * interval '1.5 s' AND ended * interval '1.5 s' + '2 s'}, $application),
		't', "$application: slot_time");
	is(leak(q{longest_pause BETWEEN '1.5 s' AND '3 s'}, $application), 't', "$application: longest_pause");
	is(leak('resumed', $application), '0', "$application: resumed");
}

#
# While others wait.
#
my $erp = client('erp');
for my $round (1 .. 2)
{
	$erp->query('BEGIN');
	$erp->query('UPDATE t SET n = n + 1');
	until_idle('erp', 1, '2.2 s');
	$erp->query('COMMIT');
}
$erp->query('BEGIN');
$erp->query('UPDATE t SET n = n + 1');
my $waiter = client('waiter');
$waiter->send_query('UPDATE t SET n = n + 1');
$last = $erp->wait_closed;
is($last->{H}, "Commit or roll back before the program waits for anything else, so that others need not wait for its locks. $WAITS", 'erp: HINT');
$waiter->wait_ready;
two_passes($node);
is(leak('ended, diagnosis', 'erp'), "1|$WAITS", 'erp: diagnosis');
is(leak(q{slot_time = longest_pause AND slot_time BETWEEN '2 s' AND '4 s'}, 'erp'), 't',
	'erp: a pause that was noted before is put down once');

#
# A transaction that is too old between two rows.
#
my $export = client('export', 'BEGIN', 'DECLARE d CURSOR FOR SELECT generate_series(1, 1000000)');
until ($export->{closed_at})
{
	$export->try_query('FETCH 10 FROM d');
	usleep(50_000);
	$export->is_open;
}
is($export->{error}->{H}, 'Split the work into shorter transactions, or ask for a rule that allows this program more.', 'export: HINT');
two_passes($node);
is(leak('count(*)', 'export'), '0', 'export: no leak');

# One that is too old because it was left.
$last = client('forgets', 'BEGIN', 'SELECT 1')->wait_closed;
is($last->{H}, "Split the work into shorter transactions, or ask for a rule that allows this program more. $NEVER_ENDS", 'forgets: HINT');
two_passes($node);
is(leak('ended, diagnosis', 'forgets'), "1|$NEVER_ENDS", 'forgets: diagnosis');

#
# A server that is shut down ends pauses, too, and says nothing of them.
#
my @open = map { client('open', 'BEGIN', 'SELECT 1') } 1 .. 3;
until_idle('open', 3, '2.5 s');
two_passes($node);
is(leak('sessions_now, ended', 'open'), '3|0', 'open: noted');
$node->restart;
is(leak(q{slot_time BETWEEN '4.5 s' AND '60 s'}, 'open'), 't', 'open: slot_time outlives the server');
is(leak(q{longest_pause BETWEEN '1.5 s' AND '20 s'}, 'open'), 't', 'open: longest_pause, too');
is(leak('ended, diagnosis', 'open'), '0|', 'open: no advice');

unlike(join("\n", grep { /queue|erp|export/ } map { split /\n/ } slurp_file($node->logfile)),
	$ACCUSED, 'nobody else was accused in the log');

done_testing;
