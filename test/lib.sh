# shellcheck shell=bash
#
# test/lib.sh
#	  Shell functions that the programs under test/ share: which PostgreSQL to
#	  use, a private copy of it, an unprivileged user, and clean-up.
#
# To be sourced by bash with "set -eu".  Starts nothing by itself.

headline()
{
	printf '\n== %s\n' "$*"
}

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Does this pg_config belong to an installation with a server and its headers?
complete_pg_config()
{
	local bindir include pgxs

	bindir=$("$1" --bindir 2>/dev/null) || return 1
	include=$("$1" --includedir-server 2>/dev/null) || return 1
	pgxs=$("$1" --pgxs 2>/dev/null) || return 1
	[ -x "$bindir/postgres" ] && [ -f "$include/postgres.h" ] && [ -f "$pgxs" ]
}

# Print the pg_config to use: $PG_CONFIG, else the newest of Debian's that is
# complete, else the one on PATH.  Prints nothing when there is none.
find_pg_config()
{
	local candidate

	if [ -n "${PG_CONFIG:-}" ]; then
		candidate=$(command -v "$PG_CONFIG") && complete_pg_config "$candidate" ||
			die "PG_CONFIG=$PG_CONFIG is not one of a PostgreSQL with server and headers"
		readlink -f "$candidate"
		return
	fi
	for candidate in $(ls -dvr /usr/lib/postgresql/*/bin/pg_config 2>/dev/null) \
		$(command -v pg_config || :); do
		if complete_pg_config "$candidate"; then
			echo "$candidate"
			return
		fi
	done
}

# Copy the files that belong to the project, not what was built among them,
# from folder $1 to folder $2.
copy_tree()
{
	local from=$1 to=$2
	local git=(git -C "$from" -c "safe.directory=*")

	mkdir -p "$to"
	if [ "$("${git[@]}" rev-parse --show-toplevel 2>/dev/null)" = "$from" ]; then
		# A tracked file may have been deleted from the work tree.
		"${git[@]}" ls-files -z --cached --others --exclude-standard |
			(cd "$from" && while IFS= read -r -d '' file; do
				if [ -e "$file" ]; then printf '%s\0' "$file"; fi
			done) |
			tar -C "$from" --null -T - -cf - | tar -C "$to" -xf -
	else
		tar -C "$from" --exclude=./.git --exclude='*.o' --exclude='*.bc' \
			--exclude='*.so' -cf - . | tar -C "$to" -xf -
	fi
}

# Copy the PostgreSQL of pg_config $1 into folder $2 and print the copy's
# pg_config.  PostgreSQL finds its files relative to its programs, so the copy
# is complete and installing an extension into it needs no privilege and
# changes nothing on this machine: a server that has pg_hygiene loaded keeps
# the one it has.
private_postgres()
{
	local pg_config=$1 to=$2
	local bindir pkglibdir sharedir includedir server

	bindir=$("$pg_config" --bindir)
	pkglibdir=$("$pg_config" --pkglibdir)
	sharedir=$("$pg_config" --sharedir)
	includedir=$("$pg_config" --includedir)
	server=$("$pg_config" --includedir-server)

	mkdir -p "$to$bindir" "$to$pkglibdir" "$to$sharedir" "$to${includedir%/*}"
	# Elsewhere than on Debian the folder may hold the whole system's programs.
	(cd "$bindir" && cp -a postgres initdb psql createdb dropdb createuser \
		pgbench vacuumdb pg_* "$to$bindir/")
	cp -a "$pkglibdir/." "$to$pkglibdir/"
	cp -a "$sharedir/." "$to$sharedir/"
	ln -s "$includedir" "$to$includedir"
	if [ ! -e "$to$server" ]; then
		mkdir -p "$to${server%/*}"
		ln -s "$server" "$to$server"
	fi
	echo "$to$bindir/pg_config"
}

# Whom to run a server as: PostgreSQL refuses to be run by root.
unprivileged_user()
{
	local user

	if [ "$(id -u)" != 0 ]; then
		id -un
		return
	fi
	for user in postgres nobody; do
		if id "$user" >/dev/null 2>&1; then
			echo "$user"
			return
		fi
	done
	die "found no user to run the server as: neither postgres nor nobody exists"
}

# Replace this process by a command run as user $1.
exec_as()
{
	local user=$1
	shift
	if [ "$(id -un)" = "$user" ]; then
		exec "$@"
	fi
	exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups -- "$@"
}

# Make a temporary folder with a short name, for socket addresses end at 107
# bytes, and print its name.
short_tempdir()
{
	local base=${TMPDIR:-/tmp}

	if [ ${#base} -gt 40 ] || [ ! -w "$base" ]; then
		base=/tmp
	fi
	base=$(mktemp -d "$base/pgh.XXXXXX")
	# ext4 puts a folder near the one it lies in, and searches long where that
	# part of the disk is full; it may look for a better one for those in here
	chattr +T "$base" 2>/dev/null || :
	echo "$base"
}

# Does the process that this postmaster.pid names work in its folder?  One that
# was killed leaves the file, and its id may be somebody else's by now.
runs_there()
{
	local pid

	[ -e /proc/self/cwd ] || return 0
	pid=$(head -n 1 "$1")
	[ "$(readlink "/proc/$pid/cwd")" = "$(readlink -f "${1%/*}")" ]
}

# Stop every server whose data directory lies under folder $1, using pg_ctl $2
# as user $3.
stop_servers()
{
	local folder=$1 pg_ctl=$2 user=$3
	local pidfile

	find "$folder" -name postmaster.pid -print 2>/dev/null |
		while IFS= read -r pidfile; do
			runs_there "$pidfile" || continue
			(exec_as "$user" "$pg_ctl" stop -s -m immediate -D "${pidfile%/*}" \
				</dev/null >/dev/null 2>&1) || :
		done
}

# The mirrors of Debian that this machine's apt uses, one a line, that of its
# security updates among them.  Before apt has read its lists it does not know
# whose they are, and then all are printed.
debian_mirrors()
{
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' \
		'Created-By: Packages' 2>/dev/null |
		sed -n 's,^\(Debian\)\{0\,1\} \(.*[^/]\)/*$,\2,p' | awk '!seen[$0]++'
}
