
=pod

=head1 NAME

RaceLog - read what a server wrote to its CSV log

=head1 SYNOPSIS

  use RaceLog;

  my $position = -s $file;
  # ... let the server log a line that contains $marker ...
  my @lines = RaceLog::read_until($file, $position, $marker, 60);
  print "$_->{pid} was at $_->{tag}\n" foreach @lines;

=cut

package RaceLog;

use strict;
use warnings;

use Time::HiRes qw(time sleep);

# The columns that tell how a session ended; the same in all versions.
my %columns = (
	pid => 3,
	tag => 7,
	severity => 11,
	sqlstate => 12,
	message => 13,
	detail => 14,
	hint => 15,
	statement => 19,
	application => 22);

=pod

=head2 RaceLog::read_until(file, position, marker, seconds)

Waits until the log has the marker beyond the position, and returns what it has
from there, a hash of columns for each line.  Dies when the time is over.

=cut

sub read_until
{
	my ($file, $position, $marker, $seconds) = @_;
	my $end = time + $seconds;
	my ($text, @lines) = ('');

	open(my $log, '<', $file) or die "cannot read $file: $!\n";
	while ($text !~ /\Q$marker\E/)
	{
		die "the log never had \"$marker\"\n" if time > $end;
		sleep(0.02) if $text ne '';
		seek($log, $position, 0);
		local $/;
		$text = <$log> // '';
	}
	while ($text =~ /\G((?:"[^"]*"|[^"\n]+)*)\n/g)
	{
		push @lines, parse_line($1);
	}
	return @lines;
}

sub parse_line
{
	my ($text) = @_;
	my @values;

	while ($text =~ /\G(?:"([^"]*(?:""[^"]*)*)"|([^",]*))(?:,|$)/gc)
	{
		push @values, defined $1 ? $1 =~ s/""/"/gr : $2;
		last if pos($text) >= length($text);
	}
	return { map { $_ => $values[ $columns{$_} ] // '' } keys %columns };
}

1;
