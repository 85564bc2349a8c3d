//! Probe sets that users push: a folder for each name, in it a file for each version, which nobody changes any more.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use stillframe_wire::limits::PROBES_BYTES_MAX;

use crate::api::probe_sets::{ProbeSetEntry, ProbeSetText};

/// Names.
pub const SETS_MAX: usize = 256;
/// Versions of one set.
pub const VERSIONS_MAX: u32 = 10_000;
/// A file: JSON may double each byte of the text.
const FILE_BYTES_MAX: u64 = 2 * PROBES_BYTES_MAX as u64 + (64 << 10);

#[derive(Clone, Debug)]
pub struct ProbeSets {
    folder: PathBuf,
    /// Who pushes holds it.
    pushing: Arc<Mutex<()>>,
}

impl ProbeSets {
    /// The folder is made with the first push.
    pub fn new(folder: PathBuf) -> ProbeSets {
        ProbeSets { folder, pushing: Arc::default() }
    }

    /// The newest version of each, by name.
    pub fn list(&self) -> io::Result<Vec<ProbeSetEntry>> {
        let newest = |name: &String| self.get(name, 0).transpose();
        self.names()?.iter().filter_map(newest).map(|set| set.map(|set| set.entry)).collect()
    }

    /// All versions of one, the newest first.
    pub fn history(&self, name: &str) -> io::Result<Vec<ProbeSetEntry>> {
        let version = |version: &u32| self.get(name, *version).transpose();
        self.versions(name)?.iter().rev().filter_map(version).map(|set| set.map(|set| set.entry)).collect()
    }

    /// Version 0 is the newest one.
    pub fn get(&self, name: &str, version: u32) -> io::Result<Option<ProbeSetText>> {
        let version = match version {
            0 => self.versions(name)?.last().copied().unwrap_or(0),
            version => version,
        };
        let file = match File::open(self.file(name, version)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(Some(serde_json::from_slice(&bytes)?))
    }

    /// Numbers it, and keeps it. `None`: there are too many.
    pub fn push(&self, mut set: ProbeSetText) -> io::Result<Option<ProbeSetEntry>> {
        let _pushing = self.pushing.lock().unwrap_or_else(PoisonError::into_inner);
        let names = self.names()?;
        let last = self.versions(&set.entry.name)?.last().copied().unwrap_or(0);
        if last >= VERSIONS_MAX || (!names.contains(&set.entry.name) && names.len() >= SETS_MAX) {
            return Ok(None);
        }
        set.entry.version = last + 1;
        let folder = self.folder.join(&set.entry.name);
        fs::create_dir_all(&folder)?;
        let mut file =
            tempfile::Builder::new().prefix(".stillframe-").suffix(".partial").tempfile_in(&folder)?;
        serde_json::to_writer(file.as_file_mut(), &set)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(self.file(&set.entry.name, set.entry.version))?;
        File::open(&folder)?.sync_all()?;
        Ok(Some(set.entry))
    }

    fn file(&self, name: &str, version: u32) -> PathBuf {
        self.folder.join(name).join(format!("{version}.json"))
    }

    fn names(&self) -> io::Result<BTreeSet<String>> {
        let names = entries(&self.folder)?;
        Ok(names.into_iter().filter(|name| !name.starts_with('.')).collect())
    }

    fn versions(&self, name: &str) -> io::Result<BTreeSet<u32>> {
        let files = entries(&self.folder.join(name))?;
        Ok(files.iter().filter_map(|file| file.strip_suffix(".json")?.parse().ok()).collect())
    }
}

/// Names of files; of a folder that is not there, none.
fn entries(folder: &std::path::Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, text: &str) -> ProbeSetText {
        let entry = ProbeSetEntry {
            name: name.to_owned(),
            version: 0,
            pushed_unix_ns: 7,
            pushed_by: Some("ada".to_owned()),
            note: None,
            is_default: true,
        };
        ProbeSetText { entry, text: text.to_owned() }
    }

    #[test]
    fn every_version_stays() {
        let folder = tempfile::tempdir().unwrap();
        let sets = ProbeSets::new(folder.path().join("probe_sets"));
        assert_eq!(sets.list().unwrap(), []);
        assert_eq!(sets.get("orders", 0).unwrap(), None);
        for (text, version) in [("# one", 1), ("# two", 2)] {
            assert_eq!(sets.push(set("orders", text)).unwrap().unwrap().version, version);
        }
        sets.push(set("locks", "# three")).unwrap().unwrap();
        let text = |version| sets.get("orders", version).unwrap().map(|set| set.text);
        assert_eq!(
            [text(0), text(1), text(2), text(3)].map(Option::unwrap_or_default),
            ["# two", "# one", "# two", ""]
        );
        let names: Vec<(String, u32)> =
            sets.list().unwrap().into_iter().map(|entry| (entry.name, entry.version)).collect();
        assert_eq!(names, [("locks".to_owned(), 1), ("orders".to_owned(), 2)]);
        let versions: Vec<u32> =
            sets.history("orders").unwrap().into_iter().map(|entry| entry.version).collect();
        assert_eq!(versions, [2, 1]);
    }
}
