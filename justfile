# The chores of this repository; `just` lists them.

export CARGO_TARGET_DIR := env("CARGO_TARGET_DIR", env("XDG_CACHE_HOME", env("HOME") / ".cache") / "stillframe/target")

_list:
    @just --list

# The stillframe binary, optimised
build:
    cargo build --release --locked -p stillframe

# Everything that CI runs
ci:
    ./test

# The Rust tests, with the Go programs they need; arguments go to cargo test
test *arguments:
    export STILLFRAME_PROGRAMS="$(tools/build-programs.sh)" && tools/build-packs.sh && cargo test --workspace --locked {{ arguments }}

# Format all sources
fmt:
    cargo fmt --all
    gofmt -w tests/programs/busy tests/programs/many tests/programs/shop/cmd tests/programs/shop/internal

lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# The shop, a snapshot of it and what it shows
demo *arguments:
    ./demo {{ arguments }}

# Fuzz one target: just fuzz unwind 600
fuzz target seconds="60":
    fuzz/run {{ target }} {{ seconds }}

# Benchmarks
bench *arguments:
    cargo bench --workspace --locked {{ arguments }}

# The Go test programs
programs:
    tools/build-programs.sh

# Every Go version and kind of build against Go's own tracebacks
matrix:
    programs="$(PROGRAMS=still MATRIX=all STILLFRAME_PROGRAMS="$(tools/build-programs.sh)-matrix" tools/build-programs.sh)" && \
    STILLFRAME_PROGRAMS="$programs" cargo test --locked -p stillframe-tests --test differential -- --nocapture snapshots_agree

# What the code assumes of Go's runtime, against the source of all releases
facts:
    cd tools/runtime-facts && go test ./... && go run . check

# The generated code of the shop's services (needs protoc, protoc-gen-go and protoc-gen-go-grpc)
proto:
    cd tests/programs/shop/internal/pb && go generate .
