
# Rules: who gets which limits, when a change takes hold, what a mistake is
# told, and what hygiene.rules shows.

use PgHygiene;
use Time::HiRes qw(time);

my $TRIES = 3;    # for what must be quick where the machine has time

my $node = new_node(
	'main',
	"listen_addresses = '127.0.0.1,::1'",
	"pg_hygiene.rules = ''",
	"pg_hygiene.idle_blocker_timeout = '0'");
my $conf = $node->data_dir . '/postgresql.conf';
my $good_conf = slurp_file($conf);

$node->safe_psql(
	'postgres', q{
	CREATE ROLE boss LOGIN SUPERUSER;
	CREATE ROLE "Report Er" LOGIN;
	CREATE TABLE t (i int);
	GRANT ALL ON t TO PUBLIC});
$node->safe_psql('postgres', $_)
  for 'CREATE DATABASE shop',
  "CREATE DATABASE letters ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0";
$node->safe_psql('letters', 'CREATE EXTENSION pg_hygiene');

# In a database where positions count letters, not bytes.
my $boss = PgHygiene::Client->new($node, user => 'boss', dbname => 'letters');

# A session that is idle in a transaction after these statements.
sub idle_in_transaction
{
	my ($application, @statements) = @_;
	my $client = client($application);

	$client->query($_) for 'BEGIN', @statements;
	return $client;
}

# Columns of the first row, nulls as nothing.
sub of_rule
{
	my ($columns, $rule) = @_;

	return one("SELECT $columns FROM hygiene.rules WHERE rule = $rule");
}

# Wait until a session has been in its state for that many milliseconds and
# the worker has looked twice since.
sub outlive
{
	my ($client, $ms) = @_;

	until_row($node,
		"SELECT state_age > '$ms ms' FROM hygiene.sessions WHERE pid = $client->{pid}"
	);
	two_passes($node);
	return;
}

sub gone
{
	my (@clients) = @_;

	$_->close for @clients;
	until_row(
		$node,
		'SELECT count(*) FROM hygiene.sessions WHERE pid IN ('
		  . join(',', map { $_->{pid} } @clients) . ')',
		'0');
	return;
}

#
# For each name on its own the first matching rule decides.
#
configure(
	$node,
	rules =>
	  'application=web-* user=app: idle_in_transaction_timeout=20min; '
	  . 'application=web-*: idle_in_transaction_timeout=3min, idle_writer_timeout=4min; '
	  . 'database=shop: idle_session_timeout=5min, transaction_timeout=0; '
	  . 'application=*: idle_writer_timeout=1min, transaction_timeout=1h, idle_session_timeout=2h');

# application, role, database, statements, what hygiene.sessions shows
my @cases = (
	[ 'web-1', 'app', 'postgres', ['BEGIN'], '{1,2,4}|idle_in_transaction_timeout|20min' ],
	[ 'web-1', 'boss', 'postgres', ['BEGIN'], '{2,4}||' ],
	[ 'web-1', 'Report Er', 'postgres', ['BEGIN'], '{2,4}|idle_in_transaction_timeout|3min' ],
	[ 'web-1', 'app', 'postgres', [ 'BEGIN', 'INSERT INTO t VALUES (1)' ], '{1,2,4}|idle_writer_timeout|4min' ],
	[ 'web', 'app', 'postgres', [ 'BEGIN', 'INSERT INTO t VALUES (1)' ], '{4}|idle_writer_timeout|1min' ],
	[ 'web', 'app', 'postgres', ['BEGIN'], '{4}|idle_in_transaction_timeout|10min' ],
	[ 'web-1', 'app', 'shop', ['SELECT 1'], '{1,2,3,4}|idle_session_timeout|5min' ],
	[ 'web-1', 'app', 'postgres', ['SELECT 1'], '{1,2,4}|idle_session_timeout|2h' ],
	[ '', 'app', 'shop', ['SELECT 1'], '{3,4}|idle_session_timeout|5min' ],
);
for my $case (@cases)
{
	my ($application, $user, $database, $statements, $expected) = @$case;
	my $client = client($application, user => $user, dbname => $database);

	$client->query($_) for @$statements;
	is(of_session('rules, limit_name, limit_setting', $client),
		$expected, "\"$application\", $user, $database, @$statements");
	$client->close;
}

