//! A value as the cell of a typed column.

use crate::value::Value;
use crate::value::json::{complex, hex, hexadecimal, special, to_json};

/// What a column of a `probe_` table holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Nil, or missing.
    None,
    Bool(bool),
    Int(i64),
    /// Only what does not fit an `Int`.
    Uint(u64),
    /// Never NaN, which SQLite has not: that is the text `NaN`.
    Real(f64),
    Text(String),
    /// What has parts.
    Json(String),
}

impl Scalar {
    /// The first part of what is cut. JSON has at most about `json_bytes_max` bytes.
    pub fn of(value: &Value, json_bytes_max: usize) -> Scalar {
        match value {
            Value::Nil | Value::Missing(_) => Scalar::None,
            Value::Bool(value) => Scalar::Bool(*value),
            Value::Int(value) => Scalar::Int(*value),
            Value::Uint(value) => i64::try_from(*value).map_or(Scalar::Uint(*value), Scalar::Int),
            Value::Float(value) => real(*value),
            // The shortest digits that stand for it, as in JSON: 0.1, not 0.10000000149011612.
            Value::Float32(value) => real(value.to_string().parse().unwrap_or(f64::from(*value))),
            Value::Complex(real, imaginary) => Scalar::Text(complex(*real, *imaginary)),
            Value::Text(text) => Scalar::Text(text.clone()),
            Value::Bytes(bytes) => Scalar::Text(hex(bytes)),
            Value::Address(address) => Scalar::Text(hexadecimal(*address)),
            Value::Function { name, .. } => Scalar::Text(name.clone()),
            Value::Dynamic { value: inner, .. } => match Scalar::of(inner, json_bytes_max) {
                // One that holds a nil pointer is not nil.
                Scalar::Json(_) => Scalar::Json(to_json(value, json_bytes_max)),
                Scalar::None if **inner == Value::Nil => Scalar::Json(to_json(value, json_bytes_max)),
                scalar => scalar,
            },
            Value::Cut { value: inner, .. } => match Scalar::of(inner, json_bytes_max) {
                Scalar::Json(_) => Scalar::Json(to_json(value, json_bytes_max)),
                scalar => scalar,
            },
            Value::List(_) | Value::Record(_) | Value::Map(_) => Scalar::Json(to_json(value, json_bytes_max)),
        }
    }
}

fn real(value: f64) -> Scalar {
    match special(value) {
        Some(text) if value.is_nan() => Scalar::Text(text.into()),
        _ => Scalar::Real(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gap::Gap;

    #[test]
    fn cells_are_what_sql_compares() {
        let of = |value: Value| Scalar::of(&value, 1000);
        assert_eq!(of(Value::Uint(7)), Scalar::Int(7));
        assert_eq!(of(Value::Uint(u64::MAX)), Scalar::Uint(u64::MAX));
        assert_eq!(of(Value::Float32(0.1)), Scalar::Real(0.1));
        assert_eq!(of(Value::Float(f64::NAN)), Scalar::Text("NaN".into()));
        assert_eq!(of(Value::Bytes(vec![0xab, 1])), Scalar::Text("ab01".into()));
        assert_eq!(of(Value::Missing(Gap::OptimizedOut)), Scalar::None);
        let held = |value| Value::Dynamic { of: "main.ID".into(), value: Box::new(value) };
        assert_eq!(of(held(Value::Int(7))), Scalar::Int(7));
        assert_eq!(of(held(Value::List(vec![]))), Scalar::Json(r#"{"$type":"main.ID","$value":[]}"#.into()));
        assert_eq!(of(held(Value::Nil)), Scalar::Json(r#"{"$type":"main.ID","$value":null}"#.into()));
        let cut = Value::cut(Value::Text("ab".into()), Gap::Bytes { shown: 2, length: 9 });
        assert_eq!(of(cut), Scalar::Text("ab".into()));
    }
}
