#!/usr/bin/env bash
# Builds the Go programs of the tests with every Go version and in every kind
# that the tests want, outside the clone:
#
#   $STILLFRAME_PROGRAMS/<program>-<go version>-<kind>     still-1.26.6-pie
#   $STILLFRAME_PROGRAMS/<program>-arm64-<go version>-<kind>
#
# and prints that folder on standard output. What is there already is left. Without
# STILLFRAME_PROGRAMS the folder is named after a hash of the sources, so that
# a change builds anew.
#
#   PROGRAMS="still"  BUILDS="1.26.6:normal 1.26.6:pie"  tools/build-programs.sh
#
# builds these only, MATRIX=all the whole matrix. VERSIONS=print prints the Go versions, and builds nothing. Kinds:
#
#   normal            no cgo
#   w                 without debug information (-ldflags=-w)
#   stripped          without debug information and symbols (-ldflags="-s -w")
#   bare              stripped, and without section headers
#   pie, pie-stripped position independent, no cgo
#   cgo               linked by the system's linker
#   cgo-pie-stripped  the same, position independent, without debug information and symbols
#   race              with the race detector
#   trimpath          file names without the folders of the machine that built it
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
sources=$root/tests/programs

# The newest release of each minor version that was out when it was added, and others whose runtime differs from those.
minors="1.21.13 1.22.10 1.23.9 1.24.11 1.25.5 1.26.6 1.27.3"
patches="1.23.1 1.24.3 1.25.0 1.26.0 1.27.0"

if [[ ${VERSIONS:-} == print ]]; then
	echo "$minors $patches"
	exit
fi

# Each version, each kind, and the newest versions in full.
representative="1.21.13:normal 1.21.13:pie-stripped 1.21.13:cgo 1.22.10:stripped 1.22.10:cgo-pie-stripped
	1.23.9:pie 1.23.9:stripped 1.23.1:stripped 1.24.11:normal 1.24.11:cgo 1.24.11:bare 1.24.3:stripped
	1.25.5:cgo-pie-stripped 1.25.5:pie 1.26.6:normal 1.26.6:stripped 1.26.6:cgo 1.26.6:race
	1.27.3:normal 1.27.3:w 1.27.3:stripped 1.27.3:bare 1.27.3:pie 1.27.3:pie-stripped 1.27.3:cgo
	1.27.3:cgo-pie-stripped 1.27.3:trimpath"

whole() {
	local version kind
	for version in $minors; do
		for kind in normal stripped pie pie-stripped cgo cgo-pie-stripped w bare race trimpath; do
			echo "$version:$kind"
		done
	done
	for version in $patches; do
		echo "$version:normal $version:stripped"
	done
}

# The programs that take long to test.
some="1.21.13:normal 1.22.10:cgo 1.23.9:stripped 1.24.11:cgo 1.25.5:pie 1.26.6:normal 1.26.6:cgo 1.27.3:stripped 1.27.3:cgo"

# Where debug information differs: by version, by the linker, and where there is none.
values="1.21.13:normal 1.21.13:pie 1.21.13:cgo 1.22.10:normal 1.23.9:normal 1.24.11:normal 1.24.11:pie 1.24.11:cgo
	1.25.5:normal 1.26.6:normal 1.27.3:normal 1.27.3:pie 1.27.3:cgo 1.27.3:w 1.27.3:stripped"

# What gRPC's newest release builds with.
requests="1.26.6:normal 1.27.3:cgo"
traffic="1.26.6:normal 1.27.3:cgo 1.27.3:w"
transactions="1.21.13:normal 1.24.11:normal 1.27.3:normal"

secrets="1.21.13:normal 1.27.3:cgo"

# What waits are found in differs by version, and where there is no debug information.
waits="1.21.13:normal 1.21.13:stripped 1.22.10:normal 1.22.10:stripped 1.23.9:normal 1.23.1:stripped 1.24.11:normal
	1.24.11:stripped 1.25.5:pie 1.25.5:stripped 1.26.6:normal 1.26.6:stripped 1.27.3:cgo 1.27.3:stripped"

# By what a goroutine's record says of its park, and by coroutines (Go 1.23).
stamps="1.21.13:normal 1.23.9:normal 1.25.5:normal 1.27.3:normal"

# By when a new goroutine's record has its id (Go 1.24), and by how records and processors are laid out.
ages="1.21.13:normal 1.23.9:normal 1.25.5:normal 1.27.3:normal"

# By how net makes its sockets: listeners of MPTCP by default (Go 1.24).
sockets="1.21.13:normal 1.24.11:normal 1.27.3:stripped"

# For arm64, where they are run by an emulator.
foreign="1.21.13:normal 1.22.10:pie-stripped 1.23.9:stripped 1.24.11:bare 1.25.5:pie 1.26.6:stripped 1.27.3:normal 1.27.3:stripped"

