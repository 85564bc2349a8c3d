//! What every file looks like.

use super::{TextFile, Violation, Workspace};

/// A file is one idea, usually 100 to 400 lines (STYLE.md).
pub const LINES_MAX: usize = 600;

pub fn length(workspace: &Workspace) -> Vec<Violation> {
    let lines = |f: &TextFile| f.text.lines().count();
    let long = workspace.rust().filter(|f| lines(f) > LINES_MAX);
    long.map(|f| Violation::new(&f.path, format!("has {} lines, more than {LINES_MAX}", lines(f)))).collect()
}

pub fn module_documentation(workspace: &Workspace) -> Vec<Violation> {
    let is_source = |f: &&TextFile| f.path.contains("/src/") || f.path.starts_with("src/");
    let without = workspace.rust().filter(is_source).filter(|f| !f.text.starts_with("//! "));
    without.map(|f| Violation::new(&f.path, "does not begin with `//!` and what it is for")).collect()
}

/// In two parts, so that this file does not break its own rules.
const LEFTOVERS: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("unimpl", "emented!(")];

pub fn leftovers(workspace: &Workspace) -> Vec<Violation> {
    let is_code = |path: &str| {
        [".rs", ".go", ".c", ".sql", ".sh", ".toml", ".py"].iter().any(|end| path.ends_with(end))
    };
    lines(
        workspace,
        |f| is_code(&f.path),
        |line| LEFTOVERS.iter().find(|mark| contains_word(line, mark)).copied(),
    )
}

/// Folders of one person's or one machine's.
const HOMES: &[&str] = &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];

/// A text that names such a folder is of use on one machine only.
pub fn machine_paths(workspace: &Workspace) -> Vec<Violation> {
    lines(workspace, |_| true, |line| HOMES.iter().find(|home| begins_path(line, home)).copied())
}

fn lines(
    workspace: &Workspace,
    selects: impl Fn(&TextFile) -> bool,
    finds: impl Fn(&str) -> Option<&'static str>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in workspace.files.iter().filter(|f| selects(f)) {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(found) = finds(line) {
                violations
                    .push(Violation::new(format!("{}:{}", file.path, number + 1), format!("has {found}")));
            }
        }
    }
    violations
}

/// As a word: `TODOS` is another one. A mark that ends in a bracket has its end itself.
fn contains_word(line: &str, mark: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let is_open = |after: &str| !mark.ends_with('(') && joins(after.chars().next());
    line.match_indices(mark)
        .any(|(at, _)| !joins(line[..at].chars().next_back()) && !is_open(&line[at + mark.len()..]))
}

/// At the beginning of an absolute path, not in the middle of one: `page/home/index.html`.
fn begins_path(line: &str, home: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '}' | '/');
    line.match_indices(home).any(|(at, _)| !line[..at].chars().next_back().is_some_and(joins))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::{places, planted};

    #[test]
    fn length_bites() {
        let check = |lines: usize, path| length(&planted(&[(path, &"\n".repeat(lines))])).len();
        assert_eq!(check(LINES_MAX + 1, "wire/src/a.rs"), 1);
        assert_eq!(check(LINES_MAX, "wire/src/a.rs"), 0);
        assert_eq!(check(LINES_MAX + 1, "README.md"), 0);
    }

    #[test]
    fn module_documentation_bites() {
        let check = |text, path| module_documentation(&planted(&[(path, text)])).len();
        assert_eq!(check("use std::fs;\n//! Late.\n", "wire/src/a.rs"), 1);
        assert_eq!(check("", "wire/src/a.rs"), 1);
        assert_eq!(check("//! What it is for.\n", "wire/src/a.rs"), 0);
    }

    #[test]
    fn leftovers_bites() {
        for mark in LEFTOVERS {
            let text = format!("fine\n    // {mark} x\n");
            for path in ["wire/src/a.rs", "tests/programs/still/main.go", "tools/a.sh"] {
                assert_eq!(places(&leftovers(&planted(&[(path, &text)]))), [format!("{path}:2")]);
            }
        }
        let other = format!("{}S, context.{}()", LEFTOVERS[0], LEFTOVERS[0].to_lowercase());
        assert_eq!(leftovers(&planted(&[("a.rs", &other)])), []);
    }

    #[test]
    fn machine_paths_bites() {
        for home in HOMES {
            let text = format!("fine\nsee {home}anybody/x\n");
            assert_eq!(places(&machine_paths(&planted(&[("docs/a.md", &text)]))), ["docs/a.md:2"]);
            let inside = format!("GET http://localhost:80/page{home}x\n");
            assert_eq!(machine_paths(&planted(&[("docs/a.md", &inside)])), []);
        }
    }
}