# transaction_timeout of rule 3 is "no limit", so that of rule 4 is not asked.
my $in_shop = client('web-1', dbname => 'shop');
$in_shop->send_query('SELECT pg_sleep(60)');
until_row($node,
	"SELECT state FROM hygiene.sessions WHERE pid = $in_shop->{pid}", 'active');
is(of_session('limit_name', $in_shop), '', '0 in a rule means no limit');
one("SELECT pg_cancel_backend($in_shop->{pid})");
$in_shop->wait_ready;
$in_shop->close;

#
# The same, not shown but done; DETAIL and event name the rule.
#
configure(
	$node,
	rules =>
	  'application=api: idle_in_transaction_timeout=100ms; '
	  . 'application=web-*: idle_in_transaction_timeout=200ms, transaction_timeout=30min; '
	  . 'application="my app; it": idle_writer_timeout=150ms; '
	  . 'application=slow user!=boss: transaction_timeout=200ms; '
	  . 'application=*: idle_in_transaction_timeout=0');

my $web = idle_in_transaction('web-7');
my $last = $web->wait_closed;
is($last->{C}, '25P03', 'a rule ends a session');
like(
	$last->{D},
	qr/^Application "web-7" left a transaction idle for .*; rule 2 \(application=web-\*\) allows 200 ms\.$/,
	'DETAIL names the rule and its value');
is( one("SELECT rule, reason, outcome, limit_setting FROM hygiene.events WHERE pid = $web->{pid}"),
	'2|idle_in_transaction_timeout|done|200ms',
	'so does the event');

like(
	idle_in_transaction('my app; it', 'INSERT INTO t VALUES (1)')->wait_closed->{D},
	qr/; rule 3 \(application="my app; it"\) allows 150 ms\.$/,
	'a pattern in quotes is named in quotes');

my $slow = client('slow');
$slow->try_query('SELECT pg_sleep(60)');
is($slow->{error}->{C}, '57014', 'a rule cancels a statement');
like(
	$slow->{error}->{D},
	qr/; rule 4 \(application=slow user!=boss\) allows 200 ms\.$/,
	'DETAIL names it with all its selectors');
is(one("SELECT rule, action, reason FROM hygiene.events WHERE pid = $slow->{pid}"),
	'4|cancel|transaction_timeout', 'so does the event');
$slow->close;

my $other = idle_in_transaction('other');
outlive($other, 500);
ok($other->is_open, 'what no rule but "no limit" matches stays');
$other->close;

#
# Caps: those of all matching rules hold.
#
configure(
	$node,
	rules =>
	  'application=web-*: connections=3; user=app: connections=4; '
	  . 'application=web-*: connections=5; database=shop: connections=1');

my @held = map { client("web-$_") } 1 .. 3;
my $refused = client('web-4');
is($refused->{error}->{C}, '53300', 'a rule has a cap on its sessions');
is( $refused->{error}->{M},
	'too many connections for rule 1 (application=web-*)',
	'the message names the rule');
like(
	$refused->{error}->{D},
	qr/^The sessions of this rule hold 3 connections; rule 1 \(application=web-\*\) allows 3\./,
	'the DETAIL counts');
push @held, client('cron');
is($held[-1]->{error}, undef, 'a cap is not the business of others');
$refused = client('cron');
is($refused->{error}->{C}, '53300', 'the cap of another rule holds too');
is( $refused->{error}->{M},
	'too many connections for rule 2 (user=app)',
	'and is named');
