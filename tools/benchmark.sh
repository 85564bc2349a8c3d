#!/usr/bin/env bash
# Measures what a capture costs a program, as the program sees it, beside what people use today (net/http/pprof, Delve), in one
# run: a table of Markdown on standard output, all figures as JSON in a file.
#
#   tools/benchmark.sh                      all rows: an hour, and 8 GB of memory for the largest
#   tools/benchmark.sh --quick              few rows, few captures: two minutes
#   tools/benchmark.sh --rows '1000 parked*;100000 parked' --captures 50 -o figures.json
#
# Builds Stillframe (release) and the program that is captured. Wants root, for the rows with a quota. On a host that has other
# work the figures are those of that work, too: the load average is told with them.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/setup.sh
source "$root/tools/setup.sh"

go_version=1.27.3
kind=normal

target=${CARGO_TARGET_DIR:-$cache_dir/target}
stillframe=${STILLFRAME_BINARY:-}
if [[ -z $stillframe ]]; then
	CARGO_TARGET_DIR=$target cargo build --quiet --release --locked --package stillframe --bin stillframe --manifest-path "$root/Cargo.toml"
	stillframe=$target/release/stillframe
fi
sources=$(cat "$root"/tests/programs/benchmark/* | sha256sum | cut -c1-16)
programs=$(STILLFRAME_PROGRAMS=$cache_dir/benchmark/$sources PROGRAMS=benchmark BUILDS=$go_version:$kind "$root/tools/build-programs.sh")
delve=$("$root/tools/delve.sh")
driver=$(mktemp -d "${TMPDIR:-/tmp}/stillframe-benchmark-XXXXXX")
trap 'rm -rf "$driver"' EXIT
(cd "$root/tools/benchmark" && GOTOOLCHAIN=auto GOWORK=off GOFLAGS=-buildvcs=false go build -o "$driver/benchmark" .)
"$driver/benchmark" --stillframe "$stillframe" --program "$programs/benchmark-$go_version-$kind" --delve "$delve" "$@"
