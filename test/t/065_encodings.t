
# Names, statements and rules of databases with other encodings, and what a
# client puts into a comment: no view and no function gives out a text that is
# none where it is asked for.

use PgHygiene;

my $node = new_node('main', 'autovacuum = off', 'pg_hygiene.warn_at = 0');

one(qq{CREATE DATABASE $_->[0] ENCODING '$_->[1]' LOCALE 'C' TEMPLATE template0})
  for [ 'latin', 'LATIN1' ], [ 'bytes', 'SQL_ASCII' ];
$node->safe_psql($_, 'CREATE EXTENSION pg_hygiene') for qw(latin bytes);
$node->safe_psql('bytes', qq{CREATE ROLE "caf\xE9" LOGIN});
$node->safe_psql('latin', "SET client_encoding = 'LATIN1';
	ALTER SYSTEM SET pg_hygiene.rules = 'user=caf\xE9: connections=7; application=brief*: idle_in_transaction_timeout=100ms'");
$node->reload;
until_row($node, 'SELECT count(*) = 2 FROM hygiene.rules');

#
# Some that leak, and some that have been ended for it.
#
sub leak
{
	my ($application, $statement, %options) = @_;

	return client($application, %options, 'BEGIN', $statement);
}

my $COMMENT = "/*controller='x%ff%fey'*/";
my $EURO = "\xE2\x82\xAC";
my %bytes = (dbname => 'bytes', user => "caf\xE9");
my %latin = (dbname => 'latin', options => '-c client_encoding=LATIN1');
my @stay = (
	leak('commented', "SELECT 1 $COMMENT"),
	leak('raw', "SELECT '\xFF\xC3'", %bytes),
	leak('euro', "SELECT '$EURO'"),
	leak('french', "SELECT '\xE9'", %latin));
my @brief = (
	leak('brief', "SELECT 1 $COMMENT"),
	leak('brief', "SELECT '\xFF\xC3'", %bytes),
	leak('brief', "SELECT '\xE9'", %latin));
$_->wait_closed for @brief;
configure($node, idle_in_transaction_timeout => '1min');
until_row($node, 'SELECT sum(sessions_now) = 4 FROM hygiene.leaks');

#
# Whatever is asked for it, and by whatever client.
#
my @sources = (
	(map { "SELECT * FROM hygiene.$_" } qw(status sessions applications events leaks
		behaviour rules horizon incidents samples drains),
		'suggest()', q{predict('')}, q{rehearse('application=a: exempt')}),
	(map { "SELECT hygiene.$_ AS text" } q{with_rule('application=a: exempt')},
		'without_rule(2)', 'suggest_rules()', 'report()'));

for my $database (qw(postgres latin bytes))
{
	for my $source (@sources)
	{
		my $encoding = $database eq 'latin' ? 'LATIN1' : 'UTF8';
		my ($code, $out, $err) = $node->psql($database,
			qq{SET client_encoding = '$encoding'; SET client_min_messages = warning; $source;
			SELECT upper(x::text), length(x::text), x::text ~ 'a+' FROM ($source) x});

		is($err, '', "$source in $database");
	}
}

#
# What is shown.
#
is(one(q{SELECT source FROM hygiene.leaks WHERE application_name = 'commented'}),
	'x??y', 'what a comment decodes to is a text');
is(one(q{SELECT user_name || ' ' || query FROM hygiene.sessions WHERE application_name = 'raw'}),
	q{caf? SELECT '??'}, 'what is no character of this encoding is a question mark');
is(one(q{SELECT query FROM hygiene.sessions WHERE application_name = 'euro'}),
	"SELECT '$EURO'", 'what is one is shown');
is($node->safe_psql('latin', q{SET client_encoding = 'LATIN1';
	SELECT query FROM hygiene.sessions WHERE application_name = 'french'}),
	"SELECT '\xE9'", 'also there');
is(one('SELECT selectors FROM hygiene.rules WHERE rule = 1'), 'user=caf?', 'rules, too');
like(one(q{SELECT hygiene.with_rule('application=a: exempt')}), qr/; user=caf\?: connections=7;/,
	'and a text for rules, in which it stands for any character');
is($node->safe_psql('latin', q{SET client_encoding = 'LATIN1'; SELECT selectors FROM hygiene.rules WHERE rule = 1}),
	"user=caf\xE9", 'where the rule comes from it is what it was');

$_->close for @stay;
$node->stop;
done_testing();
