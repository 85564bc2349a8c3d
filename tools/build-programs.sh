#!/usr/bin/env bash
# Builds the Go programs of the tests with every Go version and in every kind
# that the tests want, outside the clone:
#
#   $STILLFRAME_PROGRAMS/<program>-<go version>-<kind>     still-1.26.6-pie
#
# and prints that folder on standard output. What is there already is left. Without
# STILLFRAME_PROGRAMS the folder is named after a hash of the sources, so that
# a change builds anew.
#
#   PROGRAMS="still"  VERSIONS="1.26.6"  KINDS="normal"  tools/build-programs.sh
#
# builds a part of the matrix. Kinds: normal (no cgo), pie (no cgo, position
# independent), cgo.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
sources=$root/tests/programs
read -ra programs <<<"${PROGRAMS:-still busy many}"
read -ra versions <<<"${VERSIONS:-1.24.11 1.25.5 1.26.6 1.27.3}"
read -ra kinds <<<"${KINDS:-normal pie cgo}"

# The hash covers what goes into a binary, its paths among it: they are in the
# binary's file names.
sources_hash() {
	cd "$sources"
	{
		pwd
		find still busy many -type f \( -name '*.go' -o -name '*.c' -o -name 'go.*' \) -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
	} | sha256sum | cut -c1-16
}

programs_dir=${STILLFRAME_PROGRAMS:-${XDG_CACHE_HOME:-$HOME/.cache}/stillframe/programs/$(sources_hash)}
mkdir -p "$programs_dir"

build() { # program version kind
	local program=$1 version=$2 kind=$3
	local target=$programs_dir/$program-$version-$kind
	[[ -x $target ]] && return
	local flags=() cgo=0
	case $kind in
	normal) ;;
	pie) flags+=(-buildmode=pie) ;;
	cgo) cgo=1 ;;
	*)
		echo "build-programs: no such kind: $kind (normal, pie, cgo)" >&2
		return 2
		;;
	esac
	# Whole or not at all: another run may be looking for it.
	local unfinished
	unfinished=$(mktemp "$target.XXXXXX")
	if ! (cd "$sources/$program" && GOTOOLCHAIN=go$version GOWORK=off GOFLAGS=-buildvcs=false CGO_ENABLED=$cgo \
		go build ${flags[@]+"${flags[@]}"} -o "$unfinished" .); then
		rm -f "$unfinished"
		echo "build-programs: $program with Go $version ($kind) failed" >&2
		return 1
	fi
	chmod 755 "$unfinished"
	mv -f "$unfinished" "$target"
	echo "built $target" >&2
}

for version in "${versions[@]}"; do
	for kind in "${kinds[@]}"; do
		for program in "${programs[@]}"; do
			build "$program" "$version" "$kind"
		done
	done
done
echo "$programs_dir"
