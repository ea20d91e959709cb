#!/usr/bin/perl
#
# race.pl FOLDER DECISIONS [KIND...]
#	  Makes a server in FOLDER, has all kinds of endings raced in it, DECISIONS
#	  together, and then the same clients against SIGTERM; prints a table.
#	  test/stress/run prepares what it needs.
#
#	  Exit status: 0 when nothing was wrong and SIGTERM was, 1 when not so, more
#	  when it could not find out.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use POSIX qw(ceil);
use Race;

# Endings by SIGTERM, and the seconds that they may take.
my $control_endings = 5000;
my $control_seconds = 120;

my ($folder, $decisions, @kinds) = @ARGV;
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
run('pg_ctl', 'start -s -w -D', "'$data'");
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
	my $share = ceil($decisions / @kinds);

	print "racing $kind, $share decisions\n";
	push @figures, $race->enforce($kind, $share);
}
print "racing SIGTERM after a scan, $control_endings endings\n\n";
my $control = $race->sigterm($control_endings, $control_seconds);

print Race::table(@figures, $control), Race::complaints(@figures);
if ($control->{running})
{
	print "\nthe first that SIGTERM ended at work:\n  $control->{faults}[0]\n";
}
run('pg_ctl', 'stop -s -m fast -D', "'$data'");

my $wrong = grep { $_->{wrong} } @figures;
print "\nFAILED: sessions were ended wrongly\n" if $wrong;
print "\nFAILED: SIGTERM ended nobody who was running, so this proves nothing\n"
  unless $control->{running};
exit($wrong || !$control->{running} ? 1 : 0);
