//! Which stack slots hold what a location list says, and which variables are told of in one place.
//!
//! `stack_slots.rs` reads of the code whether a slot was stored to since, and is still of use. That is not all: the compiler
//! gives a value the names of all variables that it is ever assigned to (`addNamedValue`, cmd/compile/internal/ssagen), and
//! debug information says from the value's birth on that all of them are there. Of `next := p.next; wait(); p = next` both
//! `p` and `next` are told to be in one place while it waits, and `p` is not. So of variables in one place none is believed;
//! but for arguments of calls that were inlined, which are what the caller's variables are.

use std::ops::Range;

use super::frames::Question;
use super::function::Declared;
use super::location::{Listed, Spot};
use crate::gap::Gap;
use crate::variable::{FrameVariables, Location, Role};

/// Where a variable, or a part of it, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// From one offset to another.
    Frame(i128, i128),
    Register(u16),
}

impl Home {
    fn of(location: &Location, length: u64) -> Option<Home> {
        match location {
            Location::Frame(at) => Some(Home::Frame(i128::from(*at), i128::from(*at) + i128::from(length))),
            Location::Register(number) => Some(Home::Register(*number)),
            _ => None,
        }
    }

    fn meets(self, other: Home) -> bool {
        match (self, other) {
            (Home::Frame(start, end), Home::Frame(from, to)) => start < to && from < end,
            (Home::Register(one), Home::Register(other)) => one == other,
            _ => false,
        }
    }
}

impl Question<'_, '_> {
    /// Whether the slot at `offset` still holds the part of a value of `size` bytes that the list says is there.
    pub(super) fn is_held(
        &self,
        declared: &Declared,
        offset: i64,
        length: u64,
        size: u64,
        entries: &[Listed],
    ) -> bool {
        let Some(slots) = &self.evidence.slots else { return true };
        let Some(here) = Home::of(&Location::Frame(offset), length) else { return false };
        let meets =
            |location: &Location, length| Home::of(location, length).is_some_and(|home| home.meets(here));
        let is_there = |spot: &Spot| match spot {
            Spot::One(location) => meets(location, size),
            Spot::Parts(parts) => {
                parts.iter().any(|(length, location)| location.as_ref().is_some_and(|l| meets(l, *length)))
            }
        };
        let claimed = entries.iter().filter(|entry| entry.spot.as_ref().is_some_and(is_there));
        let claimed: Vec<Range<u64>> = claimed.map(|entry| entry.range.clone()).collect();
        // The address of a variable that was moved to the heap.
        match declared.name.starts_with('&') {
            true => slots.keep(self.pc, offset, length, &claimed),
            false => slots.hold(self.pc, offset, length, &claimed),
        }
    }

    /// Refuses variables of which several are told to be in one place. `frames`: innermost first.
    pub(super) fn refuse_shared(&self, frames: &mut [FrameVariables]) -> Result<(), Gap> {
        let mut homes: Vec<(usize, usize, Role, bool, Home)> = Vec::new();
        for (depth, frame) in frames.iter().enumerate() {
            for (index, variable) in frame.variables.iter().enumerate() {
                let size = match variable.of {
                    crate::types::TypeRef::Debug(of) => self.debug.read_type(self.open, of)?.size,
                    crate::types::TypeRef::Runtime(_) => continue,
                };
                // The address of a variable never changes; a pointer to it may.
                let (location, size, is_fixed) = match &variable.location {
                    Location::Through(address) => (&**address, 8, true),
                    location => (location, size, false),
                };
                let mut add = |location: &Location, length: u64| {
                    let home = Home::of(location, length).filter(|_| length > 0);
                    homes.extend(home.map(|home| (depth, index, variable.role, is_fixed, home)));
                };
                match location {
                    Location::Pieces(pieces) => pieces.iter().for_each(|p| add(&p.location, p.length)),
                    location => add(location, size),
                }
            }
        }
        let mut refused = Vec::new();
        for (at, &(depth, index, _, is_fixed, home)) in homes.iter().enumerate() {
            self.open.spend(homes.len() as u64)?;
            let shares = homes.iter().enumerate().any(
                |(other_at, &(other_depth, other_index, other_role, _, other))| {
                    let is_itself = other_at == at || (other_depth, other_index) == (depth, index);
                    // What is passed to an inlined call is what the variable around it is; what the call makes is the
                    // variable's value only when it returns.
                    let is_passed = match other_depth.cmp(&depth) {
                        std::cmp::Ordering::Less => other_role == Role::Argument,
                        std::cmp::Ordering::Equal => false,
                        std::cmp::Ordering::Greater => true,
                    };
                    !is_itself && !is_passed && home.meets(other)
                },
            );
            if shares && !is_fixed {
                refused.push((depth, index));
            }
        }
        for (depth, index) in refused {
            frames[depth].variables[index].location = Location::Missing(Gap::SlotNotLive);
        }
        Ok(())
    }
}
