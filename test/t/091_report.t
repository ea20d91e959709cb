
# hygiene.samples and hygiene.report(): samples are taken and forgotten, and
# the page is well-formed HTML whatever names and statements clients choose.
#
# Where the ring of samples ends and what a clock that is set does to it is in
# test/unit/samples_test.c.  reset() makes the worker take a sample at once.

use PgHygiene;
use IPC::Run;
use JSON::PP;

my $PYTHON = '/usr/bin/python3';

plan skip_all => 'html5lib is not there'
  unless run_log([ $PYTHON, '-c', 'import html5lib' ]);

# Names that would be markup, and one that is longer than most.
my $NASTY = q{x"><script>alert(1)</script>&amp;'<!--};
my $ROLE = q{<b onclick="alert(2)">role};
my $DATABASE = q{<i>&'data"};
my $STATEMENT =
  qq{SELECT '</pre></style><script>alert(3)</script>' AS "\xc3\xa4\xe2\x82\xac", '\x01]]>&lt;'};

my $RULES =
  'application=capped: connections=1; application=short: idle_in_transaction_timeout=100ms';

my $node = new_node(
	'main',
	'pg_hygiene.warn_at = 0',
	'pg_hygiene.idle_in_transaction_timeout = 10min',
	"pg_hygiene.rules = '$RULES'");
my $boss = $node->safe_psql('postgres', 'SELECT current_user');

#
# A sample has who holds what at the moment.  What sessions do may be a second
# old in it, so the first one may have missed them.
#
my @held = map { client('orders', 'BEGIN', 'SELECT 1') } 1 .. 3;
push @held, map { client('web') } 1 .. 2;
my $expected = '{orders,web}|{3,2}|{3,0}|3';
my $found;
for (1 .. 20)
{
	one('SELECT hygiene.reset()');
	until_row($node, 'SELECT count(*) > 0 FROM hygiene.samples');
	$found = one(
		q{SELECT array_agg(name ORDER BY name), array_agg(connections ORDER BY name),
			array_agg(idle ORDER BY name), max(idle_in_transaction)
		FROM (SELECT * FROM hygiene.samples ORDER BY sampled_at LIMIT 1) s,
			unnest(application_names, application_connections,
				application_idle_in_transaction) AS u (name, connections, idle)
		WHERE name IN ('orders', 'web')});
	last if $found eq $expected;
}
is($found, $expected, 'a sample says who holds how many, and how many are idle in a transaction');
is( one(q{
		SELECT used >= 5 AND most_used >= used
			AND sampled_at BETWEEN (SELECT stats_since FROM hygiene.status) AND clock_timestamp()
		FROM hygiene.samples ORDER BY sampled_at LIMIT 1}),
	't', 'how many slots are in use, and when that was');

#
# What happens between two samples is in the later one.
#
one('SELECT hygiene.reset()');
until_row($node, 'SELECT count(*) > 0 FROM hygiene.samples');
push @held, client('capped');
is(client('capped')->{error}->{C}, '53300', 'refused') for 1 .. 3;
client('short', 'BEGIN')->wait_closed for 1 .. 2;
until_row($node,
	'SELECT sum(refused), sum(ended), sum(refused_by_server) FROM hygiene.samples',
	'3|2|0');
pass('refused and ended sessions are counted in the samples');
until_row($node, 'SELECT count(*) >= 2 FROM hygiene.samples');
is( one(q{
		SELECT count(*) = count(DISTINCT floor(extract(epoch FROM sampled_at) / 10)),
			sum(refused), sum(ended)
		FROM hygiene.samples}),
	't|3|2',
	'a sample for each ten seconds; nothing is counted twice');

#
# Pages.
#
my $folder = $PostgreSQL::Test::Utils::tmp_check;
my $pages = 0;

# The page as a role gets it, written by psql, and what a parser says of it.
sub page
{
	my ($what, %options) = @_;
	my $file = "$folder/report" . ++$pages . '.html';
	my ($json, $error);

	local $ENV{PGCLIENTENCODING} = $options{encoding} || 'UTF8';
	$node->command_ok(
		[
			'psql', '-qXAt', '-U', $options{user} || $boss, '-o', $file,
			'-c', $options{sql} || 'SELECT hygiene.report()',
			'-d', $node->connstr($options{dbname} || 'postgres') ],
		"$what: psql");
	IPC::Run::run([ $PYTHON, 'test/programs/report/read_page.py', $file ],
		'>', \$json, '2>', \$error);
	my $page = eval { decode_json($json) };
	ok($page, "$what: it is ASCII and can be read") or diag($error), return {};
	is($page->{error}, undef, "$what: it is well-formed");
	is_deeply([ grep { /script|img|link|iframe|object|embed|form|input|button|foreign|^[ab]$|comment/ }
			@{ $page->{elements} } ],
		[], "$what: it has no element that clients made, and none that loads or runs");
	is_deeply([ grep { /^on|href|src/ } @{ $page->{attributes} } ],
		[], "$what: nor such an attribute");
	is_deeply($page->{links}, [], "$what: it links to nothing");
	$page->{source} = slurp_file($file);
	return $page;
}

sub has
{
	my ($page, $element, $text, $name) = @_;

	ok((grep { index($_, $text) >= 0 } @{ $page->{texts}->{$element} }), $name)
	  or diag(explain($page->{texts}->{$element}));
	return;
}

sub has_not
{
	my ($page, $text, $name) = @_;

	ok( !(grep { index($_, $text) >= 0 } map { @$_ } values %{ $page->{texts} }),
		$name);
	return;
}

my $page = page('an ordinary page');
has($page, 'bdi', 'orders', 'it names the applications');
has($page, 'small', '3 at most', 'and what they held');
has($page, 'td', 'connections = 1 by rule 1', 'why a connection was refused');
has($page, 'td', 'idle_in_transaction_timeout = 100ms by rule 2', 'why a session was ended');
like($page->{source}, qr/ in use \([^()]+\), [1-9]\d* ended, /, 'when that was');
like($page->{source}, qr/ ended, [1-9]\d* refused<\/title>/, 'and when the other was');
like($page->{source}, qr/<path class="c1" d="M[^"]+"/, 'it draws who held them');

# What it says beside the curve.
has($page, 'p', ' of 97 usable connection slots are in use; orders holds 3 of them, 3 idle in a transaction. 2 sessions were ended and 3 connections refused in the last 10 minutes.',
	'a sentence sums it up');
like($page->{source}, qr/<path class="in" d="M[^"]+"/, 'the part that is idle in a transaction is drawn');
has($page, 'h2', 'Incidents', 'there are incidents');
has($page, 'li', 'idle_in_transaction_timeout = 10min', 'the settings in force');
like($page->{source}, qr/warn_at = <strong>0<\/strong>/, 'those that are not the default, in bold');
has($page, 'bdi', 'application=capped', 'the rules in force');
has($page, 'bdi', 'connections=1', 'and what they set');
has_not($page, 'would have been', 'nothing is only observed');
like($page->{source}, qr/Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/,
	'it tells the browser to load and run nothing');

#
# Names and statements that would be markup.
#
my %quoted = (role => $ROLE, database => $DATABASE);
s/"/""/g for values %quoted;
one(qq{CREATE ROLE "$quoted{role}" LOGIN});
one(qq{CREATE DATABASE "$quoted{database}"});
one(q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
one(q{CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0});
$node->safe_psql($_, 'CREATE EXTENSION pg_hygiene') for qw(latin bytes);
my %who = (application => $NASTY, user => $ROLE, dbname => $DATABASE);
my $calm = PgHygiene::Client->new($node, %who);
my $nameless = client('');
one('SELECT hygiene.reset()');
until_row($node, 'SELECT count(*) > 0 FROM hygiene.samples');
my $nasty = PgHygiene::Client->new($node, %who);
$nasty->query('BEGIN');
$nasty->query($STATEMENT);
my $raw = client('x raw', dbname => 'bytes');
$raw->query('BEGIN');
$raw->query("SELECT '\xff\xfe\xc3', '\xe2\x82'");
configure($node, rules => "$RULES; application=x*: idle_in_transaction_timeout=100ms");
$_->wait_closed for $nasty, $raw;
until_row($node, q{SELECT sum(ended) FROM hygiene.leaks WHERE application_name LIKE 'x%'}, '2');

$page = page('names and statements that are markup');
has($page, 'bdi', $NASTY, 'the application has its name');
has($page, 'bdi', '(no name)', 'one without a name, too');
has($page, 'small', $ROLE, 'so has the role');
has($page, 'small', $DATABASE, 'so has the database');
my $shown = $STATEMENT =~ s/\x01/\xef\xbf\xbd/r;
utf8::decode($shown);
has($page, 'pre', $shown, 'the statement is what it was, but for a control character');
has($page, 'p', 'A SELECT opened a transaction', 'with what to change');

my $latin = page('for a client in LATIN1', encoding => 'LATIN1');
has($latin, 'pre', $shown, 'the same for a client of another encoding');

#
# Others do not see what the views hide from them.
#
my $others = page('for another role', user => 'app');
has($others, 'pre', '<insufficient privilege>', 'the statement is hidden');
has_not($others, 'alert(3)', 'wherever it is');
has($others, 'bdi', $NASTY, 'the name is not');

#
# Other encodings: nothing that a client left behind makes the page fail.
#
page("from a database in $_->[0]", dbname => $_->[1])
  for [ 'UTF8', 'postgres' ], [ 'LATIN1', 'latin' ], [ 'SQL_ASCII', 'bytes' ];

#
# Who blocks, who holds VACUUM back, and from where a leak comes.
#
one('CREATE TABLE queue (i int); GRANT ALL ON queue TO PUBLIC');
my $blocker = client('blocker', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'INSERT INTO queue VALUES (1)',
	'LOCK TABLE queue');
my $waiter = client('waiter');
$waiter->send_query('INSERT INTO queue VALUES (2)');
until_row($node, 'SELECT count(*) = 1 FROM hygiene.sessions WHERE blocking > 0');
one('CREATE TABLE u (i int)');
$page = page('with a blocker');
like($page->{source}, qr/Who blocks others now.*<small>process $blocker->{pid}<\/small>.*<td>1<\/td>/s,
	'who blocks, and how many wait');
like($page->{source}, qr/removing dead rows.*<small>process $blocker->{pid}<\/small>.*<td>\d+<\/td>/s,
	'who holds VACUUM back, and by how much');
$blocker->close;
$waiter->wait_ready;
$waiter->close;

#
# A pause that came back, and one that did not; with the limit as a line.
#
my $pausing = client('pausing');
for (1 .. 3)
{
	$pausing->query('BEGIN');
	until_row($node,
		"SELECT state_age > '1.5 s' FROM hygiene.sessions WHERE pid = $pausing->{pid}");
	$pausing->query('COMMIT');
}
until_row($node, q{SELECT resumed >= 3 FROM hygiene.behaviour
	WHERE application_name = 'pausing' AND kind = 'idle in transaction'});
$page = page('with pauses');
has($page, 'small', 'idle in transaction: 3 came back, 0 did not; limit 10min', 'pauses that came back');
like($page->{source}, qr/<path class="e4" d="M1 100h1v-100/, 'are drawn where they belong');
like($page->{source}, qr/<path class="line max" d="M18.5 0V200"/, 'beside the limit');

#
# Nothing is lost between the newest sample and the page: what is ended after a
# sample is there before the next one.
#
my ($in_page, $in_samples) = (0, 1);
for (1 .. 20)
{
	one('SELECT hygiene.reset()');
	until_row($node, 'SELECT count(*) > 0 FROM hygiene.samples');
	client('short', 'BEGIN')->wait_closed;
	until_row($node, 'SELECT terminated FROM hygiene.status', '1');
	$page = page('before the next sample');
	$in_samples = one('SELECT sum(ended) FROM hygiene.samples');
	last if $in_samples eq '0';
}
is($in_samples, '0', 'a session was ended that no sample has');
has($page, 'p', '1 session was ended and 0 connections refused', 'the page has it');

#
# Where nobody is touched it says what would have been.
#
configure($node, mode => 'observe', rules => 'application=short: idle_in_transaction_timeout=100ms');
my $observed = client('short', 'BEGIN');
until_row($node, q{SELECT sum(would_terminate) FROM hygiene.applications WHERE application_name = 'short'}, '1');
$page = page('observed');
has($page, 'p', 'But for mode observe, 1 session would have been ended and 0 connections refused.', 'the sentence says so');
has($page, 'h2', 'What would have been ended or refused', 'and why');
has($page, 'small', '1 would have been', 'and whose');
$observed->close;
configure($node, mode => 'enforce', rules => "$RULES; application=x*: idle_in_transaction_timeout=100ms");

#
# With nothing to show.
#
$_->close for @held, $calm, $nameless;
$page = page('without anything',
	sql => 'DO $$ BEGIN PERFORM hygiene.reset(); END $$; SELECT hygiene.report()');
has($page, 'p', 'Nobody was, in this time.', 'it says that nothing happened');

#
# A restart empties the samples, and what was counted before is not new.
#
client('short', 'BEGIN')->wait_closed;
until_row($node, 'SELECT terminated > 0 FROM hygiene.status');
$node->restart;
until_row($node, 'SELECT count(*) > 0 FROM hygiene.samples');
is( one(q{
		SELECT min(sampled_at) > pg_postmaster_start_time(), sum(ended),
			(SELECT terminated > 0 FROM hygiene.status)
		FROM hygiene.samples}),
	't|0|t',
	'after a restart samples begin anew');

# The worker's restart does not.
my $oldest = one('SELECT min(sampled_at) FROM hygiene.samples');
my $worker = one('SELECT worker_pid FROM hygiene.status');
kill 'TERM', $worker;
until_row($node, "SELECT worker_pid <> $worker FROM hygiene.status");
two_passes($node);
is(one('SELECT min(sampled_at) FROM hygiene.samples'), $oldest,
	"after the worker's they are there");

$node->stop;
done_testing();
