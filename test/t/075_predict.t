
# hygiene.predict() says what limits do: five of them, against what they then
# do to the same workload, and events and counters of what is only observed.

use PgHygiene;
use PgHygiene::Workload;

my @LIMITS = ('1500ms', '2s', '2500ms', '3s', '4s');
my $node = new_node(
	'main',
	"pg_hygiene.rules = '" . join('; ',
		(map { "application=enforced_$_: idle_in_transaction_timeout=$LIMITS[$_]" } 0 .. $#LIMITS),
		'application=watched: mode=observe, idle_in_transaction_timeout=100ms, idle_session_timeout=300ms',
		'application=many: mode=observe, idle_in_transaction_timeout=100ms',
		'application=capped: mode=observe, connections=1') . "'");

# Within ten percent, or one.
sub is_near
{
	my ($got, $want, $what) = @_;
	my $off = abs($got - $want);

	ok($off <= 1 || $off <= 0.1 * $want, "$what: $got, in truth $want");
	return;
}

#
# The same programs, once without a limit and once under each.  On a busy
# machine a pause may take a little longer than it should, in one program and
# not in another; so none is planned that would cross a limit by that.
#
my $work = PgHygiene::Workload->new($node);
for my $application ('observed', map { "enforced_$_" } 0 .. $#LIMITS)
{
	$work->add($application, 21, 7, 5, sub {
		my ($random) = @_;
		my $length = 1.1 + 3.5 * $random->();

		for my $limit (1.5, 2, 2.5, 3, 4)
		{
			$length = $limit + 0.02
			  if $length < $limit && $length > $limit - 0.3;
		}
		return $random->() < 0.7 ? $length : -$length;
	});
}
$work->run;
two_passes($node);
for my $i (0 .. $#LIMITS)
{
	my @ended = grep { $_->{ended} } $work->pauses("enforced_$i");
	my ($would_end, $of_which_resumed, $setting) = split /\|/, one(qq{
		SELECT would_end, of_which_resumed, limit_setting
		FROM hygiene.predict('application=observed: idle_in_transaction_timeout=$LIMITS[$i]')
		WHERE application_name = 'observed'
		AND limit_name = 'idle_in_transaction_timeout'});

	is($setting, $LIMITS[$i], "a limit of $setting");
	is_near($would_end, scalar @ended, 'would_end');
	is_near($of_which_resumed, scalar(grep { $_->{comes_back} } @ended),
		'of_which_resumed');
	# one may say goodbye while it is being ended
	is_near(one(qq{SELECT terminated FROM hygiene.applications
		WHERE application_name = 'enforced_$i'}),
		scalar @ended, 'as many as were ended');
}
my ($freed, $none) = split /\|/, one(q{
	SELECT round(extract(epoch FROM max(slot_time_freed) FILTER (WHERE limit_setting = '3s')), 1),
		max(would_end) FILTER (WHERE limit_setting <> '3s')
	FROM hygiene.predict('application=observed: idle_in_transaction_timeout=3s; application=*: idle_in_transaction_timeout=1h')
	WHERE limit_name = 'idle_in_transaction_timeout'});
my $beyond = 0;
$beyond += $_->{length} > 3 ? $_->{length} - 3 : 0 for $work->pauses('observed');
is_near($freed, $beyond, 'slot_time_freed');
is($none, '0', 'a limit of an hour would have done nothing');
is(one(q{SELECT count(*) FROM hygiene.predict('application=observed: exempt')
	WHERE application_name = 'observed'}), '0', 'nothing is predicted for who is exempt');
is(one(q{SELECT count(*) FROM hygiene.predict('user=app database=postgres: transaction_timeout=5s')
	WHERE application_name = 'observed' AND limit_name = 'transaction_timeout'}),
	'1', 'a rule by role and database');
is(one(q{SELECT count(*) FROM hygiene.predict('address=local: transaction_timeout=5s')
	WHERE application_name = 'observed' AND limit_name = 'transaction_timeout'}),
	'1', 'by address, for who may see it');
my $boss = PgHygiene::Client->new(
	$node,
	user => one('SELECT current_user'),
	application => 'boss');
until_row($node, q{SELECT count(*) = 4 FROM hygiene.behaviour
	WHERE application_name = 'boss'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM hygiene.predict('address=local: transaction_timeout=5s')
	WHERE application_name = 'boss' AND limit_name = 'transaction_timeout'},
	extra_params => [ '-U', 'app' ]),
	'0', 'not for others');

#
# One that is only observed: one event a limit and hour, when it came back, and
# counters for all.
#
my $watched = PgHygiene::Client->new($node, application => 'watched');
for my $round (1 .. 3)
{
	$watched->query('BEGIN');
	until_row($node, qq{SELECT would_terminate >= 2 * $round - 1 FROM hygiene.applications
		WHERE application_name = 'watched'});
	$watched->query('COMMIT');
	until_row($node, qq{SELECT would_terminate >= 2 * $round FROM hygiene.applications
		WHERE application_name = 'watched'});
}
$watched->query('SELECT 1');
until_row($node, q{SELECT count(resumed_after) = 2 FROM hygiene.events
	WHERE application_name = 'watched'});
is(one(q{SELECT string_agg(reason, ' ' ORDER BY reason) FROM hygiene.events
	WHERE application_name = 'watched' AND outcome = 'observed'}),
	'idle_in_transaction_timeout idle_session_timeout',
	'one event for each limit');
is(one(q{SELECT bool_and(resumed_after BETWEEN '0' AND '60 s') FROM hygiene.events
	WHERE application_name = 'watched'}), 't', 'with when it came back');

# Of one application fifty at once, then one an hour: a week has to fit.
my @many = map { client('many', 'BEGIN', 'SELECT 1') } 1 .. 60;
until_row($node, q{SELECT would_terminate = 60 FROM hygiene.applications
	WHERE application_name = 'many'});
is(one(q{SELECT count(*) FROM hygiene.events WHERE application_name = 'many'}), '50',
	'sixty would have been ended, fifty are events');
$_->close for @many;

my @capped = map { PgHygiene::Client->new($node, application => 'capped') } 1 .. 3;
is(one(q{SELECT would_refuse, refused, would_evict FROM hygiene.applications
	WHERE application_name = 'capped'}), '2|0|0', 'two would have been refused');
$node->restart;
is(one(q{SELECT would_refuse FROM hygiene.applications
	WHERE application_name = 'capped'}), '2', 'the counters are kept');

#
# A leak knows who came back.
#
one('CREATE TABLE shelf AS SELECT 1 AS id; GRANT ALL ON shelf TO PUBLIC');
configure($node, idle_in_transaction_timeout => '5s',
	rules => 'application=pg_dump: exempt');
my @leaking = map {
	my $client = PgHygiene::Client->new($node, application => 'export');
	$client->query('BEGIN');
	$client->query('SELECT id FROM shelf FOR SHARE') if $_ > 2;
	$client->query("SELECT $_") if $_ <= 2;
	$client
} 1 .. 4;
until_row($node, q{SELECT sum(sessions_now) = 4 FROM hygiene.leaks
	WHERE application_name = 'export'});
$leaking[0]->query('COMMIT');
until_row($node, q{SELECT sum(resumed) = 1 FROM hygiene.leaks
	WHERE application_name = 'export'});
is(one(q{SELECT count(diagnosis) FROM hygiene.leaks
	WHERE application_name = 'export'}), '0', 'no advice on a few that are idle');
$leaking[2]->wait_closed;
$leaking[3]->wait_closed;
until_row($node, q{SELECT sum(ended) >= 2 FROM hygiene.leaks
	WHERE application_name = 'export'});
like(one(q{SELECT diagnosis FROM hygiene.leaks
	WHERE application_name = 'export' AND example_query ~ 'FOR SHARE'}),
	qr/^A SELECT opened a transaction/, 'SELECT .. FOR SHARE did not write');
until_row($node, q{SELECT longest_pause BETWEEN '5 s' AND '30 s'
		AND slot_time BETWEEN '10 s' AND '60 s'
	FROM hygiene.leaks WHERE application_name = 'export'
	AND example_query ~ 'FOR SHARE'});
pass('longest_pause and slot_time');
$node->stop;
done_testing();
