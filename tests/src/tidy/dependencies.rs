//! Which crate may depend on which: ARCHITECTURE.md, "Folders and crates".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Violation, Workspace};

/// What each crate may depend on within the workspace. A new crate gets a line here: that is a decision.
const ALLOWED: &[(&str, &[&str])] = &[
    ("stillframe-wire", &[]),
    ("stillframe-actors", &["stillframe-wire"]),
    ("stillframe-golang", &[]),
    // The freezer and its client speak the codec of `wire`.
    ("stillframe-target", &["stillframe-golang", "stillframe-wire"]),
    ("stillframe-node", &["stillframe-actors", "stillframe-golang", "stillframe-target", "stillframe-wire"]),
    ("stillframe", &["stillframe-actors", "stillframe-node", "stillframe-wire"]),
    ("stillframe-simulation", &["stillframe-actors", "stillframe-node", "stillframe-wire"]),
];

/// May depend on all; nothing depends on it.
const TESTS: &str = "stillframe-tests";

pub fn directions(workspace: &Workspace) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (package, dependencies) in &workspace.dependencies {
        if package == TESTS {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == package) else {
            violations.push(Violation::new(package, "is in no line of the table of dependencies"));
            continue;
        };
        for dependency in dependencies.iter().filter(|d| !allowed.contains(&d.as_str())) {
            violations.push(Violation::new(package, format!("depends on {dependency}")));
        }
    }
    violations
}

/// Dependencies of every kind (normal, dev, build) among the workspace's crates, from `cargo metadata --no-deps`.
pub fn of_metadata(json: &str) -> BTreeMap<String, BTreeSet<String>> {
    let metadata: Value = serde_json::from_str(json).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("cargo metadata has packages");
    let name = |value: &Value| value["name"].as_str().expect("a package has a name").to_owned();
    let all: BTreeSet<String> = packages.iter().map(&name).collect();
    let dependencies = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("a package has dependencies");
        dependencies.iter().map(&name).filter(|d| all.contains(d)).collect()
    };
    packages.iter().map(|package| (name(package), dependencies(package))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    fn workspace(package: &str, dependency: &str) -> Workspace {
        let json = format!(
            r#"{{"packages": [
                {{"name": "{package}", "dependencies": [{{"name": "{dependency}"}}, {{"name": "serde"}}]}},
                {{"name": "{dependency}", "dependencies": []}}]}}"#
        );
        Workspace { dependencies: of_metadata(&json), ..Workspace::default() }
    }

    #[test]
    fn directions_bites() {
        for (package, dependency) in [
            ("stillframe-wire", "stillframe-golang"),
            ("stillframe-golang", "stillframe-wire"),
            ("stillframe-golang", "stillframe-target"),
            ("stillframe-target", "stillframe-node"),
            ("stillframe-node", "stillframe"),
            ("stillframe", "stillframe-target"),
            ("stillframe", "stillframe-golang"),
            ("stillframe-node", "stillframe-tests"),
        ] {
            let violations = directions(&workspace(package, dependency));
            assert_eq!(places(&violations), [package], "{package} on {dependency}");
        }
        assert_eq!(places(&directions(&workspace("stillframe-new", "stillframe-wire"))), ["stillframe-new"]);
    }

    #[test]
    fn directions_lets_pass_what_is_allowed() {
        for (package, dependency) in [
            ("stillframe-target", "stillframe-golang"),
            ("stillframe-target", "stillframe-wire"),
            ("stillframe-tests", "stillframe-golang"),
        ] {
            assert_eq!(directions(&workspace(package, dependency)), []);
        }
    }
}
