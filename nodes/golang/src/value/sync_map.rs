//! `sync.Map`: a trie of hashes since Go 1.24 (internal/sync/hashtriemap.go), two maps before (sync/map.go).

use crate::gap::Gap;
use crate::place::Place;
use crate::types::{Shape, Type, TypeRef};
use crate::value::buffer::View;
use crate::value::map::{SlotType, Wanted};
use crate::value::reader::{Walk, check_address};
use crate::value::{Reader, Value};

/// Nodes of the trie that are looked at.
const NODES_MAX: usize = 4096;
/// Entries behind one, of the same hash.
const OVERFLOW_MAX: usize = 64;

/// An `entry[any, any]` of the trie: a node, whose first byte says that it is one, the next entry, key, value.
const ENTRY_BYTES: u64 = 48;
const ENTRY_OVERFLOW: u64 = 8;
const ENTRY_KEY: u64 = 16;
const ENTRY_VALUE: u64 = 32;

/// Collects entries.
struct Entries {
    found: Vec<(Value, Value)>,
    gap: Option<Gap>,
    is_cut: bool,
}

impl Reader<'_> {
    pub(super) fn sync_map(&self, view: View<'_>, ty: &Type, walk: &mut Walk) -> Result<Value, Gap> {
        let mut entries = Entries { found: Vec::new(), gap: None, is_cut: false };
        walk.open(|walk| match self.part(view, ty, "m") {
            Ok((trie, of)) => self.trie(trie, &*self.types.get(of)?, &mut entries, walk),
            Err(_) => self.two_maps(view, ty, &mut entries, walk),
        })?;
        entries.found.sort_by(|(a, _), (b, _)| crate::value::map::order(a, b));
        let map = Value::Map(entries.found);
        Ok(match entries.gap {
            Some(gap) => Value::cut(map, gap),
            // How many there are it does not know itself.
            None if entries.is_cut => Value::cut(map, Gap::Size),
            None => map,
        })
    }

    /// Whether there is room for more.
    fn add(&self, key: View<'_>, value: View<'_>, entries: &mut Entries, walk: &mut Walk) -> bool {
        if entries.found.len() as u64 >= self.limits.elements || self.used.is_spent(&self.limits) {
            entries.is_cut = true;
            return false;
        }
        let key = self.interface(key, false, walk).unwrap_or_else(Value::Missing);
        let name = match &key {
            Value::Dynamic { value, .. } => match &**value {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            },
            _ => None,
        };
        let hidden = name.is_some_and(|name| self.redact.hides_field("sync.Map", name));
        let value = match hidden {
            true => Value::Missing(Gap::Redacted),
            false => self.interface(value, false, walk).unwrap_or_else(Value::Missing),
        };
        entries.found.push((key, value));
        true
    }

    fn trie(&self, view: View<'_>, ty: &Type, entries: &mut Entries, walk: &mut Walk) -> Result<(), Gap> {
        let (root, of) = self.part(view, ty, "root")?;
        let root_type = self.types.get(of)?;
        let address = self.part(root, &root_type, "v")?.0.word(0)?;
        // Nothing was ever stored.
        if address == 0 {
            return Ok(());
        }
        let node = self.atomic_target(&root_type)?;
        let node = self.types.get(node)?;
        let mut nodes = vec![address];
        let mut seen = 0;
        while let Some(address) = nodes.pop() {
            seen += 1;
            if seen > NODES_MAX {
                entries.is_cut = true;
                return Ok(());
            }
            let children = check_address(address)
                .and_then(|()| self.read(&Place::At(address), node.size))
                .and_then(|buffer| self.children(buffer.view(), &node));
            let children = match children {
                Ok(children) => children,
                Err(gap) => {
                    entries.gap = entries.gap.take().or(Some(gap));
                    continue;
                }
            };
            for child in children {
                match self.is_entry(child) {
                    Ok(false) => nodes.push(child),
                    Ok(true) => {
                        if !self.trie_entries(child, entries, walk) {
                            return Ok(());
                        }
                    }
                    Err(gap) => entries.gap = entries.gap.take().or(Some(gap)),
                }
            }
        }
        Ok(())
    }

    fn children(&self, view: View<'_>, node: &Type) -> Result<Vec<u64>, Gap> {
        let (children, of) = self.part(view, node, "children")?;
        let Shape::Array { length, .. } = self.types.get(of)?.shape else {
            return Err(Gap::UnknownType(node.name.clone()));
        };
        let mut found = Vec::new();
        // Each is an atomic.Pointer: one word.
        for i in 0..length.min(children.length() / 8) {
            let child = children.word(8 * i)?;
            if child != 0 {
                found.push(child);
            }
        }
        Ok(found)
    }

    fn is_entry(&self, node: u64) -> Result<bool, Gap> {
        match self.read(&Place::At(node), 1)?.view().uint(0, 1)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Gap::Implausible(format!("a node of kind {other}"))),
        }
    }

    /// Whether there is room for more.
    fn trie_entries(&self, first: u64, entries: &mut Entries, walk: &mut Walk) -> bool {
        let mut next = first;
        for _ in 0..OVERFLOW_MAX {
            if next == 0 {
                return true;
            }
            let read = self.read(&Place::At(next), ENTRY_BYTES).and_then(|buffer| {
                let view = buffer.view();
                let (key, value) = (view.part(ENTRY_KEY, 16)?, view.part(ENTRY_VALUE, 16)?);
                Ok((self.add(key, value, entries, walk), view.word(ENTRY_OVERFLOW)?))
            });
            match read {
                Ok((true, following)) => next = following,
                Ok((false, _)) => return false,
                Err(gap) => {
                    entries.gap = entries.gap.take().or(Some(gap));
                    return true;
                }
            }
        }
        entries.is_cut = true;
        true
    }

    /// `read` has all entries, unless it says that `dirty` has more; that then has all which were not deleted.
    fn two_maps(&self, view: View<'_>, ty: &Type, entries: &mut Entries, walk: &mut Walk) -> Result<(), Gap> {
        let (read, of) = self.part(view, ty, "read")?;
        let read_type = self.types.get(of)?;
        let address = self.part(read, &read_type, "v")?.0.word(0)?;
        let mut map = 0;
        let mut is_amended = false;
        if address != 0 {
            let of = self.types.get(self.atomic_target(&read_type)?)?;
            let buffer = self.read(&Place::At(address), of.size)?;
            is_amended = self.number(buffer.view(), &of, "amended")? != 0;
            map = self.part(buffer.view(), &of, "m")?.0.word(0)?;
        }
        if is_amended {
            map = self.part(view, ty, "dirty")?.0.word(0)?;
        }
        if map == 0 {
            return Ok(());
        }
        // map[any]*entry
        let key = SlotType { size: 16, alignment: 8, is_indirect: false };
        let element = SlotType { size: 8, alignment: 8, is_indirect: false };
        let wanted = Wanted { slots: self.limits.elements, bytes: self.limits.goroutine_bytes };
        let slots = self.slots(map, key, element, wanted)?;
        entries.gap = slots.gap;
        entries.is_cut = slots.is_cut;
        for slot in slots.found {
            let read = self.read(&Place::At(slot.key), 16).and_then(|key| {
                // entry{p atomic.Pointer[any]}; nil: deleted.
                let entry = self.read(&Place::At(slot.element), 8)?.view().word(0)?;
                match self.read(&Place::At(entry), 8)?.view().word(0)? {
                    0 => Ok(true),
                    held => {
                        let value = self.read(&Place::At(held), 16)?;
                        Ok(self.add(key.view(), value.view(), entries, walk))
                    }
                }
            });
            match read {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(gap) => entries.gap = entries.gap.take().or(Some(gap)),
            }
        }
        Ok(())
    }

    /// The `T` of an `atomic.Pointer[T]`, which has a field `_ [0]*T`.
    pub(super) fn atomic_target(&self, ty: &Type) -> Result<TypeRef, Gap> {
        let unknown = || Gap::UnknownType(ty.name.clone());
        let Shape::Struct(fields) = &ty.shape else { return Err(unknown()) };
        let target = fields.iter().find_map(|field| {
            let Shape::Array { element, length: 0 } = self.types.get(field.of).ok()?.shape else {
                return None;
            };
            match self.types.get(element).ok()?.shape {
                Shape::Pointer(target) => Some(target),
                _ => None,
            }
        });
        target.ok_or_else(unknown)
    }
}
