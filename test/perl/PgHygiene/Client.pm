
=pod

=head1 NAME

PgHygiene::Client - a PostgreSQL client whose socket a test can watch

=head1 SYNOPSIS

  use PgHygiene;

  my $client = client('orders', 'BEGIN');
  my $last = $client->wait_closed;
  is($last->{C}, '25P03', 'SQLSTATE');
  cmp_ok($client->{told_at} - $client->{replied_at}, '>=', 0.1, 'not early');

=head1 DESCRIPTION

psql learns that its connection is gone by its next statement; this one can
say when the server's last message came, when the socket was closed, and what
each field of the message was.  It speaks just enough of the protocol for
trust authentication and simple and extended queries.

Points in time are those of Time::HiRes::time(): the clock that PostgreSQL's
timestamps come from, so that both sides can be compared.

Fields that tests read: pid; sent_at and replied_at, of the last statement;
told_at and closed_at, of the end; error, the last ErrorResponse as a hash of
its fields by their letters (S, C, M, D, H); errors, all since the last
statement was sent or the last words were heard, and notices, all: arrays of
such hashes; tags, the command tags since the last statement was sent; status,
what ReadyForQuery said last: I, T or E.

=cut

package PgHygiene::Client;

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time);

my $READ_SIZE = 65536;

=pod

=head2 new(node, application =>, [user => 'app'], [dbname => 'postgres'], [tcp => 1], [from => address], [replication => ...], [options => ...], [packet => { ... }], [nowait => 1], [later => 1])

A connected client; scripts get theirs from client() in PgHygiene.  When the server refused it, C<error> says why and
C<closed_at> is set.  C<from> is the client's own address, for C<tcp>.  With C<nowait> it may still be connecting; wait_ready
waits for that.  C<packet> has settings to send with the login.  With C<later> it has a backend of its own that waits for its
name until log_in is called.

=head2 log_in

Logs in a client that was to do so later.

=cut

sub is_option
{
	my ($word) = @_;

	return defined $word
	  && $word =~ /^(?:on|user|dbname|tcp|from|replication|options|packet|nowait|later)$/;
}

sub new
{
	my ($class, $node, %options) = @_;
	my $self = bless { buffer => '', errors => [], notices => [], rows => [], tags => [] },
	  $class;
	my %startup = (
		user => $options{user} || 'app',
		database => $options{dbname} || 'postgres',
		%{ $options{packet} || {} });

	$startup{application_name} = $options{application}
	  if defined $options{application};
	$startup{replication} = $options{replication} if $options{replication};
	$startup{options} = $options{options} if $options{options};

	$self->{socket} =
	  $options{tcp}
	  ? IO::Socket::INET->new(
		PeerAddr => '127.0.0.1',
		LocalAddr => $options{from},
		PeerPort => $node->port)
	  : IO::Socket::UNIX->new(
		Peer => $node->host . '/.s.PGSQL.' . $node->port);
	die "could not connect: $!" unless $self->{socket};
	$self->{socket}->blocking(0);

	my $body = pack('N', 196608) . pack('(Z*)*', %startup) . "\0";
	$self->{startup} = pack('N', 4 + length $body) . $body;
	if ($options{later})
	{
		# only a backend says that there is no TLS on this socket
		$self->_write(pack 'NN', 8, 80877103);
		$self->_readable($PostgreSQL::Test::Utils::timeout_default);
		sysread $self->{socket}, my $answer, 1;
		return $self;
	}
	$self->_write($self->{startup});
	$self->_read_until_ready unless $options{nowait};
	return $self;
}

sub log_in
{
	my ($self) = @_;

	$self->_write($self->{startup});
	$self->_read_until_ready;
	return;
}

=pod

=head2 query(SQL)

Runs a statement by the simple protocol and waits for its end, or the
connection's.  Returns the rows: a reference to an array of arrays.  Dies when
the statement failed.

=head2 try_query(SQL)

The same, but does not die: look at C<error>.

=head2 extended(SQL)

Runs a statement by Parse, Bind, Execute, Sync.

=head2 pipeline(SQL)

The same, but sends Flush instead of Sync: the transaction stays open, and the
server reads on.

=head2 talk(messages...)

Sends messages of the extended protocol and waits for the answer to the last
one that has any.  Each is a list of its type and what is in it, with zeros:
C<['D', "S\0"]> describes the unnamed statement, C<['C', "S\0"]> closes it,
C<['H', '']> is Flush, C<['S', '']> Sync, C<['P', "\0SELECT 1\0\0\0"]> Parse.
Nothing is waited for unless the last one is Flush or Sync.

=head2 send_query(SQL)

Sends it and does not wait.

=head2 wait_ready

Waits for the end of what was sent.

=cut

sub query
{
	my ($self, $sql) = @_;
	my $rows = $self->try_query($sql);

	$self->_check_reply($sql);
	return $rows;
}

=pod

=head2 first_row(sql)

The columns of the first row, joined by C<|>, nulls as nothing: as psql -At
prints it.

=head2 printed(sql)

