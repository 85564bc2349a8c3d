//! Several probe sets as one text: packs, sets that a coordinator keeps, files, and behind them those that their program
//! rules name. A `[[set]]` section at the end says of each of the last ones which lines it has and whose it is.

use std::path::{Path, PathBuf};

use super::{Class, Failure, Part, is_stdin, lines, name, read_one, wrong};
use crate::api::probe_sets::ProbeSetText;
use crate::packs::Pack;
use crate::probe_sets::{self, ProgramRule, SetError, SetErrors, StoredName, TextPlace};

/// Sets that rules name, in one text.
const NAMED_MAX: usize = 64;

/// Who has the sets that rules name.
pub type Keeper<'a> = &'a dyn Fn(&StoredName) -> Result<ProbeSetText, Failure>;

/// One text, and where each set begins in it.
pub struct Joined {
    pub text: String,
    pub parts: Vec<Part>,
}

/// Where a set comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Pack,
    Stdin,
    Stored {
        name: String,
        version: u32,
    },
    /// Its path without symbolic links.
    File(PathBuf),
}

struct Piece {
    part: Part,
    origin: Origin,
    lines: usize,
    rules: Vec<ProgramRule>,
    /// It was asked for, not only by rules.
    is_direct: bool,
    /// Numbers of rules that name it.
    named_by: Vec<u32>,
}

#[derive(Default)]
pub(super) struct Together {
    text: String,
    pieces: Vec<Piece>,
    rules: usize,
    /// Sets that a coordinator keeps and that nobody fetched.
    pub(super) kept: Vec<String>,
}

impl Together {
    pub(super) fn pack(&mut self, pack: &Pack) -> Result<(), Failure> {
        self.add(format!("pack {}", pack.name), Origin::Pack, pack.text, true)
    }

    pub(super) fn stored(&mut self, set: &ProbeSetText) -> Result<(), Failure> {
        self.add_stored(set, true)
    }

    pub(super) fn file(&mut self, file: &Path) -> Result<(), Failure> {
        self.add_file(file, true)
    }

    fn add_stored(&mut self, set: &ProbeSetText, is_direct: bool) -> Result<(), Failure> {
        let (name, version) = (set.entry.name.clone(), set.entry.version);
        let words = format!("set {name} version {version}");
        self.add(words, Origin::Stored { name, version }, &set.text, is_direct)
    }

    fn add_file(&mut self, file: &Path, is_direct: bool) -> Result<(), Failure> {
        let text = read_one(file)?;
        let origin = match is_stdin(file) {
            true => Origin::Stdin,
            false => Origin::File(file.canonicalize().unwrap_or_else(|_| file.to_owned())),
        };
        self.add(name(file), origin, &text, is_direct)
    }

    fn add(&mut self, name: String, origin: Origin, text: &str, is_direct: bool) -> Result<(), Failure> {
        let part = Part { name, first_line: 1 };
        let outline =
            probe_sets::outline(text).map_err(|errors| wrong(&errors, std::slice::from_ref(&part)))?;
        let part = Part { first_line: 1 + self.text.matches('\n').count(), ..part };
        self.text.push_str(text);
        if !text.is_empty() && !text.ends_with('\n') {
            self.text.push('\n');
        }
        self.rules += outline.programs.len();
        self.pieces.push(Piece {
            lines: 1 + self.text.matches('\n').count() - part.first_line,
            part,
            origin,
            rules: outline.programs,
            is_direct,
            named_by: Vec::new(),
        });
        Ok(())
    }

    /// With the sets that rules name, which may name others. Without a keeper those that one would have are left out.
    pub(super) fn join(&mut self, keeper: Option<Keeper<'_>>) -> Result<Joined, Failure> {
        let (mut number, mut at) = (0, 0);
        while at < self.pieces.len() {
            for rule in self.pieces[at].rules.clone() {
                number += 1;
                for (name, place) in &rule.sets {
                    let found = self.named(at, name, keeper).map_err(|failure| {
                        self.at(at, place, &format!("program {}.sets", rule.number), failure)
                    })?;
                    if let Some(found) = found {
                        self.pieces[found].named_by.push(number);
                    }
                }
            }
            at += 1;
        }
        let manifest: String = self.pieces.iter().filter_map(Piece::manifest).collect();
        let text = format!("{}{manifest}", self.text);
        Ok(Joined { text, parts: self.pieces.iter().map(|piece| piece.part.clone()).collect() })
    }

