
# What is suggested for one application does nothing to another one, whatever
# they are called: a name may look like the family of others, and whoever likes
# may call himself a pattern.

use PgHygiene;
use PgHygiene::Clock;

my $clock = PgHygiene::Clock->new;
my $node = $clock->new_node('main', "pg_hygiene.mode = 'observe'", 'max_connections = 120');

# In families, a name like one of them that makes longer pauses, names that are
# all digits, and liars; each makes more than twenty pauses.
my @short = map { client($_) } ((map { ("web-$_", "job-$_", "1web-$_") } 1 .. 9), (map { 1000 + $_ } 1 .. 9),
	('*') x 7, ('w*') x 7, ('web?') x 7);
my @long = map { client('web-admin') } 1 .. 24;

sub pause
{
	my ($seconds, @clients) = @_;

	# all at once, so that the first one's is not longer by the others' turns
	for my $statement ('BEGIN', 'COMMIT')
	{
		select undef, undef, undef, $seconds if $statement eq 'COMMIT';
		$_->send_query($statement) for @clients;
		$_->wait_ready for @clients;
	}
	return;
}

pause(1.2, @short) for 1 .. 2;
$_->query('BEGIN') for @long;
pause(1.2, @short) for 1 .. 2;
$_->query('COMMIT') for @long;
$_->close for @short, @long;
until_row($node, q{SELECT count(*) = 7 FROM hygiene.behaviour
	WHERE kind = 'idle in transaction' AND resumed >= 20});

# Both families leak, a few sessions at a time.
for my $round (1 .. 6)
{
	my @leaks = map { client($_, 'BEGIN') } map { ("web-$_", "job-$_") } 1 .. 4;

	until_row($node, 'SELECT count(*) = ' . $round * @leaks . q{ FROM hygiene.sessions
		WHERE state = 'idle in transaction' AND state_age > '1.5 s'});
	push @short, @leaks;
}
two_passes($node);
$clock->set(8 * 86400);
until_row($node, q{SELECT bool_and(observed_for > '1 week') FROM hygiene.suggest()});

my $rules = one('SELECT hygiene.suggest_rules()');
like($rules, qr/^application=web-admin: [^;]*; application=job-\*: [^;]*; application=web-\*: [^;]*; application=\*web-\*: [^;]*; application=pg_dump: exempt$/,
	'the name before the family, what says more before what says less, and no rule for everybody');
is(one(q{SELECT string_agg(application_name, ' ' ORDER BY application_name) FROM hygiene.suggest()
	WHERE setting = 'connections' AND would_end > 0 AND confidence <> 'low'}), 'job-* web-*', 'two would need a cap');
like($rules, qr/application=job-\*: [^;]*connections=/, 'which one of them gets');
unlike($rules, qr/application=web-\*: [^;]*connections=/, 'not if it would count others, too');
is(one('SELECT count(*) FROM hygiene.predict(hygiene.suggest_rules()) WHERE of_which_resumed > 0'),
	'0', 'nobody honest is hurt');
unlike(($node->psql('postgres', 'SELECT * FROM hygiene.check_rules(hygiene.suggest_rules())'))[2],
	qr/WARNING/, 'no rule hides another one');
is( one(
		q{SELECT string_agg(DISTINCT application_name, ' ' ORDER BY application_name) FROM hygiene.suggest()
		WHERE value IS NOT NULL AND rule IS NULL}),
	'* w* web?', 'a value without a rule, where a rule would be about others');
is( one(
		q{SELECT rule FROM hygiene.suggest()
		WHERE application_name = 'web-*' AND setting = 'idle_in_transaction_timeout'}),
	'application=web-*: idle_in_transaction_timeout=5s', 'and a family has its rule');

$node->stop;
done_testing();
