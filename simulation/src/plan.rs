//! What a seed stands for: hosts with their targets and clocks, orders, faults and their times.
//!
//! A plan is plain data. Dropping a fault from it gives another plan, which is how a failing one is made small.

use std::time::Duration;

use crate::random::Random;
use crate::{MILLISECOND, SECOND};

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub hosts: Vec<Host>,
    pub coordinator_clock: Clock,
    pub network: Network,
    pub asks: Vec<Ask>,
    pub faults: Vec<Timed<Fault>>,
    /// No fault, and no ask, begins or lasts beyond it.
    pub faults_end_ns: u64,
}

#[derive(Clone, Debug)]
pub struct Timed<T> {
    pub at_ns: u64,
    pub what: T,
}

/// A host with its node. Its name is [`Host::name`].
#[derive(Clone, Debug)]
pub struct Host {
    pub name: String,
    pub clock: Clock,
    pub targets: Vec<Target>,
    /// Listing processes and loading their builds.
    pub find_ns: u64,
    pub lead_ns: u64,
    /// Exists only for this time, and does not come back.
    pub exists: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub ahead_ns: i64,
    pub drift_ppm: i64,
}

#[derive(Clone, Debug)]
pub struct Target {
    pub pid: u32,
    pub program: &'static str,
    /// What a capture of it has.
    pub goroutines: u64,
    pub is_refused: bool,
    pub exits_at_ns: Option<u64>,
    /// From the first stop on; the budget may cut it short.
    pub freeze_ns: u64,
    pub decode_ns: u64,
    pub fails_to_decode: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Network {
    pub delay_ns: u64,
    /// How many of a hundred messages take up to half a second.
    pub slow_percent: u64,
    /// A connection without any packet for so long is gone.
    pub idle_ns: u64,
}

/// What a client does.
#[derive(Clone, Debug)]
pub struct Ask {
    pub at_ns: u64,
    /// The order's id. Asked a second time it is the same order.
    pub order: u128,
    pub hosts: Vec<String>,
    pub programs: Vec<String>,
    pub max_pause: Option<Duration>,
    pub within: Duration,
    pub cancel_at_ns: Option<u64>,
}

/// A host is named by its place in [`Plan::hosts`].
#[derive(Clone, Debug)]
pub enum Fault {
    /// Each end notices at its own time.
    ConnectionLost {
        host: usize,
        node_after_ns: u64,
        coordinator_after_ns: u64,
    },
    /// Nothing passes in either direction.
    Partition {
        host: usize,
        for_ns: u64,
    },
    /// Nothing passes in one direction.
    Stall {
        host: usize,
        to_coordinator: bool,
        for_ns: u64,
    },
    NodeCrash {
        host: usize,
        down_ns: u64,
    },
    CoordinatorCrash {
        down_ns: u64,
        loses_power: bool,
    },
    ClockJump {
        host: Option<usize>,
        by_ns: i64,
    },
    DiskFull {
        for_ns: u64,
    },
    DiskFails {
        for_ns: u64,
    },
    /// Each operation takes so long.
    DiskSlow {
        for_ns: u64,
        operation_ns: u64,
    },
    /// The next commit that comes to this step loses power there.
    PowerLostAtStep {
        step: usize,
        down_ns: u64,
    },
    /// The next stream's opening is late.
    StreamLate {
        host: usize,
        by_ns: u64,
    },
    /// The next stream is opened twice.
    StreamTwice {
        host: usize,
    },
    /// A part of the next stream is missing.
    StreamCorrupt {
        host: usize,
    },
}

impl Fault {
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::ConnectionLost { .. } => "connection lost",
            Fault::Partition { .. } => "partition",
            Fault::Stall { .. } => "stall",
            Fault::NodeCrash { .. } => "node crash",
            Fault::CoordinatorCrash { loses_power: false, .. } => "coordinator crash",
            Fault::CoordinatorCrash { loses_power: true, .. } => "power lost",
            Fault::ClockJump { .. } => "clock jump",
            Fault::DiskFull { .. } => "disk full",
            Fault::DiskFails { .. } => "disk fails",
            Fault::DiskSlow { .. } => "disk slow",
            Fault::PowerLostAtStep { .. } => "power lost in a commit",
            Fault::StreamLate { .. } => "stream late",
            Fault::StreamTwice { .. } => "stream twice",
            Fault::StreamCorrupt { .. } => "stream corrupt",
        }
    }
}

