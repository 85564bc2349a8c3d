//! Which files may name what. ARCHITECTURE.md gives the reasons; each of these names is a boundary.

use super::source::{NamePath, paths};
use super::{TextFile, Violation, Workspace};

/// The only crate that touches a target, and that has unsafe code for it.
const TARGET: &str = "nodes/target/";
/// The only other file with unsafe code: it replaces functions of the C library in the simulation.
const ENTROPY_PIN: &str = "simulation/src/entropy.rs";
const SIMULATION: &str = "simulation/src/lib.rs";
const GOLANG: &str = "nodes/golang/src/";
const STORE: &str = "coordinator/src/store/";

/// Paths in Rust files that `is_elsewhere` selects and `is_named` recognises.
fn named(
    workspace: &Workspace,
    is_elsewhere: impl Fn(&str) -> bool,
    is_named: impl Fn(&NamePath) -> bool,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in workspace.rust().filter(|f| is_elsewhere(&f.path)) {
        for path in paths(&file.text).iter().filter(|p| is_named(p)) {
            let place = format!("{}:{}", file.path, path.line);
            violations.push(Violation::new(place, format!("names {}", path.names.join("::"))));
        }
    }
    violations
}

pub fn unsafe_only_in_target(workspace: &Workspace) -> Vec<Violation> {
    let is_elsewhere = |path: &str| !path.starts_with(TARGET) && path != ENTROPY_PIN;
    named(workspace, is_elsewhere, |p| p.contains("unsafe"))
}

/// The root of each crate says it, so that the compiler checks it; that of the simulation denies it, so that one file may.
pub fn forbids_unsafe(workspace: &Workspace) -> Vec<Violation> {
    let is_root = |f: &&TextFile| {
        (f.path.ends_with("src/lib.rs") || f.path.ends_with("src/main.rs")) && !f.path.starts_with(TARGET)
    };
    let says_so = |f: &&TextFile| {
        let level = if f.path == SIMULATION { "deny" } else { "forbid" };
        f.text.lines().any(|line| line == format!("#![{level}(unsafe_code)]"))
    };
    let without = workspace.rust().filter(is_root).filter(|f| !says_so(f));
    without.map(|f| Violation::new(&f.path, "does not forbid unsafe code")).collect()
}

pub fn only_store_names_sqlite(workspace: &Workspace) -> Vec<Violation> {
    named(workspace, |path| !path.starts_with(STORE), |p| p.contains("rusqlite"))
}

pub fn only_shells_name_actors(workspace: &Workspace) -> Vec<Violation> {
    let is_shell = |path: &str| matches!(file_name(path), "actor.rs" | "supervisor.rs");
    named(workspace, |path| !is_shell(path), |p| p.contains("ractor"))
}

