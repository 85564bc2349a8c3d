//! A checked expression: where to begin, and the steps from there. Carried out on a frame it gives a value.
//!
//! Types are known when a plan is made, with two exceptions: what an interface or a context holds, and what a type parameter
//! stands for. So each step takes the type that it finds, and the fields that were looked up beforehand are a short cut.

use std::sync::Arc;

use super::frame::FrameView;
use super::problem::listed;
use super::select::{Selected, select};
use super::statement;
use crate::gap::Gap;
use crate::place::Place;
use crate::types::{Field, Shape, Type, TypeRef};
use crate::value::{Key, Reader, Value};

/// Interfaces within interfaces.
const INTERFACES_MAX: usize = 8;
/// The zero `time.Time` is the first second of the year 1: seconds to 1970.
const ZERO_TIME_UNIX_S: i128 = -62_135_596_800;

/// An expression for one function of one build.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) root: Root,
    pub(super) steps: Vec<Step>,
    pub(super) last: Last,
    /// Of the result, where it is known before.
    pub(super) type_name: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Root {
    Variable {
        name: String,
        of: TypeRef,
    },
    /// At an address of the file.
    Global {
        address: u64,
        of: TypeRef,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// What a pointer points to.
    Target,
    /// Of the struct `ty`, which is `of`.
    Field {
        field: Field,
        of: TypeRef,
        ty: Arc<Type>,
    },
    /// A variable that a closure has captured.
    Captured(String),
    /// A field that is looked for at run time.
    Select(String),
    /// An element, or the entry of a map.
    Index(Key),
    Slice(Option<i64>, Option<i64>),
    /// That an interface holds a value of this type.
    Assert {
        to: TypeRef,
        name: String,
    },
    /// What an interface holds.
    Held,
    /// What an atomic variable holds.
    Load,
    Deadline,
    /// By the type of the key.
    ContextValue(String),
}

/// What is made of the place where the steps end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// `None`: as deep as the reader's limits allow.
    Decode(Option<u32>),
    Length,
    Capacity,
    Since,
    Address,
    Text,
    /// SQL without what may be data.
    Statement,
    /// Of a network connection.
    Descriptor,
}

/// The value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// Its Go type, as far as that is known.
    pub type_name: Option<String>,
    pub value: Value,
    /// Of the object: what a pointer, map, channel or function refers to, or else where the value lies.
    pub address: Option<u64>,
}

/// Where the steps stand.
struct Standing {
    place: Place,
    of: TypeRef,
}

impl Plan {
    /// The value of a variable, to a depth.
    pub(super) fn of_variable(name: &str, of: TypeRef, type_name: Option<String>, depth: u32) -> Plan {
        let root = Root::Variable { name: name.to_owned(), of };
        Plan { root, steps: Vec::new(), last: Last::Decode(Some(depth)), type_name }
    }

    /// The Go type of its values; `None`: only each value tells.
    pub fn type_name(&self) -> Option<&str> {
        self.type_name.as_deref()
    }

    /// The variable of the frame that it begins at; `None`: at one of a package.
    pub fn variable(&self) -> Option<&str> {
        match &self.root {
            Root::Variable { name, .. } => Some(name),
            Root::Global { .. } => None,
        }
    }

    pub fn evaluate(&self, frame: &FrameView<'_>, reader: &Reader<'_>) -> Evaluated {
        self.try_evaluate(frame, reader).unwrap_or_else(|gap| Evaluated {
            type_name: self.type_name.clone(),
            value: Value::Missing(gap),
            address: None,
        })
    }

    fn try_evaluate(&self, frame: &FrameView<'_>, reader: &Reader<'_>) -> Result<Evaluated, Gap> {
        let mut at = self.begin(frame, reader)?;
        for step in &self.steps {
            at = match apply(step, at, reader)? {
                Some(at) => at,
                // A context without a deadline.
                None => {
                    return Ok(Evaluated {
                        type_name: self.type_name.clone(),
                        value: Value::Nil,
                        address: None,
                    });
                }
            };
        }
        self.finish(&at, frame, reader)
    }

    fn begin(&self, frame: &FrameView<'_>, reader: &Reader<'_>) -> Result<Standing, Gap> {
        match &self.root {
            Root::Variable { name, of } => {
                let variable = frame.variable(name)?;
                if variable.of != *of {
                    // Another variable of the name, in another block.
                    let (here, wanted) = (reader.types.get(variable.of)?, reader.types.get(*of)?);
                    if here.name != wanted.name {
                        return Err(Gap::Expression(format!("{name} is of type {} here", here.name)));
                    }
                }
                let (place, of) = frame.place(variable, reader)?;
                Ok(Standing { place, of })
            }
            Root::Global { address, of } => {
                Ok(Standing { place: Place::At(address.wrapping_add(frame.bias)), of: *of })
            }
        }
    }

