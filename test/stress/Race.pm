
=pod

=head1 NAME

Race - do the sessions that a limit ends include one that had gone back to work?

=head1 SYNOPSIS

  use lib 'test/stress';
  use Race;

  # a server with Race::settings() in its configuration
  my $race = Race->new(host => $host, port => $port, log => "$data/log/race.csv",
      folder => $temporary, name => 'postgres');
  my $figures = $race->enforce('idle_in_transaction_timeout', 4000);
  die join "\n", @{ $figures->{faults} } if $figures->{wrong};

=head1 DESCRIPTION

Runs F<racer>, whose clients send a statement within a millisecond of a limit,
and holds what they saw against the server's log and the extension's views.
The worker is made slow meanwhile: it is frozen now and then, and has to share
a lock, so that what it saw is often out of date when its signal arrives.

The evidence is the log line with which a session ended.  The command tag in it
(the C<%i> of C<log_line_prefix>; here a column of the CSV log) says what the
session was doing, and a statement is logged beside it as soon as the session
had begun to read one.  So "wrong" endings are those

=over

=item running

whose log line has another command tag than that of a session at rest, or a
statement;

=item lost

whose client never got the reply to a statement that was executed nevertheless;

=item early

that came less than the limit after the session's last statement was sent;

=item bare

without the SQLSTATE, DETAIL or HINT that they should have, in the log or at the
client;

=item pending

whose event did not come to an outcome;

=item unequal

and all by which the clients, the log, C<hygiene.events> and C<hygiene.status>
differ.

=back

The same clients against C<pg_terminate_backend> after a look at
C<pg_stat_activity> show how many endings such a killer gets wrong, and that
this test would notice.

Works with PostgreSQL 15 and later.  Needs a C compiler and libpq's headers.

=cut

package Race;

use strict;
use warnings;

use File::Basename qw(dirname);
use RaceLog;
use Time::HiRes qw(time);

use parent 'RaceServer';

# What every connection's log lines and events are known by.
my $application = 'racer';

# Clients; with the sessions that are on their way out they must fit into
# max_connections.
my $clients = 60;

# The limit that is raced, in milliseconds.
my $limit = 100;

# Endings between two looks at the log and the views.  The ring of events has
# room for twice as many.
my $heat = 2500;

# What a monitoring program might ask for all the while.  It also holds the lock
# that the worker takes between its look at a session and the signal.
my $watcher = 'SELECT count(*) FROM hygiene.events \watch 0.01';

# What can be raced.  "opening" brings a session to where the limit acts once
# the statement after it is done, and "closing" to where it does not.
my %kinds = (
	idle_in_transaction_timeout => {
		settings => [ "pg_hygiene.idle_in_transaction_timeout = '${limit}ms'" ],
		opening => 'BEGIN; ',
		closing => 'ROLLBACK',
		at_rest => qr/^idle in transaction$/,
		sqlstate => '25P03',
		detail => qr/^Application "racer" left a transaction idle for [\d.]+ (?:ms|s); pg_hygiene\.idle_in_transaction_timeout allows $limit ms\.$/,
	},
	idle_session_timeout => {
		settings => [ "pg_hygiene.idle_session_timeout = '${limit}ms'" ],
		opening => '',
		closing => 'BEGIN',
		at_rest => qr/^idle$/,
		sqlstate => '57P05',
		detail => qr/^Application "racer" left a session idle for [\d.]+ (?:ms|s); pg_hygiene\.idle_session_timeout allows $limit ms\.$/,
	});

# What ends idle transactions where there is no pg_hygiene.
my $killer = <<"END";
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE state = 'idle in transaction' AND application_name = '$application'
   AND clock_timestamp() - state_change > '${limit}ms' \\watch 0.005
END

=pod

=head2 Race::kinds()

The names of what can be raced, each that of the reason in C<hygiene.events>.

=cut

sub kinds
{
	return sort keys %kinds;
}

=pod

=head2 Race::settings()

The configuration that the server must be started with, a list of lines.

=cut