    /// Where a set is that a rule of the piece `by` names; it is added if it is not there yet. `None`: it is left out.
    fn named(&mut self, by: usize, text: &str, keeper: Option<Keeper<'_>>) -> Result<Option<usize>, Failure> {
        let is_full = self.pieces.iter().filter(|piece| !piece.is_direct).count() >= NAMED_MAX;
        let full = || {
            let message = format!("more than {NAMED_MAX} sets are named by program rules");
            Failure::new(Class::Usage, message, "name fewer")
        };
        let Some(wanted) = StoredName::parse(text) else {
            let path = match &self.pieces[by].origin {
                Origin::File(file) => file.parent().unwrap_or(Path::new("")).join(text),
                Origin::Stdin => PathBuf::from(text),
                Origin::Pack | Origin::Stored { .. } => {
                    let message = format!("{text} is a file, and this set is kept by a coordinator");
                    return Err(Failure::new(Class::Usage, message, "name sets that it keeps, too"));
                }
            };
            let origin = path.canonicalize().map(Origin::File).ok();
            if let Some(at) = self.pieces.iter().position(|piece| Some(&piece.origin) == origin.as_ref()) {
                return Ok(Some(at));
            }
            if is_full {
                return Err(full());
            }
            self.add_file(&path, false)?;
            return Ok(Some(self.pieces.len() - 1));
        };
        let known = self
            .pieces
            .iter()
            .position(|piece| matches!(&piece.origin, Origin::Stored { name, .. } if *name == wanted.name));
        if let Some(at) = known {
            return match (&self.pieces[at].origin, wanted.version) {
                (Origin::Stored { version, .. }, Some(wanted)) if *version != wanted => {
                    let message = format!("version {wanted} of it is wanted here, and {version} elsewhere");
                    Err(Failure::new(Class::Usage, format!("{text}: {message}"), "ask for one version"))
                }
                _ => Ok(Some(at)),
            };
        }
        let Some(keeper) = keeper else {
            self.kept.push(text.to_owned());
            return Ok(None);
        };
        if is_full {
            return Err(full());
        }
        self.add_stored(&keeper(&wanted)?, false)?;
        Ok(Some(self.pieces.len() - 1))
    }

    /// What is wrong with a set that a rule names, at the place where it does.
    fn at(&self, piece: usize, place: &TextPlace, key: &str, failure: Failure) -> Failure {
        let part = &self.pieces[piece].part;
        let error = SetError {
            line: part.first_line - 1 + place.line,
            column: place.column,
            key: key.to_owned(),
            message: failure.message,
            other_line: None,
            help: failure.remedy.unwrap_or_default(),
        };
        let message = lines(&SetErrors(vec![error]), std::slice::from_ref(part));
        Failure::new(failure.class, message, "correct the probes; nothing was captured")
    }
}