const PROGRAMS: [&str; 4] = ["shop", "shop-worker", "gateway", "ledger"];

impl Plan {
    pub fn draw(seed: u64) -> Plan {
        let mut random = Random::new(seed, 1);
        let is_large = random.percent(1);
        let count = if is_large { random.between(100, 1001) } else { random.between(1, 9) } as usize;
        let faults_end_ns = if is_large { 12 * SECOND } else { random.between(20, 120) * SECOND };
        let mut hosts: Vec<Host> =
            (0..count).map(|i| host(format!("host-{i}"), faults_end_ns, is_large, &mut random)).collect();
        if count > 1 && random.percent(25) {
            // Taken out of service, in the midst of whatever it does.
            hosts[1].exists = Some((0, random.between(faults_end_ns / 4, faults_end_ns)));
        }
        if random.percent(15) {
            let from = random.below(faults_end_ns / 2);
            let mut twin = host("host-0".to_owned(), faults_end_ns, is_large, &mut random);
            twin.exists = Some((from, random.between(from + 1, faults_end_ns)));
            hosts.push(twin);
        }
        let network = Network {
            delay_ns: random.spread(20_000, 20 * MILLISECOND),
            slow_percent: random.below(4),
            idle_ns: random.between(3, 8) * SECOND,
        };
        let asks = asks(&mut random, is_large, count, faults_end_ns);
        let amount = match random.below(4) {
            0 => random.below(3),
            _ => random.below(24),
        };
        let mut faults: Vec<Timed<Fault>> = (0..amount)
            .map(|_| {
                let at_ns = random.below(faults_end_ns);
                Timed { at_ns, what: fault(at_ns, faults_end_ns, hosts.len(), &asks, &mut random) }
            })
            .collect();
        faults.sort_by_key(|fault| fault.at_ns);
        Plan { seed, hosts, coordinator_clock: clock(&mut random), network, asks, faults, faults_end_ns }
    }
}

fn clock(random: &mut Random) -> Clock {
    let ahead_ns = match random.below(4) {
        0 => 0,
        1 => random.spread(1, 3_600 * SECOND) as i64,
        2 => -(random.spread(1, 3_600 * SECOND) as i64),
        _ => random.below(10 * MILLISECOND) as i64,
    };
    Clock { ahead_ns, drift_ppm: random.below(81) as i64 - 40 }
}

fn host(name: String, faults_end_ns: u64, is_large: bool, random: &mut Random) -> Host {
    let targets = match (is_large, random.below(10)) {
        (true, _) => random.below(2),
        (_, 0) => 0,
        (_, 1) => random.between(8, 20),
        _ => random.between(1, 6),
    };
    let targets = (0..targets).map(|i| Target {
        pid: 100 + i as u32,
        program: PROGRAMS[random.below(PROGRAMS.len() as u64) as usize],
        goroutines: random.spread(1, 2_000),
        is_refused: random.percent(4),
        exits_at_ns: random.percent(8).then(|| random.below(faults_end_ns)),
        freeze_ns: if random.percent(5) { 3 * SECOND } else { random.spread(10_000, 300 * MILLISECOND) },
        decode_ns: if random.percent(1) { 310 * SECOND } else { random.spread(MILLISECOND, 8 * SECOND) },
        fails_to_decode: random.percent(3),
    });
    Host {
        name,
        targets: targets.collect(),
        clock: clock(random),
        find_ns: if random.percent(5) { 20 * SECOND } else { random.spread(MILLISECOND, 6 * SECOND) },
        lead_ns: random.spread(1, 8 * SECOND),
        exists: None,
    }
}

