
# Advice stays when the sessions are gone: the next morning, and over a restart,
# the views still say what was wrong at night, and since when; leaks by cost.

use PgHygiene;

my $node = new_node(
	'main',
	'pg_hygiene.idle_in_transaction_timeout = 3s',
	"pg_hygiene.rules = 'application=cheap: idle_in_transaction_timeout=1s'",
	'pg_hygiene.warn_at = 0');
my %SAYS = (
	'' => qr/^Programs connect without an application name/,
	orders => qr/^A SELECT opened a transaction/,
	cheap => qr/^The program began a transaction/);

sub advice
{
	my ($columns, $application, $view) = @_;

	return one("SELECT $columns FROM hygiene."
		  . ($view || 'applications')
		  . " WHERE application_name = '$application'");
}

sub compare
{
	my ($when) = @_;

	is(advice('connections', $_), '0', "$when: nobody is there") for sort keys %SAYS;
	like(advice('diagnosis', $_), $SAYS{$_}, "$when, \"$_\": what was wrong") for sort keys %SAYS;
	is(advice(q{diagnosed_since BETWEEN '} . $_[1] . q{' AND diagnosed_at}, $_), 't',
		"$when, \"$_\": since when") for sort keys %SAYS;
	is(advice('diagnosed_at <= ' . "'$_[2]'", $_), 't', "$when, \"$_\": until when")
	  for sort keys %SAYS;
	for ('orders', 'cheap')
	{
		like(advice('diagnosis', $_, 'leaks'), $SAYS{$_}, "$when: hygiene.leaks of $_");
		is(advice("sessions_now = 0 AND first_seen BETWEEN '$_[1]' AND last_seen", $_, 'leaks'),
			't', "$when: since when");
	}
	is(one('SELECT application_name FROM hygiene.leaks LIMIT 1'),
		'orders', "$when: what cost most comes first");
	return;
}

# The night.  The one that was ended last cost least.
my $evening = one('SELECT clock_timestamp()');
my @nameless = map { client('') } 1 .. 12;
my @orders = map { client('orders', 'BEGIN', 'SELECT 1') } 1 .. 4;
$_->wait_closed for @orders;
my @cheap = map { client('cheap', 'BEGIN') } 1 .. 2;
$_->wait_closed for @cheap;
until_row($node, q{SELECT diagnosed_at > diagnosed_since FROM hygiene.applications
	WHERE application_name = ''});
$_->close for @nameless;
until_row($node, q{SELECT sum(connections) = 1 FROM hygiene.applications});

# The morning.
my $midnight = one('SELECT clock_timestamp()');
compare('in the morning', $evening, $midnight);
$node->restart;
compare('after a restart', $evening, $midnight);
one('SELECT hygiene.reset()');
is(one('SELECT count(diagnosis) FROM hygiene.applications'), '0', 'reset() clears it');
$node->stop;
done_testing();
