//! What a seed stands for in tier two: as in tier one, but shorter, with fewer hosts, and with the faults of a real network.

use std::time::Duration;

use crate::plan::{Ask, Clock, Host, Target, Timed};
use crate::random::Random;
use crate::{MILLISECOND, SECOND};

/// All times are whole milliseconds: finer ones the clock of a simulated host does not have.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub hosts: Vec<Host>,
    pub coordinator_clock: Clock,
    /// The longest that a datagram takes; the shortest is a millisecond.
    pub delay: Duration,
    /// An operation of the coordinator's disk.
    pub operation: Duration,
    /// A node with a certificate of another authority is there, too.
    pub has_stranger: bool,
    pub asks: Vec<Ask>,
    pub faults: Vec<Timed<Fault>>,
    /// No fault, and no ask, begins beyond it.
    pub faults_end_ns: u64,
}

/// A host is named by its place in [`Plan::hosts`]; links are those to the coordinator.
#[derive(Clone, Debug)]
pub enum Fault {
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
    /// Nothing passes until the end, and then all of it at once.
    Hold {
        host: usize,
        for_ns: u64,
    },
    /// Of all datagrams so many of a hundred are lost, and so many come twice.
    Loss {
        lost_percent: u64,
        twice_percent: u64,
        for_ns: u64,
    },
    /// One end closes the connection.
    ConnectionKilled {
        host: usize,
        by_coordinator: bool,
    },
    NodeCrash {
        host: usize,
        down_ns: u64,
    },
    CoordinatorCrash {
        down_ns: u64,
    },
    /// `None`: the coordinator's clock.
    ClockJump {
        host: Option<usize>,
        by_ns: i64,
    },
    /// So long after the host next begins to send a result.
    WhenItSends {
        host: usize,
        after_ns: u64,
        what: Box<Fault>,
    },
    DiskFails {
        for_ns: u64,
    },
    /// Each operation takes so long.
    DiskSlow {
        for_ns: u64,
        operation: Duration,
    },
}

impl Fault {
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Partition { .. } => "partition",
            Fault::Stall { .. } => "stall",
            Fault::Hold { .. } => "hold",
            Fault::Loss { .. } => "loss",
            Fault::ConnectionKilled { .. } => "connection killed",
            Fault::NodeCrash { .. } => "node crash",
            Fault::CoordinatorCrash { .. } => "coordinator crash",
            Fault::ClockJump { .. } => "clock jump",
            Fault::WhenItSends { .. } => "when it sends",
            Fault::DiskFails { .. } => "disk fails",
            Fault::DiskSlow { .. } => "disk slow",
        }
    }
}

const PROGRAMS: [&str; 4] = ["shop", "shop-worker", "gateway", "ledger"];
const HOSTS_MAX: u64 = 20;

impl Plan {
    pub fn draw(seed: u64) -> Plan {
        let mut random = Random::new(seed, 3);
        let count = match random.below(40) {
            0 => random.between(8, HOSTS_MAX + 1),
            1..8 => random.between(4, 8),
            _ => random.between(1, 4),
        } as usize;
        let faults_end_ns = random.between(4, 20) * SECOND;
        let mut hosts: Vec<Host> =
            (0..count).map(|i| host(format!("host-{i}"), faults_end_ns, &mut random)).collect();
        if count > 1 && random.percent(15) {
            // Taken out of service, in the midst of whatever it does.
            hosts[1].exists = Some((0, milliseconds(random.between(faults_end_ns / 4, faults_end_ns))));
        }
        if random.percent(15) {
            let from = milliseconds(random.below(faults_end_ns / 2));
            let mut twin = host("host-0".to_owned(), faults_end_ns, &mut random);
            twin.exists = Some((from, milliseconds(random.between(from + MILLISECOND, faults_end_ns))));
            hosts.push(twin);
        }
        let asks = asks(&mut random, count, faults_end_ns);
        let amount = match random.below(5) {
            0 => 0,
            _ => random.below(12),
        };
        let mut faults: Vec<Timed<Fault>> = (0..amount)
            .map(|_| {
                let of_ask = asks[random.below(asks.len() as u64) as usize].at_ns;
                let at_ns = match random.below(2) {
                    0 => milliseconds(random.below(faults_end_ns)),
                    // In the midst of an order.
                    _ => of_ask + between_milliseconds(&mut random, 1, 8_000),
                };
                Timed { at_ns, what: fault(hosts.len(), &mut random) }
            })
            .collect();
        faults.sort_by_key(|fault| fault.at_ns);
        Plan {
            seed,
            hosts,
            coordinator_clock: clock(&mut random),
            delay: Duration::from_millis(random.spread(2, 60)),
            operation: Duration::from_millis(random.spread(1, 40)),
            has_stranger: random.percent(20),
            asks,
            faults,
            faults_end_ns,
        }
    }
}

/// Rounded down.
fn milliseconds(ns: u64) -> u64 {
    ns / MILLISECOND * MILLISECOND
}

