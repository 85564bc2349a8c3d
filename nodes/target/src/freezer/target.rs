//! The agent's side of one conversation: a target that another process reads and freezes.

use super::client::{ANSWER_MAX, Host, environment, executable, lock};
use super::error::FreezerError;
use super::message::{ReadRecord, TargetCommand, TargetReply};
use super::reader::READERS;
use super::socket::Socket;
use super::window::{DATA_BYTES, RANGES_MAX, SLOTS, Slot, Window};
use crate::auxiliary::Auxiliary;
use crate::environment::Environment;
use crate::executable::Executable;
use crate::freeze::{FreezeError, Pause, Unstopped};
use crate::process::{Fate, Process, ProcessError};
use nix::errno::Errno;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stillframe_golang::memory::{Memory, Range, Unreadable};
use stillframe_golang::thread::Thread;
use stillframe_wire::limits::FRAME_BYTES_MAX;

/// By how much more than the budget a freezer may be late with an answer while its target stands still: one that is
/// stopped cannot keep the budget, and is killed then.
const LATE_MAX: Duration = Duration::from_secs(5);

/// A process that was looked up. Its calls wait for the freezer, one after the other.
#[derive(Debug)]
pub struct Target {
    process: Process,
    memory: RemoteMemory,
}

/// A target's memory, read by the freezer: each call in chunks of at most 256 KiB and 1024
/// ranges. Several are asked for before the first one is copied out.
#[derive(Clone, Debug)]
pub struct RemoteMemory {
    line: Arc<Line>,
}

/// A target that stands still. It runs again when this is resumed or dropped, or when the budget is spent.
#[derive(Debug)]
pub struct FrozenTarget {
    memory: RemoteMemory,
    threads: Vec<Thread>,
    unstopped: Vec<Unstopped>,
    frozen_start_ns: i64,
    frozen_monotonic_ns: i64,
    is_over: bool,
}

/// Of one of the freezer's readers.
#[derive(Debug)]
pub(super) struct End {
    pub(super) socket: Socket,
    pub(super) window: Window,
}

/// A conversation, and what else reads for it.
#[derive(Debug)]
pub(super) struct Line {
    host: Arc<Host>,
    /// That of the conversation first.
    pub(super) ends: Mutex<[End; READERS]>,
    /// Room for the data of one chunk: none is made while the target stands.
    data: Mutex<Vec<u8>>,
    /// Whether the target stood when the last read was done.
    still: AtomicBool,
    /// As [`ReadRecord::errno`].
    errno: AtomicI32,
}

impl Target {
    pub(super) fn new(host: Arc<Host>, process: Process, ends: [End; READERS]) -> Target {
        let ends = Mutex::new(ends);
        // Written to, so that its pages are there.
        let data = Mutex::new(vec![1; DATA_BYTES]);
        let line = Line { host, ends, data, still: AtomicBool::new(false), errno: AtomicI32::new(0) };
        Target { process, memory: RemoteMemory { line: Arc::new(line) } }
    }

    /// As it was when it was opened.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its executable, opened now.
    pub fn executable(&self) -> Result<Executable, FreezerError> {
        match self.line().exchange(TargetCommand::Executable)? {
            (TargetReply::Executable(Ok(())), files) => executable(self.process.pid, files),
            (TargetReply::Executable(Err(failure)), _) => Err(ProcessError::from(failure).into()),
            (other, _) => Err(self.line().unexpected(other)),
        }
    }

    /// What it was started with, opened now.
    pub fn environment(&self) -> Result<Environment, FreezerError> {
        match self.line().exchange(TargetCommand::Environment)? {
            (TargetReply::Environment(Ok(())), files) => environment(self.process.pid, files),
            (TargetReply::Environment(Err(failure)), _) => Err(ProcessError::from(failure).into()),
            (other, _) => Err(self.line().unexpected(other)),
        }
    }

    /// See [`crate::auxiliary::of_process`].
    pub fn auxiliary(&self) -> Result<Auxiliary, FreezerError> {
        match self.line().exchange(TargetCommand::Auxiliary)?.0 {
            TargetReply::Auxiliary(Ok(entries)) => Ok(Auxiliary { entries }),
            TargetReply::Auxiliary(Err(failure)) => Err(ProcessError::from(failure).into()),
            other => Err(self.line().unexpected(other)),
        }
    }

    /// See [`Process::fate`].
    pub fn fate(&self) -> Result<Fate, FreezerError> {
        match self.line().exchange(TargetCommand::Fate)?.0 {
            TargetReply::Fate(fate) => Ok(fate.into()),
            other => Err(self.line().unexpected(other)),
        }
    }