push @held, client('cron', user => 'Report Er', dbname => 'shop');
is($held[-1]->{error}, undef, 'what neither matches comes in');
is(client('cron', user => 'Report Er', dbname => 'shop')->{error}->{M},
	'too many connections for rule 4 (database=shop)', 'until its own cap');

is( one(q{SELECT string_agg(rule || ':' || sessions || ':'
		|| coalesce(connections_limit::text, '-') || ':' || refused, ' ' ORDER BY rule)
	FROM hygiene.rules}),
	'1:3:3:1 2:4:4:1 3:3:5:0 4:1:1:1',
	'hygiene.rules counts sessions and refusals, with the caps');
ok(one("SELECT bool_and(last_used > now() - interval '1 min') FROM hygiene.rules WHERE rule <> 3") eq 't',
	'and says when each was used last');
is(of_rule('last_used', 3), '', 'what was never used has no such time');
is( one(q{SELECT string_agg(DISTINCT rule::text, ',') FROM hygiene.events WHERE action = 'refuse'}),
	'1,2,4', 'events name the rule');

gone(shift @held);
push @held, client('web-5');
is($held[-1]->{error}, undef, 'one goes, one may come');
my $renamed = $held[0];
$renamed->query("SET application_name = 'batch'");
is(of_rule('sessions', 1), '2', 'a changed name is counted at once');
$refused = client('web-6', user => 'Report Er');
is($refused->{error}, undef, 'and makes room under the cap of its old name');
push @held, $refused;
is(client('boss')->{error}->{C}, '53300', 'a full rule is full for all that it matches');
push @held, client('web-7', user => 'boss');
is($held[-1]->{error}, undef, 'but not for superusers');
gone(@held);

# The rate of one rule and the cap of another.
configure($node,
	rules => 'user=app: connect_rate=1000; application=web-*: connect_rate=1, connections=50');
@held = ();
do
{
	push @held, client('web-1');
} until ($held[-1]->{error} || @held == 50);
is($held[-1]->{error}->{C}, '53300', 'a rule has a rate');
is( $held[-1]->{error}->{M},
	'too many new connections for rule 2 (application=web-*)',
	'that of each matching rule holds');
pop @held;
is(client('api')->{error}, undef, 'a rate is not the business of others');
gone(@held);

#
# exempt, wherever it stands.
#
configure(
	$node,
	idle_in_transaction_timeout => '100ms',
	rules =>
	  'application=job-*: idle_in_transaction_timeout=100ms, connections=1; '
	  . 'application=job-1 database=postgres: exempt, idle_writer_timeout=1ms');
my $job = idle_in_transaction('job-1', 'INSERT INTO t VALUES (1)');
my $job2 = idle_in_transaction('job-1');
is($job2->{error}, undef, 'an exempt session is not refused');
is(client('job-2')->{error}->{C}, '53300', 'though it is counted');
outlive($job, 300);
ok($job->is_open && $job2->is_open, 'nor ended');
is(of_session('exempt, rules, limit_name, ends_in', $job),
	'rule 2|{1,2}||', 'hygiene.sessions names the rule');
gone($job, $job2);

my $in_other = client('job-1', dbname => 'shop');
$in_other->query('BEGIN');
like($in_other->wait_closed->{D}, qr/; rule 1 \(application=job-\*\)/,
	'what it does not match is ended');

#
# mode, by rule.
#
configure(
	$node,
	rules =>
	  'application=watched: mode=observe, idle_in_transaction_timeout=100ms; '
	  . 'application=free: mode=off; '
	  . 'application=watch*: mode=enforce, idle_in_transaction_timeout=50ms');
my $position = log_position($node);
my $watched = idle_in_transaction('watched');
my $free = idle_in_transaction('free');
$other = idle_in_transaction('watcher');
is($other->wait_closed->{C}, '25P03', 'a rule without a mode enforces');
outlive($watched, 300);
outlive($free, 300);
ok($watched->is_open, 'one application is only observed');
is(outcomes($node, 'watched'), 'observed', 'and that is recorded once');
is( one("SELECT rule, limit_setting FROM hygiene.events WHERE pid = $watched->{pid}"),
	'1|100ms', 'with the rule');
