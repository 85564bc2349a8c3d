//! Which bytes of a variable a plan begins with, and whether these are kept at a place.

use crate::gap::Gap;
use crate::probe::plan::{Last, Plan, Step};
use crate::types::{Shape, TypeRef, Types};
use crate::variable::Location;

/// Where a part of a variable is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    InMemory,
    InRegister,
    Missing(Gap),
}

/// Offset and length of what the steps of a plan read of the variable itself, before they follow a pointer.
pub(super) fn needed(plan: &Plan, of: TypeRef, types: &dyn Types) -> Result<(u64, u64), Gap> {
    let (mut offset, mut of) = (0u64, of);
    for step in &plan.steps {
        let Step::Field { field, .. } = step else { break };
        offset = offset.saturating_add(field.offset);
        of = field.of;
    }
    let ty = types.get(of)?;
    let is_whole = plan.steps.iter().all(|step| matches!(step, Step::Field { .. }));
    let length = match (&ty.shape, plan.last) {
        // The first word says how many there are, or where.
        (Shape::Slice(_) | Shape::String, Last::Decode(_) | Last::Text) => 16.min(ty.size),
        // Of an array it is the type that knows.
        (Shape::Array { .. }, Last::Length | Last::Capacity) if is_whole => 0,
        _ => ty.size,
    };
    Ok((offset, length))
}

/// Whether `length` bytes at `offset` of what is at `location` are kept.
pub(super) fn kept(location: &Location, offset: u64, length: u64) -> Kept {
    match location {
        Location::Frame(_) | Location::Address(_) => Kept::InMemory,
        Location::Register(_) => Kept::InRegister,
        Location::Missing(gap) => Kept::Missing(gap.clone()),
        Location::Through(pointer) => kept(pointer, 0, 8),
        Location::Pieces(pieces) => {
            let end = offset.saturating_add(length);
            let mut at = 0u64;
            let mut found = Kept::InMemory;
            for piece in pieces {
                let start = at;
                at = at.saturating_add(piece.length);
                if start >= end || at <= offset {
                    continue;
                }
                match kept(&piece.location, 0, piece.length) {
                    Kept::InMemory => {}
                    Kept::InRegister => found = Kept::InRegister,
                    // What is optimized out among pieces is padding.
                    Kept::Missing(Gap::OptimizedOut) if piece.length < 8 && length > piece.length => {}
                    Kept::Missing(gap) => return Kept::Missing(gap),
                }
            }
            found
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variable::Piece;

    #[test]
    fn only_the_pieces_that_are_needed_count() {
        let piece = |length, location| Piece { length, location };
        let location = Location::Pieces(vec![
            piece(8, Location::Frame(-16)),
            piece(8, Location::Register(3)),
            piece(8, Location::Missing(Gap::OptimizedOutInPart)),
        ]);
        assert_eq!(kept(&location, 0, 8), Kept::InMemory);
        assert_eq!(kept(&location, 0, 16), Kept::InRegister);
        assert_eq!(kept(&location, 16, 8), Kept::Missing(Gap::OptimizedOutInPart));
        assert_eq!(kept(&location, 0, 24), Kept::Missing(Gap::OptimizedOutInPart));
        assert_eq!(kept(&Location::Through(Box::new(location)), 100, 8), Kept::InMemory);
    }
}
