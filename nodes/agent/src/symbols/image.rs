//! An executable's bytes without its debug information, which comes from [`super::Symbols`], and without its symbols, which
//! nobody needs who has that.
//!
//! The offsets are those of the file; where those lie there is nothing but zeros, which take no memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use stillframe_golang::executable::Bytes;

use super::debug_file::{DebugFile, DebugFileError};

/// Read at once by one of the threads.
const CHUNK_BYTES: usize = 4 << 20;

/// Reads all that is no debug information; of a file that is no sound executable, all.
pub fn read(file: &File) -> Result<Bytes, DebugFileError> {
    let left_out = match DebugFile::read(file.try_clone()?) {
        Ok(seen) if seen.has_debug_info() => [seen.debug_ranges, seen.symbol_ranges].concat(),
        Ok(seen) => seen.debug_ranges,
        Err(error @ (DebugFileError::Io(_) | DebugFileError::NoFile | DebugFileError::TooLong(_))) => {
            return Err(error);
        }
        Err(_) => Vec::new(),
    };
    let length = file.metadata()?.len();
    // Zeroed pages that nobody has touched are none.
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let mut holes: Vec<(usize, usize)> = left_out
        .iter()
        .filter_map(|&(start, length)| {
            Some((start.try_into().ok()?, start.checked_add(length)?.try_into().ok()?))
        })
        .filter(|&(_, end): &(usize, usize)| end <= bytes.len())
        .collect();
    holes.sort_unstable();
    let end = bytes.len();
    let (mut rest, mut at) = (bytes.as_mut_slice(), 0);
    let mut stretches = Vec::new();
    for (start, hole_end) in holes.into_iter().chain([(end, end)]) {
        if at < start {
            let (stretch, behind) = rest[..].split_at_mut(start - at);
            stretches.push((at as u64, stretch));
            (rest, at) = (behind, start);
        }
        if at < hole_end {
            (rest, at) = (&mut std::mem::take(&mut rest)[hole_end - at..], hole_end);
        }
    }
    read_stretches(file, stretches)?;
    Ok(Arc::new(bytes))
}

/// Copying what the kernel has in memory takes a processor; two are done sooner.
fn read_stretches(file: &File, stretches: Vec<(u64, &mut [u8])>) -> io::Result<()> {
    let chunks = stretches.into_iter().flat_map(|(start, stretch)| {
        let offsets = (start..).step_by(CHUNK_BYTES);
        offsets.zip(stretch.chunks_mut(CHUNK_BYTES))
    });
    let chunks = Mutex::new(chunks);
    let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
    let read = || {
        while let Some((offset, chunk)) = next() {
            file.read_exact_at(chunk, offset)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(read);
        let read = read();
        other.join().unwrap_or_else(|_| Err(io::Error::other("reading the executable failed"))).and(read)
    })
}
