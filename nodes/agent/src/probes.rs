//! Probe sets against builds, for the command line: what would be captured, said before anything is.

use std::path::Path;
use std::sync::Arc;

use stillframe_golang::build::Build;
pub use stillframe_golang::gap::Gap;
use stillframe_golang::probe::availability::Availability;
pub use stillframe_golang::probe::availability::{
    Checked, CheckedExpression, CheckedFunction, CheckedProbe, CheckedTypeRule, Listed, ListedFunction,
    Mistake, Places, VariableReport, VariablesReport,
};
pub use stillframe_golang::probe::pattern::{Pattern, Subject};
pub use stillframe_golang::probe::problem::Problem;
pub use stillframe_golang::probe::set::{ProbeSet, SetErrors};
pub use stillframe_golang::variable::Role;

use crate::capture::Captures;
use crate::convert;
use crate::error::CaptureError;

/// A build to ask.
pub struct Inspected {
    build: Arc<Build>,
    /// The file name of the executable.
    pub program: String,
}

impl Inspected {
    /// The executable of a running process.
    pub fn of_process(captures: &Captures, pid: u32) -> Result<Self, CaptureError> {
        let (build, exe) = captures.warm(pid, Some(captures.patience()))?;
        Ok(Inspected { build, program: convert::program(&exe) })
    }

    /// A file.
    pub fn of_file(captures: &Captures, path: &Path) -> Result<Self, CaptureError> {
        let build = captures.build_of_file(path, Some(captures.patience()))?;
        let program = convert::program(&path.to_string_lossy());
        Ok(Inspected { build: Arc::new(build), program })
    }

    /// `None`: the file does not say where its code is.
    pub fn availability(&self) -> Option<Availability<'_>> {
        Availability::new(&self.build)
    }
}
