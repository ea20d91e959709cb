
# The process id of a session that a limit is about to end belongs to somebody
# else a moment later: no signal reaches him, be he a session or any other
# process of the same user.
#
# All of it runs in a process namespace of its own, where the test can say which
# id the next process gets.  Skipped where there are none for ordinary users.

use strict;
use warnings;

my $last_pid;

# Before anything else is loaded, which would turn the output elsewhere.
BEGIN
{
	$last_pid = '/proc/sys/kernel/ns_last_pid';
	my @alone =
	  qw(unshare --user --map-current-user --keep-caps --pid --fork --kill-child);

	if (!$ENV{PGH_NAMESPACE})
	{
		if (system("@alone sh -c 'echo 4000 >$last_pid' 2>/dev/null") != 0)
		{
			print "1..0 # SKIP no process namespaces for ordinary users here\n";
			exit 0;
		}
		$ENV{PGH_NAMESPACE} = 1;

		# The first process in there has to take care of orphans; a shell does.
		exec @alone, 'bash', '-c', '"$@"; exit $?', 'bash', $^X, $0;
	}
}

use PgHygiene;
use Time::HiRes qw(time sleep);

my $ROUNDS = $ENV{PGH_LONG} ? 400 : 150;
my $LIMIT = 0.02;

my $node = new_node(
	'main',
	'autovacuum = off',
	'pg_hygiene.max_events = 10000',
	"pg_hygiene.idle_in_transaction_timeout = '20ms'");
my $worker = worker_pid($node);
my %seen = map { $_ => 0 } qw(process session ended left waited);
my (@killed, @lost);

# Reading the events shares the lock that the worker takes between its look at
# a session and the signal, which widens the window.
my $reader = client('reader');
$reader->send_query(
	q{DO $$BEGIN
		FOR i IN 1 .. 100000000 LOOP PERFORM count(*) FROM hygiene.events; END LOOP;
	END$$});

sub next_process_gets
{
	my ($pid) = @_;

	open my $file, '>', $last_pid or return 0;
	print $file $pid - 1;
	return close $file;
}

sub sleep_until
{
	my ($when) = @_;
	my $left = $when - time;

	sleep $left if $left > 0;
	return;
}

# A process that SIGUSR2 would end; returns its id, or 0 if it got another one.
sub any_process
{
	my ($wanted) = @_;
	my $pid;

	next_process_gets($wanted) or die "$last_pid: $!";
	$pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		$SIG{USR2} = 'DEFAULT';
		sleep 60;
		kill 'KILL', $$;
	}
	return $pid if $pid == $wanted;
	kill 'KILL', $pid;
	waitpid $pid, 0;
	return 0;
}

# A session in a transaction that is younger than the limit.
sub any_session
{
	my ($wanted) = @_;
	my $client;

	next_process_gets($wanted) or die "$last_pid: $!";
	$client = client('heir');
	return $client if $client->{pid} == $wanted;
	$client->close;
	return;
}

# The worker is stopped at about the time at which it decides.  Then the client
# leaves, its process exits, if it can, and another one gets its id.
sub race
{
	my ($round) = @_;
	my $client = client('leaker');
	my $pid = $client->{pid};
	my $heir;

	$client->query('BEGIN');
	sleep_until($client->{replied_at} + $LIMIT + 0.0008 + rand 0.0015);
	kill 'STOP', $worker;
	$seen{ $client->is_open ? 'left' : 'ended' }++;
	close $client->socket;
	if (!processes_gone(0.03, $pid))
	{
		# It wants the lock that the worker holds.
		$seen{waited}++;
	}
	elsif ($round % 4)
	{
		$heir = any_process($pid);
		$seen{process}++ if $heir;
	}
	else
	{
		# It needs the lock of the events no more than the worker has it.
		$heir = any_session($pid);
		$seen{session}++ if $heir;
	}
	kill 'CONT', $worker;
	if (ref $heir)
	{
		push @lost, $heir->{error}{M} // 'closed' if !eval { $heir->query('SELECT 1') };
		$heir->close;
	}
	elsif ($heir)
	{
		# what it was about to do, it has done
		sleep 0.003;
		kill 'KILL', $heir;
		waitpid $heir, 0;
		push @killed, $? & 127 if ($? & 127) != 9;
	}
	processes_gone($PostgreSQL::Test::Utils::timeout_default, $pid)
	  or die "process $pid did not exit";
	return;
}

race($_) for 1 .. $ROUNDS;
note join ', ', map { "$_: $seen{$_}" } sort keys %seen;
cmp_ok($seen{process}, '>', $ROUNDS / 8, 'ids were given to other processes');
cmp_ok($seen{session}, '>', $ROUNDS / 40, 'and to other sessions');
is("@killed", '', 'no process got a signal that was meant for a session');
is("@lost", '', 'no session was ended in the place of another');

$node->safe_psql('postgres', "SELECT pg_terminate_backend($reader->{pid})");
until_row($node, q{SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'}, '0');
is( $node->safe_psql(
		'postgres',
		q{SELECT count(*) FROM hygiene.events WHERE application_name <> 'leaker'}),
	'0',
	'nobody but those who left their transactions idle has an event');
$node->stop;
done_testing();