pub fn only_one_file_names_its_transport(workspace: &Workspace) -> Vec<Violation> {
    named(workspace, |path| file_name(path) != "quic.rs", |p| p.contains("quinn"))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

pub fn only_target_names_tracing(workspace: &Workspace) -> Vec<Violation> {
    let is_ptrace = |name: &String| name == "ptrace" || name.starts_with("PTRACE_");
    named(workspace, |path| !path.starts_with(TARGET), |p| p.names.iter().any(is_ptrace))
}

/// `target` gives memory and threads, and does not know what they mean.
pub fn golang_in_target(workspace: &Workspace) -> Vec<Violation> {
    let is_known = |p: &NamePath| {
        ["memory", "thread"].iter().any(|module| p.starts_with(&["stillframe_golang", module]))
    };
    named(
        workspace,
        |path| path.starts_with("nodes/target/src/"),
        |p| p.contains("stillframe_golang") && !is_known(p),
    )
}

/// What reaches out of the process, or differs from one run to the next.
const OUTSIDE: &[&[&str]] = &[
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["std", "os"],
    &["std", "env"],
    &["std", "thread"],
    &["std", "time", "SystemTime"],
    &["std", "time", "Instant"],
    &["SystemTime"],
    &["Instant"],
    &["nix"],
    &["libc"],
];

pub fn golang_is_pure(workspace: &Workspace) -> Vec<Violation> {
    let is_outside = |p: &NamePath| OUTSIDE.iter().any(|outside| p.starts_with(outside));
    named(workspace, |path| path.starts_with(GOLANG), is_outside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::{places, planted};

    type Check = fn(&Workspace) -> Vec<Violation>;

    /// `text` breaks the rule at each of `bad` and at none of `good`.
    fn bites(check: Check, text: &str, bad: &[&str], good: &[&str]) {
        for path in bad {
            assert_eq!(places(&check(&planted(&[(path, text)]))), [format!("{path}:1")], "{text}");
        }
        for path in good {
            assert_eq!(check(&planted(&[(path, text)])), [], "{path}: {text}");
        }
    }

    #[test]
    fn unsafe_only_in_target_bites() {
        let text = "fn f() { unsafe { g() } }";
        bites(
            unsafe_only_in_target,
            text,
            &["wire/src/facts.rs", "nodes/agent/src/a.rs"],
            &["nodes/target/src/a.rs", "docs/unsafe.md", "simulation/src/entropy.rs"],
        );
        bites(unsafe_only_in_target, text, &["simulation/src/run.rs", "simulation/tests/entropy.rs"], &[]);
        bites(unsafe_only_in_target, "#![forbid(unsafe_code)] // unsafe", &[], &["wire/src/lib.rs"]);
    }

    #[test]
    fn forbids_unsafe_bites() {
        let root =
            |text| forbids_unsafe(&planted(&[("wire/src/lib.rs", text), ("nodes/target/src/lib.rs", "")]));
        assert_eq!(places(&root("//! Wire.\n")), ["wire/src/lib.rs"]);
        assert_eq!(places(&root("//! Wire.\n// #![forbid(unsafe_code)]\n")), ["wire/src/lib.rs"]);
        assert_eq!(root("//! Wire.\n#![forbid(unsafe_code)]\n"), []);
        assert_eq!(places(&root("//! Wire.\n#![deny(unsafe_code)]\n")), ["wire/src/lib.rs"]);
        let simulation = |text| forbids_unsafe(&planted(&[("simulation/src/lib.rs", text)]));
        assert_eq!(simulation("#![deny(unsafe_code)]\n"), []);
        assert_eq!(places(&simulation("//! Simulation.\n")), ["simulation/src/lib.rs"]);
    }

    #[test]
    fn rusqlite_bites() {
        let good = ["coordinator/src/store/writer.rs"];
        let bad = ["coordinator/src/main.rs", "tests/tests/a.rs"];
        bites(only_store_names_sqlite, "use rusqlite::Connection;", &bad, &good);
        bites(only_store_names_sqlite, "fn f() -> ::rusqlite::Result<()> {}", &bad, &good);
    }

    #[test]
    fn ractor_bites() {
        let good = ["actors/src/capture/actor.rs", "nodes/agent/src/supervisor.rs"];
        bites(only_shells_name_actors, "use ractor::Actor;", &["actors/src/capture/state.rs"], &good);
    }

    #[test]
    fn quinn_bites() {
        bites(
            only_one_file_names_its_transport,
            "use quinn::Endpoint;",
            &["coordinator/src/session.rs"],
            &["coordinator/src/quic.rs"],
        );
    }

    #[test]
    fn ptrace_bites() {
        let good = ["nodes/target/src/freeze/ptrace.rs"];
        bites(only_target_names_tracing, "use nix::sys::{ptrace};", &["nodes/agent/src/capture.rs"], &good);
        bites(only_target_names_tracing, "call(libc::PTRACE_SEIZE)", &["tests/src/lib.rs"], &good);
        bites(
            only_target_names_tracing,
            "const CAP_SYS_PTRACE: u32 = 19; // ptrace",
            &[],
            &["nodes/agent/src/doctor.rs"],
        );
    }

    #[test]
    fn golang_in_target_bites() {
        let bad = ["nodes/target/src/core.rs"];
        bites(golang_in_target, "use stillframe_golang::{build::Build};", &bad, &["nodes/agent/src/a.rs"]);
        bites(golang_in_target, "use stillframe_golang as g;", &bad, &[]);
        bites(golang_in_target, "use stillframe_golang::{memory::Memory, thread::Thread};", &[], &bad);
    }

    #[test]
    fn golang_is_pure_bites() {
        let bad = ["nodes/golang/src/build.rs"];
        for text in [
            "use std::{fs};",
            "std::net::TcpStream::connect()",
            "use std::process::Command;",
            "use std::time::{Instant};",
            "let now = std::time::SystemTime::now();",
            "use nix::sys::uio;",
            "libc::getpid()",
        ] {
            bites(golang_is_pure, text, &bad, &["nodes/target/src/a.rs", "nodes/golang/tests/a.rs"]);
        }
        bites(golang_is_pure, "use std::{fmt, time::Duration};", &[], &bad);
    }
}
