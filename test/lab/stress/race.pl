#!/usr/bin/perl
#
# race.pl FOLDER DECISIONS [KIND...]
#	  Makes a server in FOLDER, has all kinds of endings raced in it, DECISIONS
#	  together, and then the same clients against signals that are sent after a
#	  look at pg_stat_activity; prints a table.  test/lab/stress/run prepares what it
#	  needs.
# race.pl FOLDER blind [KIND...]
#	  The same with a library whose victims end without a look: each kind must
#	  be found wrong.
#
#	  Exit status: 0 when nothing was wrong but what is to be, 1 when not so,
#	  more when it could not find out.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use POSIX qw(ceil);
use Race;

# Endings by each sort of signal, and the seconds that they may take.
my $control_endings = 2000;
my $control_seconds = 120;

# Decisions of each kind that is blind.
my $blind_decisions = 400;

my ($folder, $decisions, @kinds) = @ARGV;
my $blind = $decisions eq 'blind';
my $data = "$folder/data";

$| = 1;
@kinds = Race::kinds() unless @kinds;

sub run
{
	my @command = @_;

	system("@command >>'$folder/server.out' 2>&1 </dev/null") == 0
	  or die "failed: @command\n", `tail -n 20 '$folder/server.out'`;
}

run('initdb', '-D', "'$data'", '-A trust -U postgres -N --no-locale -E UTF8');
open(my $conf, '>>', "$data/postgresql.conf") or die "$data/postgresql.conf: $!\n";
print $conf map { "$_\n" } Race::settings(), "listen_addresses = ''",
  "unix_socket_directories = '$folder'", 'port = 54329';
close($conf);
{
	local $ENV{LD_PRELOAD} = Race::late_signals($folder);

	run('pg_ctl', 'start -s -w -D', "'$data'");
}
run('psql', "-qX -h '$folder' -p 54329 -U postgres",
	"-c 'CREATE ROLE app LOGIN' -c 'CREATE EXTENSION pg_hygiene'");

my $race = Race->new(
	host => $folder,
	port => 54329,
	name => 'postgres',
	log => "$data/log/race.csv",
	folder => $folder);
my @figures;

foreach my $kind (@kinds)
{
	my $share = $blind ? $blind_decisions : ceil($decisions / @kinds);

	print "racing $kind, $share decisions", ($blind ? ' without a look' : ''), "\n";
	push @figures, $race->enforce($kind, $share);
}
my @controls;

foreach my $name ($blind ? () : Race::controls())
{
	print "racing $name, $control_endings endings\n";
	push @controls, $race->control($name, $control_endings, $control_seconds);
}

print "\n", Race::table(@figures, @controls);
print Race::complaints(@figures) unless $blind;
foreach my $control (grep { $_->{proof} } @controls)
{
	print "\nthe first that $control->{kind} ended wrongly:\n  $control->{faults}[0]\n";
}
run('pg_ctl', 'stop -s -m fast -D', "'$data'");

my $wrong = grep { $_->{wrong} && !$blind } @figures;
my @right = map { $_->{kind} } (grep { !$_->{proof} } @controls), (grep { $blind && !$_->{wrong} } @figures);
print "\nFAILED: sessions were ended wrongly\n" if $wrong;
print "\nFAILED: $_ ended nobody wrongly, so this proves nothing\n" foreach @right;
exit($wrong || @right ? 1 : 0);
