
=pod

=head1 NAME

PgHygiene::Service - a program that a test runs and asks by HTTP

=head1 SYNOPSIS

  use PgHygiene::Service;

  my $prometheus = PgHygiene::Service->start(
	'prometheus', '/-/ready',
	sub { ('prometheus', "--web.listen-address=127.0.0.1:$_[0]", ...) });
  my $answer = $prometheus->json('/api/v1/query', query => 'up');
  $prometheus->stop;

=head1 DESCRIPTION

Services listen on a free port of the loopback interface only, write to
a log file beside the servers' logs, and are stopped at the latest when the
test script ends, however it does.

=cut

package PgHygiene::Service;

use strict;
use warnings;

use Carp;
use File::Basename;
use HTTP::Tiny;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

my %running;

=pod

=head2 start(name, path, command)

Runs what C<command>, called with a port, returns as a list, and waits until a
GET of the path succeeds.  The port was free a moment ago; when it is not any
more and the program therefore ends, another one is tried.

=cut

sub start
{
	my ($class, $name, $path, $command) = @_;

	for (1 .. 5)
	{
		my $port = PostgreSQL::Test::Cluster::get_free_port();
		my $self = bless {
			name => $name,
			address => "127.0.0.1:$port",
			log => "$PostgreSQL::Test::Utils::log_path/"
			  . basename($0, '.t')
			  . "_$name.log",
			# never through a proxy
			http => HTTP::Tiny->new(
				timeout => $PostgreSQL::Test::Utils::timeout_default,
				proxy => undef,
				http_proxy => undef,
				https_proxy => undef)
		}, $class;

		$self->_run($command->($port));
		return $self if $self->_becomes_ready($path);
	}
	croak "$name does not run; see $name.log";
}

=pod

=head2 address

Where it listens, as host:port.

=head2 log

The name of its log file.

=cut

sub address
{
	my ($self) = @_;

	return $self->{address};
}

sub log
{
	my ($self) = @_;

	return $self->{log};
}

=pod

=head2 get(path, [name => value, ...])

The body of what it answers; dies when that is not a success.

=head2 json(path, [name => value, ...])

The same, decoded.

=cut

sub get
{
	my ($self, $path, @parameters) = @_;
	my $query =
	  @parameters
	  ? '?' . $self->{http}->www_form_urlencode(\@parameters)
	  : '';
	my $answer = $self->{http}->get("http://$self->{address}$path$query");

	croak "$self->{name}: $path$query: $answer->{status} $answer->{content}"
	  unless $answer->{success};
	return $answer->{content};
}

sub json
{
	my ($self, @request) = @_;

	return decode_json($self->get(@request));
}

=pod

=head2 stop

Ends it and waits for that.

=cut

sub stop
{
	my ($self) = @_;

	_stop($self->{pid});
	return;
}

# What follows is private.

sub _run
{
	my ($self, @command) = @_;
	my $pid = fork;

	croak "could not fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', $self->{log};
		open STDERR, '>&', \*STDOUT;
		{ exec @command };
		print STDERR "could not run $command[0]: $!\n";
		# not exit: what is to be done at the end is the parent's
		POSIX::_exit(127);
	}
	$self->{pid} = $pid;
	$running{$pid} = 1;
	return;
}

sub _is_running
{
	my ($pid) = @_;

	delete $running{$pid}
	  if $running{$pid} && waitpid($pid, POSIX::WNOHANG()) != 0;
	return $running{$pid};
}

sub _becomes_ready
{
	my ($self, $path) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	while (_is_running($self->{pid}))
	{
		# another program may answer while this one is about to end
		if (eval { $self->get($path) })
		{
			usleep(100_000);
			return 1 if _is_running($self->{pid});
		}
		croak "$self->{name} is not ready in time" if time > $give_up;
		usleep(100_000);
	}
	return 0;
}

sub _stop
{
	my ($pid) = @_;
	my $give_up = time + 10;

	kill 'TERM', $pid if _is_running($pid);
	while (_is_running($pid))
	{
		kill 'KILL', $pid if time > $give_up;
		usleep(20_000);
	}
	return;
}

END
{
	# the exit status is the script's
	local $?;

	_stop($_) for keys %running;
}

1;