wait_log($node,
	qr/LOG:  .*\bprocess $watched->{pid}\b.*\n.*DETAIL: .*rule 1 \(application=watched\) allows 100 ms/,
	$position);
is(of_session('limit_name, limit_setting, ends_in', $watched),
	'idle_in_transaction_timeout|100ms|', 'hygiene.sessions: a limit, no end');
ok($free->is_open, 'for one application all is off');
is(outcomes($node, 'free'), '', 'and nothing recorded');
is(of_session('limit_name, ends_in', $free), '|', 'nor shown');
is(of_rule('ended, refused, last_used', 1), '0|0|', 'observing does not count as ending');

configure($node, mode => 'observe');
$other = idle_in_transaction('unruled');
my $enforced = idle_in_transaction('watchdog');
is($enforced->wait_closed->{C}, '25P03', 'one rule enforces while the server observes');
outlive($other, 300);
ok($other->is_open, 'the server observes the others');
is(outcomes($node, 'unruled'), 'observed', 'and records it');
$_->close for $other, $watched, $free;
configure($node, mode => undef, idle_in_transaction_timeout => undef);

# The cap of a rule in observe mode refuses nobody.
configure($node, rules => 'application=capped: connections=1, mode=observe');
@held = map { client('capped') } 1 .. 3;
is(scalar(grep { $_->{error} } @held), 0, 'an observed cap refuses nobody');
is(outcomes($node, 'capped'), 'observed,observed', 'but records it');
gone(@held);

#
# A changed rule holds at once for sessions already idle.
#
sub best_of
{
	my ($measure) = @_;
	my $best;

	for (1 .. $TRIES)
	{
		my $time = $measure->();

		$best = $time if !defined $best || $time < $best;
	}
	return $best;
}

# Seconds from the reload to the end of a session that was idle for long.
sub time_of_reload
{
	configure($node,
		rules => 'application=web-*: idle_in_transaction_timeout=1h');
	my $client = idle_in_transaction('web-1');

	outlive($client, 50);
	$boss->query(
		q{ALTER SYSTEM SET pg_hygiene.rules = 'application=web-*: idle_in_transaction_timeout=50ms'}
	);
	my $begin = time;

	$boss->query('SELECT pg_reload_conf()');
	is($client->wait_closed->{C}, '25P03', 'a changed rule ends an idle session');
	return $client->{closed_at} - $begin;
}

my $seconds = best_of(\&time_of_reload);
cmp_ok($seconds, '<', 0.4, 'at the reload, not at the next second');

# And lets go on whom it does not concern any more.
configure($node, rules => 'application=web-*: idle_in_transaction_timeout=2s');
my $lucky = idle_in_transaction('web-1');
configure($node, rules => 'application=api-*: idle_in_transaction_timeout=2s');
outlive($lucky, 2200);
ok($lucky->is_open, 'a rule that is gone ends nobody');
is(of_session('rules, limit_setting', $lucky), '{}|10min', 'nor is it shown');
$lucky->close;

#
# A rule that ends by itself: the worker wakes at that moment.
#

# Seconds from a rule's end to the end of a session that it had exempted; less
# than nothing if that came too early.
sub time_of_end
{
	my ($until, $epoch) = split /\|/, one(
		q{SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
			extract(epoch FROM t)
		FROM date_trunc('ms', now() + '1500 ms') t});

	configure($node,
		rules => "application=later: exempt, until=$until; "
		  . 'application=later: idle_in_transaction_timeout=50ms');
	my $client = idle_in_transaction('later');

	is(of_session('rules, exempt', $client), '{1,2}|rule 1', 'a rule that has not ended');
	is($client->wait_closed->{C}, '25P03', 'its end ends whom it exempted');
	cmp_ok($client->{closed_at}, '>=', $epoch, 'not before');
	return $client->{closed_at} - $epoch;
}

