//! What need not be read while the process stands still: the channels of goroutines that are parked at one, receiving or
//! sending, and that have been parked all the time.
//!
//! The `sudog` is the goroutine's own until it runs again, and the channel's capacity never changes. Its length does, so that
//! only channels without a buffer are here, nor those of timers, which are set again. While one receives of such a channel
//! nobody is queued that sends to it (`chansend` hands over what it has), and the other way round.
//
// @go source runtime.{chansend,chanrecv,closechan}

use rustc_hash::FxHashMap;

use crate::gatherer::Gatherer;
use crate::runtime::Runtime;
use crate::waits::kind::{Kind, single};
use crate::waits::read::Waiting;
use crate::waits::records::{ChannelRecord, Sudog};
use crate::waits::{Channel, Detail, Wait};

/// By the address of the goroutine's record.
#[derive(Debug, Default)]
pub(crate) struct Settled(FxHashMap<u64, (Kind, u64, Channel)>);

impl Settled {
    /// Reads a process that may be running.
    pub(crate) fn read<'a>(
        runtime: &Runtime<'_>,
        gatherer: &mut Gatherer<'_>,
        waiting: impl Iterator<Item = &'a Waiting<'a>>,
    ) -> Settled {
        let (layouts, minor) = (&runtime.build.layouts, runtime.build.minor);
        let kind = |w: &&'a Waiting<'a>| Some((&w.g, single(runtime.wait_reason(&w.g))?));
        let waiting: Vec<_> = waiting.filter(|w| w.g.waiting != 0).filter_map(|w| kind(&w)).collect();
        let addresses: Vec<u64> = waiting.iter().map(|(g, _)| g.waiting).collect();
        let sudog = |at, bytes: &[u8]| Some((at, Sudog::parse(bytes, layouts, minor)?));
        let sudogs: FxHashMap<u64, Sudog> =
            gatherer.structures(&addresses, layouts.sudog.size, sudog).into_iter().collect();
        let addresses: Vec<u64> = sudogs.values().map(|sudog| sudog.channel).filter(|&at| at != 0).collect();
        let record = |at, bytes: &[u8]| Some((at, ChannelRecord::parse(bytes, layouts)?));
        let channels: FxHashMap<u64, ChannelRecord> =
            gatherer.structures(&addresses, layouts.channel.size, record).into_iter().collect();
        let settled = |(g, kind): (&crate::records::GRecord, Kind)| {
            let sudog = sudogs.get(&g.waiting).filter(|sudog| sudog.g == g.address && sudog.link == 0)?;
            let ChannelRecord { length, capacity, timer, .. } = *channels.get(&sudog.channel)?;
            let sends = kind == Kind::ChannelSend;
            let is_fixed = timer == 0 && length == 0 && capacity == 0;
            let channel = Channel { sends: Some(sends), length, capacity, fires_ns: None };
            is_fixed.then_some((g.address, (kind, sudog.channel, channel)))
        };
        Settled(waiting.into_iter().filter_map(settled).collect())
    }

    pub(crate) fn has(&self, g: u64) -> bool {
        self.0.contains_key(&g)
    }

    /// Those of goroutines that have not run since.
    pub(crate) fn keep(&mut self, is_unchanged: impl Fn(u64) -> bool) {
        self.0.retain(|&g, _| is_unchanged(g));
    }

    /// Whether those that wait at these channels send.
    pub(super) fn sends(&self) -> FxHashMap<u64, bool> {
        let sends = |&(kind, channel, _): &(Kind, u64, Channel)| (channel, kind == Kind::ChannelSend);
        self.0.values().map(sends).collect()
    }

    pub(super) fn of(&self, g: u64) -> Option<Wait> {
        let &(kind, address, channel) = self.0.get(&g)?;
        Some(Wait { kind, any: false, address: Some(address), detail: Detail::Channel(channel) })
    }
}
