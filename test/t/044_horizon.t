
# hygiene.horizon: who holds VACUUM back, the oldest first, in agreement with
# what VACUUM itself says; and prepared transactions, which are told of and
# never touched.

use PgHygiene;

my $node = new_node(
	'primary',
	'wal_level = logical',
	'max_prepared_transactions = 5',
	'autovacuum = off',
	"pg_hygiene.rules = ''");

$node->safe_psql(
	'postgres', q{
	CREATE ROLE boss LOGIN SUPERUSER;
	CREATE ROLE sender LOGIN REPLICATION;
	CREATE TABLE t (i int);
	CREATE TABLE ids (i int);
	GRANT ALL ON t TO app});
$node->safe_psql('postgres', 'CREATE DATABASE shop');
my $boss = client('boss', user => 'boss');

sub rows
{
	my ($sql) = @_;

	return map {
		join '|', map { defined $_ ? $_ : '' } @$_
	} @{ $boss->query($sql) };
}

sub first
{
	my ($sql) = @_;

	return (rows($sql))[0];
}

# Use up so many transaction ids, so that whoever comes next is that much
# younger.
sub burn
{
	my ($n) = @_;

	$boss->query('INSERT INTO ids VALUES (1)') for 1 .. $n;
	return;
}

# All but our own session, whose snapshot is as old as the view is.
my $others = q{FROM hygiene.horizon WHERE application_name IS DISTINCT FROM 'boss'};

# How far behind VACUUM of this table finds its cutoff, in the words of each
# version.
sub vacuum_lag
{
	my ($n) = join("\n", map { $_->{M} . "\n" . ($_->{D} || '') } messages_of_vacuum())
	  =~ /removable cutoff: \d+, which (?:was|is) (\d+) XIDs old/;

	return $n;
}

sub messages_of_vacuum
{
	$boss->{notices} = [];
	$boss->query('VACUUM VERBOSE t');
	return @{ $boss->{notices} };
}

sub check_agreement
{
	my ($when) = @_;

	is(vacuum_lag(), first("SELECT max(xmin_age) $others"),
		"$when: VACUUM is held back by the oldest in hygiene.horizon");
	return;
}

#
# Nobody.
#
is(first("SELECT count(*) $others"), '0', 'nobody holds anything back');
is(first(q{SELECT kind || ' ' || name FROM hygiene.horizon}),
	'session boss', 'but who asks');

#
# Sessions: of this database and of another one, older and younger.
#
my $reader = client('reader');
$reader->query($_)
  for 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT * FROM t';
burn(3);
is(first("SELECT kind, name, pid, application_name, xmin_age >= 3, age BETWEEN '0' AND '1 hour' $others"),
	"session|app|$reader->{pid}|reader|t|t", 'a session with an old snapshot');
check_agreement('a snapshot');

my $writer = client('writer', user => 'boss');
$writer->query($_) for 'BEGIN', 'INSERT INTO t VALUES (1)';
burn(4);
my $committed = client('committed');
$committed->query($_) for 'BEGIN', 'SELECT * FROM t';
is(join(' ', rows("SELECT application_name $others")),
	'reader writer', 'a writer too, but not READ COMMITTED; the oldest first');
is(first("SELECT bool_and(xmin_age = greatest(age(backend_xmin), age(backend_xid))
			AND h.age BETWEEN now() - xact_start - interval '1 min' AND now() - xact_start + interval '1 min')
		FROM hygiene.horizon h JOIN pg_stat_activity a USING (pid)
		WHERE h.application_name <> 'boss'"),
	't', 'as pg_stat_activity has it');
check_agreement('a snapshot and a writer');

$reader->query('COMMIT');
is(join(' ', rows("SELECT application_name $others")), 'writer', 'one gives up');
check_agreement('a writer');
$_->close for $reader, $writer, $committed;

my $elsewhere = client('elsewhere', dbname => 'shop');
$elsewhere->query($_)
  for 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1';
burn(2);
is(first("SELECT kind, name, xmin_age >= 2 $others"), 'session|app|t',
	'a session of another database');
$elsewhere->close;
until_row($node,
	"SELECT count(*) FROM pg_stat_activity WHERE pid = $elsewhere->{pid}", '0');

#
# Prepared transactions.
#
$boss->query("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'first one'");
burn(3);
$boss->query("BEGIN; INSERT INTO t VALUES (3); PREPARE TRANSACTION 'second'");
burn(2);
is(join(' ', rows("SELECT kind, name, pid, application_name, xmin_age >= 2, age < interval '1 hour' $others")),
	'prepared transaction|first one|||t|t prepared transaction|second|||t|t',
	'prepared transactions, the oldest first');
check_agreement('prepared transactions');
$reader = client('reader');
$reader->query($_)
  for 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT * FROM t';
is(join(', ', rows("SELECT coalesce(application_name, name) $others AND xmin_age > 0 ORDER BY xmin_age DESC, 1")),
	'first one, reader, second',
	'a snapshot is as old as the oldest that ran when it was taken');
check_agreement('prepared transactions and a snapshot');
$reader->close;

#
# The warning about those older than an hour.
#
sub warnings_of
{
	my ($sql) = @_;

	$boss->{notices} = [];
	$boss->query($sql);
	return @{ $boss->{notices} };
}

is(scalar warnings_of('SELECT * FROM hygiene.status'), 0,
	'no warning about young prepared transactions');
