//! Why the freezer has not done what it was asked for.

use crate::freeze::FreezeError;
use crate::privilege::PrivilegeError;
use crate::process::ProcessError;
use std::io;
use thiserror::Error;

/// Asking the freezer failed. Whatever it is, no target is left frozen by it.
#[derive(Debug, Error)]
pub enum FreezerError {
    #[error("the freezer cannot be started: {0}")]
    Start(io::Error),
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    /// `how`: how the process ended, or what it did instead of answering.
    #[error("the freezer ended: {how}; the targets run on, try again")]
    Ended { how: String },
    /// A command that makes no sense, such as a second freeze within one.
    #[error("the freezer refused: {what}; report this as a bug")]
    Refused { what: String },
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Freeze(#[from] FreezeError),
}
