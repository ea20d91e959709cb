
=pod

=head1 NAME

PgHygiene::Workload - programs whose pauses a test knows

=head1 SYNOPSIS

  use PgHygiene::Workload;

  my $work = PgHygiene::Workload->new($node);
  $work->add('shop', 7, 4, 5, sub { 1.2 + 2 * $_[0]->() });
  $work->run;
  my @pauses = $work->pauses('shop');

=head1 DESCRIPTION

Each program has sessions, and each session a list of pauses that it makes one
after the other inside a transaction, drawn from its own seed, so the same for
the same seed.  All sessions of all programs go on at once, in one process.

After a pause that comes back the session commits and begins its next
transaction.  After one that does not it says goodbye, and a new session goes
on in its place.  So it does when the server has ended one.

=cut

package PgHygiene::Workload;

use strict;
use warnings;

use IO::Select;
use PgHygiene::Client;
use Time::HiRes qw(time);

my $SHORTEST = 1;    # seconds; what is shorter is no period

=pod

=head2 new(node)

=head2 add(application, seed, sessions, pauses, draw)

A program.  C<draw> is called once for each pause with a function that gives
the next random number in [0, 1), and returns its length in seconds; negative
if the client does not come back to it.

=cut

sub new
{
	my ($class, $node) = @_;

	return bless { node => $node, sessions => [], pauses => {} }, $class;
}

sub add
{
	my ($self, $application, $seed, $sessions, $pauses, $draw) = @_;
	my $state = $seed;
	my $random = sub {
		$state = ($state * 1103515245 + 12345) % 2**31;
		return $state / 2**31;
	};

	$random->() for 1 .. 10;
	for (1 .. $sessions)
	{
		push @{ $self->{sessions} },
		  {
			application => $application,
			left => [ map { $draw->($random) } 1 .. $pauses ]
		  };
	}
	return;
}

=pod

=head2 run

Lets all programs go on to their ends.

=head2 pauses(application)

What its clients have seen, of a second or more: an array of hashes with
C<length>, C<at_most>, C<resumed> (the client came back), C<ended> (the server
ended it) and C<comes_back> (the client would have).  C<length> is the least
that it can have been for the server, which knows earlier that a statement is
over, and later that others have come; C<at_most> the most.

=cut

sub run
{
	my ($self) = @_;
	my @sessions = @{ $self->{sessions} };

	$self->_begin($_) for @sessions;
	while (my @waiting = grep { $_->{until} } @sessions)
	{
		my ($next) = sort { $a <=> $b } map { $_->{until} } @waiting;
		my $select = IO::Select->new(map { $_->{client}->socket } @waiting);
		my $patience = $next - time;

		$select->can_read($patience > 0 ? $patience : 0);
		$self->_go_on($_) for @waiting;
	}
	return;
}

sub pauses
{
	my ($self, $application) = @_;

	return @{ $self->{pauses}{$application} || [] };
}

# What follows is private.

# Begin a transaction, and the next pause in it.
sub _begin
{
	my ($self, $session) = @_;
	my $pause = shift @{ $session->{left} };

	$session->{until} = undef;
	return $session->{client} && $session->{client}->close
	  unless defined $pause;
	$session->{client} = PgHygiene::Client->new($self->{node},
		application => $session->{application})
	  if !$session->{client} || $session->{client}{closed_at};
	$session->{client}->query('BEGIN; SELECT 1');
	$session->{sent_at} = $session->{client}{sent_at};
	$session->{since} = $session->{client}{replied_at};
	$session->{comes_back} = $pause > 0;
	$session->{until} = $session->{since} + abs $pause;
	return;
}

sub _go_on
{
	my ($self, $session) = @_;
	my $client = $session->{client};
	my %pause = (comes_back => $session->{comes_back});
	my $sent_at = $session->{sent_at};

	if (!$client->is_open)
	{
		$pause{ended} = 1;
		$pause{length} = $client->{closed_at} - $session->{since};
	}
	elsif (time < $session->{until})
	{
		return;
	}
	elsif ($session->{comes_back})
	{
		$client->try_query('COMMIT');
		$pause{resumed} = !$client->{closed_at};
		$pause{ended} = !!$client->{closed_at};
		$pause{length} = $client->{sent_at} - $session->{since};
	}
	else
	{
		$pause{length} = time - $session->{since};
		$client->close;
	}
	push @{ $self->{pauses}{ $session->{application} } }, \%pause
	  if $pause{length} >= $SHORTEST;
	$self->_begin($session);

	# where several statements came, the server knows of the last of them
	$pause{at_most} = time - $sent_at;
	return;
}

1;
