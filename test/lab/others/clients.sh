# shellcheck shell=bash
#
# test/lab/others/clients.sh
#	  The suites of drivers and poolers, against the server that core.sh has
#	  built.  To be sourced by run, which has $work, $user, $bindir and as_user().
#
# psycopg's and asyncpg's tests run with the driver that Debian has installed
# here, so their sources must be of the same version; psycopg2 and PgBouncer are
# built, and SQLAlchemy needs no building.

python=/usr/bin/python3

# What a suite's sources are called.
package_of()
{
	case $1 in
		psycopg) echo psycopg3 ;;
		*) echo "$1" ;;
	esac
}

needs()
{
	case $1 in
		sqlalchemy) echo python3-greenlet python3-typing-extensions python3-psycopg2 ;;
		psycopg) echo python3-psycopg python3-psycopg-pool python3-dnspython python3-anyio ;;
		psycopg2) echo python3-dev python3-setuptools ;;
		asyncpg) echo python3-asyncpg python3-uvloop ;;
		pgbouncer) echo libevent-dev pkg-config python3-psycopg python3-filelock python3-pytest-asyncio ;;
	esac
	echo python3-pytest
}

install_needs()
{
	local package missing=()

	for package in $(needs "$1"); do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
			grep -q 'install ok installed' || missing+=("$package")
	done
	[ ${#missing[@]} = 0 ] ||
		DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
			--no-install-recommends "${missing[@]}"
}

# Every cluster that initdb makes begins with this file, so the suites that make
# clusters of their own get the settings, too.
set_sample()
{
	local sample

	sample=$("$bindir/pg_config" --sharedir)/postgresql.conf.sample
	[ -e "$sample.orig" ] || cp -p "$sample" "$sample.orig"
	{ cat "$sample.orig"; settings "$1"; } >"$sample"
}

free_port()
{
	perl -MSocket -e 'socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(0, INADDR_LOOPBACK));
		print((unpack_sockaddr_in(getsockname($s)))[0])'
}

# A server on the loopback address, with what the drivers' READMEs ask for.
start_server()
{
	local data=$work/tmp/data extension

	port=$(free_port)
	new_folder "$data"
	as_user initdb -D "$data" -A trust -U postgres --no-sync >"$log.server" 2>&1
	cat >>"$data/postgresql.conf" <<-END
		listen_addresses = '127.0.0.1'
		port = $port
		unix_socket_directories = '$work/tmp'
		fsync = off
		max_prepared_transactions = 10
		default_text_search_config = 'pg_catalog.english'
		wal_level = logical
	END
	as_user pg_ctl -s -w -D "$data" -l "$data/log" start
	psql_ postgres "create database test" >>"$log.server" 2>&1
	for extension in hstore citext uuid-ossp; do
		psql_ test "create extension \"$extension\"" >>"$log.server" 2>&1 || :
	done
	psql_ test 'create schema test_schema; create schema test_schema_2' >>"$log.server" 2>&1
}

psql_()
{
	as_user psql -X -q -h 127.0.0.1 -p "$port" -U postgres -d "$1" -c "$2"
}

stop_server()
{
	cp "$work/tmp/data/log" "$log.postmaster"
	as_user pg_ctl -s -w -m fast -D "$work/tmp/data" stop
	if grep -qE 'pg_hygiene [0-9.]+ is watching' "$log.postmaster"; then
		echo '1 of 1' >"$log.servers"
	fi
}

#
# One function for each: with the sources in $folder; prints to the log.
#

client_sqlalchemy()
{
	as_user env -C "$folder" PYTHONPATH=lib "$python" -m pytest -v -p no:cacheprovider \
		--dburi "postgresql+psycopg2://postgres@127.0.0.1:$port/test" \
		test/dialect/postgresql test/engine/test_pool.py
}

client_psycopg()
{
	mkdir -p "$folder/away"
	mv "$folder/psycopg" "$folder/psycopg_pool" "$folder/away/" 2>/dev/null || :
	as_user env -C "$folder" PSYCOPG_IMPL=python "$python" -m pytest -v \
		-o cache_dir="$work/tmp/cache" -m 'not mypy and not slow and not proxy' \
		--test-dsn "host=127.0.0.1 port=$port user=postgres dbname=test" tests
}

client_psycopg2()
{
	if [ ! -d "$folder/build" ]; then
		as_user env -C "$folder" "$python" setup.py -q build \
			>"$log.build" 2>&1 || { tail "$log.build"; return 1; }
	fi
	as_user env -C "$folder/build"/lib* PSYCOPG2_TESTDB=test \
		PYTHONPATH="$(echo "$folder/build"/lib*)" \
		PSYCOPG2_TESTDB_HOST=127.0.0.1 PSYCOPG2_TESTDB_PORT="$port" \
		PSYCOPG2_TESTDB_USER=postgres "$python" -m pytest -v \
		-p no:cacheprovider "$folder/tests"
}

# Makes a cluster of its own.
client_asyncpg()
{
	mkdir -p "$folder/away"
	mv "$folder/asyncpg" "$folder/away/" 2>/dev/null || :
	as_user env -C "$folder" PGINSTALLATION="$bindir" "$python" -m pytest -v \
		-p no:cacheprovider tests
}

# Makes clusters of its own, too.
client_pgbouncer()
{
	if [ ! -e "$folder/pgbouncer" ]; then
		{ as_user env -C "$folder" ./configure -q --without-cares &&
			as_user make -C "$folder" -s pgbouncer; } \
			>"$log.build" 2>&1 || { tail "$log.build"; return 1; }
	fi
	as_user env -C "$folder" "$python" -m pytest -v -p no:cacheprovider test
}

# run_client SUITE WAY LOG
run_client()
{
	local suite=$1 way=$2 log=$3 folder port status=0

	folder=$work/$(package_of "$suite")
	echo '0 of 1' >"$log.servers"
	: >"$log.log"
	{ install_needs "$suite" && as_user make -C "$tree/contrib" -s install \
		"DESTDIR=$tree/tmp_install"; } >"$log.prepare" 2>&1 || return
	unpack "$(package_of "$suite")" "$folder" ||
		{ echo "the sources of $suite are not to be had" >"$log.log"; return 1; }
	export PATH=$bindir:$PATH LD_LIBRARY_PATH
	LD_LIBRARY_PATH=$("$bindir/pg_config" --libdir)
	set_sample "$way"
	start_server || { status=$?; tail "$log.server" >"$log.log"; }
	[ $status != 0 ] || "client_$suite" >"$log.log" 2>&1 || status=$?
	stop_server || :
	set_sample without
	return $status
}
