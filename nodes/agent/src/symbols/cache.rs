//! What is expensive to make of a build, kept on disk by build id: its debug sections, decompressed, and the index of its
//! types.
//!
//! A file's layout, little-endian: a magic number, the version, the length and the CRC-32 of what follows them (bincode:
//! which build, and where each part lies), then the parts. A file that is of another version, of another build, cut or
//! damaged is deleted and made again. The parts themselves are no more trusted than the executable they come from.
//!
//! They are mapped, so that the kernel shares them among processes and takes them back when memory is short.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use stillframe_golang::executable::Bytes;
use stillframe_target::mapping::Mapping;
use stillframe_wire::bincode::{Decode, Encode};
use stillframe_wire::codec;

use super::build_id::BuildId;
use super::debug_file::{DebugFile, DebugFileError};
use super::folder::Folder;
use super::sections::{self, Mapped, Sections};

/// Bytes of all builds together.
pub const CACHE_BYTES_MAX: u64 = 8 << 30;

const MAGIC: [u8; 8] = *b"SFbuild\0";
/// Of this layout, and of which sections are in it.
const VERSION: u32 = 1;
/// Magic number, version, length, checksum.
const HEAD_BYTES: usize = 20;
/// A page, so that parts are read a page at a time.
const ALIGNMENT: u64 = 4_096;
const INDEX_PART: &str = "index";

#[derive(Debug, Encode, Decode)]
#[bincode(crate = "stillframe_wire::bincode")]
struct Header {
    build_id: String,
    fingerprint: u32,
    parts: Vec<Part>,
    file_bytes: u64,
}

#[derive(Debug, Encode, Decode)]
#[bincode(crate = "stillframe_wire::bincode")]
struct Part {
    name: String,
    offset: u64,
    bytes: u64,
    /// Only of a part that is read as a whole anyway.
    crc32: Option<u32>,
}

/// What is kept is of this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub build: BuildId,
    /// Of the file that has the debug information ([`DebugFile::fingerprint`]); 0: of a separate file, which was found by
    /// the build id.
    pub fingerprint: u32,
}

/// Where builds are kept. All of it may fail, which is said in the log: whoever asks goes on without.
#[derive(Clone, Debug)]
pub struct BuildCache {
    folder: Folder,
}

impl BuildCache {
    pub fn open(path: &Path, bytes_max: u64) -> io::Result<BuildCache> {
        Ok(BuildCache { folder: Folder::open(path, bytes_max)? })
    }

    /// The debug sections of a build, if they are here.
    pub fn sections(&self, key: &Key) -> Option<Sections> {
        let (header, mapping) = self.load(key, Kind::Sections)?;
        let part = |part: Part| Some((part.name, Mapped::of(&mapping, part.offset, part.bytes)?));
        let parts = header.parts.into_iter().map(part).collect::<Option<_>>()?;
        Some(Sections::new(parts))
    }

    /// Decompresses a build's debug sections into a file, through a buffer, and gives them mapped.
    pub fn keep_sections(&self, key: &Key, file: &DebugFile) -> Result<Sections, DebugFileError> {
        let parts: Vec<(&str, u64, Option<u32>)> =
            file.sections.iter().map(|s| (s.name, s.bytes, None)).collect();
        let (header, head) = layout(key, &parts)?;
        let mut temporary = self.folder.begin()?;
        let mut out = BufWriter::new(temporary.as_file_mut());
        out.write_all(&head)?;
        for (part, section) in header.parts.iter().zip(&file.sections) {
            out.seek(SeekFrom::Start(part.offset))?;
            sections::copy(&file.file, section, &mut out)?;
        }
        out.flush()?;
        drop(out);
        // The last part may be empty.
        temporary.as_file().set_len(header.file_bytes)?;
        self.folder.finish(temporary, &Kind::Sections.name(key))?;
        let lost = || io::Error::other("what was written cannot be read back");
        Ok(self.sections(key).ok_or_else(lost)?)
    }

    /// The index of a build's types: what it means is known to who made it.
    pub fn index(&self, key: &Key) -> Option<Bytes> {
        let (header, mapping) = self.load(key, Kind::Index)?;
        let [part] = header.parts.as_slice() else { return None };
        let bytes = Mapped::of(&mapping, part.offset, part.bytes)?;
        let is_good = part.crc32 == Some(crc32fast::hash((*bytes).as_ref()));
        if !is_good {
            self.forget(key, Kind::Index, "it is damaged");
        }
        is_good.then_some(bytes)
    }

