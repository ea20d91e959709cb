
=pod

=head1 NAME

Race - do the sessions that a limit ends include one that had gone back to work?

=head1 SYNOPSIS

  use lib 'test/lab/stress';
  use Race;

  # a server with Race::settings() in its configuration, started while
  # $ENV{LD_PRELOAD} was what Race::late_signals($temporary) returns
  my $race = Race->new(host => $host, port => $port, log => "$data/log/race.csv",
      folder => $temporary, name => 'postgres');
  my $figures = $race->enforce('idle_in_transaction', 4000);
  die Race::complaints($figures) if $figures->{wrong};

=head1 DESCRIPTION

Runs F<racer>, whose clients send a statement within a millisecond of a limit,
and holds what they saw against the server's log and the extension's views.
The worker is made slow meanwhile: it is frozen now and then, has to share a
lock, and sends its signals late, so that what it saw is often out of date when
they arrive.

The evidence is the log line with which a session ended.  The command tag in it
(the C<%i> of C<log_line_prefix>; here a column of the CSV log) says what the
session was doing, and a statement is logged beside it as soon as the session
had begun to read one.  So "wrong" endings are those

=over

=item running

whose log line has another command tag than that of a session at rest, or a
statement: the session had gone back to work;

=item talking

of a client whose Describe had been answered, and that had not sent Sync;

=item other

that cancelled a statement of another transaction than the one that was
measured: less than the limit after the client sent the message which ended that
one and began the next;

=item lost

whose client never got the reply to a statement that was executed nevertheless;

=item early

that came less than the limit after the session's last statement was sent, or
after the statement was sent that began its transaction;

=item bare

without the SQLSTATE, DETAIL or HINT that they should have, in the log or at the
client;

=item pending

whose event did not come to an outcome;

=item unequal

and all by which the clients, the log, C<hygiene.events> and C<hygiene.status>
differ.

=back

The same clients against C<pg_terminate_backend> and C<pg_cancel_backend> after
a look at C<pg_stat_activity> show how many endings such a killer gets wrong,
and that this test would notice.

Works with PostgreSQL 15 and later.  Needs a C compiler and libpq's headers.

=cut

package Race;

use strict;
use warnings;

use File::Basename qw(dirname);
use RaceJudge;
use RaceKinds;
use RaceLog;
use Time::HiRes qw(time);

use parent 'RaceServer';

# Endings between two looks at the log and the views.  The ring of events has
# room for more, since some sessions are spared.
my $heat = 2500;

# What a monitoring program might ask for all the while.  It also holds the lock
# that the worker takes between its look at a session and the signal.
my $watcher = 'SELECT count(*) FROM hygiene.events \watch 0.01';

=pod

=head2 Race::kinds(), Race::controls()

The names of what can be raced, and of what that is compared with.

=cut

sub kinds
{
	return RaceKinds::names();
}

sub controls
{
	return RaceKinds::control_names();
}

=pod

=head2 Race::settings()

The configuration that the server must be started with, a list of lines.

=cut

sub settings
{
	return (
		"shared_preload_libraries = 'pg_hygiene'",
		"max_connections = $RaceKinds::max_connections",
		'logging_collector = on',
		"log_destination = 'csvlog'",
		"log_directory = 'log'",
		"log_filename = 'race.log'",
		'log_rotation_age = 0',
		'log_rotation_size = 0',
		'log_min_error_statement = fatal',
		'fsync = off',
		'autovacuum = off',
		'pg_hygiene.max_events = ' . 4 * $heat,
		'pg_hygiene.headroom = 0',
		'pg_hygiene.warn_at = 0');
}

=pod

=head2 Race::late_signals(folder)

Builds what makes a server's signals late into the folder, and returns the file
to be preloaded.

=cut

sub late_signals
{
	my ($folder) = @_;
	my $library = "$folder/late.so";

	system('gcc', '-std=gnu99', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror',
		'-shared', '-fPIC', '-o', $library, dirname(__FILE__) . '/late.c') == 0
	  or die "could not build $library\n";
	return $library;
}

=pod

=head2 Race->new(host => ..., port => ..., log => ..., folder => ..., name => ...)

C<host> is the folder of the server's socket: what a server says last is lost
on a TCP connection that the client writes to.  C<log> is the CSV log, C<folder>
where the client program can be built, C<name> a superuser.  Role C<app> and
the extension in database postgres must be there.

=cut

sub new
{
	my ($class, %server) = @_;
	my $self = bless {%server}, $class;

	$self->build;
	$self->sql(
		'CREATE ROLE racing_superuser LOGIN SUPERUSER',
		map({ "CREATE UNLOGGED SEQUENCE race_$_" } 1 .. $RaceKinds::clients),
		'GRANT SELECT, USAGE ON ALL SEQUENCES IN SCHEMA public TO app');
	return $self;
}

