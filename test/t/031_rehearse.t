
# What hygiene.rehearse() says of some rules is what then happens to every
# session when they are enforced, and when; and rehearsing touches nobody.
#
# Three rounds at most: what happens must be right in each of them, and on
# time in one.

use PgHygiene;
use IO::Select;
use Time::HiRes qw(time);

my $ROUNDS = 3;
my $MEDIAN = 0.05;     # seconds between what was said and what came
my $LEAD_MS = 1500;    # from the rehearsal to the first limit

my $node = new_node(
	'main',
	"pg_hygiene.rules = ''",
	"pg_hygiene.idle_session_timeout = '30min'");

$node->safe_psql(
	'postgres', q{
	CREATE ROLE boss LOGIN SUPERUSER;
	CREATE ROLE report LOGIN;
	CREATE ROLE silent LOGIN;
	ALTER ROLE silent SET track_activities = off;
	CREATE TABLE t (i int);
	CREATE TABLE lock_web (i int);
	CREATE TABLE lock_keeper (i int);
	GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC});
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', 'CREATE TABLE t (i int); GRANT ALL ON t TO PUBLIC');
my $boss = PgHygiene::Client->new($node, user => 'boss');

# How to bring a session into a state.  The last statement of those that are
# at work is only sent.
my $SLEEP = 'SELECT pg_sleep(600)';
my %kinds = (
	idle => ['SELECT 1'],
	fresh => [],
	open => ['BEGIN'],
	read => [ 'BEGIN', 'SELECT count(*) FROM t' ],
	wrote => [ 'BEGIN', 'INSERT INTO t VALUES (1)' ],
	aborted => [ 'BEGIN', 'SELECT 1/0' ],
	snapshot => [ 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT count(*) FROM t' ],
	listening => ['LISTEN channel'],
	advisory => ['SELECT pg_advisory_lock(pg_backend_pid())'],
	holds_web => [ 'BEGIN', 'LOCK TABLE lock_web IN SHARE MODE' ],
	holds_keeper => [ 'BEGIN', 'LOCK TABLE lock_keeper IN SHARE MODE' ],
	at_work => [ 'BEGIN', $SLEEP ],
	at_work_alone => [$SLEEP],
	waits_web => ['INSERT INTO lock_web VALUES (1)'],
	waits_keeper => ['INSERT INTO lock_keeper VALUES (1)'],
);

# application, login role, database, kinds
my @troupe = (
	[ 'web', 'app', 'postgres', qw(idle fresh open read wrote aborted at_work at_work_alone listening advisory holds_web) ],
	[ 'web', 'report', 'shop', qw(idle open wrote at_work) ],
	[ 'web', 'boss', 'postgres', qw(idle open at_work) ],
	[ 'api', 'app', 'postgres', qw(idle open wrote listening) ],
	[ 'api', 'report', 'shop', qw(idle open aborted at_work) ],
	[ 'job', 'app', 'postgres', qw(open wrote at_work) ],
	[ 'batch', 'app', 'postgres', qw(idle open aborted at_work) ],
	[ 'dark', 'app', 'postgres', qw(open wrote) ],
	[ 'listener', 'app', 'postgres', qw(idle listening advisory open) ],
	[ 'keeper', 'app', 'postgres', qw(open wrote holds_keeper) ],
	[ 'old', 'app', 'postgres', qw(read snapshot) ],
	[ 'quiet', 'silent', 'postgres', qw(idle open) ],
	[ '', 'app', 'postgres', qw(idle open) ],
	[ 'waiter', 'app', 'postgres', qw(waits_web waits_keeper) ],
);

# Rules whose limits come $LEAD_MS after an age that nobody has reached.
sub rules_beyond
{
	my ($age_ms) = @_;
	my $after = sub { return $age_ms + $LEAD_MS + $_[0] . 'ms' };

	return join '; ',
	  'application=job: exempt',
	  'application=batch: mode=observe, idle_in_transaction_timeout=' . $after->(0),
	  'application=dark: mode=off, idle_in_transaction_timeout=' . $after->(0),
	  'application=web user=app: cancel_grace=30min, idle_in_transaction_timeout='
	  . $after->(300) . ', idle_session_timeout=' . $after->(400)
	  . ', transaction_timeout=' . $after->(500),
	  'application=web: idle_in_transaction_timeout=1h, idle_writer_timeout='
	  . $after->(100) . ', idle_blocker_timeout=' . $after->(200),
	  'user=report database=shop: cancel_grace=30min, transaction_timeout='
	  . $after->(0) . ', idle_in_transaction_timeout=' . $after->(50),
	  'application=listener: idle_session_timeout=' . $after->(150),
	  'application=keeper: idle_in_transaction_timeout=0, idle_blocker_timeout='
	  . $after->(250),
	  'application=old: horizon_limit=5',
	  'application="" user=app: idle_in_transaction_timeout=' . $after->(350);
}

# A limit of the rules rather than one that lies minutes ahead.
sub is_near
{
	my ($setting) = @_;

	return defined $setting && $setting !~ /min|h$/;
}

sub rows
{
	my ($sql) = @_;

	return @{ $boss->query($sql) };
}

# Wait for it in our own session, which takes less time than a new one.
sub until_own_row
{
	my ($sql, $expected) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	until ((rows($sql))[0]->[0] eq $expected)
	{
		die "did not happen in time: $sql" if time > $give_up;
	}
	return;
}

# The whole troupe, each of them in its place.
sub assemble
{
	my @clients;

	for my $group (@troupe)
	{
		my ($application, $user, $database, @kinds) = @$group;

		for my $kind (@kinds)
		{
			my @statements = @{ $kinds{$kind} };
			my $client = client($application, user => $user, dbname => $database);
			my $busy = $kind =~ /^(?:at_work|waits)/;
			my $last = $busy ? pop @statements : undef;

			$client->{name} = "$kind of \"$application\", $user";
			$client->try_query($_) for @statements;
			$client->send_query($last) if $busy;
			$client->{busy} = $busy;
			push @clients, $client;
		}
	}
	$boss->query('SELECT txid_current()') for 1 .. 6;
	my $pids = join ',', map { $_->{pid} } @clients;
	my $busy = grep { $_->{busy} } @clients;
	until_row(
		$node, qq{
		SELECT count(*) FILTER (WHERE state = 'active'), sum(blocking),
			bool_and(xmin_age >= 6) FILTER (WHERE application_name = 'old' AND xmin_age IS NOT NULL)
		FROM hygiene.sessions WHERE pid IN ($pids)}, "$busy|2|t");
	return ($pids, @clients);
}

# pid => what is said of it, and when it would come by our clock.
sub rehearse
{
	my ($rules, $pids) = @_;
	my %said;

	for my $row (
		rows(qq{
		SELECT pid, verdict, limit_name, limit_setting,
			extract(epoch FROM ends_in),
			extract(epoch FROM clock_timestamp() + ends_in), exempt, rules
		FROM hygiene.rehearse('$rules') WHERE pid IN ($pids)}))
	{
		my %of;

		@of{qw(pid verdict limit setting ends_in at exempt rules)} = @$row;
		$said{ $of{pid} } = \%of;
	}
	return \%said;
}

# Read from all of them until those that have an end to come have had it.
sub watch
{
	my ($expecting, @clients) = @_;
	my %by_handle = map { $_->socket => $_ } @clients;
	my $select = IO::Select->new(map { $_->socket } @clients);
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	$_->{error} = undef for @clients;
	while (time < $give_up && grep { !$_->{ended_at} } @$expecting)
	{
		for my $handle ($select->can_read(1))
		{
			my $client = $by_handle{$handle};

			$client->receive;
			$select->remove($handle) if $client->{closed_at};
			$client->{ended_at} ||= time if $client->{error};
		}
	}
	return;
}

# What was done first to each of them.
sub first_events
{
	my ($pids) = @_;

	return {
		map { $_->[0] => $_->[1] } rows(
			qq{
		SELECT DISTINCT ON (pid) pid,
			concat_ws(' ', action, outcome, reason, limit_setting, 'rule ' || rule)
		FROM hygiene.events WHERE pid IN ($pids) ORDER BY pid, event_id})
	};
}

sub expected_event
{
	my ($said) = @_;
	my %words = (
		terminate => 'terminate done',
		cancel => 'cancel done',
		observe => 'terminate observed');
	my $words = $words{ $said->{verdict} };

	return '' unless $words && is_near($said->{setting});
	return "$words $said->{limit} $said->{setting}";
}

# Rehearse, then enforce; returns the median of the errors in time.
sub play
{
	my ($round) = @_;
	my ($pids, @clients) = assemble();
	my ($oldest) = rows(
		qq{SELECT ceil(max(extract(epoch FROM greatest(state_age, transaction_age))) * 1000)
		FROM hygiene.sessions WHERE pid IN ($pids)});
	my $rules = rules_beyond($oldest->[0]);
	my $before = first_events($pids);

	# Under the rules that are in force, nobody has anything to fear.
	is_deeply($before, {}, "round $round: nothing was done before");
	my $said = rehearse($rules, $pids);
	is(scalar keys %$said, scalar @clients, "round $round: all are spoken of");

	$boss->query("ALTER SYSTEM SET pg_hygiene.rules = '$rules'");
	$boss->query('SELECT pg_reload_conf()');
	until_own_row('SHOW pg_hygiene.rules', $rules);
	my @expecting =
	  grep { $said->{ $_->{pid} }->{verdict} =~ /terminate|cancel/ && is_near($said->{ $_->{pid} }->{setting}) }
	  @clients;
	my %shown = map { $_->[0] => $_ } rows(
		qq{SELECT pid, limit_name, limit_setting, exempt, rules
		FROM hygiene.sessions WHERE pid IN ($pids)});

	watch(\@expecting, @clients);
	until_row($node,
		"SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'", '0');
	two_passes($node);
	my $done = first_events($pids);

	for my $client (@clients)
	{
		my $of = $said->{ $client->{pid} };
		my $name = "round $round: $client->{name}: $of->{verdict}";
		my $event = $done->{ $client->{pid} } || '';
		my $expected = expected_event($of);

		my $has_time = $of->{verdict} =~ /terminate|cancel/;

		like($event, qr/^\Q$expected\E(?: rule \d+)?$/, "$name, as recorded");
		is(defined $of->{ends_in}, $has_time, "$name, with a time if it has one");

		# One that was cancelled may have reached its next limit by now.
		if ($of->{verdict} eq 'cancel' && $expected)
		{
			is($client->{error}->{C}, $client->{closed_at} ? '25P03' : '57014',
				"$name, as the client is told");
		}
		else
		{
			is($client->is_open ? 'open' : 'closed',
				$expected =~ /^terminate done/ ? 'closed' : 'open',
				"$name, as the client sees it");
		}

		# Where the limit was past, the session was gone before we looked.
		next if $has_time && $of->{ends_in} == 0;
		is_deeply(
			[ @{ $shown{ $client->{pid} } }[ 1 .. 4 ] ],
			[ @$of{qw(limit setting exempt rules)} ],
			"$name: hygiene.sessions says the same once it is in force");
	}

	my @errors = sort { $a <=> $b }
	  map { abs($_->{ended_at} - $said->{ $_->{pid} }->{at}) }
	  grep { $said->{ $_->{pid} }->{ends_in} > 0 } @expecting;
	note sprintf 'round %d: %d ends, error in time: p50 %.1f ms, max %.1f ms',
	  $round, scalar @errors, $errors[ $#errors / 2 ] * 1000, $errors[-1] * 1000;
	cmp_ok(scalar @errors, '>=', 15, "round $round: there was enough to end");

	$boss->query("SELECT pg_terminate_backend(pid) FROM hygiene.sessions WHERE pid IN ($pids)");
	$_->wait_closed for @clients;
	configure($node, rules => undef);
	$boss->query('SELECT hygiene.reset()');
	return ($errors[ $#errors / 2 ], { map { $_->{name} => $said->{ $_->{pid} } } @clients });
}

my ($median, $said);
for my $round (1 .. $ROUNDS)
{
	($median, $said) = play($round);
	last if $median <= $MEDIAN;
}
cmp_ok($median, '<=', $MEDIAN, 'the end comes when it was said to come');

# The verdicts, by hand: that prediction and deed agree could also mean that
# both are wrong.
my %verdicts = (
	'open of "web", app' => 'terminate idle_in_transaction_timeout',
	'wrote of "web", app' => 'terminate idle_writer_timeout',
	'holds_web of "web", app' => 'terminate idle_blocker_timeout',
	'idle of "web", app' => 'terminate idle_session_timeout',
	'listening of "web", app' => 'terminate idle_session_timeout',
	'at_work of "web", app' => 'cancel transaction_timeout',
	'at_work_alone of "web", app' => 'cancel transaction_timeout',
	'open of "web", report' => 'terminate transaction_timeout',
	'at_work of "web", report' => 'cancel transaction_timeout',
	'wrote of "web", report' => 'terminate transaction_timeout',
	'open of "web", boss' => 'exempt -',
	'listening of "api", app' => 'none -',
	'idle of "api", app' => 'terminate idle_session_timeout',
	'aborted of "api", report' => 'terminate transaction_timeout',
	'wrote of "job", app' => 'exempt -',
	'at_work of "job", app' => 'exempt -',
	'open of "batch", app' => 'observe idle_in_transaction_timeout',
	'at_work of "batch", app' => 'none -',
	'wrote of "dark", app' => 'none -',
	'listening of "listener", app' => 'terminate idle_session_timeout',
	'advisory of "listener", app' => 'terminate idle_session_timeout',
	'open of "keeper", app' => 'none -',
	'holds_keeper of "keeper", app' => 'terminate idle_blocker_timeout',
	'snapshot of "old", app' => 'terminate horizon_limit',
	'read of "old", app' => 'terminate idle_in_transaction_timeout',
	'open of "quiet", silent' => 'exempt -',
	'waits_web of "waiter", app' => 'none -',
	'open of "", app' => 'terminate idle_in_transaction_timeout',
);
for my $name (sort keys %verdicts)
{
	my $of = $said->{$name};

	is($of->{verdict} . ' ' . (defined $of->{limit} ? $of->{limit} : '-'),
		$verdicts{$name}, "verdict: $name");
}

#
# Rehearsing changes nothing, even where everybody would be ended at once.
#
my ($pids, @clients) = assemble();
my $state = qq{
	SELECT (SELECT string_agg(s::text, chr(10) ORDER BY pid)
			FROM (SELECT pid, state, rules, limit_name, limit_setting, exempt
				FROM hygiene.sessions WHERE pid IN ($pids)) s),
		current_setting('pg_hygiene.rules'),
		(SELECT count(*) FROM hygiene.events)};
my $before = join '|', @{ (rows($state))[0] };
my $deadly =
  'application=*: idle_in_transaction_timeout=1ms, idle_session_timeout=1ms, transaction_timeout=1ms, cancel_grace=1ms';

my %count = map { $_->[0] => $_->[1] } rows(
	qq{SELECT verdict, count(*) FROM hygiene.rehearse('$deadly')
	WHERE pid IN ($pids) AND coalesce(ends_in, '0') = '0' GROUP BY verdict});
is_deeply(\%count, { terminate => 37, cancel => 8, exempt => 5 },
	'rules that would end everybody');
two_passes($node);
is(join('|', @{ (rows($state))[0] }), $before, 'rehearsing changes nothing');
is(scalar(grep { $_->is_open } @clients), scalar @clients, 'and ends nobody');

# Whatever the server-wide mode is, the question is what enforcing would do.
configure($node, mode => 'observe');
is( join(
		'|',
		map { "@$_" } rows(
			qq{SELECT verdict, count(*) FROM hygiene.rehearse('$deadly')
			WHERE pid IN ($pids) GROUP BY verdict ORDER BY verdict})),
	'cancel 8|exempt 5|terminate 37',
	'also while the server only observes');
is( join(
		'|',
		map { "@$_" } rows(
			qq{SELECT verdict, count(*) FROM hygiene.rehearse('application=*: mode=observe; $deadly')
			WHERE pid IN ($pids) GROUP BY verdict ORDER BY verdict})),
	'exempt 5|observe 45',
	'but what a rule says of the mode counts');
configure($node, mode => undef);

# No rules at all: the server-wide limits.
is( join(
		'|',
		map { "@$_" } rows(
			qq{SELECT DISTINCT limit_setting FROM hygiene.rehearse('')
			WHERE pid IN ($pids) AND limit_name IS NOT NULL ORDER BY 1})),
	'10min|1min|30min',
	'the server-wide limits under no rules');

# Everyone may ask, and sees of others what hygiene.sessions shows of them.
my $asker = client('asker', user => 'report');
is( $asker->query(
		"SELECT min(query) || max(query) || count(client_port) || count(verdict)
		FROM hygiene.rehearse('$deadly') WHERE user_name = 'app'")->[0]->[0],
	'<insufficient privilege><insufficient privilege>00',
	'texts of other roles are hidden, and what would become of them');

$boss->query("SELECT pg_terminate_backend(pid) FROM hygiene.sessions WHERE pid IN ($pids)");
$_->wait_closed for @clients;
$node->stop;
done_testing();