fn between_milliseconds(random: &mut Random, first: u64, end: u64) -> u64 {
    random.spread(first, end) * MILLISECOND
}

fn clock(random: &mut Random) -> Clock {
    let ahead_ns = match random.below(3) {
        0 => 0,
        1 => random.spread(1, 3_600 * SECOND) as i64,
        _ => -(random.spread(1, 3_600 * SECOND) as i64),
    };
    Clock { ahead_ns, drift_ppm: random.below(81) as i64 - 40 }
}

fn host(name: String, faults_end_ns: u64, random: &mut Random) -> Host {
    let count = if random.percent(10) { 0 } else { random.between(1, 4) };
    let targets = (0..count).map(|i| Target {
        pid: i as u32 + 1,
        program: PROGRAMS[random.below(PROGRAMS.len() as u64) as usize],
        goroutines: random.spread(10, 80_000),
        is_refused: random.percent(8),
        exits_at_ns: random.percent(10).then(|| milliseconds(random.below(faults_end_ns))),
        freeze_ns: {
            let longest = if random.percent(10) { 3_000 } else { 300 };
            between_milliseconds(random, 1, longest)
        },
        decode_ns: between_milliseconds(random, 1, 3_000),
        fails_to_decode: random.percent(4),
    });
    let targets = targets.collect();
    Host {
        name,
        targets,
        clock: clock(random),
        find_ns: match random.below(30) {
            0 => 18 * SECOND,
            1..5 => 0,
            _ => between_milliseconds(random, 1, 2_000),
        },
        lead_ns: between_milliseconds(random, 1, 2_000),
        exists: None,
    }
}

fn asks(random: &mut Random, hosts: usize, end_ns: u64) -> Vec<Ask> {
    let mut asks = Vec::new();
    for order in 1..=u128::from(1 + random.below(4)) {
        let at_ns = SECOND + milliseconds(random.below(end_ns * 2 / 3));
        let hosts = match random.below(6) {
            0 => vec![format!("host-{}", random.below(hosts as u64))],
            _ => Vec::new(),
        };
        let programs = match random.below(4) {
            0 => vec!["shop*".to_owned()],
            _ => Vec::new(),
        };
        let shortest = if random.percent(80) { 10_000 } else { 500 };
        let ask = Ask {
            at_ns,
            order,
            hosts,
            programs,
            max_pause: random.percent(50).then(|| Duration::from_millis(random.spread(20, 2_000))),
            within: Duration::from_millis(random.spread(shortest, 40_000)),
            cancel_at_ns: random
                .percent(15)
                .then(|| (at_ns + between_milliseconds(random, 1, 10_000)).min(end_ns)),
        };
        if random.percent(35) {
            // Asked twice; or cancelled, and wanted all the same.
            let from = ask.cancel_at_ns.unwrap_or(at_ns);
            let later = (from + between_milliseconds(random, 1, 10_000)).min(end_ns);
            asks.push(Ask { at_ns: later, cancel_at_ns: None, ..ask.clone() });
        }
        asks.push(ask);
    }
    asks.sort_by_key(|ask| (ask.at_ns, ask.order));
    asks
}

fn fault(hosts: usize, random: &mut Random) -> Fault {
    let host = random.below(hosts as u64) as usize;
    match random.below(20) {
        0..5 => Fault::WhenItSends {
            host,
            after_ns: (random.spread(1, 1_000) - 1) * MILLISECOND,
            what: Box::new(network_fault(host, random)),
        },
        5..16 => network_fault(host, random),
        16 => {
            let by_ns = between_milliseconds(random, 1, 3_600_000) as i64;
            let host = random.percent(70).then_some(host);
            Fault::ClockJump { host, by_ns: if random.percent(50) { by_ns } else { -by_ns } }
        }
        17 => Fault::DiskFails { for_ns: between_milliseconds(random, 1, 4_000) },
        _ => Fault::DiskSlow {
            for_ns: between_milliseconds(random, 1, 15_000),
            operation: Duration::from_millis(random.spread(10, 1_000)),
        },
    }
}

fn network_fault(host: usize, random: &mut Random) -> Fault {
    let down_ns = between_milliseconds(random, 1, 4_000);
    let for_ns = between_milliseconds(random, 1, 15_000);
    match random.below(12) {
        0 | 1 => Fault::Partition { host, for_ns },
        2 => Fault::Stall { host, to_coordinator: random.percent(50), for_ns },
        3 => Fault::Hold { host, for_ns },
        4 | 5 => {
            let (lost_percent, twice_percent) = (random.between(1, 40), random.below(10));
            Fault::Loss { lost_percent, twice_percent, for_ns }
        }
        6..8 => Fault::ConnectionKilled { host, by_coordinator: random.percent(50) },
        8..10 => Fault::NodeCrash { host, down_ns },
        _ => Fault::CoordinatorCrash { down_ns },
    }
}
