
=pod

=head1 NAME

PgHygiene::History - the file in which the history outlives a server

=head1 DESCRIPTION

For tests that change the file while the server is stopped.  It begins with a
header that lists its parts; the header and each part have a checksum, CRC-32C
as PostgreSQL has it.

=cut

package PgHygiene::History;

use strict;
use warnings;

use Exporter 'import';
use Time::HiRes qw(time);

our @EXPORT =
  qw($HEADER history_file read_bytes write_bytes parts with_checksums aged);

# Bytes of the header, where its number of parts and its checksum are, and
# where its list is: name, length, format and checksum of each part.
our $HEADER = 1560;
my $N_AT = 12;
my $CRC_AT = 1552;
my $LIST_AT = 16;
my $ENTRY = 48;

# PostgreSQL's time begins in 2000.
my $EPOCH = 946_684_800;

my @crc_table = map {
	my $c = $_;

	$c = $c & 1 ? ($c >> 1) ^ 0x82f63b78 : $c >> 1 for 1 .. 8;
	$c;
} 0 .. 255;

=pod

=head2 history_file(node)

Its name.

=head2 read_bytes(name), write_bytes(name, bytes)

Any file.

=cut

sub history_file
{
	my ($node) = @_;

	return $node->data_dir . '/pg_stat/pg_hygiene.stat';
}

sub read_bytes
{
	my ($name) = @_;

	open my $file, '<:raw', $name or die "$name: $!";
	my $bytes = do { local $/ = undef; <$file> };
	close $file or die "$name: $!";
	return defined $bytes ? $bytes : '';
}

sub write_bytes
{
	my ($name, $bytes) = @_;

	open my $file, '>:raw', $name or die "$name: $!";
	print $file $bytes;
	close $file or die "$name: $!";
	return;
}

=pod

=head2 parts(bytes)

A hash of the parts, by name: each has where its entry in the list is, where it
begins, and its length.

=cut

sub parts
{
	my ($bytes) = @_;
	my $at = $HEADER;
	my %parts;

	for my $i (0 .. unpack('L', substr $bytes, $N_AT, 4) - 1)
	{
		my $entry = $LIST_AT + $i * $ENTRY;
		my ($name, $length) = unpack 'Z32 Q', substr $bytes, $entry, 40;

		$parts{$name} = { entry => $entry, at => $at, length => $length };
		$at += $length;
	}
	return %parts;
}

=pod

=head2 with_checksums(bytes)

The same with the right checksums.

=cut

sub crc_of
{
	my ($bytes) = @_;
	my $crc = 0xffffffff;

	$crc = $crc_table[ ($crc ^ $_) & 0xff ] ^ ($crc >> 8)
	  for unpack 'C*', $bytes;
	return pack 'L', $crc ^ 0xffffffff;
}

sub with_checksums
{
	my ($bytes) = @_;

	for (values %{ { parts($bytes) } })
	{
		substr $bytes, $_->{entry} + 44, 4,
		  crc_of(substr $bytes, $_->{at}, $_->{length});
	}
	substr $bytes, $CRC_AT, 4, crc_of(substr $bytes, 0, $CRC_AT);
	return $bytes;
}

=pod

=head2 aged(bytes, seconds)

The same, but all that it tells of happened so much earlier: whatever reads as
a point in time of the last day is moved.  (Nothing else does.)

=cut

sub aged
{
	my ($bytes, $seconds) = @_;
	my $now = int((time - $EPOCH) * 1_000_000);

	for (my $at = $HEADER; $at <= length($bytes) - 8; $at++)
	{
		my $then = unpack 'q', substr $bytes, $at, 8;

		next if $then > $now || $then < $now - 86_400 * 1_000_000;
		substr $bytes, $at, 8, pack 'q', $then - $seconds * 1_000_000;
		$at += 7;
	}
	return with_checksums($bytes);
}

1;