    /// Its memory, frozen or not.
    pub fn memory(&self) -> &RemoteMemory {
        &self.memory
    }

    /// See [`crate::freeze::freeze`]. While one freeze of it is held, another one is refused.
    pub fn freeze(&self, budget: Duration) -> Result<FrozenTarget, FreezerError> {
        let line = self.line();
        let budget_ns = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX);
        let ends = lock(&line.ends);
        set_patience(&ends, LATE_MAX.saturating_add(budget))?;
        let record = match line.exchange_on(&ends[0].socket, TargetCommand::Freeze { budget_ns })?.0 {
            TargetReply::Frozen(Ok(record)) => record,
            TargetReply::Frozen(Err(failure)) => return Err(FreezeError::from(failure).into()),
            other => return Err(line.unexpected_on(&ends[0].socket, other)),
        };
        let mut threads: Vec<Thread> = record.threads.into_iter().map(Into::into).collect();
        let mut goes_on = record.more;
        while goes_on {
            match line.hear(&ends[0].socket)?.0 {
                TargetReply::Threads { threads: next, more } => {
                    threads.extend(next.into_iter().map(Thread::from));
                    goes_on = more;
                }
                other => return Err(line.unexpected_on(&ends[0].socket, other)),
            }
        }
        line.still.store(true, Ordering::Relaxed);
        line.errno.store(0, Ordering::Relaxed);
        Ok(FrozenTarget {
            memory: self.memory.clone(),
            threads,
            unstopped: record.unstopped.into_iter().map(Into::into).collect(),
            frozen_start_ns: record.frozen_start_ns,
            frozen_monotonic_ns: record.frozen_monotonic_ns,
            is_over: false,
        })
    }

    pub(super) fn line(&self) -> &Line {
        &self.memory.line
    }
}

impl FrozenTarget {
    /// The threads, those without registers too.
    pub fn threads(&self) -> &[Thread] {
        &self.threads
    }

    /// The threads that did not stop.
    pub fn unstopped(&self) -> &[Unstopped] {
        &self.unstopped
    }

    /// See [`crate::freeze::Frozen::all_stopped`].
    pub fn all_stopped(&self) -> bool {
        self.unstopped.iter().all(|u| u.reason.is_in_the_kernel())
    }

    /// The target's memory. It can be read after the target was resumed as well: ask [`FrozenTarget::is_frozen`].
    pub fn memory(&self) -> &RemoteMemory {
        &self.memory
    }

    /// Whether the target still stood when the last read had been done. If so, everything read in this freeze is of one
    /// instant; if not, what was read since the last yes must be thrown away. Costs nothing: each answer of the freezer
    /// says it, and it looks after it has read.
    pub fn is_frozen(&self) -> bool {
        self.memory.line.still.load(Ordering::Relaxed)
    }

    /// Wall time when the last thread had stopped.
    pub fn frozen_start_ns(&self) -> i64 {
        self.frozen_start_ns
    }

    /// `CLOCK_MONOTONIC` at that time: what Go's `nanotime` said to the target.
    pub fn frozen_monotonic_ns(&self) -> i64 {
        self.frozen_monotonic_ns
    }

    /// Resumes all threads and returns when they run. After an error they run as well: the freezer has ended.
    pub fn resume(mut self) -> Result<Pause, FreezerError> {
        self.end()
    }

    fn end(&mut self) -> Result<Pause, FreezerError> {
        self.is_over = true;
        let line = &self.memory.line;
        line.still.store(false, Ordering::Relaxed);
        let ends = lock(&line.ends);
        let pause = match line.exchange_on(&ends[0].socket, TargetCommand::Resume)?.0 {
            TargetReply::Resumed(pause) => pause.into(),
            other => return Err(line.unexpected_on(&ends[0].socket, other)),
        };
        set_patience(&ends, ANSWER_MAX)?;
        Ok(pause)
    }
}

impl Drop for FrozenTarget {
    fn drop(&mut self) {
        if !self.is_over {
            // An error means that the freezer has ended: the target runs.
            let _ = self.end();
        }
    }
}

impl RemoteMemory {
    /// Whether the last range that could not be read could not because the process had ended (ESRCH,
    /// process_vm_readv(2)).
    pub fn is_gone(&self) -> bool {
        self.line.errno.load(Ordering::Relaxed) == Errno::ESRCH as i32
    }

