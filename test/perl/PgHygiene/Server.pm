
=pod

=head1 NAME

PgHygiene::Server - settings of a running server, and waiting for its worker

=head1 DESCRIPTION

What most of the tests of the main job do with a node.  Each function waits
for what it caused, dies when that takes longer than PG_TEST_TIMEOUT_DEFAULT,
and never sleeps for a fixed time.

=cut

package PgHygiene::Server;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use Time::HiRes qw(time);

our @EXPORT = qw(until_row two_passes configure outcomes worker_pid
  processes_gone);

=pod

=head2 until_row(node, query, [expected result])

Waits until the query gives the result, by default 't'.

=cut

sub until_row
{
	my ($node, $query, $expected) = @_;

	$node->poll_query_until('postgres', $query,
		defined $expected ? $expected : 't')
	  or croak "did not happen in time: $query";
	return;
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
		my $before =
		  $node->safe_psql('postgres', 'SELECT last_pass FROM hygiene.status');

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
	return $node->safe_psql('postgres', 'SELECT worker_pid FROM hygiene.status');
}

=pod

=head2 processes_gone(patience, process ids...)

Waits until none of these processes is there; false when that took longer than
so many seconds.

=cut

sub processes_gone
{
	my ($patience, @pids) = @_;
	my $give_up = time + $patience;

	# a signal 0 finds those that are there
	while (kill 0, @pids)
	{
		return 0 if time >= $give_up;
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

	for my $name (sort keys %settings)
	{
		$node->safe_psql(
			'postgres',
			defined $settings{$name}
			? "ALTER SYSTEM SET pg_hygiene.$name = '$settings{$name}'"
			: "ALTER SYSTEM RESET pg_hygiene.$name");
	}
	$node->reload;
	for my $name (grep { defined $settings{$_} } sort keys %settings)
	{
		until_row($node, "SELECT current_setting('pg_hygiene.$name')",
			$settings{$name});
	}
	return;
}

=pod

=head2 outcomes(node, application)

The outcomes of that application's events in their order, with commas.

=cut

sub outcomes
{
	my ($node, $application) = @_;

	return $node->safe_psql(
		'postgres', qq{
		SELECT coalesce(string_agg(outcome, ',' ORDER BY event_id), '')
		FROM hygiene.events WHERE application_name = '$application'});
}

1;
