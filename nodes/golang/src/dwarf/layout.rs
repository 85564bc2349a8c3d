//! The parts that the compiler splits a value into, where each is small enough for a register
//! (cmd/compile/internal/ssa/decompose.go).

use super::DebugInfo;
use super::sections::Open;
use crate::gap::Gap;
use crate::types::{Shape, TypeRef};

/// The compiler splits values of a few words only (`ssa.CanSSA`).
const LEAVES_MAX: usize = 64;
/// Structs within structs.
const DEPTH_MAX: usize = 32;
/// Types looked at on the way.
const VISITS_MAX: usize = 1 << 10;

/// A part that is not split further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// In ascending order, without what has no length. `None`: too many for the compiler to have split it.
pub(super) fn leaves(debug: &DebugInfo, open: &Open<'_>, of: u64) -> Result<Option<Vec<Leaf>>, Gap> {
    let mut found = Found { leaves: Vec::new(), visits_left: VISITS_MAX };
    let whole = add(debug, open, of, 0, 0, &mut found)?;
    Ok(whole.map(|()| found.leaves))
}

struct Found {
    leaves: Vec<Leaf>,
    visits_left: usize,
}

fn add(
    debug: &DebugInfo,
    open: &Open<'_>,
    of: u64,
    offset: u64,
    depth: usize,
    found: &mut Found,
) -> Result<Option<()>, Gap> {
    if depth > DEPTH_MAX || found.visits_left == 0 {
        return Ok(None);
    }
    found.visits_left -= 1;
    let of = debug.read_type(open, of)?;
    let words: u64 = match &of.shape {
        Shape::String | Shape::Interface { .. } | Shape::Complex => 2,
        Shape::Slice(_) => 3,
        Shape::Struct(fields) => {
            for field in fields {
                let (TypeRef::Debug(inner), Some(at)) = (field.of, offset.checked_add(field.offset)) else {
                    return Ok(None);
                };
                if add(debug, open, inner, at, depth + 1, found)?.is_none() {
                    return Ok(None);
                }
            }
            return Ok(Some(()));
        }
        Shape::Array { element, length } => {
            let TypeRef::Debug(inner) = *element else { return Ok(None) };
            if *length > LEAVES_MAX as u64 {
                return Ok(None);
            }
            let stride = of.size.checked_div(*length).unwrap_or(0);
            for index in 0..*length {
                let at = index.checked_mul(stride).and_then(|skip| offset.checked_add(skip));
                let Some(at) = at else { return Ok(None) };
                if add(debug, open, inner, at, depth + 1, found)?.is_none() {
                    return Ok(None);
                }
            }
            return Ok(Some(()));
        }
        _ => 1,
    };
    let length = of.size / words;
    for index in 0..words {
        if found.leaves.len() >= LEAVES_MAX {
            return Ok(None);
        }
        let Some(at) = offset.checked_add(index * length) else { return Ok(None) };
        if length > 0 {
            found.leaves.push(Leaf { offset: at, length });
        }
    }
    Ok(Some(()))
}

/// Larger values are never in registers but to be passed (`CanSSA`, cmd/compile/internal/ssa/value.go; `TypeOK` in
/// cmd/compile/internal/ssagen/ssa.go of Go 1.21).
pub(super) const REGISTER_BYTES_MAX: u64 = 32;
/// Nor are structs of more fields (`MaxStruct`, cmd/compile/internal/ssa/decompose.go), or arrays of more than one element.
const REGISTER_FIELDS_MAX: usize = 4;

/// Whether values of a type have a place in memory while they are in use.
pub(super) fn is_in_memory(debug: &DebugInfo, open: &Open<'_>, of: u64) -> Result<bool, Gap> {
    let size = debug.read_type(open, of)?.size;
    // A struct that is one pointer is one, whatever else without a length it has.
    Ok(size > REGISTER_BYTES_MAX
        || (size > 8 && has_many_parts(debug, open, of, 0, &mut VISITS_MAX.clone())?))
}

fn has_many_parts(
    debug: &DebugInfo,
    open: &Open<'_>,
    of: u64,
    depth: usize,
    visits_left: &mut usize,
) -> Result<bool, Gap> {
    if depth > DEPTH_MAX || *visits_left == 0 {
        return Ok(false);
    }
    *visits_left -= 1;
    let of = debug.read_type(open, of)?;
    let inner: Vec<TypeRef> = match &of.shape {
        Shape::Array { length, .. } if *length > 1 => return Ok(true),
        Shape::Struct(fields) if fields.len() > REGISTER_FIELDS_MAX => return Ok(true),
        Shape::Array { element, .. } => vec![*element],
        Shape::Struct(fields) => fields.iter().map(|field| field.of).collect(),
        _ => return Ok(false),
    };
    for part in inner {
        if let TypeRef::Debug(part) = part
            && has_many_parts(debug, open, part, depth + 1, visits_left)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}
