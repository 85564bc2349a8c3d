//! What goroutines wait for, found in the copy of a process's memory. Pure.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::memory::{Image, Memory};
use crate::records::{GRecord, Status};
use crate::runtime::Runtime;
use crate::thread::Registers;
use crate::waits::kind::{self, Kind, Owner, Queue};
use crate::waits::read::{CONDITION_LIST, Waiting};
use crate::waits::records::{
    ChannelRecord, MINOR_WITH_PAIRS, MutexState, PollRecord, RWMUTEX_BYTES, Sudog, WAIT_GROUP_BYTES, counts,
    readers,
};
use crate::waits::words::{Offsets, WINDOW_BYTES};
use crate::waits::{Channel, Detail, Settled, Wait};

/// Of one goroutine: a select has at most this many cases (runtime/select.go, `selectgo`).
const CASES_MAX: usize = 1 << 16;
/// Records of all queues and selects together that are looked at; a whole process has one for each of its goroutines.
const RECORDS_MAX: usize = 64 << 20;

/// What one goroutine waits for; or why that is not known.
pub(crate) type Found = Result<Vec<Wait>, &'static str>;

const NOT_FOUND: &str = "what it waits for was not found in the runtime's records";
const WOKEN: &str = "it is being woken: the runtime has taken it out of its queue";
const UNREADABLE: &str = "the runtime's record of what it waits for is not readable";

/// Of all goroutines of a process.
pub(crate) struct Waits<'a> {
    runtime: &'a Runtime<'a>,
    image: &'a Image,
    settled: Settled,
    settled_sends: FxHashMap<u64, bool>,
    /// Whether a `sudog` sends, by the queues of the channels that were looked at.
    queued: RefCell<FxHashMap<u64, bool>>,
    channels: RefCell<FxHashMap<u64, Option<Rc<Channel>>>>,
    /// The list that a `sudog` is in, of the lists that were looked at.
    listed: RefCell<FxHashMap<u64, u64>>,
    lists: RefCell<FxHashMap<u64, ()>>,
    offsets: RefCell<FxHashMap<u8, Offsets>>,
    records: Cell<usize>,
}

impl<'a> Waits<'a> {
    pub(crate) fn new(runtime: &'a Runtime<'a>, image: &'a Image, settled: Settled) -> Self {
        Waits {
            runtime,
            image,
            settled_sends: settled.sends(),
            settled,
            queued: RefCell::default(),
            channels: RefCell::default(),
            listed: RefCell::default(),
            lists: RefCell::default(),
            offsets: RefCell::default(),
            records: Cell::new(0),
        }
    }

