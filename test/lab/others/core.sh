# shellcheck shell=bash
#
# test/lab/others/core.sh
#	  PostgreSQL built from its sources, and its own suites.  To be sourced by
#	  run, which has $work, $user, $VERSION, $OPTIMISE and as_user().

# Where a suite is in PostgreSQL's tree.
folder_of()
{
	case $1 in
		regress | isolation | recovery | authentication | postmaster)
			echo "src/test/$1" ;;
		test_misc) echo src/test/modules/test_misc ;;
		*) echo "contrib/$1" ;;
	esac
}

# Build PostgreSQL with assertions, and install it inside its own tree, where
# its suites look for it.
build_server()
{
	local log=$work/logs/build-$VERSION.log installed

	tree=$work/postgresql-$VERSION
	if [ ! -e "$tree/.built" ]; then
		echo "building PostgreSQL $VERSION"
		unpack "postgresql-$VERSION" "$tree" ||
			die "the sources of PostgreSQL $VERSION are not to be had: put them into a folder and name it with SOURCES"
		as_user env -C "$tree" ./configure -q --prefix=/pgsql --enable-cassert \
			--enable-debug --enable-tap-tests --without-readline --with-openssl \
			CFLAGS="$OPTIMISE -g" >"$log" 2>&1 &&
			as_user make -C "$tree" -s -j "$JOBS" world-bin >>"$log" 2>&1 &&
			as_user make -C "$tree" -s temp-install >>"$log" 2>&1 ||
			{ tail -n 20 "$log"; die "PostgreSQL $VERSION could not be built"; }
		touch "$tree/.built"
	fi
	installed=$(find "$tree/tmp_install" -name pg_config -type f)
	bindir=${installed%/*}
	"$installed" --version
}

# Into the same place, so that every suite finds it.
build_library()
{
	local folder=$work/pg_hygiene log=$work/logs/library.log

	rm -rf "$folder"
	copy_tree "$root" "$folder"
	chown -R "$user" "$folder"
	as_user make -C "$folder" -s -j "$JOBS" PG_CONFIG="$bindir/pg_config" install \
		>"$log" 2>&1 || { tail -n 20 "$log"; die 'the library could not be built'; }
}

# Files of a suite that set the list of libraries, as FILE lines.
files_with_a_list()
{
	grep -rlE 'shared_preload_libraries *=' "$1" --include='*.pl' \
		--include='*.pm' --include='*.conf' 2>/dev/null |
		grep -v /tmp_check/ || :
}

# Name the library in the lists that a suite's own files set, or take it out.
name_library()
{
	local way=$1 folder=$2 file

	for file in $(files_with_a_list "$folder"); do
		sed -i 's/\(shared_preload_libraries *= *'\''*\)pg_hygiene,/\1/' "$file"
		[ "$way" = without ] || sed -i \
			-e 's/\(shared_preload_libraries *= *'\''\)\([a-z]\)/\1pg_hygiene,\2/' \
			-e 's/\(shared_preload_libraries *= *\)\([a-z][a-z_]*\) *$/\1'\''pg_hygiene,\2'\''/' \
			"$file"
	done
}

# Of how many servers' logs say that the library watches, and of how many all.
count_servers()
{
	local log with=0 all=0

	while IFS= read -r -d '' log; do
		grep -q 'database system is ready to accept' "$log" || continue
		all=$((all + 1))
		! grep -qE 'pg_hygiene [0-9.]+ is watching' "$log" || with=$((with + 1))
	done < <(find "$1" \( -path '*/log/*.log' -o -name 'postmaster*.log' \) -print0)
	echo "$with of $all"
}

# run_core SUITE WAY LOG
run_core()
{
	local suite=$1 way=$2 log=$3 folder status=0

	folder=$tree/$(folder_of "$suite")
	name_library "$way" "$folder"
	settings "$way" >"$work/tmp/$way.conf"
	# what the suite needs beside the server
	as_user make -C "$folder" checkprep >"$log.prepare" 2>&1 || :
	as_user make -C "$folder" -k check NO_TEMP_INSTALL=1 \
		TEMP_CONFIG="$work/tmp/$way.conf" PROVE_FLAGS='-v' PG_TEST_NOCLEAN=1 \
		>"$log.log" 2>&1 || status=$?
	count_servers "$folder" >"$log.servers"
	# what says why
	find "$folder" -name regression.diffs -o -name output_iso -prune |
		xargs -r cat >"$log.diffs" 2>/dev/null || :
	name_library without "$folder"
	return $status
}
