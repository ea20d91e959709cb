
=pod

=head1 NAME

PgHygiene - what the TAP tests of pg_hygiene share

=head1 SYNOPSIS

  use PgHygiene;

  my $node = new_node('main', "pg_hygiene.idle_in_transaction_timeout = '1s'");
  my $session = session($node, 'orders');
  $session->query_safe('BEGIN');
  wait_for($node, "SELECT count(*) FROM hygiene.events", '1');
  like(last_words($session), qr/idle-in-transaction/, 'the client is told');

=head1 DESCRIPTION

A thin layer over PostgreSQL::Test::Cluster that works with those of
PostgreSQL 15 and later.  Nothing in it sleeps for a fixed time.

=cut

package PgHygiene;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_node session last_words wait_for wait_log log_position
  earlier_version);

=pod

=head2 new_node(name, extra configuration lines...)

A running server with pg_hygiene preloaded, the extension in database postgres
and C<app>, a role that may log in and nothing more.  It can have standbys.

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
	$node->safe_psql('postgres',
		'CREATE ROLE app LOGIN; CREATE EXTENSION pg_hygiene');
	return $node;
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

=head2 wait_for(node, query, expected result, [dbname])

Waits until the query gives the result; false, with a diagnostic, when it did
not within PG_TEST_TIMEOUT_DEFAULT (180 s).

=cut

sub wait_for
{
	my ($node, $query, $expected, $dbname) = @_;

	return $node->poll_query_until($dbname || 'postgres', $query,
		defined $expected ? $expected : 't');
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
	append_to_file("$script$earlier--$default.sql", $1)
	  unless -e "$script$earlier--$default.sql";
	append_to_file("$script$earlier.sql", $old)
	  unless -e "$script$earlier.sql";
	return $earlier;
}

1;
