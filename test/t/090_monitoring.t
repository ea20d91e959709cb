
# What is in monitoring/ works with the real programs: the metrics are there for
# a role that has pg_monitor and nothing more, an application leaks and the
# alert fires, and each graph of the dashboard has data.

use PgHygiene;
use Cwd qw(abs_path);
use JSON::PP;
use PgHygiene::Service;
use Time::HiRes qw(time usleep);

# The first of these names that can be run.  The exporter has one with Debian
# and another with its authors.
sub program
{
	my (@names) = @_;

	for my $name (@names)
	{
		return $name if grep { -x "$_/$name" } split /:/, $ENV{PATH};
	}
	plan skip_all => "$names[0] is not here, and could not be fetched";
}

my $prometheus_program = program('prometheus');
my $promtool = program('promtool');
my $exporter_program =
  program('prometheus-postgres-exporter', 'postgres_exporter');

my $folder = abs_path('monitoring');
my $readme = slurp_file("$folder/README.md");
my $dashboard = decode_json(slurp_file("$folder/dashboard.json"));

# The rows of README's tables whose first cell begins so, as lists of cells.
sub described
{
	my ($prefix) = @_;

	return map { [ map { s/^\s+|\s+$//gr } split /\|/ ] }
	  $readme =~ /^\| `($prefix.*) \|$/mg;
}

sub wait_until
{
	my ($condition, $what) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	until ($condition->())
	{
		die "did not happen in time: $what" if time > $give_up;
		usleep(200_000);
	}
	return pass($what);
}

#
# The rules alone.
#
command_ok([ $promtool, 'check', 'rules', "$folder/alerts.yaml" ],
	'the alert rules are valid');
command_ok([ $promtool, 'test', 'rules', "$folder/alerts_test.yaml" ],
	'each alert fires, and does not fire when it should not');

#
# A server and many applications, for that is what must not make many series.
# A label cannot be empty, and what stands for that may be somebody's name.
#
my $node = new_node(
	'main',
	'max_connections = 200',
	q{pg_hygiene.rules = 'user=watch: reserve=2; application=greedy: connections=1'});

$node->safe_psql('postgres',
	'CREATE ROLE watch LOGIN; GRANT pg_monitor TO watch');

# Each of them with a session that is idle after these statements.
sub clients
{
	my ($names, @sql) = @_;
	my @clients =
	  map { client($_) } @$names;

	for my $client (@clients)
	{
		$client->query($_) for @sql;
	}
	return @clients;
}

# One that comes back to its pause, for the picture of those that do.
my $thinker = client('thinker', 'BEGIN', 'SELECT 1');
until_row($node, q{SELECT state_age > '1.2 s' FROM hygiene.sessions
	WHERE application_name = 'thinker'});
$thinker->query('COMMIT');
$thinker->query('SELECT 1');

my @crowd = clients([ (map { "worker $_" } 1 .. 50), (undef) x 3, ('(no name)') x 2 ]);

#
# The exporter.
#
$ENV{DATA_SOURCE_NAME} = sprintf
  'user=watch host=%s port=%d dbname=postgres application_name=postgres_exporter sslmode=disable',
  $node->host, $node->port;

my $exporter = PgHygiene::Service->start(
	'exporter',
	'/',
	sub {
		return ($exporter_program, "--web.listen-address=127.0.0.1:$_[0]",
			"--extend.query-path=$folder/queries.yaml");
	});

# What it exports: the type of each metric, and its values by their labels.
my (%type, %values);

sub scrape
{
	(%type, %values) = ();
	for (split /\n/, $exporter->get('/metrics'))
	{
		$type{$1} = $2 if /^# TYPE (\w+) (\w+)$/;
		$values{$1}{ $2 || '' } = $3 if /^(\w+)(?:\{(.*)\})? (\S+)$/;
	}
	return exists $values{pg_hygiene_used};
}

wait_until(\&scrape, 'there are metrics');

my @metrics = sort grep { /^pg_hygiene_/ } keys %values;
my %labels = map { $_ => 1 }
  map { /(\w+)="(?:[^"\\]|\\.)*"/g } map { keys %{ $values{$_} } } @metrics;
my %connections = %{ $values{pg_hygiene_application_connections} };

is(join(' ', sort map { $_->[0] =~ tr/`//dr } described('pg_hygiene_')),
	"@metrics", 'README.md describes each metric, and no other');
is( join(' ', grep { ($type{$_} eq 'counter') != /_total$/ } @metrics),
	'', 'counters, and only these, end in _total');
is(join(' ', values %{ $values{pg_exporter_user_queries_load_error} }),
	'0', 'the exporter has no complaint about the queries');
is( join(' ', sort keys %labels),
	'application kind server',
	'labels are the application, the kind, and what the exporter adds');
cmp_ok(scalar keys %connections,
	'<=', 30, 'thirty of many applications have series');
is( join(' ', map { $connections{$_} } grep { /"\(no name\)"/ } keys %connections),
	5,
	'those without a name are put together with whoever has taken theirs');
is(join(' ', values %{ $values{pg_hygiene_max_connections} }),
	200, 'a value is what the view shows');

#
# Prometheus, as README.md has it, but in a hurry.
#
my $data = PostgreSQL::Test::Utils::tempdir();

append_to_file("$data/prometheus.yml", <<"END");
global:
  scrape_interval: 2s
  scrape_timeout: 2s
  evaluation_interval: 1s
rule_files:
  - $folder/alerts.yaml
scrape_configs:
  - job_name: postgres
    static_configs:
      - targets: ['${\ $exporter->address }']
END

my $prometheus = PgHygiene::Service->start(
	'prometheus',
	'/-/ready',
	sub {
		return ($prometheus_program, "--web.listen-address=127.0.0.1:$_[0]",
			"--config.file=$data/prometheus.yml",
			"--storage.tsdb.path=$data/data", '--log.level=warn');
	});

# What an expression gives: a list of samples.
sub ask
{
	my ($expression) = @_;
	my $answer = $prometheus->json('/api/v1/query', query => $expression);

	return @{ $answer->{data}{result} };
}

sub alerts
{
	my ($name, $state) = @_;

	return grep { $_->{labels}{alertname} =~ /^$name$/ && $_->{state} eq $state }
	  @{ $prometheus->json('/api/v1/alerts')->{data}{alerts} };
}

sub wait_for_alert
{
	my ($name, $state) = @_;
	my $alert;

	wait_until(sub { ($alert) = alerts($name, $state) }, "$name is $state");
	return $alert;
}

my @rules = map { @{ $_->{rules} } }
  @{ $prometheus->json('/api/v1/rules')->{data}{groups} };

is( join("\n", sort map { ($_->[0] =~ tr/`//dr) . " $_->[1]" } described('PgHygiene')),
	join("\n", sort map { "$_->{name} $_->{labels}{severity}" } @rules),
	'README.md describes each alert with its severity, and no other');

my @expressions = (
	(map { $_->{expr} } map { @{ $_->{targets} } } @{ $dashboard->{panels} }),
	(map { ($_->{query}, $_->{annotations}{description}) } @rules));

is( join(' ', grep { !$values{$_} } map { /\b(pg_hygiene_[a-z_]+)/g } @expressions),
	'', 'dashboard and alerts use metrics that exist');

# What they tell to look at can be looked at.
my %statements =
  map { $_ => 1 } map { $_->{annotations}{description} =~ /^\s*(SELECT .*;)$/mg } @rules;

for my $sql (sort keys %statements)
{
	my ($status, undef, $error) =
	  $node->psql('postgres', $sql, extra_params => [ '-U', 'watch' ]);

	is("$status $error", '0 ', $sql);
}

#
# Alerts.  Increases are seen by comparing samples, so there must be one from
# before.
#
my $ended =
  'pg_hygiene_application_leaks_ended_total{application="orders"}';
my @leak = clients([ ('orders') x 4 ], 'BEGIN', 'SELECT 1');

wait_until(sub { (ask("$ended == 0"))[0] }, 'the application is known');
is(join(' ', map { $_->{labels}{alertname} } alerts('.*', 'firing')),
	'', 'no alert fires for nothing');

configure($node, idle_in_transaction_timeout => '200ms');
$_->wait_closed for @leak;

my $alert = wait_for_alert('PgHygieneLeakRepeats', 'firing');

is($alert->{labels}{application}, 'orders', 'it names the application');
like($alert->{annotations}{summary}, qr/^orders /, 'in its words, too');
wait_until(sub { ask("$ended == 4") }, 'as many as there were are counted');
configure($node, idle_in_transaction_timeout => undef);

# An eviction, and slots that run out.
@leak = clients([ ('returns') x 3 ], 'BEGIN', 'SELECT 1');
configure($node, headroom => 197, headroom_min_idle => '100ms');
$leak[0]->wait_closed;
wait_for_alert('PgHygieneEvictions', 'firing');
wait_for_alert('PgHygieneSlotsRunningOut', 'pending');
configure($node, headroom => undef, headroom_min_idle => undef);

# A refusal.
my @greedy = clients([ ('greedy') x 2 ]);

ok($greedy[1]{error}, 'a connection is refused');
wait_for_alert('PgHygieneRefusals', 'firing');

#
# The dashboard.  A scrape that was late has no data until the next one.
#
my ($instance) = @{
	$prometheus->json('/api/v1/label/instance/values',
		'match[]' => 'pg_hygiene_used')->{data} };

is($instance, $exporter->address, 'the dashboard finds the server');
for my $panel (@{ $dashboard->{panels} })
{
	for my $target (@{ $panel->{targets} })
	{
		my $expression = $target->{expr};

		$expression =~ s/\$instance\b/$instance/g;
		$expression =~ s/\$__rate_interval\b/1m/g;
		wait_until(sub { ask($expression) },
			"$panel->{title}: $target->{legendFormat}: $expression");
	}
}

#
# When the exporter is gone.
#
$exporter->stop;
wait_for_alert('PgHygieneMetricsMissing', 'pending');

$prometheus->stop;
$_->close for @crowd;
$node->stop;

done_testing();
