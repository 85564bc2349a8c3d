# shellcheck shell=bash
# Installs what a fresh Debian machine lacks. Sourced by ./demo and ./test, which
# then call the ensure_* functions for what they need. What is there already is
# used and left as it is; nothing is installed twice.

# Go for the shop and for building with other versions of Go (GOTOOLCHAIN): any
# Go from this one on will do; this one is installed where there is none.
go_version_wanted=1.26.6
rust_version_wanted=1.95

# The digests of what is downloaded without a package manager that checks it.
# What a module proxy has is immutable.
declare -A go_archive_sha256=(
	[amd64]=6347bdd1fdc7c659d955d8034cd82ec23a5b776bf48b9dfc3a75088d2dacfe0e
	[arm64]=a2313f15b100a99fd202aaf11adce2cbeec3c684317eef414fc97054dc644d11
)

cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/stillframe

say() { printf '%s\n' "$*" >&2; }

die() {
	say "error: $*"
	exit 1
}

# step NAME COMMAND... runs a command and prints how long it took. A command that
# fails ends the script (set -e); report_step, in the script's EXIT trap, says
# which one it was. Not `if COMMAND`: that would switch set -e off within it.
current_step=
step() {
	local name=$1 start=$SECONDS
	shift
	current_step=$name
	say "==> $name"
	"$@"
	current_step=
	say "    $name: $((SECONDS - start)) s"
}

report_step() { [[ -z $current_step ]] || say "failed: $current_step"; }

# at_least HAVE WANTED compares versions.
at_least() { [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]; }

as_root() {
	if [[ $(id -u) == 0 ]]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "$1 needs root, and there is no sudo; run this as root once, or install what it names by hand"
	fi
}

apt_updated=
apt_install() {
	command -v apt-get >/dev/null || die "missing: $*; there is no apt-get here, so install them by hand"
	say "    installing $*"
	if [[ -z $apt_updated ]]; then
		as_root apt-get -qq update >&2
		apt_updated=yes
	fi
	# What dpkg says is of interest only if it fails.
	local log
	log=$(mktemp)
	if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >"$log" 2>&1; then
		cat "$log" >&2
		die "apt-get cannot install $*"
	fi
	rm -f "$log"
}

# ensure_commands COMMAND=PACKAGE... installs the packages of missing commands.
ensure_commands() {
	local pair missing=()
	for pair in "$@"; do
		command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
	done
	((${#missing[@]} == 0)) || apt_install "${missing[@]}"
}

# ensure_base COMMAND=PACKAGE... also installs what every build needs.
ensure_base() {
	[[ -e /etc/ssl/certs/ca-certificates.crt ]] || apt_install ca-certificates
	ensure_commands curl=curl cc=build-essential "$@"
}

machine() {
	case $(uname -m) in
	x86_64) echo amd64 x86_64 ;;
	aarch64) echo arm64 aarch64 ;;
	*) die "stillframe runs on x86_64 and aarch64, not on $(uname -m)" ;;
	esac
}

# download URL FILE SHA256 leaves FILE only if its digest is right.
download() {
	local url=$1 file=$2 digest=$3
	curl --proto '=https' -fsSL --retry 3 -o "$file.unfinished" "$url" || return 1
	if [[ $(sha256sum <"$file.unfinished") != "$digest "* ]]; then
		rm -f "$file.unfinished"
		die "$url has not the digest $digest"
	fi
	mv "$file.unfinished" "$file"
}

rust_is_new_enough() {
	command -v cargo >/dev/null && at_least "$(cargo --version 2>/dev/null | cut -d' ' -f2)" "$rust_version_wanted"
}

ensure_rust() {
	rust_is_new_enough && return
	# A rustup that was installed but is not on this shell's path.
	PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
	hash -r
	rust_is_new_enough && return
	if ! command -v rustup >/dev/null; then
		say "    installing Rust (rustup)"
		local triple url digest installer
		triple=$(machine | cut -d' ' -f2)-unknown-linux-gnu
		url=https://static.rust-lang.org/rustup/dist/$triple/rustup-init
		digest=$(curl --proto '=https' -fsSL --retry 3 "$url.sha256" | cut -c1-64) || die "cannot reach $url"
		installer=$(mktemp -d)/rustup-init
		download "$url" "$installer" "$digest" || die "cannot download $url"
		chmod +x "$installer"
		"$installer" -y --quiet --profile minimal --component rustfmt --component clippy --no-modify-path >/dev/null
		rm -rf "$(dirname "$installer")"
		hash -r
	else
		say "    bringing Rust up to date"
		rustup --quiet toolchain install stable --profile minimal --component rustfmt --component clippy >&2
		export RUSTUP_TOOLCHAIN=stable
	fi
	rust_is_new_enough || die "cargo $rust_version_wanted or newer is needed; found $(cargo --version 2>&1)"
}

