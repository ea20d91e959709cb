
# Settings in a file: a bad line keeps the old value and is logged, a good one
# acts.

use PgHygiene;

my $node = new_node(
	'main',
	"pg_hygiene.idle_in_transaction_timeout = '300ms'",
	"pg_hygiene.rules = 'application=slow-*: idle_in_transaction_timeout=20min'",
	"pg_hygiene.mode = enforce");
my $conf = $node->data_dir . '/postgresql.conf';
my $good = slurp_file($conf);

sub show
{
	my ($name) = @_;

	return $node->safe_psql('postgres', "SHOW pg_hygiene.$name");
}

sub write_conf
{
	my (@lines) = @_;

	open my $file, '>', $conf or die "could not write $conf: $!";
	print $file join "\n", $good, @lines, '';
	close $file or die "could not write $conf: $!";
	return;
}

# Reload with these lines at the end of the file; what was logged until the
# whole reload was done.
my $reloads = 0;

sub reload_with
{
	my (@lines) = @_;
	my $position = log_position($node);

	# the last line tells when new sessions have all of it
	$reloads++;
	write_conf(@lines, "test.reload = $reloads");
	$node->reload;
	until_row($node, q{SELECT current_setting('test.reload', true)},
		$reloads);
	return slurp_file($node->logfile, $position);
}

#
# Bad lines: several in a file at once, and each with its own complaint.
#
my $RULE = 'application=slow-*: idle_in_transaction_timeout';

for my $round (
	[
		[ mode => 'bogus', 'enforce', qr/invalid value for parameter "pg_hygiene\.mode": "bogus"/ ],
		[
			idle_in_transaction_timeout => '-1',
			'300ms',
			qr/-1 ms is outside the valid range for parameter "pg_hygiene\.idle_in_transaction_timeout"/
		],
		[
			exempt_superusers => 'perhaps',
			'on',
			qr/parameter "pg_hygiene\.exempt_superusers" requires a Boolean value/
		],
		[
			warn_at => '101',
			'80',
			qr/101 is outside the valid range for parameter "pg_hygiene\.warn_at"/
		],
		[
			rules => "$RULE=often",
			"$RULE=20min",
			qr/invalid value for parameter "pg_hygiene\.rules": expected [^"]*, found "often[^"]*" at position 49/
		]
	],
	[
		[
			idle_in_transaction_timeout => '5 parsecs',
			'300ms',
			qr/invalid value for parameter "pg_hygiene\.idle_in_transaction_timeout": "5 parsecs"/
		],
		[
			rules => 'application=slow-*',
			"$RULE=20min",
			qr/invalid value for parameter "pg_hygiene\.rules": expected .*, position 19/
		]
	])
{
	my $log = reload_with(map { "pg_hygiene.$_->[0] = '$_->[1]'" } @$round);

	for my $case (@$round)
	{
		my ($name, $value, $old, $message) = @$case;

		is(show($name), $old, "$name = $value keeps the old value");
		like($log, $message, "$name = $value is logged");
	}
}

my $log = reload_with('pg_hygiene.idle_transaction_timeout = 1s');
like(
	$log,
	qr/(?:unrecognized configuration parameter|invalid configuration parameter name) "pg_hygiene\.idle_transaction_timeout"/,
	'an unknown name is logged');

$log = reload_with('pg_hygiene.max_events = 17');
like(
	$log,
	qr/parameter "pg_hygiene\.max_events" cannot be changed without restarting the server/,
	'max_events asks for a restart');
is(show('max_events'), '2000', 'and keeps its value until then');

# What was valid before goes on acting.
reload_with("pg_hygiene.rules = 'nonsense'");
two_passes($node);
my $slow = client('slow-1');
$slow->query('BEGIN');
my $quick = client('quick');
$quick->query('BEGIN');
like(
	$quick->wait_closed->{D},
	qr/; pg_hygiene\.idle_in_transaction_timeout allows 300 ms\.$/,
	'the old limit goes on acting');
two_passes($node);
ok($slow->is_open, 'and so does the old rule');

#
# Units, and how a limit is told.
#
for my $case (
	[ '150', '150ms', '150 ms' ],
	[ '0.2s', '200ms', '200 ms' ],
	[ '250000us', '250ms', '250 ms' ],
	[ '1s', '1s', '1 s' ])
{
	my ($value, $shown, $told) = @$case;

	reload_with("pg_hygiene.idle_in_transaction_timeout = '$value'");
	is(show('idle_in_transaction_timeout'), $shown, "$value is $shown");
	my $asker = client('asker');
	my ($client, $row);

	# On a slow machine one may be over before we have looked.
	for my $try (1 .. 20)
	{
		$client = client('units');
		$client->query('BEGIN');
		$row = $asker->query(qq{
			SELECT limit_setting FROM hygiene.sessions
			WHERE pid = $client->{pid}})->[0];
		last if $row && $row->[0];
	}
	is($row && $row->[0], $shown, "hygiene.sessions has $shown");
	$asker->close;
	like($client->wait_closed->{D},
		qr/allows \Q$told\E\.$/, "and the client is told $told");
	is( $node->safe_psql(
			'postgres', qq{
			SELECT limit_setting FROM hygiene.events
			WHERE pid = $client->{pid}}),
		$shown,
		"hygiene.events has $shown");
}

# Removing the lines brings the defaults back.
$good =~ s/^pg_hygiene\..*\n//mg;
reload_with();
is(show('idle_in_transaction_timeout'), '10min', 'the default of a limit');
is(show('rules'), 'application=pg_dump: exempt', 'the default rules');
is( $node->safe_psql(
		'postgres', qq{
		SELECT limit_setting, ends_in BETWEEN '9 min' AND '10 min'
		FROM hygiene.sessions WHERE pid = $slow->{pid}}),
	'10min|t',
	'act on a session that was there before');

# PostgreSQL starts with a bad setting of an extension, by its default, and
# says so.
write_conf("pg_hygiene.rules = 'nonsense'");
my $position = log_position($node);
$node->restart;
like(
	slurp_file($node->logfile, $position),
	qr/WARNING:  invalid value for parameter "pg_hygiene\.rules"/,
	'a bad setting is logged when the server starts');
is(show('rules'), 'application=pg_dump: exempt', 'and the default holds');

$node->stop;
done_testing();
