//! One build: everything that is known of an executable before any process is looked at.

use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use crate::build_info::BuildInfo;
use crate::debug_info::RuntimeInfo;
use crate::dwarf::{DebugInfo, Evidence, calls};
use crate::executable::{Bytes, Executable, ExecutableError};
use crate::function_table::{FunctionTable, FunctionTableError, ModuleFunctions, SECTIONS};
use crate::gap::Gap;
use crate::hash::fnv1a;
use crate::layout::{LayoutError, Layouts};
use crate::layout_table;
use crate::modules::Functions;
use crate::relocations::Relocations;
use crate::variables::{Known, Variables};
use crate::version::{MINOR_NEWEST, MINOR_OLDEST};

/// Of functions of one name.
const CALL_SITES_MAX: usize = 1 << 17;

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
    #[error(transparent)]
    DebugInfo(#[from] Gap),
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
    debug_info: Mutex<Result<Arc<DebugInfo>, Gap>>,
}

/// Structures that debug information leaves out where the program has no use for them: without a `sync.Cond`, without files.
const UNUSED: [&str; 2] = ["runtime.notifyList", "runtime.pollDesc"];

impl Build {
    pub fn read(bytes: Bytes) -> Result<Self, BuildError> {
        let identity = Identity::read(bytes)?;
        let debug_info = DebugInfo::of_executable(&identity.executable).map(Arc::new);
        Build::of(identity, debug_info.ok_or(Gap::NoDebugInfo))
    }

    /// `debug_info`: of this very build, wherever it comes from; or why there is none, which only values need.
    pub fn of(identity: Identity, debug_info: Result<Arc<DebugInfo>, Gap>) -> Result<Self, BuildError> {
        let minor = identity.check()?;
        let table = FunctionTable::read(&identity.executable)?;
        let read = debug_info.and_then(|debug_info| Ok((RuntimeInfo::read(&debug_info)?, debug_info)));
        let (mut info, debug_info) = match read {
            Ok((info, debug_info)) => {
                // Most builds are never asked for more.
                debug_info.unload();
                (info, Ok(debug_info))
            }
            Err(gap) => (RuntimeInfo::default(), Err(gap)),
        };
        if info.structures.is_empty() {
            let version = &identity.info.version;
            let architecture = identity.executable.architecture;
            let known = version.patch.and_then(|patch| layout_table::structures(minor, patch, architecture));
            info.structures = known.ok_or_else(|| match &debug_info {
                Err(gap @ Gap::DamagedDebugInfo(_)) => BuildError::DebugInfo(gap.clone()),
                _ => BuildError::UnknownRelease(version.to_string()),
            })?;
        } else if UNUSED.iter().any(|name| !info.structures.contains_key(*name)) {
            let patch = identity.info.version.patch.unwrap_or(u32::MAX);
            let known = layout_table::structures(minor, patch, identity.executable.architecture);
            for (name, structure) in known.into_iter().flatten().filter(|(n, _)| UNUSED.contains(&&n[..])) {
                info.structures.entry(name).or_insert(structure);
            }
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
        let debug_info = Mutex::new(debug_info);
        Ok(Build { identity, minor, table, layouts, variables, debug_info })
    }

    /// The code as the file alone has it, without a process; `None` where the file does not say.
    pub fn code_of_file(&self) -> Option<Code<'_>> {
        let executable = &self.identity.executable;
        let relocations = Relocations::read(executable);
        let field =
            |at: usize| relocations.word(executable, self.variables.module_data.checked_add(at as u64)?);
        let (text, function_data) =
            (field(self.layouts.module_data.text)?, field(self.layouts.module_data.gofunc)?);
        Some(Code { build: self, text, functions: self.functions(function_data)?.program() })
    }

    /// Of the executable itself, unless other was handed in.
    pub fn debug_info(&self) -> Result<Arc<DebugInfo>, Gap> {
        self.debug_info.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Debug information of this very build from elsewhere, such as a separate file with the same build id; or why there
    /// is none there either.
    pub fn set_debug_info(&self, debug_info: Result<Arc<DebugInfo>, Gap>) {
        *self.debug_info.lock().unwrap_or_else(PoisonError::into_inner) = debug_info;
    }

    /// `function_data`: `moduledata.gofunc` as an address of the file.
    pub fn functions(&self, function_data: u64) -> Option<Functions<'_>> {
        self.table.functions(&self.identity.executable, function_data, self.minor)
    }
}

/// A build's code, by addresses of the file.
pub struct Code<'b> {
    build: &'b Build,
    /// Where the Go text starts.
    pub text: u64,
    pub functions: ModuleFunctions<'b>,
}

impl Code<'_> {
    /// Return addresses of all calls in functions of this name.
    pub fn call_sites(&self, function: &str) -> Vec<u64> {
        let executable = &self.build.identity.executable;
        let codes = self.build.table.codes(executable, function).into_iter();
        let sites = codes.flat_map(|code| {
            let (start, end) = (self.text.saturating_add(code.start), self.text.saturating_add(code.end));
            calls::return_addresses(executable, start..end)
        });
        sites.take(CALL_SITES_MAX).collect()
    }

    /// What the function table knows of the frames at `pc`. `None`: there is no function.
    pub fn evidence(&self, pc: u64) -> Option<Evidence> {
        let at = pc.checked_sub(self.text)?;
        Some(self.functions.evidence(
            &self.functions.find(at)?,
            at,
            self.text,
            &self.build.identity.executable,
        ))
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
