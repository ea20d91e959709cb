
# Processes that are stopped, terminated and killed at bad moments, settings
# that change in a storm, objects that vanish under load: no session is lost,
# no request stays open, and the counters are right afterwards.
#
# Restarts with other sizes are in 007_restart.t, standbys and promotion in
# 006_standby.t, the file that history is kept in in 060_history.t.

use PgHygiene;
use Time::HiRes qw(time);

my $node = new_node(
	'main',
	'restart_after_crash = on',
	'max_worker_processes = 8',
	'autovacuum = off');

# A worker without a database is not in pg_stat_activity; its title tells.
sub process_titled
{
	my ($title) = @_;

	for my $file (glob '/proc/[0-9]*/cmdline')
	{
		my ($pid) = $file =~ /(\d+)/;

		# it may be gone meanwhile
		open my $handle, '<', $file or next;
		my $line = <$handle> // '';
		open $handle, '<', "/proc/$pid/stat" or next;
		my ($parent) = (<$handle> // '') =~ /\) \S (\d+)/;

		return $pid
		  if $line =~ /\Q$title\E/ && ($parent // 0) == $node->{_pid};
	}
	return 0;
}

sub until_worker_other_than
{
	my ($before) = @_;

	until_row($node,
		"SELECT worker_pid <> $before FROM hygiene.status");
	return;
}

# Nobody else is connected: what was opened is closed.
sub exact
{
	my ($when) = @_;

	until_row($node,
		q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'client backend'});
	is( one(q{SELECT coalesce(sum(connections), 0), coalesce(sum(opened - closed), 0)
			FROM hygiene.applications WHERE application_name <> current_setting('application_name')}
		),
		'0|0',
		"$when: whoever was opened is closed, and nobody is counted");

	# the one that looked before may still be leaving
	ok( $node->poll_query_until('postgres',
			q{SELECT connections, opened - closed FROM hygiene.applications
			WHERE application_name = current_setting('application_name')},
			'1|1'),
		"$when: but for the one that looks");
	is(one(q{SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'}),
		'0', "$when: no event is left pending");
	return;
}

sub counters
{
	my ($application) = @_;

	return one(qq{SELECT terminated, cancelled FROM hygiene.applications
		WHERE application_name = '$application'});
}

# Idle in a transaction, which the limit is too long to end before we are back.
sub leak
{
	my ($application, @statements) = @_;

	configure($node, idle_in_transaction_timeout => '10min');
	return client($application, 'BEGIN', @statements);
}

# One whose request cannot be answered: its process is stopped.
sub stopped_victim
{
	my ($application) = @_;
	my $victim = leak($application);

	kill 'STOP', $victim->{pid};
	configure($node, idle_in_transaction_timeout => '100ms');
	until_row($node,
		"SELECT count(*) FROM hygiene.events WHERE pid = $victim->{pid} AND outcome = 'pending'",
		'1');
	return $victim;
}

#
# The worker is terminated while a request is open.
#
my $before = worker_pid($node);
my $victim = stopped_victim('stopped');
my $cancelled = client('cancelled');
kill 'TERM', $before;
until_worker_other_than($before);
ok($victim->is_open, 'worker terminated: a stopped victim is still there');
is(outcomes($node, 'stopped'), 'pending', 'and its request pending');
kill 'CONT', $victim->{pid};
is($victim->wait_closed->{C}, '25P03', 'it answers the old request');
until_row($node,
	"SELECT outcome FROM hygiene.events WHERE application_name = 'stopped'",
	'done');
is(outcomes($node, 'stopped'), 'done', 'that is recorded once');
is(counters('stopped'), '1|0', 'and counted once');
$cancelled->close;

# How long is nobody watching?  Of three times the shortest, for what takes
# longer is this machine, not the second after which PostgreSQL starts it anew.
my $absent;
for my $try (1 .. 3)
{
	$before = worker_pid($node);
	my $leak = client("unwatched $try", 'BEGIN');
	my $since = time;

	kill 'TERM', $before;
	is($leak->wait_closed->{C}, '25P03',
		"worker terminated, time $try: the limit acts all the same");
	until_worker_other_than($before);
	my $took = time - $since;
	note sprintf 'a session in a transaction was ended, and the new worker seen, after %.2f s',
	  $took;
	$absent = $took if !defined $absent || $took < $absent;
}
cmp_ok($absent, '<', 2, 'the worker comes back within two seconds');

# A worker after the other, beside clients that go back to work about when
# their limit is over: requests are pending and spared at any moment.
{
	# Its first idleness may be over before this process hears of its begin.
	my $new_racer = sub {
		my $client = client('racer');

		$client->try_query('BEGIN');
		return $client;
	};
	my %racers = map { $_ => $new_racer->() } 1 .. 8;
	my $ended = 0;
	my $opened = 8;
	my $served = 0;

	configure($node, idle_in_transaction_timeout => '30ms');
	for my $round (1 .. 3)
	{
		$before = worker_pid($node);
		my $turns = 20;

		kill 'TERM', $before;
		for my $turn (1 .. $turns)
		{
			for my $i (sort keys %racers)
			{
				my $racer = $racers{$i};
				my $due = $racer->{replied_at} + 0.0295 + rand 0.003;
				my $left = $due - time;

				select undef, undef, undef, $left if $left > 0;
				if ($racer->is_open)
				{
					$racer->try_query('SELECT 1');
				}
				if ($racer->{closed_at})
				{
					$ended++;
					$racers{$i} = $new_racer->();
					$opened++;
				}
				else
				{
					$served++;
				}
			}
		}
		until_worker_other_than($before);
	}
	for my $racer (values %racers)
	{
		$racer->try_query('ROLLBACK') if $racer->is_open;
		$ended++ if $racer->{closed_at};
		$racer->close;
	}
	note "$served statements were served, $ended sessions ended";
	until_row($node,
		q{SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'}, '0');
	is( one(q{SELECT opened, terminated FROM hygiene.applications
			WHERE application_name = 'racer'}),
		"$opened|$ended",
		'racing clients and three new workers: each session and each end is counted');
}
exact('after seven workers');

#
# A backend is killed, with requests open: all begins anew.
#
configure($node, idle_in_transaction_timeout => '100ms');
my $position;
my @victims = map { stopped_victim('crashing') } 1 .. 3;
my @bystanders = map { client('bystander') } 1 .. 3;
$before = worker_pid($node);
kill 'CONT', map { $_->{pid} } @victims[ 1, 2 ];
kill 'KILL', $victims[0]->{pid};
$_->wait_closed for @victims, @bystanders;
until_worker_other_than($before);
exact('after a backend was killed with its request open');
my $again = client('crashing', 'BEGIN');
is($again->wait_closed->{C}, '25P03', 'and limits act');
like( one(q{SELECT opened, opened - closed, connections FROM hygiene.applications
		WHERE application_name = 'crashing'}),
	qr/^[1-4]\|0\|0$/,
	'the crash took what was counted since the file was last written, at most');

# The worker itself is killed, and the one that writes the history.
for my $name ('pg_hygiene worker', 'pg_hygiene history')
{
	my $pid = process_titled($name) or die "there is no $name";
	my $bystander = client('bystander', 'BEGIN');

	$before = worker_pid($node);
	kill 'KILL', $pid;
	$bystander->wait_closed;
	until_worker_other_than($before);
	exact("after the $name was killed");
}

#
# The postmaster is killed: nobody stays.
#
configure($node, idle_in_transaction_timeout => '10min');
my @idle = (client('orphan'), client('orphan', 'BEGIN'));
my @processes = (
	worker_pid($node),
	process_titled('pg_hygiene history'),
	map { $_->{pid} } @idle);
is(scalar(grep { $_ > 0 && kill 0, $_ } @processes),
	4, 'two clients and both workers of ours are there');
$node->kill9;
ok(processes_gone($PostgreSQL::Test::Utils::timeout_default, @processes), 'postmaster killed: no process stays');
$_->wait_closed for @idle;
$node->start;
configure($node, idle_in_transaction_timeout => '100ms');
exact('after the postmaster was killed');
is(client('after', 'BEGIN')->wait_closed->{C}, '25P03', 'and limits act');

#
# Shutdown with a request open.
#
for my $mode (qw(fast immediate))
{
	my $victim = stopped_victim("$mode shutdown");
	$position = log_position($node);

	# pg_ctl would wait for the one that is stopped.
	system_or_bail('pg_ctl', '--no-wait', '-s', '-D', $node->data_dir,
		'-m', $mode, 'stop');
	wait_log($node, qr/received $mode shutdown request/, $position);
	kill 'CONT', $victim->{pid};
	my $last = $victim->wait_closed;
	like(
		$last ? $last->{C} : '',
		qr/^(25P03|57P0[12]|)$/,
		"$mode shutdown with a request open: the victim hears why");
	ok(processes_gone($PostgreSQL::Test::Utils::timeout_default, $node->{_pid}), 'the server stops');
	$node->_update_pid(0);
	unlike(
		slurp_file($node->logfile, $position),
		qr/PANIC|was terminated by signal|TRAP/,
		'nothing crashed');
	$node->start;

	# Which of the two signals comes first is nobody's to say.
	my $told = ($last ? $last->{C} : '') eq '25P03' ? 'done' : 'spared';
	like(outcomes($node, "$mode shutdown"),
		$mode eq 'fast' ? qr/^$told$/ : qr/^(done|spared|)$/,
		"after a $mode shutdown the event says what the victim heard");
	exact("after a $mode shutdown");
}

#
# 200 reloads, each with other rules, beside clients that come and go.
#
{
	my $postmaster = slurp_file($node->data_dir . '/postmaster.pid');
	my @rules = (
		q{application=reload-?: idle_in_transaction_timeout=50ms, connections=90},
		q{application=none: reserve=3; application=reload-1: connect_rate=5000},
		q{application=reload-2: exempt; application=*: mode=observe},
		q{application=*: transaction_timeout=1h; address=local: idle_session_timeout=1h},
		q{no rule at all},
		q{});
	my ($opened, $ended) = (0, 0);
	my @open;

	($postmaster) = $postmaster =~ /^(\d+)/;
	$node->append_conf('postgresql.conf', "include_if_exists = 'storm.conf'");
	configure($node, idle_in_transaction_timeout => '20s');
	$before = worker_pid($node);
	$position = log_position($node);
	for my $i (1 .. 200)
	{
		my $rules = $rules[ $i % @rules ];

		# renamed, since the server may be reading it
		append_to_file($node->data_dir . "/storm.$i",
			"pg_hygiene.rules = '$rules'\n"
			  . 'pg_hygiene.connections_per_application = '
			  . 50 * ($i % 2) . "\n");
		rename $node->data_dir . "/storm.$i", $node->data_dir . '/storm.conf'
		  or die "rename: $!";
		kill 'HUP', $postmaster;
		push @open,
		  client('reload-' . $i % 3, $i % 4 ? 'BEGIN' : 'SELECT 1');
		$opened++;
		next if @open < 10;
		my $client = shift @open;

		$ended++ unless $client->is_open;
		$client->close;
	}
	$_->close for @open;
	is(worker_pid($node), $before, '200 reloads: the worker is the same');
	is( one(q{SELECT sum(opened - closed), sum(connections), sum(opened)
			FROM hygiene.applications WHERE application_name LIKE 'reload-_'}),
		"0|0|$opened",
		"200 reloads: exact counters ($ended sessions were ended)");
	my $log = slurp_file($node->logfile, $position);
	my $bad = () = $log =~ /invalid value for parameter "pg_hygiene.rules"/g;

	cmp_ok($bad, '>', 0, 'rules that do not parse are refused');
	unlike($log, qr/PANIC|TRAP|was terminated by signal/, 'nothing crashed');

	append_to_file($node->data_dir . '/storm.last',
		"pg_hygiene.rules = 'application=last: idle_in_transaction_timeout=50ms'\n");
	rename $node->data_dir . '/storm.last', $node->data_dir . '/storm.conf'
	  or die "rename: $!";
	$node->reload;
	is(client('last', 'BEGIN')->wait_closed->{C},
		'25P03', 'after the storm the last rules hold');
	unlink $node->data_dir . '/storm.conf';
	$node->reload;
	exact('after 200 reloads');
}

#
# A session that waits for a standby while it commits is asked again and again,
# and then does not answer at all: the worker waits for it as for any other.
#
SKIP:
{
	my $worker = worker_pid($node);

	skip 'no /proc on this machine', 2 unless -r "/proc/$worker/stat";
	my $ticks = sub {
		my @fields = split / /, slurp_file("/proc/$worker/stat") =~ s/.*\) //sr;

		return $fields[11] + $fields[12];
	};

	$node->safe_psql('postgres', 'CREATE TABLE committed AS SELECT 1 AS i; GRANT ALL ON committed TO app');
	configure($node, transaction_timeout => '200ms');
	$node->safe_psql('postgres',
		q{ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()});
	until_row($node, 'SHOW synchronous_standby_names', 'nobody');

	my $client = client('committer');
	$client->send_query('INSERT INTO committed VALUES (2)');
	until_row($node,
		"SELECT count(*) = 1 FROM hygiene.events WHERE pid = $client->{pid} AND outcome = 'pending'");
	kill 'STOP', $client->{pid};

	# it is asked once a second at the latest
	select undef, undef, undef, 1.2;
	my $used = $ticks->();
	select undef, undef, undef, 1;
	$used = $ticks->() - $used;
	cmp_ok($used, '<=', 20, 'the worker does not spin while it waits for an answer');
	kill 'CONT', $client->{pid};
	configure($node, transaction_timeout => undef);
	$node->safe_psql('postgres',
		'ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()');
	$client->wait_ready;
	is($client->{error}, undef, 'and the commit is not cancelled');
	$client->close;
	exact('after a commit that waited');
}

#
# The extension is dropped, created and upgraded while its views are read, and
# its database is dropped: the library goes on.
#
{
	$node->safe_psql('postgres', 'CREATE DATABASE doomed');
	$node->safe_psql('doomed', 'CREATE EXTENSION pg_hygiene');
	configure($node, idle_in_transaction_timeout => '100ms');

	my @readers = map {
		client('reader', dbname => 'doomed')
	} 1 .. 4;
	my @views = qw(status sessions applications events leaks rules horizon samples);
	my $earlier = earlier_version(
		one(q{SELECT default_version FROM pg_available_extensions WHERE name = 'pg_hygiene'}));
	my @steps = (
		'DROP EXTENSION pg_hygiene; DROP SCHEMA IF EXISTS hygiene',
		"CREATE EXTENSION pg_hygiene VERSION '$earlier'",
		'ALTER EXTENSION pg_hygiene UPDATE');
	my ($answered, $missing, $ended) = (0, 0, 0);
	my %other;

	for my $i (1 .. 24)
	{
		$_->send_query('SELECT * FROM hygiene.' . $views[ rand @views ])
		  for @readers;
		$node->safe_psql('doomed', $steps[ ($i - 1) % @steps ]);
		for my $reader (@readers)
		{
			$reader->wait_ready;
			my $state = $reader->{error} ? $reader->{error}->{C} : '';

			$answered++ if $state eq '';
			$missing++ if $state =~ /^(42P01|42883|3F000)$/;
			$other{$state}++ if $state !~ /^(|42P01|42883|3F000|XX000)$/;
		}
		next if $i % 5;
		my $leak = client('leak', dbname => 'doomed');
		$leak->query('BEGIN');
		$ended++ if $leak->wait_closed->{C} eq '25P03';
	}
	note "$answered answers, $missing times there was no view";
	is(join(',', %other), '', 'DROP, CREATE and ALTER EXTENSION under load: no other error');
	is($ended, 4, 'and limits act all the time, with or without it');

	$before = worker_pid($node);
	$_->close for @readers[ 0, 1 ];
	my $inside = client('inside', dbname => 'doomed');
	$inside->query('BEGIN');
	is($inside->wait_closed->{C}, '25P03', 'a leak in that database is ended');
	$node->safe_psql('postgres', 'DROP DATABASE doomed WITH (FORCE)');
	is($readers[2]->wait_closed->{C}, '57P01',
		'DROP DATABASE: its sessions end for its own reason');
	is(worker_pid($node), $before, 'and the worker is not in its way');
	is( one(q{SELECT count(*) FROM hygiene.events
			WHERE application_name = 'inside' AND database_name = 'doomed'}),
		'1',
		'what happened in it is still known');
	exact('after DROP DATABASE');
}

#
# Names: bytes of all kinds, 63 of them and more.
#
{
	my %name = (
		'63 bytes of two-byte characters' => "\xc3\xa9" x 31 . 'x',
		'64 bytes of four-byte characters' => "\xf0\x9f\x90\x98" x 16,
		'200 bytes' => "\xe2\x82\xac" x 66 . 'ab',
		'0 bytes' => '',
		'control characters' => "a\tb\nc\x01d\x7fe\x1b[31m",
		'half a character' => 'x' x 62 . "\xc3\xa9",
		'bytes that are no text' => "\xff\xfe\xfd",
		'quotes and patterns' => q{*?'"%s%n\\;:=,});

	configure(
		$node,
		idle_in_transaction_timeout => '200ms',
		rules => 'application="*[*": connections=1000');
	for my $what (sort keys %name)
	{
		my $client = client($name{$what});
		my $pid = $client->{pid};

		is($client->{error}, undef, "application name of $what: welcome");
		is( one(qq{SELECT a.application_name = b.application_name,
				(SELECT connections > 0 FROM hygiene.applications c
					WHERE c.application_name = b.application_name)
				FROM pg_stat_activity a, hygiene.sessions b
				WHERE a.pid = $pid AND b.pid = $pid}),
			't|t',
			'shown and counted as PostgreSQL shows it');
		$client->query('BEGIN');
		my $last = $client->wait_closed;

		is($last->{C}, '25P03', 'the limit acts');
		like($last->{D}, qr/^(Application "|A client without)/,
			'the message is whole');
		is( one(qq{SELECT count(*) FROM hygiene.events
				WHERE pid = $pid AND action = 'terminate'}),
			'1',
			'and the event');
	}

	# It takes other names in mid-session, one at each pass.
	my $renamed = client('first');
	for my $what (sort keys %name)
	{
		next if $what =~ /no text|half/;
		my $literal = $name{$what} =~ s/'/''/gr;

		$renamed->query("SET application_name = E'" . $literal =~ s/\\/\\\\/gr . "'");
		until_row($node,
			qq{SELECT connections > 0 FROM hygiene.applications c
			WHERE c.application_name = (SELECT application_name
				FROM pg_stat_activity WHERE pid = $renamed->{pid})});
	}
	$renamed->close;

	# Roles and databases keep their bytes.
	my $wide = "\xc3\xa9" x 31 . 'x';
	my $creator = client('creator', user => one('SELECT current_user'));
	$creator->query(qq{CREATE ROLE "$wide" LOGIN});
	$creator->query(qq{CREATE DATABASE "$wide"});
	configure($node, idle_in_transaction_timeout => '10min');
	my $guest = PgHygiene::Client->new(
		$node,
		user => $wide,
		dbname => $wide,
		application => 'guest');
	$guest->query('BEGIN');
	is( one(qq{SELECT octet_length(user_name), octet_length(database_name)
			FROM hygiene.sessions WHERE pid = $guest->{pid}}),
		'63|63',
		'a role and a database of 63 bytes');
	configure($node,
		rules => qq{user=$wide database=*\xc3\xa9x: idle_in_transaction_timeout=50ms});
	my $last = $guest->wait_closed;
	like($last->{D}, qr/rule 1/, 'a rule with such names acts');
	$creator->close;
	configure($node, rules => undef);
	exact('after names of all kinds');
}

#
# track_activity_query_size: the texts of queries are as long as that.
#
for my $size (100, 1048576, 1024)
{
	$node->append_conf('postgresql.conf', "track_activity_query_size = $size");
	$node->restart;
	my $application = "query size $size";
	my $leak = leak($application,
		"SELECT 1 /* " . "\xe2\x82\xac" x 20000 . ' */');

	configure($node, idle_in_transaction_timeout => '100ms');
	is($leak->wait_closed->{C}, '25P03', "$application: limits act");
	is( one(qq{SELECT starts_with(query, 'SELECT 1 /*'),
			octet_length(query) BETWEEN 90 AND @{[ $size < 1024 ? $size : 1024 ]},
			length(query) > 0 AND query !~ E'[^ -~\\u20ac]'
			FROM hygiene.events WHERE application_name = '$application'}),
		't|t|t',
		"$application: the event has as much as fits, in whole characters");
	is( one(qq{SELECT count(*), bool_and(length(example_query) > 0)
			FROM hygiene.leaks WHERE application_name = '$application'}),
		'1|t',
		"$application: and so has hygiene.leaks");
	is( one(q{SELECT count(*) > 0 FROM hygiene.sessions WHERE length(query) > 0}),
		't', "$application: sessions show theirs");
}

#
# A limit in the middle of something.
#
$node->safe_psql('postgres',
	'CREATE TABLE t (a int); GRANT ALL ON t TO app; INSERT INTO t SELECT generate_series(1, 200000); ANALYZE t'
);
configure(
	$node,
	idle_in_transaction_timeout => '0',
	transaction_timeout => '300ms',
	cancel_grace => '300ms');

my $copying = client('copying');
$copying->copy_in('COPY t FROM STDIN');
is($copying->wait_closed->{C}, '25P04',
	'COPY that waits for its client: ended when the grace is over');

my $scattered = client('parallel',
	'SET parallel_setup_cost = 0',
	'SET parallel_tuple_cost = 0',
	'SET min_parallel_table_scan_size = 0',
	'SET max_parallel_workers_per_gather = 2');
$scattered->try_query('SELECT count(pg_sleep(0.001)) FROM t');
is($scattered->{error}->{C}, '57014', 'parallel query: cancelled');
until_row($node,
	q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'},
	'0');
pass('its workers are gone');
configure(
	$node,
	idle_in_transaction_timeout => '1s',
	transaction_timeout => undef,
	cancel_grace => undef);
like(
	$scattered->query('EXPLAIN SELECT count(pg_sleep(0.001)) FROM t')->[1]->[0],
	qr/Gather/,
	'it was one');
$scattered->close;

# Where it is ended, this process was kept waiting; the next one may be luckier.
my $reader;
my $stays = 0;
for my $try (1 .. 10)
{
	$reader = client('cursor', 'BEGIN');
	$reader->try_query('DECLARE c CURSOR FOR SELECT * FROM t');
	my $until = time + 1.5;

	while (!$reader->{closed_at} && time < $until)
	{
		$reader->try_query('FETCH 10 FROM c');
		select undef, undef, undef, 0.02;
	}
	$stays = $reader->is_open;
	last if $stays;
}
ok($stays, 'a cursor that is read goes on beyond the limit');
is($reader->wait_closed->{C}, '25P03', 'and ends when it is not');
exact('in the end');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP: /, 'no assertion failed');
$node->stop;
done_testing();
