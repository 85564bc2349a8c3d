//! Values: what stands in a process's memory, decoded by type.
//!
//! [`Value`] is what was found. A [`Reader`] makes it: `reader.rs` by kind, `named.rs` and what it calls for the types of
//! the standard library that mean more than their fields, `navigate.rs` for one who walks to a part of a value first.
//! `json.rs` writes it, `scalar.rs` makes a cell of a column of it.
//!
//! Invariants: nothing is guessed (a gap stands where bytes are missing, or are none that a value of the type has); every
//! read, walk and recursion is bounded ([`Limits`]); memory that cannot be read makes a gap of its own part only, so that
//! one pass over a partial image tells of as many missing ranges as it can.
//!
//! Not here: where variables are (`dwarf/`), and which memory is read.

mod atomic;
mod big;
mod buffer;
mod channel;
mod chosen;
mod classic_map;
mod connection;
mod context;
mod descriptor;
mod facts;
mod function;
mod interface;
mod json;
mod limits;
mod map;
mod named;
mod navigate;
mod network;
mod process_types;
mod reader;
mod scalar;
mod swiss_map;
mod sync;
mod sync_map;
mod time;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub use atomic::atomic_value;
pub use facts::{Captured, Code, Facts, Maps};
pub use function::FunctionNames;
pub use json::to_json;
pub use limits::Limits;
pub use map::Key;
pub use process_types::{DebugTypes, ProcessTypes};
pub use reader::Reader;
pub use scalar::Scalar;

use std::sync::Arc;

use crate::gap::Gap;
use crate::place::Place;
use crate::types::TypeRef;

/// A decoded value. What is missing stands in its place as a gap; what is cut says so.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A nil pointer, slice, map, channel, function or interface.
    Nil,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Float32(f32),
    Complex(f64, f64),
    /// A string, or a text that stands for the value (a time, an address, an error's text).
    Text(String),
    /// Bytes that are no text.
    Bytes(Vec<u8>),
    List(Vec<Value>),
    /// A struct's fields, or other named parts, in order.
    Record(Vec<(String, Value)>),
    /// A map's entries, by key as far as keys can be ordered.
    Map(Vec<(Value, Value)>),
    /// A pointer that is not followed, as an address.
    Address(u64),
    /// A function value, and what it has captured.
    Function {
        name: String,
        captured: Vec<(String, Value)>,
    },
    /// What an interface holds.
    Dynamic {
        of: String,
        value: Box<Value>,
    },
    /// The first part of a value, and why there is no more.
    Cut {
        value: Box<Value>,
        gap: Gap,
    },
    Missing(Gap),
}

impl Value {
    fn cut(value: Value, gap: Gap) -> Value {
        Value::Cut { value: Box::new(value), gap }
    }

    /// Why it, or the first part of it for which that holds, is missing or cut.
    pub fn gap(&self) -> Option<&Gap> {
        match self {
            Value::Missing(gap) | Value::Cut { gap, .. } => Some(gap),
            Value::List(items) => items.iter().find_map(Value::gap),
            Value::Record(parts) | Value::Function { captured: parts, .. } => {
                parts.iter().find_map(|(_, value)| value.gap())
            }
            Value::Map(entries) => entries.iter().find_map(|(key, value)| key.gap().or_else(|| value.gap())),
            Value::Dynamic { value, .. } => value.gap(),
            Value::Nil
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Uint(_)
            | Value::Float(_)
            | Value::Float32(_)
            | Value::Complex(..)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Address(_) => None,
        }
    }
}

/// What must not leave the host.
pub trait Redact {
    /// Values of this type.
    fn hides_type(&self, name: &str) -> bool;
    /// A field of a struct type, by name; or a map's entry, by the map's type and a key that is a text.
    fn hides_field(&self, of: &str, field: &str) -> bool;
    /// The parts that are taken of a struct of this type; `None`: all.
    fn chosen(&self, _: &str) -> Option<Arc<dyn Chosen>> {
        None
    }
}

/// Parts of a type.
pub trait Chosen {
    /// In their order, each once.
    fn names(&self) -> Vec<&str>;
    /// Where a part of the value at `place` is, and its type.
    fn find(
        &self,
        part: usize,
        reader: &Reader<'_>,
        place: Place,
        of: TypeRef,
    ) -> Result<(Place, TypeRef), Gap>;
}

/// Hides nothing.
pub struct NoRedaction;

impl Redact for NoRedaction {
    fn hides_type(&self, _: &str) -> bool {
        false
    }

    fn hides_field(&self, _: &str, _: &str) -> bool {
        false
    }
}
