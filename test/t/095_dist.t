
# A release: "make dist" packs what is committed and nothing else, META.json is
# what PGXN's Meta Spec 1.0 asks for, and all places agree on the version.

use PgHygiene;
use Cwd;
use File::Spec;
use JSON::PP;

my $text = slurp_file('META.json');
my $meta = decode_json($text);

#
# META.json.
#

# Whether every key of a map is one of those, or a custom one.
sub only_keys
{
	my ($map, $name, @known) = @_;
	my %known = map { $_ => 1 } @known;
	my @others = grep { !$known{$_} && !/^x_./i } sort keys %$map;

	return is("@others", '', "$name has no key that the spec does not know");
}

my $semver = qr/(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?/;
my $range = qr/(?:(?:[=!]=|[<>]=?)\s*)?$semver/;
my $term = qr{[^\s/\\[:cntrl:]]{2,}};
my @licenses = qw(agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd freebsd
  gfdl_1_2 gfdl_1_3 gpl_1 gpl_2 gpl_3 lgpl_2_1 lgpl_3_0 mit mozilla_1_0
  mozilla_1_1 openssl perl_5 postgresql qpl_1_0 ssleay sun zlib open_source
  restricted unrestricted unknown);

only_keys($meta, 'META.json',
	qw(abstract maintainer license provides name version meta-spec description
	  generated_by tags no_index prereqs release_status resources));
for my $key (qw(abstract maintainer description generated_by))
{
	like($meta->{$key}, qr/\S/, "META.json has $key");
}
like($meta->{name}, qr/^$term$/, 'name is a term');
like($meta->{version}, qr/^$semver$/, 'version is a semantic version');
ok((grep { $_ eq $meta->{license} } @licenses), 'license is one of those known');
like($meta->{release_status} || 'stable', qr/^(?:stable|testing|unstable)$/,
	'release_status is one of three');

# Addresses that lead nowhere are for a release that is tried, not for a stable
# one; a file that has them says so.
my $examples = encode_json($meta->{resources} || {}) =~ /\bexample\.(?:org|com|net)\b/;
is($examples ? 'examples' : '', $meta->{x_resources} ? 'examples' : '',
	'META.json says whether its addresses are examples');
ok(!$examples || ($meta->{release_status} || 'stable') ne 'stable',
	'and has none of them when it is stable');

only_keys($meta->{'meta-spec'}, 'meta-spec', qw(version url));
like($meta->{'meta-spec'}{version}, qr/^1\.0\.\d+$/, 'meta-spec is 1.0');
like($meta->{'meta-spec'}{url} || '', qr{^https?://pgxn\.org/meta/spec\.txt$}, 'with its address');

ok(scalar keys %{ $meta->{provides} }, 'provides an extension');
for my $extension (sort keys %{ $meta->{provides} })
{
	my $provided = $meta->{provides}{$extension};

	like($extension, qr/^$term$/, "$extension is a term");
	only_keys($provided, "provides.$extension", qw(file version abstract docfile));
	like($provided->{version}, qr/^$semver$/, "$extension has a semantic version");
	ok(-f $provided->{$_}, "its $_ is there: $provided->{$_}") for qw(file docfile);
}

only_keys($meta->{prereqs}, 'prereqs', qw(configure build test runtime develop));
for my $phase (sort keys %{ $meta->{prereqs} })
{
	my $relations = $meta->{prereqs}{$phase};

	only_keys($relations, "prereqs.$phase", qw(requires recommends suggests conflicts));
	for my $relation (sort keys %$relations)
	{
		my $wanted = $relations->{$relation};

		like($wanted->{$_}, qr/^(?:0|$range(?:,\s*$range)*)$/,
			"prereqs.$phase.$relation: a range of versions of $_")
		  for sort keys %$wanted;
	}
}

is(ref $meta->{tags}, 'ARRAY', 'tags are a list');
like($_, qr{^[^/\\[:cntrl:]]{2,255}$}, "tag $_") for @{ $meta->{tags} };

#
# One version everywhere.  The extension's own has no patch level: it changes
# with the SQL interface only.
#
my $version = $meta->{version};
my ($series) = $version =~ /^(\d+\.\d+)/;
my ($newest) = slurp_file('CHANGELOG.md') =~ /^## (\S+)/m;
my ($packaged) = slurp_file('debian/changelog') =~ /^pg-hygiene \((\S+)-\d+\)/;
my ($control) = slurp_file('pg_hygiene.control') =~ /^default_version = '(.*)'/m;
my ($oldest) = slurp_file('README.md') =~ /^PostgreSQL (\d+) to \d+ on Linux\./m;

is($newest, $version, 'CHANGELOG.md begins with that version');
is($packaged, $version, "so does Debian's changelog");
is($meta->{provides}{pg_hygiene}{version}, $version, 'the extension provided has it');
like(slurp_file('src/guc.h'), qr/^#define PGH_VERSION "\Q$version\E"$/m,
	'and so does the library');
is($control, $series, 'pg_hygiene.control has its first two numbers');
is($meta->{provides}{pg_hygiene}{file}, "sql/pg_hygiene--$control.sql",
	'and the script that is named is that of this version');
is($meta->{prereqs}{runtime}{requires}{PostgreSQL}, "$oldest.0.0",
	'README and META.json agree on the oldest PostgreSQL');
like(slurp_file('debian/pgversions'), qr/^$oldest\+$/, 'so does the package');

my $pattern = slurp_file('debian/control.in') =~ s/PGVERSION/$oldest/gr;
is(slurp_file('debian/control'), $pattern, 'debian/control is what debian/control.in makes');

#
# make dist, in a repository of its own: this folder need not be one.
#
SKIP:
{
	my $repository = "$PostgreSQL::Test::Utils::tmp_check/dist";
	my $here = getcwd;
	my $name = "pg_hygiene-$version";
	my @files;

	skip 'there is no git', 1 if system('git --version >/dev/null 2>&1') != 0;

	# Not what the build has left here.
	mkdir $repository;
	system_or_bail('sh', '-c',
		"tar -cf - --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude='./tmp_check' . | tar -C $repository -xf -");
	chdir $repository or die "$repository: $!";
	delete local @ENV{qw(GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE)};
	local $ENV{GIT_CONFIG_NOSYSTEM} = 1;
	local $ENV{GIT_CEILING_DIRECTORIES} = File::Spec->rel2abs('..');
	system_or_bail('git', 'init', '-q');
	system_or_bail('git', 'add', '-A');
	system_or_bail(qw(git -c user.name=test -c user.email=test@localhost),
		qw(commit -q -m all));
	append_to_file('CHANGELOG.md', "not committed\n");
	append_to_file('left_over', "not added\n");

	# No server's headers are needed for it.
	my ($out, $err) = run_command([ 'make', '-s', 'dist', 'PG_CONFIG=/bin/false' ]);
	like($err, qr/^What is not committed is left out\.$/m, 'make dist says what it leaves out');

	@files = split /\n/, (run_command([ 'git', 'ls-files' ]))[0];
	@files = sort grep { !m{^\.ci/|(?:^|/)\.git(?:ignore|attributes)$} } @files;
	cmp_ok(scalar @files, '>', 100, 'there are files to be packed');

	my @packed = split /\n/, (run_command([ 'tar', '-tzf', "$name.tar.gz" ]))[0];
	is( join("\n", sort map { s{^\Q$name\E/}{}r } grep { !m{/$} } @packed),
		join("\n", @files),
		'the tar has all that is committed');
	is(scalar(grep { !m{^\Q$name\E/} } @packed), 0, "all of it in $name/");

	my $listed = (
		run_command(
			[
				'python3', '-c',
				'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); z.testzip(); print("\n".join(z.namelist()))',
				"$name.zip"
			]))[0];
	is( join("\n", sort grep { !m{/$} } split /\n/, $listed),
		join("\n", map { "$name/$_" } @files),
		'so has the zip');
	is((run_command([ 'tar', '-xzOf', "$name.tar.gz", "$name/META.json" ]))[0] . "\n",
		$text, 'META.json is in its first folder, as it is here');
	unlike((run_command([ 'tar', '-xzOf', "$name.tar.gz", "$name/CHANGELOG.md" ]))[0],
		qr/not committed/, 'what was changed since is not in it');
	is((run_command([ 'git', 'status', '--porcelain' ]))[0] =~ s/\n.*left_over//r,
		' M CHANGELOG.md', 'and git ignores the two');
	chdir $here;
}

done_testing();
