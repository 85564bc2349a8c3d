//! Where a build's debug information comes from, and where what was made of it is kept.
//!
//! In this order: the executable; what was pushed ([`store`]); a separate file in the usual places ([`places`]); what the
//! standard debuginfod client has; the coordinator, which has what was pushed to it; debuginfod servers ([`debuginfod`]).
//! Every file has to be of the very build. [`cache`] keeps what was decompressed.
//!
//! All of it is done before a target is frozen, by the agent, which has no privilege.

pub mod build_id;
pub mod cache;
pub mod config;
pub mod debug_file;
pub mod debuginfod;
pub mod image;
pub mod places;
pub mod sections;
pub mod store;

mod coordinator;
mod fetch;
mod folder;
mod of_build;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tempfile::TempDir;
use thiserror::Error;

use build_id::BuildId;
use cache::{BuildCache, Key};
use config::Config;
use debug_file::{DebugFile, DebugFileError};
use debuginfod::Debuginfod;
use fetch::{Fetches, Remote, Waited};
use sections::Sections;
use store::Store;

pub use coordinator::Coordinator;

/// Bytes of debug sections that are held in this process's own memory, where there is no cache.
const UNCACHED_BYTES_MAX: u64 = 1 << 30;
/// Reasons that are named one by one.
const REASONS_MAX: usize = 4;

/// Whose debug information is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// `stillframe_golang::build::Identity::id`.
    pub build_id: &'a str,
    /// Open; its position is not touched.
    pub executable: &'a File,
    /// As its process sees it.
    pub path: Option<&'a Path>,
    pub pid: Option<u32>,
}

/// Why there is none. Stacks need none: it is no failure of a capture.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Missing {
    #[error(
        "no debug information{}: build the program without -ldflags=-w or -s and do not strip it, or give its symbols (stillframe symbols push)",
        reasons(.0)
    )]
    Nowhere(Vec<String>),
    #[error(
        "debug information of this build is still being fetched; take the snapshot again when it is there"
    )]
    Pending,
    #[error(
        "damaged debug information: {0}; build the program again, or give its symbols (stillframe symbols push)"
    )]
    Damaged(String),
    #[error(
        "{bytes} bytes of debug information are more than the {UNCACHED_BYTES_MAX} that are held in memory; give a cache folder that can be written to"
    )]
    TooLarge { bytes: u64 },
}

fn reasons(of: &[String]) -> String {
    match of.len() {
        0 => String::new(),
        count => {
            let more = count.saturating_sub(REASONS_MAX);
            let named = of[..count - more].join("; ");
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            format!(" ({named}{more})")
        }
    }
}

/// The source of debug information of one process. Its clones are the same one.
#[derive(Clone)]
pub struct Symbols {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    cache: Option<BuildCache>,
    store: Option<Store>,
    remotes: Vec<Arc<dyn Remote>>,
    fetches: Fetches,
    /// One build is decompressed at a time: it takes a processor and disk.
    making: Mutex<()>,
    /// For what is fetched, where nothing can be kept.
    _temporary: Option<TempDir>,
}

impl Symbols {
    /// `coordinator`: of a node that has one. A folder that cannot be used is said in the log, and done without.
    pub fn new(config: Config, coordinator: Option<Coordinator>) -> Symbols {
        let cache = config.builds().and_then(|path| {
            let opened = BuildCache::open(&path, config.cache_bytes_max);
            opened.map_err(|error| unusable(&path, &error)).ok()
        });
        let mut store = config.symbols().and_then(|path| {
            let opened = Store::open(&path, config.store_bytes_max);
            opened.map_err(|error| unusable(&path, &error)).ok()
        });
        let mut temporary = None;
        let is_remote = coordinator.is_some() || !config.debuginfod.urls.is_empty();
        if store.is_none() && is_remote {
            temporary = tempfile::tempdir().map_err(|error| unusable(&std::env::temp_dir(), &error)).ok();
            let path = temporary.as_ref().map(TempDir::path);
            store = path.and_then(|path| Store::open(path, config.store_bytes_max).ok());
        }
        let mut remotes: Vec<Arc<dyn Remote>> = Vec::new();
        if let Some(store) = &store {
            remotes.extend(coordinator.map(|c| Arc::new(c.into_remote(store.clone())) as Arc<dyn Remote>));
            let servers = Debuginfod::new(config.debuginfod.clone(), store.clone());
            remotes.extend(servers.map(|servers| Arc::new(servers) as Arc<dyn Remote>));
        }
        let shared = Shared {
            config,
            cache,
            store,
            remotes,
            fetches: Fetches::default(),
            making: Mutex::new(()),
            _temporary: temporary,
        };
        Symbols { shared: Arc::new(shared) }
    }

    /// When whoever begins to look now is to wait no longer.
    pub fn patience(&self) -> Instant {
        Instant::now() + self.shared.config.wait
    }

