//! Recordings: what a capture brought home, as a core file that Stillframe writes itself. One reader
//! ([`crate::core::CoreFile`]) serves both, and gdb opens it.
//!
//! What a core has no place for stands in one note of the owner `STILLFRAME`, kind 1, little-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | version of this note: 1. A reader refuses what it does not know |
//! | 4 | why the freeze ended: 0 asked, 1 budget, 2 died, 3 failed; 0xffffffff: there was no freeze, the next 40 are 0 |
//! | 5 x 8 | `pause_start_ns`, `pause` in ns, `frozen_start_ns`, `frozen` in ns, `frozen_monotonic_ns` |
//! | 8 | number of threads |
//! | 12 a thread | tid, ns_tid, 1 if it has registers (the next NT_PRSTATUS is its) or 0 |

use crate::auxiliary::Auxiliary;
use crate::elf::{self, Header, Note, ProgramHeader};
use crate::freeze::{Ended, Pause};
use crate::mappings::FileMapping;
use crate::registers::Machine;
use std::io::{self, Write};
use std::time::Duration;
use stillframe_golang::memory::Image;
use stillframe_golang::thread::Thread;
use thiserror::Error;

/// A recording could not be written.
#[derive(Debug, Error)]
pub enum RecordingError {
    #[error("the recording of pid {pid}: {source}; is the disk full?")]
    Write { pid: u32, source: io::Error },
    #[error("the recording of pid {pid}: its {what} are too many for a core file; record less of it")]
    TooLong { pid: u32, what: &'static str },
}

/// What is to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'a> {
    pub pid: u32,
    pub machine: Machine,
    pub image: &'a Image,
    pub threads: &'a [Thread],
    pub auxiliary: &'a Auxiliary,
    pub mappings: &'a [FileMapping],
    /// `None`: the memory was read while the target ran.
    pub pause: Option<Pause>,
}

/// The unit of the offsets in NT_FILE; each is a multiple of the page size, which is one of this.
const OFFSET_UNIT: u64 = 4096;

/// Writes a recording. `writer` should be buffered.
pub fn write_recording(writer: &mut impl Write, recording: &Recording<'_>) -> Result<(), RecordingError> {
    let pid = recording.pid;
    let too_long = |what| RecordingError::TooLong { pid, what };
    let segments = recording.image.segments();
    let count = segments.len() as u64 + 1;
    if count > crate::core::SEGMENTS_MAX {
        return Err(too_long("segments"));
    }
    let notes = notes(recording).ok_or_else(|| too_long("threads or mappings"))?;
    if notes.len() as u64 > crate::core::NOTE_BYTES_MAX {
        return Err(too_long("threads or mappings"));
    }

    // File header, section header 0 if the count needs it, program headers, notes, memory.
    let extended = count >= u64::from(elf::PN_XNUM);
    let section_bytes = if extended { elf::SECTION_HEADER_BYTES } else { 0 };
    let program_headers = (elf::HEADER_BYTES + section_bytes) as u64;
    let notes_at = program_headers + count * elf::PROGRAM_HEADER_BYTES as u64;
    let header = Header {
        machine: recording.machine,
        program_headers,
        section_headers: if extended { elf::HEADER_BYTES as u64 } else { 0 },
        program_header_count: if extended { elf::PN_XNUM } else { count as u16 },
    };
    let note_header = ProgramHeader {
        kind: elf::PT_NOTE,
        offset: notes_at,
        address: 0,
        file_bytes: notes.len() as u64,
        memory_bytes: 0,
    };
    let mut offset = notes_at + notes.len() as u64;
    let load_headers = segments.iter().map(|segment| {
        let length = segment.bytes.len() as u64;
        let at = offset;
        offset += length;
        ProgramHeader {
            kind: elf::PT_LOAD,
            offset: at,
            address: segment.address,
            file_bytes: length,
            memory_bytes: length,
        }
    });

    let write = || {
        writer.write_all(&header.to_bytes())?;
        if extended {
            writer.write_all(&elf::section_header_with_count(count as u32))?;
        }
        for header in std::iter::once(note_header).chain(load_headers) {
            writer.write_all(&header.to_bytes())?;
        }
        writer.write_all(&notes)?;
        segments.iter().try_for_each(|segment| writer.write_all(&segment.bytes))?;
        writer.flush()
    };
    write().map_err(|source| RecordingError::Write { pid, source })
}

