#!/usr/bin/env bash
# Measures one snapshot of three hosts (namespaces on this machine): time, and the
# peak memory of the coordinator, its nodes and their freezers.
#
#   tools/measure-cluster.sh [GOROUTINES] [PROGRAM]
#
#   GOROUTINES   of each host's program (default 333334)
#   PROGRAM      the program `many` (default: the newest of $STILLFRAME_PROGRAMS)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/setup.sh
source "$root/tools/setup.sh"
# shellcheck source=tools/hosts.sh
source "$root/tools/hosts.sh"

goroutines=${1:-333334}
program=${2:-$(find "${STILLFRAME_PROGRAMS:?run tools/build-programs.sh, and set it to what that prints}" -name 'many-*-normal' | sort -V | tail -n 1)}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache_dir/target}
cargo build --manifest-path "$root/Cargo.toml" --quiet --release --locked --package stillframe --bin stillframe
PATH=$CARGO_TARGET_DIR/release:$PATH

work=$(mktemp -d)
trap 'end_hosts; rm -rf "$work"' EXIT
names=(web store back)
make_hosts 10.79.0 coordinator "${names[@]}" || die "the kernel does not permit to make hosts here"
export STILLFRAME_COORDINATOR=http://127.0.0.1:7480

try() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || die "this has not come about: $*"
		sleep 0.2
	done
}
answers() { on coordinator stillframe nodes >/dev/null 2>&1; }
all_registered() { [[ $(on coordinator stillframe nodes --json | grep -c '"generation"') == "${#names[@]}" ]]; }
all_ready() { [[ $(cat "$work"/*.ready | grep -c '^ready') == "${#names[@]}" ]]; }

on coordinator stillframe serve --data "$work/data" --listen "$(address_of coordinator):7443" 2>"$work/coordinator.log" &
try 30 answers
stillframe node-credentials --data "$work/data" -o "$work/node.pem" >/dev/null
for name in "${names[@]}"; do
	: >"$work/$name.ready"
	on "$name" "$program" "$goroutines" >"$work/$name.ready" 2>"$work/$name.log" &
	on "$name" stillframe node --coordinator "$(address_of coordinator):7443" --credentials "$work/node.pem" 2>"$work/node-$name.log" &
done
try 30 all_registered
try 300 all_ready

on coordinator stillframe snapshot --program 'many-*' --max-pause 9s -o "$work/s.db" >/dev/null || [[ $? == 10 ]]
stillframe sql "$work/s.db" "select program, goroutines, round(pause_ns / 1e6, 1) as pause_ms, state, reason from processes"
stillframe sql "$work/s.db" "select round(duration_ns / 1e9, 2) as seconds_to_the_last_fact, complete from snapshot"
printf '%s bytes, quick_check: %s\n' "$(stat -c %s "$work/s.db")" "$(sqlite3 "$work/s.db" 'pragma quick_check')"
for status in /proc/[0-9]*/status; do
	command=$(tr '\0' ' ' <"${status%status}cmdline" 2>/dev/null) || continue
	case $command in
	stillframe\ *) printf '%7d MB peak  %s\n' "$(($(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "$status") / 1000))" "${command:0:60}" ;;
	esac
done
