
=pod

=head1 NAME

PgHygiene::Clock - a server whose clock a test can set

=head1 SYNOPSIS

  use PgHygiene::Clock;

  my $clock = PgHygiene::Clock->new;
  my $node = $clock->new_node('main', 'autovacuum = off');
  $clock->set(3600);

=head1 DESCRIPTION

The clock is that of this server only: a library preloaded into it moves it.
What it moves it by is in a file; scripts run beside each other, so each has
one of its own.

=cut

package PgHygiene::Clock;

use strict;
use warnings;

use File::Basename;
use FindBin;
use PgHygiene ();
use PostgreSQL::Test::Utils;

sub new
{
	my ($class) = @_;
	my $base = "$PostgreSQL::Test::Utils::tmp_check/" . basename($0, '.t');
	my $self = bless { file => "$base.clock", library => "$base.step.so" }, $class;

	system_or_bail('gcc', '-std=gnu99', '-shared', '-fPIC', '-o', $self->{library},
		"$FindBin::RealBin/../programs/clock/step.c", '-ldl');
	$self->set(0);
	return $self;
}

=pod

=head2 set(seconds)

The clock is so much ahead of the system's from now on.

=cut

sub set
{
	my ($self, $ahead) = @_;
	my $path = $self->{file};

	# not truncated, for it is mapped
	open my $file, -e $path ? '+<' : '>', $path or die "$path: $!";
	syswrite $file, pack('q', $ahead * 1_000_000) or die "$path: $!";
	close $file;
	return;
}

=pod

=head2 new_node(name, extra configuration lines...)

As PgHygiene's, with this clock.

=cut

sub new_node
{
	my ($self, @what) = @_;

	local @ENV{qw(LD_PRELOAD PGH_CLOCK)} = @$self{qw(library file)};
	return PgHygiene::new_node(@what);
}

1;
