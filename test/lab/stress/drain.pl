#!/usr/bin/perl
#
# drain.pl FOLDER SESSIONS
#	  Makes a server in FOLDER, and drains busy clients in it until SESSIONS
#	  sessions were ended; see drainer.c.  Prints what came of it.
#	  test/lab/stress/run prepares what it needs.
#
#	  Exit status: 0 when nothing was broken, 1 when something was, more when
#	  it could not find out.

use strict;
use warnings;

use FindBin;

my $clients = 40;
my ($folder, $sessions) = @ARGV;
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
my $data = "$folder/drain";
my $conninfo = "-h '$folder' -p 54329 -U postgres";

$| = 1;

sub run
{
	my @command = @_;

	system("@command >>'$folder/drain.out' 2>&1 </dev/null") == 0
	  or die "failed: @command\n", `tail -n 20 '$folder/drain.out'`;
	return;
}

my ($include, $lib) = map { chomp(my $dir = `$pg_config --$_`); $dir } qw(includedir libdir);
system('gcc', '-std=gnu99', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror',
	"-I$include", '-o', "$folder/drainer", "$FindBin::RealBin/drainer.c",
	(-d $lib ? ("-L$lib", "-Wl,-rpath,$lib") : ()), '-lpq') == 0
  or die "drainer.c could not be compiled\n";
run('initdb', '-D', "'$data'", '-A trust -U postgres -N --no-locale -E UTF8');
open(my $conf, '>>', "$data/postgresql.conf") or die "$data/postgresql.conf: $!\n";
print $conf map { "$_\n" } "shared_preload_libraries = 'pg_hygiene'",
  "listen_addresses = ''", "unix_socket_directories = '$folder'", 'port = 54329',
  'max_connections = 150', 'fsync = off', 'synchronous_commit = off',
  'pg_hygiene.tell_client = off';
close($conf);
run('pg_ctl', 'start -s -w -D', "'$data'", '-l', "'$folder/drain.log'");
run('psql', '-qX', $conninfo, "-c 'CREATE ROLE app LOGIN; CREATE EXTENSION pg_hygiene'",
	map { "-c 'CREATE TABLE $_ (id int PRIMARY KEY, n bigint); INSERT INTO $_ SELECT i, 0 FROM generate_series(0, 199) i; GRANT ALL ON $_ TO app'" }
	  qw(a b));

print "draining busy sessions, $sessions\n";
my $began = time;
my $output = `'$folder/drainer' '$folder' 54329 $clients $sessions 2>'$folder/drainer.err'`;
my $status = $?;
my %figures = $output =~ /^(\w+) (\d+)$/mg;
run('pg_ctl', 'stop -s -m fast -D', "'$data'");
die "drainer failed\n", `grep '^drainer' '$folder/drainer.err'` if $status != 0 || !defined $figures{difference};
printf "\ndrain: %d sessions of %d clients ended in %d drains and %d s, beside %d transactions: %d broken, %d lost otherwise, sums differ by %d\n",
  $figures{drained}, $clients, $figures{drains}, time - $began,
  @figures{qw(committed broken other difference)};
my $wrong = $figures{broken} || $figures{other} || $figures{difference};
print "\nFAILED: a drain broke something\n", `grep '^drainer' '$folder/drainer.err'` if $wrong;
exit($wrong ? 1 : 0);
