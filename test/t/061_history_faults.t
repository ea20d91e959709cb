
# A file that cannot be used is logged, set aside and replaced, and a disk that
# is full leaves the file as it was: neither stops the server.

use PgHygiene;
use PgHygiene::History;
use Time::HiRes ();

# Where things are in the file.
my $FORMAT_AT = 4;
my $SERVER_AT = 8;

my $node = new_node(
	'main',
	'fsync = off',
	'autovacuum = off',
	"pg_hygiene.idle_in_transaction_timeout = '10min'",
	"pg_hygiene.rules = 'application=leak: idle_in_transaction_timeout=50ms'");
my $FILE = history_file($node);
my $ASIDE = "$FILE.corrupt";
my $TMP = "$FILE.tmp";

sub end_some
{
	my ($n) = @_;

	for (1 .. $n)
	{
		my $client = client('leak');

		# in one message, lest a slow machine end it between the two
		$client->query("BEGIN; SELECT 'a statement that is remembered'");
		die 'not ended' unless $client->wait_closed->{C} eq '25P03';
	}
	return;
}

sub events
{
	return one(q{SELECT count(*) FROM hygiene.events});
}

sub is_whole
{
	my ($bytes) = @_;

	return length $bytes >= $HEADER && with_checksums($bytes) eq $bytes;
}

sub with
{
	my ($bytes, $at, $number) = @_;

	substr $bytes, $at, 4, pack 'L', $number;
	return $bytes;
}

sub flipped
{
	my ($bytes, $at) = @_;

	substr($bytes, $at, 1) ^= chr(1 << $at % 8);
	return $bytes;
}

end_some(3);
$node->stop;
my $good = read_bytes($FILE);
my $size = length $good;
ok(is_whole($good), 'this test knows the checksum');

#
# Through a start of the server.
#
sub start_with
{
	my ($what, $bytes, $reason) = @_;
	my $position = log_position($node);

	unlink $ASIDE;
	write_bytes($FILE, $bytes);
	ok($node->start, "$what: the server starts");
	like(
		slurp_file($node->logfile, $position),
		qr/ignoring file "pg_stat\/pg_hygiene\.stat": $reason/,
		"$what: logged");
	ok(-e $ASIDE && read_bytes($ASIDE) eq $bytes, "$what: set aside");
	ok(!-e $FILE, "$what: not in the way");
	is(events(), 0, "$what: the history begins anew");
	end_some(1);
	$node->stop;
	ok(is_whole(read_bytes($FILE)), "$what: and is kept again");
	return;
}

start_with('header damaged', flipped($good, 0), 'it is not a file of pg_hygiene');
start_with('list damaged', flipped($good, 40), 'its checksum is wrong');
start_with('truncated', substr($good, 0, $size - 1), 'it is too short');
start_with('empty', '', 'it is too short');
start_with('older format', with_checksums(with($good, $FORMAT_AT, 1)),
	'its format is another one');
start_with('another server', with_checksums(with($good, $SERVER_AT, 99)),
	'it was written by another version of the server');

#
# A part that cannot be used is lost without the others.
#
my %parts = parts($good);

sub start_with_part
{
	my ($what, $bytes, $part, $reason) = @_;
	my $position = log_position($node);
	my $other = $part eq 'events' ? 'leaks' : 'events';

	unlink $ASIDE;
	write_bytes($FILE, $bytes);
	ok($node->start, "$what: the server starts");
	my $log = slurp_file($node->logfile, $position);
	like(
		$log,
		qr/ignoring part "$part" of file "pg_stat\/pg_hygiene\.stat": $reason/,
		"$what: logged by its name");
	is(scalar(() = $log =~ /ignoring/g), 1, "$what: no other part is");
	ok(read_bytes($ASIDE) eq $bytes, "$what: set aside");
	isnt(one("SELECT count(*) FROM hygiene.$other"), 0,
		"$what: another part is read");
	is(one("SELECT count(*) FROM hygiene.$part"), 0, "$what: it begins anew")
	  if $part =~ /^(?:events|leaks)$/;
	like(one('SELECT hygiene.report()'), qr,</html>,, "$what: and the report is made");
	$node->stop;
	return;
}

