
=pod

=head1 NAME

Keep - is a transaction that is rolled back whole or gone, and its client told?

=head1 SYNOPSIS

  use lib 'test/lab/stress';
  use Keep;

  # a server with Keep::settings() in its configuration, a role app
  my $keep = Keep->new(host => $host, port => $port, folder => $temporary,
      name => 'postgres');
  my $figures = $keep->race(1000);
  die Keep::complaints($figures) if $figures->{wrong};

=head1 DESCRIPTION

Runs F<keeper>, whose clients come back about when C<idle_action = rollback>
acts, and compares what they believe with the table, and the rollbacks that they
were told of with C<hygiene.status>.  The worker is made slow meanwhile, as in
C<Race>.

Wrong is

=over

=item lost

a connection that was lost; one that was ended in the block that was rolled back
is counted as C<late>;

=item silent, partial, risen

a transaction that its client believes committed and that is not there, or not
all of it; one that is there although it was rolled back;

=item early, bare

a rollback less than the limit after the last statement was sent, and an error
without DETAIL or HINT;

=item unequal

rollbacks and ends that clients were told of and the extension did not count, or
the other way round.

=back

The control is the same with a library that lacks the check of COMMIT: there
must be silent losses.

=cut

package Keep;

use strict;
use warnings;

use File::Basename qw(dirname);
use Time::HiRes qw(time);

use parent 'RaceServer';

my $limit = 100;
my $lone_limit = 3;
my $clients = 60;
my @wrong = qw(lost late silent partial risen early bare unequal);

# What the control has instead: it does not refuse COMMIT, and has another name,
# by which its workers are started.
my %changes = (
	'session/listen.c' =>
	  [ 'tag == T_TransactionStmt && pgh_rolled_back' => 'false' ],
	'worker/loop.c' => [ '"pg_hygiene",' => '"pg_hygiene_unchecked",' ]);

=pod

=head2 Keep::settings([library])

The configuration that the server must be started with, a list of lines.

=cut

sub settings
{
	my ($library) = @_;

	$library ||= 'pg_hygiene';
	return (
		"shared_preload_libraries = '$library'",
		'max_connections = 200',
		'fsync = off',
		'autovacuum = off',
		'log_min_messages = fatal',
		'log_min_error_statement = fatal',
		'pg_hygiene.headroom = 0',
		'pg_hygiene.warn_at = 0',
		"pg_hygiene.idle_action = 'rollback'",
		"pg_hygiene.rules = 'application=racing: idle_in_transaction_timeout=${limit}ms; application=lone: idle_in_transaction_timeout=${lone_limit}ms'");
}

=pod

=head2 Keep::library_without_check(folder)

Builds the extension without its check of COMMIT, and puts it beside the other
libraries of the PostgreSQL that PG_CONFIG names; returns what to preload.  What
is the same is taken from what was built in src, where that has been.

=cut

sub library_without_check
{
	my ($folder) = @_;
	my $root = dirname(__FILE__) . '/../../..';
	my $copy = "$folder/without_check";
	my ($include, $libraries) =
	  map { chomp(my $dir = `$ENV{PG_CONFIG} --$_`); $dir } qw(includedir-server pkglibdir);
	my $library = "$libraries/pg_hygiene_unchecked.so";

	system('mkdir', '-p', $copy) == 0
	  && system('cp', '-r', "$root/src", $copy) == 0
	  or die "could not copy the sources\n";
	foreach my $file (keys %changes)
	{
		change("$copy/src/$file", @{ $changes{$file} });
		unlink "$copy/src/" . $file =~ s/c$/o/r;
	}
	my $compile = "gcc -O2 -fPIC -D_GNU_SOURCE -I. -I'$include' -c -o";

	system("cd '$copy/src' && for file in \$(find . -name '*.c'); do "
		  . "test -e \${file%c}o || $compile \${file%c}o \$file || exit 1; done && "
		  . "gcc -shared -o '$library' \$(find . -name '*.o')") == 0
	  or die "could not build $library\n";
	return 'pg_hygiene_unchecked';
}

# Change a text in a file; it must be there.
sub change
{
	my ($file, $from, $to) = @_;

	open(my $in, '<', $file) or die "$file: $!\n";
	my $text = do { local $/; <$in> };
	close($in);
	$text =~ s/\Q$from\E/$to/ or die "$file has no \"$from\"\n";
	open(my $out, '>', $file) or die "$file: $!\n";
	print $out $text;
	close($out);
	return;
}