/// `None`: one of them is longer than 4 GiB.
fn notes(recording: &Recording<'_>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut put =
        |owner: &[u8], kind, content: &[u8]| elf::put_note(&mut bytes, Note { owner, kind, content });
    let mut process = [0; elf::PRPSINFO_BYTES];
    process[elf::PRPSINFO_PID..][..4].copy_from_slice(&recording.pid.to_le_bytes());
    put(b"CORE", elf::NT_PRPSINFO, &process)?;
    put(b"CORE", elf::NT_AUXV, &recording.auxiliary.to_bytes())?;
    put(b"CORE", elf::NT_FILE, &files(recording.mappings))?;
    for thread in recording.threads {
        let Some(registers) = &thread.registers else { continue };
        let mut status = vec![0; elf::PRSTATUS_REGISTERS];
        status[elf::PRSTATUS_TID..][..4].copy_from_slice(&thread.tid.to_le_bytes());
        status.extend(recording.machine.register_set(registers).iter().flat_map(|word| word.to_le_bytes()));
        // `pr_fpvalid` and its filling.
        status.extend([0; 8]);
        put(b"CORE", elf::NT_PRSTATUS, &status)?;
        if recording.machine == Machine::Arm64 {
            put(b"LINUX", elf::NT_ARM_TLS, &registers.thread_pointer.to_le_bytes())?;
            put(b"LINUX", elf::NT_ARM_SYSTEM_CALL, &(registers.syscall_number as i32).to_le_bytes())?;
        }
    }
    put(Extra::OWNER, Extra::KIND, &Extra::of(recording).to_bytes())?;
    Some(bytes)
}

fn files(mappings: &[FileMapping]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut words = vec![mappings.len() as u64, OFFSET_UNIT];
    words.extend(mappings.iter().flat_map(|m| [m.start, m.end, m.offset / OFFSET_UNIT]));
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    for mapping in mappings {
        bytes.extend(mapping.path.bytes().filter(|b| *b != 0));
        bytes.push(0);
    }
    bytes
}

/// The note of Stillframe's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extra {
    pub(crate) pause: Option<Pause>,
    /// tid, ns_tid, whether it has registers.
    threads: Vec<(u32, u32, bool)>,
}

impl Extra {
    pub(crate) const OWNER: &'static [u8] = b"STILLFRAME";
    pub(crate) const KIND: u32 = 1;
    const VERSION: u32 = 1;
    const NO_FREEZE: u32 = u32::MAX;
    const THREADS_AT: usize = 56;
    const ENDED: [Ended; 4] = [Ended::Asked, Ended::Budget, Ended::Died, Ended::Failed];

    fn of(recording: &Recording<'_>) -> Extra {
        let threads = recording.threads.iter().map(|t| (t.tid, t.ns_tid, t.registers.is_some())).collect();
        Extra { pause: recording.pause, threads }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let ended = self.pause.and_then(|p| Self::ENDED.iter().position(|e| *e == p.ended));
        let mut bytes = Self::VERSION.to_le_bytes().to_vec();
        bytes.extend(ended.map_or(Self::NO_FREEZE, |place| place as u32).to_le_bytes());
        let words = self.pause.map_or([0; 5], |p| {
            [
                p.pause_start_ns.cast_unsigned(),
                nanoseconds(p.pause),
                p.frozen_start_ns.cast_unsigned(),
                nanoseconds(p.frozen),
                p.frozen_monotonic_ns.cast_unsigned(),
            ]
        });
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend((self.threads.len() as u64).to_le_bytes());
        for (tid, ns_tid, registers) in &self.threads {
            bytes.extend([*tid, *ns_tid, u32::from(*registers)].iter().flat_map(|word| word.to_le_bytes()));
        }
        bytes
    }

