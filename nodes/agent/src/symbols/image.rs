//! An executable's bytes without its debug information, which comes from [`super::Symbols`].
//!
//! The offsets are those of the file; where debug sections lie there is nothing but zeros, which take no memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use stillframe_golang::executable::Bytes;

use super::debug_file::{DebugFile, DebugFileError};

/// Reads all that is no debug information; of a file that is no sound executable, all.
pub fn read(file: &File) -> Result<Bytes, DebugFileError> {
    let debug_ranges = match DebugFile::read(file.try_clone()?) {
        Ok(seen) => seen.debug_ranges,
        Err(error @ (DebugFileError::Io(_) | DebugFileError::NoFile | DebugFileError::TooLong(_))) => {
            return Err(error);
        }
        Err(_) => Vec::new(),
    };
    let length = file.metadata()?.len();
    // Zeroed pages that nobody has touched are none.
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let mut holes: Vec<(usize, usize)> = debug_ranges
        .iter()
        .filter_map(|&(start, length)| {
            Some((start.try_into().ok()?, start.checked_add(length)?.try_into().ok()?))
        })
        .filter(|&(_, end): &(usize, usize)| end <= bytes.len())
        .collect();
    holes.sort_unstable();
    let mut at = 0;
    let end = bytes.len();
    for (start, hole_end) in holes.into_iter().chain([(end, end)]) {
        if at < start {
            file.read_exact_at(&mut bytes[at..start], at as u64)?;
        }
        at = at.max(hole_end);
    }
    Ok(Arc::new(bytes))
}