sub build
{
	my ($self) = @_;
	my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
	my ($include, $lib) = map { chomp(my $dir = `$pg_config --$_`); $dir } qw(includedir libdir);
	my $program = "$self->{folder}/racer";

	system('gcc', '-std=gnu99', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror',
		"-I$include", '-o', $program,
		map({ dirname(__FILE__) . "/$_" } qw(racer.c racer_client.c)),
		(-d $lib ? ("-L$lib", "-Wl,-rpath,$lib") : ()), '-lpq') == 0
	  or die "could not build $program\n";
	$self->{racer} = $program;
}

# Settings of one race, in force for the worker as well when this returns.
sub configure
{
	my ($self, @settings) = @_;
	my $start = $self->sql('SELECT clock_timestamp()');

	$self->sql('ALTER SYSTEM RESET ALL',
		map({ "ALTER SYSTEM SET $_" } @settings),
		'SELECT pg_reload_conf()');
	$self->wait_for(
		"SELECT pg_conf_load_time() > '$start' AND last_pass > pg_conf_load_time() FROM hygiene.status",
		't')
	  or die "the worker did not take up new settings\n";
}

=pod

=head2 $race->enforce(kind, decisions)

Races until the extension has decided so often or something was wrong, and
returns a hash: C<kind>, C<seconds>, the counts C<decisions>, C<ended>,
C<cancelled>, C<spared>, C<wrong> and those it is the sum of, C<rounds>,
C<survived>, C<sent> (ended with a statement on its way that was never begun),
and C<faults>, a list of sentences about what was wrong, some of each sort.

=cut

sub enforce
{
	my ($self, $name, $decisions) = @_;
	my $kind = RaceKinds::kind($name);
	my $figures = RaceJudge::new_figures($name);
	my $last_end = time;

	$self->configure(@{ $kind->{settings} });
	while ($figures->{decisions} < $decisions)
	{
		my $missing = $decisions - $figures->{decisions};
		my $endings = $missing < $heat ? $missing : $heat;
		my $before = $self->totals;
		my @hindrances = ($self->start_freezing, $self->start_watching($watcher));
		my $seen = $self->race($kind, $figures, $endings, 10 + int($endings / 20));

		RaceServer::stop(@hindrances);
		$seen->{log} = $self->read_log($seen->{log_began});
		RaceJudge::judge_endings($kind, $seen, $figures);
		$self->judge_views($kind, $seen, $before, $figures);
		$last_end = time if $seen->{ended};
		last if $figures->{wrong} || time - $last_end > 30 + int($endings / 20);
	}
	RaceJudge::fault($figures, 'unequal', 'nobody is ended any more')
	  if $figures->{decisions} < $decisions && !$figures->{wrong};
	$figures->{seconds} = time - $figures->{began};
	return $figures;
}

=pod

=head2 $race->control(name, endings, seconds)

The same clients with pg_hygiene off, and every 5 ms a scan of
C<pg_stat_activity> that ends or cancels what is past the limit.  Until so many
were ended, some of them wrongly, or the seconds are over.  Returns what
C<enforce> does; C<proof> is how many were wrong in the way that is looked for.

=cut

sub control
{
	my ($self, $name, $endings, $seconds) = @_;
	my $control = RaceKinds::control($name);
	my $figures = RaceJudge::new_figures($name);
	my $proof = \$figures->{ $control->{proof} };
	my $end = time + $seconds;

	$self->configure("pg_hygiene.mode = 'off'");
	my $killing = $self->start_watching($control->{killer});
	while (time < $end && ($figures->{decisions} < $endings || !$$proof))
	{
		my $seen = $self->race($control, $figures, $endings, int($end - time) + 1);

		$seen->{log} = $self->read_log($seen->{log_began});
		RaceJudge::judge_control($control, $seen, $figures);
		$figures->{decisions} = $figures->{ended} + $figures->{cancelled};
		last if !$seen->{ended} && !$seen->{cancelled};
	}
	RaceServer::stop($killing);
	$figures->{proof} = $$proof;
	$figures->{seconds} = time - $figures->{began};
	return $figures;
}

# The extension's own counts, and where its events begin for us.
sub totals
{
	my ($self) = @_;
	my %totals;

	@totals{qw(terminate evict cancel spared event)} = split /\|/, $self->sql(
		'SELECT terminated, evicted, cancelled, spared, (SELECT coalesce(max(event_id), 0) FROM hygiene.events) FROM hygiene.status'
	);
	return \%totals;
}

