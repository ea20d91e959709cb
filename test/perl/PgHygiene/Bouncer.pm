
=pod

=head1 NAME

PgHygiene::Bouncer - a real PgBouncer in front of a node

=head1 SYNOPSIS

  use PgHygiene::Bouncer;

  my $bouncer = PgHygiene::Bouncer->new($node, pool_mode => 'transaction');
  my $client = PgHygiene::Client->new($bouncer, application => 'orders');

=head1 DESCRIPTION

Everything it needs lies in the node's own folder; it listens on a free port,
on the node's Unix-domain socket directory and on 127.0.0.1.  It is stopped
when the test ends, however it ends.

=cut

package PgHygiene::Bouncer;

use strict;
use warnings;

use IO::Socket::UNIX;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

my @running;

=pod

=head2 program()

Where PgBouncer is; undef when it is not installed.

=cut

sub program
{
	my ($program) = grep { -x } '/usr/sbin/pgbouncer', '/usr/bin/pgbouncer';

	return $program;
}

=pod

=head2 new(node, [database => 'settings of the database'], setting => value, ...)

A PgBouncer that accepts connections.  Roles app, other and pooler may log in.
What C<database> has is appended to the line of database postgres; without a
host in it PgBouncer connects by the node's Unix-domain socket.

=cut

sub new
{
	my ($class, $node, %settings) = @_;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $self = bless {
		host => $node->host,
		port => $port,
		folder => $node->basedir . "/pgbouncer-$port" }, $class;
	my $line = delete $settings{database} || '';
	my $database = join ' ', 'postgres =',
	  ($line =~ /\bhost=/ ? () : 'host=' . $node->host),
	  'port=' . $node->port, $line;
	my %all = (
		listen_addr => '127.0.0.1',
		listen_port => $port,
		unix_socket_dir => $node->host,
		auth_type => 'trust',
		auth_file => "$self->{folder}/users",
		admin_users => 'admin',
		logfile => "$self->{folder}/log",
		server_login_retry => 1,
		ignore_startup_parameters => 'extra_float_digits',
		%settings);

	mkdir $self->{folder} or die "could not make $self->{folder}: $!";
	append_to_file("$self->{folder}/users",
		join '', map { qq("$_" ""\n) } qw(app other pooler admin));
	append_to_file("$self->{folder}/ini", join "\n",
		'[databases]', $database, '[pgbouncer]',
		(map { "$_ = $all{$_}" } sort keys %all), '');
	$self->{run} = IPC::Run::start(
		[ program(), '-q', "$self->{folder}/ini" ],
		'<', '/dev/null', '>', \$self->{out}, '2>', \$self->{err});
	push @running, $self;
	$self->_wait_ready;
	return $self;
}

=pod

=head2 host, port, log

As a node's; and what it has logged.

=head2 connstr(further parameters)

A connection string of role app.

=head2 show(what)

The rows of the admin console's SHOW: a list of hashes.

=head2 stop

Ends it at once.

=cut

sub host
{
	my ($self) = @_;

	return $self->{host};
}

sub port
{
	my ($self) = @_;

	return $self->{port};
}

sub log
{
	my ($self) = @_;

	return slurp_file("$self->{folder}/log");
}

sub connstr
{
	my ($self, @more) = @_;

	return join ' ', "host=$self->{host}", "port=$self->{port}",
	  'dbname=postgres', 'user=app', @more;
}

sub show
{
	my ($self, $what) = @_;
	my ($out, $err);

	IPC::Run::run(
		[
			'psql', '-XAqF', '|', '-c', "SHOW $what",
			"host=$self->{host} port=$self->{port} dbname=pgbouncer user=admin"
		],
		'>', \$out, '2>', \$err) or die $err;
	my ($head, @rows) = grep { !/^\(\d+ rows?\)$/ } split /\n/, $out;
	my @names = split /\|/, $head;

	return map {
		my %row;
		@row{@names} = split /\|/, $_, -1;
		\%row;
	} @rows;
}

sub stop
{
	my ($self) = @_;

	return unless $self->{run};

	# Some versions wait for their clients at any other signal.
	$self->{run}->signal('KILL');
	eval { $self->{run}->finish; };
	$self->{run} = undef;
	return;
}

# What follows is private.

sub _wait_ready
{
	my ($self) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;
	my $path = "$self->{host}/.s.PGSQL.$self->{port}";

	until (IO::Socket::UNIX->new(Peer => $path))
	{
		die "pgbouncer did not start: $self->{err}"
		  if time > $give_up || !$self->{run}->pumpable;
		usleep(10_000);
	}
	return;
}

END
{
	# the exit status is the test's, not that of what is waited for here
	my $status = $?;

	$_->stop for @running;
	$? = $status;
}

1;