    fn finish(&self, at: &Standing, frame: &FrameView<'_>, reader: &Reader<'_>) -> Result<Evaluated, Gap> {
        let ty = reader.types.get(at.of)?;
        let address = object(at, &ty, reader);
        let number = |number: u64| i64::try_from(number).map_or(Value::Uint(number), Value::Int);
        let (type_name, value) = match self.last {
            Last::Decode(depth) => {
                let depth = depth.unwrap_or(reader.limits.depth);
                (ty.name.clone(), reader.decode_to_depth(&at.place, at.of, depth))
            }
            Last::Length => ("int".to_owned(), number(reader.length(&at.place, at.of)?)),
            Last::Capacity => ("int".to_owned(), number(reader.capacity(&at.place, at.of)?)),
            Last::Since => ("time.Duration".to_owned(), Value::Int(since(at, frame, reader)?)),
            Last::Address => match address {
                Some(address) => ("uintptr".to_owned(), Value::Address(address)),
                None => return Err(why_no_address(at, &ty, reader)),
            },
            Last::Text => ("string".to_owned(), text(at, &ty, reader)?),
            Last::Descriptor => {
                ("int".to_owned(), Value::Int(reader.descriptor_of_connection(&at.place, at.of)?))
            }
            Last::Statement => ("string".to_owned(), without_data(text(at, &ty, reader)?)),
        };
        Ok(Evaluated { type_name: Some(type_name), value, address })
    }
}

/// Where the steps from a place lead.
pub(super) fn walk(
    steps: &[Step],
    place: Place,
    of: TypeRef,
    reader: &Reader<'_>,
) -> Result<(Place, TypeRef), Gap> {
    let mut at = Standing { place, of };
    for step in steps {
        at = apply(step, at, reader)?.ok_or(Gap::NoSuchKey)?;
    }
    Ok((at.place, at.of))
}

/// `None`: there is nothing to go on with, and nothing is missing.
fn apply(step: &Step, at: Standing, reader: &Reader<'_>) -> Result<Option<Standing>, Gap> {
    let Standing { place, of } = at;
    let standing = match step {
        Step::Field { field, of: expected, ty } if of == *expected => {
            Standing { place: reader.field(&place, field, ty), of: field.of }
        }
        Step::Field { field, .. } => {
            let ty = reader.types.get(of)?;
            let Shape::Struct(fields) = &ty.shape else { return Err(no_field(&ty.name, &field.name)) };
            let field = fields
                .iter()
                .find(|f| f.name == field.name)
                .ok_or_else(|| no_field(&ty.name, &field.name))?;
            Standing { place: reader.field(&place, field, &ty), of: field.of }
        }
        Step::Captured(name) => {
            let (place, of) = reader.captured(&place, name)?;
            Standing { place, of }
        }
        Step::Select(name) => {
            let mut at = held(Standing { place, of }, reader)?;
            if matches!(reader.types.get(at.of)?.shape, Shape::Function) {
                let (place, of) = reader.captured(&at.place, name)?;
                return Ok(Some(Standing { place, of }));
            }
            let steps = match select(reader.types, at.of, name)? {
                Selected::Field { steps, .. } => steps,
                Selected::Ambiguous(paths) => {
                    let of = &reader.types.get(at.of)?.name;
                    let paths = listed(paths.iter().map(String::as_str));
                    return Err(Gap::Expression(format!("{of} has several fields {name}: in {paths}")));
                }
                Selected::Missing(_) | Selected::NoStruct => {
                    return Err(no_field(&reader.types.get(at.of)?.name, name));
                }
            };
            for step in &steps {
                at = match step {
                    Step::Target => target(&at, reader)?,
                    Step::Field { field, ty, .. } => {
                        Standing { place: reader.field(&at.place, field, ty), of: field.of }
                    }
                    _ => return Err(no_field(&reader.types.get(at.of)?.name, name)),
                };
            }
            at
        }
        Step::Target => target(&held(Standing { place, of }, reader)?, reader)?,
        Step::Index(key) => {
            let at = sequence(held(Standing { place, of }, reader)?, reader)?;
            let is_map = matches!(reader.types.get(at.of)?.shape, Shape::Map { .. });
            let (place, of) = match key {
                Key::Integer(index) if !is_map => {
                    let index = i64::try_from(*index).unwrap_or(i64::MAX);
                    reader.element(&at.place, at.of, index)?
                }
                key => reader.lookup(&at.place, at.of, key)?,
            };
            Standing { place, of }
        }
        Step::Slice(low, high) => {
            let at = sequence(held(Standing { place, of }, reader)?, reader)?;
            let (place, of) = reader.slice(&at.place, at.of, *low, *high)?;
            Standing { place, of }
        }
        Step::Assert { to, name } => {
            let at = held(Standing { place, of }, reader)?;
            let ty = reader.types.get(at.of)?;
            if at.of != *to && ty.name != *name {
                return Err(Gap::OtherType(ty.name.clone()));
            }
            at
        }
        Step::Held => held(Standing { place, of }, reader)?,
        Step::Load => {
            let (place, of) = reader.load(&place, of)?;
            Standing { place, of }
        }
        Step::Deadline => match reader.deadline(&place, of)? {
            Some((place, of)) => Standing { place, of },
            None => return Ok(None),
        },
        Step::ContextValue(name) => {
            let (of, place) = reader.context_value(&place, of, name)?;
            Standing { place, of }
        }
    };
    Ok(Some(standing))
}