cmp_ok(best_of(\&time_of_end), '<', 0.1, 'at that moment');
is( one('SELECT string_agg(sessions::text, chr(32) ORDER BY rule) FROM hygiene.rules'),
	'0 0', 'a rule that has ended is still shown');
my $later = client('later');
is(of_session('rules, exempt', $later), '{2}|', 'and matches nobody');
$later->close;

# Its caps and reserves are gone with it.
configure($node,
	rules => 'application=later: connections=1, until=2020-01-01T00:00Z; '
	  . 'application=other: reserve=97, until=2020-01-01T00:00Z');
my @later = map { client('later') } 1 .. 3;
is(scalar(grep { $_->{error} } @later), 0, 'what a rule kept or capped is free when it has ended');
gone(@later);

#
# A changed application_name holds within a second.
#
configure(
	$node,
	rules =>
	  'application=web-*: idle_in_transaction_timeout=100ms; application=later-*: idle_in_transaction_timeout=1500ms');

# The session has been idle in its transaction in its old name, and says
# nothing but its new one.
sub time_of_rename
{
	my $client = idle_in_transaction('quiet');

	outlive($client, 200);
	$client->query("SET LOCAL application_name = 'web-9'");
	$last = $client->wait_closed;
	is($last->{C}, '25P03', 'a new name brings a new limit');
	like($last->{D}, qr/^Application "web-9" .*; rule 1 \(application=web-\*\)/,
		'which is told by the new name');
	cmp_ok($client->{told_at} - $client->{sent_at}, '>=', 0.1, 'not early');
	return $client->{closed_at} - $client->{replied_at};
}

$seconds = best_of(\&time_of_rename);
cmp_ok($seconds, '<', 1.3, 'within a second of its being due');

$renamed = idle_in_transaction('later-1');
$renamed->query("SET LOCAL application_name = 'quiet'");
is(of_session('application_name, rules, limit_setting', $renamed),
	'quiet|{}|10min', 'hygiene.sessions follows a name at once');
outlive($renamed, 1700);
ok($renamed->is_open, 'a new name takes away a limit');
$renamed->query('ROLLBACK');
is(of_session('application_name, rules', $renamed),
	'later-1|{2}', 'ROLLBACK brings the old name back');
$renamed->query('BEGIN');
like($renamed->wait_closed->{D}, qr/; rule 2 \(application=later-\*\)/,
	'and its limit');

#
# What hygiene.rules counts, and for how long.
#
my $counted =
  'application=web-*: idle_in_transaction_timeout=50ms, transaction_timeout=80ms, cancel_grace=30min, reserve=2';
configure($node, rules => "$counted; application=web-*: idle_writer_timeout=1h");
idle_in_transaction('web-1')->wait_closed;
$slow = client('web-2');
$slow->try_query('SELECT pg_sleep(60)');
until_row($node, 'SELECT ended FROM hygiene.rules WHERE rule = 1', '2');
pass('terminations and cancellations count as ended');
is(of_rule('sessions, connections_limit, reserve, refused', 1), '1||2|0',
	'next to the other columns');
is( of_rule('selectors, settings', 1),
	'application=web-*|idle_in_transaction_timeout=50ms, transaction_timeout=80ms, cancel_grace=30min, reserve=2',
	'and the rule as it is read');
is(of_rule("last_used > now() - interval '1 min'", 1), 't', 'and its last use');
is(of_rule('sessions, ended, last_used', 2), '1|0|',
	'a rule that matched, but did not decide, has no part in it');

$node->reload;
configure($node, rules => "$counted; application=api: exempt");
until_row($node, 'SELECT count(*) FROM hygiene.rules WHERE ended = 2', '1');
pass('a rule that stays keeps its counts');
configure($node, rules => 'application=web-*: idle_in_transaction_timeout=60ms');
until_row($node,
	"SELECT ended || ':' || coalesce(last_used::text, '-') FROM hygiene.rules", '0:-');
