
=pod

=head1 NAME

PgHygiene::Truth - whether what the views say agrees with itself and with the server

=head1 DESCRIPTION

For scripts that do a great many things to a server and cannot know what each
of them should come to.

=cut

package PgHygiene::Truth;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(@VIEWS errors_of_views untruths memory_of);

# All that can be read.
our @VIEWS = (
	(map { "SELECT * FROM hygiene.$_" }
		qw(status sessions applications events leaks behaviour rules horizon
		  samples incidents drains)),
	'SELECT * FROM hygiene.suggest()',
	'SELECT hygiene.suggest_rules()',
	q{SELECT * FROM hygiene.predict('application=*: idle_in_transaction_timeout=1s')},
	q{SELECT * FROM hygiene.rehearse('application=*: idle_in_transaction_timeout=1s')},
	q{SELECT length(hygiene.report())});

=pod

=head2 errors_of_views(session)

Reads all views once; returns what failed, as texts.

=cut

sub errors_of_views
{
	my ($session) = @_;

	return map {
		$session->try_query($_);
		my $error = $session->{error};

		$session->{error} = undef;
		$error ? "$_: $error->{M}" : ();
	} @VIEWS;
}

=pod

=head2 untruths(session)

What does not agree when all sessions but this one have gone, as texts: every
session that was counted in was counted out, no request is open, the totals are
the sums of the applications, no rule counts anybody who is not there.

=cut

# Each returns rows only where something is wrong; $1 is the one who asks.
my %WRONG = (
	'sessions that are counted and are not there' =>
	  q{SELECT sum(connections), sum(opened - closed),
			(SELECT count(*) FROM hygiene.sessions)
		FROM hygiene.applications
		HAVING sum(connections) <> (SELECT count(*) FROM hygiene.sessions)
			OR sum(opened - closed) <> (SELECT count(*) FROM hygiene.sessions)},
	'applications that have more sessions than were opened' =>
	  q{SELECT application_name, connections, opened, closed
		FROM hygiene.applications WHERE connections <> opened - closed},
	'sessions that are not the server\'s' =>
	  q{SELECT pid FROM hygiene.sessions EXCEPT
		SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'},
	'requests that are open' =>
	  q{SELECT event_id, action, application_name FROM hygiene.events
		WHERE outcome = 'pending'},
	'totals that are not the sum of the applications' =>
	  q{SELECT s.terminated, sum(a.terminated), s.evicted, sum(a.evicted),
			s.refused, sum(a.refused), s.spared, sum(a.spared),
			s.rolled_back, sum(a.rolled_back)
		FROM hygiene.status s, hygiene.applications a
		GROUP BY s.terminated, s.evicted, s.refused, s.spared, s.rolled_back
		HAVING (s.terminated, s.evicted, s.refused, s.spared, s.rolled_back)
			IS DISTINCT FROM (sum(a.terminated), sum(a.evicted), sum(a.refused),
				sum(a.spared), sum(a.rolled_back))},
	'rules that count sessions that are not there' =>
	  q{SELECT rule, sessions FROM hygiene.rules
		WHERE sessions > (SELECT count(*) FROM hygiene.sessions)});

sub untruths
{
	my ($session) = @_;
	my @found;

	for my $what (sort keys %WRONG)
	{
		for my $row (@{ $session->query($WRONG{$what}) })
		{
			push @found, "$what: " . join ' ', map { $_ // 'null' } @$row;
		}
	}
	return @found;
}

=pod

=head2 memory_of(pid)

Kilobytes that are this process's own: neither shared nor of a file.

=cut

sub memory_of
{
	my ($pid) = @_;

	open my $file, '<', "/proc/$pid/status" or return 0;
	my ($kilobytes) = join('', <$file>) =~ /^RssAnon:\s+(\d+) kB/m;
	close $file or die "/proc/$pid/status: $!";
	return $kilobytes;
}

1;
