//! What a captured value becomes: JSON in `goroutine_values`, and from that a value of a column in `probe_<name>`.
//!
//! A column's value follows from the JSON alone, so that both tables always say the same.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use serde::de::IgnoredAny;
use stillframe_wire::facts::{Cell, CellValue};

/// The JSON of a value; `None`: there is no value. Numbers that are none have no JSON: they are texts as Go prints them.
pub(super) fn json(value: &CellValue) -> Option<String> {
    Some(match value {
        CellValue::None => return None,
        CellValue::Bool(value) => value.to_string(),
        CellValue::Int(value) => value.to_string(),
        CellValue::Uint(value) => value.to_string(),
        CellValue::Real(value) if value.is_finite() => serde_json::Value::from(*value).to_string(),
        CellValue::Real(value) if value.is_nan() => "\"NaN\"".to_owned(),
        CellValue::Real(value) => if *value > 0.0 { "\"+Inf\"" } else { "\"-Inf\"" }.to_owned(),
        CellValue::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
        CellValue::Json(json) => json.clone(),
    })
}

/// Whether what a peer calls JSON is one. Deeper nesting than the parser follows is none: SQLite has a bound, too.
pub(super) fn is_json(cell: &Cell) -> bool {
    match &cell.value {
        CellValue::Json(json) => serde_json::from_str::<IgnoredAny>(json).is_ok(),
        _ => true,
    }
}

/// A value as a column has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ColumnValue {
    /// Nil, or missing: `goroutine_values` tells which.
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

impl ColumnValue {
    /// Of the column `value` of `goroutine_values`. Integers that SQLite does not have are texts, as is what has several parts.
    pub(super) fn of_json(json: Option<&str>) -> ColumnValue {
        let Some(json) = json.map(str::trim_ascii) else { return ColumnValue::Null };
        let text = || ColumnValue::Text(json.to_owned());
        match json.as_bytes().first() {
            Some(b'n') => ColumnValue::Null,
            Some(b't') => ColumnValue::Integer(1),
            Some(b'f') => ColumnValue::Integer(0),
            Some(b'"') => serde_json::from_str(json).map_or_else(|_| text(), ColumnValue::Text),
            Some(b'-' | b'0'..=b'9') if json.contains(['.', 'e', 'E']) => match json.parse::<f64>() {
                Ok(number) if number.is_finite() => ColumnValue::Real(number),
                _ => text(),
            },
            Some(b'-' | b'0'..=b'9') => json.parse().map_or_else(|_| text(), ColumnValue::Integer),
            _ => text(),
        }
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            ColumnValue::Null => None,
            ColumnValue::Integer(_) => Some(Kind::Integer),
            ColumnValue::Real(_) => Some(Kind::Real),
            ColumnValue::Text(_) => Some(Kind::Text),
        }
    }
}

impl ToSql for ColumnValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            ColumnValue::Null => ValueRef::Null,
            ColumnValue::Integer(value) => ValueRef::Integer(*value),
            ColumnValue::Real(value) => ValueRef::Real(*value),
            ColumnValue::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Real,
    Text,
}

/// The kinds of all values of a column so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kinds {
    #[default]
    None,
    All(Kind),
    Mixed,
}

impl Kinds {
    pub(super) fn add(&mut self, kind: Option<Kind>) {
        let Some(kind) = kind else { return };
        *self = match *self {
            Kinds::None => Kinds::All(kind),
            Kinds::All(known) if known == kind => *self,
            Kinds::All(_) | Kinds::Mixed => Kinds::Mixed,
        };
    }

    pub(super) fn merge(&mut self, other: Kinds) {
        match other {
            Kinds::None => {}
            Kinds::All(kind) => self.add(Some(kind)),
            Kinds::Mixed => *self = Kinds::Mixed,
        }
    }

    /// As a column is declared. Without a type SQLite changes no value that is inserted.
    pub(super) fn declared(self) -> &'static str {
        match self {
            Kinds::All(Kind::Integer) => " integer",
            Kinds::All(Kind::Real) => " real",
            Kinds::All(Kind::Text) => " text",
            Kinds::None | Kinds::Mixed => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_same_in_both_tables() {
        let text = |text: &str| ColumnValue::Text(text.to_owned());
        let of = |value: &CellValue| ColumnValue::of_json(json(value).as_deref());
        for (value, expected_json, expected) in [
            (CellValue::None, None, ColumnValue::Null),
            (CellValue::Bool(true), Some("true"), ColumnValue::Integer(1)),
            (CellValue::Bool(false), Some("false"), ColumnValue::Integer(0)),
            (CellValue::Int(i64::MIN), Some("-9223372036854775808"), ColumnValue::Integer(i64::MIN)),
            (CellValue::Uint(i64::MAX as u64), Some("9223372036854775807"), ColumnValue::Integer(i64::MAX)),
            (CellValue::Uint(1 << 63), Some("9223372036854775808"), text("9223372036854775808")),
            (CellValue::Real(5.0), Some("5.0"), ColumnValue::Real(5.0)),
            (CellValue::Real(-1e300), Some("-1e+300"), ColumnValue::Real(-1e300)),
            (CellValue::Real(5e-324), Some("5e-324"), ColumnValue::Real(5e-324)),
            (CellValue::Real(f64::NAN), Some("\"NaN\""), text("NaN")),
            (CellValue::Real(f64::NEG_INFINITY), Some("\"-Inf\""), text("-Inf")),
            (CellValue::Text("a\"\0\n".into()), Some("\"a\\\"\\u0000\\n\""), text("a\"\0\n")),
            (CellValue::Json(" null".into()), Some(" null"), ColumnValue::Null),
            (CellValue::Json("[1, 2]".into()), Some("[1, 2]"), text("[1, 2]")),
            (CellValue::Json("\"\\ud800\"".into()), Some("\"\\ud800\""), text("\"\\ud800\"")),
            (CellValue::Json("1e999".into()), Some("1e999"), text("1e999")),
        ] {
            assert_eq!(json(&value).as_deref(), expected_json, "{value:?}");
            assert_eq!(of(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_column_has_a_type_where_all_agree() {
        let declared = |kinds: &[Option<Kind>]| {
            let mut all = Kinds::default();
            kinds.iter().for_each(|kind| all.add(*kind));
            all.declared()
        };
        assert_eq!(declared(&[]), "");
        assert_eq!(declared(&[None, Some(Kind::Integer), None, Some(Kind::Integer)]), " integer");
        assert_eq!(declared(&[Some(Kind::Integer), Some(Kind::Real)]), "");
        let mut merged = Kinds::All(Kind::Text);
        merged.merge(Kinds::None);
        assert_eq!(merged.declared(), " text");
        merged.merge(Kinds::Mixed);
        assert_eq!(merged.declared(), "");
    }
}