pass('one that is changed begins anew');
$slow->close;

#
# Addresses.
#
configure(
	$node,
	rules =>
	  'address=local: idle_in_transaction_timeout=21min; '
	  . 'address=127.0.0.1/32: idle_in_transaction_timeout=22min; '
	  . 'address=::1: idle_in_transaction_timeout=23min; '
	  . 'address!=local application=net*: idle_in_transaction_timeout=1min; '
	  . 'address=127.0.0.0/8 address!=127.0.0.1: exempt; '
	  . 'address=10.1.0.0/16: exempt');
# Through whichever address, what the session sees of itself.
sub seen_by
{
	my ($host) = @_;
	my ($status, $out, $err) = $node->psql(
		'postgres',
		"BEGIN; SELECT rules FROM hygiene.sessions WHERE pid = pg_backend_pid()",
		connstr => "host=$host port=" . $node->port . ' dbname=postgres user=app application_name=net');

	return $status == 0 ? $out : $err;
}

my $tcp = client('net', tcp => 1);
$tcp->query('BEGIN');
is(of_session('rules, limit_setting, client_addr', $tcp),
	'{2,4}|22min|127.0.0.1', 'TCP over IPv4');
my $local = idle_in_transaction('net');
is(of_session('rules, limit_setting, client_addr', $local),
	'{1}|21min|', 'a Unix-domain socket');
is(seen_by('127.0.0.1'), '{2,4}', 'psql over IPv4');
is(seen_by($node->host), '{1}', 'psql over a Unix-domain socket');
SKIP:
{
	my $seen = seen_by('::1');

	skip 'no IPv6 on this machine', 1 if $seen =~ /connection to server/;
	is($seen, '{3,4}', 'psql over IPv6');
}
is( one(q{SELECT string_agg(selectors, ' | ' ORDER BY rule) FROM hygiene.rules}),
	join(' | ',
		'address=local', 'address=127.0.0.1', 'address=::1',
		'address!=local application=net*',
		'address=127.0.0.0/8 address!=127.0.0.1',
		'address=10.1.0.0/16'),
	'hygiene.rules shows blocks in short');

configure($node, rules => 'address=127.0.0.1: idle_in_transaction_timeout=100ms');
like($tcp->wait_closed->{D}, qr/; rule 1 \(address=127\.0\.0\.1\) allows 100 ms\.$/,
	'an address is reason enough');
two_passes($node);
ok($local->is_open, 'for those who come from there');
$local->close;