fn no_field(of: &str, name: &str) -> Gap {
    Gap::Expression(format!("{of} has no field {name}"))
}

fn target(at: &Standing, reader: &Reader<'_>) -> Result<Standing, Gap> {
    let ty = reader.types.get(at.of)?;
    let Shape::Pointer(to) = ty.shape else {
        return Err(Gap::Expression(format!("{} is no pointer", ty.name)));
    };
    if reader.redact.hides_type(&ty.name) {
        return Err(Gap::Redacted);
    }
    Ok(Standing { place: reader.target(&at.place)?, of: to })
}

/// The array that a pointer points to: Go lets both be indexed and sliced.
fn sequence(at: Standing, reader: &Reader<'_>) -> Result<Standing, Gap> {
    match reader.types.get(at.of)?.shape {
        Shape::Pointer(_) => target(&at, reader),
        _ => Ok(at),
    }
}

/// What an interface holds; anything else is itself.
fn held(mut at: Standing, reader: &Reader<'_>) -> Result<Standing, Gap> {
    for _ in 0..INTERFACES_MAX {
        match reader.types.get(at.of)?.shape {
            Shape::Interface { .. } => {
                let (of, place) = reader.dynamic(&at.place, at.of)?;
                at = Standing { place, of };
            }
            _ => return Ok(at),
        }
    }
    Err(Gap::Depth)
}

/// The address of an object.
fn object(at: &Standing, ty: &Type, reader: &Reader<'_>) -> Option<u64> {
    if reader.redact.hides_type(&ty.name) {
        return None;
    }
    match (&ty.shape, &at.place) {
        (
            Shape::Pointer(_)
            | Shape::Map { .. }
            | Shape::Channel(_)
            | Shape::Function
            | Shape::UnsafePointer,
            place,
        ) => reader.pointer(place).ok().filter(|&address| address != 0),
        (_, Place::At(address)) => Some(*address),
        (_, Place::Parts(_)) => None,
    }
}

fn why_no_address(at: &Standing, ty: &Type, reader: &Reader<'_>) -> Gap {
    if reader.redact.hides_type(&ty.name) {
        return Gap::Redacted;
    }
    match reader.pointer(&at.place) {
        Err(gap) => gap,
        Ok(0) => Gap::NilPointer,
        Ok(_) => Gap::Expression("it has no address: it is in registers, or in pieces".to_owned()),
    }
}

fn since(at: &Standing, frame: &FrameView<'_>, reader: &Reader<'_>) -> Result<i64, Gap> {
    let then = reader.time_unix_ns(&at.place, at.of)?;
    if then == ZERO_TIME_UNIX_S * 1_000_000_000 {
        return Err(Gap::Implausible("the zero time".to_owned()));
    }
    i64::try_from(i128::from(frame.now_unix_ns) - then)
        .map_err(|_| Gap::Implausible("a time more than 292 years away".to_owned()))
}

/// Bytes as text; where they are none they stay bytes.
fn text(at: &Standing, ty: &Type, reader: &Reader<'_>) -> Result<Value, Gap> {
    let value = match ty.shape {
        Shape::Array { .. } => {
            let (place, of) = reader.slice(&at.place, at.of, None, None)?;
            reader.decode(&place, of)
        }
        _ => reader.decode(&at.place, at.of),
    };
    Ok(as_text(value))
}

fn as_text(value: Value) -> Value {
    match value {
        Value::Nil => Value::Text(String::new()),
        Value::Bytes(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Value::Text(text),
            Err(error) => Value::Bytes(error.into_bytes()),
        },
        Value::Cut { value, gap } => Value::Cut { value: Box::new(as_text(*value)), gap },
        other => other,
    }
}

/// Bytes that are no text are no statement either.
fn without_data(value: Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(statement::without_data(&text)),
        Value::Cut { value, gap } => Value::Cut { value: Box::new(without_data(*value)), gap },
        Value::Bytes(_) => Value::Missing(Gap::Implausible("a statement that is no text".to_owned())),
        other => other,
    }
}

#[cfg(test)]
mod tests;
