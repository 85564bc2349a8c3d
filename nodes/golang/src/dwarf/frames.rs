//! The variables of the frames at one program counter: which are visible there, and which of their places are to be
//! believed.
//!
//! What is believed, and why (cmd/compile/internal/dwarfgen, ssa/debug.go, liveness/mergelocals.go):
//!
//! * A location list says where a variable is from when it is written on. A place all over the function (no list, or a
//!   list with one entry for the whole function) says nothing of when: it counts for arguments, for named results, which
//!   are zeroed on entry, and for locals declared above the line at which the function stands.
//! * Since Go 1.23 locals share stack slots, also with what the compiler made for itself and debug information does not
//!   tell of. Candidates are locals larger than three words whose address is not taken (`IsMergeCandidate`). That an
//!   address is taken is known of what the garbage collector's stack objects describe; the others are refused.
//! * An argument too large for registers may be in its own slot: see `argument_slot.rs`.
//! * A list of a value that the compiler split has parts without padding. They must be those of the type, all of them:
//!   where the compiler dropped a part, debug information does not say which.

use crate::gap::Gap;
use crate::types::Shape;
use crate::variable::{FrameVariables, Location, Piece, Role, Variable};

use super::function::{Declared, Described, Function, ScopeKind};
use super::layout::{Leaf, REGISTER_BYTES_MAX, leaves};
use super::location::{Listed, Spot, list, of_bytes};
use super::sections::Open;
use super::unit::Unit;
use super::{DebugInfo, Evidence, StackObject};

/// The first release that merges stack slots (`IsMergeCandidate`, cmd/compile/internal/ssa/func.go).
const MINOR_WITH_SHARED_SLOTS: u32 = 23;
/// Larger locals share slots: three words.
const UNSHARED_BYTES_MAX: u64 = 24;
/// Blocks and inlined calls around each other.
const NESTING_MAX: usize = 1 << 10;

/// One logical frame at the program counter.
struct Frame<'f> {
    name: &'f str,
    /// Scopes whose variables are visible, outermost first.
    scopes: Vec<usize>,
    line: Option<u32>,
}

pub(super) struct Question<'q, 'o> {
    pub(super) debug: &'q DebugInfo,
    pub(super) open: &'q Open<'o>,
    pub(super) unit: &'q Unit,
    pub(super) function: &'q Function,
    pub(super) pc: u64,
    pub(super) evidence: &'q Evidence,
}

impl Question<'_, '_> {
    pub(super) fn answer(&self) -> Result<Vec<FrameVariables>, Gap> {
        let frames = self.frames();
        let mut found = frames.iter().map(|frame| self.frame(frame)).collect::<Result<Vec<_>, Gap>>()?;
        self.refuse_shared(&mut found)?;
        Ok(found)
    }