    /// All chunks, in their order. `finish` takes one out of its slot while those that follow are read.
    fn read_chunks(
        &self,
        chunks: impl Iterator<Item = Chunk>,
        finish: &mut dyn FnMut(&Chunk, &Slot<'_>),
    ) -> Result<(), FreezerError> {
        let ends = lock(&self.line.ends);
        let result = self.read_chunks_on(&ends, chunks, finish);
        if result.is_err() {
            // Nobody knows what would come next on any of them.
            ends.iter().for_each(|end| end.socket.close());
        }
        result
    }

    fn read_chunks_on(
        &self,
        ends: &[End; READERS],
        chunks: impl Iterator<Item = Chunk>,
        finish: &mut dyn FnMut(&Chunk, &Slot<'_>),
    ) -> Result<(), FreezerError> {
        let line = &self.line;
        // The readers in turn.
        let slot = |number| ends.iter().filter_map(move |end| Some((end, number, end.window.slot(number)?)));
        let slots: Vec<(&End, usize, Slot<'_>)> = (0..SLOTS).flat_map(slot).collect();
        let mut under_way: VecDeque<(Chunk, &(&End, usize, Slot<'_>))> = VecDeque::with_capacity(slots.len());
        let mut finish = |chunk: &Chunk, (end, _, slot): &(&End, usize, Slot<'_>)| {
            line.await_read(&end.socket)?;
            finish(chunk, slot);
            Ok::<(), FreezerError>(())
        };
        for (chunk, next) in chunks.zip(slots.iter().cycle()) {
            // They are used in turn: that of the first one is the next.
            if under_way.len() == slots.len()
                && let Some((first, place)) = under_way.pop_front()
            {
                finish(&first, place)?;
            }
            let (end, number, slot) = next;
            slot.put_ranges(&chunk.ranges);
            let ranges = chunk.ranges.len() as u32;
            line.tell(&end.socket, TargetCommand::Read { slot: *number as u8, ranges })?;
            under_way.push_back((chunk, next));
        }
        under_way.iter().try_for_each(|(chunk, place)| finish(chunk, place))
    }
}

/// A piece of a range that the caller asked for, whole if the range is short.
struct Piece {
    of: usize,
    range: Range,
}

/// Pieces that fit into a slot.
#[derive(Default)]
struct Chunk {
    ranges: Vec<Range>,
    /// Which of the caller's ranges each is of.
    of: Vec<usize>,
    /// Of all ranges.
    length: usize,
}

impl Memory for RemoteMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let length = buffer.len();
        let mut whole = [false];
        self.read_many(&[Range { address, length }], buffer, &mut whole);
        if whole[0] { Ok(()) } else { Err(Unreadable { address, length }) }
    }

    /// If the freezer has ended, nothing is whole, and the next call of the target says why.
    ///
    /// # Panics
    ///
    /// If the lengths disagree: that is an error of the caller.
    fn read_many(&self, ranges: &[Range], buffer: &mut [u8], whole: &mut [bool]) {
        assert_eq!(ranges.len(), whole.len(), "one answer a range");
        let total = ranges.iter().try_fold(0usize, |sum, range| sum.checked_add(range.length));
        assert_eq!(total, Some(buffer.len()), "the buffer has room for all ranges, and no more");
        whole.fill(true);
        let mut at = 0;
        let mut finish = |chunk: &Chunk, slot: &Slot<'_>| {
            slot.copy_data(&mut buffer[at..at + chunk.length]);
            at += chunk.length;
            chunk.of.iter().enumerate().for_each(|(i, of)| whole[*of] &= slot.whole(i));
        };
        if self.read_chunks(chunks(ranges), &mut finish).is_err() {
            self.line.still.store(false, Ordering::Relaxed);
            whole.fill(false);
        }
    }

    /// As [`Memory::read_many`]. Ranges are handed out while the freezer reads those that follow.
    fn read_each(&self, ranges: &[Range], each: &mut dyn FnMut(usize, Option<&[u8]>)) {
        let mut data = lock(&self.line.data);
        // What came of a range that is longer than a slot.
        let mut begun: (Vec<u8>, bool) = (Vec::new(), true);
        let mut next = 0;
        let mut finish = |chunk: &Chunk, slot: &Slot<'_>| {
            slot.copy_data(&mut data[..chunk.length]);
            let mut at = 0;
            for (i, piece) in chunk.ranges.iter().enumerate() {
                let (of, bytes) = (chunk.of[i], &data[at..at + piece.length]);
                at += piece.length;
                let whole = slot.whole(i);
                if piece.length == ranges[of].length {
                    each(of, whole.then_some(bytes));
                    next = of + 1;
                    continue;
                }
                begun.0.extend_from_slice(bytes);
                begun.1 &= whole;
                if begun.0.len() == ranges[of].length {
                    let (bytes, whole) = std::mem::replace(&mut begun, (Vec::new(), true));
                    each(of, whole.then_some(&bytes));
                    next = of + 1;
                }
            }
        };
        if self.read_chunks(chunks(ranges), &mut finish).is_err() {
            self.line.still.store(false, Ordering::Relaxed);
            (next..ranges.len()).for_each(|of| each(of, None));
        }
    }
}

fn set_patience(ends: &[End; READERS], patience: Duration) -> Result<(), FreezerError> {
    ends.iter().try_for_each(|end| end.socket.set_patience(patience)).map_err(FreezerError::Start)
}

/// As much in each as fits, in their order.
fn chunks(ranges: &[Range]) -> impl Iterator<Item = Chunk> {
    let mut pieces = pieces(ranges).peekable();
    std::iter::from_fn(move || {
        let mut chunk = Chunk::default();
        while let Some(piece) = pieces
            .next_if(|piece| chunk.of.len() < RANGES_MAX && chunk.length + piece.range.length <= DATA_BYTES)
        {
            chunk.length += piece.range.length;
            chunk.ranges.push(piece.range);
            chunk.of.push(piece.of);
        }
        (!chunk.of.is_empty()).then_some(chunk)
    })
}

/// In their order; a range that is longer than a slot in as many as it takes, an empty one in one.
fn pieces(ranges: &[Range]) -> impl Iterator<Item = Piece> {
    ranges.iter().enumerate().flat_map(|(of, range)| {
        (0..range.length.div_ceil(DATA_BYTES).max(1)).map(move |i| {
            let skip = i * DATA_BYTES;
            // An address that wraps is not mapped, and fails.
            let address = range.address.saturating_add(skip as u64);
            Piece { of, range: Range { address, length: (range.length - skip).min(DATA_BYTES) } }
        })
    })
}

impl Line {
    pub(super) fn exchange(
        &self,
        command: TargetCommand,
    ) -> Result<(TargetReply, Vec<OwnedFd>), FreezerError> {
        self.exchange_on(&lock(&self.ends)[0].socket, command)
    }

