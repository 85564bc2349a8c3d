//! `--probes FILE` and `--pack NAME`: probe sets from files and those that come with the program, checked before anything is
//! asked for.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use stillframe_wire::limits::PROBES_BYTES_MAX;

use super::{Class, Failure};
use crate::api::probe_sets::ProbeSetText;
use crate::packs::{PACKS, Pack};
use crate::probe_sets::{self, SetError, SetErrors};

mod together;

use together::Together;
pub use together::{Joined, Keeper};

/// The packs of these names; without names those that are captured by default.
pub fn packs(names: &[String]) -> Result<Vec<Pack>, Failure> {
    if names.is_empty() {
        return Ok(PACKS.into_iter().filter(|pack| pack.is_default).collect());
    }
    for name in names.iter().filter(|name| !GROUPS.contains(&name.as_str())) {
        if Pack::named(name).is_none() {
            let all: Vec<&str> = PACKS.iter().map(|pack| pack.name).chain(GROUPS).collect();
            let message = format!("there is no pack {name}");
            return Err(Failure::new(Class::Usage, message, format!("the packs are {}", all.join(", "))));
        }
    }
    let wants = |name: &str| names.iter().any(|wanted| wanted == name);
    let is_wanted = |pack: &Pack| wants("all") || wants(pack.name) || (pack.is_default && wants("default"));
    Ok(PACKS.into_iter().filter(is_wanted).collect())
}

/// The text of all of them as one probe set; without packs and files it is empty.
pub fn read(
    packs: &[Pack],
    stored: &[ProbeSetText],
    files: &[PathBuf],
    keeper: Keeper<'_>,
) -> Result<String, Failure> {
    let mut together = Together::default();
    for pack in packs {
        together.pack(pack)?;
    }
    for set in stored {
        together.stored(set)?;
    }
    for file in expand(files)? {
        together.file(&file)?;
    }
    let Joined { text, parts } = together.join(Some(keeper))?;
    if text.len() > PROBES_BYTES_MAX {
        let message =
            format!("all probes together have more than the {PROBES_BYTES_MAX} bytes that an order takes");
        return Err(Failure::new(Class::Usage, message, "order fewer probes at a time"));
    }
    // Each is a set, and all of them need not be: two may have a name in common. SQL of one may need tables of another.
    probe_sets::check(&text).map_err(|errors| wrong(&errors, &parts))?;
    Ok(text)
}

/// A folder stands for the sets in it, by name.
fn expand(files: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if files.iter().filter(|file| is_stdin(file)).count() > 1 {
        let message = "--probes - reads stdin, and that is read once";
        return Err(Failure::new(Class::Usage, message, "name a file, or give all probes on stdin"));
    }
    let mut expanded = Vec::new();
    for file in files {
        if !file.is_dir() {
            expanded.push(file.clone());
            continue;
        }
        let unreadable = |error: io::Error| {
            let message = format!("{}: the folder cannot be read: {error}", name(file));
            Failure::new(Class::BadFile, message, "name a readable folder of probe sets, or a file")
        };
        let mut sets = Vec::new();
        for entry in file.read_dir().map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
                sets.push(path);
            }
        }
        if sets.is_empty() {
            let message = format!("{}: there is no probe set in this folder", name(file));
            return Err(Failure::new(
                Class::BadFile,
                message,
                "probe sets are files whose names end in .toml",
            ));
        }
        sets.sort();
        expanded.append(&mut sets);
    }
    Ok(expanded)
}

/// The text of one probe set and of those that its rules name as files, for a program that is asked about or a snapshot that
/// is there already. And the names of those that a coordinator keeps, which are left out.
pub fn read_with_files(file: &Path) -> Result<(Joined, Vec<String>), Failure> {
    let mut together = Together::default();
    together.file(file)?;
    let joined = together.join(None)?;
    let kept = together.kept;
    Ok((joined, kept))
}

fn wrong(errors: &SetErrors, parts: &[Part]) -> Failure {
    Failure::new(Class::Usage, lines(errors, parts), "correct the probes; nothing was captured")
}

/// The text of one probe set, and what to call it.
pub fn read_text(file: &Path) -> Result<(String, Part), Failure> {
    let text = read_one(file)?;
    let part = Part { name: name(file), first_line: 1 };
    match probe_sets::outline(&text) {
        Ok(_) => Ok((text, part)),
        Err(errors) => {
            let message = lines(&errors, &[part]);
            Err(Failure::new(Class::Usage, message, "correct the probe set; nothing was kept"))
        }
    }
}

/// A file's lines within a text of several.
#[derive(Clone, Debug)]
pub struct Part {
    pub name: String,
    /// From 1 on.
    first_line: usize,
}

/// `orders.toml:3`
pub fn place(line: usize, parts: &[Part]) -> String {
    match parts.iter().rev().find(|part| part.first_line <= line) {
        Some(part) => format!("{}:{}", part.name, line + 1 - part.first_line),
        None => line.to_string(),
    }
}