    /// Innermost first.
    fn frames(&self) -> Vec<Frame<'_>> {
        let scopes = &self.function.scopes;
        // Calls inlined into each other that hold the program counter, outermost first.
        let mut chain = vec![0usize];
        for (index, scope) in scopes.iter().enumerate().skip(1) {
            let inner = *chain.last().unwrap_or(&0);
            if matches!(scope.kind, ScopeKind::Inlined { .. })
                && chain.len() < NESTING_MAX
                && self.function.call_of(scope.parent) == inner
                && scope.ranges.iter().any(|range| range.contains(&self.pc))
            {
                chain.push(index);
            }
        }
        let names: Vec<&str> = chain.iter().map(|&scope| self.name(scope)).collect();
        let calls = self.evidence.matching(&names);
        let frames = chain.iter().zip(calls).map(|(&root, call)| {
            // The compiler asks for the block of an instruction by its position, which means something only in the
            // function that it was written in (dwarfgen/scope.go, scopePCs): blocks around an inlined call are those
            // of the call itself.
            let at = call.map_or(self.pc, |call| call.scope_pc);
            let mut visible = vec![root];
            for (index, scope) in scopes.iter().enumerate().skip(root + 1) {
                if matches!(scope.kind, ScopeKind::Block)
                    && visible.last() == Some(&scope.parent)
                    && visible.len() < NESTING_MAX
                    && scope.ranges.iter().any(|range| range.contains(&at))
                {
                    visible.push(index);
                }
            }
            Frame { name: self.name(root), scopes: visible, line: call.map(|call| call.line) }
        });
        let mut frames: Vec<_> = frames.collect();
        frames.reverse();
        frames
    }

    fn name(&self, scope: usize) -> &str {
        match self.function.scopes.get(scope).map(|scope| &scope.kind) {
            Some(ScopeKind::Function { name } | ScopeKind::Inlined { name }) => name,
            _ => "",
        }
    }

    fn frame(&self, frame: &Frame<'_>) -> Result<FrameVariables, Gap> {
        let mut names: Vec<Named<'_>> = Vec::new();
        for &scope in &frame.scopes {
            let here: Vec<_> = self.function.variables.iter().filter(|v| v.scope == scope).collect();
            for declared in &here {
                self.open.spend(here.len() as u64)?;
                if declared.is_split_part() || self.is_field_of_another(declared, &here)? {
                    continue;
                }
                let (name, through) = match declared.name.strip_prefix('&') {
                    Some(name) => (name, true),
                    None => (declared.name.as_str(), false),
                };
                names.push(Named { name, through, declared });
            }
        }
        let mut found: Vec<(usize, Variable)> = Vec::new();
        let mut position = rustc_hash::FxHashMap::<&str, usize>::default();
        for named in &names {
            let variable = self.variable(frame, named)?;
            match position.get(named.name) {
                None => {
                    position.insert(named.name, found.len());
                    found.push((named.declared.scope, variable));
                }
                Some(&at) => {
                    let (scope, other) = &mut found[at];
                    if *scope == named.declared.scope {
                        same_scope(other, variable);
                    } else if variable.location != Location::Missing(Gap::NotDeclared) {
                        (*scope, *other) = (named.declared.scope, variable);
                    }
                }
            }
        }
        let mut variables: Vec<Variable> = found.into_iter().map(|(_, variable)| variable).collect();
        variables.sort_by_key(|v| match v.role {
            Role::Argument => (0, 0),
            Role::Result => (1, 0),
            Role::Captured => (2, 0),
            Role::Local => (3, v.declared_line),
        });
        Ok(FrameVariables { function: frame.name.to_owned(), variables })
    }

    fn variable(&self, frame: &Frame<'_>, named: &Named<'_>) -> Result<Variable, Gap> {
        let declared = named.declared;
        let resolved = self.debug.resolve(self.open, declared.of)?;
        let mut of = crate::types::TypeRef::Debug(resolved.offset);
        let mut location = match self.place(frame, declared, resolved.offset) {
            Ok(location) => location,
            Err(gap @ Gap::DamagedDebugInfo(_)) => Location::Missing(gap),
            Err(gap) => return Err(gap),
        };
        if named.through {
            match self.debug.read_type(self.open, resolved.offset)?.shape {
                Shape::Pointer(to) => of = to,
                _ => return Err(Gap::DamagedDebugInfo(format!("{} is no pointer", declared.name))),
            }
            if !matches!(location, Location::Missing(_)) {
                location = Location::Through(Box::new(location));
            }
        }
        Ok(Variable {
            name: named.name.to_owned(),
            of,
            role: declared.role,
            declared_line: declared.line,
            location,
            dictionary_index: resolved.dictionary_index,
        })
    }

    fn place(&self, frame: &Frame<'_>, declared: &Declared, of: u64) -> Result<Location, Gap> {
        let missing = |gap| Ok(Location::Missing(gap));
        // A name that stands below the line of the frame is not declared yet; in a loop its slot may hold what an
        // earlier pass left there.
        let is_below = declared.role == Role::Local && frame.line.is_some_and(|line| declared.line > line);
        match &declared.described {
            Described::Nowhere => self.argument_slot(declared, of, Gap::OptimizedOut),
            Described::Expression(bytes) => match of_bytes(self.unit, bytes)? {
                None => missing(Gap::OptimizedOut),
                Some(Spot::One(location)) => self.unlisted(frame, declared, location),
                Some(Spot::Parts(_)) => missing(Gap::SlotNotLive),
            },
            Described::List(at) => {
                let entries = list(self.open, self.unit, *at)?;
                let mut here = entries.iter().filter(|entry| entry.range.contains(&self.pc));
                let Some(spot) = here.next().and_then(|entry| entry.spot.clone()) else {
                    return match is_below {
                        true => missing(Gap::NotDeclared),
                        false => self.argument_slot(declared, of, Gap::OptimizedOut),
                    };
                };
                if is_below {
                    return missing(Gap::NotDeclared);
                }
                if self.is_everywhere(&entries) {
                    // A heap variable's slot for its address (createHeapDerefLocationList): the compiler writes this
                    // even where the address never had a slot.
                    return match spot {
                        Spot::One(Location::Through(_)) => missing(Gap::SlotNotLive),
                        Spot::One(location @ Location::Frame(offset)) => {
                            let size = self.debug.read_type(self.open, of)?.size;
                            if size <= REGISTER_BYTES_MAX
                                && !self.is_held(declared, offset, size, size, &entries)
                            {
                                return missing(Gap::SlotNotLive);
                            }
                            self.unlisted(frame, declared, location)
                        }
                        spot => self.listed(declared, of, spot, &entries),
                    };
                }
                self.listed(declared, of, spot, &entries)
            }
        }
    }

    fn is_everywhere(&self, entries: &[Listed]) -> bool {
        let [entry] = entries else { return false };
        self.function
            .ranges
            .iter()
            .all(|range| entry.range.start <= range.start && range.end <= entry.range.end)
    }

    /// A place that is said to hold all over the function.
    fn unlisted(&self, frame: &Frame<'_>, declared: &Declared, location: Location) -> Result<Location, Gap> {
        if !matches!(location, Location::Frame(_)) {
            return Ok(Location::Missing(Gap::SlotNotLive));
        }
        let believed = match declared.role {
            Role::Argument | Role::Captured => true,
            // A result without a name is written when the function returns.
            Role::Result => !declared.name.starts_with('~'),
            // On the line of its declaration it may be what is being computed.
            Role::Local => match frame.line {
                Some(line) if declared.line < line => true,
                _ => return Ok(Location::Missing(Gap::NotDeclared)),
            },
        };
        Ok(if believed { location } else { Location::Missing(Gap::SlotNotLive) })
    }

    fn listed(&self, declared: &Declared, of: u64, spot: Spot, entries: &[Listed]) -> Result<Location, Gap> {
        let size = self.debug.read_type(self.open, of)?.size;
        if declared.role == Role::Argument && size > REGISTER_BYTES_MAX && is_split(&spot) {
            // What it was passed in, or was loaded into: that is not told of what is stored to the argument since.
            return self.argument_slot(declared, of, Gap::SlotNotLive);
        }
        let mut parts = match spot {
            Spot::One(location) => return self.whole(declared, of, size, location, entries),
            Spot::Parts(parts) => parts,
        };
        if parts.iter().all(|(_, location)| location.is_none()) {
            return Ok(Location::Missing(Gap::OptimizedOut));
        }
        for (length, location) in &mut parts {
            if let Some(Location::Frame(offset)) = location
                && !self.is_held(declared, *offset, *length, size, entries)
            {
                *location = None;
            }
        }
        if parts.iter().all(|(_, location)| location.is_none()) {
            return Ok(Location::Missing(Gap::SlotNotLive));
        }
        let Some(leaves) = leaves(self.debug, self.open, of)? else {
            return Ok(Location::Missing(Gap::OptimizedOutInPart));
        };
        Ok(pieces(size, &leaves, &parts).unwrap_or(Location::Missing(Gap::OptimizedOutInPart)))
    }

    fn whole(
        &self,
        declared: &Declared,
        of: u64,
        size: u64,
        location: Location,
        entries: &[Listed],
    ) -> Result<Location, Gap> {
        let offset = match location {
            Location::Register(_) if size <= 8 => return Ok(location),
            Location::Register(_) => return Ok(Location::Missing(Gap::OptimizedOutInPart)),
            Location::Frame(offset) => offset,
            Location::Through(_) => return Ok(Location::Missing(Gap::SlotNotLive)),
            location => return Ok(location),
        };
        let several = leaves(self.debug, self.open, of)?.is_none_or(|leaves| leaves.len() > 1);
        if several {
            // The slot of a whole value has no other place. A split value of which one part is left looks the same, but
            // for the registers that the part has been in, or for being where an argument was passed.
            let only_here = entries.iter().all(|e| e.spot == Some(Spot::One(Location::Frame(offset))));
            if !only_here || self.is_split(declared) || (declared.role != Role::Local && offset >= 0) {
                return Ok(Location::Missing(Gap::OptimizedOutInPart));
            }
        }
        let may_share = self.unit.minor.is_none_or(|minor| minor >= MINOR_WITH_SHARED_SLOTS)
            && size > UNSHARED_BYTES_MAX
            && offset < 0;
        let is_object = |object: &StackObject| object.offset == offset && object.size == size;
        if may_share && !self.evidence.stack_objects.iter().any(is_object) {
            return Ok(Location::Missing(Gap::SlotNotLive));
        }
        if !self.is_held(declared, offset, size, size, entries) {
            return Ok(Location::Missing(Gap::SlotNotLive));
        }
        Ok(location)
    }
}