#
# Every kind of mistake is refused where it is typed, with what was expected
# and where.
#
my $OK = 'application=web-*: idle_in_transaction_timeout=150ms';
my $EIGHT = join ' ', ('user=a') x 8;
my @mistakes = (
	[ 'unknown selector', 'role=app: exempt', 'expected "application", "user", "database" or "address", found "role"', 1 ],
	[ 'unknown setting', 'user=app: statement_timeout=5s', 'expected a setting such as idle_in_transaction_timeout, connections or exempt, found "statement_timeout"', 11 ],
	[ 'missing colon', 'user=app exempt', 'expected ":" or another selector, found "exempt"', 10 ],
	[ 'missing colon at the end', 'user=app', 'expected ":" or another selector at the end, position', 9 ],
	[ 'unclosed quote', 'application="my app: exempt', 'expected a closing quote, found ""my app: exempt"', 13 ],
	[ 'missing operator', 'user app: exempt', 'expected "=" or "!=", found "app"', 6 ],
	[ 'missing pattern', 'user=: exempt', 'expected a pattern, or "" for the empty name, found ":"', 6 ],
	[ 'bad address', 'address=10.1.0.0/33: exempt', 'expected an address, a block such as 10.1.0.0/16 or fd00::/8, or "local", found "10.1.0.0/33"', 9 ],
	[ 'host name', 'address=localhost: exempt', 'expected an address, a block such as 10.1.0.0/16 or fd00::/8, or "local", found "localhost"', 9 ],
	[ 'bad unit', 'user=a: idle_session_timeout=5 minutes', 'expected a unit: us, ms, s, min, h or d, found "minutes"', 32 ],
	[ 'no duration', 'user=a: idle_session_timeout=soon', 'expected a duration such as 30s or 5min, found "soon"', 30 ],
	[ 'negative duration', 'user=a: idle_session_timeout=-5s', 'expected a duration from 0 to 2147483647ms (24 days), found "-5s"', 30 ],
	[ 'negative number', 'user=a: connections=-1', 'expected a whole number from 0 to 262143, found "-1"', 21 ],
	[ 'too long', 'user=a: transaction_timeout=25d', 'expected a duration from 0 to 2147483647ms (24 days), found "25d"', 29 ],
	[ 'too many connections', 'user=a: reserve=262144', 'expected a whole number from 0 to 262143, found "262144"', 17 ],
	[ 'too high a rate', 'user=a: connect_rate=1000001', 'expected a whole number from 0 to 1000000, found "1000001"', 22 ],
	[ 'too far a horizon', 'user=a: horizon_limit=2000000001', 'expected a whole number from 0 to 2000000000, found "2000000001"', 23 ],
	[ 'bad mode', 'user=a: mode=on', 'expected "enforce", "observe" or "off", found "on"', 14 ],
	[ 'missing "="', 'user=a: connections 5', 'expected "=", found "5"', 21 ],
	[ 'a word that is none', 'user=a: exempt=yes', 'expected "on" or "off", found "yes"', 16 ],
	[ 'not a time', 'user=a: exempt, until=tomorrow', 'expected a time such as 2026-11-24T08:00Z or 2026-11-24T10:00+02:00, found "tomorrow"', 23 ],
	[ 'not a day', 'user=a: exempt, until=2026-02-29T08:00Z', 'expected a time that exists, in the years 2000 to 9999, found "2026-02-29T08:00Z"', 23 ],
	[ 'a setting twice', 'user=a: exempt, mode=off, exempt', 'expected each setting only once in a rule, found "exempt"', 27 ],
	[ 'too long a pattern', 'user=' . 'x' x 64 . ': exempt', 'expected a pattern of at most 63 bytes, found "' . 'x' x 47 . '"', 6 ],
	[ 'too many selectors', "$EIGHT user=b: exempt", 'expected at most 8 selectors in a rule, found "user"', 57 ],
	[ 'too many rules', join('; ', ('user=a: exempt') x 257), 'expected at most 256 rules, found "user"', 256 * 16 + 1 ],
	[ 'empty rule', "$OK;; $OK", 'expected a rule, found ";"', length("$OK;") + 1 ],
	[ 'empty rule at the end', "$OK;;", 'expected a rule, found ";"', length("$OK;") + 1 ],
	[ 'after a good rule', "$OK; usr=b: exempt", 'expected "application", "user", "database" or "address", found "usr"', length("$OK; ") + 1 ],
	[ 'after other letters', 'user=jürgen user=ß database: exempt', 'expected "=" or "!=", found ":"', 28 ],
);

# "found ..." has its place after it, "at the end" has it in the phrase.
sub phrase
{
	my ($expected, $position) = @_;

	return $expected =~ /position$/
	  ? "$expected $position"
	  : "$expected at position $position";
}

