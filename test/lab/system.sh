# shellcheck shell=bash
#
# test/lab/system.sh
#	  Whole systems in folders, installed by debootstrap: shell functions that
#	  the programs share which test in a Debian other than this machine's.
#
# To be sourced by bash with "set -eu", after lib.sh, with the project's folder
# in $root.  Starts nothing by itself.

# Where this machine's own packages come from: the first of Debian's mirrors
# that is not the one of security updates.  Prints nothing if apt has none.
own_mirror()
{
	debian_mirrors | sed '/security/d' | head -n 1
}

: "${MIRROR:=$(own_mirror)}"

# A mirror may lag behind, and its files for unreleased suites expire.
source_line()
{
	echo "deb [check-valid-until=no] $MIRROR $1 main"
}

# in_system FOLDER COMMAND...
in_system()
{
	local folder=$1
	shift

	mountpoint -q "$folder/proc" || mount -t proc proc "$folder/proc"
	if ! mountpoint -q "$folder/dev"; then
		mount --bind /dev "$folder/dev"
		mount -t tmpfs -o mode=1777 tmpfs "$folder/dev/shm"
	fi
	cp -L /etc/resolv.conf /etc/hosts "$folder/etc/"
	"$(personality "$folder")" chroot "$folder" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
		${http_proxy:+http_proxy="$http_proxy"} ${TESTS:+TESTS="$TESTS"} "$@"
}

# A system of 32 bits is to believe that its machine has no more.
personality()
{
	case $1 in *-i386) echo linux32 ;; *) echo linux64 ;; esac
}

# bootstrap RELEASE FOLDER: a system without PostgreSQL; of 32 bits if the
# release ends with "-i386".
bootstrap()
{
	local release=${1%-i386} folder=$2 arch=()
	local script=/usr/share/debootstrap/scripts/$release

	# Older debootstraps do not know newer releases; they are all made alike.
	if [ ! -e "$script" ]; then
		script=/usr/share/debootstrap/scripts/sid
	fi
	[ "$release" = "$1" ] || arch=(--arch=i386)
	debootstrap "${arch[@]}" --variant=minbase "$release" "$folder" "$MIRROR" "$script"
	source_line "$release" >"$folder/etc/apt/sources.list"
	rm -f "$folder"/etc/apt/sources.list.d/*
	printf '%s\n' 'APT::Install-Recommends "false";' 'Acquire::Retries "3";' \
		>"$folder/etc/apt/apt.conf.d/90test"

	# A system that is thrown away need not survive a power failure.
	echo force-unsafe-io >"$folder/etc/dpkg/dpkg.cfg.d/90test"

	# Nothing is to be started by installing it.
	printf '#!/bin/sh\nexit 101\n' >"$folder/usr/sbin/policy-rc.d"
	chmod 755 "$folder/usr/sbin/policy-rc.d"
}

need_debootstrap()
{
	[ -n "$MIRROR" ] ||
		die "apt knows no source of Debian's packages; name one, MIRROR=http://.../debian"
	command -v debootstrap >/dev/null && return
	command -v apt-get >/dev/null || die 'needs debootstrap'
	echo 'installing: debootstrap'
	apt-get install -q -y --no-install-recommends debootstrap >/dev/null 2>&1 ||
		{ apt-get update -q && apt-get install -q -y --no-install-recommends debootstrap; } >/dev/null
}

# Run a command in the background, because a shell that waits for a background
# process obeys a signal at once.
child=''
how_to_end=TERM

attend()
{
	local status=0

	"$@" </dev/null &
	child=$!
	wait "$child" || status=$?
	child=''
	return $status
}

# attend_alone SCRIPT ARGUMENT...: run a part of a script like that, in
# namespaces that end with it: what is mounted there is mounted for it only.
attend_alone()
{
	local status=0

	# unshare ignores SIGTERM, and the first process in there does too; all of
	# them die with it, and with them go their mounts.
	how_to_end=KILL
	attend env MIRROR="$MIRROR" TESTS="${TESTS:-}" unshare --mount \
		--ipc --pid --fork --kill-child --mount-proc --propagation private \
		bash -eu "$@" || status=$?
	how_to_end=TERM
	return $status
}

# To be called when the script ends.
end_child()
{
	trap '' INT TERM HUP
	if [ -n "$child" ]; then
		kill "-$how_to_end" "$child" 2>/dev/null || :
		wait "$child" 2>/dev/null || :
	fi
}