    /// A build's debug sections. Blocks: the first look at a build decompresses them, and a remote source is waited for
    /// until `until`.
    pub fn sections(&self, wanted: &Wanted<'_>, until: Instant) -> Result<Sections, Missing> {
        let (executable, key) = look(wanted.build_id, wanted.executable)?;
        let build = key.as_ref().map(|key| &key.build);
        self.made(key.as_ref(), || self.find(executable, wanted, build, until))
    }

    /// Those of the executable itself; `None`: it has none.
    pub fn own_sections(&self, build_id: &str, executable: &File) -> Result<Option<Sections>, Missing> {
        let (executable, key) = look(build_id, executable)?;
        if !executable.has_debug_info() {
            return Ok(None);
        }
        self.made(key.as_ref(), || Ok(executable)).map(Some)
    }

    /// From the cache, or of the file that is found, which is cached then.
    fn made(
        &self,
        key: Option<&Key>,
        find: impl FnOnce() -> Result<DebugFile, Missing>,
    ) -> Result<Sections, Missing> {
        let (Some(cache), Some(key)) = (&self.shared.cache, key) else { return self.in_memory(&find()?) };
        if let Some(cached) = cache.sections(key) {
            return Ok(cached);
        }
        let file = find()?;
        let _one = self.shared.making.lock().unwrap_or_else(PoisonError::into_inner);
        // Another capture may have made it meanwhile.
        if let Some(cached) = cache.sections(key) {
            return Ok(cached);
        }
        match cache.keep_sections(key, &file) {
            Ok(sections) => Ok(sections),
            Err(DebugFileError::Io(error)) => {
                tracing::warn!(build = %key.build, %error, "debug information is not cached");
                self.in_memory(&file)
            }
            Err(error) => Err(Missing::Damaged(error.to_string())),
        }
    }

    fn in_memory(&self, file: &DebugFile) -> Result<Sections, Missing> {
        let bytes = file.debug_bytes();
        if bytes > UNCACHED_BYTES_MAX {
            return Err(Missing::TooLarge { bytes });
        }
        Sections::decompress(file).map_err(|error| Missing::Damaged(error.to_string()))
    }

    /// The file that has a build's debug information: the executable itself, or another one.
    fn find(
        &self,
        executable: DebugFile,
        wanted: &Wanted<'_>,
        build: Option<&BuildId>,
        until: Instant,
    ) -> Result<DebugFile, Missing> {
        if executable.has_debug_info() {
            return Ok(executable);
        }
        let mut rejected = Vec::new();
        if let Some(file) = build.and_then(|build| self.pushed(build, &mut rejected)) {
            return Ok(file);
        }
        let link = executable.link.as_ref();
        let of = places::Of { build, link, path: wanted.path, pid: wanted.pid };
        let config = &self.shared.config;
        if let Some((path, file)) = places::find(&of, &config.debug_folders, &mut rejected) {
            tracing::debug!(path = %path.display(), "a separate file with debug information");
            return Ok(file);
        }
        let Some(build) = build else { return Err(Missing::Nowhere(rejected)) };
        if let Some((path, file)) = debuginfod::in_client_cache(&config.debuginfod, build, &mut rejected) {
            tracing::debug!(path = %path.display(), "debug information that debuginfod's client had fetched");
            return Ok(file);
        }
        let within = until.saturating_duration_since(Instant::now());
        match self.shared.fetches.fetch(build, &self.shared.remotes, within) {
            Waited::File(file) => DebugFile::read(file).map_err(|error| Missing::Damaged(error.to_string())),
            Waited::Absent => Err(Missing::Nowhere(rejected)),
            Waited::Failed(reason) => {
                rejected.push(reason);
                Err(Missing::Nowhere(rejected))
            }
            Waited::Pending => Err(Missing::Pending),
        }
    }

    /// What the store has. It was checked when it came, but a disk is a disk.
    fn pushed(&self, build: &BuildId, rejected: &mut Vec<String>) -> Option<DebugFile> {
        let store = self.shared.store.as_ref()?;
        let found = store.file(build).map_err(|error| error.to_string()).and_then(|file| {
            let Some(file) = file else { return Ok(None) };
            let file = DebugFile::read(file).map_err(|error| error.to_string())?;
            places::is_of(&file, Some(build))?;
            Ok(Some(file))
        });
        found.unwrap_or_else(|reason| {
            rejected.push(format!("{}: {build}: {reason}", store.path().display()));
            None
        })
    }
}

/// What an executable has, and as what its debug information is cached; `None`: it has no id to go by.
fn look(build_id: &str, executable: &File) -> Result<(DebugFile, Option<Key>), Missing> {
    let damaged = |error: DebugFileError| Missing::Damaged(error.to_string());
    let executable = executable.try_clone().map_err(|error| damaged(error.into()))?;
    let executable = DebugFile::read(executable).map_err(damaged)?;
    let fingerprint = match executable.has_debug_info() {
        true => executable.fingerprint().map_err(damaged)?,
        false => 0,
    };
    let key = BuildId::parse(build_id).ok().map(|build| Key { build, fingerprint });
    Ok((executable, key))
}

fn unusable(folder: &Path, error: &std::io::Error) {
    tracing::warn!(folder = %folder.display(), %error, "this folder cannot be used for symbols; going on without");
}