native=$(go env GOARCH)
read -ra programs <<<"${PROGRAMS:-still still-arm64 busy many values requests traffic transactions secrets stamps waits ages sockets}"

builds_of() { # program
	if [[ ${MATRIX:-} == all && $1 == still ]]; then
		whole
	elif [[ $1 == still ]]; then
		echo "${BUILDS:-$representative}"
	elif [[ $1 == values ]]; then
		echo "${BUILDS:-$values}"
	elif [[ $1 == requests ]]; then
		echo "${BUILDS:-$requests}"
	elif [[ $1 == traffic ]]; then
		echo "${BUILDS:-$traffic}"
	elif [[ $1 == transactions ]]; then
		echo "${BUILDS:-$transactions}"
	elif [[ $1 == waits ]]; then
		echo "${BUILDS:-$waits}"
	elif [[ $1 == secrets ]]; then
		echo "${BUILDS:-$secrets}"
	elif [[ $1 == stamps ]]; then
		echo "${BUILDS:-$stamps}"
	elif [[ $1 == sockets ]]; then
		echo "${BUILDS:-$sockets}"
	elif [[ $1 == ages ]]; then
		echo "${BUILDS:-$ages}"
	elif [[ $1 == *-arm64 ]]; then
		echo "${BUILDS:-$foreign}"
	else
		echo "${BUILDS:-$some}"
	fi
}

# The hash covers what goes into a binary, its paths among it: they are in the
# binary's file names.
sources_hash() {
	cd "$sources"
	{
		pwd
		find still busy many values requests traffic transactions secrets stamps waits ages sockets -type f \( -name '*.go' -o -name '*.c' -o -name 'go.*' \) -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
	} | sha256sum | cut -c1-16
}

programs_dir=${STILLFRAME_PROGRAMS:-${XDG_CACHE_HOME:-$HOME/.cache}/stillframe/programs/$(sources_hash)}
mkdir -p "$programs_dir"

build() { # program version kind
	local program=$1 version=$2 kind=$3
	local target=$programs_dir/$program-$version-$kind
	[[ -x $target ]] && return
	local flags=() cgo=0 architecture=$native
	if [[ $program == *-arm64 ]]; then
		architecture=arm64
		program=${program%-arm64}
	fi
	case $kind in
	normal | w | stripped | bare | pie | pie-stripped | cgo | cgo-pie-stripped | race | trimpath) ;;
	*)
		echo "build-programs: no such kind: $kind (see the head of this script)" >&2
		return 2
		;;
	esac
	case $kind in
	w) flags+=(-ldflags=-w) ;;
	*stripped | bare) flags+=("-ldflags=-s -w") ;;
	race) flags+=(-race) ;;
	trimpath) flags+=(-trimpath) ;;
	esac
	[[ $kind != *pie* ]] || flags+=(-buildmode=pie)
	[[ $kind != *cgo* && $kind != race ]] || cgo=1
	# Whole or not at all: another run may be looking for it. As a program of its own time: the language version chooses the
	# defaults of GODEBUG.
	local unfinished
	unfinished=$(mktemp "$target.XXXXXX")
	if [[ -e $sources/$program/go.sum ]]; then
		# Modules that it needs may ask for a patch release.
		sed "s/^go .*/go $version/" "$sources/$program/go.mod" >"$unfinished.mod"
		cp "$sources/$program/go.sum" "$unfinished.sum"
	else
		sed "s/^go .*/go ${version%.*}/" "$sources/$program/go.mod" >"$unfinished.mod"
	fi
	if ! (cd "$sources/$program" && GOTOOLCHAIN=go$version GOWORK=off GOFLAGS=-buildvcs=false GOARCH=$architecture \
		CGO_ENABLED=$cgo go build -modfile="$unfinished.mod" ${flags[@]+"${flags[@]}"} -o "$unfinished" .); then
		rm -f "$unfinished" "$unfinished.mod" "$unfinished.sum"
		echo "build-programs: $program with Go $version ($kind) failed" >&2
		return 1
	fi
	rm -f "$unfinished.mod" "$unfinished.sum"
	[[ $kind != bare ]] || remove_section_headers "$unfinished"
	chmod 755 "$unfinished"
	mv -f "$unfinished" "$target"
	echo "built $target" >&2
}

# e_shoff, e_shentsize, e_shnum and e_shstrndx (elf(5)) become 0.
remove_section_headers() {
	head -c 8 /dev/zero | dd of="$1" bs=1 seek=40 conv=notrunc status=none
	head -c 6 /dev/zero | dd of="$1" bs=1 seek=58 conv=notrunc status=none
}

for program in "${programs[@]}"; do
	for build in $(builds_of "$program"); do
		build "$program" "${build%%:*}" "${build#*:}"
	done
done
echo "$programs_dir"