configure($node, rules => $OK);
my $before = one('SELECT string_agg(r::text, chr(10)) FROM hygiene.rules r');
for my $mistake (@mistakes)
{
	my ($kind, $text, $expected, $position) = @$mistake;
	my $literal = "'$text'";

	$boss->try_query("ALTER SYSTEM SET pg_hygiene.rules = $literal");
	is($boss->{error}->{C}, '22023', "$kind: SQLSTATE");
	is( $boss->{error}->{M},
		'invalid value for parameter "pg_hygiene.rules": '
		  . phrase($expected, $position),
		"$kind: message");

	$boss->try_query("SELECT * FROM hygiene.check_rules($literal)");
	is($boss->{error}->{C}, '22023', "$kind: SQLSTATE of check_rules");
	is( $boss->{error}->{M},
		'invalid rules: ' . phrase($expected, $position),
		"$kind: message of check_rules");
	is($boss->{error}->{p}, $position, "$kind: its position");
	is($boss->{error}->{q}, $text, "$kind: and the text that it is one of");

	$boss->try_query("SELECT * FROM hygiene.rehearse($literal)");
	is( $boss->{error}->{M},
		'invalid rules: ' . phrase($expected, $position),
		"$kind: message of rehearse");
}
like($boss->{error}->{H}, qr/^A rule looks like this: /, 'a HINT shows a rule');
for my $call (
	q{ALTER SYSTEM SET pg_hygiene.rules = '%s'},
	q{SELECT * FROM hygiene.check_rules('%s')})
{
	my ($status, $out, $err) = $node->psql(
		'postgres',
		sprintf($call, "$OK;" . ' ' x 65536),
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);

	like($err,
		qr/ERROR:  22023: .*expected at most 65535 bytes of rules/,
		'too long a text');
}
is(one('SELECT string_agg(r::text, chr(10)) FROM hygiene.rules r'),
	$before, 'none of them changed the rules');
is(one('SHOW pg_hygiene.rules'), $OK, 'nor the setting');
unlike(slurp_file($node->data_dir . '/postgresql.auto.conf'),
	qr/exempt/, 'nor the file');

my $most = join '; ', map { "user=u$_: exempt" } 1 .. 256;
is(one("SELECT count(*), max(rule) FROM hygiene.check_rules('$most')"),
	'256|256', '256 rules are accepted');
configure($node, rules => $most);
is(one('SELECT count(*) FROM hygiene.rules'), '256', 'and in force');
is(one("SELECT count(*) FROM hygiene.check_rules('')"), '0', 'so is none');

#
# In the file a mistake keeps the old rules, and the log says the same.
#
configure($node, rules => undef);
append_rules($OK);
until_row($node, 'SHOW pg_hygiene.rules', $OK);
is(one('SHOW pg_hygiene.rules'), $OK, 'rules in the file');

# Make this the file's value; the last line of a name counts.
sub append_rules
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	$node->append_conf('postgresql.conf', "pg_hygiene.rules = '$text'");
	$node->reload;
	return;
}

my $idle = idle_in_transaction('api');
for my $mistake (@mistakes)
{
	my ($kind, $text, $expected, $position) = @$mistake;
	my $message = phrase($expected, $position);

	my $log_position = log_position($node);

	append_rules($text);
	wait_log($node, qr/"pg_hygiene\.rules": .* position \d+$/m, $log_position);
	my ($logged) = slurp_file($node->logfile, $log_position) =~
	  /LOG:  invalid value for parameter "pg_hygiene\.rules": (.*)$/m;
	is($logged, $message, "$kind: logged at the reload");
}
two_passes($node);
is(one('SELECT string_agg(selectors || settings, chr(10)) FROM hygiene.rules'),
	'application=web-*idle_in_transaction_timeout=150ms', 'the old rules stay');
$web = idle_in_transaction('web-1');
like($web->wait_closed->{D}, qr/; rule 1 \(application=web-\*\) allows 150 ms\.$/,
	'and are in force');
$web = client('web-2');
is($web->query('SELECT rules FROM hygiene.sessions WHERE pid = pg_backend_pid()')->[0]->[0],
	'{1}', 'for new sessions too');
ok($idle->is_open, 'nobody else was touched');
$_->close for $web, $idle;

append_rules('application=api: idle_in_transaction_timeout=100ms');
until_row($node, 'SELECT selectors FROM hygiene.rules', 'application=api');
is(idle_in_transaction('api')->wait_closed->{C}, '25P03', 'a mended file is taken');

is(one("SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'"),
	'0', 'no event is left pending');
$boss->close;
$node->stop;
done_testing();
