
=pod

=head1 NAME

PgHygiene::Rollback - many transactions that are rolled back at one time

=head1 SYNOPSIS

  use PgHygiene::Rollback;

  my $node = rollback_node('main');
  roll_back_each($node, {
	name => 'savepoints',
	begin => sub { $_[0]->query('SAVEPOINT a') },
	check => sub { told($_[0], 'ROLLBACK TO a', $REASON, 'E') } });

=head1 DESCRIPTION

Every case gets a client and a transaction of its own, and all idle beside each
other until they are rolled back.  Within its transaction a client calls itself
"rolled", and a rule for that name has the limit.  The rollback takes the name
back, too, so that nobody is ended in the block that remains, however long it
takes to look at it.  Afterwards every session must still work.

=cut

package PgHygiene::Rollback;

use strict;
use warnings;

use Exporter 'import';
use PgHygiene;
use PgHygiene::Client;
use Test::More;

our @EXPORT = qw($REASON $CANNOT_COMMIT $RULE rollback_node roll_back_each told
  silent);

our $REASON = 'transaction was rolled back due to idle-in-transaction timeout';
our $CANNOT_COMMIT = "cannot commit: $REASON";

my $HINT = 'Commit or roll back, and close the session when the work is done.';
our $RULE = 'application=rolled*: idle_in_transaction_timeout=1s';

=pod

=head2 rollback_node(name, extra configuration lines...)

A server as new_node makes it whose limits roll back, with table t (who text)
for app.  If the lines have rules, $RULE must be the first.

=cut

sub rollback_node
{
	my ($name, @conf) = @_;
	my $node = new_node(
		$name,
		"pg_hygiene.rules = '$RULE'",
		"pg_hygiene.idle_action = 'rollback'",
		'max_prepared_transactions = 5',
		@conf);

	$node->safe_psql('postgres',
		'CREATE TABLE t (who text); GRANT ALL ON t TO app; GRANT CREATE ON SCHEMA public TO app'
	);
	return $node;
}

=pod

=head2 roll_back_each(node, cases...)

Runs cases: hashes of name; begin, which is called with the client in a
transaction, and leaves it idle there; check, called with the client once it was
rolled back.  C<first> may be what is run before in a transaction of its own,
and C<mode> what stands behind BEGIN.  The session of a case that is C<over> is
not asked to work afterwards.

=cut

sub roll_back_each
{
	my ($node, @cases) = @_;

	for my $case (@cases)
	{
		my $client = $case->{client} = client('case', on => $node);

		$client->query($case->{first}) if $case->{first};
		$client->query("BEGIN @{[ $case->{mode} || '' ]}; SET LOCAL application_name = 'rolled'");
		$case->{begin}->($client);
	}
	my $pids = join ',', map { $_->{client}->{pid} } @cases;
	until_row(
		$node,
		"SELECT count(*) FROM pg_stat_activity WHERE pid IN ($pids) AND state = 'idle in transaction (aborted)'",
		scalar @cases);
	for my $case (@cases)
	{
		_look_at($node, $case);
	}
	return;
}

sub _look_at
{
	my ($node, $case) = @_;
	my $client = $case->{client};

	subtest $case->{name} => sub {
		is(scalar @{ $client->{notices} },
			0, 'nothing was sent at the moment itself');
		$case->{check}->($client);
		return if $case->{over};
		$client->try_query('ROLLBACK');
		is($client->first_row('SELECT 42'), '42', 'the session works');
		is($client->first_row('SELECT pg_backend_pid()'),
			$client->{pid}, 'it is the same');
		$client->close;
	};
	return;
}

=pod

=head2 told(client, SQL or code, message, [status])

The statement (or what the code sends) fails by this message, with SQLSTATE,
DETAIL and HINT; ReadyForQuery says C<status> afterwards: E unless given.

=head2 silent(client, SQL, tag, [status])

The statement succeeds without a word; status I unless given.

=cut

sub told
{
	my ($client, $what, $message, $status) = @_;
	my $label = ref $what ? 'the message' : $what;

	if (ref $what)
	{
		$what->($client);
		$client->wait_ready;
	}
	else
	{
		$client->try_query($what);
	}
	my $error = $client->{error} || {};

	$label = substr($label, 0, 40);
	is($error->{M}, $message, "$label: the message");
	is($error->{C}, '25P03', "$label: SQLSTATE");
	is($error->{S}, 'ERROR', "$label: an ordinary error");
	like(
		$error->{D},
		qr/^Application "rolled.*" left a transaction idle for [\d.]+ (?:s|min); rule 1 \(application=rolled\*\) allows 1 s\.$/,
		"$label: DETAIL");
	like($error->{H}, qr/^\Q$HINT\E/, "$label: HINT");
	is($client->{status}, $status || 'E', "$label: where the block is");
	is(scalar @{ $client->{errors} }, 1, "$label: one error");
	return;
}

sub silent
{
	my ($client, $sql, $tag, $status) = @_;

	$client->try_query($sql);
	is($client->{error}, undef, "$sql: no error");
	is(join(',', @{ $client->{tags} }), $tag, "$sql: command tag");
	is(scalar @{ $client->{notices} }, 0, "$sql: no notice");
	is($client->{status}, $status || 'I', "$sql: where the block is");
	return;
}

1;
