//! Debug information (DWARF 4 and 5, as Go's compiler and linker write it), read where a question leads and nowhere else.
//!
//! [`DebugInfo`] answers: which variables have the frames at a program counter, and where are they
//! ([`DebugInfo::variables`]); what is a type made of ([`DebugInfo::type_of`]); where is a package-level variable.
//!
//! Invariants: a section is decompressed when a question needs it; of a unit nothing is read but its root until a
//! question leads there; every walk through the entries is bounded, and what is damaged is a gap
//! ([`Gap::DamagedDebugInfo`]); a place that the compiler does not vouch for is a gap, see `frames.rs`.
//!
//! Not here: reading values (`value`), and where debug information of stripped builds comes from (the node).

mod argument_slot;
pub(crate) mod calls;
mod closures;
mod entry;
mod frames;
mod function;
mod functions;
mod held_slots;
mod layout;
mod location;
mod named_types;
mod package_variables;
#[cfg(test)]
mod sample;
mod sections;
mod survey;
#[cfg(test)]
mod tests;
mod type_index;
mod types;
mod unit;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustc_hash::FxHashMap;

use crate::executable::{Bytes, Executable};
use crate::gap::Gap;
pub use crate::stack_slots::StackSlots;
use crate::types::{Type, TypeRef};
use crate::variable::FrameVariables;

use frames::Question;
use function::Function;
use functions::UnitFunctions;
pub use package_variables::PackageVariable;
pub(crate) use package_variables::RUNTIME;
pub use sections::Section;
use sections::{Open, Sections};
pub use survey::{Survey, Surveyed};
use type_index::TypeIndex;
use types::Resolved;
use unit::Units;

/// Kept at a time; a question that needs more starts again.
const TYPES_KEPT_MAX: usize = 1 << 16;
const FUNCTIONS_KEPT_MAX: usize = 1 << 10;
/// Functions of all units whose functions are kept.
const UNIT_FUNCTIONS_KEPT_MAX: usize = 1 << 20;

/// The debug information of one build.
pub struct DebugInfo {
    sections: Sections,
    units: OnceLock<Result<Units, Gap>>,
    types: Mutex<FxHashMap<u64, Arc<Type>>>,
    functions: Mutex<FxHashMap<u64, Arc<Function>>>,
    unit_functions: Mutex<FxHashMap<u64, Arc<UnitFunctions>>>,
    type_index: OnceLock<Result<TypeIndex, Gap>>,
    indexing: Mutex<()>,
}

/// What the function table knows of a program counter, beside debug information.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Of each logical frame, innermost first.
    pub calls: Vec<Call>,
    /// Locals of the physical function whose address is taken, as far as they hold pointers.
    pub stack_objects: Vec<StackObject>,
    /// The words of each argument of the physical function, in the order of the source and without the dictionary of a
    /// generic function: offset from where arguments begin, and size. Empty where that is not known of all of them.
    pub arguments: Vec<Vec<(u8, u8)>>,
    /// Words among the arguments that hold pointers which are read later: offsets from where arguments begin.
    pub live_pointers: Vec<u64>,
    /// Calls leave the return address in a register.
    pub uses_link_register: bool,
    /// What the code does with its stack slots. `None`: debug information is taken at its word.
    pub slots: Option<StackSlots>,
}

/// Where one logical frame stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub function: String,
    pub line: u32,
    /// An instruction of the function itself, not of a call inlined into it: as an address of the file.
    pub scope_pc: u64,
}

/// A local variable that the garbage collector knows (`runtime.stackObjectRecord`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackObject {
    /// From the canonical frame address.
    pub offset: i64,
    pub size: u64,
}

impl Evidence {
    /// The calls of frames with these names (as debug information has them), outermost first. The function table decides
    /// which calls there are; frames that it does not have get none.
    fn matching(&self, names: &[&str]) -> Vec<Option<&Call>> {
        let mut calls = self.calls.iter().rev();
        if names.len() == self.calls.len() {
            return calls.map(Some).collect();
        }
        let mut matched = Vec::with_capacity(names.len());
        for name in names {
            let name = without_type_arguments(name);
            let rest = calls.clone();
            let found = calls.find(|call| without_type_arguments(&call.function) == name);
            if found.is_none() {
                calls = rest;
            }
            matched.push(found);
        }
        matched
    }
}

/// `main.F[go.shape.int]` of debug information is `main.F[...]` in the function table.
pub(crate) fn without_type_arguments(name: &str) -> (&str, &str) {
    match (name.find('['), name.rfind(']')) {
        (Some(open), Some(close)) if open < close => (&name[..open], &name[close + 1..]),
        _ => (name, ""),
    }
}