fn asks(random: &mut Random, is_large: bool, hosts: usize, end_ns: u64) -> Vec<Ask> {
    let orders = match (is_large, random.below(40)) {
        (true, _) => 1 + random.below(2),
        // More than may wait.
        (_, 0) => 24,
        _ => 1 + random.below(6),
    };
    let mut asks = Vec::new();
    for order in 1..=u128::from(orders) {
        let at_ns = if orders > 20 { 2 * SECOND + order as u64 } else { random.below(end_ns * 2 / 3) };
        let hosts = match random.below(6) {
            0 => vec![format!("host-{}", random.below(hosts as u64))],
            1 => vec!["host-?".to_owned()],
            _ => Vec::new(),
        };
        let programs = match random.below(4) {
            0 => vec![PROGRAMS[random.below(PROGRAMS.len() as u64) as usize].to_owned()],
            1 => vec!["shop*".to_owned()],
            _ => Vec::new(),
        };
        let shortest = if random.percent(70) { 20 * SECOND } else { 500 * MILLISECOND };
        let ask = Ask {
            at_ns,
            order,
            hosts,
            programs,
            max_pause: random
                .percent(50)
                .then(|| Duration::from_nanos(random.spread(20 * MILLISECOND, 2 * SECOND))),
            within: Duration::from_nanos(random.spread(shortest, 120 * SECOND)),
            cancel_at_ns: random.percent(15).then(|| (at_ns + random.spread(1, 20 * SECOND)).min(end_ns)),
        };
        if random.percent(35) {
            let later = (at_ns + random.spread(1, 30 * SECOND)).min(end_ns);
            asks.push(Ask { at_ns: later, cancel_at_ns: None, ..ask.clone() });
        }
        if let Some(cancelled) = ask.cancel_at_ns
            && random.percent(50)
        {
            // Cancelled, and wanted all the same.
            let later = (cancelled + random.spread(1, SECOND)).min(end_ns);
            asks.push(Ask { at_ns: later, cancel_at_ns: None, ..ask.clone() });
        }
        asks.push(ask);
    }
    asks.sort_by_key(|ask| (ask.at_ns, ask.order));
    asks
}

fn fault(at_ns: u64, end_ns: u64, hosts: usize, asks: &[Ask], random: &mut Random) -> Fault {
    let host = random.below(hosts as u64) as usize;
    let mut span = |longest: u64| random.spread(MILLISECOND, longest).min(end_ns - at_ns).max(1);
    let (short, long) = (span(6 * SECOND), span(40 * SECOND));
    match random.below(18) {
        0 | 1 => Fault::ConnectionLost {
            host,
            node_after_ns: short,
            coordinator_after_ns: random.below(short + 1),
        },
        2 => Fault::ConnectionLost {
            host,
            node_after_ns: random.below(short + 1),
            coordinator_after_ns: short,
        },
        3 => Fault::Partition { host, for_ns: long },
        4 => Fault::Stall { host, to_coordinator: random.percent(50), for_ns: long },
        5 | 6 => Fault::NodeCrash { host, down_ns: short },
        7 => Fault::CoordinatorCrash { down_ns: short, loses_power: random.percent(30) },
        8 => {
            let by_ns = random.spread(1, 3_600 * SECOND) as i64;
            let host = random.percent(70).then_some(host);
            Fault::ClockJump { host, by_ns: if random.percent(50) { by_ns } else { -by_ns } }
        }
        9 => Fault::DiskFull { for_ns: long },
        10 => Fault::DiskFails { for_ns: short },
        11 => Fault::DiskSlow { for_ns: long, operation_ns: random.spread(MILLISECOND, 20 * SECOND) },
        12 => Fault::PowerLostAtStep { step: random.below(5) as usize, down_ns: short },
        13 => Fault::StreamLate { host, by_ns: random.spread(MILLISECOND, 40 * SECOND) },
        14 => Fault::StreamTwice { host },
        15 if asks.len() > 3 => Fault::CoordinatorCrash { down_ns: short, loses_power: false },
        _ => Fault::StreamCorrupt { host },
    }
}
