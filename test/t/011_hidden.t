
# What pg_stat_activity hides from a role, no view, function or message tells
# it: not the address, by trying rules; not what a session does, by any figure
# that changes with it.

use PgHygiene;
use Time::HiRes qw(time);

# Anywhere in 127.0.0.0/8, and not where everybody is.
my $ADDRESS = '127.77.33.209';

my $node = new_node(
	'main',
	"listen_addresses = '127.0.0.1'",
	"pg_hygiene.idle_in_transaction_timeout = '10min'",
	"pg_hygiene.rules = 'address=$ADDRESS: connections=50;"
	  . ' address=127.0.0.0/8: reserve=2;'
	  . ' application=shop: connections=3, idle_in_transaction_timeout=30s;'
	  . " user=victim: idle_in_transaction_timeout=20min'");
append_to_file($node->data_dir . '/pg_hba.conf',
	"host all all 127.0.0.0/8 trust\n");
$node->safe_psql(
	'postgres', q{
	CREATE ROLE victim LOGIN;
	CREATE ROLE spy LOGIN;
	CREATE ROLE friend LOGIN;
	GRANT victim TO friend;
	CREATE ROLE reader LOGIN;
	GRANT pg_read_all_stats TO reader});
$node->reload;

my $victim = client('victim', user => 'victim', tcp => 1, from => $ADDRESS);
my %asker = map { $_ => client('asker', user => $_, nowait => 1) }
  qw(spy friend reader victim);
$_->wait_ready for values %asker;

#
# The oracle: does anything that a role is told of the victim depend on which
# of two lists of rules it asks about?  One has addresses that may be the
# victim's, the other as many that cannot be.
#

# Everything in the victim's row, except what time alone changes.
sub told
{
	my ($who, $rules) = @_;

	return $asker{$who}->first_row(qq{
		SELECT to_jsonb(r) - '{state_age, transaction_age, ends_in}'::text[]
			|| jsonb_build_object('ends', ends_in IS NOT NULL)
		FROM hygiene.rehearse('$rules') r WHERE pid = $victim->{pid}});
}

sub rules_for
{
	my ($setting, @addresses) = @_;

	return join '; ', map { "address=$_: $setting" } @addresses;
}

# Byte by byte, bit by bit: each time the half of the values with that bit.
sub find_address
{
	my ($who, $setting) = @_;
	my @known;

	for my $byte (1 .. 4)
	{
		my $value = 0;

		for my $bit (map { 1 << $_ } 0 .. 7)
		{
			my $block = sub {
				return join('.', @{ $_[0] }, $_[1], (0) x (4 - $byte)) . '/' . 8 * $byte;
			};
			my @half = grep { $_ & $bit } 0 .. 255;
			my $asked = rules_for($setting, map { $block->(\@known, $_) } @half);
			my $control = rules_for($setting,
				map { $block->([ (240) x ($byte - 1) ], $_ | 240) } @half);

			$value |= $bit if told($who, $asked) ne told($who, $control);
		}
		push @known, $value;
	}
	return join '.', @known;
}

for my $setting ('exempt', 'idle_session_timeout=7min', 'mode=observe',
	'connections=7')
{
	is(find_address('reader', $setting), $ADDRESS,
		"the oracle works: pg_read_all_stats finds the address by $setting");
	is(find_address('spy', $setting), '0.0.0.0',
		"an ordinary role finds none by $setting");
}
is(find_address('friend', 'exempt'), $ADDRESS,
	'one with the privileges of the role sees it');
