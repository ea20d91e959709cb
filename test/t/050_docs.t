
# What the documentation says is what the code does: settings, names in rules,
# views and their columns, every message with its SQLSTATE, shared memory.
#
# The messages are provoked, one by one, on a real server; numbers, names and
# rules in them are taken for examples.

use PgHygiene;
use PgHygiene::History;

my %doc = map { $_ => slurp_file($_) } 'README.md', 'CONTRIBUTING.md',
  'monitoring/README.md', glob('doc/*.md');

# All settings have their defaults.
my $node = new_node('main');

sub rows
{
	my ($sql) = @_;

	return map { [ split /\t/, $_, -1 ] } split /\n/,
	  $node->safe_psql('postgres', $sql, extra_params => [ '-F', "\t" ]);
}

# The part of a text under a heading that matches, up to the next heading of
# any level.
sub section
{
	my ($text, $heading) = @_;
	my ($part) = $text =~ /^#+ $heading[ \t]*\n(.*?)(?=^#|\z)/ms;

	return defined $part ? $part : '';
}

# The rows of a Markdown table, without its head: a list of lists of cells.
sub table
{
	my ($text) = @_;
	my @rows;

	for my $line (grep { /^\|/ } split /\n/, $text)
	{
		my @cells = map { s/^\s+|\s+$//gr } split /\|/, $line, -1;

		push @rows, [ @cells[ 1 .. $#cells - 1 ] ];
	}
	return @rows[ 2 .. $#rows ];
}

# What stands between backquotes.
sub literal
{
	my ($cell) = @_;

	return $cell =~ /`([^`]*)`/ ? $1 : '';
}

# One name a line, so that a difference is easy to see.
sub same_names
{
	my ($got, $expected, $name) = @_;

	return is(join("\n", sort @$got), join("\n", sort @$expected), $name);
}

#
# Settings.
#
my %described = map { literal($_->[0]) => $_ }
  table(section($doc{'README.md'}, 'Settings'));
my @settings = rows(
	q{
	SELECT substr(name, 12), current_setting(name), context, short_desc
	FROM pg_settings WHERE name LIKE 'pg\_hygiene.%'});

same_names(
	[ keys %described ],
	[ map { $_->[0] } @settings ],
	'README has a row for each setting, and no other');
same_names(
	[
		slurp_file('src/guc.c') =~ /^[^\n]*[\t({]"pg_hygiene\.(\w+)",\n/mg,
		slurp_file('src/pure/limits.c') =~
		  /^\t\t\.name = "(\w+)",\n[^}]*?\.summary = /mg
	],
	[ map { $_->[0] } @settings ],
	'guc.c and the table of limits define these');
for my $setting (@settings)
{
	my ($name, $default, $context, $summary) = @$setting;
	my (undef, $cell, $meaning) = @{ $described{$name} || [ '', '', '' ] };

	is(literal($cell), $default, "README has the default of $name");
	is( substr($meaning =~ tr/`//dr, 0, length $summary),
		$summary,
		"README's meaning of $name begins as pg_settings has it");
	is($meaning =~ /Needs a restart/ ? 'postmaster' : 'sighup',
		$context, "README says whether $name needs a restart");
}

#
# What a rule can set.
#
my @rule_settings =
  table(section($doc{'doc/rules.md'}, 'What a rule can set'));
my @names = map { literal($_->[0]) } @rule_settings;
my %only_in_rules =
  map { $_ => 1 } qw(connections reserve connect_rate exempt until client_check_interval);

same_names(
	\@names,
	[ slurp_file('src/pure/rules/words.c') =~ /^\s+[A-Z]+_SETTING\("(\w+)"/mg ],
	'doc/rules.md has a row for each name, and no other');
for my $row (@rule_settings)
{
	my ($name, $value) = (literal($row->[0]), $row->[1]);
	my $example =
		$name eq 'mode' ? 'mode=observe'
	  : $name eq 'idle_action' ? 'idle_action=rollback'
	  : $value =~ /^none/ ? $name
	  : $value eq 'time' ? "$name=2099-11-24T08:00Z"
	  : $value eq 'duration' ? "$name=30s"
	  : $name eq 'idle_action' ? 'idle_action=rollback'
	  : "$name=7";

	is( $node->safe_psql(
			'postgres',
			"SELECT settings FROM hygiene.check_rules('user=app: $example')"),
		$example,
		"a rule can set $name");
	ok($only_in_rules{$name} || $described{$name},
		"$name is a setting, or one that only rules have");
}

#
# Statements that can be copied.
#
for my $file (sort keys %doc)
{
	for my $sql ($doc{$file} =~ /^ {4,}(ALTER SYSTEM SET .*?;)[ \t]*$/msg)
	{
		is($node->psql('postgres', $sql), 0, "$file: $sql");
	}
}

#
# Views, their columns, functions.
#
my %columns;
for my $row (
	rows(
		q{
		SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'hygiene'::regnamespace AND c.relkind = 'v'
		AND a.attnum > 0 ORDER BY 1, a.attnum}))
{
	push @{ $columns{"hygiene.$row->[0]"} }, "$row->[1] $row->[2]";
}

# Arguments and result columns of the functions that are not a view's.
my @functions = rows(
	q{
	SELECT p.oid::regproc,
		coalesce((SELECT string_agg(n || ' ' || format_type(t, NULL), ', ' ORDER BY i)
			FROM unnest(proargnames[:pronargs], proargtypes::oid[])
				WITH ORDINALITY AS x (n, t, i)), ''),
		coalesce((SELECT string_agg(n || ' ' || format_type(t, NULL), ',' ORDER BY i)
			FROM unnest(proargnames, proallargtypes, proargmodes)
				WITH ORDINALITY AS x (n, t, m, i) WHERE m = 'o'), '')
	FROM pg_proc p WHERE pronamespace = 'hygiene'::regnamespace
	AND proname NOT LIKE 'get\_%'});

sub documented_columns
{
	my ($heading) = @_;

	return [
		map { literal($_->[0]) . " $_->[1]" }
		  grep { $_->[2] ne '' }
		  table(section($doc{'doc/views.md'}, "\Q$heading\E"))
	];
}

for my $view (sort keys %columns)
{
	is_deeply(documented_columns($view), $columns{$view},
		"doc/views.md has the columns of $view, with their types");
}
for my $function (@functions)
{
	my ($name, $arguments, $results) = @$function;
	my @results = split /,/, $results;

	# The others are those of hygiene.sessions.
	@results = @results[ -2, -1 ] if $name eq 'hygiene.rehearse';
	is_deeply(documented_columns("$name($arguments)"),
		\@results, "doc/views.md has what $name returns");
}
my ($rehearsed) = map { $_->[2] } grep { $_->[0] eq 'hygiene.rehearse' } @functions;
is($rehearsed, join(',', @{ $columns{'hygiene.sessions'} }, 'verdict text', 'exceeds text'),
	'hygiene.rehearse has the columns of hygiene.sessions and two more');
same_names(
	[ $doc{'doc/views.md'} =~ /^## (hygiene\.\w+)/mg ],
	[ keys %columns, map { $_->[0] } @functions ],
	'doc/views.md has all views and functions, and no other');
same_names(
	[
		map { literal($_->[0]) =~ s/\(.*//r }
		  table(section($doc{'doc/views.md'}, 'All of them'))
	],
	[ keys %columns, map { $_->[0] } @functions ],
	'its table lists the same');

#
# Messages.
#

# A message as it would read with other names and numbers.
sub shape
{
	my ($text) = @_;

	$text =~ s/rule \d+ \(.*?\)/rule N (R)/g;
	$text =~ s/Application "[^"]*"/Application "A"/g;
	$text =~ s/application "[^"]*"/application "A"/g;
	$text =~ s/of which "[^"]*"/of which "A"/g;
	$text =~ s/(?<=: )"[^"]*" \d+(, "[^"]*" \d+)*/"A" N/;
	$text =~ s/\b\d+(\.\d+)?( (ms|s|min|h|d)\b)?/N/g;
	$text =~ s/(?<=ran last: ).*/S/;
	$text =~ s/\bN connection\b/N connections/;
	$text =~ s/\bslots is available/slots are available/;
	return $text;
}

# What a HINT may end with depends on what the program did, and on what others
# did before it.
my @advice = map { $_->[1] } table(section($doc{'doc/messages.md'}, 'Advice'));
my $any_advice = join '|', map { quotemeta } @advice;

sub without_advice
{
	my ($hint) = @_;

	return defined $hint ? $hint =~ s/ (?:$any_advice)$//r : '';
}

# What is quoted in a file: the blocks that begin with one of the severities,
# each as "FATAL|25P03|message|detail|hint" in its shape.
sub quoted
{
	my ($text, $severities) = @_;
	my @blocks;

	while ($text =~
		/^($severities):  (?:([0-9A-Z]{5}): )?(.*)\n(?:DETAIL:  (.*)\n)?(?:HINT:  (.*)\n)?/mg)
	{
		push @blocks,
		  join('|', $1, $2 || '', shape($3), shape($4 || ''),
			without_advice($5));
	}
	return @blocks;
}

# The same of what a client was told; and what all of them were.
my %told;

sub heard
{
	my ($client, $what) = @_;
	my $error = $client->{error} || {};
	my @fields = map { defined $_ ? $_ : '' } @$error{qw(S C M D H)};

	$told{ join '|', @fields[ 0, 1 ], shape($fields[2]), shape($fields[3]),
		without_advice($fields[4]) } = 1;
	isnt($fields[1], '', "provoked: $what");
	return;
}

# These settings and no others, in force also for new connections: each poll is
# one, and has what the postmaster has.
sub with_settings
{
	my (%settings) = @_;
	my %expected = ((map { $_->[0] => $_->[1] } @settings), %settings);

	$node->safe_psql('postgres', 'ALTER SYSTEM RESET ALL');
	$node->safe_psql('postgres',
		"ALTER SYSTEM SET pg_hygiene.$_ = '$settings{$_}'")
	  for sort keys %settings;
	$node->reload;
	until_row(
		$node,
		'SELECT ' . join ' AND ',
		map { "current_setting('pg_hygiene.$_') = '$expected{$_}'" }
		  sort keys %expected);
	return;
}

$node->safe_psql('postgres',
	'CREATE TABLE t AS SELECT 1 AS i; GRANT ALL ON t TO app');

my $client;
my $waiter;
my @others;

with_settings(idle_in_transaction_timeout => '100ms');
$client = client('orders', 'BEGIN');
$client->wait_closed;
heard($client, 'idle_in_transaction_timeout');

with_settings(rules =>
	  'application=other: exempt; application=web-*: idle_in_transaction_timeout=100ms'
);
$client = client('web-1', 'BEGIN');
$client->wait_closed;
heard($client, 'the same by a rule');

with_settings(idle_blocker_timeout => '100ms');
$client = client('batch', 'BEGIN', 'UPDATE t SET i = 2');
$waiter = client('waiter');
$waiter->send_query('UPDATE t SET i = 3');
$client->wait_closed;
heard($client, 'idle_blocker_timeout');
$waiter->wait_ready;
$waiter->close;

with_settings(idle_writer_timeout => '100ms');
$client = client('orders', 'BEGIN', 'UPDATE t SET i = 4');
$client->wait_closed;
heard($client, 'idle_writer_timeout');

with_settings(idle_in_transaction_timeout => '1s', idle_action => 'rollback');
$client = client('orders', 'BEGIN');
until_row(
	$node,
	"SELECT state FROM pg_stat_activity WHERE pid = $client->{pid}",
	'idle in transaction (aborted)');
$client->try_query('SELECT 1');
heard($client, 'a statement after a rollback');
$client->try_query('COMMIT');
heard($client, 'its COMMIT');
$client->query('BEGIN');
$client->wait_closed;
heard($client, 'the end that follows a rollback');

with_settings(advisory_blocker_timeout => '100ms');
$client = client('worker', 'SELECT pg_advisory_lock(1)');
$waiter = client('waiter');
$waiter->send_query('SELECT pg_advisory_lock(1)');
$client->wait_closed;
heard($client, 'advisory_blocker_timeout');
$waiter->wait_ready;
$waiter->close;

with_settings(client_stall_timeout => '100ms');
$client = client('loader');
$client->send_query('COPY t FROM STDIN');
$client->wait_closed;
heard($client, 'client_stall_timeout');

with_settings(horizon_limit => '2');
$client =
  client('orders', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1');
$node->safe_psql('postgres', 'SELECT txid_current()') for 1 .. 3;
$client->wait_closed;
heard($client, 'horizon_limit');

with_settings(idle_session_timeout => '100ms');
$client = client('web', 'SELECT 1');
$client->wait_closed;
heard($client, 'idle_session_timeout');

with_settings(session_lifetime => '100ms');
$client = client('web', 'SELECT 1');
$client->wait_closed;
heard($client, 'session_lifetime');
with_settings();

$client = client('old', 'SELECT 1');
$node->safe_psql('postgres', q{SELECT hygiene.drain('application=old')});
$client->wait_closed;
heard($client, 'a drain');
$client = client('old', 'BEGIN');
$node->safe_psql('postgres', q{SELECT hygiene.drain('application=old', '1ms')});
$client->wait_closed;
heard($client, 'a drain, after its deadline');

with_settings(transaction_timeout => '100ms');
$client = client('web');
$client->try_query('SELECT pg_sleep(100)');
heard($client, 'transaction_timeout, of a statement');
$client->try_query('BEGIN');
$client->wait_closed;
heard($client, 'transaction_timeout, of a session');

with_settings(headroom => '97', headroom_min_idle => '100ms');
@others = map { client('orders', 'BEGIN') } 1 .. 3;
$_->wait_closed for $others[0];
heard($others[0], 'headroom, of a session');
$_->close for @others;

# Within a cap, a rule's and that of each application.
with_settings(
	headroom_min_idle => '100ms',
	rules => 'application=orders: connections=3');
@others = map { client('orders', 'BEGIN') } 1 .. 3;
$_->wait_closed for $others[0];
heard($others[0], 'a cap, of a session');
$_->close for @others;
with_settings(headroom_min_idle => '100ms', connections_per_application => '3');
@others = map { client('orders', 'BEGIN') } 1 .. 3;
$_->wait_closed for $others[0];
heard($others[0], 'connections_per_application, of a session');
$_->close for @others;

# A reserve leaves two or three slots, so that few connections are many.
with_settings(rules => 'application=nobody: reserve=94');
@others = map { client('orders') } 1 .. 4;
heard((grep { $_->{error} } @others)[0], 'headroom, of a connection');
$_->close for @others;

with_settings(rules =>
	  'application=pg_dump: exempt; application=web: reserve=97');
heard(client('orders'), 'reserve');

with_settings(rules =>
	  'application=pg_dump: exempt; application=web-*: connections=2');
@others = map { client("web-$_") } 1, 2, 1;
heard($others[2], q{a rule's connections});
$_->close for @others;
with_settings(
	admission_wait => '200ms',
	rules => 'application=pg_dump: exempt; application=web-*: connections=2');
@others = map { client("web-$_") } 1, 2, 1;
heard($others[2], q{a rule's connections, after a wait});
$_->close for @others;

with_settings(rules =>
	  'application=pg_dump: exempt; user=app: connect_rate=1');
@others = map { client('x') } 1 .. 10;
heard((grep { $_->{error} } @others)[0], 'connect_rate');
$_->close for @others;

# Who holds what another one lacks.
with_settings(rules =>
	  'application=pg_dump: exempt; user=app: connections=3');
@others = map { client('orders') } 1 .. 3;
heard(client('checkout'), q{a rule's connections, held by another application});
$_->close for @others;
with_settings(headroom => '97', rules => 'application=nobody: reserve=90');
@others = map { client($_) } qw(orders orders orders checkout checkout checkout);
heard((grep { $_->{error} } @others)[0], 'headroom, held by another application');
$_->close for @others;

# Repeated refusals are counted in the log.
my $position = log_position($node);
with_settings(connections_per_application => '1');
@others = map { client('orders') } 1 .. 20;
heard($others[1], 'connections_per_application');
$_->close for @others;
ok(wait_log($node, qr/more connections? of application "orders"/, $position),
	'provoked: the count of refusals');

# With the ninth name a family is one application.
@others = map { client("web-$_") } 1 .. 9;
heard($others[-1], 'connections_per_application, of a family');
$_->close for @others;

# A client that is refused hears of the leak of its application, and so does
# the next one that is let in when the leak was ended.
with_settings(
	connections_per_application => '3',
	headroom_min_idle => '1h',
	idle_in_transaction_timeout => '10s');
@others = map { client('shop', 'BEGIN', 'SELECT 1') } 1 .. 3;
do
{
	$client = client('shop');
  } until (($client->{error} || {})->{D} || '') =~ /are idle in a transaction/
  || !$others[0]->is_open;
heard($client, 'a refusal that tells of a leak');
with_settings(idle_in_transaction_timeout => '100ms');
$_->wait_closed for @others;
until_row($node,
	q{SELECT ended FROM hygiene.leaks WHERE application_name = 'shop'}, '3');
$client = client('shop');
my ($warning) = @{ $client->{notices} };
$client->close;
is( join('|', 'WARNING', '', shape($warning->{M}), shape($warning->{D}),
		$warning->{H}),
	(quoted(section($doc{'doc/messages.md'}, 'New sessions'), 'WARNING'))[0],
	'doc/messages.md has what a new session is told');

with_settings(
	mode => 'observe',
	idle_in_transaction_timeout => '100ms',
	connections_per_application => '1');
@others = map { client('web', 'BEGIN') } 1 .. 2;
ok(wait_log($node, qr/would end process \d+, but only observes: /, $position)
	  && wait_log($node, qr/would refuse a connection, but only observes: /, $position),
	'provoked: what is only observed');

# Those of one second are counted together, and a slow machine may need several.
for (1 .. 5)
{
	push @others, map { client('web') } 1 .. 14;
	two_passes($node);
	last if slurp_file($node->logfile, $position) =~ /would have been refused/;
}
like(slurp_file($node->logfile, $position),
	qr/more connections? of application "web" would have been refused/,
	'provoked: the count of what would be refused');
$_->close for @others;

with_settings(
	mode => 'observe',
	idle_in_transaction_timeout => '100ms',
	idle_action => 'rollback');
$client = client('web', 'BEGIN');
ok(wait_log($node, qr/would roll back the transaction of process \d+, but only observes: /, $position),
	'provoked: a rollback that is only observed');
$client->close;

with_settings(mode => 'observe', transaction_timeout => '1s');
$client = client('web');
$client->query('SELECT pg_sleep(1.5)');
ok(wait_log($node, qr/would cancel the statement of process \d+, but only observes: /, $position),
	'provoked: a cancel that is only observed');
$client->close;

with_settings(warn_at => '8');
@others = map { client("w$_") } 1 .. 9;
ok(wait_log($node, qr/WARNING:  \d+ of \d+ connection slots/, $position),
	'provoked: the warning');
$_->close for @others;
ok(wait_log($node, qr/fewer than at the last warning/, $position),
	'provoked: its end');

# Errors and warnings in SQL.
with_settings();
my $boss = PgHygiene::Client->new($node,
	user => $node->safe_psql('postgres', 'SELECT current_user'));
my @mistakes = (
	q{SELECT hygiene.drain('usr=app')},
	q{SELECT hygiene.drain(NULL)},
	q{ALTER SYSTEM SET pg_hygiene.rules = 'application=web: idle_in_transaction_timeout=30sec'},
	q{SELECT * FROM hygiene.check_rules('application=web-* usr=app: connections=40')},
	q{SELECT * FROM hygiene.check_rules('application=web-*')},
	q{SELECT * FROM hygiene.suggest(2)}
);
for my $sql (@mistakes)
{
	$boss->try_query($sql);
	heard($boss, $sql);
}
one('CREATE ROLE signaller LOGIN IN ROLE pg_signal_backend');
my $signaller = client('x', user => 'signaller');
$signaller->try_query(q{SELECT hygiene.drain('address=local')});
heard($signaller, 'a drain by address');
$signaller->close;
@others = map { client('old', 'BEGIN') } 1 .. 2;
$boss->query(q{SELECT hygiene.drain('application=old')}) for 1 .. 16;
$boss->try_query(q{SELECT hygiene.drain('application=old')});
heard($boss, 'too many drains');
$boss->query('SELECT hygiene.stop_drain(drain) FROM hygiene.drains');
$_->close for @others;
$boss->query('SELECT FROM hygiene.get_status(1)');
my ($prepared) = @{ $boss->{notices} };
is( join('|', 'WARNING', '', shape($prepared->{M}), '', $prepared->{H}),
	(grep { /prepared/ } quoted($doc{'doc/messages.md'}, 'WARNING'))[0],
	'doc/messages.md has the warning of prepared transactions');
$boss->close;

#
# Shared memory, for 100 and for 5,000 connections.
#
my %bytes = map { literal($_->[0]) => $_ }
  table(section($doc{'doc/shared-memory.md'}, 'Shared memory'));
my ($each) =
  $doc{'doc/shared-memory.md'} =~ /:\s+(\d+)\s+bytes\s+for\s+each\s+possible\s+session/;

sub check_memory
{
	my ($connections, $column) = @_;
	my @allocated = rows(
		q{SELECT name, allocated_size FROM pg_shmem_allocations
		WHERE name LIKE 'pg\_hygiene%'});

	same_names(
		[ keys %bytes ],
		[ map { $_->[0] } @allocated ],
		"doc/shared-memory.md names the parts, for $connections connections"
	);
	for (@allocated)
	{
		my ($name, $size) = @$_;
		my $said = $bytes{$name} ? $bytes{$name}->[$column] : 0;

		# Versions of PostgreSQL round up differently.
		cmp_ok(abs($size - $said), '<=', 256,
			"doc/shared-memory.md says what \"$name\" takes, $size bytes, for $connections connections"
		);
	}
	is( $node->safe_psql(
			'postgres', qq{
			SELECT allocated_size - $each * $connections BETWEEN 0 AND 256
			FROM pg_shmem_allocations WHERE name = 'pg_hygiene slots'}),
		't',
		'doc/shared-memory.md says what a possible session takes');
	return;
}

SKIP:
{
	skip 'the figures are those of 64-bit machines', 1
	  unless length(pack 'j', 0) == 8;
	check_memory(100, 1);
	$node->append_conf('postgresql.conf', 'max_connections = 5000');
	$node->restart;
	check_memory(5000, 2);
	$node->append_conf('postgresql.conf', 'max_connections = 100');
}

# A damaged file of the history, and a damaged part of one.
sub damage
{
	my ($at) = @_;
	my $file = history_file($node);

	$node->stop;
	my $bytes = read_bytes($file);
	substr($bytes, $at->($bytes), 1) ^= "\x01";
	write_bytes($file, $bytes);
	$node->start;
	return;
}

damage(sub { return 40 });
$node->safe_psql('postgres', 'SELECT hygiene.reset()');
damage(sub { my %parts = parts($_[0]); return $parts{events}{at} });
my $log = slurp_file($node->logfile, $position);

# Without the preload.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
$client = client('orders');
$client->try_query('SELECT * FROM hygiene.status');
heard($client, 'no preload');
$client->close;
$node->stop;

#
# What was heard is what is written.
#
same_names(
	[ quoted($doc{'doc/messages.md'}, 'FATAL|ERROR') ],
	[ keys %told ],
	'doc/messages.md has every message as clients get it, and no other');

# Elsewhere a part of them is quoted, perhaps without the SQLSTATE.
my %known = %told;
$known{ $_ =~ s/^(\w+)\|\w+/$1|/r } = 1 for keys %told;
for my $file ('README.md', 'doc/rules.md')
{
	for my $message (quoted($doc{$file}, 'FATAL|ERROR'))
	{
		ok($known{$message}, "$file quotes it right: $message");
	}
}

my %pairs = map { (split /\|/)[1] . ' ' . (split /\|/)[2] => 1 }
  grep { !/\|(?:22023|22004|42501|53400|55000)\|/ } keys %told;
my %table = map { $_->[1] . ' ' . shape(literal($_->[2])) => 1 }
  table(section($doc{'doc/messages.md'}, 'What a client sees'));
same_names([ keys %table ], [ keys %pairs ],
	'doc/messages.md has the SQLSTATE and message of each cause');

# The log: what was provoked above.
my %logged =
  map { shape($_) => 1 } $log =~ /((?:LOG|WARNING|DETAIL|HINT):  .*)/g;
for my $line (section($doc{'doc/messages.md'}, 'The log') =~
	/^((?:LOG|WARNING|DETAIL|HINT):  .*)/mg)
{
	ok($logged{ shape($line) }, "the log has: $line");
}

#
# The advice: each sentence is made of string constants on lines of their own.
#
my ($sentences) =
  slurp_file('src/pure/diagnosis.c') =~ /advice\[PGH_N_PATTERNS\] = \{(.*?)^\};/ms;
same_names(
	\@advice,
	[
		map { join '', /"([^"]*)"/g }
		  grep { /"/ } split /\[PGH_PATTERN_\w+\] =/,
		$sentences
	],
	'doc/messages.md has the sentences of the advice, and no other');

#
# The map of the sources: it names each file, or the family it is of.
#
my ($map) = $doc{'CONTRIBUTING.md'} =~ /^## Where things are\n(.*?)^## /ms;
for my $unit (sort { $a cmp $b } keys %{ {
	map { s{^src/}{}r =~ s/\.[ch]$//r => 1 }
	  glob('src/*.[ch] src/*/*.[ch] src/*/*/*.[ch]') } })
{
	my ($folder, $name) = $unit =~ m{^(?:(.*)/)?([^/]+)$};

	ok( ($map || '') =~ (
			($folder // 'src') eq 'src'
			? qr/^\| `src\/` \| [^|]*`\Q$name\E`/m
			: qr/^\| `\Q$folder\E\/` \| [^|]*`\Q$name\E`/m),
		"CONTRIBUTING.md says what src/$unit is for");
}

done_testing();
