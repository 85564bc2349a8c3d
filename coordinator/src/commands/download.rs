//! Fetches a snapshot from a coordinator into a file, which is whole or not there.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use tempfile::TempPath;
use uuid::Uuid;

use super::coordinator::{Client, Trouble};
use super::interrupt::Interrupt;
use super::{Class, Failure};
use crate::store::order::{Existing, WriteError};
use crate::store::{self, folder_of};

/// All of it, beside the file that it is to become: [`publish`] gives it its name.
pub fn fetch(
    client: &Client,
    snapshot: Uuid,
    output: &Path,
    existing: Existing,
    interrupt: &Interrupt,
) -> Result<TempPath, Trouble> {
    let refused = |error: WriteError| Trouble::Refused(error.into());
    check_output(output, existing).map_err(refused)?;
    let mut body = client.download(snapshot)?;
    let failed = |source| refused(WriteError::of_file(output, source));
    let file = tempfile::Builder::new()
        .prefix(".stillframe-")
        .suffix(".partial")
        .tempfile_in(folder_of(output))
        .map_err(failed)?;
    interrupt.delete(file.path());
    copy(client, &mut body, file.as_file(), output)?;
    Ok(file.into_temp_path())
}

/// Its size in bytes.
pub fn publish(fetched: TempPath, output: &Path, existing: Existing) -> Result<u64, Failure> {
    store::publish(fetched, output, existing).map_err(Failure::from)
}

/// Before anything is asked for: a file that cannot be written is no reason to stop a process.
pub fn check_output(output: &Path, existing: Existing) -> Result<(), WriteError> {
    let failed = |source| WriteError::of_file(output, source);
    match output.symlink_metadata() {
        Ok(found) if found.is_dir() => Err(failed(io::ErrorKind::IsADirectory.into())),
        Ok(_) if existing == Existing::Refuse => Err(WriteError::Exists { path: output.to_owned() }),
        _ => tempfile::tempfile_in(folder_of(output)).map(drop).map_err(failed),
    }
}

fn copy(client: &Client, body: &mut impl Read, mut file: &File, output: &Path) -> Result<(), Trouble> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = body.read(&mut buffer).map_err(|error| client.unreachable(&error.to_string()))?;
        if read == 0 {
            return Ok(());
        }
        io::Write::write_all(&mut file, &buffer[..read])
            .map_err(|source| Trouble::Refused(WriteError::of_file(output, source).into()))?;
    }
}

/// What was fetched is not what it should be.
pub fn damaged(id: Uuid, why: &str) -> Failure {
    Failure::new(
        Class::BadFile,
        format!("snapshot {id}: {why}"),
        "fetch it again by `stillframe snapshots download`",
    )
}