for my $part (sort grep { $parts{$_}{length} > 0 } keys %parts)
{
	my $middle = $parts{$part}{at} + int($parts{$part}{length} / 2);

	start_with_part("$part damaged", flipped($good, $middle), $part,
		'its checksum is wrong');
}
start_with_part('another format',
	with_checksums(with($good, $parts{events}{entry} + 40, 7)),
	'events', 'its format is another one');

# The checksum is right, and what it says is not: a text without an end.
start_with_part('no sense',
	with_checksums(with($good, $parts{leaks}{at}, 0xffffffff)),
	'leaks', 'what it says makes no sense');

# Nor is a reason that no limit has: it would be looked up in a table.
my $reason_at = $parts{events}{at} + 8 + 4 + 8 + 8 + 1;
cmp_ok(ord substr($good, $reason_at, 1), '<', 32,
	'this test knows where the first event has its reason');
my $no_reason = $good;
substr $no_reason, $reason_at, 1, chr 200;
start_with_part('a reason that no limit has', with_checksums($no_reason),
	'events', 'what it says makes no sense');

# Nor are there counters and times so large that no view could add them up.
# For each part: where one of them is, and what it is now.
my %body = map { $_ => substr $good, $parts{$_}{at}, $parts{$_}{length} } keys %parts;

# A leak's: ended, rolled back, pauses that were seen (one that is over before
# it is noted is not), resumed.
my ($ended, $none) = map { quotemeta pack 'Q', $_ } 3, 0;
my $ended_at = $body{leaks} =~ /$ended$none[\0-\3]\0{7}$none/s ? $-[0] : -1;
my %counter = (
	applications => [ 88 + index($body{applications}, "leak\0"), 3 ],
	events => [ 0, 4 ],
	incidents => [ 0, 1 ],
	leaks => [ $ended_at, 3 ],
	rules => [ 16, 3 ],
	totals => [ 0, 3 ]);
my %time = (behaviour => 72, events => 20);

sub with_number
{
	my ($part, $offset, $number) = @_;
	my $bytes = $good;

	substr $bytes, $parts{$part}{at} + $offset, 8, pack 'Q', $number;
	return with_checksums($bytes);
}

for my $part (sort keys %counter)
{
	my ($offset, $is) = @{ $counter{$part} };

	is(unpack('Q', substr $body{$part}, $offset, 8), $is,
		"this test knows a counter of $part");
	start_with_part("$part: $_->[0]", with_number($part, $offset, $_->[1]), $part,
		'what it says makes no sense')
	  for [ 'the largest bigint', ~0 >> 1 ], [ 'below zero', ~0 ];
}
start_with_part("$_: a time that never comes", with_number($_, $time{$_}, ~0 >> 1),
	$_, 'what it says makes no sense') for sort keys %time;

#
# One that cannot even be opened, for the server is no superuser.
#
SKIP:
{
	skip 'root may read every file', 4 if $> == 0;

	unlink $ASIDE;
	write_bytes($FILE, $good);
	chmod 0, $FILE or die "chmod: $!";
	my $position = log_position($node);
	ok($node->start, 'not readable: the server starts');
	like(
		slurp_file($node->logfile, $position),
		qr/ignoring file "pg_stat\/pg_hygiene\.stat": Permission denied/,
		'not readable: logged');
	ok(-e $ASIDE && !-e $FILE, 'not readable: set aside');
	end_some(1);
	$node->stop;
	ok(is_whole(read_bytes($FILE)), 'not readable: replaced');
	chmod 0600, $ASIDE;
}

#
# One that cannot be put aside: the server starts all the same.
#
unlink $ASIDE;
mkdir $ASIDE or die "$ASIDE: $!";
write_bytes($FILE, '');
my $obstructed = log_position($node);
ok($node->start, 'in the way: the server starts');
like(
	slurp_file($node->logfile, $obstructed),
	qr/could not rename file "pg_stat\/pg_hygiene\.stat" to "pg_stat\/pg_hygiene\.stat\.corrupt": Is a directory/,
	'in the way: logged');
end_some(1);
$node->stop;
ok(is_whole(read_bytes($FILE)), 'in the way: and the file is replaced');
rmdir $ASIDE or die "$ASIDE: $!";

