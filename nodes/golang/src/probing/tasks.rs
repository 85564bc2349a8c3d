//! One frame that a probe is about, and how far the reading of its expressions has come.

use std::rc::Rc;

use crate::gap::Gap;
use crate::value::Value;

use super::Cell;
use super::sites::Site;
use crate::thread::Registers;

/// One row in the making.
pub(super) struct Task {
    /// Index of the goroutine among those that were looked at.
    pub(super) standing: usize,
    pub(super) depth: u32,
    pub(super) site: Rc<Site>,
    /// Index into the site's captures.
    pub(super) capture: usize,
    pub(super) frame_end: u64,
    pub(super) registers: Option<Registers>,
    /// `None`: not yet evaluated over memory that held all that it needs.
    pub(super) cells: Vec<Option<Cell>>,
}

/// What could not be read is missing because there was no time to.
pub(super) fn for_lack_of_time(value: &mut Value) {
    match value {
        Value::Missing(gap) => {
            if let Gap::Unreadable(_) = gap {
                *gap = Gap::Budget;
            }
        }
        Value::List(items) => items.iter_mut().for_each(for_lack_of_time),
        Value::Record(fields) => fields.iter_mut().for_each(|(_, value)| for_lack_of_time(value)),
        Value::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
            for_lack_of_time(key);
            for_lack_of_time(value);
        }),
        Value::Dynamic { value, .. } | Value::Cut { value, .. } => for_lack_of_time(value),
        Value::Nil
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Float(_)
        | Value::Complex(..)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Address(_) => {}
    }
}
