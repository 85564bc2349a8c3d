# shellcheck shell=bash
# Several hosts on one machine, for ./demo and for the tests: each has a network, processes and a name of its own (Linux
# namespaces), and all share the files. The first one has a bridge that the others are plugged into. Sourced.
#
#   make_hosts 10.77.0 coordinator web store   fails where that is not permitted, and leaves nothing behind
#   on web hostname                            runs a command there
#   address_of store                           10.77.0.3
#   end_hosts                                  kills all that runs there
#
# Root is not needed where the kernel lets users make user namespaces. The machine's own network is not touched.

declare -A host_pid=() host_number=()
hosts_network=
hosts_user=()

# make_host NAME COMMAND... starts a process that keeps a host's namespaces.
make_host() {
	local name=$1 try holder
	shift
	"$@" unshare --net --uts --pid --fork --mount-proc --kill-child \
		bash -c 'hostname "$1" && ip link set lo up && exec -a "stillframe-host-$1" sleep infinity' host "$name" \
		</dev/null >/dev/null 2>&1 &
	local outer=$!
	for ((try = 0; try < 100; try++)); do
		# The one below unshare, perhaps below a nsenter too; with its last name, its namespaces are ready.
		holder=$(find_host "$outer" "stillframe-host-$name")
		if [[ -n $holder ]]; then
			host_pid[$name]=$holder
			disown "$outer"
			return
		fi
		kill -0 "$outer" 2>/dev/null || return 1
		sleep 0.05
	done
	kill -KILL "$outer"
	return 1
}

# find_host PID NAME prints the process of that name at or below a process.
find_host() {
	local child
	if [[ $({ tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null) == "$2 "* ]]; then
		echo "$1"
		return
	fi
	for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
		find_host "$child" "$2"
	done
}

make_hosts() {
	hosts_network=$1
	shift
	command -v unshare >/dev/null && command -v nsenter >/dev/null && command -v ip >/dev/null || return 1
	local first=$1 name
	try_hosts "$@" && return
	end_hosts
	return 1
}

try_hosts() {
	local first=$1 name number=0 own=()
	if [[ $(id -u) == 0 ]]; then
		make_host "$first" env || return 1
	else
		make_host "$first" unshare --user --map-root-user || return 1
		hosts_user=(--user --preserve-credentials)
		own=(nsenter --target "${host_pid[$first]}" "${hosts_user[@]}")
	fi
	for name in "${@:2}"; do
		make_host "$name" ${own[@]+"${own[@]}"} env || return 1
	done
	for name in "$@"; do
		number=$((number + 1))
		host_number[$name]=$number
		if [[ $name == "$first" ]]; then
			on "$first" ip link add bridge type bridge || return 1
			on "$first" ip link set bridge up || return 1
			on "$first" ip address add "$(address_of "$first")/24" dev bridge || return 1
		else
			plug_in "$first" "$name" || return 1
		fi
	done
}

plug_in() {
	# The process id as the first host's processes see it does not exist: the link is moved from outside.
	nsenter --target "${host_pid[$1]}" ${hosts_user[@]+"${hosts_user[@]}"} --net \
		ip link add "to-$2" type veth peer name eth0 netns "/proc/${host_pid[$2]}/ns/net" &&
		on "$1" ip link set "to-$2" master bridge up &&
		on "$2" ip address add "$(address_of "$2")/24" dev eth0 &&
		on "$2" ip link set eth0 up
}

address_of() { echo "$hosts_network.${host_number[$1]}"; }

on() {
	local name=$1
	shift
	nsenter --target "${host_pid[$name]}" ${hosts_user[@]+"${hosts_user[@]}"} --net --uts --pid --mount -- "$@"
}

end_hosts() {
	local name
	for name in "${!host_pid[@]}"; do
		kill -KILL "${host_pid[$name]}" 2>/dev/null || true
	done
	host_pid=() host_number=() hosts_user=()
}
