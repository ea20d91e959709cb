
=pod

=head1 NAME

PgHygiene::Patroni - two servers under a real Patroni, with a real etcd

=head1 SYNOPSIS

  use PgHygiene::Patroni;

  my $patroni = PgHygiene::Patroni->new;
  $patroni->start('one');
  $patroni->ctl('edit-config', '--force', '-p', 'work_mem=8MB');
  $patroni->until_row('one', 'SHOW work_mem', '8MB');

=head1 DESCRIPTION

Everything lies in the test's temporary folder and listens on free ports of
127.0.0.1.  All that was started is stopped when the test ends, however it
ends, by what it was started with and never by a name.

=cut

package PgHygiene::Patroni;

use strict;
use warnings;

use Carp;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

my $SCOPE = 'shop';
my @running;

=pod

=head2 why_not()

Why Patroni cannot be run here; undef when it can.

=cut

sub why_not
{
	for my $program ('/usr/bin/patroni', '/usr/bin/patronictl', '/usr/bin/etcd')
	{
		return "$program is not installed, and test/deps could not get it"
		  unless -x $program;
	}
	return 'Patroni has no module for etcd: python3-etcd is missing'
	  unless run_log([ '/usr/bin/python3', '-c', 'import etcd' ]);

	# Without these Patroni runs, and never does a switchover.
	return '/dev/shm cannot be written, and Patroni needs semaphores there'
	  unless run_log(
		[ '/usr/bin/python3', '-c', 'import multiprocessing; multiprocessing.Lock()' ]);
	return;
}

=pod

=head2 new()

An etcd that answers, and the configuration of servers one and two.

=head2 start(name)

Starts Patroni for the server, and waits until it has a role.

=cut

