//! Where symbols are looked for and kept: by the environment, and by the node's command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cache::CACHE_BYTES_MAX;
use super::store::STORE_BYTES_MAX;
use super::{debuginfod, places};

/// Who prepares a capture waits so long for debug information that has to be fetched: an order has more to do.
pub const WAIT_OF_NODE: Duration = Duration::from_secs(5);
/// The command line ends with its snapshot, and so do its downloads. Less than what an order gives a node to prepare
/// (`stillframe_actors::snapshot`).
pub const WAIT_OF_COMMAND: Duration = Duration::from_secs(10);

/// More debug folders, separated by colons.
pub const DEBUG_FOLDERS_VARIABLE: &str = "STILLFRAME_DEBUG_FOLDERS";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where builds are cached and symbols kept; `None`: nowhere.
    pub folder: Option<PathBuf>,
    pub cache_bytes_max: u64,
    pub store_bytes_max: u64,
    /// As gdb's `debug-file-directory`.
    pub debug_folders: Vec<PathBuf>,
    pub debuginfod: debuginfod::Config,
    pub wait: Duration,
}

impl Config {
    /// Of this process's user.
    pub fn of_environment(wait: Duration) -> Config {
        Config::of(&|name| std::env::var(name).ok(), wait)
    }

    fn of(variable: &dyn Fn(&str) -> Option<String>, wait: Duration) -> Config {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")));
        let more = set(DEBUG_FOLDERS_VARIABLE).unwrap_or_default();
        let more = more.split(':').filter(|path| !path.is_empty()).map(PathBuf::from);
        Config {
            folder: cache.filter(|path| path.is_absolute()).map(|path| path.join("stillframe")),
            cache_bytes_max: CACHE_BYTES_MAX,
            store_bytes_max: STORE_BYTES_MAX,
            debug_folders: more.chain(places::DEBUG_FOLDERS.map(PathBuf::from)).collect(),
            debuginfod: debuginfod::Config::of_environment(variable),
            wait,
        }
    }

    /// Of decompressed builds.
    pub fn builds(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join("builds"))
    }

    /// Of files that were given or fetched.
    pub fn symbols(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join("symbols"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_where() {
        let config = |variables: &[(&str, &str)]| {
            let variables: Vec<(String, String)> =
                variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let variable =
                move |name: &str| variables.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
            Config::of(&variable, WAIT_OF_NODE)
        };
        let bare = config(&[]);
        assert_eq!((bare.folder.clone(), bare.builds(), bare.debuginfod.urls.len()), (None, None, 0));
        let at = |path: &str| Some(PathBuf::from(path));
        assert_eq!(config(&[("HOME", "/h")]).builds(), at("/h/.cache/stillframe/builds"));
        let set = config(&[
            ("HOME", "/h"),
            ("XDG_CACHE_HOME", "/c"),
            (DEBUG_FOLDERS_VARIABLE, "/x::/y"),
            ("DEBUGINFOD_URLS", "http://a/ ima:enforcing https://b file:///c"),
            ("DEBUGINFOD_TIMEOUT", "7"),
            ("DEBUGINFOD_MAXSIZE", "1000"),
            ("DEBUGINFOD_MAXTIME", "nonsense"),
        ]);
        assert_eq!(set.symbols(), at("/c/stillframe/symbols"));
        assert_eq!(set.debug_folders[..2], ["/x", "/y"].map(PathBuf::from));
        assert_eq!(set.debuginfod.urls, ["http://a", "https://b"]);
        assert_eq!(set.debuginfod.answer_within, Duration::from_secs(7));
        assert_eq!(set.debuginfod.file_bytes_max, 1000);
        assert_eq!(set.debuginfod.client_cache[0], PathBuf::from("/c/debuginfod_client"));
        assert_eq!(config(&[("XDG_CACHE_HOME", "relative")]).folder, None);
    }
}
