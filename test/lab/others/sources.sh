# shellcheck shell=bash
#
# test/lab/others/sources.sh
#	  Where the sources of other projects come from: a folder that was named, or
#	  Debian.  To be sourced by run, which has $work, $SOURCES and $user.

# Lists of sources of releases, kept beside apt's own, which stay as they are.
# The oldest comes last: of several versions apt takes the first it can get.
apt_of()
{
	local release=$1 folder=$work/apt/$1 mirror suite
	shift

	if [ ! -e "$folder/ready" ]; then
		mkdir -p "$folder/lists/partial"
		for mirror in $(debian_mirrors); do
			suite=$release
			case $mirror in *security*) suite=$release-security ;; esac
			echo "deb-src [check-valid-until=no signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
		done >"$folder/sources.list"
		apt-get -q -o "Dir::Etc::sourcelist=$folder/sources.list" \
			-o Dir::Etc::sourceparts=/dev/null \
			-o "Dir::State::lists=$folder/lists" update >"$folder/log" 2>&1 || :
		touch "$folder/ready"
	fi
	"$@" -o "Dir::Etc::sourcelist=$folder/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$folder/lists"
}

versions_in()
{
	apt_of "$1" apt-cache showsrc "$2" 2>/dev/null |
		sed -n 's/^Version: //p' | sort -ruV
}

# Version 17.11-0+deb13u1, of which a mirror lists 17.12 and no more has it, may
# still be there: its minor versions before that, in the same folder, as long as
# a developer of Debian has signed for them.  download_older DSC, an address.
download_older()
{
	local folder=${1%/*} dsc=${1##*/} minor step file hash

	# NAME_MAJOR.MINOR-REVISION.dsc
	[[ $dsc =~ ^([^_]+_[0-9]+)\.([0-9]+)(-.*)$ ]] || return 1
	minor=${BASH_REMATCH[2]}
	for step in 1 2 3; do
		[ $((minor - step)) -ge 0 ] || return 1
		dsc=${BASH_REMATCH[1]}.$((minor - step))${BASH_REMATCH[3]}
		/usr/lib/apt/apt-helper download-file "$folder/$dsc" "$dsc" || continue
		gpgv --keyring /usr/share/keyrings/debian-keyring.gpg "$dsc" || continue
		read -r hash file < <(sed -n '/^Checksums-Sha256:/,/^[^ ]/s/^ \([0-9a-f]*\) [0-9]* \(.*\.orig\.tar\.[a-z0-9]*\)$/\1 \2/p' "$dsc")
		! /usr/lib/apt/apt-helper download-file "$folder/$file" "$file" \
			"SHA256:$hash" || return 0
	done
	return 1
}

# download PACKAGE: the tarball of its authors, into $work/debian.  A mirror may
# lack what its own list names, so each version and release is tried.
download()
{
	local package=$1 release version dsc

	mkdir -p "$work/debian"
	for release in bookworm trixie forky sid; do
		for version in $(versions_in "$release" "$package"); do
			(cd "$work/debian" &&
				apt_of "$release" apt-get -q source --download-only \
					"$package=$version") >>"$work/logs/download.log" 2>&1 || continue
			return
		done
	done
	for release in bookworm trixie forky sid; do
		dsc=$(apt_of "$release" apt-get -q source --print-uris "$package" 2>/dev/null |
			sed -n "s/^'\(.*\.dsc\)' .*/\1/p")
		[ -n "$dsc" ] || continue
		"$root/test/deps" keys &&
			(cd "$work/debian" && download_older "$dsc") >>"$work/logs/download.log" 2>&1 &&
			return
	done
	return 1
}

# tarball PACKAGE [FOLDER]: prints the newest there is.
tarball()
{
	local folder

	for folder in "$SOURCES" "$work/debian"; do
		[ -n "$folder" ] || continue
		ls -dvr "$folder/$1"_*.orig.tar* 2>/dev/null | grep -v '\.asc$' |
			head -n 1 | grep . && return
	done
	return 1
}

# unpack PACKAGE FOLDER: its sources, as the user's.
unpack()
{
	local package=$1 folder=$2 file

	[ ! -e "$folder/.unpacked" ] || return 0
	file=$(tarball "$package") || { download "$package" && file=$(tarball "$package"); } ||
		return 1
	rm -rf "$folder"
	mkdir -p "$folder"
	tar -xf "$file" -C "$folder" --strip-components=1
	basename "$file" | sed 's/\.orig\.tar.*//' >"$folder/.unpacked"
	chown -R "$user" "$folder"
}
