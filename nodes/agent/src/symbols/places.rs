//! The usual places of separate debug files, as gdb looks for them ("Debugging Information in Separate Files"): by build
//! id below each debug folder, and by the executable's debuglink beside it, in `.debug`, and below each debug folder.
//!
//! A file is taken only if it is of the very build and has debug information. Files of a container are seen through
//! `/proc/PID/root`, which the kernel lets this process pass only where it could trace the target; the freezer, which could,
//! opens nothing for it but executables.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::OFlag;

use super::build_id::BuildId;
use super::debug_file::{DebugFile, DebugLink, crc32};

/// gdb's `debug-file-directory`, of a distribution's gdb and of one that was built by hand.
pub const DEBUG_FOLDERS: [&str; 2] = ["/usr/lib/debug", "/usr/local/lib/debug"];

/// An executable whose debug information is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// Of its debuglink and its place one may be a lie: what counts is the build.
    pub build: Option<&'a BuildId>,
    pub link: Option<&'a DebugLink>,
    /// As its process sees it.
    pub path: Option<&'a Path>,
    /// The process, whose files may be others than this one's.
    pub pid: Option<u32>,
}

/// Looks in all places. `rejected` gets the files that are there and of no use, with the reason.
pub fn find(of: &Of<'_>, folders: &[PathBuf], rejected: &mut Vec<String>) -> Option<(PathBuf, DebugFile)> {
    let mut roots = vec![PathBuf::from("/")];
    roots
        .extend(of.pid.map(|pid| PathBuf::from(format!("/proc/{pid}/root"))).filter(|root| is_another(root)));
    for root in &roots {
        for (path, link) in candidates(of, folders) {
            let path = below(root, &path);
            match check(&path, of.build, link) {
                Ok(Some(file)) => return Some((path, file)),
                Ok(None) => {}
                Err(reason) => rejected.push(format!("{}: {reason}", path.display())),
            }
        }
    }
    None
}

/// A root that this process may pass, and that is not its own.
fn is_another(root: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    match (identity(root), identity(Path::new("/"))) {
        (Ok(root), Ok(own)) => root != own,
        _ => false,
    }
}

/// Where a file may be; those of the debuglink with its checksum.
fn candidates<'a>(of: &Of<'a>, folders: &[PathBuf]) -> Vec<(PathBuf, Option<&'a DebugLink>)> {
    let mut found = Vec::new();
    if let Some(id) = of.build.and_then(BuildId::gnu) {
        let name = PathBuf::from(".build-id").join(&id[..2]).join(format!("{}.debug", &id[2..]));
        found.extend(folders.iter().map(|folder| (folder.join(&name), None)));
    }
    let folder = of.path.and_then(Path::parent).filter(|folder| folder.is_absolute());
    if let (Some(link), Some(beside)) = (of.link, folder) {
        let mut places = vec![beside.to_owned(), beside.join(".debug")];
        places.extend(folders.iter().map(|folder| below(folder, beside)));
        found.extend(places.into_iter().map(|place| (place.join(&link.name), Some(link))));
    }
    found
}

/// `path`, as if `root` were the root. A path of a target's has no say over what is above that, as far as its text goes.
fn below(root: &Path, path: &Path) -> PathBuf {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_)));
    names.fold(root.to_owned(), |sum, part| sum.join(part))
}

/// `None`: there is no such file.
fn check(
    path: &Path,
    build: Option<&BuildId>,
    link: Option<&DebugLink>,
) -> Result<Option<DebugFile>, String> {
    let Some(file) = open(path).map_err(|error| error.to_string())? else { return Ok(None) };
    let file = DebugFile::read(file).map_err(|error| error.to_string())?;
    is_of(&file, build)?;
    // A checksum alone is not much, but there are builds that have nothing else.
    if let Some(link) = link {
        let found = crc32(&file.file).map_err(|error| error.to_string())?;
        if found != link.crc32 {
            return Err(
                "it is not the file that the executable's debuglink names: another checksum".to_owned()
            );
        }
    }
    Ok(Some(file))
}

/// Whether a file has the debug information of a build.
pub fn is_of(file: &DebugFile, build: Option<&BuildId>) -> Result<(), String> {
    if !file.has_debug_info() {
        return Err("it has no debug information".to_owned());
    }
    match (&file.build_id, build) {
        (Some(found), Some(build)) if found != build => Err(format!("it is of another build ({found})")),
        (None, Some(_)) => Err("it has no build id".to_owned()),
        (Some(found), None) => Err(format!("it is of another build ({found})")),
        (Some(_), Some(_)) | (None, None) => Ok(()),
    }
}

/// Only regular files: opening another kind may wait, or do something.
pub fn open(path: &Path) -> io::Result<Option<File>> {
    let is_absent =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let opened = fs::metadata(path).and_then(|metadata| {
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
    });
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
