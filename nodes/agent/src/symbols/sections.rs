//! The debug sections of one build, decompressed: in memory, or mapped from the cache.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;

use flate2::bufread::ZlibDecoder;
use object::CompressionFormat;
use ruzstd::decoding::StreamingDecoder;
use stillframe_golang::executable::Bytes;
use stillframe_target::mapping::Mapping;

use super::debug_file::{DebugFile, DebugFileError, DebugSection, Stretch};

/// Bytes that are read or written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Each section's name and bytes.
#[derive(Clone, Default)]
pub struct Sections {
    sections: Vec<(String, Bytes)>,
}

impl Sections {
    pub(super) fn new(sections: Vec<(String, Bytes)>) -> Sections {
        Sections { sections }
    }

    /// Of a whole file, in this process's own memory: for where there is no cache.
    pub fn decompress(file: &DebugFile) -> Result<Sections, DebugFileError> {
        let mut sections = Vec::new();
        for section in &file.sections {
            let mut bytes = Vec::new();
            bytes
                .try_reserve_exact(section.bytes as usize)
                .map_err(|error| io::Error::new(io::ErrorKind::OutOfMemory, error))?;
            copy(&file.file, section, &mut bytes)?;
            sections.push((section.name.to_owned(), Arc::new(bytes) as Bytes));
        }
        Ok(Sections { sections })
    }

    /// A section's bytes; `None`: the build has none of this name.
    pub fn get(&self, name: &str) -> Option<Bytes> {
        self.sections.iter().find(|(n, _)| n == name).map(|(_, bytes)| Arc::clone(bytes))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.sections.iter().map(|(name, bytes)| (name.as_str(), bytes))
    }
}

/// Writes a section, decompressed, to `out`: exactly as many bytes as it says that it has.
pub(super) fn copy(file: &File, section: &DebugSection, out: &mut impl Write) -> Result<(), DebugFileError> {
    let stored =
        BufReader::with_capacity(BUFFER_BYTES, Stretch::new(file, section.offset, section.stored_bytes));
    match section.format {
        CompressionFormat::Zlib => exactly(ZlibDecoder::new(stored), section, out),
        CompressionFormat::Zstandard => {
            let decoder = StreamingDecoder::new(stored)
                .map_err(|_| DebugFileError::Damaged("a debug section cannot be decompressed"))?;
            exactly(decoder, section, out)
        }
        _ => exactly(stored, section, out),
    }
}

fn exactly(mut from: impl Read, section: &DebugSection, out: &mut impl Write) -> Result<(), DebugFileError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = section.bytes;
    loop {
        // One byte more than there should be is enough to see that there is more.
        let wanted = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX).min(BUFFER_BYTES);
        let read = match from.read(&mut buffer[..wanted]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The file itself was checked to be long enough.
            Err(_) => return Err(DebugFileError::Damaged("a debug section cannot be decompressed")),
        };
        if read == 0 && left == 0 {
            return Ok(());
        }
        if read == 0 || read as u64 > left {
            return Err(DebugFileError::Damaged("a debug section has not the length that it says"));
        }
        out.write_all(&buffer[..read])?;
        left -= read as u64;
    }
}

/// Some bytes of a mapped file.
pub(super) struct Mapped {
    mapping: Arc<Mapping>,
    start: usize,
    end: usize,
}

impl Mapped {
    /// `None`: they are not in the file.
    pub(super) fn of(mapping: &Arc<Mapping>, offset: u64, length: u64) -> Option<Bytes> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (*mapping).as_ref().as_ref().get(start..end)?;
        Some(Arc::new(Mapped { mapping: Arc::clone(mapping), start, end }))
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &(*self.mapping).as_ref()[self.start..self.end]
    }
}
