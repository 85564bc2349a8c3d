#!/usr/bin/env bash
# Installs Delve, the Go debugger, outside the clone, and prints where: the tests
# compare what it reads of a process with what Stillframe does.
set -euo pipefail

# Its newest release; the checksum database of Go answers for what the module proxy has.
delve_version=v1.27.2

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/setup.sh
source "$root/tools/setup.sh"

folder=$cache_dir/delve/$delve_version
if [[ ! -x $folder/dlv ]]; then
	say "    installing Delve $delve_version"
	mkdir -p "$folder"
	unfinished=$(mktemp -d "$folder/XXXXXX")
	trap 'rm -rf "$unfinished"' EXIT
	(cd "$unfinished" && GOTOOLCHAIN=auto GOWORK=off GOFLAGS= GOBIN=$unfinished go install "github.com/go-delve/delve/cmd/dlv@$delve_version") >&2
	mv -f "$unfinished/dlv" "$folder/dlv"
fi
echo "$folder/dlv"
