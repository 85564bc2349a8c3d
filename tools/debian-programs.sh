#!/usr/bin/env bash
# Fetches Go programs of Debian's, as Debian builds them (stripped, linked by the system's linker), and prints the folder that
# they are in. Nothing is installed: each is unpacked into a root folder of its own, with its libraries, for chroot(8).
#
#   <folder>/prometheus-trixie/usr/bin/prometheus
#
# Packages are verified by Debian's keys (apt). What is there already is left: DEBIAN_PROGRAMS in the cache.
set -euo pipefail

# The stable release's, and newer ones' for newer versions of Go. About 85 MB.
packages="prometheus/trixie caddy/trixie etcd-server/trixie prometheus-node-exporter/trixie nats-server/trixie
	caddy/sid prometheus-alertmanager/sid"

folder=${XDG_CACHE_HOME:-$HOME/.cache}/stillframe/debian
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

apt_in() { # folder arguments...
	local state=$1
	shift
	apt-get -qq -o APT::Sandbox::User=root -o Dir::State="$state/state" -o Dir::State::status=/dev/null \
		-o Dir::Cache="$state/cache" -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=- \
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

unpack() { # package suite work
	local package=$1 suite=$2 work=$3 root=$3/$1-$2 file
	mkdir -p "$root"/usr/{lib,lib64,bin,sbin} "$root"/{tmp,proc,sys,dev}
	for file in lib lib64 bin sbin; do
		ln -s "usr/$file" "$root/$file"
	done
	mkdir "$work/packages"
	(cd "$work/packages" && apt_in "$work" download "$package/$suite" "libc6/$suite" "libzstd1/$suite")
	for file in "$work"/packages/*.deb; do
		dpkg-deb -x "$file" "$root"
	done
	rm -r "$work/packages"
	mv "$root" "$folder/"
}

missing=()
for package in $packages; do
	[[ -d $folder/${package%/*}-${package#*/} ]] || missing+=("$package")
done
if [[ ${#missing[@]} != 0 ]]; then
	if [[ ! -r $keyring ]]; then
		echo "debian-programs: no $keyring: this is no Debian system (apt-get install debian-archive-keyring)" >&2
		exit 3
	fi
	mkdir -p "$folder"
	work=$(mktemp -d "$folder/unfinished.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work"/state/lists/partial "$work"/cache/archives/partial
	for suite in trixie sid; do
		echo "deb [arch=amd64 signed-by=$keyring] $mirror $suite main"
	done >"$work/sources.list"
	apt_in "$work" update >&2
	for package in "${missing[@]}"; do
		unpack "${package%/*}" "${package#*/}" "$work"
		echo "unpacked $package" >&2
	done
fi
echo "$folder"