like($asker{victim}->first_row(
		"SELECT verdict, exempt, rules FROM hygiene.rehearse('address=$ADDRESS: exempt')
		WHERE pid = $victim->{pid}"),
	qr/^exempt\|rule 1\|\{1\}$/, 'and so does the role itself');

#
# A row of a hidden session has what pg_stat_activity would show, and its
# own session is shown in full.
#
my %shown = map { $_ => 1 }
  qw(pid application_name user_name database_name wrote blocking query
  advisory_locks);
for my $source ('hygiene.sessions', "hygiene.rehearse('')")
{
	my $columns = $asker{spy}->query(qq{
		SELECT key, value FROM $source s, jsonb_each_text(to_jsonb(s))
		WHERE pid = $victim->{pid} AND value IS NOT NULL});

	is_deeply([ sort map { $_->[0] } @$columns ],
		[ sort keys %shown ], "$source: columns that are not null");
	like($asker{spy}->first_row(
			"SELECT state, rules IS NOT NULL, backend_start IS NOT NULL, query
			FROM $source WHERE pid = pg_backend_pid()"),
		qr/^active\|t\|t\|SELECT/, "$source: one's own is shown");
}

# Of the rules in force.
sub uses
{
	my ($who) = @_;

	return join ' ', map { $_->[0] } @{ $asker{$who}->query(q{
		SELECT concat_ws('/', rule, sessions, refused, ended, last_used)
		FROM hygiene.rules ORDER BY rule}) };
}
is(uses('reader'), '1/1/0/0 2/1/0/0 3/0/0/0 4/2/0/0', 'what each rule matches');
is(uses('spy'), '1 2 3/0/0/0 4/2/0/0',
	'where a rule goes by addresses, an ordinary role does not see it');

#
# Nothing changes for an ordinary role when the victim does something else.
# What PostgreSQL shows is left out: who holds back VACUUM, and who wrote.
#
my @PARTS = (
	"SELECT to_jsonb(s) - '{used, authenticating, available, growth_per_minute, exhaustion_in, last_pass, pass_duration}'::text[] FROM hygiene.status s",
	"SELECT to_jsonb(s) - '{wrote, xmin_age}'::text[] FROM hygiene.sessions s WHERE user_name = 'victim'",
	"SELECT to_jsonb(s) - '{wrote, xmin_age}'::text[] FROM hygiene.rehearse('application=*: idle_in_transaction_timeout=1s') s WHERE user_name = 'victim'",
	"SELECT to_jsonb(a) FROM hygiene.applications a WHERE application_name = 'victim'",
	"SELECT to_jsonb(e) FROM hygiene.events e WHERE user_name = 'victim'",
	"SELECT to_jsonb(l) FROM hygiene.leaks l WHERE user_name = 'victim'",
	"SELECT to_jsonb(r) - 'selectors' FROM hygiene.rules r",
	"SELECT to_jsonb(h) - 'xmin_age' FROM hygiene.horizon h WHERE name = 'victim' AND age IS NOT NULL",
	"SELECT to_jsonb(b) FROM hygiene.behaviour b WHERE application_name = 'victim'",
	"SELECT to_jsonb(s) FROM hygiene.suggest() s WHERE application_name = 'victim'",
	"SELECT to_jsonb(p) FROM hygiene.predict('application=*: idle_in_transaction_timeout=1s') p WHERE application_name = 'victim'",
	"SELECT hygiene.suggest_rules() ~ 'application=victim:'",
	"SELECT DISTINCT concat_ws('/', idle_in_transaction, application_idle_in_transaction) FROM hygiene.samples",
);

sub snapshot
{
	my ($who) = @_;

	return join "\n", map {
		join ' ', sort map { $_->[0] } @{ $asker{$who}->query($_) }
	} @PARTS;
}

my @deeds = (
	[ 'idle' => sub { $victim->query('SELECT 1') } ],
	[ 'idle in transaction' => sub { $victim->query($_) for 'BEGIN', "SELECT 'a secret'" } ],
	[ 'idle in transaction (aborted)' => sub { $victim->try_query('SELECT 1/0') } ],
	[ 'listening' => sub { $victim->query($_) for 'ROLLBACK', 'LISTEN channel' } ],
	[ 'active' => sub { $victim->send_query('SELECT pg_sleep(1000)') } ]);
my (%spy, %reader);

for my $deed (@deeds)
{
	my ($state, $do) = @$deed;

	$do->();
	until_row($node,
		"SELECT state FROM hygiene.sessions WHERE pid = $victim->{pid}",
		$state eq 'listening' ? 'idle' : $state);
	two_passes($node);
	$spy{ snapshot('spy') } .= " $state";
	$reader{ snapshot('reader') } .= " $state";
}
is(scalar keys %reader, scalar @deeds,
	'pg_read_all_stats sees each thing that it does');
is(scalar keys %spy, 1, 'an ordinary role sees no difference')
  or diag(join "\n--\n", map { "$spy{$_}:\n$_" } sort keys %spy);
unlike(join('', keys %spy), qr/a secret|\Q$ADDRESS\E|127\.77/,
	'and neither text nor address');

#
# What is only observed, and what is noted as a leak before anything is done.
#
one("SELECT pg_terminate_backend($victim->{pid})");
$victim->wait_closed;
configure($node,
	mode => 'observe',
	rules => 'user=victim: idle_in_transaction_timeout=300ms');
$victim = client('victim', user => 'victim', tcp => 1, 'BEGIN', "SELECT 'a secret'");
until_row($node,
	q{SELECT count(*) FROM hygiene.events WHERE outcome = 'observed'}, '1');
is($asker{reader}->first_row(
		q{SELECT (SELECT count(*) FROM hygiene.events WHERE user_name = 'victim'),
			(SELECT count(*) FROM hygiene.leaks WHERE user_name = 'victim')}),
	'1|1', 'pg_read_all_stats sees what is observed, and the leak');
is($asker{spy}->first_row(
		q{SELECT (SELECT count(*) FROM hygiene.events WHERE user_name = 'victim'),
			(SELECT count(*) FROM hygiene.leaks WHERE user_name = 'victim')}),
	'0|0', 'an ordinary role does not');

# And what was done in the end: whom, but not why.
configure($node, mode => 'enforce');
is($victim->wait_closed->{C}, '25P03', 'the session is ended');
until_row($node,
	q{SELECT count(*) FROM hygiene.events WHERE outcome = 'done'}, '1');
is_deeply(
	[ sort map { "$_->[0]=$_->[1]" } @{ $asker{spy}->query(q{
		SELECT key, value FROM hygiene.events e, jsonb_each_text(to_jsonb(e))
		WHERE value IS NOT NULL AND user_name = 'victim'
			AND key NOT IN ('event_id', 'occurred_at', 'pid')}) } ],
	[
		'action=terminate', 'application_name=victim', 'blocking=0',
		'database_name=postgres', 'outcome=done',
		'query=<insufficient privilege>', 'user_name=victim', 'wrote=false'
	],
	'an event says what was done to whom');
is_deeply(
	[ sort map { "$_->[0]=$_->[1]" } @{ $asker{spy}->query(q{
		SELECT key, value FROM hygiene.leaks l, jsonb_each_text(to_jsonb(l))
		WHERE value IS NOT NULL AND user_name = 'victim'}) } ],
	[
		'application_name=victim', 'database_name=postgres', 'ended=1',
		'example_query=<insufficient privilege>', 'rolled_back=0',
		'user_name=victim'
	],
	'a leak says how many were ended');
is($asker{spy}->first_row(q{SELECT hygiene.report() ~ 'a secret|127\.0\.0\.1|idle_in_transaction_timeout(?! ?=)'}),
	'f', 'nor does the report say more');

#
# A refused client hears of its own role's sessions only.
#
configure($node, rules => 'application=shop: connections=3, idle_in_transaction_timeout=30s, headroom_min_idle=1h; '
	  . 'address=127.77.0.0/16: connections=2');
my @shop = map { client('shop', user => 'victim', 'BEGIN', "SELECT 'a secret'") } 1 .. 3;
until_row($node,
	q{SELECT sessions_now FROM hygiene.leaks WHERE application_name = 'shop'}, '3');
two_passes($node) for 1 .. 2;
my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;
my $own;
do { $own = client('shop', user => 'victim')->{error} }
  until ($own->{D} =~ /idle in a transaction/ || time > $give_up);
like($own->{D}, qr/3 of its sessions are idle in a transaction, .*a secret/,
	'the role itself is told of its leak');
my $other = client('shop', user => 'spy')->{error};
is($other->{C}, '53300', 'another role is refused as well');
unlike("$other->{D} $other->{H}", qr/idle in a transaction|a secret|commit/i,
	'and told nothing of what those sessions do');
$_->close for @shop;

# No more than that the cap is reached, also when more are there.
my @far = map { client('far', user => 'victim', tcp => 1, from => "127.77.0.$_") } 1 .. 2;
my $near = client('far', user => 'spy', tcp => 1, from => '127.77.9.9')->{error};
like($near->{D}, qr/hold 2 connections; rule 2 .* allows 2\./, 'a cap by address');
configure($node, rules => 'address=127.77.0.0/16: connections=1');
$near = client('far', user => 'spy', tcp => 1, from => '127.77.9.9')->{error};
like($near->{D}, qr/hold 1 connection; rule 1 .* allows 1\./,
	'how many more are there is not told');

$node->stop;
done_testing();
