//! Linux: which processes there are, freezing them, reading their memory; core files.
//!
//! * [`process`], [`mappings`], [`auxiliary`], [`environment`], [`executable`]: what `/proc` says about a process.
//! * [`freeze`]: stops every thread of a process for a bounded time, and always lets it go.
//! * [`freezer`], [`privilege`]: the same from a process that has no privilege, by one that has nothing else.
//! * [`sockets`]: which sockets a process has, and who is at their other ends.
//! * [`memory`]: reads the memory of a process, frozen or not.
//! * [`mapping`]: files of Stillframe's own cache, mapped.
//! * [`mod@core`], [`recording`]: core files, and the core files that Stillframe writes itself.
//!
//! Nothing here writes to a target, and nothing here knows Go: of `stillframe-golang` only the `Memory` trait and the
//! thread are used. What is parsed of a *live* target is `/proc`, and what the kernel says of its sockets; the parser of core files works on files alone.
//! This is the one crate with `unsafe`: system calls that nix has no safe form for.

pub mod auxiliary;
pub mod core;
pub mod environment;
pub mod executable;
pub mod freeze;
pub mod freezer;
pub mod mapping;
pub mod mappings;
pub mod memory;
pub mod privilege;
pub mod process;
pub mod recording;
pub mod registers;
pub mod sockets;

pub mod clock;
mod elf;
mod proc_files;
mod remedy;
