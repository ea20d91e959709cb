
=pod

=head1 NAME

RaceServer - a server that is raced in, and processes that work on it meanwhile

=head1 DESCRIPTION

Base class of C<Race>: an object has C<host>, C<port>, C<name> (a superuser) and
C<folder> (for files).  Uses psql only.

=cut

package RaceServer;

use strict;
use warnings;

use POSIX ();
use Time::HiRes qw(time sleep);

# How long anything may take that should take no time, in seconds.
sub patience
{
	return 60;
}

# The conninfo of a role.  The encoding is not the server's, so that it has to
# convert a statement before it begins with it.
sub conninfo
{
	my ($self, $role, $name) = @_;

	return "host=$self->{host} port=$self->{port} dbname=postgres user=$role"
	  . " client_encoding=LATIN1 application_name=$name sslmode=disable gssencmode=disable";
}

# psql for the superuser, with options.
sub psql
{
	my ($self, @options) = @_;

	return ('psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', @options,
		'-d', $self->conninfo($self->{name}, 'judge'));
}

# Run statements, each in a transaction of its own; returns the rows as lines.
sub sql
{
	my ($self, @statements) = @_;

	open(my $psql, '-|', $self->psql(map { ('-c', $_) } @statements))
	  or die "cannot run psql: $!\n";
	my @lines = <$psql>;
	close($psql) or die "psql failed at: @statements\n";
	chomp(@lines);
	return wantarray ? @lines : $lines[0];
}

# Wait until a query gives the result; false if it did not in time.
sub wait_for
{
	my ($self, $query, $expected) = @_;
	my $end = time + patience();

	while (time < $end)
	{
		return 1 if $self->sql($query) eq $expected;
		sleep(0.05);
	}
	return 0;
}

# Start a process that does nothing but that; returns its id.
sub start
{
	my ($work) = @_;
	my $pid = fork;

	die "cannot fork: $!\n" unless defined $pid;
	return $pid if $pid;
	eval { $work->(); };
	POSIX::_exit(0);
}

sub stop
{
	my @pids = @_;

	kill('TERM', @pids);
	waitpid($_, 0) foreach @pids;
}

# Have psql repeat a query.
sub start_watching
{
	my ($self, $query) = @_;
	my $script = "$self->{folder}/watch" . ++$self->{scripts} . '.sql';

	open(my $file, '>', $script) or die "cannot write $script: $!\n";
	print $file "$query\n";
	close($file);
	return start(
		sub {
			open(STDOUT, '>', '/dev/null');
			open(STDERR, '>', "$script.err");
			exec($self->psql('-f', $script));
		});
}

# Stop the worker for up to a millisecond again and again, as a scheduler may
# stop any process at any point.  Without that, a session would hardly ever go
# to work and come back to rest between the worker's look at it and the signal.
sub start_freezing
{
	my ($self) = @_;
	my $worker = $self->sql('SELECT worker_pid FROM hygiene.status');
	my $parent = $$;
	my $freezing = 1;

	die "the worker is not running\n" unless $worker;
	local @SIG{qw(TERM INT)} = (sub { $freezing = 0 }) x 2;
	return start(
		sub {
			while ($freezing && getppid == $parent)
			{
				sleep(rand() * 0.0006);
				kill('STOP', $worker);
				sleep(rand() * 0.001);
				kill('CONT', $worker);
			}
		});
}

1;
