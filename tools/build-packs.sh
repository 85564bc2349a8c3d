#!/usr/bin/env bash
# Builds tests/programs/packs with releases of the libraries that packs know, outside the clone:
#
#   $STILLFRAME_PROGRAMS/packs-<library>-<release>-<go version>
#
# What is there already is left. Without MATRIX=all, one build of each library's newest release. Modules come from
# the module proxy. LIBRARIES="pgx otel" builds these only.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
sources=$root/tests/programs/packs
: "${STILLFRAME_PROGRAMS:?names the folder that the programs go to}"
mkdir -p "$STILLFRAME_PROGRAMS"

newest="http:std:1.27.3 http:std:1.26.6 database_sql:std:1.27.3 grpc:v1.85.0:1.27.3 pgx:v5.12.0:1.27.3 redis:v9.23.0:1.27.3
	otel:v0.72.0:1.27.3 h2c:v0.59.0:1.27.3 grpc_http:v1.85.0:1.27.3 context:std:1.27.3 locks:std:1.27.3"
# The oldest releases are those that build with all versions of Go. gRPC's types changed in 1.69, 1.71 and 1.77.
all="http:std:1.21.13 http:std:1.22.10 http:std:1.23.9 http:std:1.24.11 http:std:1.25.5 http:std:1.26.6 http:std:1.27.3
	database_sql:std:1.21.13 database_sql:std:1.22.10 database_sql:std:1.23.9 database_sql:std:1.24.11
	database_sql:std:1.25.5 database_sql:std:1.26.6 database_sql:std:1.27.3
	grpc:v1.43.0:1.21.13 grpc:v1.43.0:1.27.3 grpc:v1.60.1:1.21.13 grpc:v1.68.0:1.22.10 grpc:v1.68.0:1.24.11
	grpc:v1.68.0:1.27.3 grpc:v1.69.0:1.23.9 grpc:v1.69.0:1.27.3 grpc:v1.71.0:1.24.11 grpc:v1.71.0:1.27.3
	grpc:v1.77.0:1.25.5 grpc:v1.77.0:1.27.3 grpc:v1.85.0:1.26.6 grpc:v1.85.0:1.27.3
	redis:v9.0.0:1.21.13 redis:v9.0.0:1.27.3 redis:v9.14.0:1.24.11 redis:v9.23.0:1.26.6 redis:v9.23.0:1.27.3
	pgx:v5.0.0:1.21.13 pgx:v5.0.0:1.27.3 pgx:v5.7.0:1.24.11 pgx:v5.12.0:1.26.6 pgx:v5.12.0:1.27.3
	otel:v0.46.0:1.21.13 otel:v0.46.0:1.27.3 otel:v0.61.0:1.24.11 otel:v0.72.0:1.27.3
	h2c:v0.16.0:1.21.13 h2c:v0.16.0:1.27.3 h2c:v0.34.0:1.24.11 h2c:v0.59.0:1.27.3
	grpc_http:v1.43.0:1.21.13 grpc_http:v1.43.0:1.27.3 grpc_http:v1.71.0:1.24.11 grpc_http:v1.77.0:1.25.5
	grpc_http:v1.85.0:1.27.3
	context:std:1.21.13 context:std:1.22.10 context:std:1.23.9 context:std:1.24.11 context:std:1.25.5 context:std:1.26.6
	context:std:1.27.3
	locks:std:1.21.13 locks:std:1.22.10 locks:std:1.23.9 locks:std:1.24.11 locks:std:1.25.5 locks:std:1.26.6
	locks:std:1.27.3"

module_of() { # library
	case $1 in
	grpc | grpc_http) echo google.golang.org/grpc ;;
	redis) echo github.com/redis/go-redis/v9 ;;
	pgx) echo github.com/jackc/pgx/v5 ;;
	h2c) echo golang.org/x/net ;;
	# Released together with otelhttp.
	otel) echo go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc ;;
	esac
}

build() { # library release version
	local target=$STILLFRAME_PROGRAMS/packs-$1-$2-$3 work module
	[[ -x $target ]] && return
	work=$(mktemp -d)
	cp "$sources/main.go" "$sources/library_$1.go" "$work"
	printf 'module stillframe.test/packs\n\ngo %s\n' "${3%.*}" >"$work/go.mod"
	module=$(module_of "$1")
	(
		cd "$work"
		export GOTOOLCHAIN=go$3 GOWORK=off CGO_ENABLED=0 GOFLAGS=-buildvcs=false
		if [[ -n $module ]]; then
			go get "$module@$2"
			if [[ $1 == otel ]]; then
				go get "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp@$2" \
					"go.opentelemetry.io/otel/sdk@$(go list -m -f '{{.Version}}' go.opentelemetry.io/otel)"
			fi
			go mod tidy
			# Dependencies may name a newer one.
			sed -i '/^toolchain/d' go.mod
		fi
		go build -tags "$1" -o "$work/packs" .
	) >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		echo "build-packs: $1 $2 with Go $3 failed" >&2
		return 1
	}
	mv -f "$work/packs" "$target"
	rm -rf "$work"
	echo "built $target" >&2
}

list=$newest
[[ ${MATRIX:-} != all ]] || list=$all
for one in $list; do
	IFS=: read -r library release version <<<"$one"
	[[ " ${LIBRARIES:-$library} " == *" $library "* ]] || continue
	build "$library" "$release" "$version"
done
