//! The coordinator's server, end to end: scripted nodes over QUIC, users over HTTP and by the built command line.

#[path = "synthetic/captured.rs"]
mod captured;
mod cluster;
#[allow(dead_code, reason = "the tests that it belongs to use all of it")]
#[path = "../../nodes/agent/src/symbols/tests/elf.rs"]
mod elf;
mod synthetic;

#[path = "server/disk.rs"]
mod disk;
#[path = "server/http.rs"]
mod http;
#[path = "server/interrupts.rs"]
mod interrupts;
#[path = "server/losses.rs"]
mod losses;
#[path = "server/orders.rs"]
mod orders;
#[path = "server/peers.rs"]
mod peers;
#[path = "server/probe_sets.rs"]
mod probe_sets;
#[path = "server/restarts.rs"]
mod restarts;
#[path = "server/starting.rs"]
mod starting;
#[path = "server/symbols.rs"]
mod symbols;