    /// `names`: of the functions on its stack, innermost first. `registers`: of its thread.
    pub(crate) fn of<'n>(
        &self,
        g: &GRecord,
        names: impl Iterator<Item = &'n str> + Clone,
        registers: Option<&Registers>,
    ) -> Found {
        match g.status {
            Status::Syscall => Ok(self.system_call(registers).into_iter().collect()),
            Status::Waiting | Status::Leaked => {
                let length = g.stack_hi.saturating_sub(g.sched_sp).min(WINDOW_BYTES as u64) as usize;
                // What needs no stack needs none.
                let stack = self.image.slice(g.sched_sp, length).unwrap_or_default();
                self.of_parked(&Waiting { g: g.clone(), stack }, names)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The registers are those that the kernel saved on entry, but for the one that the answer goes into.
    //
    // syscall(2), "Architecture calling conventions".
    fn system_call(&self, registers: Option<&Registers>) -> Option<Wait> {
        const AMD64_ARGUMENTS: [usize; 6] = [5, 4, 1, 10, 8, 9];
        let registers = registers
            .filter(|r| r.syscall_number >= 0 && !self.runtime.architecture().uses_link_register())?;
        let argument = |number: usize| registers.general.get(number).copied().unwrap_or(0);
        let arguments = AMD64_ARGUMENTS.map(argument);
        let detail = Detail::SystemCall { number: registers.syscall_number, arguments };
        Some(Wait { kind: Kind::SystemCall, any: false, address: None, detail })
    }

    fn of_parked<'n>(&self, waiting: &Waiting<'_>, names: impl Iterator<Item = &'n str> + Clone) -> Found {
        let g = &waiting.g;
        let reason = self.runtime.wait_reason(g);
        let one = |kind, address, detail| Ok(vec![Wait { kind, any: false, address, detail }]);
        match Queue::of(reason) {
            Queue::Channels => self.channel_operation(g, reason),
            Queue::Semaphore => {
                let address = self.semaphore(waiting)?;
                let owner = kind::owner(reason, names);
                let (address, detail) = self.lock(owner, address);
                one(owner.kind, Some(address), detail)
            }
            Queue::Notified => one(Kind::Condition, Some(self.condition(waiting)?), Detail::Nothing),
            Queue::Poller => {
                let (writes, poll) = self.file(waiting)?;
                let deadline = if writes { poll.write_deadline } else { poll.read_deadline };
                let deadline_ns = (deadline > 0).then_some(deadline);
                let detail = Detail::File { descriptor: poll.descriptor, deadline_ns };
                one(kind::of_file(writes, names), None, detail)
            }
            Queue::Sleep => {
                let until_ns = if g.bubble != 0 { None } else { self.sleeps_until(g) };
                one(Kind::Sleep, None, Detail::Sleep { until_ns })
            }
            Queue::None => {
                let detail = Detail::Reason(reason.to_owned());
                if reason.is_empty() { Err(NOT_FOUND) } else { one(kind::of_reason(reason), None, detail) }
            }
        }
    }

    /// `None`, too, when so many were looked at that they cannot be those of a process.
    fn sudog(&self, address: u64) -> Option<Sudog> {
        let seen = self.records.get() + 1;
        self.records.set(seen);
        (seen <= RECORDS_MAX).then_some(())?;
        let layouts = &self.runtime.build.layouts;
        Sudog::parse(self.image.slice(address, layouts.sudog.size).ok()?, layouts, self.runtime.build.minor)
    }

    fn channel_operation(&self, g: &GRecord, reason: &str) -> Found {
        if let Some(settled) = self.settled.of(g.address) {
            return Ok(vec![settled]);
        }
        let kind = kind::single(reason).unwrap_or(Kind::Select);
        let mut waits = Vec::new();
        let (mut next, mut seen) = (g.waiting, 0);
        while next != 0 && seen < CASES_MAX {
            seen += 1;
            let sudog = self.sudog(next).ok_or(UNREADABLE)?;
            if sudog.g != g.address || sudog.channel == 0 {
                return Err(UNREADABLE);
            }
            let of_channel = self.channel(sudog.channel);
            let sends = match kind {
                Kind::Select => {
                    let queued = self.queued.borrow().get(&next).copied();
                    // Behind one of those that were not read again: all of them do the same.
                    queued.or_else(|| self.settled_sends.get(&sudog.channel).copied())
                }
                _ => Some(kind == Kind::ChannelSend),
            };
            let detail = of_channel.map_or(Detail::Nothing, |of| Detail::Channel(Channel { sends, ..*of }));
            waits.push(Wait { kind, any: false, address: Some(sudog.channel), detail });
            next = sudog.link;
        }
        let any = waits.len() > 1;
        waits.iter_mut().for_each(|wait| wait.any = any);
        if waits.is_empty() {
            // Of a nil channel, or a select of none or of nil channels only: for ever.
            let for_ever = reason.contains("(nil chan") || kind == Kind::Select;
            if !for_ever {
                return Err(WOKEN);
            }
            waits.push(Wait { kind, any: false, address: None, detail: Detail::Reason(reason.to_owned()) });
        }
        Ok(waits)
    }

    /// Its queues are looked through when it is met first.
    fn channel(&self, address: u64) -> Option<Rc<Channel>> {
        if let Some(known) = self.channels.borrow().get(&address) {
            return known.clone();
        }
        let layouts = &self.runtime.build.layouts;
        let bytes = self.image.slice(address, layouts.channel.size).ok();
        let record = bytes.and_then(|bytes| ChannelRecord::parse(bytes, layouts));
        if let Some(record) = record {
            for (first, sends) in [(record.receiving, false), (record.sending, true)] {
                self.walk(first, |at, sudog| {
                    sudog.channel == address && self.queued.borrow_mut().insert(at, sends).is_none()
                });
            }
        }
        let channel = record.map(|record| {
            let when = layouts.timer.when as u64;
            let fires =
                (record.timer != 0).then(|| self.image.read_u64(record.timer.wrapping_add(when)).ok());
            let fires_ns = fires.flatten().map(u64::cast_signed).filter(|&at| at > 0);
            Rc::new(Channel { sends: None, length: record.length, capacity: record.capacity, fires_ns })
        });
        self.channels.borrow_mut().insert(address, channel.clone());
        channel
    }

    /// Along `next`, for as long as `go_on` says yes.
    fn walk(&self, first: u64, go_on: impl Fn(u64, &Sudog) -> bool) {
        let mut next = first;
        while next != 0 {
            let Some(sudog) = self.sudog(next) else { break };
            if !go_on(next, &sudog) {
                break;
            }
            next = sudog.next;
        }
    }

    /// The first of a stack's words for which `is` gives something.
    fn on_stack<T>(&self, place: u8, waiting: &Waiting<'_>, is: impl Fn(u64) -> Option<T>) -> Option<T> {
        let window = waiting.window();
        let known = self.offsets.borrow().get(&place).map(Offsets::likely).unwrap_or_default();
        let known = known.into_iter().filter_map(|offset| Some((offset, window.at(offset)?)));
        let (offset, found) =
            known.chain(window.all()).find_map(|(offset, word)| Some((offset, is(word)?)))?;
        self.offsets.borrow_mut().entry(place).or_default().found(offset);
        Some(found)
    }

    /// The address of the semaphore.
    fn semaphore(&self, waiting: &Waiting<'_>) -> Result<u64, &'static str> {
        let g = &waiting.g;
        if self.runtime.build.minor >= MINOR_WITH_PAIRS {
            let sudog = self.sudog(g.waiting).filter(|sudog| sudog.g == g.address);
            let elem = sudog.ok_or(if g.waiting == 0 { WOKEN } else { UNREADABLE })?.elem;
            return Some(elem).filter(|&elem| elem != 0).ok_or(WOKEN);
        }
        let is = |word| {
            let sudog = self.sudog(word).filter(|sudog| sudog.g == g.address && sudog.channel == 0)?;
            Some(sudog.elem).filter(|&elem| elem != 0)
        };
        self.on_stack(0, waiting, is).ok_or(NOT_FOUND)
    }

    /// The lock or the like that a semaphore is of, and its state.
    fn lock(&self, owner: Owner, semaphore: u64) -> (u64, Detail) {
        let address = semaphore.wrapping_sub(owner.semaphore_at);
        let bytes = |length| self.image.slice(address, length).ok();
        let mutex_at = semaphore.wrapping_sub(kind::MUTEX_SEMAPHORE);
        let detail = match owner.kind {
            Kind::Mutex | Kind::Once => {
                let mut state = [0; 4];
                let read = self.image.read(mutex_at, &mut state).ok();
                read.map(|()| {
                    let state = MutexState(u32::from_le_bytes(state));
                    Detail::Mutex {
                        locked: state.is_locked(),
                        starving: state.is_starving(),
                        waiters: state.waiters(),
                    }
                })
            }
            Kind::ReadLock | Kind::WriteLock => bytes(RWMUTEX_BYTES)
                .and_then(readers)
                .map(|(readers, writer)| Detail::ReadWriteMutex { readers, writer }),
            Kind::WaitGroup => bytes(WAIT_GROUP_BYTES)
                .and_then(counts)
                .map(|(counter, waiters)| Detail::WaitGroup { counter, waiters }),
            _ => None,
        };
        (address, detail.unwrap_or(Detail::Nothing))
    }

    /// The address of the `sync.Cond`.
    fn condition(&self, waiting: &Waiting<'_>) -> Result<u64, &'static str> {
        let g = &waiting.g;
        if self.runtime.build.minor >= MINOR_WITH_PAIRS {
            let sudog = self.sudog(g.waiting).filter(|sudog| sudog.g == g.address);
            let list = sudog.ok_or(if g.waiting == 0 { WOKEN } else { UNREADABLE })?.elem;
            return list.checked_sub(CONDITION_LIST).filter(|_| list != 0).ok_or(WOKEN);
        }
        // Every word that may be the condition's address, until one is of a list that has this goroutine.
        let of_g = |at: u64| self.sudog(at).is_some_and(|sudog| sudog.g == g.address);
        let mine: Vec<u64> =
            waiting.window().all().map(|(_, word)| word).filter(|&word| of_g(word)).collect();
        let is = |word: u64| {
            let list = word.wrapping_add(CONDITION_LIST);
            self.look_through(list);
            let listed = self.listed.borrow();
            mine.iter().any(|sudog| listed.get(sudog) == Some(&list)).then_some(word)
        };
        self.on_stack(1, waiting, is).ok_or(NOT_FOUND)
    }

    fn look_through(&self, list: u64) {
        if self.lists.borrow_mut().insert(list, ()).is_some() {
            return;
        }
        let Some(notify_list) = &self.runtime.build.layouts.notify_list else { return };
        let head = list.wrapping_add(notify_list.head as u64);
        let Ok(first) = self.image.read_u64(head) else { return };
        self.walk(first, |at, sudog| {
            sudog.elem == 0 && sudog.channel == 0 && self.listed.borrow_mut().insert(at, list) != Some(list)
        });
    }

    /// Whether it writes, and the poller's record.
    fn file(&self, waiting: &Waiting<'_>) -> Result<(bool, PollRecord), &'static str> {
        let layouts = &self.runtime.build.layouts;
        let poll = &layouts.poll_desc;
        let is = |word: u64| {
            (self.image.read_u64(word).ok()? == waiting.g.address).then_some(())?;
            [(false, poll.rg), (true, poll.wg)].into_iter().find_map(|(writes, at)| {
                let address = word.wrapping_sub(at as u64);
                let record =
                    PollRecord::parse(address, self.image.slice(address, poll.this + 8).ok()?, layouts)?;
                let waits = if writes { record.writer } else { record.reader };
                (waits == waiting.g.address).then_some((writes, record))
            })
        };
        self.on_stack(2, waiting, is).ok_or(NOT_FOUND)
    }

    /// The runtime's own goroutines sleep by timers of theirs (`scavengerState.sleep`, runtime/mgcscavenge.go).
    fn sleeps_until(&self, g: &GRecord) -> Option<i64> {
        if self.runtime.build.layouts.g.sleep_when.is_some() {
            return Some(g.sleep_when).filter(|&when| when > 0);
        }
        let timer = Some(g.timer).filter(|&timer| timer != 0)?;
        let when = timer.wrapping_add(self.runtime.build.layouts.timer.when as u64);
        self.image.read_u64(when).ok().map(u64::cast_signed)
    }
}
