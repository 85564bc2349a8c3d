//! Values: what stands in a process's memory, decoded by type.
//!
//! [`Value`] is what was found; `decode.rs` makes it, `json.rs` writes it.

use crate::gap::Gap;

/// A decoded value. What is missing stands in its place as a gap; what is cut says so.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Complex(f64, f64),
    /// A string, or a text that stands for the value (a time, an address, an error's text).
    Text(String),
    /// Bytes that are no UTF-8.
    Bytes(Vec<u8>),
    List(Vec<Value>),
    /// A struct's fields, or other named parts, in order.
    Record(Vec<(String, Value)>),
    /// A map's entries, by key as far as keys can be ordered.
    Map(Vec<(Value, Value)>),
    /// A pointer that is not followed, as an address.
    Address(u64),
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

/// What must not leave the host.
pub trait Redact {
    /// Values of this type.
    fn hides_type(&self, name: &str) -> bool;
    /// A field of a struct type, by name.
    fn hides_field(&self, of: &str, field: &str) -> bool;
}
