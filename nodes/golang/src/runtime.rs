//! The Go runtime of one process: a build, where it was loaded, and what it told of itself.

use thiserror::Error;

use crate::build::Build;
use crate::bytes::u64_at;
use crate::decode::Missing;
use crate::executable::Architecture;
use crate::libraries::{GoLibrary, go_libraries};
use crate::memory::{Memory, Unreadable};
use crate::modules::{Functions, Plugins};
use crate::records::GRecord;
use crate::validation::{check_goroutines, check_threads};
use crate::wait_reasons;

/// More wait reasons than any version has; Go 1.27 has 47.
const WAIT_REASONS_MAX: u64 = 256;
const WAIT_REASON_BYTES_MAX: usize = 128;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RuntimeError {
    #[error("the Go runtime's own description of the program: {0}")]
    Unreadable(#[from] Unreadable),
    #[error("the process does not run this executable: {0}")]
    OtherProgram(&'static str),
    #[error(
        "the Go runtime of this program is not as that of {version}: {reason}; if it was built by a changed Go toolchain, build it with debug information"
    )]
    OtherRuntime { version: String, reason: String },
}

/// A build in a process.
pub struct Runtime<'b> {
    pub build: &'b Build,
    pub functions: Functions<'b>,
    /// What to add to the file's addresses.
    pub bias: u64,
    /// Where the Go text starts in the process.
    pub text: u64,
    /// Where the program's type descriptors lie in the process, and where they end.
    pub types: u64,
    pub types_end: u64,
    pub(crate) wait_reasons: Vec<String>,
    /// Why what the runtime notes of its threads cannot be used.
    pub(crate) threads_unknown: Option<String>,
    /// What else of the process is not known: plugins, other Go runtimes.
    pub(crate) missing: Vec<Missing>,
}

impl<'b> Runtime<'b> {
    /// Reads what does not change while the process lives. It need not be stopped.
    pub fn locate(build: &'b Build, memory: &dyn Memory, bias: u64) -> Result<Self, RuntimeError> {
        use RuntimeError::OtherProgram;
        let layout = &build.layouts.module_data;
        let address = |of_file: u64| of_file.wrapping_add(bias);
        let module = memory.read_bytes(address(build.variables.module_data), layout.size)?;
        let field = |at: usize| u64_at(&module, at).ok_or(OtherProgram("its module data is too short"));
        let table = address(build.table.address);
        if field(layout.pc_header)? != table
            || field(layout.funcnametab)? != table.wrapping_add(build.table.names_offset())
        {
            return Err(OtherProgram("its module data names another function table"));
        }
        let (text, end) = (field(layout.text)?, field(layout.etext)?);
        let function_data = field(layout.gofunc)?.wrapping_sub(bias);
        let mut functions =
            build.functions(function_data).ok_or(OtherProgram("its function table is gone"))?;
        if text > end || functions.text_length() > end - text {
            return Err(OtherProgram("its text is shorter than its function table"));
        }
        let (types, types_end) = (field(layout.types)?, field(layout.etypes)?);
        let mut plugins = Plugins::read(memory, field(layout.next)?, layout, text, build.minor);
        plugins.add_to(&mut functions);
        let missing = missing(build, memory, bias, plugins);
        let wait_reasons = wait_reasons(build, memory, bias)?;
        let threads_unknown = None;
        let mut runtime = Runtime {
            build,
            functions,
            bias,
            text,
            types,
            types_end,
            wait_reasons,
            threads_unknown,
            missing,
        };
        check_goroutines(&runtime, memory).map_err(|reason| RuntimeError::OtherRuntime {
            version: build.identity.info.version.to_string(),
            reason: reason.to_string(),
        })?;
        if types > types_end {
            return Err(RuntimeError::OtherRuntime {
                version: build.identity.info.version.to_string(),
                reason: "its types end before they begin".to_owned(),
            });
        }
        runtime.threads_unknown = check_threads(&runtime, memory).err().map(|reason| reason.to_string());
        Ok(runtime)
    }

    /// Goroutines, dead ones included, that the process has records of; 0 where that cannot be read.
    pub fn goroutine_count(&self, memory: &dyn Memory) -> u64 {
        memory.read_u64(self.address(self.build.variables.allglen)).unwrap_or(0)
    }

    pub(crate) fn address(&self, of_file: u64) -> u64 {
        of_file.wrapping_add(self.bias)
    }

    /// As Go names it; empty where it is not known.
    pub(crate) fn wait_reason(&self, g: &GRecord) -> &str {
        self.wait_reasons.get(usize::from(g.wait_reason)).map_or("", String::as_str)
    }

    /// A program counter as an offset from the start of the Go text.
    pub(crate) fn offset(&self, pc: u64) -> Option<u64> {
        pc.checked_sub(self.text)
    }

    pub(crate) fn architecture(&self) -> Architecture {
        self.build.identity.executable.architecture
    }
}

/// Plugins that could not be read, and libraries with a Go runtime of their own.
fn missing(build: &Build, memory: &dyn Memory, bias: u64, plugins: Plugins) -> Vec<Missing> {
    let libraries = go_libraries(&build.identity.executable, memory, bias);
    let others =
        libraries.into_iter().filter(|library| !plugins.texts.iter().any(|text| library.holds(*text)));
    let of_other = |library: GoLibrary| Missing {
        goid: None,
        what: "goroutines",
        reason: format!(
            "{} has a Go runtime of its own (-buildmode=c-shared), whose goroutines are not captured",
            library.name
        ),
    };
    let of_plugin = |reason| Missing { goid: None, what: "plugin", reason };
    others.map(of_other).chain(plugins.missing.into_iter().map(of_plugin)).collect()
}

/// `runtime.waitReasonStrings`: an array of Go strings.
fn wait_reasons(build: &Build, memory: &dyn Memory, bias: u64) -> Result<Vec<String>, RuntimeError> {
    let Some((address, count)) = build.variables.wait_reasons else {
        return Ok(wait_reasons::of_version(build.minor).iter().map(|&reason| reason.to_owned()).collect());
    };
    let count = count.min(WAIT_REASONS_MAX) as usize;
    let headers = memory.read_bytes(address.wrapping_add(bias), 16 * count)?;
    (0..count)
        .map(|i| {
            let pointer = u64_at(&headers, 16 * i).unwrap_or(0);
            let length = u64_at(&headers, 16 * i + 8).unwrap_or(0) as usize;
            if length == 0 {
                return Ok(String::new());
            }
            if length > WAIT_REASON_BYTES_MAX {
                return Err(RuntimeError::OtherProgram("its wait reasons are damaged"));
            }
            Ok(String::from_utf8_lossy(&memory.read_bytes(pointer, length)?).into_owned())
        })
        .collect()
}
