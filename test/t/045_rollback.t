
# A transaction left idle is rolled back and its connection kept: in all states
# of the protocol that an idle session can be in, what the program is told by
# each kind of statement that it may send next, and that nothing is committed
# that was rolled back.  test/t/046 has the states of SQL, 047 what stands
# beside it.

use PgHygiene;
use PgHygiene::Rollback;

my $node = rollback_node('main');
my $SYNC = [ 'S', '' ];
my $FLUSH = [ 'H', '' ];

sub insert
{
	my ($client) = @_;

	$client->query("INSERT INTO t VALUES ('$client->{pid}')");
	return;
}

sub extended
{
	my ($sql) = @_;

	return (PgHygiene::Client::parse($sql), PgHygiene::Client::bind(),
		PgHygiene::Client::execute());
}

# A case whose transaction is begun by insert().
sub after_insert
{
	my ($name, $check) = @_;

	return { name => $name, begin => \&insert, check => $check };
}

# What the client sends, as told() wants it.
sub messages
{
	my (@messages) = @_;

	return sub { $_[0]->send_messages(@messages); };
}

sub half
{
	my ($bytes) = @_;
	my $sql = 'SELECT 1 -- ' . ('x' x 300_000);
	my $message = 'Q' . pack('N', 5 + length $sql) . "$sql\0";

	return {
		name => "$bytes bytes of a message",
		begin => sub {
			my ($client) = @_;

			insert($client);
			$client->send_bytes(substr $message, 0, $bytes);
		},
		check => sub {
			my ($client) = @_;

			told(
				$client,
				sub {
					my $rest = substr $message, $bytes;

					$client->{errors} = [];
					$client->send_all($rest);
				},
				$REASON);
		}
	};
}

#
# What statements are told.
#
roll_back_each(
	$node,
	after_insert(
		'a statement and one more',
		sub {
			my ($client) = @_;

			told($client, 'SELECT 1', $REASON);
			told($client, "INSERT INTO t VALUES ('again')", $REASON);
			told($client, 'SAVEPOINT a', $REASON);
			silent($client, 'ROLLBACK', 'ROLLBACK');
		}),
	after_insert(
		'ROLLBACK',
		sub {
			my ($client) = @_;

			silent($client, 'ROLLBACK', 'ROLLBACK');
			silent($client, 'BEGIN; COMMIT', 'BEGIN,COMMIT');
		}),
	after_insert('ABORT', sub { silent($_[0], 'ABORT', 'ROLLBACK'); }),
	after_insert(
		'ROLLBACK AND CHAIN',
		sub { silent($_[0], 'ROLLBACK AND CHAIN', 'ROLLBACK', 'T'); }),
	map({
			my $sql = $_;

			after_insert(
				"$sql, simple",
				sub { told($_[0], $sql, $CANNOT_COMMIT, 'I'); }),
			  after_insert(
				"$sql, extended",
				sub {
					told($_[0], messages(extended($sql), $SYNC),
						$CANNOT_COMMIT, 'I');
				}),
			  after_insert(
				"$sql, later",
				sub {
					my ($client) = @_;

					told($client, 'SELECT 1', $REASON);
					told($client, $sql, $CANNOT_COMMIT, 'I');
				}),
			  after_insert(
				"$sql, first of several",
				sub {
					told($_[0], "$sql; INSERT INTO t VALUES ('after')",
						$CANNOT_COMMIT, 'I');
				}),
			  after_insert(
				"$sql, last of several",
				sub { told($_[0], "SELECT 1; $sql", $REASON); })
		} 'COMMIT', 'END', 'COMMIT AND CHAIN',
		q{PREPARE TRANSACTION 'mine'}),
	after_insert(
		'ROLLBACK, and another transaction in the same message',
		sub {
			my ($client) = @_;

			silent(
				$client,
				"ROLLBACK; BEGIN; INSERT INTO t VALUES ('kept'); COMMIT",
				'ROLLBACK,BEGIN,INSERT 0 1,COMMIT');
			is($client->first_row(q{SELECT count(*) FROM t WHERE who = 'kept'}),
				'1', 'which is committed');
		}),
	after_insert(
		'another transaction fails by itself afterwards',
		sub {
			my ($client) = @_;

			silent($client, 'ROLLBACK', 'ROLLBACK');
			$client->try_query('BEGIN; SAVEPOINT a; SELECT 1/0');
			$client->try_query('SELECT 1');
			is($client->{error}->{C}, '25P02', 'SQLSTATE is core\'s own');
			silent($client, 'ROLLBACK TO a', 'ROLLBACK', 'T');
			$client->try_query('SELECT 1/0');
			$client->try_query('SELECT 1');
			is($client->{error}->{C}, '25P02', 'and again');
			silent($client, 'COMMIT', 'ROLLBACK');
		}),
	after_insert(
		'a syntax error in between',
		sub {
			my ($client) = @_;

			$client->try_query('SELEKT');
			is($client->{error}->{C}, '42601', 'is told as such');
			told($client, 'SELECT 1', $REASON);
		}),
	after_insert('COPY', sub { told($_[0], 'COPY t FROM STDIN', $REASON); }));

