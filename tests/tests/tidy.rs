//! The workspace keeps its rules: see `stillframe_tests::tidy`, where each is shown to bite.

use std::path::Path;

use stillframe_tests::tidy::{RULES, Workspace};

#[test]
fn the_workspace_keeps_its_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let workspace = Workspace::load(root);
    assert!(workspace.files.len() > 100, "only {} files were found", workspace.files.len());
    assert!(workspace.dependencies.len() >= 6, "{:?}", workspace.dependencies);
    let mut broken = Vec::new();
    for rule in RULES {
        let violations = (rule.check)(&workspace);
        println!("{:50} {}", rule.name, if violations.is_empty() { "kept" } else { "BROKEN" });
        broken.extend(violations.iter().map(|v| format!("{}: {} {}", rule.name, v.place, v.what)));
    }
    assert!(broken.is_empty(), "{} violations:\n{}", broken.len(), broken.join("\n"));
}