for my $case ([ 1, '1 prepared transaction is older than an hour' ],
	[ 2, '2 prepared transactions are older than an hour' ])
{
	my ($n, $message) = @$case;
	my ($warning) = warnings_of("SELECT * FROM hygiene.get_status($n)");

	is($warning->{S}, 'WARNING', "$n older than an hour: a warning");
	is($warning->{M}, $message, "$n older than an hour: message");
	like($warning->{H}, qr/hygiene\.horizon.*ROLLBACK PREPARED/,
		"$n older than an hour: HINT");
}
is(scalar warnings_of('SELECT * FROM hygiene.get_status(0)'), 0,
	'none older than an hour: no warning');
like(first(q{SELECT pg_get_viewdef('hygiene.status'::regclass)}),
	qr/pg_prepared_xacts.*prepared < \(now\(\) - '01:00:00'::interval\)/s,
	'the view counts those older than an hour');

# Whatever the limits are.
configure(
	$node,
	transaction_timeout => '50ms',
	horizon_limit => '1',
	idle_writer_timeout => '50ms');
two_passes($node);
is(first('SELECT count(*) FROM pg_prepared_xacts'), '2', 'they are never touched');
is(first("SELECT count(*) FROM hygiene.events"), '0', 'nor is anything recorded');
configure(
	$node,
	transaction_timeout => undef,
	horizon_limit => undef,
	idle_writer_timeout => undef);
$boss->query('SELECT 1');
$boss->query('ROLLBACK PREPARED ' . $boss->query("SELECT quote_literal(gid) FROM pg_prepared_xacts ORDER BY gid LIMIT 1")->[0]->[0])
  for 1 .. 2;
is(first("SELECT count(*) $others"), '0', 'all prepared transactions are gone');

#
# Replication slots.
#
$boss->query(q{SELECT pg_create_logical_replication_slot('decoder', 'pgoutput')});
burn(5);
is(first("SELECT kind, name, pid, application_name, xmin_age >= 5, age $others"),
	'replication slot|decoder|||t|', 'a logical slot, by its catalog_xmin');
is(first("SELECT xmin_age = age(catalog_xmin) FROM hygiene.horizon h JOIN pg_replication_slots s ON s.slot_name = h.name"),
	't', 'as pg_replication_slots has it');
$boss->query(q{SELECT pg_drop_replication_slot('decoder')});

#
# A standby's feedback, first without a slot, then with one.
#
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->append_conf('postgresql.conf',
	"hot_standby_feedback = on\nwal_receiver_status_interval = 1");
$standby->start;
my $report = client('report', on => $standby);
$report->query($_)
  for 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT * FROM t';
burn(5);
until_row($node, q{SELECT count(*) FROM hygiene.horizon WHERE kind = 'standby' AND xmin_age >= 5}, '1');
my $walsender = first('SELECT pid FROM pg_stat_replication');
is(first("SELECT kind, pid, application_name, age BETWEEN '0' AND '1 hour' $others"),
	"standby|$walsender|standby|t", 'a standby without a slot');
is(first("SELECT name = usename FROM hygiene.horizon h JOIN pg_stat_replication USING (pid)"),
	't', 'by the role of its walsender');
is(first("SELECT xmin_age = age(backend_xmin) FROM hygiene.horizon h JOIN pg_stat_replication USING (pid)"),
	't', 'as pg_stat_replication has it');
check_agreement('a standby');

# The same one, as everyone sees it.
my $app = client('boss');
is(join('|', @{ $app->query("SELECT kind, pid $others")->[0] }),
	"standby|$walsender", 'an ordinary role sees it too');
$app->close;

$boss->query(q{SELECT pg_create_physical_replication_slot('keeper')});
$standby->append_conf('postgresql.conf', "primary_slot_name = 'keeper'");
$standby->restart;
$report = client('report', on => $standby);
$report->query($_)
  for 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT * FROM t';
burn(5);
until_row($node, q{SELECT count(*) FROM hygiene.horizon WHERE kind = 'replication slot' AND xmin_age >= 5}, '1');
$walsender = first('SELECT pid FROM pg_stat_replication');
is(first("SELECT kind, name, pid, xmin_age >= 5, age $others"),
	"replication slot|keeper|$walsender|t|", 'a standby with a slot: the slot');
check_agreement('a slot');

# It goes on holding back while the standby is down.
$standby->stop;
burn(2);
until_row($node, q{SELECT active_pid IS NULL FROM pg_replication_slots});
is(first("SELECT kind, name, pid, xmin_age >= 7 $others"),
	'replication slot|keeper||t', 'also while the standby is down');
check_agreement('a slot that nobody uses');

# All kinds together: the oldest first.
$boss->query("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'p'");
burn(2);
$writer = client('writer', user => 'boss');
$writer->query($_) for 'BEGIN', 'INSERT INTO t VALUES (1)';
burn(2);
is(join(', ', rows("SELECT kind $others")),
	'replication slot, prepared transaction, session', 'all kinds, the oldest first');
is(first("SELECT array_agg(xmin_age) = array_agg(xmin_age ORDER BY xmin_age DESC) FROM hygiene.horizon"),
	't', 'in the order of their ages');
check_agreement('all kinds');
$writer->close;
$boss->query("ROLLBACK PREPARED 'p'");
$boss->query(q{SELECT pg_drop_replication_slot('keeper')});
until_row($node,
	"SELECT count(*) FROM pg_stat_activity WHERE pid = $writer->{pid}", '0');
is(first("SELECT count(*) $others"), '0', 'in the end nothing is left');

# VACUUM may use one up itself, to cut off the end of the table.
cmp_ok(vacuum_lag(), '<=', 1, 'and VACUUM agrees');

$node->stop;
done_testing();
