//! Tier one: the actors' pure state machines in one event loop with virtual time.
//!
//! What the shells and the operating system do in earnest is modelled around them, a file each:
//!
//! * [`world`]: the loop, mailboxes and clocks. Within one instant the mailboxes are emptied in an order that the seed draws.
//! * [`node`]: what a node's shell does: connecting, finding targets, the freezer, decoding, spooling.
//! * [`coordinator`]: what the coordinator's shell does: sessions, snapshots with their linkers and writers.
//! * [`network`]: connections, their control streams, and the openings of data streams.
//! * [`writer`]: the writer's thread; [`disk`]: what of its work outlives a crash or a loss of power.
//! * [`faults`] and [`clients`] carry out the plan.

pub mod clients;
pub mod coordinator;
pub mod disk;
pub mod faults;
pub mod network;
pub mod node;
pub mod world;
pub mod writer;

pub use world::{Planted, World};

use crate::plan::Plan;
use crate::run::{Report, Runs};

impl Runs for Plan {
    const TIER: &'static str = "one";
    const PROGRESS_EVERY: u64 = 200;
    type Planted = Planted;

    fn of_seed(seed: u64) -> Plan {
        Plan::draw(seed)
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn run(&self, planted: Planted, keep: usize) -> (Report, Vec<String>) {
        let mut world = World::new(self, planted, keep);
        world.run();
        let log = world.log.kept().map(str::to_owned).collect();
        let now_ns = world.now_ns();
        (Report::of(&world.oracles, &world.log, world.events, now_ns, &world.faults_by_kind), log)
    }

    fn parts(&self) -> usize {
        self.faults.len() + self.asks.len()
    }

    fn without(&self, part: usize) -> Plan {
        let mut smaller = self.clone();
        match part.checked_sub(self.asks.len()) {
            Some(fault) => drop(smaller.faults.remove(fault)),
            None => drop(smaller.asks.remove(part)),
        }
        smaller
    }
}