    pub(super) fn exchange_on(
        &self,
        socket: &Socket,
        command: TargetCommand,
    ) -> Result<(TargetReply, Vec<OwnedFd>), FreezerError> {
        self.tell(socket, command)?;
        self.hear(socket)
    }

    pub(super) fn tell(&self, socket: &Socket, command: TargetCommand) -> Result<(), FreezerError> {
        socket.send(&command, &[]).map_err(|error| self.host.lost(socket, &error))
    }

    /// The answer to a read.
    fn await_read(&self, socket: &Socket) -> Result<(), FreezerError> {
        match self.hear(socket)?.0 {
            TargetReply::Read(ReadRecord { errno, frozen }) => {
                self.errno.store(errno, Ordering::Relaxed);
                self.still.fetch_and(frozen, Ordering::Relaxed);
                Ok(())
            }
            other => Err(self.unexpected_on(socket, other)),
        }
    }

    pub(super) fn hear(&self, socket: &Socket) -> Result<(TargetReply, Vec<OwnedFd>), FreezerError> {
        socket.receive(FRAME_BYTES_MAX).map_err(|error| self.host.lost(socket, &error))
    }

    /// The answer to what may take long while nobody stands still: without one this conversation ends, and not the freezer.
    pub(super) fn hear_at_length(
        &self,
        socket: &Socket,
    ) -> Result<(TargetReply, Vec<OwnedFd>), FreezerError> {
        socket.receive(FRAME_BYTES_MAX).map_err(|error| self.host.lost_in(socket, &error, true))
    }

    pub(super) fn unexpected(&self, reply: TargetReply) -> FreezerError {
        self.unexpected_on(&lock(&self.ends)[0].socket, reply)
    }

    /// What was said is no answer to what was asked: the conversation is over, and the freezer lets the target go.
    pub(super) fn unexpected_on(&self, socket: &Socket, reply: TargetReply) -> FreezerError {
        socket.close();
        match reply {
            TargetReply::Refused(what) => FreezerError::Refused { what },
            other => FreezerError::Ended { how: format!("it answered something else: {other:?}") },
        }
    }
}
