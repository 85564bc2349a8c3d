//! Tier two: the actors themselves, with their shells, over QUIC with mutual TLS, over a simulated network (turmoil).
//!
//! Each host has a tokio runtime of its own with a paused clock; all run in one thread, a millisecond each in turn. What is
//! scripted: targets with their freezers and decoders, and the coordinator's disk. The rest is what runs in earnest.
//!
//! * [`plan`]: what a seed stands for, in this tier.
//! * [`world`]: what all hosts share: the oracles, the log, the plan's progress.
//! * [`node`], [`target`]: a node's process; its targets, as the plan says.
//! * [`coordinator`], [`clients`], [`store`]: the coordinator's process; who orders; the files.
//! * [`faults`]: carries out the plan's faults on hosts and links; [`drive`] is the loop around it.
//! * [`quic`], [`pki`]: endpoints over simulated sockets, and their certificates.
//!
//! The log has the time, the length and a digest of every datagram; all entropy comes from the seed ([`crate::entropy`]).

pub mod clients;
pub mod coordinator;
pub mod drive;
pub mod faults;
pub mod node;
pub mod pki;
pub mod plan;
pub mod quic;
pub mod store;
pub mod target;
pub mod world;

use crate::run::{Report, Runs};

/// A defect put into the world on purpose, to see that an oracle finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Planted {
    #[default]
    Nothing,
    /// The store keeps the rows of a stream that broke.
    KeepsAborted,
    /// A result loses rows on its way into the stream.
    LosesRows,
    /// A result loses values on its way into the stream.
    LosesValues,
    /// The store does not note what is missing.
    LosesReasons,
    /// Clients do not ask again when the coordinator was restarted.
    ForgetsClients,
    /// The freezer relies on the node to resume.
    Overstays,
    /// A capture panics.
    Panics,
    /// Nodes give up after their first connection.
    NeverReturns,
    /// The coordinator takes certificates of any authority.
    TrustsStrangers,
    /// Which datagrams are lost does not depend on the seed alone.
    Unordered,
}

impl Runs for plan::Plan {
    const TIER: &'static str = "two";
    const PROGRESS_EVERY: u64 = 10;
    type Planted = Planted;

    fn of_seed(seed: u64) -> plan::Plan {
        plan::Plan::draw(seed)
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn run(&self, planted: Planted, keep: usize) -> (Report, Vec<String>) {
        drive::run(self, planted, keep)
    }

    fn parts(&self) -> usize {
        self.faults.len() + self.asks.len()
    }

    fn without(&self, part: usize) -> plan::Plan {
        let mut smaller = self.clone();
        match part.checked_sub(self.asks.len()) {
            Some(fault) => drop(smaller.faults.remove(fault)),
            None => drop(smaller.asks.remove(part)),
        }
        smaller
    }
}
