//! The rules that the workspace keeps, as functions over its files.
//!
//! Each rule finds what breaks it; the tests below it plant a violation and see that it is found. `tests/tests/tidy.rs` runs
//! all of them over the workspace.
//!
//! * [`dependencies`]: which crate may depend on which.
//! * [`names`]: which files may name which library, and what only one crate may do.
//! * [`texts`]: what every file looks like.
//! * [`source`]: Rust text without comments and strings, and the paths in it. No compiler: names that macros make are not seen.

pub mod dependencies;
pub mod names;
pub mod source;
pub mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// What the rules look at.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Dependencies within the workspace, of any kind, by crate.
    pub dependencies: BTreeMap<String, BTreeSet<String>>,
    pub files: Vec<TextFile>,
}

/// A file whose content is text.
#[derive(Clone, Debug)]
pub struct TextFile {
    /// From the workspace's root, with `/`.
    pub path: String,
    pub text: String,
}

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// A file, with its line where there is one, or a crate.
    pub place: String,
    pub what: String,
}

impl Violation {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Violation { place: place.into(), what: what.into() }
    }
}

/// A rule and what keeps it.
pub struct Rule {
    pub name: &'static str,
    pub check: fn(&Workspace) -> Vec<Violation>,
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule { name: "dependencies run in one direction", check: dependencies::directions },
    Rule {
        name: "unsafe stands only in nodes/target and the entropy pin",
        check: names::unsafe_only_in_target,
    },
    Rule { name: "all other crates forbid unsafe code", check: names::forbids_unsafe },
    Rule { name: "only coordinator/src/store names rusqlite", check: names::only_store_names_sqlite },
    Rule { name: "only actor.rs and supervisor.rs name ractor", check: names::only_shells_name_actors },
    Rule { name: "only quic.rs names quinn", check: names::only_one_file_names_its_transport },
    Rule { name: "only nodes/target names ptrace", check: names::only_target_names_tracing },
    Rule { name: "nodes/target knows two modules of golang", check: names::golang_in_target },
    Rule { name: "golang makes no system call", check: names::golang_is_pure },
    Rule { name: "no Rust file is longer than a reader's patience", check: texts::length },
    Rule { name: "every source file says what it is for", check: texts::module_documentation },
    Rule { name: "nothing is left to be done", check: texts::leftovers },
    Rule { name: "no path of a machine", check: texts::machine_paths },
];

impl Workspace {
    /// Everything that git has or would take, and cargo's own view of the crates.
    pub fn load(root: &Path) -> Workspace {
        let listed = output(root, "git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let text = |path: &str| {
            let text = std::fs::read(root.join(path)).ok().and_then(|bytes| String::from_utf8(bytes).ok())?;
            Some(TextFile { path: path.to_owned(), text })
        };
        let files: Vec<TextFile> =
            listed.split('\0').filter(|path| !path.is_empty()).filter_map(text).collect();
        assert!(files.iter().any(|f| f.path == "Cargo.toml"), "{}: not the workspace", root.display());
        let metadata =
            output(root, env!("CARGO"), &["metadata", "--no-deps", "--offline", "--format-version=1"]);
        Workspace { dependencies: dependencies::of_metadata(&metadata), files }
    }

    fn rust(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter().filter(|f| f.path.ends_with(".rs"))
    }
}

/// A tool that the rules need must be there.
fn output(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|e| panic!("{program} {arguments:?}: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap_or_else(|e| panic!("{program} {arguments:?}: {e}"))
}

/// A workspace of these files, for the tests of rules.
#[cfg(test)]
pub(crate) fn planted(files: &[(&str, &str)]) -> Workspace {
    let file = |(path, text): &(&str, &str)| TextFile { path: (*path).into(), text: (*text).into() };
    Workspace { files: files.iter().map(file).collect(), ..Workspace::default() }
}

/// The places of the violations.
#[cfg(test)]
pub(crate) fn places(violations: &[Violation]) -> Vec<&str> {
    violations.iter().map(|v| v.place.as_str()).collect()
}