All rows so, a line each.  Dies also when the connection was closed behind them.

=cut

sub first_row
{
	my ($self, $sql) = @_;

	return _line($self->query($sql)->[0]);
}

sub printed
{
	my ($self, $sql) = @_;

	my $rows = $self->query($sql);

	die "$sql: the connection was closed" if $self->{closed_at};
	return join "\n", map { _line($_) } @$rows;
}

sub _line
{
	my ($row) = @_;

	return join '|', map { $_ // '' } @$row;
}

sub try_query
{
	my ($self, $sql) = @_;

	$self->send_query($sql);
	return $self->wait_ready;
}

sub extended
{
	my ($self, $sql) = @_;

	$self->_send_extended($sql, 'S');
	my $rows = $self->wait_ready;

	$self->_check_reply($sql);
	return $rows;
}

sub pipeline
{
	my ($self, $sql) = @_;

	$self->_send_extended($sql, 'H');
	$self->_read_until(sub { $_[0] eq 'C' });
	return;
}

# The message that answers each.
my %ANSWER = (P => '1', B => '2', C => '3', D => 'n', E => 'C', S => 'Z');

sub talk
{
	my ($self, @messages) = @_;
	my ($answer) = grep { defined } map { $ANSWER{ $_->[0] } } reverse @messages;

	$self->_begin_request;
	$self->{replied_at} = undef;
	$self->_write(join '', map { _message(@$_) } @messages);
	return unless defined $answer && $messages[-1]->[0] =~ /[HS]/;
	$answer = '[nT]' if $answer eq 'n';
	$self->_read_until(sub { $_[0] =~ /^$answer$/ });
	return;
}

sub send_query
{
	my ($self, $sql) = @_;

	$self->_begin_request;
	$self->_write(_message('Q', "$sql\0"));
	return;
}

sub wait_ready
{
	my ($self) = @_;

	$self->_read_until_ready;
	return $self->{rows};
}

=pod

=head2 send_messages([type, body]...), send_bytes(bytes), send_all(bytes)

Sends messages of the protocol as they are, as one request, and does not wait;
or some bytes more of it, or very many.  parse, bind, execute, describe and call_function
return the commonest; what they are about has no name unless one is given.

=head2 wait_message(type)

Waits until the last message that was received is of this type.

=cut

sub send_messages
{
	my ($self, @messages) = @_;

	$self->_begin_request;
	$self->send_bytes(join '', map { _message(@$_) } @messages);
	return;
}

sub send_bytes
{
	my ($self, $bytes) = @_;

	$self->_write($bytes);
	return;
}

# What is larger than the socket's buffer goes bit by bit.
sub send_all
{
	my ($self, $bytes) = @_;

	while (length $bytes)
	{
		IO::Select->new($self->{socket})->can_write(10) or die 'cannot send';
		my $sent = syswrite $self->{socket}, $bytes;

		substr($bytes, 0, $sent // 0) = '';
	}
	return;
}

sub wait_message
{
	my ($self, $type) = @_;

	$self->_read_until(sub { $_[0] eq $type });
	return;
}

sub parse
{
	my ($sql, $name) = @_;

	return [ 'P', ($name // '') . "\0$sql\0" . pack('n', 0) ];
}

sub bind
{
	my ($portal, $statement) = @_;

	return [
		'B', ($portal // '') . "\0" . ($statement // '') . "\0" . pack('nnn', 0, 0, 0)
	];
}

sub execute
{
	my ($portal, $rows) = @_;

	return [ 'E', ($portal // '') . "\0" . pack('N', $rows // 0) ];
}

sub describe
{
	my ($statement) = @_;

	return [ 'D', 'S' . ($statement // '') . "\0" ];
}

sub call_function
{
	my ($oid) = @_;

	return [ 'F', pack('Nnnn', $oid, 0, 0, 0) ];
}

=pod

=head2 copy_in(SQL)

Starts a COPY ... FROM STDIN and returns when the server waits for the data.

=head2 copy_end

Ends it.

=cut

sub copy_in
{
	my ($self, $sql) = @_;

	$self->send_query($sql);
	$self->_read_until(sub { $_[0] eq 'G' });
	return;
}

sub copy_end
{
	my ($self) = @_;

	$self->_write(_message('c', ''));
	return $self->wait_ready;
}

=pod

=head2 wait_closed

Waits until the server closes the socket, without sending anything, and
returns the fields of its last error, or undef if there was none.

=head2 is_open

Whether the server has not closed the socket until now.  What it has sent is
read.

=head2 close, hang_up

Says goodbye; or closes the socket without a word, as a program that dies does.

=cut

sub wait_closed
{
	my ($self) = @_;

	$self->_read_until(sub { 0 });
	return $self->{error};
}

sub is_open
{
	my ($self) = @_;

	while (!$self->{closed_at} && $self->_readable(0))
	{
		$self->receive;
	}
	return !$self->{closed_at};
}

sub close
{
	my ($self) = @_;

	return if $self->{closed_at};
	$self->_write(_message('X', ''));
	$self->wait_closed;
	return;
}

sub hang_up
{
	my ($self) = @_;

	CORE::close($self->{socket});
	$self->{closed_at} = time;
	return;
}

=pod

=head2 socket, receive

For tests that watch many clients with one select(): the handle, and what to
call when it can be read.

=cut

sub socket
{
	my ($self) = @_;

	return $self->{socket};
}

sub receive
{
	my ($self) = @_;
	my $got = sysread $self->{socket}, $self->{buffer}, $READ_SIZE,
	  length $self->{buffer};
	my $now = time;

	# A reset comes where the server exits before it has read all we sent.
	if (!$got)
	{
		return if !defined $got && $!{EAGAIN};
		$self->{closed_at} = $now;
		return;
	}
	while (length $self->{buffer} >= 5)
	{
		my ($type, $length) = unpack 'aN', $self->{buffer};

		last if length $self->{buffer} < $length + 1;
		my $body = substr $self->{buffer}, 5, $length - 4;
		substr($self->{buffer}, 0, $length + 1) = '';
		$self->_take($type, $body, $now);
	}
	return;
}

# What follows is private.

sub _message
{
	my ($type, $body) = @_;

	return $type . pack('N', 4 + length $body) . $body;
}

# Parse, Bind, Execute, and the message that comes after them.
sub _send_extended
{
	my ($self, $sql, $last) = @_;

	$self->send_messages(parse($sql), &bind(), execute(), [ $last, '' ]);
	return;
}

sub _begin_request
{
	my ($self) = @_;

	$self->{rows} = [];
	$self->{tags} = [];
	$self->{sent_at} = time;

	# Last words stay, for they may be heard before the socket is closed.
	return if $self->{told_at};
	$self->{error} = undef;
	$self->{failed} = undef;
	$self->{errors} = [];
	return;
}

# Die unless what was sent has succeeded.  A session may have been ended since,
# which is for wait_closed to tell.
sub _check_reply
{
	my ($self, $sql) = @_;

	return if defined $self->{replied_at} && !$self->{failed};
	die "$sql: " . ($self->{error} ? $self->{error}->{M} : 'connection closed');
}

sub _write
{
	my ($self, $bytes) = @_;

	# Everything sent is short, and what the server does not read any more
	# shows when the socket is read.
	local $SIG{PIPE} = 'IGNORE';
	syswrite $self->{socket}, $bytes;
	return;
}

sub _readable
{
	my ($self, $timeout) = @_;

	# a signal may end the wait early
	my $give_up = time + $timeout;
	my $select = IO::Select->new($self->{socket});

	while (1)
	{
		my $left = $give_up - time;

		$! = 0;
		return 1 if $select->can_read($left > 0 ? $left : 0);
		return 0 unless $!{EINTR} && $left > 0;
	}
}

sub _fields
{
	my ($body) = @_;
	my %fields;

	for my $field (split /\0/, $body)
	{
		$fields{ substr $field, 0, 1 } = substr $field, 1;
	}
	return \%fields;
}

sub _row
{
	my ($body) = @_;
	my $n = unpack 'n', $body;
	my $at = 2;
	my @row;

	for (1 .. $n)
	{
		my $length = unpack 'l>', substr $body, $at, 4;

		$at += 4;
		push @row, $length < 0 ? undef : substr $body, $at, $length;
		$at += $length if $length > 0;
	}
	return \@row;
}

sub _take
{
	my ($self, $type, $body, $now) = @_;

	$self->{last_type} = $type;
	if ($type eq 'E')
	{
		$self->{error} = _fields($body);
		push @{ $self->{errors} }, $self->{error};
		$self->{told_at} = $now if $self->{error}->{S} eq 'FATAL';
	}
	elsif ($type eq 'N')
	{
		push @{ $self->{notices} }, _fields($body);
	}
	elsif ($type eq 'K')
	{
		$self->{pid} = unpack 'N', $body;
	}
	elsif ($type eq 'D')
	{
		push @{ $self->{rows} }, _row($body);
	}
	elsif ($type eq 'C')
	{
		push @{ $self->{tags} }, unpack 'Z*', $body;
	}
	elsif ($type eq 'Z')
	{
		$self->{status} = $body;
		$self->{replied_at} = $now;
		$self->{failed} = $self->{error};
	}
	return;
}

# Read until a message satisfies the condition or the server closes the
# socket; die when that takes too long.
sub _read_until
{
	my ($self, $condition) = @_;
	my $give_up = time + $PostgreSQL::Test::Utils::timeout_default;

	$self->{last_type} = '';
	until ($self->{closed_at} || $condition->($self->{last_type}))
	{
		$self->_readable($give_up - time)
		  or die "the server did not answer in time";
		$self->receive;
	}
	return;
}

# Only what comes last in what was received counts, and nothing comes after
# ReadyForQuery but what the server sends on its own.
sub _read_until_ready
{
	my ($self) = @_;

	$self->{replied_at} = undef;
	$self->_read_until(sub { defined $self->{replied_at} });
	return;
}

1;