    /// `None`: of another version, or not whole.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Extra> {
        if elf::u32_at(bytes, 0)? != Self::VERSION {
            return None;
        }
        let word = |i: usize| elf::u64_at(bytes, 8 + 8 * i);
        let pause = match elf::u32_at(bytes, 4)? {
            Self::NO_FREEZE => None,
            ended => Some(Pause {
                pause_start_ns: word(0)?.cast_signed(),
                pause: Duration::from_nanos(word(1)?),
                frozen_start_ns: word(2)?.cast_signed(),
                frozen: Duration::from_nanos(word(3)?),
                frozen_monotonic_ns: word(4)?.cast_signed(),
                ended: *Self::ENDED.get(ended as usize)?,
            }),
        };
        let count = usize::try_from(word(5)?).ok()?;
        let end = count.checked_mul(12)?.checked_add(Self::THREADS_AT)?;
        let (threads, _) = bytes.get(Self::THREADS_AT..end)?.as_chunks::<12>();
        let threads = threads
            .iter()
            .filter_map(|t| Some((elf::u32_at(t, 0)?, elf::u32_at(t, 4)?, elf::u32_at(t, 8)? != 0)))
            .collect();
        Some(Extra { pause, threads })
    }

    /// The threads of the note, with the registers that the rest of the core has: they stand in the same order.
    pub(crate) fn complete(&self, of_core: Vec<Thread>) -> Vec<Thread> {
        let mut of_core = of_core.into_iter();
        let mut registers = |tid: u32| of_core.next().filter(|t| t.tid == tid).and_then(|t| t.registers);
        self.threads
            .iter()
            .map(|(tid, ns_tid, there)| Thread {
                tid: *tid,
                ns_tid: *ns_tid,
                registers: if *there { registers(*tid) } else { None },
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::CoreFile;
    use proptest::prelude::*;
    use std::io::{BufWriter, Seek};
    use stillframe_golang::memory::{Memory, Segment};
    use stillframe_golang::thread::Registers;

    fn there_and_back(recording: &Recording<'_>) -> CoreFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = BufWriter::new(file.reopen().unwrap());
        write_recording(&mut writer, recording).unwrap();
        assert_eq!(writer.stream_position().unwrap(), std::fs::metadata(file.path()).unwrap().len());
        CoreFile::open(file.path()).unwrap()
    }

    fn assert_read_back(recording: &Recording<'_>) {
        let core = there_and_back(recording);
        assert!(core.is_recording() && !core.is_cut());
        assert_eq!(
            (core.machine(), core.pid(), core.pause()),
            (recording.machine, Some(recording.pid), recording.pause)
        );
        assert_eq!(core.threads(), recording.threads);
        assert_eq!(core.auxiliary(), recording.auxiliary);
        assert_eq!(core.mappings(), recording.mappings);
        for segment in recording.image.segments() {
            assert_eq!(core.read_bytes(segment.address, segment.bytes.len()).unwrap(), segment.bytes);
        }
        assert_eq!(core.memory_bytes(), recording.image.len() as u64);
    }

    #[test]
    fn more_segments_than_the_file_header_can_count() {
        let image = Image::from_segments(
            (0..70_000).map(|i| Segment { address: 0x1000 + 16 * i, bytes: vec![i as u8; 8] }),
        );
        let recording = Recording {
            pid: 1,
            machine: Machine::Amd64,
            image: &image,
            threads: &[],
            auxiliary: &Auxiliary::default(),
            mappings: &[],
            pause: None,
        };
        assert_read_back(&recording);
    }

    #[test]
    fn a_note_of_another_version_is_not_read() {
        let mut bytes = Extra { pause: None, threads: vec![(1, 2, true)] }.to_bytes();
        assert!(Extra::parse(&bytes).is_some());
        assert!((0..bytes.len()).all(|length| Extra::parse(&bytes[..length]).is_none()));
        bytes[0] = 2;
        assert_eq!(Extra::parse(&bytes), None);
    }

    fn any_thread(machine: Machine) -> impl Strategy<Value = Thread> {
        let general = if machine == Machine::Amd64 { 16 } else { 32 };
        // arm64 keeps 32 bits of the number of the system call.
        let registers =
            (any::<u64>(), proptest::collection::vec(any::<u64>(), general), any::<u64>(), any::<i32>())
                .prop_map(|(pc, general, thread_pointer, number)| Registers {
                    pc,
                    general,
                    thread_pointer,
                    syscall_number: i64::from(number),
                });
        (any::<u32>(), any::<u32>(), proptest::option::of(registers))
            .prop_map(|(tid, ns_tid, registers)| Thread { tid, ns_tid, registers })
    }

    fn any_pause() -> impl Strategy<Value = Pause> {
        (any::<i64>(), any::<u64>(), any::<i64>(), any::<u64>(), any::<i64>(), 0usize..4).prop_map(
            |(pause_start_ns, pause, frozen_start_ns, frozen, frozen_monotonic_ns, ended)| Pause {
                pause_start_ns,
                pause: Duration::from_nanos(pause),
                frozen_start_ns,
                frozen: Duration::from_nanos(frozen),
                frozen_monotonic_ns,
                ended: Extra::ENDED[ended],
            },
        )
    }

    proptest! {
        #[test]
        fn recordings_go_there_and_back(
            (machine, threads) in prop_oneof![Just(Machine::Amd64), Just(Machine::Arm64)]
                .prop_flat_map(|m| (Just(m), proptest::collection::vec(any_thread(m), 0..5))),
            pid in any::<u32>(),
            segments in proptest::collection::vec((0..u64::MAX / 2, proptest::collection::vec(any::<u8>(), 1..50)), 0..5),
            auxiliary in proptest::collection::vec((1..u64::MAX, any::<u64>()), 0..5),
            mappings in proptest::collection::vec((any::<u64>(), any::<u64>(), 0u64..1 << 40, "[a-z/ ]{0,9}"), 0..5),
            pause in proptest::option::of(any_pause()),
        ) {
            let image = Image::from_segments(
                segments.into_iter().map(|(address, bytes)| Segment { address, bytes }),
            );
            let mappings: Vec<FileMapping> = mappings
                .into_iter()
                .map(|(start, end, page, path)| FileMapping { start, end, offset: page * OFFSET_UNIT, path })
                .collect();
            let auxiliary = Auxiliary { entries: auxiliary };
            let recording = Recording {
                pid, machine, image: &image, threads: &threads, auxiliary: &auxiliary, mappings: &mappings, pause,
            };
            assert_read_back(&recording);
        }
    }
}