/// A line for each mistake.
pub fn lines(errors: &SetErrors, parts: &[Part]) -> String {
    let place = |line: usize| place(line, parts);
    let line = |error: &SetError| {
        let SetError { line, column, key, message, other_line, help } = error;
        let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
        let other = other_line.map_or(String::new(), |line| format!(" in {}", place(line)));
        format!("{}:{column}: {key}{message}{other}; {help}", place(*line))
    };
    errors.0.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn read_one(file: &Path) -> Result<String, Failure> {
    let opened: io::Result<Box<dyn Read>> = if is_stdin(file) {
        Ok(Box::new(io::stdin()))
    } else {
        File::open(file).map(|file| Box::new(file) as _)
    };
    let mut bytes = Vec::new();
    opened.and_then(|file| file.take(PROBES_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)).map_err(
        |error| {
            let message = format!("{}: the probes cannot be read: {error}", name(file));
            Failure::new(Class::BadFile, message, "name a readable file, or - for stdin")
        },
    )?;
    if bytes.len() > PROBES_BYTES_MAX {
        let message =
            format!("{}: it is longer than the {PROBES_BYTES_MAX} bytes that an order takes", name(file));
        return Err(Failure::new(Class::Usage, message, "split it, and give it one part at a time"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("{}: byte {at} is no UTF-8", name(file));
        Failure::new(Class::Usage, message, "a probe set is a text: TOML, in UTF-8")
    })
}

/// Names that stand for several packs.
const GROUPS: [&str; 3] = ["none", "default", "all"];

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

pub fn name(file: &Path) -> String {
    if is_stdin(file) { "stdin".to_owned() } else { file.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe_sets::StoredName;

    fn nobody(name: &StoredName) -> Result<ProbeSetText, Failure> {
        Err(Failure::new(Class::Usage, format!("there is no {}", name.name), "give a file"))
    }

    const ONE: &str = "[[probe]]\nname = 'one'\nfunction = 'a.B'";

    #[test]
    fn files_are_one_order() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        assert_eq!(read(&[], &[], &[], &nobody).unwrap(), "");
        let one = file("one", ONE.as_bytes());
        let two = file("two", b"[[redact]]\nfield = '**.Token'\n");
        assert_eq!(
            read(&[], &[], &[one.clone(), two], &nobody).unwrap(),
            format!("{ONE}\n[[redact]]\nfield = '**.Token'\n")
        );

        let wrong = file("wrong", b"[[probe]]\nnam = 'a'\nfunction = 'a.B'\n\n[[typo]]\n");
        let failure = |files: &[PathBuf]| {
            let failure = read(&[], &[], files, &nobody).unwrap_err();
            (failure.class, failure.message.replace(&folder.path().display().to_string(), "."))
        };
        let (class, message) = failure(std::slice::from_ref(&wrong));
        assert_eq!(class, Class::Usage);
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines.len(), 3, "{message}");
        assert!(lines[0].starts_with("./wrong:1:1: "), "{message}");
        assert!(
            lines[1].starts_with("./wrong:2:1: ") && lines[1].ends_with("did you mean name?"),
            "{message}"
        );
        assert!(lines[2].starts_with("./wrong:5:3: typo: "), "{message}");
        let again = file("again", ONE.as_bytes());
        let comment = file("comment", b"# nothing\n");
        let (_, message) = failure(&[comment, one.clone(), again]);
        assert!(
            message.starts_with("./again:2:9: probe one.name: there is another probe one in ./one:2; "),
            "{message}"
        );

        // SQL of one file over a table of the other, and a mistake in it.
        let column = |sql: &str| format!("[[column]]\ntable = 'one'\nname = 'x'\nsql = '{sql}'\n");
        let good = file("good", column("depth + 1").as_bytes());
        assert!(read(&[], &[], &[one.clone(), good.clone()], &nobody).is_ok());
        assert!(failure(&[good]).1.starts_with("./good:2:10: column one.x: there is no table probe_one"));
        let bad = file("bad", column("depth depht").as_bytes());
        let (_, message) = failure(&[one.clone(), bad]);
        assert!(message.starts_with("./bad:4:14: column one.x: near \"depht\": syntax error"), "{message}");

        let (class, message) = failure(&[folder.path().join("none")]);
        assert_eq!(
            (class, message.starts_with("./none: the probes cannot be read: ")),
            (Class::BadFile, true)
        );
        assert!(failure(&[file("binary", b"a\xff")]).1.ends_with("byte 1 is no UTF-8"));
        let long = file("long", &vec![b'#'; PROBES_BYTES_MAX + 1]);
        assert!(failure(&[long]).1.contains("longer than the 262144 bytes"));
        let half = file("half", &vec![b'#'; PROBES_BYTES_MAX / 2 + 1]);
        assert!(failure(&[half.clone(), half]).1.starts_with("all probes together"));
        assert!(failure(&["-".into(), "-".into()]).1.contains("read once"));
    }
}
