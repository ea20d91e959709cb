
=pod

=head1 NAME

RaceKinds - what can be raced, and what it is compared with

=head1 DESCRIPTION

Data of C<Race>: for each kind of ending the settings under which it happens,
how clients get there, and what an ending must look like that is right.

=cut

package RaceKinds;

use strict;
use warnings;

# Clients; with the sessions that are on their way out they must fit into
# max_connections.
our $clients = 60;
our $max_connections = 200;

# What every connection's log lines and events are known by.
our $application = 'racer';

# The limit that is raced, in milliseconds.
our $limit = 100;

my $measured = qr/[\d.]+ (?:ms|s)/;
my $idle_transaction = qr/^Application "racer" left a transaction idle for $measured; pg_hygiene\.idle_in_transaction_timeout allows $limit ms\.$/;
my $idle_session = qr/^Application "racer" left a session idle for $measured; pg_hygiene\.idle_session_timeout allows $limit ms\.$/;
my $evicted = qr/^Application "racer" left this session idle for $measured while connection slots ran short; pg_hygiene\.headroom keeps \d+ free\.$/;
my $stalled = qr/^Application "racer" kept a statement waiting for its client for $measured without a byte moved; pg_hygiene\.client_stall_timeout allows $limit ms\.$/;
my $old = qr/^Application "racer" kept a transaction open for $measured; pg_hygiene\.transaction_timeout allows $limit ms\.$/;

my %defaults = (
	action => 'terminate',
	role => 'app',
	clients => $clients,
	options => []);

# The age of transactions.  One that was cancelled is ended after as long again.
my %age = (
	reason => 'transaction_timeout',
	settings => [
		"pg_hygiene.transaction_timeout = '${limit}ms'",
		"pg_hygiene.cancel_grace = '${limit}ms'"
	],
	opening => 'BEGIN; ',
	closing => 'ROLLBACK',
	at_rest => qr/^idle in transaction(?: \(aborted\))?$/,
	sqlstate => '25P04',
	detail => $old,
	cancels => 1);

# "opening" brings a session to where the limit acts once the statement after it
# is done, and "closing" to where it does not; "options" are those of racer.
my %kinds = (
	idle_in_transaction => {
		reason => 'idle_in_transaction_timeout',
		settings => [ "pg_hygiene.idle_in_transaction_timeout = '${limit}ms'" ],
		opening => 'BEGIN; ',
		closing => 'ROLLBACK',
		at_rest => qr/^idle in transaction$/,
		sqlstate => '25P03',
		detail => $idle_transaction,
	},
	idle_session => {
		reason => 'idle_session_timeout',
		settings => [ "pg_hygiene.idle_session_timeout = '${limit}ms'" ],
		opening => '',
		closing => 'BEGIN',
		at_rest => qr/^idle$/,
		sqlstate => '57P05',
		detail => $idle_session,
	},

	# More slots are to be kept free than there are: all idle transactions of
	# an application that has three are evicted.
	evict_transaction => {
		reason => 'headroom',
		action => 'evict',
		settings => [
			"pg_hygiene.headroom = $max_connections",
			"pg_hygiene.headroom_min_idle = '${limit}ms'"
		],
		opening => 'BEGIN; ',
		closing => 'ROLLBACK',
		at_rest => qr/^idle in transaction$/,
		sqlstate => '57P01',
		detail => $evicted,
	},

	# Idle sessions are evicted of an application that has more than the
	# headroom, while the slots that nobody keeps are fewer than that.  Then
	# only a superuser is let in again at once.
	evict_session => {
		reason => 'headroom',
		action => 'evict',
		role => 'racing_superuser',
		settings => [
			'pg_hygiene.headroom = ' . ($clients - 5),
			"pg_hygiene.headroom_min_idle = '${limit}ms'",
			"pg_hygiene.rules = 'application=nobody: reserve=" . ($max_connections - 2 * $clients + 20) . "'",
			'pg_hygiene.exempt_superusers = off'
		],
		opening => '',
		closing => 'BEGIN',
		at_rest => qr/^idle$/,
		sqlstate => '57P01',
		detail => $evicted,
	},

	# Many transactions in one message, each of which is just young enough.
	series => {
		%age,
		opening => '',
		closing => 'ROLLBACK',
		options => ['-m'],
		clients => 20,
	},

	# Clients that talk, without running a statement, when their time is over.
	describe => {
		reason => 'idle_in_transaction_timeout',
		settings => [ "pg_hygiene.idle_in_transaction_timeout = '${limit}ms'" ],
		opening => 'PREPARE talk AS SELECT 1; BEGIN; ',
		closing => 'ROLLBACK',
		at_rest => qr/^idle in transaction$/,
		sqlstate => '25P03',
		detail => $idle_transaction,
		options => ['-p'],
	},

	# Clients that stall, and go on when their time is over.
	client_stall => {
		reason => 'client_stall_timeout',
		settings => [ "pg_hygiene.client_stall_timeout = '${limit}ms'" ],
		opening => '',
		closing => 'BEGIN',
		at_rest => qr/^SELECT$/,
		sqlstate => '57P05',
		detail => $stalled,
		options => ['-u'],
	},

	# Sessions at rest in a transaction that is about to be too old ...
	transaction_age => { %age, options => ['-r'] },

	# ... and at work in one.
	cancel => { %age, options => [ '-r', '-w' ], clients => 30 });

# What takes the place of pg_hygiene where there is none: programs that look at
# pg_stat_activity, and then send a signal.  "proof" is what must go wrong.
my $from_activity = <<"END";
FROM pg_stat_activity
 WHERE application_name = '$application' AND clock_timestamp() -
END
my %controls = (
	'SIGTERM after a scan' => {
		%{ $kinds{idle_in_transaction} },
		sqlstate => '57P01',
		proof => 'running',
		killer => "SELECT count(pg_terminate_backend(pid)) $from_activity state_change > '${limit}ms'"
		  . " AND state = 'idle in transaction' \\watch 0.005",
	},
	'SIGINT after a scan' => {
		%{ $kinds{cancel} },
		proof => 'other',
		killer => "SELECT count(pg_cancel_backend(pid)) $from_activity xact_start > '${limit}ms'"
		  . " AND state = 'active' \\watch 0.005",
	});

=pod

=head2 RaceKinds::names(), RaceKinds::kind(name)

What can be raced, and all about one of them.

=head2 RaceKinds::control_names(), RaceKinds::control(name)

What it is compared with.

=cut

sub names
{
	return sort keys %kinds;
}

sub kind
{
	my ($name) = @_;

	die "there is no race \"$name\"\n" unless $kinds{$name};
	return { %defaults, name => $name, %{ $kinds{$name} } };
}

sub control_names
{
	return sort keys %controls;
}

sub control
{
	my ($name) = @_;

	return { %defaults, name => $name, %{ $controls{$name} } };
}

1;
