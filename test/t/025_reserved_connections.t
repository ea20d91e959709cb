
# reserved_connections (PostgreSQL 16 and later): who may have them gets in, and
# asking for that at login leaves a role's memberships as they are.

use PgHygiene;

my $node = new_node(
	'main',
	'max_connections = 10',
	'superuser_reserved_connections = 3',
	'pg_hygiene.headroom = 0');

if ($node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_settings WHERE name = 'reserved_connections'}) eq '0')
{
	$node->stop;
	plan skip_all => 'there are none before PostgreSQL 16';
}
$node->append_conf('postgresql.conf', "reserved_connections = 2\npg_hygiene.headroom = 2\n");
$node->restart;
$node->safe_psql('postgres', q{
	CREATE ROLE owner LOGIN;
	CREATE ROLE helper LOGIN IN ROLE pg_use_reserved_connections;
	CREATE DATABASE owned OWNER owner});

# The schema public belongs to pg_database_owner, in which the owner of a database
# is while he is connected to it.
my $owner = client('owner', user => 'owner', dbname => 'owned');

$owner->query('CREATE TABLE public.t (i int)');
is($owner->first_row('SELECT count(*) FROM t'), '0', 'the owner of a database may use its schema public');
$owner->close;

# Five slots are for everybody, two of them are the headroom.
my @held = map { client('many') } 1 .. 4;
my @refused = grep { $_->{closed_at} } @held;

is(scalar @refused, 1, 'an ordinary role cannot touch the headroom');
my $helper = client('many', user => 'helper');
is($helper->{error}, undef, 'one that may use reserved connections can');
$helper->close;
$_->close for @held;

$node->stop;
done_testing();
