
# Counters, leaks and events outlive the server: what is the same afterwards,
# and what may be lost, after each way in which it can end.

use PgHygiene;

my $node = new_node(
	'main',
	'restart_after_crash = on',
	'compute_query_id = off',
	'track_activity_query_size = 8192',
	"pg_hygiene.idle_in_transaction_timeout = '10min'",
	"pg_hygiene.rules = 'application=leak*: idle_in_transaction_timeout=50ms;"
	  . ' application=old: transaction_timeout=100ms;'
	  . ' application=capped: connections=1;'
	  . " application=watched: idle_in_transaction_timeout=50ms, mode=observe'");
my $FILE = $node->data_dir . '/pg_stat/pg_hygiene.stat';

# Ends n sessions by a limit; returns their pids in the order of their ends.
sub end_some
{
	my ($n) = @_;

	return map {
		# in one message, lest a slow machine end it between the two
		my $client = client('leak', "BEGIN; SELECT $_");

		die 'not ended' unless $client->wait_closed->{C} eq '25P03';
		$client->{pid};
	} 1 .. $n;
}

# Sessions of the test itself come and go between two looks.
my $mine = q{application_name <> current_setting('application_name')};
my %parts = (
	events => 'SELECT * FROM hygiene.events ORDER BY event_id',
	leaks => q{
		SELECT application_name, user_name, database_name, fingerprint, ended,
			first_seen, last_seen, clients, example_query, diagnosis
		FROM hygiene.leaks ORDER BY application_name, first_seen, fingerprint},
	applications => qq{
		SELECT application_name, peak_connections, peak_at, opened, closed,
			refused, terminated, evicted, cancelled, spared, transactions,
			mean_session
		FROM hygiene.applications WHERE $mine ORDER BY application_name},
	rules => 'SELECT rule, selectors, refused, ended, last_used FROM hygiene.rules',
	status => q{
		SELECT terminated, evicted, cancelled, spared, refused,
			refused_by_server, stats_since
		FROM hygiene.status});

sub history
{
	return map { $_ => one($parts{$_}) } keys %parts;
}

sub same_history
{
	my ($when, %before) = @_;
	my %after = history();

	is($after{$_}, $before{$_}, "$when: $_ are what they were")
	  for sort keys %parts;
	return;
}

my $consistent = q{
	SELECT bool_and(opened - closed = connections) FROM hygiene.applications};

sub event_ids
{
	return one(q{SELECT string_agg(event_id::text, ',' ORDER BY event_id)
		FROM hygiene.events});
}

# What the log says of a file that could not be used or written.
sub is_quiet
{
	my ($when, $position) = @_;

	unlike(
		slurp_file($node->logfile, $position || 0),
		qr/ignoring file|could not (?:read|write) file[^\n]*pg_hygiene|PANIC/,
		"$when: the log has no complaint");
	return;
}

#
# A clean restart: everything is there, and goes on where it was.
#
my $wide = "SELECT 'xx" . ("\xc3\xa4\xe2\x82\xac" x 800) . "'";
my @told = end_some(5);
for my $statement ("SELECT 'tab\there' -- comment", $wide)
{
	my $client = client('leak long', 'BEGIN', $statement);

	$client->wait_closed;
	push @told, $client->{pid};
}
my $cancelled = client('old', 'BEGIN');
$cancelled->try_query('SELECT pg_sleep(600)');
is($cancelled->{error}->{C}, '57014', 'a statement is cancelled');
push @told, $cancelled->{pid};
$cancelled->close;
my $first = client('capped');
my $refused = client('capped');
is($refused->{error}->{C}, '53300', 'a connection is refused');
$first->close;
my $watched = client('watched', 'BEGIN', 'SELECT 1');
until_row($node,
	q{SELECT outcome = 'observed' FROM hygiene.events WHERE application_name = 'watched'});
$watched->close;
until_row($node,
	"SELECT count(*) = 0 FROM hygiene.sessions WHERE $mine");

my %before = history();
is(one(q{SELECT string_agg(DISTINCT action || ' ' || outcome, ', '
		ORDER BY action || ' ' || outcome) FROM hygiene.events}),
	'cancel done, refuse done, terminate done, terminate observed',
	'there are events of several kinds');