impl DebugInfo {
    /// Of an executable, or of a separate file of symbols. `None` where it has no debug information.
    pub fn of_executable(executable: &Executable) -> Option<Self> {
        Sections::of_executable(executable).map(Self::new)
    }

    /// Of sections that are already decompressed.
    pub fn of_sections(sections: impl Fn(Section) -> Option<Bytes>) -> Option<Self> {
        Sections::given(sections).map(Self::new)
    }

    fn new(sections: Sections) -> Self {
        DebugInfo {
            sections,
            units: OnceLock::new(),
            types: Mutex::default(),
            functions: Mutex::default(),
            unit_functions: Mutex::default(),
            type_index: OnceLock::new(),
            indexing: Mutex::default(),
        }
    }

    /// A section's bytes, decompressed: for a cache on disk.
    pub fn section(&self, section: Section) -> Result<Bytes, Gap> {
        self.sections.get(section)
    }

    /// Forgets decompressed sections; the next question decompresses again what it needs.
    pub fn unload(&self) {
        self.sections.unload();
    }

    fn units(&self, open: &Open<'_>) -> Result<&Units, Gap> {
        self.units.get_or_init(|| Units::read(open)).as_ref().map_err(Gap::clone)
    }

    /// The variables of the logical frames at `pc`, innermost first. `pc`: as an address of the file, and of the
    /// instruction that is being executed: of a caller the last byte of its call.
    pub fn variables(&self, pc: u64, evidence: &Evidence) -> Result<Vec<FrameVariables>, Gap> {
        let open = self.sections.open()?;
        let Some(function) = self.function_at(&open, pc)? else { return Err(Gap::NoDebugInfo) };
        let unit = self.units(&open)?.holding(function.unit)?;
        Question { debug: self, open: &open, unit, function: &function, pc, evidence }.answer()
    }

    fn function_at(&self, open: &Open<'_>, pc: u64) -> Result<Option<Arc<Function>>, Gap> {
        let units = self.units(open)?;
        let Some(unit) = units.at_pc(pc) else { return Ok(None) };
        let Some(offset) = self.functions_of(open, unit.offset)?.at(pc) else { return Ok(None) };
        self.function(open, offset).map(Some)
    }

    fn function(&self, open: &Open<'_>, offset: u64) -> Result<Arc<Function>, Gap> {
        let kept = |map: &FxHashMap<u64, Arc<Function>>| map.get(&offset).cloned();
        if let Some(function) = kept(&lock(&self.functions)) {
            return Ok(function);
        }
        let function = Arc::new(Function::read(open, self.units(open)?, offset)?);
        let mut functions = lock(&self.functions);
        if functions.len() >= FUNCTIONS_KEPT_MAX {
            functions.clear();
        }
        functions.insert(offset, function.clone());
        Ok(function)
    }

    /// The functions of the unit at `offset`.
    fn functions_of(&self, open: &Open<'_>, offset: u64) -> Result<Arc<UnitFunctions>, Gap> {
        if let Some(functions) = lock(&self.unit_functions).get(&offset) {
            return Ok(functions.clone());
        }
        let units = self.units(open)?;
        let functions = Arc::new(UnitFunctions::read(open, units, units.holding(offset)?)?);
        let mut kept = lock(&self.unit_functions);
        if kept.values().map(|f| f.len()).sum::<usize>() + functions.len() > UNIT_FUNCTIONS_KEPT_MAX {
            kept.clear();
        }
        kept.insert(offset, functions.clone());
        Ok(functions)
    }

    /// The type that [`TypeRef::Debug`] stands for.
    pub fn type_of(&self, of: TypeRef) -> Result<Arc<Type>, Gap> {
        match of {
            TypeRef::Debug(offset) => {
                // Asked for with every value: what leads to a type is followed once.
                if let Some(found) = lock(&self.types).get(&offset) {
                    return Ok(found.clone());
                }
                let open = self.sections.open()?;
                let resolved = self.resolve(&open, offset)?;
                let found = self.read_type(&open, resolved.offset)?;
                lock(&self.types).insert(offset, found.clone());
                Ok(found)
            }
            TypeRef::Runtime(address) => Err(Gap::UnknownType(format!("{address:#x}"))),
        }
    }

    fn resolve(&self, open: &Open<'_>, offset: u64) -> Result<Resolved, Gap> {
        types::resolve(open, self.units(open)?, offset)
    }

    fn read_type(&self, open: &Open<'_>, offset: u64) -> Result<Arc<Type>, Gap> {
        if let Some(found) = lock(&self.types).get(&offset) {
            return Ok(found.clone());
        }
        let found = Arc::new(types::read(open, self.units(open)?, offset)?);
        let mut kept = lock(&self.types);
        if kept.len() >= TYPES_KEPT_MAX {
            kept.clear();
        }
        kept.insert(offset, found.clone());
        Ok(found)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
