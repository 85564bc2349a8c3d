//! `--probes FILE`: probe sets read from files, checked before anything is asked for.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use stillframe_wire::limits::PROBES_BYTES_MAX;

use super::{Class, Failure};
use crate::probe_sets::{self, ProbesError};

/// The text of all of them as one probe set; without files it is empty.
pub fn read(files: &[PathBuf]) -> Result<String, Failure> {
    if files.iter().filter(|file| is_stdin(file)).count() > 1 {
        let message = "--probes - reads stdin, and that is read once";
        return Err(Failure::new(Class::Usage, message, "name a file, or give all probes on stdin"));
    }
    let mut all = String::new();
    for file in files {
        let text = read_one(file)?;
        probe_sets::tables(&text).map_err(|error| {
            let message = match error {
                ProbesError::Wrong(wrong) => format!("{}:{wrong}", name(file)),
                error => format!("{}: {error}", name(file)),
            };
            Failure::new(Class::Usage, message, "correct the probe set; nothing was captured")
        })?;
        all.push_str(&text);
        if !text.ends_with('\n') {
            all.push('\n');
        }
    }
    // Each is one, and all of them need not be: two may have a name in common.
    if files.len() > 1 {
        probe_sets::tables(&all).map_err(|error| {
            let what = match error {
                ProbesError::Wrong(wrong) => wrong.what,
                error => error.to_string(),
            };
            let message = format!("the probe sets cannot be ordered together: {what}");
            Failure::new(Class::Usage, message, "give probes different names, or order fewer sets at a time")
        })?;
    }
    Ok(all)
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
            Failure::new(Class::BadFile, message, "name a readable file, or - for stdin, with --probes")
        },
    )?;
    if bytes.len() > PROBES_BYTES_MAX {
        let message =
            format!("{}: it is longer than the {PROBES_BYTES_MAX} bytes that an order takes", name(file));
        return Err(Failure::new(Class::Usage, message, "split it, and order its probes one part at a time"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("{}: byte {at} is no UTF-8", name(file));
        Failure::new(Class::Usage, message, "a probe set is a text: TOML, in UTF-8")
    })
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn name(file: &Path) -> String {
    if is_stdin(file) { "stdin".to_owned() } else { file.display().to_string() }
}
