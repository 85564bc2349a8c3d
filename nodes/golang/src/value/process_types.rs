//! The types of one process: from debug information where there is some, from the runtime's own descriptions otherwise.

use std::cell::RefCell;
use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::dwarf::DebugInfo;
use crate::gap::Gap;
use crate::memory::Memory;
use crate::types::{Type, TypeRef, Types};
use crate::value::descriptor::Descriptors;
use crate::value::facts::{Facts, Maps};

/// Types that are kept at a time.
const KNOWN_MAX: usize = 1 << 14;

/// Types as debug information describes them.
pub trait DebugTypes {
    fn get(&self, of: TypeRef) -> Result<Arc<Type>, Gap>;

    fn by_name(&self, name: &str) -> Result<Option<TypeRef>, Gap>;

    /// The type whose descriptor lies at this offset from `moduledata.types` (DW_AT_go_runtime_type).
    fn by_runtime_offset(&self, offset: u64) -> Result<Option<TypeRef>, Gap>;

    fn similar(&self, name: &str) -> Vec<String>;
}

impl DebugTypes for DebugInfo {
    fn get(&self, of: TypeRef) -> Result<Arc<Type>, Gap> {
        self.type_of(of)
    }

    fn by_name(&self, name: &str) -> Result<Option<TypeRef>, Gap> {
        DebugInfo::by_name(self, name)
    }

    fn by_runtime_offset(&self, offset: u64) -> Result<Option<TypeRef>, Gap> {
        DebugInfo::by_runtime_offset(self, offset)
    }

    fn similar(&self, name: &str) -> Vec<String> {
        // Without debug information nobody asks.
        DebugInfo::similar(self, name).unwrap_or_default()
    }
}

/// See the head of this file.
pub struct ProcessTypes<'a> {
    debug: Option<&'a dyn DebugTypes>,
    descriptors: Descriptors<'a>,
    known: RefCell<FxHashMap<TypeRef, Arc<Type>>>,
    /// What descriptors at these addresses describe.
    described: RefCell<FxHashMap<u64, TypeRef>>,
}

impl<'a> ProcessTypes<'a> {
    /// `memory`: of the process, completed by what the executable holds and no process changes.
    pub fn new(debug: Option<&'a dyn DebugTypes>, memory: &'a dyn Memory, facts: &Facts) -> Self {
        let descriptors = Descriptors {
            memory,
            minor: facts.minor,
            has_classic_maps: facts.maps == Maps::Classic,
            types: facts.types,
            types_end: facts.types_end,
        };
        ProcessTypes { debug, descriptors, known: RefCell::default(), described: RefCell::default() }
    }

    fn find_described(&self, address: u64) -> Result<TypeRef, Gap> {
        let Descriptors { types, types_end, .. } = self.descriptors;
        let in_program = (types..types_end).contains(&address);
        let debug = self.debug.filter(|_| in_program);
        if let Some(of) = debug.map(|debug| debug.by_runtime_offset(address - types)).transpose()?.flatten() {
            return Ok(of);
        }
        let of = TypeRef::Runtime(address);
        self.get(of)?;
        Ok(of)
    }
}

/// What was found, kept: only what was found, as memory that is missing may come.
fn kept<K: Copy + Eq + Hash, V: Clone>(
    known: &RefCell<FxHashMap<K, V>>,
    key: K,
    find: impl FnOnce() -> Result<V, Gap>,
) -> Result<V, Gap> {
    if let Some(found) = known.borrow().get(&key) {
        return Ok(found.clone());
    }
    let found = find()?;
    let mut known = known.borrow_mut();
    if known.len() >= KNOWN_MAX {
        known.clear();
    }
    known.insert(key, found.clone());
    Ok(found)
}

impl Types for ProcessTypes<'_> {
    fn get(&self, of: TypeRef) -> Result<Arc<Type>, Gap> {
        kept(&self.known, of, || match (of, self.debug) {
            (TypeRef::Runtime(address), _) => self.descriptors.get(address).map(Arc::new),
            (TypeRef::Debug(_), Some(debug)) => debug.get(of),
            (TypeRef::Debug(_), None) => Err(Gap::NoDebugInfo),
        })
    }

    fn by_name(&self, name: &str) -> Result<Option<TypeRef>, Gap> {
        self.debug.ok_or(Gap::NoDebugInfo)?.by_name(name)
    }

    /// One that debug information does not have is described by its descriptor: the linker leaves out what no variable
    /// mentions, and what `reflect` makes at run time it cannot know.
    fn by_descriptor(&self, address: u64) -> Result<TypeRef, Gap> {
        kept(&self.described, address, || self.find_described(address))
    }

    fn similar(&self, name: &str) -> Vec<String> {
        self.debug.map(|debug| debug.similar(name)).unwrap_or_default()
    }
}