# One run of the clients.  Returns what they saw, and where the log of it begins.
sub race
{
	my ($self, $kind, $figures, $endings, $seconds) = @_;
	my %seen = (
		ended => 0,
		cancelled => 0,
		sent => 0,
		pids => {},
		cancelled_pids => {},
		sqlstates => {},
		marks => [],
		log_began => -s $self->{log});

	open(my $racer, '-|', $self->{racer},
		'-d', $self->conninfo($kind->{role}, $RaceKinds::application),
		'-n', $kind->{clients}, '-l', $RaceKinds::limit * 1000, '-e', $endings, '-t', $seconds,
		'-o', $kind->{opening}, '-c', $kind->{closing}, '-s', $$ + $figures->{ended},
		@{ $kind->{options} })
	  or die "cannot run the clients: $!\n";
	while (my $line = <$racer>)
	{
		chomp($line);
		my ($what, @about) = split ' ', $line;
		if ($what eq 'total') { $seen{ $about[0] } = $about[1]; }
		elsif ($what eq 'lost') { push @{ $seen{marks} }, [ lost => $line ]; }
		else { see_ending(\%seen, $what, $line, @about); }
	}
	close($racer) or die "the clients could not go on\n";
	$figures->{$_} += $seen{$_} foreach qw(ended cancelled sent rounds survived);
	return \%seen;
}

sub see_ending
{
	my ($seen, $what, $line, $pid, $sqlstate, @marks) = @_;

	$seen->{$what}++;
	$seen->{ $what eq 'ended' ? 'pids' : 'cancelled_pids' }{$pid}++;
	$seen->{sqlstates}{$sqlstate}++ if $what eq 'ended';
	foreach my $mark (@marks)
	{
		if ($mark eq 'sent') { $seen->{sent}++; }
		elsif ($mark ne 'unsent') { push @{ $seen->{marks} }, [ $mark => $line ]; }
	}
}

# What the server logged since then about our clients' ends: a list of hashes.
# Backends write before they are gone, so whatever they had to say is there
# when a line of one that comes after them is.
sub read_log
{
	my ($self, $from) = @_;
	my $marker = 'end of a race at ' . time;

	$self->wait_for(
		"SELECT count(*) FROM pg_stat_activity WHERE application_name = '$RaceKinds::application'", 0)
	  or die "sessions of the clients do not end\n";
	$self->sql("DO \$\$ BEGIN RAISE LOG '$marker'; END \$\$");
	return [
		grep { $_->{application} eq $RaceKinds::application
			  && ($_->{severity} eq 'FATAL' || $_->{severity} eq 'ERROR') }
		  RaceLog::read_until($self->{log}, $from, $marker, RaceServer::patience())
	];
}

# What the views say about a race that is over.
sub judge_views
{
	my ($self, $kind, $seen, $before, $figures) = @_;
	my $ours = "FROM hygiene.events WHERE event_id > $before->{event}";
	my $expected = qr/^(?:$kind->{action}@{[ $kind->{cancels} ? '|cancel' : '' ]}) $kind->{reason} $RaceKinds::application$/;
	my %events;

	if (!$self->wait_for("SELECT count(*) $ours AND outcome = 'pending'", 0))
	{
		my $pending = $self->sql("SELECT count(*) $ours AND outcome = 'pending'");

		RaceJudge::fault($figures, 'pending', "$pending events") foreach 1 .. $pending;
	}
	foreach my $row ($self->sql("SELECT outcome, pid, action, reason, application_name $ours"))
	{
		my ($outcome, $pid, @rest) = split /\|/, $row;

		$events{ $rest[0] }{$outcome}{$pid}++;
		RaceJudge::fault($figures, 'unequal', "an event is $row")
		  if "@rest" !~ $expected || $outcome !~ /^(?:done|spared|pending)$/;
	}
	my $after = $self->totals;
	my %grown = map { $_ => $after->{$_} - $before->{$_} } keys %$after;

	$figures->{spared} += RaceJudge::judge_counts($kind, $seen, \%events, \%grown, $figures);
	$figures->{decisions} = $figures->{ended} + $figures->{cancelled} + $figures->{spared};
}

=pod

=head2 Race::table(figures...)

The figures of several races as text, a headline and a line each.

=cut

sub table
{
	my @races = @_;
	my @columns = qw(decisions ended cancelled spared wrong);
	my $text = sprintf("%-28s" . ' %10s' x @columns . " %8s\n", '', @columns, 'seconds');

	foreach my $race (@races)
	{
		$text .= sprintf("%-28s" . ' %10d' x @columns . " %8.1f\n",
			$race->{kind}, @$race{@columns}, $race->{seconds});
	}
	return $text;
}

=pod

=head2 Race::complaints(figures...)

What was wrong in them, as text; empty when nothing was.

=cut

sub complaints
{
	my $text = '';

	foreach my $race (grep { $_->{wrong} } @_)
	{
		my @sorts = grep { $race->{$_} } RaceJudge::sorts();

		$text .= "\n$race->{kind}, wrong: " . join(', ', map { "$race->{$_} $_" } @sorts) . "\n";
		$text .= "  $_\n" foreach @{ $race->{faults} };
	}
	return $text;
}

1;
