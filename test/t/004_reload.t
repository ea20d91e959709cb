
# Changed settings act at once, also on sessions that are idle already and
# never say another word.

use PgHygiene;

my $node = new_node('main');

sub idle_in_transaction
{
	my ($application) = @_;
	my $client = client($application);

	$client->query('BEGIN');
	return $client;
}

#
# A limit that is lowered.
#
my @idle = map { idle_in_transaction('lowered') } 1 .. 5;
until_row($node,
	q{
		SELECT count(*)
		FROM hygiene.sessions
		WHERE application_name = 'lowered'
		AND state_age > '100 ms'},
	'5');
is( $node->safe_psql(
		'postgres',
		q{
			SELECT DISTINCT limit_name, limit_setting, ends_in > '9 min'
			FROM hygiene.sessions
			WHERE application_name = 'lowered'}
	),
	'idle_in_transaction_timeout|10min|t',
	'sessions have ten minutes');
configure($node, idle_in_transaction_timeout => '100ms');
is(scalar(grep { $_->wait_closed->{C} eq '25P03' } @idle),
	5, 'after lowering the limit all are ended, without a word of theirs');
is(outcomes($node, 'lowered'), 'done,done,done,done,done', 'and recorded');

#
# A limit that is raised, or switched off, in time.
#
configure($node, idle_in_transaction_timeout => '2s');
my $raised = idle_in_transaction('raised');
configure($node, idle_in_transaction_timeout => '20min');
my $limit_off = idle_in_transaction('limit off');
two_passes($node);
ok($raised->is_open, 'a raised limit lets go on');
until_row($node,
	"SELECT state_age > '2.2 s' FROM hygiene.sessions WHERE application_name = 'raised'"
);
two_passes($node);
ok($raised->is_open, 'also beyond the old one');
configure($node, idle_in_transaction_timeout => '0');
two_passes($node);
ok($limit_off->is_open, '0 is no limit');
is( $node->safe_psql(
		'postgres',
		q{
			SELECT limit_name, limit_setting, ends_in
			FROM hygiene.sessions
			WHERE application_name = 'limit off'}
	),
	'||',
	'and hygiene.sessions shows none');
$_->close for $raised, $limit_off;

#
# observe: decided, logged and recorded once, and nobody touched.
#
my $position = log_position($node);
configure($node, mode => 'observe', idle_in_transaction_timeout => '100ms');
is($node->safe_psql('postgres', 'SELECT mode FROM hygiene.status'),
	'observe', 'status shows the mode');
my $observed = idle_in_transaction('observed');
until_row($node,
	"SELECT count(*) >= 1 FROM hygiene.events WHERE application_name = 'observed'"
);
is(outcomes($node, 'observed'), 'observed', 'observe records what it would do');
two_passes($node);
ok($observed->is_open, 'and touches nobody');
is(outcomes($node, 'observed'), 'observed', 'it records that once');
wait_log(
	$node,
	qr/LOG:  pg_hygiene .*\b$observed->{pid}\b.*observes.*\n.*DETAIL:  Application "observed" left a transaction idle for /,
	$position);
pass('and logs it');
is( $node->safe_psql(
		'postgres',
		q{
			SELECT reason, limit_setting, measured::interval >= '100 ms', pid
			FROM hygiene.events
			WHERE application_name = 'observed'}
	),
	"idle_in_transaction_timeout|100ms|t|$observed->{pid}",
	'the event has the numbers');
is( $node->safe_psql(
		'postgres',
		q{
			SELECT limit_name, ends_in
			FROM hygiene.sessions
			WHERE application_name = 'observed'}
	),
	'idle_in_transaction_timeout|',
	'hygiene.sessions: a limit, but no end');
is( $node->safe_psql(
		'postgres',
		"SELECT terminated FROM hygiene.applications WHERE application_name = 'observed'"
	),
	'0',
	'nothing is counted as ended');

$observed->query('SELECT 1');
until_row($node,
	"SELECT would_terminate >= 2 FROM hygiene.applications WHERE application_name = 'observed'"
);
is(outcomes($node, 'observed'), 'observed',
	'idle anew in the same transaction is counted anew, but recorded once an hour');

#
# off: nothing.
#
configure($node, mode => 'off');
my $ignored = idle_in_transaction('ignored');
until_row($node,
	"SELECT state_age > '200 ms' FROM hygiene.sessions WHERE application_name = 'ignored'"
);
two_passes($node);
ok($ignored->is_open, 'off touches nobody');
is(outcomes($node, 'ignored'), '', 'and records nothing');
is( $node->safe_psql(
		'postgres',
		q{
			SELECT connections, idle_in_transaction
			FROM hygiene.applications
			WHERE application_name = 'ignored'}
	),
	'1|1',
	'but still counts');
is( $node->safe_psql(
		'postgres',
		q{
			SELECT limit_name, ends_in
			FROM hygiene.sessions
			WHERE application_name = 'ignored'}
	),
	'|',
	'hygiene.sessions shows no limit');

#
# enforce again: at once, for all that is over the limit.
#
configure($node, mode => 'enforce');
is($observed->wait_closed->{C}, '25P03', 'enforce ends what was observed');
is($ignored->wait_closed->{C}, '25P03', 'and what was ignored');
is(outcomes($node, 'observed'), 'observed,done', 'with its own event');
is(outcomes($node, 'ignored'), 'done', 'also for the other');

#
# A rule that is added.
#
configure($node, idle_in_transaction_timeout => '10min', rules => '');
my $ruled = idle_in_transaction('ruled-1');
my $other = idle_in_transaction('other');
two_passes($node);
configure($node, rules => 'application=ruled-*: idle_in_transaction_timeout=100ms');
my $last = $ruled->wait_closed;
is($last->{C}, '25P03', 'a new rule acts on a session that is idle already');
like(
	$last->{D},
	qr/; rule 1 \(application=ruled-\*\) allows 100 ms\.$/,
	'the DETAIL names it');
is( $node->safe_psql(
		'postgres',
		q{
			SELECT rule, limit_setting
			FROM hygiene.events
			WHERE application_name = 'ruled-1'}
	),
	'1|100ms',
	'and so does the event');
ok($other->is_open, 'a session that it does not match stays');
is( $node->safe_psql(
		'postgres',
		q{
			SELECT rules, limit_setting
			FROM hygiene.sessions
			WHERE application_name = 'other'}
	),
	'{}|10min',
	'with the limit it had');

is( $node->safe_psql('postgres',
		"SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'"),
	'0',
	'no event is left pending');

$node->stop;
done_testing();
