//! What the end-to-end tests share.
//!
//! * [`agreement`]: a captured value beside what the program says.
//! * [`captured`]: values in a snapshot file.
//! * [`delve`]: Delve, as a second reader of the same process.
//! * [`truth`]: what a program says its variables hold, and probes for that.
//! * [`agent`]: a snapshot under way, and the two processes that take it.
//! * [`programs`]: the Go programs of `tests/programs`, built for each version and in each way, and running ones.
//! * [`traceback`]: Go's own traceback text, taken apart. It is the oracle: nothing here knows how Stillframe reads Go.
//! * [`stillframe`]: the command line under test.
//! * [`process_state`]: what the kernel says of a process: stopped, traced, gone.
//! * [`cluster`]: a coordinator and its nodes, on hosts of their own.
//! * [`emulated`]: programs for arm64, by qemu-user.
//! * [`hosts`]: hosts on this machine.
//! * [`comparison`]: what Go prints of a process beside what Stillframe does.
//! * [`containers`]: containers, by runc.
//! * [`health`]: what the `busy` program says of itself.
//! * [`planted`]: a captured process, made up, for tests of the tests.
//! * [`table`]: tables of results, as text.
//! * [`tidy`]: the rules that the workspace keeps, as functions over its files.
//!
//! Nothing in the workspace depends on this crate.
#![forbid(unsafe_code)]

pub mod agent;
pub mod agreement;
pub mod captured;
pub mod cluster;
pub mod comparison;
pub mod containers;
pub mod delve;
pub mod emulated;
pub mod health;
pub mod hosts;
pub mod planted;
pub mod process_state;
pub mod programs;
pub mod readelf;
pub mod stillframe;
pub mod table;
pub mod tidy;
pub mod traceback;
pub mod truth;
