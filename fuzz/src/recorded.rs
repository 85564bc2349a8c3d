//! What a capture reads of a real process, kept in a file: the memory that the fuzz targets damage.

use std::sync::Mutex;

use stillframe_golang::memory::{Image, Memory, Segment, Unreadable};
use stillframe_golang::thread::{Registers, Thread};

/// A process at one instant.
pub struct Recorded {
    /// AT_ENTRY.
    pub entry: u64,
    pub threads: Vec<Thread>,
    pub image: Image,
}

/// Hands through every read, and keeps what was read.
pub struct Recorder<'a, M> {
    pub memory: &'a M,
    pub read: Mutex<Vec<Segment>>,
}

impl<M: Memory> Memory for Recorder<'_, M> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.memory.read(address, buffer)?;
        self.read.lock().unwrap().push(Segment { address, bytes: buffer.to_vec() });
        Ok(())
    }
}

impl Recorded {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut words = vec![self.entry, self.threads.len() as u64];
        for thread in &self.threads {
            words.extend([u64::from(thread.tid), u64::from(thread.ns_tid)]);
            let registers = thread.registers.as_ref();
            words.push(registers.map_or(0, |r| r.general.len() as u64));
            if let Some(r) = registers {
                words.extend([r.pc, r.thread_pointer, r.syscall_number as u64]);
                words.extend(&r.general);
            }
        }
        words.push(self.image.segments().len() as u64);
        let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        for segment in self.image.segments() {
            bytes.extend(segment.address.to_le_bytes());
            bytes.extend((segment.bytes.len() as u64).to_le_bytes());
            bytes.extend(&segment.bytes);
        }
        bytes
    }

    /// Of bytes that `to_bytes` made.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let mut word = || {
            let (word, behind) = rest.split_first_chunk().expect("the recording is whole");
            rest = behind;
            u64::from_le_bytes(*word)
        };
        let entry = word();
        let threads = (0..word())
            .map(|_| {
                let (tid, ns_tid, registers) = (word() as u32, word() as u32, word());
                let registers = (registers > 0).then(|| {
                    let (pc, thread_pointer, syscall_number) = (word(), word(), word() as i64);
                    let general = (0..registers).map(|_| word()).collect();
                    Registers { pc, general, thread_pointer, syscall_number }
                });
                Thread { tid, ns_tid, registers }
            })
            .collect();
        let count = word();
        let segments = (0..count).map(|_| {
            let (head, behind) = rest.split_at(16);
            let address = u64::from_le_bytes(head[..8].try_into().unwrap());
            let length = u64::from_le_bytes(head[8..].try_into().unwrap()) as usize;
            let (bytes, behind) = behind.split_at(length);
            rest = behind;
            Segment { address, bytes: bytes.to_vec() }
        });
        let image = Image::from_segments(segments.collect::<Vec<_>>());
        Recorded { entry, threads, image }
    }
}
