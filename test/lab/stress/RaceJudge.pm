
=pod

=head1 NAME

RaceJudge - was each ending of a race right?

=head1 DESCRIPTION

Holds what the clients saw against the server's log and the extension's views.
What it finds goes into a race's figures, a hash that C<new_figures> makes.

=cut

package RaceJudge;

use strict;
use warnings;

use Time::HiRes qw(time);

# What an ending can be that is wrong; Race.pm explains them.
my @sorts = qw(running talking other lost early bare pending unequal);

sub new_figures
{
	my ($name) = @_;

	return {
		kind => $name,
		began => time,
		faults => [],
		map { $_ => 0 }
		  qw(decisions ended cancelled spared wrong rounds survived sent),
		@sorts
	};
}

sub sorts
{
	return @sorts;
}

# Count something wrong, and say what, but not a thousand times.
sub fault
{
	my ($figures, $sort, $sentence) = @_;

	$figures->{wrong}++;
	push @{ $figures->{faults} }, "$sort: $sentence" if ++$figures->{$sort} <= 5;
}

# A line of the log, for a sentence.
sub about
{
	my ($line) = @_;
	my $about = "process $line->{pid}, $line->{tag}, $line->{sqlstate} $line->{message}";

	# a long statement ends in blanks
	$about .= ", $_->[0]: $_->[1]"
	  foreach grep { $_->[1] ne '' }
	  ([ DETAIL => $line->{detail} ], [ STATEMENT => $line->{statement} =~ s/\s+$//r ]);
	return $about;
}

# Was each session at rest when it ended?
sub judge_moment
{
	my ($kind, $line, $figures) = @_;

	return 1 if $line->{severity} eq 'ERROR';
	return 1 if $line->{tag} =~ $kind->{at_rest} && $line->{statement} eq '';
	fault($figures, 'running', about($line));
	return 0;
}

# What the clients found wrong.  A statement that was cancelled too early was one
# of a transaction that had just begun.  (Its command tag proves nothing: on a
# busy machine a transaction may become too old within one message.)
sub judge_marks
{
	my ($seen, $figures) = @_;

	foreach my $mark (@{ $seen->{marks} })
	{
		my ($sort, $line) = @$mark;

		$sort = 'other' if $sort eq 'early' && $line =~ /^cancelled/;
		fault($figures, $sort, "clients: $line");
	}
}

# Was it told why?
sub judge_words
{
	my ($kind, $line, $figures) = @_;
	my $sqlstate = $line->{severity} eq 'ERROR' ? '57014' : $kind->{sqlstate};

	fault($figures, 'bare', about($line))
	  if $line->{sqlstate} ne $sqlstate
	  || $line->{detail} !~ $kind->{detail}
	  || $line->{hint} eq '';
}

# All that the log and the clients have to say about each ending.
sub judge_endings
{
	my ($kind, $seen, $figures) = @_;

	foreach my $line (@{ $seen->{log} })
	{
		judge_moment($kind, $line, $figures)
		  && judge_words($kind, $line, $figures);
	}
	judge_marks($seen, $figures);
	foreach my $sqlstate (grep { $_ ne $kind->{sqlstate} } keys %{ $seen->{sqlstates} })
	{
		fault($figures, 'bare', "clients: $seen->{sqlstates}{$sqlstate} ended with SQLSTATE $sqlstate");
	}
}

# The same where pg_hygiene is not at work: only what the control must show.
sub judge_control
{
	my ($control, $seen, $figures) = @_;

	judge_moment($control, $_, $figures) foreach @{ $seen->{log} };
	judge_marks({ marks => [ grep { $_->[1] =~ /^cancelled .* early/ } @{ $seen->{marks} } ] }, $figures)
	  if $control->{cancels};
}

# Do the clients, the log and the views agree about who ended?  "events" has
# the counts of events by action, outcome and process, and "totals" how much
# the extension's own counts have grown.
sub judge_counts
{
	my ($kind, $seen, $events, $totals, $figures) = @_;
	my %logged = (FATAL => {}, ERROR => {});

	$logged{ $_->{severity} }{ $_->{pid} }++ foreach @{ $seen->{log} };
	agree(
		$figures, 'ended',
		clients => $seen->{pids},
		log => $logged{FATAL},
		'hygiene.events' => $events->{ $kind->{action} }{done},
		'hygiene.status' => $totals->{ $kind->{action} });
	agree(
		$figures, 'cancelled',
		clients => $seen->{cancelled_pids},
		log => $logged{ERROR},
		'hygiene.events' => $events->{cancel}{done},
		'hygiene.status' => $totals->{cancel});

	my $spared = sum($events->{ $kind->{action} }{spared}) + sum($events->{cancel}{spared});
	must_agree($figures, 'sessions spared',
		'hygiene.events' => $spared, 'hygiene.status' => $totals->{spared});
	fault($figures, 'unequal', "$spared were spared, but only $seen->{survived} survived")
	  if !$kind->{cancels} && $spared > $seen->{survived} + $seen->{closed};
	return $spared;
}

# Hashes of process ids with their counts, and a sum, from different sources.
sub agree
{
	my ($figures, $what, %counts) = @_;
	my %lists = %counts;

	delete $lists{'hygiene.status'};
	must_agree($figures, "sessions $what",
		map { $_ => ref $counts{$_} ? sum($counts{$_}) : $counts{$_} || 0 } keys %counts);
	must_agree($figures, "processes $what", map { $_ => list($lists{$_}) } keys %lists);
}

sub sum
{
	my ($counts) = @_;
	my $sum = 0;

	$sum += $_ foreach values %{ $counts || {} };
	return $sum;
}

# Process ids with how often each was seen: it may be reused.
sub list
{
	my ($counts) = @_;

	return join ' ', map { "$_:$counts->{$_}" } sort { $a <=> $b } keys %{ $counts || {} };
}

sub must_agree
{
	my ($figures, $what, %counts) = @_;
	my %values = map { $_ => 1 } values %counts;

	fault($figures, 'unequal',
		"$what: " . join(', ', map { substr("$_ $counts{$_}", 0, 200) } sort keys %counts))
	  if keys %values != 1;
}

1;
