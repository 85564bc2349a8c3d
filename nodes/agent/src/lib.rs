//! The node: captures targets.
//!
//! * [`capture`]: one target, from order to facts.
//! * [`targets`]: which Go processes this host has.
//! * [`doctor`]: whether captures can work here, and what to do where they cannot.
//! * [`symbols`]: where debug information comes from, and where it is kept.
//! * [`watch`]: watching processes, so that ages are known.
//! * [`host`]: what the host is.
//! * [`policy`]: what may be captured here, whatever is ordered.
//! * [`probe_sets`]: which tables the probes of an order make.
//! * [`probes`]: what a probe set would capture of a build.
//! * [`freezer`]: the privileged process that all of them ask; this one needs no privilege.
//!
//! The node puts `stillframe-golang` (what Go's memory means) and `stillframe-target` (how a process is stopped and read)
//! together. Domain types become wire types in `convert.rs`, and nowhere else.
#![forbid(unsafe_code)]

pub mod capture;
pub mod capturing;
pub mod doctor;
pub mod freezer;
pub mod host;
pub mod policy;
pub mod probe_sets;
pub mod probes;
pub mod serve;
pub mod spool;
pub mod symbols;
pub mod targets;
pub mod watch;

mod ages;
mod convert;
mod error;
mod ordered_probes;
mod preparations;
mod scrub;
mod sockets;
mod together;
mod values;
mod waits;

pub use error::{CaptureError, ExitClass};
