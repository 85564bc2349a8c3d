//! Reads Go: executables, and the memory of processes that run them.
//!
//! From bytes to goroutines, in this order:
//!
//! 1. [`build::Build`]: what an executable says of itself: version, function table, where its runtime keeps things.
//! 2. [`runtime::Runtime`]: that build in one process, found through [`memory::Memory`].
//! 3. [`precopy`]: the stacks of goroutines that are parked, copied while the process runs.
//! 4. [`gather`]: the reads that a freeze needs, in as few rounds as can be.
//! 5. [`decode`]: goroutines, stacks and frames out of what was read, while the process runs again.
//!
//! Invariants: no system call; no byte of a file or of a target is trusted (every offset, length and walk is bounded, and
//! damage is an error or a gap); what cannot be known is missing and says why, and is never guessed.
//!
//! Not here: which processes there are and how they are frozen (`stillframe-target`), and what is made of the goroutines.
#![forbid(unsafe_code)]

mod arguments;
mod bytes;
mod code_lines;
mod debug_info;
mod deferred;
mod evidence;
mod gatherer;
mod hash;
mod kept_slots;
mod labels;
mod layout;
mod layout_table;
mod receiving;
mod records;
mod references;
mod relocations;
mod stack_slots;
mod start;
mod steps;
mod traceback;
mod unwind;
mod validation;
mod variables;
mod wait_reasons;
pub mod waits;

pub mod build;
pub mod build_info;
pub mod decode;
pub mod dwarf;
pub mod executable;
pub mod function_table;
pub mod gap;
pub mod gather;
pub mod inline_tree;
pub mod libraries;
pub mod memory;
pub mod modules;
pub mod package;
pub mod place;
pub mod precopy;
pub mod probe;
pub mod probing;
pub mod runtime;
pub mod similar;
pub mod thread;
pub mod types;
pub mod value;
pub mod variable;
pub mod version;
pub mod watch;

pub use records::Status;
pub use unwind::Stop;