    pub fn keep_index(&self, key: &Key, index: &[u8]) -> io::Result<()> {
        let part = (INDEX_PART, index.len() as u64, Some(crc32fast::hash(index)));
        let (header, head) = layout(key, &[part])?;
        let mut temporary = self.folder.begin()?;
        temporary.write_all(&head)?;
        temporary.as_file().write_all_at(index, header.parts[0].offset)?;
        temporary.as_file().set_len(header.file_bytes)?;
        self.folder.finish(temporary, &Kind::Index.name(key))?;
        Ok(())
    }

    fn load(&self, key: &Key, kind: Kind) -> Option<(Header, Arc<Mapping>)> {
        let loaded = match self.folder.file(&kind.name(key)) {
            Ok(None) => return None,
            Ok(Some(file)) => read(&file, key).and_then(|header| {
                let mapping = Mapping::of(&file).map_err(|error| error.to_string())?;
                Ok((header, Arc::new(mapping)))
            }),
            Err(error) => Err(error.to_string()),
        };
        match loaded {
            Ok(loaded) => Some(loaded),
            Err(reason) => {
                self.forget(key, kind, &reason);
                None
            }
        }
    }

    fn forget(&self, key: &Key, kind: Kind, reason: &str) {
        let name = kind.name(key);
        tracing::warn!(file = name, folder = %self.folder.path().display(), reason, "a cached build is of no use");
        if let Err(error) = self.folder.delete(&name) {
            tracing::warn!(file = name, %error, "it cannot be deleted either");
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Sections,
    Index,
}

impl Kind {
    fn name(self, key: &Key) -> String {
        let kind = match self {
            Kind::Sections => "sections",
            Kind::Index => "index",
        };
        format!("{}-{:08x}.{kind}", key.build.file_name(), key.fingerprint)
    }
}

/// Where each part will lie, and the file's first bytes.
fn layout(key: &Key, parts: &[(&str, u64, Option<u32>)]) -> io::Result<(Header, Vec<u8>)> {
    let mut at = ALIGNMENT;
    let mut laid = Vec::new();
    for (name, bytes, crc32) in parts {
        laid.push(Part { name: (*name).to_owned(), offset: at, bytes: *bytes, crc32: *crc32 });
        at = (at + bytes).next_multiple_of(ALIGNMENT);
    }
    let header = Header {
        build_id: key.build.as_str().to_owned(),
        fingerprint: key.fingerprint,
        parts: laid,
        file_bytes: at,
    };
    let body = codec::encode(&header).map_err(io::Error::other)?;
    let mut head = Vec::with_capacity(HEAD_BYTES + body.len());
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend((body.len() as u32).to_le_bytes());
    head.extend(crc32fast::hash(&body).to_le_bytes());
    head.extend(body);
    if head.len() as u64 > ALIGNMENT {
        return Err(io::Error::other("a cached build has too many parts"));
    }
    Ok((header, head))
}

fn read(file: &File, key: &Key) -> Result<Header, String> {
    let bytes = file.metadata().map_err(|error| error.to_string())?.len();
    let mut head = [0; ALIGNMENT as usize];
    file.read_exact_at(&mut head, 0).map_err(|error| error.to_string())?;
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if head[..8] != MAGIC || word(8) != VERSION {
        return Err("it is of another version".to_owned());
    }
    let body = head.get(HEAD_BYTES..HEAD_BYTES.saturating_add(word(12) as usize));
    let body = body.filter(|body| crc32fast::hash(body) == word(16)).ok_or("its header is damaged")?;
    let header: Header = codec::decode(body).map_err(|error| error.to_string())?;
    if header.build_id != key.build.as_str() || header.fingerprint != key.fingerprint {
        return Err("it is of another build".to_owned());
    }
    let fits = |part: &Part| part.offset.checked_add(part.bytes).is_some_and(|end| end <= bytes);
    if header.file_bytes != bytes || !header.parts.iter().all(fits) {
        return Err("it has not the length that it should have".to_owned());
    }
    Ok(header)
}
