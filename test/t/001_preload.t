
# Without shared_preload_libraries nothing works, nothing breaks, and every
# function says what to do.

use PgHygiene;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres',
	'CREATE ROLE app LOGIN; CREATE ROLE boss LOGIN SUPERUSER');

sub alive
{
	my ($when) = @_;

	is($node->safe_psql('postgres', 'SELECT 1'), '1', "the server lives $when");
	return;
}

# Everything the server has to say about a statement of a new connection.
sub refusal
{
	my ($sql) = @_;
	my $client = PgHygiene::Client->new($node, user => 'app');

	$client->try_query($sql);
	ok($client->is_open, "$sql: the session goes on");
	$client->close;
	return $client->{error} || {};
}

$node->safe_psql('postgres', 'CREATE EXTENSION pg_hygiene');
alive('with the extension created');

#
# Each function and each view raises the same.
#
my $functions = $node->safe_psql(
	'postgres', q{
	SELECT 'SELECT hygiene.' || quote_ident(proname) || '('
		|| (SELECT coalesce(string_agg('''0''::' || t::regtype, ', '), '')
			FROM unnest(proargtypes) t) || ')'
	FROM pg_proc WHERE pronamespace = 'hygiene'::regnamespace
	ORDER BY proname});
my $views = $node->safe_psql(
	'postgres', q{
	SELECT 'SELECT * FROM hygiene.' || quote_ident(relname)
	FROM pg_class
	WHERE relnamespace = 'hygiene'::regnamespace AND relkind = 'v'
	ORDER BY relname});

# so that the function is reached
$node->safe_psql('postgres',
	'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA hygiene TO app');

my @statements = split /\n/, "$functions\n$views";
cmp_ok(scalar @statements, '>=', 9, 'functions and views were found');
for my $sql (@statements)
{
	my $error = refusal($sql);

	is($error->{C}, '55000', "$sql: object_not_in_prerequisite_state");
	like($error->{H}, qr/shared_preload_libraries/, "$sql: says what to do");
}

#
# Loading the library later is harmless.
#
my $client = PgHygiene::Client->new($node, user => 'boss');
$client->query("LOAD 'pg_hygiene'");
$client->query('BEGIN');
$client->query('COMMIT');
$client->try_query('SHOW pg_hygiene.mode');
is($client->{error}->{C}, '42704', 'LOAD defines no setting');
$client->try_query('SELECT * FROM hygiene.status');
is($client->{error}->{C}, '55000', 'and the functions still refuse');
kill 'USR2', $client->{pid};
$client->query('SELECT 1');
ok($client->is_open, 'the session that loaded it lives');
$client->close;
alive('after LOAD');

$node->append_conf('postgresql.conf',
	"session_preload_libraries = 'pg_hygiene'");
$node->reload;
$client = PgHygiene::Client->new($node, user => 'app');
is($client->{error}, undef, 'session_preload_libraries lets sessions in');
$client->try_query('SELECT * FROM hygiene.status');
is($client->{error}->{C}, '55000', 'but does not replace the preload');
$client->close;
alive('with session_preload_libraries');

#
# Settings of an extension that is not loaded stop nothing.
#
$node->append_conf('postgresql.conf',
	"pg_hygiene.idle_in_transaction_timeout = '100ms'");
$node->restart;
alive('with settings but no preload');

#
# What was created without the preload works with it.
#
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'pg_hygiene'");
$node->restart;
is($node->safe_psql('postgres', 'SELECT mode FROM hygiene.status'),
	'enforce', 'the same views work once it is preloaded');
$client = PgHygiene::Client->new($node, user => 'app');
$client->query('BEGIN');
is($client->wait_closed->{C}, '25P03', 'and the limit acts');

$node->stop;
my $log = slurp_file($node->logfile);
unlike($log, qr/was terminated by signal|PANIC/, 'no process ever crashed');
unlike($log, qr/pg_hygiene requested/,
	'all shared memory that it takes was asked for');
done_testing();