sub settings
{
	return (
		"shared_preload_libraries = 'pg_hygiene'",
		'max_connections = 100',
		'logging_collector = on',
		"log_destination = 'csvlog'",
		"log_directory = 'log'",
		"log_filename = 'race.log'",
		'log_rotation_age = 0',
		'log_rotation_size = 0',
		'log_min_error_statement = error',
		'fsync = off',
		'autovacuum = off',
		'pg_hygiene.max_events = ' . 2 * $heat,
		'pg_hygiene.headroom = 0',
		'pg_hygiene.warn_at = 0');
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
		map({ "CREATE UNLOGGED SEQUENCE race_$_" } 1 .. $clients),
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
		"-I$include", '-o', $program, dirname(__FILE__) . '/racer.c',
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
C<spared>, C<wrong> and those it is the sum of, C<rounds>, C<survived>, C<sent>
(ended with a statement on its way that was never begun), and C<faults>, a list
of sentences about what was wrong, some of each sort.

=cut

sub enforce
{
	my ($self, $name, $decisions) = @_;
	my $kind = $kinds{$name} or die "there is no race \"$name\"\n";
	my $figures = new_figures($name);

	$self->configure(@{ $kind->{settings} });
	while ($figures->{decisions} < $decisions)
	{
		my $missing = $decisions - $figures->{decisions};
		my $endings = $missing < $heat ? $missing : $heat;
		my $before = $self->totals;
		my @hindrances = ($self->start_freezing, $self->start_watching($watcher));
		my $seen = $self->race($kind, $figures, $endings, 30 + int($endings / 20));

		RaceServer::stop(@hindrances);
		$seen->{log} = $self->read_log($seen->{log_began});
		$self->judge_endings($kind, $seen, $figures);
		$self->judge_views($name, $seen, $before, $figures);
		last if $figures->{wrong} || !$seen->{ended};
	}
	fault($figures, 'unequal', 'nobody is ended any more')
	  if $figures->{decisions} < $decisions && !$figures->{wrong};
	$figures->{seconds} = time - $figures->{began};
	return $figures;
}

=pod

=head2 $race->sigterm(endings, seconds)

The same clients with pg_hygiene off, and every 5 ms a scan of
C<pg_stat_activity> that ends who is past the limit by SIGTERM.  Until so many
were ended, some of them wrongly, or the seconds are over.  Returns what
C<enforce> does; only those that were running are looked for and counted.

=cut

sub sigterm
{
	my ($self, $endings, $seconds) = @_;
	my $figures = new_figures('SIGTERM after a scan');
	my $kind = { %{ $kinds{idle_in_transaction_timeout} }, sqlstate => '57P01' };
	my $end = time + $seconds;

	$self->configure("pg_hygiene.mode = 'off'");
	my $killing = $self->start_watching($killer);
	while (time < $end && ($figures->{ended} < $endings || !$figures->{running}))
	{
		my $seen = $self->race($kind, $figures, $endings, int($end - time) + 1);

		$seen->{log} = $self->read_log($seen->{log_began});
		$self->judge_endings($kind, $seen, $figures);
		last if !$seen->{ended};
	}
	RaceServer::stop($killing);
	$figures->{decisions} = $figures->{ended};
	$figures->{seconds} = time - $figures->{began};
	return $figures;
}

sub new_figures
{
	my ($name) = @_;

	return {
		kind => $name,
		began => time,
		faults => [],
		map { $_ => 0 }
		  qw(decisions ended spared wrong running lost early bare pending unequal rounds survived sent)
	};
}

# Count something wrong, and say what, but not a thousand times.
sub fault
{
	my ($figures, $sort, $sentence) = @_;

	$figures->{wrong}++;
	push @{ $figures->{faults} }, "$sort: $sentence" if ++$figures->{$sort} <= 5;
}

# The extension's own counts, and where its events begin for us.
sub totals
{
	my ($self) = @_;
	my ($terminated, $spared, $event) = split /\|/, $self->sql(
		'SELECT terminated, spared, (SELECT coalesce(max(event_id), 0) FROM hygiene.events) FROM hygiene.status'
	);

	return { terminated => $terminated, spared => $spared, event => $event };
}

# One run of the clients.  Returns what they saw, and where the log of it begins.
sub race
{
	my ($self, $kind, $figures, $endings, $seconds) = @_;
	my %seen = (
		ended => 0,
		sent => 0,
		pids => {},
		sqlstates => {},
		marks => [],
		log_began => -s $self->{log});

	open(my $racer, '-|', $self->{racer},
		'-d', $self->conninfo('app', $application),
		'-n', $clients, '-l', $limit * 1000, '-e', $endings, '-t', $seconds,
		'-o', $kind->{opening}, '-c', $kind->{closing}, '-s', $$ + $figures->{ended})
	  or die "cannot run the clients: $!\n";
	while (my $line = <$racer>)
	{
		chomp($line);
		my ($what, @about) = split ' ', $line;
		if ($what eq 'total') { $seen{ $about[0] } = $about[1]; }
		elsif ($what eq 'lost') { push @{ $seen{marks} }, [ lost => $line ]; }
		else { see_ending(\%seen, $line, @about); }
	}
	close($racer) or die "the clients could not go on\n";
	$figures->{$_} += $seen{$_} foreach qw(ended sent rounds survived);
	return \%seen;
}

sub see_ending
{
	my ($seen, $line, $pid, $sqlstate, @marks) = @_;

	$seen->{ended}++;
	$seen->{pids}{$pid}++;
	$seen->{sqlstates}{$sqlstate}++;
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
		"SELECT count(*) FROM pg_stat_activity WHERE application_name = '$application'", 0)
	  or die "sessions of the clients do not end\n";
	$self->sql("DO \$\$ BEGIN RAISE LOG '$marker'; END \$\$");
	return [
		grep { $_->{severity} eq 'FATAL' && $_->{application} eq $application }
		  RaceLog::read_until($self->{log}, $from, $marker, RaceServer::patience())
	];
}

