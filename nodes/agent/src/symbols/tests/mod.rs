//! The sources of debug information, over files made by hand and a server of our own.

mod cached;
mod elf;
mod files;
mod server;
mod sources;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::build_id::BuildId;
use super::config::Config;
use super::debuginfod;
use super::sections::Sections;
use super::store::{Store, StoreError, Stored};
use super::{Missing, Symbols, Wanted};
use elf::Elf;

const ID: [u8; 4] = [0xab, 0xcd, 0xef, 0x01];
const ID_TEXT: &str = "abcdef01";
const INFO: &[u8] = b"debug information of the very build";

fn build() -> BuildId {
    BuildId::parse(ID_TEXT).unwrap()
}

/// A stripped executable.
fn stripped() -> Elf {
    Elf::of_build(&ID).with(".text", b"code")
}

/// A file that has its debug information.
fn separate() -> Elf {
    Elf::of_build(&ID)
        .without_bytes(".text")
        .compressed(".debug_info", INFO)
        .with(".debug_abbrev", b"abbreviations")
}

fn write(path: &Path, content: &[u8]) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    path.to_owned()
}

/// A host: an executable at `bin/program`, and nothing anywhere else.
struct Host {
    folder: TempDir,
    config: Config,
}

impl Host {
    fn new(executable: &Elf) -> Host {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("bin/program"), &executable.bytes());
        let debuginfod = debuginfod::Config {
            urls: Vec::new(),
            client_cache: vec![folder.path().join("debuginfod_client")],
            answer_within: Duration::from_secs(5),
            silent_max: Duration::from_secs(5),
            fetch_within: Duration::from_secs(30),
            file_bytes_max: 1 << 20,
        };
        let config = Config {
            folder: Some(folder.path().join("cache")),
            cache_bytes_max: 1 << 30,
            store_bytes_max: 1 << 30,
            debug_folders: vec![folder.path().join("debug")],
            debuginfod,
            wait: Duration::from_secs(30),
        };
        Host { folder, config }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn symbols(&self) -> Symbols {
        Symbols::new(self.config.clone(), None)
    }

    fn ask(&self, symbols: &Symbols) -> Result<Sections, Missing> {
        self.ask_as(symbols, ID_TEXT)
    }

    fn ask_as(&self, symbols: &Symbols, build_id: &str) -> Result<Sections, Missing> {
        let path = self.path("bin/program");
        let executable = File::open(&path).unwrap();
        let wanted = Wanted { build_id, executable: &executable, path: Some(&path), pid: None };
        symbols.sections(&wanted, symbols.patience())
    }

    /// What a user does with a file.
    fn push(&self, content: &[u8]) -> Result<Stored, StoreError> {
        let store = Store::open(&self.config.symbols().unwrap(), self.config.store_bytes_max).unwrap();
        let mut receiving = store.receive().unwrap();
        receiving.write(content)?;
        store.keep(receiving, None)
    }
}

fn section(sections: &Sections, name: &str) -> Vec<u8> {
    (*sections.get(name).unwrap_or_else(|| panic!("no {name}"))).as_ref().to_vec()
}

/// Why there is none, as a person reads it.
fn reason(answer: Result<Sections, Missing>) -> String {
    match answer {
        Ok(_) => panic!("there is debug information"),
        Err(missing) => missing.to_string(),
    }
}