impl Piece {
    /// `None`: no rule names it.
    fn manifest(&self) -> Option<String> {
        if self.named_by.is_empty() {
            return None;
        }
        // What JSON says of a text TOML does, too, but for one character.
        let name = serde_json::to_string(&self.part.name.replace('\u{7f}', "?")).ok()?;
        let lines = match (self.is_direct, self.lines) {
            (true, _) | (_, 0) => String::new(),
            (false, lines) => {
                let first = self.part.first_line;
                format!("first_line = {first}\nlast_line = {}\n", first + lines - 1)
            }
        };
        Some(format!("[[set]]\nname = {name}\nrules = {:?}\n{lines}", self.named_by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::probe_sets::ProbeSetEntry;

    fn kept(name: &str, version: u32, text: &str) -> ProbeSetText {
        let entry = ProbeSetEntry {
            name: name.to_owned(),
            version,
            pushed_unix_ns: 0,
            pushed_by: None,
            note: None,
            is_default: false,
        };
        ProbeSetText { entry, text: text.to_owned() }
    }

    fn probe(name: &str) -> String {
        format!("[[probe]]\nname = '{name}'\nfunction = 'a.B'")
    }

    fn rule(exe: &str, sets: &str) -> String {
        format!("[[program]]\nmatch.exe = '{exe}'\nsets = {sets}\n")
    }

    fn keep(wanted: &StoredName) -> Result<ProbeSetText, Failure> {
        match (wanted.name.as_str(), wanted.version) {
            ("locks", None | Some(3)) => Ok(kept("locks", 3, &probe("locks"))),
            ("rules", None) => Ok(kept("rules", 1, &rule("b", "['locks@3', 'orders']"))),
            ("orders", None) => Ok(kept("orders", 7, &probe("orders"))),
            ("files", None) => Ok(kept("files", 1, &rule("b", "['x.toml']"))),
            ("broken", None) => Ok(kept("broken", 2, "\n[[prob]]")),
            _ => Err(Failure::new(Class::Usage, format!("there is no set {}", wanted.name), "push it")),
        }
    }

    fn joined(direct: &[ProbeSetText], files: &[&Path]) -> Result<String, String> {
        let mut together = Together::default();
        let added = direct.iter().try_for_each(|set| together.stored(set));
        let added = added.and_then(|()| files.iter().try_for_each(|file| together.file(file)));
        let text = added.and_then(|()| together.join(Some(&keep)));
        let text = text.map_err(|failure| failure.message)?.text;
        probe_sets::check(&text).map_err(|errors| errors.to_string())?;
        Ok(text)
    }

    #[test]
    fn rules_bring_sets_and_those_their_own() {
        let text = joined(
            &[kept("a", 1, &rule("a", "['rules', 'locks']")), kept("orders", 7, &probe("orders"))],
            &[],
        );
        let text = text.unwrap();
        let manifest = &text[text.find("[[set]]").unwrap()..];
        // Rule 1 is that of `a`, rule 2 that of `rules`; `orders` was asked for.
        let expected = "\
[[set]]
name = \"set orders version 7\"
rules = [2]
[[set]]
name = \"set rules version 1\"
rules = [1]
first_line = 7
last_line = 9
[[set]]
name = \"set locks version 3\"
rules = [1, 2]
first_line = 10
last_line = 12
";
        assert_eq!(manifest, expected, "{text}");
    }

    #[test]
    fn files_name_files_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let main = file("main.toml", &rule("a", "['sets/one.toml', 'locks', 'main.toml']"));
        file("sets/one.toml", &(probe("one") + "\n" + &rule("b", "['two.toml', '../main.toml']")));
        file("sets/two.toml", &probe("two"));
        let text = joined(&[], &[&main]).unwrap();
        let rules: Vec<&str> = text.lines().filter(|line| line.starts_with("rules")).collect();
        assert_eq!(rules, ["rules = [1, 2]", "rules = [1]", "rules = [1]", "rules = [2]"], "{text}");

        let failure = |text: &str| joined(&[], &[&file("main.toml", text)]).unwrap_err();
        let said = failure(&format!("\n{}", rule("a", "['locks', 'sets/none.toml']")));
        assert!(
            said.contains("main.toml:4:19: program 1.sets: ")
                && said.contains("none.toml: the probes cannot"),
            "{said}"
        );
        assert!(
            failure(&rule("a", "['lokcs']"))
                .contains("main.toml:3:10: program 1.sets: there is no set lokcs; push it")
        );
        let said = failure(&rule("a", "['broken']"));
        assert!(said.contains("program 1.sets: set broken version 2:2:3: prob: unknown section"), "{said}");
        let said = failure(&rule("a", "['files']"));
        assert!(said.starts_with("set files version 1:3:10: program 1.sets: x.toml is a file"), "{said}");
        let said = failure(&format!("{}{}", rule("a", "['locks']"), rule("b", "['locks@2']")));
        assert!(said.contains("version 2 of it is wanted here, and 3 elsewhere"), "{said}");
        // Two sets that a rule brings and that clash: both are named.
        file("sets/one.toml", &probe("locks"));
        let said = failure(&rule("a", "['locks', 'sets/one.toml']"));
        assert!(said.contains("another probe locks in line 5"), "{said}");
    }
}
