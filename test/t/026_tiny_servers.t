
# The automatic headroom is never more than a quarter of the usable slots, so
# that a tiny server is not kept from its own application.

use PgHygiene;

my $node = new_node(
	'main',
	'max_connections = 6',
	'superuser_reserved_connections = 3',
	'autovacuum = off');

# max_connections, reserved slots, the headroom that follows
for my $case ([ 6, 3, 0 ], [ 6, 2, 1 ], [ 10, 2, 2 ], [ 15, 3, 3 ], [ 100, 3, 5 ], [ 30, 26, 1 ])
{
	my ($max, $reserved, $headroom) = @$case;

	$node->append_conf('postgresql.conf',
		"max_connections = $max\nsuperuser_reserved_connections = $reserved\n");
	$node->restart;
	is(one('SELECT headroom FROM hygiene.status'), $headroom,
		"headroom of $max slots, $reserved of them reserved");

	# one application gets all but the headroom, and the next one a slot of it
	my $usable = $max - $reserved;
	my @held = map { client('many') } 1 .. $usable;
	my @refused = grep { $_->{closed_at} } @held;

	is(scalar @refused, $headroom, 'an application gets all the others');
	is(client('one')->{error}, undef, 'and one that has none gets one of them')
	  if $headroom > 0;
}

# What is set is not cut.
$node->append_conf('postgresql.conf',
	"max_connections = 8\nsuperuser_reserved_connections = 3\npg_hygiene.headroom = 3\n");
$node->restart;
is(one('SELECT headroom FROM hygiene.status'), 3, 'a headroom that was set is as it was set');

$node->stop;
done_testing();