is($node->safe_psql('postgres', 'SELECT DISTINCT who FROM t'),
	'kept', 'nothing was committed that was rolled back');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'),
	'0', 'nor prepared');

#
# The states of the protocol.
#
roll_back_each(
	$node,
	half(1), half(9), half(150),
	after_insert(
		'a statement of the extended protocol',
		sub { told($_[0], messages(extended('SELECT 1'), $SYNC), $REASON); }),
	after_insert(
		'a pipeline with one Sync',
		sub {
			told(
				$_[0],
				messages(
					extended("INSERT INTO t VALUES ('pipeline')"),
					extended('COMMIT'), $SYNC),
				$REASON);
		}),
	after_insert(
		'a pipeline that begins with COMMIT',
		sub {
			told(
				$_[0],
				messages(
					extended('COMMIT'),
					extended("INSERT INTO t VALUES ('pipeline')"), $SYNC),
				$CANNOT_COMMIT,
				'I');
		}),
	after_insert(
		'a pipeline with a Sync after each',
		sub {
			my ($client) = @_;

			$client->send_messages(
				map { (extended($_), $SYNC) } 'SELECT 1',
				'COMMIT', 'SELECT 2');
			$client->wait_ready
			  until @{ $client->{tags} };
			is_deeply(
				[ map { $_->{M} } @{ $client->{errors} } ],
				[ $REASON, $CANNOT_COMMIT ],
				'two errors');
			is_deeply($client->{tags}, ['SELECT 1'], 'and one success');
		}),
	after_insert('Sync alone',
		sub {
			my ($client) = @_;

			$client->send_messages($SYNC);
			$client->wait_ready;
			is($client->{error}, undef, 'no error');
			is($client->{status}, 'E', 'the block has failed');
			told($client, 'SELECT 1', $REASON);
		}),
	after_insert(
		'Parse and Flush',
		sub {
			my ($client) = @_;

			$client->send_messages(PgHygiene::Client::parse('SELECT 1'),
				$FLUSH);
			$client->wait_message('E');
			is($client->{error}->{M}, $REASON, 'an error at once');
			$client->send_bytes('S' . pack 'N', 4);
			$client->wait_ready;
		}),
	{
		name => 'a statement that was prepared before',
		begin => sub {
			my ($client) = @_;

			$client->send_messages(
				PgHygiene::Client::parse('SELECT 1', 'mine'),
				$SYNC);
			$client->wait_ready;
			insert($client);
		},
		check => sub {
			my ($client) = @_;
			my @again = (
				PgHygiene::Client::bind('', 'mine'),
				PgHygiene::Client::execute(), $SYNC);

			told($client, messages(@again), $REASON);
			told($client,
				messages(PgHygiene::Client::describe('mine'), $SYNC), $REASON);
			silent($client, 'ROLLBACK', 'ROLLBACK');
			$client->send_messages(@again);
			$client->wait_ready;
			is_deeply($client->{tags}, ['SELECT 1'],
				'is still there afterwards');
		}
	},
	{
		name => 'a portal that has given half of its rows',
		begin => sub {
			my ($client) = @_;

			insert($client);
			$client->send_messages(
				PgHygiene::Client::parse('SELECT generate_series(1, 10)', 'rows'),
				PgHygiene::Client::bind('half', 'rows'),
				PgHygiene::Client::execute('half', 5),
				$SYNC);
			$client->wait_ready;
		},
		check => sub {
			told($_[0],
				messages(PgHygiene::Client::execute('half', 5), $SYNC),
				$REASON);
		}
	},
	after_insert(
		'a fast-path call',
		sub {
			# pg_backend_pid()
			told($_[0], messages(PgHygiene::Client::call_function(2026)),
				$REASON);
		}),
	{
		name => 'a goodbye',
		begin => \&insert,
		over => 1,
		check => sub {
			my ($client) = @_;

			$client->close;
			is($client->{error}, undef, 'without a word');
		}
	});

is( $node->safe_psql(
		'postgres',
		q{SELECT count(*) FROM t WHERE who <> 'kept'}),
	'0',
	'nothing was committed that was rolled back');

#
# The events, and the counters.
#
is( $node->safe_psql(
		'postgres', q{
		SELECT DISTINCT action, outcome, reason, state, wrote
		FROM hygiene.events}),
	'rollback|done|idle_in_transaction_timeout|idle in transaction|t',
	'events');
is( $node->safe_psql(
		'postgres', q{
		SELECT rolled_back = (SELECT count(*) FROM hygiene.events
				WHERE action = 'rollback' AND outcome = 'done'),
			terminated
		FROM hygiene.status}),
	't|0',
	'hygiene.status counts the rollbacks, and nobody was terminated');
is( one(q{
		SELECT sum(a.rolled_back) = max(s.rolled_back), sum(a.terminated)
		FROM hygiene.applications a, hygiene.status s}),
	't|0',
	'hygiene.applications counts them');
is( one(q{
		SELECT sum(l.rolled_back) = max(s.rolled_back),
			sum(l.ended) = max(s.rolled_back)
		FROM hygiene.leaks l, hygiene.status s}),
	't|t',
	'so does hygiene.leaks');

done_testing();
