
=pod

=head1 NAME

PgHygiene - what the TAP tests of pg_hygiene share

=head1 SYNOPSIS

  # What this script is about, in a sentence or two.

  use PgHygiene;

  my $node = new_node('main', "pg_hygiene.idle_in_transaction_timeout = '200ms'");

  # who leaves a transaction idle is ended, and told why
  my $orders = client('orders', 'BEGIN', 'SELECT 1');
  my $last = $orders->wait_closed;
  is($last->{C}, '25P03', 'SQLSTATE');
  like($last->{D}, qr/^Application "orders" left a transaction idle/, 'DETAIL');
  is(outcomes($node, 'orders'), 'done', 'and there is an event');

  # whoever has more time keeps it
  configure($node, rules => 'application=batch: idle_in_transaction_timeout=1h');
  one('CREATE ROLE other LOGIN');
  my $batch = client('batch', user => 'other', 'BEGIN');
  is(of_session('limit_setting', $batch), '1h', 'the limit in force');
  two_passes($node);
  ok($batch->is_open, 'stays');

  # wait for a row, a line of the log or a socket; never for a time
  until_row($node, 'SELECT terminated = 1 FROM hygiene.status');
  is(one('SELECT count(*) FROM hygiene.events'), '1', 'no other');

  $node->stop;
  done_testing();

=head1 DESCRIPTION

C<use PgHygiene> is the head of a script: it turns on strict and warnings and
brings what is described here, what Test::More and PostgreSQL::Test::Utils
export, PgHygiene::Client and PostgreSQL::Test::Cluster.

It works with the test modules of PostgreSQL 15 and later.  Nothing in it
sleeps for a fixed time; what waits dies when that takes longer than
PG_TEST_TIMEOUT_DEFAULT (180 s).

Scripts run beside each other: each has servers, ports and folders of its own
from PostgreSQL::Test::Cluster, and writes nowhere else.  One that measures how
exact or how fast something is stands in F<test/rules.yml>, and runs alone.  In
C<make test-long> C<$ENV{PGH_LONG}> is set, for scripts that can take as long
as what they test takes.

=cut

package PgHygiene;

use strict;
use warnings;

use Carp;
use Exporter ();
use PgHygiene::Client;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

our @EXPORT = (
	qw(new_node client one of_session session last_words
	  until_row until_waiting two_passes outlives wait_for wait_log log_position
	  configure outcomes worker_pid processes_gone earlier_version),
	grep { /^\w/ } @Test::More::EXPORT, @PostgreSQL::Test::Utils::EXPORT);

# What client() and its like talk to.
my $latest;

sub import
{
	strict->import;
	warnings->import;
	goto &Exporter::import;
}

=pod

=head2 new_node(name, extra configuration lines...)

A running server with pg_hygiene preloaded, the extension in database postgres
and C<app>, a role that may log in and nothing more.  It can have standbys.
client, one and of_session talk to the one that was made last.

=cut

