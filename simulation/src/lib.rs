//! A whole cluster in one thread: seeded, in virtual time, with faults and oracles.
//!
//! * [`plan`]: what is drawn from a seed: hosts, targets, clocks, orders, faults and their times.
//! * [`probes`]: what the orders' probes say.
//! * [`oracle`]: what must hold whatever happens; it is told what happens in a vocabulary that knows no machinery.
//! * [`machines`]: tier one: the actors' pure state machines, a model of everything around them, and one event loop.
//! * [`stack`]: tier two: the actors themselves, over QUIC, over a simulated network.
//! * [`entropy`]: what libraries draw at random comes from the seed, too. The only unsafe code here.
//! * [`run`]: one seed, many seeds, and the smallest plan that still fails.
//!
//! The same seed gives the same run, byte for byte of its log. All times are nanoseconds of virtual time since the run's
//! beginning, unless a name says otherwise.
#![deny(unsafe_code)]

pub mod entropy;
mod links;
pub mod log;
pub mod machines;
pub mod oracle;
pub mod plan;
pub mod probes;
pub mod random;
pub mod run;
pub mod stack;

/// Nanoseconds.
pub const MILLISECOND: u64 = 1_000_000;
/// Nanoseconds.
pub const SECOND: u64 = 1_000_000_000;
