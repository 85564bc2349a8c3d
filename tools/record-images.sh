#!/usr/bin/env bash
# Makes the recorded images of programs for arm64 anew: tests/tests/images (needs Debian's package qemu-user). They are kept,
# so that every machine checks them; look at what `git diff --stat` says of their sizes.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT

# Of the oldest version, one between, and the newest.
for version in 1.21.13 1.24.11 1.27.3; do
	(cd "$root/tests/tests/programs/parked" && GOTOOLCHAIN=go$version GOWORK=off GOFLAGS=-buildvcs=false GOARCH=arm64 \
		CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$built/parked-arm64-$version" .)
done
cd "$root"
STILLFRAME_IMAGES=write STILLFRAME_PARKED=$built cargo test --locked -p stillframe-tests --test arm64 recorded -- --nocapture