my ($last_id) = one('SELECT max(event_id) FROM hygiene.events');
$node->restart;
same_history('clean restart', %before);
is( one(
		"SELECT string_agg(pid::text, ',' ORDER BY event_id) FROM hygiene.events
		WHERE outcome = 'done' AND action <> 'refuse'"),
	join(',', @told),
	'clean restart: each session that was told is there');
is(one("SELECT count(*) FROM hygiene.events WHERE pid = $told[0] AND query = 'BEGIN; SELECT 1'"),
	1, 'clean restart: with its statement');
is(one($consistent), 't', 'clean restart: nobody is counted who is gone');
{
	my $views = q{SELECT sum(length(query)) > 0 FROM hygiene.events
		UNION ALL SELECT sum(length(example_query)) > 0 FROM hygiene.leaks};

	is(($node->psql('postgres', $views))[1],
		"t\nt", 'clean restart: no text is cut inside a character');
}
end_some(1);
is(one('SELECT max(event_id) FROM hygiene.events'),
	$last_id + 1, 'clean restart: events are numbered on');
is( one(q{SELECT ended, last_seen > first_seen FROM hygiene.leaks
		WHERE application_name = 'leak'}),
	'6|t',
	'clean restart: a leak that goes on is the same leak');

# Two more in a row, the second without anything new.
%before = history();
$node->restart for 1 .. 2;
same_history('two restarts', %before);

#
# Sessions are being ended while the server stops: whoever was told is there.
#
my %seen;
for my $round (1 .. 3)
{
	my @clients = map { client('leak racing') } 1 .. 25;

	$_->query('BEGIN') for @clients;
	$clients[0]->wait_closed;
	$node->stop('fast');
	my @words = map { ($_->wait_closed || {})->{C} || '' } @clients;
	my @ended = grep { $words[$_] eq '25P03' } 0 .. $#clients;

	note scalar(@ended), ' of ', scalar(@clients), ' were ended by the limit';
	$node->start;
	is( one(sprintf q{
			SELECT count(*) FROM hygiene.events
			WHERE outcome = 'done' AND reason = 'idle_in_transaction_timeout'
				AND application_name = 'leak racing' AND pid IN (%s)},
			join ',', map { $clients[$_]->{pid} } @ended),
		scalar(@ended),
		"stopped while sessions are ended, $round: nothing that was told is lost");
}
is( one(q{SELECT count(*) FROM hygiene.events
		WHERE application_name = 'leak racing' AND outcome = 'done'}),
	one(q{SELECT terminated FROM hygiene.applications
		WHERE application_name = 'leak racing'}),
	'stopped while sessions are ended: counters agree with events');
is(one(q{SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'}),
	0, 'stopped while sessions are ended: no outcome stays open');

#
# Immediate shutdown: at least what the file had is there.
#
$node->restart;
%before = history();
end_some(2);
$node->stop('immediate');
$node->start;
like(
	one($parts{events}),
	qr/^\Q$before{events}\E/,
	'immediate shutdown: what was written before is there');
is(one('SELECT count(*) = count(DISTINCT event_id) FROM hygiene.events'),
	't', 'immediate shutdown: each event has its number');
is(one($consistent), 't', 'immediate shutdown: counters are consistent');
is(scalar(end_some(1)), 1, 'immediate shutdown: limits act');

#
# A backend crashes: the file stays, what is in it is there again.
#
$node->restart;
%before = history();
my $written = (stat $FILE)[1];
end_some(2);
my $bystander = client('bystander', 'BEGIN', 'SELECT 1');
my $victim = client('victim');
my $position = log_position($node);
kill 'KILL', $victim->{pid};
$_->wait_closed for $victim, $bystander;
wait_log($node, qr/database system is ready to accept connections/, $position);
same_history('crash of a backend', %before);
is((stat $FILE)[1], $written, 'crash of a backend: it wrote nothing');
is(one($consistent), 't', 'crash of a backend: nobody is counted who is gone');
my @after_crash = end_some(2);
$node->restart;
is( one(q{SELECT string_agg(pid::text, ',') FROM
		(SELECT pid FROM hygiene.events ORDER BY event_id DESC LIMIT 2) e}),
	join(',', reverse @after_crash),
	'crash of a backend: what came afterwards is written again');

#
# The counters of a rule are those of its number with its content.
#
my $rules = one('SHOW pg_hygiene.rules');
my $of_rules = q{
	SELECT string_agg(refused || ' ' || ended, ',' ORDER BY rule) FROM hygiene.rules};
my $counted = one($of_rules);
like($counted, qr/^0 [1-9]\d*,0 1,1 0,0 0$/, 'rules were used');
$node->stop;
$node->append_conf('postgresql.conf',
	"pg_hygiene.rules = '" . $rules =~ s/application=old/application=young/r . q{'});
$node->start;
is(one($of_rules), $counted =~ s/,0 1,/,0 0,/r,
	'a rule that was changed while the server was down begins anew, no other');
$node->append_conf('postgresql.conf', "pg_hygiene.rules = '$rules'");
$node->restart;

#
# Sizes that change.
#
sub restart_with
{
	my (%settings) = @_;

	$node->append_conf('postgresql.conf', "pg_hygiene.$_ = $settings{$_}")
	  for keys %settings;
	$node->restart;
	return;
}

my @ids = split /,/, event_ids();
$last_id = $ids[-1];
restart_with(max_events => 3);
is(event_ids(), join(',', @ids[ -3 .. -1 ]), 'max_events lowered: the newest stay');
end_some(1);
$node->restart;
is( event_ids(),
	join(',', $last_id - 1, $last_id, $last_id + 1),
	'max_events lowered: the oldest give way');
restart_with(max_events => 1);
is(event_ids(), $last_id + 1, 'max_events = 1');
restart_with(max_events => 5000);
is(event_ids(), $last_id + 1, 'max_events raised: what was there stays');
end_some(2);
$node->restart;
is( event_ids(),
	join(',', map { $last_id + $_ } 1 .. 3),
	'max_events raised: there is room for more');

# Each look at the sum is itself a session.
my $sums = q{SELECT sum(opened), sum(terminated), sum(cancelled), sum(refused)
	FROM hygiene.applications};

sub plus_sessions
{
	my ($sum, $n) = @_;
	my ($opened, $rest) = split /\|/, $sum, 2;

	return $opened + $n . "|$rest";
}

client("app $_")->close for 1 .. 12;
my $sum = one($sums);
restart_with(max_applications => 4);
is(one($sums), plus_sessions($sum, 1),
	'max_applications lowered: nothing is lost from the totals');
is( one(q{SELECT count(*), count(DISTINCT application_name),
		bool_or(application_name = '(other applications)')
		FROM hygiene.applications}),
	'5|5|t',
	'max_applications lowered: the rest is summed under one name');
my $names = one(
	q{SELECT string_agg(application_name, ',' ORDER BY application_name)
		FROM hygiene.applications});
$node->restart;
is( one(q{SELECT string_agg(application_name, ',' ORDER BY application_name)
		FROM hygiene.applications}),
	$names,
	'max_applications lowered: each name keeps its row through a restart');
client('one more')->close;
is( one(q{SELECT count(*) FROM hygiene.applications
		WHERE application_name = '(other applications)'}),
	1,
	'max_applications lowered: the rest still has one row');
restart_with(max_applications => 1000);
is(one($sums), plus_sessions($sum, 7),
	'max_applications raised: nothing is lost from the totals');
client('yet another')->close;
$node->restart;
is( one(q{SELECT count(*) - count(DISTINCT application_name),
		bool_or(application_name = 'yet another')
		FROM hygiene.applications}),
	'0|t',
	'max_applications raised: a new name has a row of its own');

# A client may call itself what it likes.
client('(other applications)')->close;
$node->restart;
is(one($sums), plus_sessions($sum, 11),
	'a client that takes the name of the rest: nothing is lost');

#
# A standby has its own history, and keeps it when it is promoted.
#
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;

sub end_on_standby
{
	my $client = client('leak', on => $standby);

	$client->query('BEGIN');
	$client->wait_closed;
	return $client->{pid};
}

my @pids = end_on_standby();

sub check_standby
{
	my ($when) = @_;

	is( $standby->safe_psql(
			'postgres', sprintf q{
			SELECT count(DISTINCT pid) FROM hygiene.events
			WHERE outcome = 'done' AND pid IN (%s)}, join ',', @pids),
		scalar(@pids),
		"$when: its history is there");
	return;
}

$standby->restart;
check_standby('restarted standby');
push @pids, end_on_standby();
$standby->promote;
until_row($standby, 'SELECT NOT pg_is_in_recovery()');
check_standby('promoted standby');
push @pids, end_on_standby();
$standby->restart;
check_standby('promoted and restarted');
$standby->stop;
is(one('SELECT max(event_id) FROM hygiene.events'),
	$last_id + 3, 'the primary has no part in it');

#
# pg_upgrade: the new server has no history, or the old one; it starts.
#
is_quiet('so far');
$node->stop;
my $bindir = $node->config_data('--bindir');

SKIP:
{
	skip "pg_upgrade needs vacuumdb, and $bindir has none", 5
	  unless -x "$bindir/vacuumdb";

	my $new = PostgreSQL::Test::Cluster->new('new');
	$new->init;
	$new->append_conf('postgresql.conf',
		"shared_preload_libraries = 'pg_hygiene'");
	command_ok(
		[
			'pg_upgrade', '--no-sync',
			'-d' => $node->data_dir,
			'-D' => $new->data_dir,
			'-b' => $bindir,
			'-B' => $bindir,
			'-s' => $new->host,
			'-p' => $node->port,
			'-P' => $new->port
		],
		'pg_upgrade of a server with pg_hygiene');
	$new->start;
	cmp_ok(worker_pid($new), '>', 0, 'pg_upgrade: the new server works');
	is( $new->safe_psql(
			'postgres', q{
			SELECT count(*) FROM hygiene.events
			WHERE outcome = 'done'}),
		0,
		'pg_upgrade: nothing was done to its own clients');
	$new->stop;

	# Somebody may carry the file over by hand.
	system('cp', $FILE, $new->data_dir . '/pg_stat/') == 0 or die "cp: $?";
	$new->start;
	is( $new->safe_psql('postgres', 'SELECT max(event_id) FROM hygiene.events'),
		$last_id + 3, 'pg_upgrade: a file that is carried over is read');
	$new->stop;
	unlike(
		slurp_file($new->logfile),
		qr/PANIC|was terminated by signal/,
		'pg_upgrade: nothing crashed');
}

done_testing();