impl Question<'_, '_> {
    /// The slot of a field that was split off (since Go 1.27 debug information has them): it is named as the struct and
    /// the field, without a dot (`SplitStruct`, cmd/compile/internal/ssa/func.go).
    fn is_field_of_another(&self, field: &Declared, here: &[&Declared]) -> Result<bool, Gap> {
        if !matches!(field.described, Described::Expression(_)) {
            return Ok(false);
        }
        for whole in here.iter().filter(|whole| whole.line == field.line) {
            let Some(rest) = field.name.strip_prefix(&whole.name).filter(|rest| !rest.is_empty()) else {
                continue;
            };
            let of = self.debug.resolve(self.open, whole.of)?.offset;
            let of = self.debug.read_type(self.open, of)?;
            if matches!(&of.shape, Shape::Struct(fields) if fields.iter().any(|f| rest.starts_with(&f.name)))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Parts of it have slots of their own.
    fn is_split(&self, of: &Declared) -> bool {
        self.function.variables.iter().any(|part| {
            part.scope == of.scope
                && part.is_split_part()
                && part.name.strip_prefix(&of.name).is_some_and(|rest| rest.starts_with(['.', '[']))
        })
    }
}

/// A variable under the name of the source.
struct Named<'f> {
    name: &'f str,
    /// It is the address of what has this name.
    through: bool,
    declared: &'f Declared,
}

fn is_split(spot: &Spot) -> bool {
    matches!(spot, Spot::Parts(_) | Spot::One(Location::Register(_)))
}

/// A variable that was moved to the heap has two entries: itself, and its address.
fn same_scope(one: &mut Variable, other: Variable) {
    let first_is_found = !matches!(one.location, Location::Missing(_));
    let other_is_argument = other.role == Role::Argument || other.role == Role::Result;
    let role = if other_is_argument { other.role } else { one.role };
    if !first_is_found {
        *one = other;
    }
    one.role = role;
}

/// The parts of a value at the places of its type's leaves. `None`: they are others.
fn pieces(size: u64, leaves: &[Leaf], parts: &[(u64, Option<Location>)]) -> Option<Location> {
    let mut parts: Vec<_> = parts.iter().filter(|(length, _)| *length > 0).collect();
    // Up to Go 1.22 often, later rarely, a part stands twice, once for each of two types that the compiler gives it.
    // Which part that is shows when there are more parts than leaves; otherwise another may have been dropped.
    let count = parts.len();
    parts.dedup_by(|b, a| a == b && a.1.is_some());
    if parts.len() < count && count == leaves.len() {
        return None;
    }
    if parts.len() != leaves.len() || parts.iter().zip(leaves).any(|(part, leaf)| part.0 != leaf.length) {
        return None;
    }
    // Slots that lie as the value's own parts do are the value.
    let start = parts.first().zip(leaves.first()).and_then(|(part, leaf)| match part.1 {
        Some(Location::Frame(at)) => at.checked_sub_unsigned(leaf.offset),
        _ => None,
    });
    let is_at = |start: i64| {
        parts.iter().zip(leaves).all(|(part, leaf)| {
            part.1.as_ref().is_some_and(|location| {
                matches!(location, Location::Frame(at) if start.checked_add_unsigned(leaf.offset) == Some(*at))
            })
        })
    };
    if let Some(start) = start.filter(|&start| is_at(start)) {
        return Some(Location::Frame(start));
    }
    let padding_between = || Location::Missing(Gap::OptimizedOut);
    let dropped = || Location::Missing(Gap::OptimizedOutInPart);
    let mut pieces = Vec::with_capacity(parts.len());
    let mut behind = 0;
    for (part, leaf) in parts.iter().zip(leaves) {
        if let Some(padding) = leaf.offset.checked_sub(behind).filter(|&padding| padding > 0) {
            pieces.push(Piece { length: padding, location: padding_between() });
        }
        pieces.push(Piece { length: leaf.length, location: part.1.clone().unwrap_or_else(dropped) });
        behind = leaf.offset.checked_add(leaf.length)?;
    }
    if let Some(padding) = size.checked_sub(behind).filter(|&padding| padding > 0) {
        pieces.push(Piece { length: padding, location: padding_between() });
    }
    Some(Location::Pieces(pieces))
}
