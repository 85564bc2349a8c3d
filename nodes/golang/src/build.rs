//! One build: everything that is known of an executable before any process is looked at.

use thiserror::Error;

use crate::build_info::BuildInfo;
use crate::debug_info::{DebugInfoError, RuntimeInfo};
use crate::executable::{Bytes, Executable, ExecutableError};
use crate::function_table::{FunctionTable, FunctionTableError, Functions};
use crate::layout::{LayoutError, Layouts};
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
    #[error("{0}; build the program without -ldflags=-w or -s and do not strip it")]
    DebugInfo(DebugInfoError),
    #[error(transparent)]
    FunctionTable(#[from] FunctionTableError),
    #[error("{0}: this Go runtime is not known to Stillframe")]
    Layout(#[from] LayoutError),
    #[error("debug information does not name the runtime's variable {0}")]
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
        let info = BuildInfo::read(&executable).ok_or(BuildError::NotGo)?;
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

/// Addresses of the runtime's variables, of the file.
pub(crate) struct Variables {
    pub(crate) allglen: u64,
    pub(crate) allgptr: u64,
    pub(crate) allm: u64,
    pub(crate) finalizer_status: u64,
    pub(crate) module_data: u64,
    pub(crate) wait_reasons: u64,
    pub(crate) wait_reason_count: u64,
    /// `debug.tracebacklabels`; from Go 1.26 on.
    pub(crate) traceback_labels: Option<u64>,
}

impl Build {
    pub fn read(bytes: Bytes) -> Result<Self, BuildError> {
        let identity = Identity::read(bytes)?;
        let minor = identity.check()?;
        let table = FunctionTable::read(&identity.executable)?;
        let info = RuntimeInfo::read(&identity.executable).map_err(BuildError::DebugInfo)?;
        let layouts = Layouts::load(&info.structures)?;
        let variable =
            |name: &'static str| info.variables.get(name).copied().ok_or(BuildError::NoVariable(name));
        let labels = info.debug_fields.get("tracebacklabels");
        let variables = Variables {
            allglen: variable("runtime.allglen")?,
            allgptr: variable("runtime.allgptr")?,
            allm: variable("runtime.allm")?,
            finalizer_status: variable("runtime.fingStatus")?,
            module_data: variable("runtime.firstmoduledata")?,
            wait_reasons: variable("runtime.waitReasonStrings")?,
            wait_reason_count: info
                .wait_reasons
                .ok_or(BuildError::NoVariable("runtime.waitReasonStrings"))?,
            traceback_labels: labels.and_then(|&at| variable("runtime.debug").ok()?.checked_add(at)),
        };
        Ok(Build { identity, minor, table, layouts, variables })
    }

    /// `function_data`: `moduledata.gofunc` as an address of the file.
    pub fn functions(&self, function_data: u64) -> Option<Functions<'_>> {
        self.table.functions(&self.identity.executable, function_data, self.minor)
    }
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
            let table = [".gopclntab", ".data.rel.ro.gopclntab"];
            let bytes = table.iter().find_map(|name| executable.section_bytes(name)).unwrap_or_default();
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