=pod

=head2 Keep->new(host => ..., port => ..., folder => ..., name => ..., [control => 1])

C<host> is the folder of the server's socket, C<folder> where the client program
can be built, C<name> a superuser.  Role C<app> must be there, and the extension
in database postgres unless it is the control.

=cut

sub new
{
	my ($class, %server) = @_;
	my $self = bless {%server}, $class;
	my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
	my ($include, $lib) = map { chomp(my $dir = `$pg_config --$_`); $dir } qw(includedir libdir);
	my $program = $self->{keeper} = "$self->{folder}/keeper";

	system('gcc', '-std=gnu99', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror',
		"-I$include", '-o', $program, dirname(__FILE__) . '/keeper.c',
		(-d $lib ? ("-L$lib", "-Wl,-rpath,$lib") : ()), '-lpq') == 0
	  or die "could not build $program\n";
	return $self;
}

=pod

=head2 $keep->race(rollbacks)

Races until so many were rolled back, and returns a hash: the numbers that
F<keeper> prints, C<seconds>, C<spared> and C<wrong>.

=head2 $keep->alone(rollbacks)

Rolls one session back so often; returns the same.

=cut

sub race
{
	my ($self, $rollbacks) = @_;

	return $self->run_clients($rollbacks, $clients, $limit);
}

sub alone
{
	my ($self, $rollbacks) = @_;

	return $self->run_clients($rollbacks, 1, $lone_limit);
}

sub run_clients
{
	my ($self, $rollbacks, $n, $limit) = @_;
	my $began = time;
	my %figures = (unequal => 0, wrong => 0);

	$self->sql('SET client_min_messages = warning; DROP TABLE IF EXISTS kept',
		'CREATE UNLOGGED TABLE kept (client int, number int, part int)',
		'GRANT ALL ON kept TO app');
	my @before = $self->{control} ? () : $self->counted;
	my @hindrances = $self->{control} || $n == 1 ? () : $self->start_freezing;

	open(my $keeper, '-|', $self->{keeper}, '-d', $self->conninfo('app', 'keeper'),
		'-n', $n, '-l', $limit * 1000, '-e', $rollbacks,
		'-t', 60 + int($rollbacks / 10), '-s', $$)
	  or die "cannot run the clients: $!\n";
	while (<$keeper>)
	{
		$figures{$1} = $2 if /^(\w+) (\d+)$/;
	}
	close($keeper) or die "the clients could not go on\n";
	RaceServer::stop(@hindrances);
	$self->compare(\%figures, @before) unless $self->{control};
	$figures{wrong} += $figures{$_} foreach @wrong;
	$figures{seconds} = time - $began;
	return \%figures;
}

# What the extension has counted: rollbacks, ends, and what it spared.
sub counted
{
	my ($self) = @_;

	return split /\|/, $self->sql('SELECT rolled_back, terminated, spared FROM hygiene.status');
}

sub compare
{
	my ($self, $figures, @before) = @_;

	$self->wait_for("SELECT count(*) FROM hygiene.events WHERE outcome = 'pending'", 0);
	my @after = $self->counted;
	my ($rolled_back, $terminated, $spared) = map { $after[$_] - $before[$_] } 0 .. 2;

	$figures->{spared} = $spared;
	$figures->{unequal} = abs($rolled_back - $figures->{rolled_back}) + abs($terminated - $figures->{late});
	return;
}

=pod

=head2 Keep::table(name => figures, ...), Keep::complaints(figures)

As text.

=cut

sub table
{
	my @races = @_;
	my @columns = qw(rounds committed rolled_back spared late wrong);
	my $text = sprintf("%-28s" . ' %11s' x @columns . " %8s\n", '', @columns, 'seconds');

	while (my ($name, $race) = splice @races, 0, 2)
	{
		$text .= sprintf("%-28s" . ' %11d' x @columns . " %8.1f\n",
			$name, map({ $race->{$_} // 0 } @columns), $race->{seconds});
	}
	return $text;
}

sub complaints
{
	my ($figures) = @_;

	return '' unless $figures->{wrong};
	return 'wrong: ' . join(', ', map { "$figures->{$_} $_" } grep { $figures->{$_} } @wrong) . "\n";
}

1;
