#!/usr/bin/env bash
# Measures one order for very many goroutines: three hosts made on this machine (tools/hosts.sh), a node and a Go process with a
# third of them on each, one coordinator. Prints the time of the order and the peak memory of coordinator and nodes.
#
#   tools/throughput.sh [GOROUTINES]    default 1000000, which takes about 8 GB of memory
#
# Wants stillframe and stillframe-node on the PATH or in the release folder of the build, and the test program `many`
# (STILLFRAME_PROGRAMS, or what tools/build-programs.sh builds now).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/hosts.sh
source "$root/tools/hosts.sh"

goroutines=${1:-1000000}
names=(web store back)
programs=${STILLFRAME_PROGRAMS:-$(PROGRAMS=many BUILDS=1.27.3:stripped "$root/tools/build-programs.sh")}
many=$programs/many-1.27.3-stripped
release=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/stillframe/target}/release
PATH=$release:$PATH
for program in stillframe stillframe-node "$many"; do
	command -v "$program" >/dev/null || {
		echo "throughput: $program is not here: cargo build --release -p stillframe -p stillframe-node, tools/build-programs.sh" >&2
		exit 1
	}
done

work=$(mktemp -d "${TMPDIR:-/tmp}/stillframe-throughput-XXXXXX")
finish() {
	local status=$?
	end_hosts
	# What ran there ends with its host; its open files are gone a moment later.
	wait || true
	[[ $status == 0 ]] || tail -n 5 "$work"/*.log >&2
	rm -rf "$work"
}
trap finish EXIT

# await SECONDS COMMAND...
await() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || {
			echo "throughput: it has not come about: $*" >&2
			exit 1
		}
		sleep 0.1
	done
}

# peak HOST COMMAND prints the most memory that a command of a host has had (VmHWM, proc_pid_status(5)).
peak() {
	local host=$1 name=$2 pid
	for pid in $(on "$host" sh -c 'cd /proc && echo [0-9]*'); do
		if [[ $(on "$host" readlink "/proc/$pid/exe" || true) == "$(readlink -f "$(command -v "$name")")" ]]; then
			echo "$host $name $pid: $(on "$host" sed -n 's/^VmHWM:[[:space:]]*//p' "/proc/$pid/status")"
		fi
	done
}

make_hosts 10.79.0 coordinator "${names[@]}" || {
	echo "throughput: the kernel does not permit to make hosts here; run it as root" >&2
	exit 1
}
at=$(address_of coordinator):7443
on coordinator stillframe serve --data "$work/data" --listen "$at" --http 127.0.0.1:7480 2>"$work/coordinator.log" &
await 30 grep -q 'the coordinator runs' "$work/coordinator.log"
stillframe node-credentials --data "$work/data" -o "$work/node.pem" >/dev/null
for name in "${names[@]}"; do
	on "$name" "$many" $(((goroutines + 2) / 3)) >"$work/many-$name.out" 2>"$work/many-$name.log" &
	on "$name" stillframe-node --coordinator "$at" --credentials "$work/node.pem" 2>"$work/node-$name.log" &
done
for name in "${names[@]}"; do
	await 600 grep -q ready "$work/many-$name.out"
	await 30 grep -q registered "$work/node-$name.log"
done
# The longest budget that nodes give: all at once takes that long.
time on coordinator stillframe snapshot --coordinator http://127.0.0.1:7480 --program 'many-*' --max-pause 60s --within 600s \
	-o "$work/snapshot.db"
stillframe sql "$work/snapshot.db" "select hostname as host, goroutines, p.state, round(pause_ns / 1e6) as stopped_for_ms
from processes p join hosts using (host_id) order by 1"
echo "peak memory, the freezer's on the line with the higher number:"
peak coordinator stillframe
for name in "${names[@]}"; do
	peak "$name" stillframe-node
done
