//! What the probes of a simulated order say, and how many frames they match.
//!
//! The text comes to a node with the order, and the values that come back say so: an oracle compares them with what the
//! plan's order had.

use std::sync::Arc;

const EVERY: &str = "every ";

/// Of an order of the plan; some have none.
pub fn of_order(order: u128) -> Arc<str> {
    match order % 5 {
        0 => Arc::default(),
        every => format!("{EVERY}{every} of order {order}").into(),
    }
}

/// Every so many goroutines one is matched, the first among them.
pub fn every(probes: &str) -> Option<u64> {
    let text = probes.strip_prefix(EVERY)?;
    text.split(' ').next()?.parse().ok()
}

/// How many of so many goroutines are matched.
pub fn rows(probes: &str, goroutines: u64) -> u64 {
    every(probes).map_or(0, |every| goroutines.div_ceil(every))
}