#
# Damage anywhere, by the quickest thing that reads the file: a server for one
# user who has nothing to say.
#
sub try_single
{
	my ($bytes) = @_;
	my ($out, $log) = ('', '');

	unlink $ASIDE;
	write_bytes($FILE, $bytes);
	my $status = IPC::Run::run(
		[ 'postgres', '--single', '-D', $node->data_dir, 'postgres' ],
		'<', \'', '>', \$out, '2>', \$log);
	my $problem =
	    !$status ? 'it did not start'
	  : $log !~ /ignoring (?:file|part)/ ? 'it was not noticed'
	  : $log =~ /PANIC|FATAL/ ? 'it was fatal'
	  : -e $FILE ? 'it was left in the way'
	  : read_bytes($ASIDE) ne $bytes ? 'it was not set aside'
	  : '';
	return $problem;
}

my $started = Time::HiRes::time;
my @at = (map({ 7 * $_ } 0 .. $HEADER / 7 - 1),
	map { $HEADER + int(($size - $HEADER) * $_ / 24) } 0 .. 23);
my @missed = grep { $_ } map {
	my $problem = try_single(flipped($good, $_));

	$problem && "byte $_: $problem";
} @at, $size - 1;
is_deeply(\@missed, [],
	'damaged anywhere: noticed, set aside, and nothing else happens');

@missed = grep { $_ } map {
	my $problem = try_single(substr $good, 0, $_);

	$problem && "after $_ bytes: $problem";
} 1, $HEADER - 1, $HEADER, $HEADER + 4,
  map { $HEADER + int(($size - $HEADER) * $_ / 8) } 1 .. 7;
is_deeply(\@missed, [], 'truncated anywhere: the same');
is(try_single($good . 'x'), '', 'longer than it was: the same');
is(try_single('x' x 100_000), '', 'something else: the same');
note sprintf '%.1f s', Time::HiRes::time - $started;

write_bytes($FILE, $good);
$node->start;
is(events(), 3, 'what was written is read');

#
# The disk is full when the server stops.
#
sub check_full
{
	my ($when, $position) = @_;
	my $log = slurp_file($node->logfile, $position);

	like(
		$log,
		qr/could not write file "pg_stat\/pg_hygiene\.stat\.tmp": No space left on device/,
		"$when: logged");
	like($log, qr/database system is shut down/, "$when: the server stops");
	unlike($log, qr/PANIC|FATAL|was terminated by signal/,
		"$when: nothing crashed");
	return;
}

sub check_kept
{
	my ($when, $before) = @_;

	ok(read_bytes($FILE) eq $before, "$when: the file is as it was");
	ok(!-e $TMP, "$when: nothing is left beside it");
	$node->start;
	is(events(), 3, "$when: what was written before is there");
	return;
}

$node->restart;
my $before = read_bytes($FILE);
end_some(2);
my $position = log_position($node);
symlink '/dev/full', $TMP or die "symlink: $!";
ok($node->stop, 'full disk: the server stops');
check_full('full disk', $position);
check_kept('full disk', $before);
end_some(2);
$node->restart;
is(events(), 5, 'room again: the history is kept again');
$node->stop;

#
# The same on a small disk of its own, which the system may not let us have.
#
sub start_on_small_disk
{
	my $script = 'mount -t tmpfs -o size=64k,mode=1777 small "$1" && shift &&'
	  . " exec unshare --user --map-user=$> --map-group=" . (split / /, $))[0]
	  . ' -- "$@"';

	run_log(
		[
			'unshare', '--user', '--map-root-user', '--mount', '--',
			'sh', '-c', $script, 'sh', $node->data_dir . '/pg_stat',
			'pg_ctl', '-w', '-s', '-D', $node->data_dir, '-l',
			$node->logfile, 'start'
		]) or return 0;
	$node->_update_pid(1);
	return 1;
}

SKIP:
{
	$before = read_bytes($FILE);
	skip 'a private mount is not permitted', 7 unless start_on_small_disk();
	is(events(), 0, 'small disk: it is another one');
	my @clients =
	  map { client('leak') } 1 .. 80;
	$_->send_query("BEGIN; SELECT '" . 'x' x 1000 . "'") for @clients;
	$_->wait_closed for @clients;
	$position = log_position($node);
	$node->stop;
	check_full('small disk', $position);
	ok(read_bytes($FILE) eq $before, 'small disk: the other one was not touched');
	$node->start;
	is(events(), 5, 'small disk: and is read again');
	$node->stop;
}

done_testing();