sub new
{
	my ($class) = @_;
	my $self = bless { folder => PostgreSQL::Test::Utils::tempdir(), runs => [] }, $class;
	my ($client, $peer) = map { 'http://127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;

	push @running, $self;
	$self->{etcd} = $client =~ s{http://}{}r;
	for my $name ('one', 'two')
	{
		$self->{port}->{$name} = PostgreSQL::Test::Cluster::get_free_port();
		$self->{rest}->{$name} = PostgreSQL::Test::Cluster::get_free_port();
		append_to_file("$self->{folder}/$name.yml", $self->_settings($name));
	}
	$self->_run('etcd', '/usr/bin/etcd',
		'--data-dir' => "$self->{folder}/etcd",
		'--listen-client-urls' => $client,
		'--advertise-client-urls' => $client,
		'--listen-peer-urls' => $peer,
		'--initial-advertise-peer-urls' => $peer,
		'--initial-cluster' => "default=$peer");
	$self->_until(sub { HTTP::Tiny->new->get("$client/health")->{success} }, 'etcd answers');
	return $self;
}

sub start
{
	my ($self, $name) = @_;

	$self->_run($name, '/usr/bin/patroni', "$self->{folder}/$name.yml");
	$self->_until(sub { $self->role($name) =~ /^(primary|replica)$/ }, "$name has a role");
	return;
}

=pod

=head2 role(name)

primary, replica or empty, as Patroni's REST interface has it.

=head2 ctl(arguments...)

Runs patronictl and returns what it printed; dies when it failed.

=head2 patch(configuration)

The same as edit-config by the REST interface; a Perl structure.

=head2 until_listed(regular expression)

Waits until patronictl list, which shows what etcd has, matches.

=head2 switchover(from, to)

Makes another server the primary, and waits until both have their roles.

=head2 query(name, SQL), until_row(name, SQL, [result])

As a superuser on that server.

=head2 connstr(name, parameters...)

A connection string for it.

=head2 log(name)

What Patroni and its server have logged.

=head2 stop()

Ends all of it.

=cut

sub role
{
	my ($self, $name) = @_;

	for my $role ('primary', 'replica')
	{
		return $role if $self->_rest($name, 'GET', "/$role")->{success};
	}
	return '';
}

sub ctl
{
	my ($self, @arguments) = @_;
	my ($out, $err);

	IPC::Run::run(
		[ '/usr/bin/patronictl', '-c', "$self->{folder}/one.yml", @arguments ],
		'<', '/dev/null', '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default))
	  or croak "patronictl @arguments: $out$err";
	return $out;
}

sub patch
{
	my ($self, $configuration) = @_;
	my $answer = $self->_rest('one', 'PATCH', '/config',
		{ content => encode_json($configuration) });

	croak "PATCH: $answer->{status} $answer->{content}" unless $answer->{success};
	return;
}

sub until_listed
{
	my ($self, $regexp) = @_;

	$self->_until(sub { $self->ctl('list') =~ $regexp }, "patronictl list gives $regexp");
	return;
}

# Patroni 3.0 takes note of a change of the configuration that comes while it
# restarts or demotes its server, and does nothing about it.  So wait until
# each of these has had a turn with nothing to do.
sub until_settled
{
	my ($self, @names) = @_;

	for my $name (@names)
	{
		my $position = length $self->log($name);

		$self->_until(
			sub { substr($self->log($name), $position) =~ /INFO: no action\./ },
			"Patroni has nothing to do for $name");
	}
	return;
}

# It is refused as long as etcd does not know how far the other is.
sub switchover
{
	my ($self, $from, $to) = @_;

	$self->_until(
		sub {
			return eval {
				$self->ctl('switchover', $SCOPE, '--leader', $from, '--candidate', $to, '--force');
			} || $self->role($to) eq 'primary';
		},
		"switchover to $to");
	$self->until_row($to, 'SELECT NOT pg_is_in_recovery()');
	$self->until_row($from, 'SELECT pg_is_in_recovery()');
	return;
}

sub query
{
	my ($self, $name, $sql) = @_;
	my ($out, $err);

	IPC::Run::run(
		[ 'psql', '-XAtqc', $sql, $self->connstr($name, 'user=postgres') ],
		'>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default))
	  or return;
	chomp $out;
	return $out;
}

sub until_row
{
	my ($self, $name, $sql, $expected) = @_;
	my $got;

	$expected = 't' unless defined $expected;
	$self->_until(
		sub {
			$got = $self->query($name, $sql);
			return defined $got && $got eq $expected;
		},
		"$name: $sql gives $expected");
	return;
}

sub connstr
{
	my ($self, $name, @more) = @_;

	return join ' ', 'host=127.0.0.1', "port=$self->{port}->{$name}",
	  'dbname=postgres', @more;
}

sub log
{
	my ($self, $name) = @_;

	return slurp_file("$self->{folder}/$name.log");
}

sub stop
{
	my ($self) = @_;

	# Patroni stops its server; etcd, which it needs for that, was started first.
	for my $run (reverse splice @{ $self->{runs} })
	{
		$run->signal('TERM');
		eval { $run->finish; };
		$run->kill_kill if $@;
	}
	# what a Patroni left behind that was killed
	for my $name ('one', 'two')
	{
		my $data = "$self->{folder}/$name";

		system_log('pg_ctl', 'stop', '-s', '-m', 'immediate', '-D', $data)
		  if -e "$data/postmaster.pid";
	}
	return;
}

# What follows is private.

sub _settings
{
	my ($self, $name) = @_;
	my $bindir = (split /\n/, qx(pg_config --bindir))[0];
	my ($port, $rest) = ($self->{port}->{$name}, $self->{rest}->{$name});
	my $folder = $self->{folder};

	return <<"END";
scope: $SCOPE
name: $name
restapi:
  listen: 127.0.0.1:$rest
  connect_address: 127.0.0.1:$rest
etcd3:
  hosts: $self->{etcd}
bootstrap:
  dcs:
    ttl: 60
    loop_wait: 1
    retry_timeout: 20
    postgresql:
      use_pg_rewind: false
      parameters:
        max_connections: 100
  initdb:
    - encoding: UTF8
    - no-locale
    - auth: trust
    - no-sync
postgresql:
  listen: 127.0.0.1:$port
  connect_address: 127.0.0.1:$port
  data_dir: $folder/$name
  bin_dir: $bindir
  pgpass: $folder/pgpass.$name
  authentication:
    superuser:
      username: postgres
    replication:
      username: replicator
  pg_hba:
    - host all all 127.0.0.1/32 trust
    - host replication all 127.0.0.1/32 trust
  parameters:
    unix_socket_directories: ''
    shared_buffers: 16MB
    fsync: 'off'
END
}

# A program that goes on until stop(), with a log of its own.
sub _run
{
	my ($self, $name, @command) = @_;

	push @{ $self->{runs} },
	  IPC::Run::start(\@command, '<', '/dev/null',
		'>', "$self->{folder}/$name.log", '2>&1',
		IPC::Run::timeout(2 * $PostgreSQL::Test::Utils::timeout_default));
	return;
}

sub _rest
{
	my ($self, $name, $method, $path, @more) = @_;

	return HTTP::Tiny->new(timeout => 30)
	  ->request($method, "http://127.0.0.1:$self->{rest}->{$name}$path", @more);
}

# Wait for a condition; say what the logs have when it does not come.
sub _until
{
	my ($self, $condition, $what) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	until ($condition->())
	{
		if (time > $give_up)
		{
			print STDERR "# $_:\n", slurp_file($_) =~ s/^/# /gmr
			  for glob "$self->{folder}/*.log";
			croak "did not happen in time: $what";
		}
		usleep(100_000);
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