# ensure_rust_component COMMAND=COMPONENT...
ensure_rust_component() {
	local pair
	for pair in "$@"; do
		cargo "${pair%%=*}" --version >/dev/null 2>&1 && continue
		command -v rustup >/dev/null || die "cargo ${pair%%=*} is missing, and there is no rustup to install it; install it by hand"
		rustup --quiet component add "${pair#*=}" >&2
	done
}

go_is_new_enough() {
	command -v go >/dev/null &&
		at_least "$(cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//')" "${go_version_wanted%.*}"
}

# Go comes as a tarball, or, where its host cannot be reached, from the module
# proxy that go itself would ask for a toolchain.
ensure_go() {
	go_is_new_enough && return
	if [[ -x /usr/local/go/bin/go ]]; then
		PATH=/usr/local/go/bin:$PATH
		go_is_new_enough && return
	fi
	local goroot=$cache_dir/go-$go_version_wanted
	if [[ ! -x $goroot/bin/go ]]; then
		say "    installing Go $go_version_wanted into $goroot"
		local arch work name proxy
		arch=$(machine | cut -d' ' -f1)
		name=go$go_version_wanted.linux-$arch
		mkdir -p "$cache_dir"
		work=$(mktemp -d "$cache_dir/go-XXXXXX")
		proxy=${GOPROXY:-https://proxy.golang.org}
		proxy=${proxy%%[,|]*}
		if download "$proxy/golang.org/toolchain/@v/v0.0.1-$name.zip" "$work/go.zip" "${go_archive_sha256[$arch]}"; then
			ensure_commands unzip=unzip
			unzip -q "$work/go.zip" -d "$work"
			mv "$work/golang.org/toolchain@v0.0.1-$name" "$work/go"
			# Modules carry no modes.
			chmod -R u+w "$work/go"
			find "$work/go/bin" "$work/go/pkg/tool" -type f -exec chmod +x {} +
		else
			say "    not from the module proxy; trying the tarball"
			local digest
			digest=$(curl --proto '=https' -fsSL --retry 3 "https://dl.google.com/go/$name.tar.gz.sha256") || die "Go cannot be downloaded; install Go ${go_version_wanted%.*} or newer by hand"
			download "https://dl.google.com/go/$name.tar.gz" "$work/go.tar.gz" "${digest:0:64}" || die "Go cannot be downloaded; install Go ${go_version_wanted%.*} or newer by hand"
			tar -xzf "$work/go.tar.gz" -C "$work"
		fi
		rm -rf "$goroot"
		mv "$work/go" "$goroot"
		rm -rf "$work"
	fi
	PATH=$goroot/bin:$PATH
	hash -r
	go_is_new_enough || die "$goroot/bin/go does not run"
}

postgres_bin() {
	if command -v initdb >/dev/null && command -v pg_ctl >/dev/null; then
		dirname "$(command -v initdb)"
		return
	fi
	local newest
	newest=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
	[[ -n $newest && -x $newest/initdb ]] && echo "$newest"
}

# ensure_postgres sets postgres_bin_dir for its caller. Debian's package would start a server of
# its own on port 5432; it is told not to while it is installed.
ensure_postgres() {
	# shellcheck disable=SC2034 # demo uses it
	if ! postgres_bin_dir=$(postgres_bin); then
		local quiet=/etc/postgresql-common/createcluster.d/stillframe.conf
		as_root mkdir -p "$(dirname "$quiet")"
		as_root sh -c "echo 'create_main_cluster = false' > $quiet"
		apt_install postgresql
		as_root rm -f "$quiet"
		postgres_bin_dir=$(postgres_bin) || die "PostgreSQL was installed but initdb is not in /usr/lib/postgresql/*/bin"
	fi
}