# Was each session at rest when it ended, and was it told why?
sub judge_endings
{
	my ($self, $kind, $seen, $figures) = @_;
	my $control = $kind->{sqlstate} eq '57P01';

	foreach my $line (@{ $seen->{log} })
	{
		my $about = "process $line->{pid}, $line->{tag}, $line->{sqlstate} $line->{message}";

		# a long statement ends in blanks
		$about .= ", $_->[0]: $_->[1]"
		  foreach grep { $_->[1] ne '' }
		  ([ DETAIL => $line->{detail} ], [ STATEMENT => $line->{statement} =~ s/\s+$//r ]);

		if ($line->{tag} !~ $kind->{at_rest} || $line->{statement} ne '')
		{
			fault($figures, 'running', $about);
		}
		elsif ($line->{sqlstate} ne $kind->{sqlstate}
			|| !$control && ($line->{detail} !~ $kind->{detail} || $line->{hint} eq ''))
		{
			fault($figures, 'bare', $about);
		}
	}
	return if $control;
	fault($figures, $_->[0], "clients: $_->[1]") foreach @{ $seen->{marks} };
	foreach my $sqlstate (grep { $_ ne $kind->{sqlstate} } keys %{ $seen->{sqlstates} })
	{
		fault($figures, 'bare', "clients: $seen->{sqlstates}{$sqlstate} ended with SQLSTATE $sqlstate");
	}
}

# Do the clients, the log and the views agree about who ended?
sub judge_views
{
	my ($self, $name, $seen, $before, $figures) = @_;
	my $ours = "FROM hygiene.events WHERE event_id > $before->{event}";
	my %events = (done => {}, spared => {});
	my $pending;

	if (!$self->wait_for("SELECT count(*) $ours AND outcome = 'pending'", 0))
	{
		$pending = $self->sql("SELECT count(*) $ours AND outcome = 'pending'");
		fault($figures, 'pending', "$pending events") foreach 1 .. $pending;
	}
	foreach my $row ($self->sql("SELECT outcome, pid, action, reason, application_name $ours"))
	{
		my ($outcome, $pid, @rest) = split /\|/, $row;
		$events{$outcome}{$pid}++;
		fault($figures, 'unequal', "an event is $row")
		  if "@rest" ne "terminate $name $application"
		  || $outcome !~ /^(?:done|spared|pending)$/;
	}
	my $after = $self->totals;
	my %spared = (
		'hygiene.events' => sum($events{spared}),
		'hygiene.status' => $after->{spared} - $before->{spared});
	my %ended = (
		clients => $seen->{ended},
		log => scalar @{ $seen->{log} },
		'hygiene.events' => sum($events{done}),
		'hygiene.status' => $after->{terminated} - $before->{terminated});
	my %logged;
	$logged{ $_->{pid} }++ foreach @{ $seen->{log} };

	must_agree($figures, 'sessions ended', %ended);
	must_agree($figures, 'sessions spared', %spared);
	must_agree(
		$figures,
		'processes ended',
		clients => list($seen->{pids}),
		log => list(\%logged),
		'hygiene.events' => list($events{done}));
	fault($figures, 'unequal', "$spared{'hygiene.events'} were spared, but only $seen->{survived} survived")
	  if $spared{'hygiene.events'} > $seen->{survived} + $seen->{closed};
	$figures->{spared} += $spared{'hygiene.events'};
	$figures->{decisions} = $figures->{ended} + $figures->{spared};
}

sub sum
{
	my ($counts) = @_;
	my $sum = 0;

	$sum += $_ foreach values %$counts;
	return $sum;
}

# Process ids with how often each was seen: it may be reused.
sub list
{
	my ($counts) = @_;

	return join ' ', map { "$_:$counts->{$_}" } sort { $a <=> $b } keys %$counts;
}

sub must_agree
{
	my ($figures, $what, %counts) = @_;
	my %values = map { $_ => 1 } values %counts;

	fault($figures, 'unequal',
		"$what: " . join(', ', map { substr("$_ $counts{$_}", 0, 200) } sort keys %counts))
	  if keys %values != 1;
}

=pod

=head2 Race::table(figures...)

The figures of several races as text, a headline and a line each.

=cut

sub table
{
	my @races = @_;
	my @columns = qw(decisions ended spared wrong);
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
		my @sorts = grep { $race->{$_} } qw(running lost early bare pending unequal);

		$text .= "\n$race->{kind}, wrong: " . join(', ', map { "$race->{$_} $_" } @sorts) . "\n";
		$text .= "  $_\n" foreach @{ $race->{faults} };
	}
	return $text;
}

1;
