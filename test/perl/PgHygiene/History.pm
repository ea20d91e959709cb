
=pod

=head1 NAME

PgHygiene::History - the file in which the history outlives a server

=head1 DESCRIPTION

For tests that change the file while the server is stopped.  Its checksum is
CRC-32C as PostgreSQL has it, of the records first, then of the header.

=cut

package PgHygiene::History;

use strict;
use warnings;

use Exporter 'import';
use Time::HiRes qw(time);

our @EXPORT =
  qw($HEADER $CRC history_file read_bytes write_bytes with_checksum aged);

# Bytes of the header, and of the checksum at the end.
our $HEADER = 104;
our $CRC = 4;

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

=head2 with_checksum(bytes)

The same with the right checksum.

=cut

sub with_checksum
{
	my ($bytes) = @_;
	my $crc = 0xffffffff;

	substr $bytes, -$CRC, $CRC, '';
	$crc = $crc_table[ ($crc ^ $_) & 0xff ] ^ ($crc >> 8)
	  for unpack 'C*', substr($bytes, $HEADER) . substr $bytes, 0, $HEADER;
	return $bytes . pack 'L', $crc ^ 0xffffffff;
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

	for (my $at = 0; $at <= length($bytes) - $CRC - 8; $at++)
	{
		my $then = unpack 'q', substr $bytes, $at, 8;

		next if $then > $now || $then < $now - 86_400 * 1_000_000;
		substr $bytes, $at, 8, pack 'q', $then - $seconds * 1_000_000;
		$at += 7;
	}
	return with_checksum($bytes);
}

1;
