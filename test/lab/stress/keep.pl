#!/usr/bin/perl
#
# keep.pl FOLDER ROLLBACKS
#	  Makes servers in FOLDER, and has clients come back about when their
#	  transaction is rolled back, until ROLLBACKS were; then one session alone as
#	  often; then the control, a library that does not refuse COMMIT.  Prints a
#	  table.  test/lab/stress/run prepares what it needs.
#
#	  Exit status: 0 when nothing was wrong and the control was, 1 when not so,
#	  more when it could not find out.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Keep;

# Rollbacks of the control, and by how many bytes one session may grow.
my $control_rollbacks = 1000;
my $growth = 1024 * 1024;

my ($folder, $rollbacks) = @ARGV;

$| = 1;

sub run
{
	my @command = @_;

	system("@command >>'$folder/server.out' 2>&1 </dev/null") == 0
	  or die "failed: @command\n", `tail -n 20 '$folder/server.out'`;
}

# A server, and the race in it.
sub start
{
	my ($name, @settings) = @_;
	my $data = "$folder/$name";

	run('initdb', '-D', "'$data'", '-A trust -U postgres -N --no-locale -E UTF8');
	open(my $conf, '>>', "$data/postgresql.conf") or die "$data/postgresql.conf: $!\n";
	print $conf map { "$_\n" } @settings, "listen_addresses = ''",
	  "unix_socket_directories = '$folder'", 'port = 54329';
	close($conf);
	run('pg_ctl', 'start -s -w -D', "'$data'", '-l', "'$folder/server.log'");
	run('psql', "-qX -h '$folder' -p 54329 -U postgres", "-c 'CREATE ROLE app LOGIN'");
	return Keep->new(
		host => $folder,
		port => 54329,
		name => 'postgres',
		folder => $folder,
		control => $name eq 'control');
}

sub stop
{
	my ($name) = @_;

	run('pg_ctl', 'stop -s -m fast -D', "'$folder/$name'");
	return;
}

my $keep = start('keep', Keep::settings());
run('psql', "-qX -h '$folder' -p 54329 -U postgres", "-c 'CREATE EXTENSION pg_hygiene'");
print "racing rollbacks, $rollbacks\n";
my $figures = $keep->race($rollbacks);

print "rolling one session back, $rollbacks times\n";
my $lone = $keep->alone($rollbacks);
my $grown = $lone->{memory_after} - $lone->{memory_before};
stop('keep');

print "racing rollbacks without the check of COMMIT, $control_rollbacks\n";
$keep = start('control', Keep::settings(Keep::library_without_check($folder)));
my $control = $keep->race($control_rollbacks);
stop('control');

print "\n", Keep::table(
	'rollback' => $figures,
	'rollback, one session' => $lone,
	'COMMIT not refused' => $control), Keep::complaints($figures), Keep::complaints($lone);
print "\nin one session $lone->{in_one_session} rollbacks, and $grown bytes more\n",
  "COMMIT not refused: $control->{silent} transactions lost in silence\n";

my $wrong = $figures->{wrong} || $lone->{wrong} || $grown > $growth;
print "\nFAILED: a rollback was wrong\n" if $wrong;
print "\nFAILED: the control lost nothing, so this proves nothing\n" unless $control->{silent};
exit($wrong || !$control->{silent} ? 1 : 0);