sub new_node
{
	my ($name, @conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(allows_streaming => 1);
	$node->append_conf('postgresql.conf', join "\n",
		"shared_preload_libraries = 'pg_hygiene'",
		"log_line_prefix = '%m [%p] %q%a %i '",
		'max_connections = 100',
		'shared_buffers = 16MB',
		@conf);
	$node->start;
	_ask($node, 'CREATE ROLE app LOGIN', 'CREATE EXTENSION pg_hygiene');
	$latest = $node;
	return $node;
}

=pod

=head2 client(application, [option => value, ...], [statements...])

A client that has connected and run these statements: a PgHygiene::Client,
which can say when it was told what and when its socket was closed.  Options
are those of its C<new>, and C<on>, another node, or a pooler.  Dies when a
statement fails; not when the connection is refused and there are none.

=cut

sub client
{
	my ($application, @rest) = @_;
	my %options = (on => $latest);

	while (@rest && PgHygiene::Client::is_option($rest[0]))
	{
		my $option = shift @rest;

		$options{$option} = shift @rest;
	}
	my $client = PgHygiene::Client->new(delete $options{on},
		application => $application, %options);

	$client->query($_) for @rest;
	return $client;
}

=pod

=head2 one(SQL)

What psql prints of it as a superuser: columns between bars, a row a line.  As
one message, so that several statements are one transaction.

=head2 of_session(columns, client)

The same of the client's row in hygiene.sessions.

=cut

sub one
{
	my ($sql) = @_;

	return _ask($latest, $sql);
}

sub of_session
{
	my ($columns, $client) = @_;

	return one("SELECT $columns FROM hygiene.sessions WHERE pid = $client->{pid}");
}

=pod

=head2 session(node, application name, [user => 'app', dbname => 'postgres'])

A psql in the background, by default of the unprivileged role; an error does
not end it.  Methods are those of PostgreSQL::Test::BackgroundPsql.

=cut

sub session
{
	my ($node, $application, %options) = @_;

	local $ENV{PGAPPNAME} = $application;
	return $node->background_psql(
		$options{dbname} || 'postgres',
		on_error_stop => 0,
		extra_params => [ '-U', $options{user} || 'app' ]);
}

=pod

=head2 last_words(session)

What psql prints on stderr when it finds its connection closed by the server;
it learns of that by its next statement.  The session is over afterwards.

=cut

sub last_words
{
	my ($session) = @_;

	# IPC::Run dies when psql is gone before it has read everything.
	$session->{stdin} .= "SELECT 1;\n\\q\n";
	eval { $session->{run}->finish; };
	return $session->{stderr};
}

=pod

=head2 until_row(node, query, [expected result])

Waits until the query gives the result, by default 't'.

=cut

sub until_row
{
	my ($node, $query, $expected) = @_;

	croak "did not happen in time: $query"
	  unless _poll($node, 'postgres', $query, $expected);
	return;
}

=pod

=head2 until_waiting(node, clients...)

Waits until all of these clients wait for a lock.

=head2 outlives(node, client, milliseconds)

Waits until the client's session is gone, or has been in its state for so long
and the worker has looked twice since; true if it is still there.

=cut

sub until_waiting
{
	my ($node, @clients) = @_;

	until_row(
		$node,
		"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid IN ("
		  . join(',', map { $_->{pid} } @clients) . ')',
		scalar @clients);
	return;
}

sub outlives
{
	my ($node, $client, $ms) = @_;

	until_row($node,
		"SELECT count(*) FROM hygiene.sessions WHERE pid = $client->{pid} AND state_age <= '$ms ms'",
		'0');
	two_passes($node);
	return $client->is_open;
}

# A superuser's connection as psql has it, without the process.
sub _asker
{
	my ($node, $dbname) = @_;

	return PgHygiene::Client->new(
		$node,
		user => scalar getpwuid $<,
		dbname => $dbname || 'postgres',
		application => $ENV{PGAPPNAME});
}

# What psql prints of the last one; dies where one fails.
sub _ask
{
	my ($node, @statements) = @_;
	my $asker = _asker($node);
	my $answer;

	$answer = $asker->printed($_) for @statements;
	$asker->close;
	return $answer;
}

# As poll_query_until() of PostgreSQL's own module does, with one connection
# while that lasts; returns whether the result came.
sub _poll
{
	my ($node, $dbname, $query, $expected) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;
	my ($asker, $result);

	$expected //= 't';
	while (1)
	{
		$result = eval { ($asker ||= _asker($node, $dbname))->printed($query) };
		$asker = undef unless defined $result;
		last if defined $result && $result eq $expected;
		if (time > $give_up)
		{
			diag("waited in vain for: $query\nexpected: $expected\nat last: ",
				$result // $@);
			return 0;
		}
		Time::HiRes::usleep(100_000);
	}
	$asker->close;
	return 1;
}

=pod

=head2 two_passes(node)

Waits until the worker has begun two more passes, so that one of them began
after the call and is over: what it had to do with what was there then is
done.

=cut

sub two_passes
{
	my ($node) = @_;

	for (1 .. 2)
	{
		my $before = _ask($node, 'SELECT last_pass FROM hygiene.status');

		until_row($node, "SELECT last_pass > '$before' FROM hygiene.status");
	}
	return;
}

=pod

=head2 worker_pid(node)

The process id of the worker; one that is just starting is waited for.

=cut

sub worker_pid
{
	my ($node) = @_;

	until_row($node, 'SELECT worker_pid IS NOT NULL FROM hygiene.status');
	return _ask($node, 'SELECT worker_pid FROM hygiene.status');
}

=pod

=head2 processes_gone(patience, process ids...)

Waits until none of these processes is there; false when that took longer than
so many seconds.

=cut

sub processes_gone
{
	my ($patience, @pids) = @_;
	my $give_up = Time::HiRes::time + $patience;

	# a signal 0 finds those that are there
	while (kill 0, @pids)
	{
		return 0 if Time::HiRes::time >= $give_up;
		select undef, undef, undef, 0.0002;
	}
	return 1;
}

=pod

=head2 configure(node, name => value, ...)

Sets pg_hygiene.name to the value, or back to its default when that is undef,
for all of them by one reload, and waits until new sessions see them.

=cut

sub configure
{
	my ($node, %settings) = @_;
	my @set = grep { defined $settings{$_} } sort keys %settings;
	my @reset = grep { !defined $settings{$_} } sort keys %settings;

	_ask($node,
		map({ "ALTER SYSTEM SET pg_hygiene.$_ = '$settings{$_}'" } @set),
		map({ "ALTER SYSTEM RESET pg_hygiene.$_" } @reset),
		'SELECT pg_reload_conf()');
	until_row($node, 'SELECT ' . join ' AND ', 'true',
		map { "current_setting('pg_hygiene.$_') = '$settings{$_}'" } @set);
	return;
}

=pod

=head2 outcomes(node, application)

The outcomes of that application's events in their order, with commas.

=cut

sub outcomes
{
	my ($node, $application) = @_;

	return _ask(
		$node, qq{
		SELECT coalesce(string_agg(outcome, ',' ORDER BY event_id), '')
		FROM hygiene.events WHERE application_name = '$application'});
}

=pod

=head2 wait_for(node, query, expected result, [dbname])

Waits until the query gives the result; false, with a diagnostic, when it did
not within PG_TEST_TIMEOUT_DEFAULT (180 s).

=cut

sub wait_for
{
	my ($node, $query, $expected, $dbname) = @_;

	return _poll($node, $dbname || 'postgres', $query, $expected);
}

=pod

=head2 wait_log(node, regular expression, [offset])

Waits until the server's log matches beyond the offset, and returns the
position up to which it was read; dies when that did not happen in time.

=head2 log_position(node)

The offset that means "from now on".

=cut

sub wait_log
{
	my ($node, $regexp, $offset) = @_;

	return $node->wait_for_log($regexp, $offset);
}

sub log_position
{
	my ($node) = @_;

	return -s $node->logfile || 0;
}

=pod

=head2 earlier_version(default version)

Gives the private PostgreSQL an earlier version of the extension, which lacks a
function that the default version has, and a script that upgrades it.  Returns
the version's name.

=cut

sub earlier_version
{
	my ($default) = @_;
	my $earlier = '0.9';
	chomp(my $folder = qx{"$ENV{PG_CONFIG}" --sharedir});
	my $script = "$folder/extension/pg_hygiene--";
	my $lacking = qr/^CREATE FUNCTION hygiene\.reset\(\).*?^COMMENT ON FUNCTION hygiene\.reset\(\).*?;\n/ms;
	my $old = slurp_file("$script$default.sql");

	$old =~ s/($lacking)// or die "$script$default.sql has no hygiene.reset()";
	my %files = ("$earlier--$default" => $1, $earlier => $old);

	# Another script may be doing the same.
	while (my ($name, $content) = each %files)
	{
		append_to_file("$script$name.$$", $content);
		rename "$script$name.$$", "$script$name.sql" or die "$script$name.sql: $!";
	}
	return $earlier;
}

1;
