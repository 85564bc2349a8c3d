//! One build: everything that is known of an executable before any process is looked at.

use thiserror::Error;

use crate::build_info::BuildInfo;
use crate::debug_info::{DebugInfoError, RuntimeInfo};
use crate::executable::{Bytes, Executable, ExecutableError};
use crate::function_table::{FunctionTable, FunctionTableError, SECTIONS};
use crate::layout::{LayoutError, Layouts};
use crate::layout_table;
use crate::modules::Functions;
use crate::variables::{Known, Variables};
use crate::version::{MINOR_NEWEST, MINOR_OLDEST};

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BuildError {
    #[error(transparent)]
    Executable(#[from] ExecutableError),
    #[error("not a Go executable (no Go build information); Stillframe captures Go programs only")]
    NotGo,
    #[error(
        "built with {0}; Stillframe reads Go 1.{MINOR_OLDEST} to 1.{MINOR_NEWEST}: rebuild the program with one of those"
    )]
    UnsupportedVersion(String),
    #[error(
        "built with the Go experiment {0}, which changes the runtime's structures in ways that Stillframe does not know"
    )]
    UnsupportedExperiment(String),
    #[error(
        "packed with UPX: what the process runs is not in its file; unpack the program (upx -d) and run that"
    )]
    Packed,
    #[error("{0}")]
    DebugInfo(#[from] DebugInfoError),
    #[error(
        "built with {0}, whose structures Stillframe knows from debug information only, and without that; build the program without -ldflags=-w or -s and do not strip it"
    )]
    UnknownRelease(String),
    #[error(transparent)]
    FunctionTable(#[from] FunctionTableError),
    #[error("{0}: this Go runtime is not known to Stillframe")]
    Layout(#[from] LayoutError),
    #[error(
        "the runtime's variable {0} was not found; build the program without -ldflags=-w or -s and do not strip it"
    )]
    NoVariable(&'static str),
}

impl BuildError {
    /// The file is Go, and whole, but of a kind that cannot be captured.
    pub fn is_unsupported(&self) -> bool {
        !matches!(self, BuildError::Executable(_) | BuildError::NotGo)
    }
}

/// What an executable says of itself; cheap to read.
#[derive(Clone)]
pub struct Identity {
    pub executable: Executable,
    pub info: BuildInfo,
    /// The GNU build id in hexadecimal; without one `go:` and Go's own build id.
    pub id: String,
}

impl Identity {
    pub fn read(bytes: Bytes) -> Result<Self, BuildError> {
        let executable = Executable::parse(bytes)?;
        let packed = || if is_packed(&executable) { BuildError::Packed } else { BuildError::NotGo };
        let info = BuildInfo::read(&executable).ok_or_else(packed)?;
        let id = build_id(&executable);
        Ok(Identity { executable, info, id })
    }

    /// Why this build cannot be captured, as far as that shows without reading its tables.
    pub fn check(&self) -> Result<u32, BuildError> {
        let version = &self.info.version;
        let minor = version
            .minor
            .filter(|m| (MINOR_OLDEST..=MINOR_NEWEST).contains(m))
            .ok_or_else(|| BuildError::UnsupportedVersion(version.to_string()))?;
        match version.experiments.iter().find(|e| *e == "staticlockranking") {
            Some(experiment) => Err(BuildError::UnsupportedExperiment(experiment.clone())),
            None => Ok(minor),
        }
    }
}

/// An executable, its function table, and where its runtime keeps things.
pub struct Build {
    pub identity: Identity,
    pub(crate) minor: u32,
    pub(crate) table: FunctionTable,
    pub(crate) layouts: Layouts,
    pub(crate) variables: Variables,
}

impl Build {
    pub fn read(bytes: Bytes) -> Result<Self, BuildError> {
        let identity = Identity::read(bytes)?;
        let minor = identity.check()?;
        let table = FunctionTable::read(&identity.executable)?;
        let mut info = RuntimeInfo::read(&identity.executable)?;
        if info.structures.is_empty() {
            let version = &identity.info.version;
            let architecture = identity.executable.architecture;
            let known = version.patch.and_then(|patch| layout_table::structures(minor, patch, architecture));
            info.structures = known.ok_or_else(|| BuildError::UnknownRelease(version.to_string()))?;
        }
        let layouts = Layouts::load(&info.structures)?;
        let known = Known {
            minor,
            executable: &identity.executable,
            table: &table,
            info: &info,
            module_data: &layouts.module_data,
        };
        let variables = Variables::find(&known).map_err(BuildError::NoVariable)?;
        Ok(Build { identity, minor, table, layouts, variables })
    }

    /// `function_data`: `moduledata.gofunc` as an address of the file.
    pub fn functions(&self, function_data: u64) -> Option<Functions<'_>> {
        self.table.functions(&self.identity.executable, function_data, self.minor)
    }
}

/// UPX's loader header (`l_info`, upx/src/stub/src/include/linux.h) stands behind the program headers.
fn is_packed(executable: &Executable) -> bool {
    const HEADERS_BYTES: usize = 4096;
    let head = &executable.file()[..executable.file().len().min(HEADERS_BYTES)];
    head.windows(4).any(|window| window == b"UPX!")
}

fn build_id(executable: &Executable) -> String {
    if let Some(id) = &executable.gnu_build_id {
        return id.clone();
    }
    // Note header: three words (lengths of name and description, type), then the name "Go\0\0" (cmd/internal/buildid).
    let go_id = executable
        .section_bytes(".note.go.buildid")
        .and_then(|note| note.get(16..))
        .map(|id| String::from_utf8_lossy(&id[..id.len().min(128)]).trim_end_matches('\0').to_owned())
        .filter(|id| !id.is_empty());
    match go_id {
        Some(id) => format!("go:{id}"),
        // Built with -buildid= : the function table stands for the build.
        None => {
            let bytes = SECTIONS.iter().find_map(|name| executable.section_bytes(name)).unwrap_or_default();
            format!("fnv:{:016x}", fnv1a(bytes))
        }
    }
}

/// FNV-1a, 64 bits (RFC 9923).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
