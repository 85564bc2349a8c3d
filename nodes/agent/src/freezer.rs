//! Starting the freezer, and giving up what only it needs.
//! A program that calls [`start`] calls [`serve_inherited`] first of all when its first argument is [`VERB`].

use std::os::unix::process::CommandExt;
use std::process::Command;

pub use stillframe_target::freezer::{Freezer, FreezerError, VERB, serve_inherited};
pub use stillframe_target::privilege::{PrivilegeError, Role};

/// Runs this program's own hidden verb as the freezer, then gives up all privileges but those of `role`. To be called
/// before there is a second thread: threads that are there keep theirs.
pub fn start(role: Role) -> Result<Freezer, FreezerError> {
    // The file itself, even if its name is another's by now.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("stillframe").arg(VERB);
    let freezer = Freezer::spawn(&mut command)?;
    role.keep_only()?;
    Ok(freezer)
}
