//! What Stillframe needs of every build's debug information: the layout of the runtime's structures and the addresses of
//! its variables.
//!
//! Go puts all types and the runtime's variables into the compilation unit named `runtime`
//! (cmd/link/internal/ld/dwarf.go). Nothing else of the debug information is looked at.

use std::collections::HashMap;

use gimli::constants::{DW_TAG_structure_type, DW_TAG_variable};

use crate::dwarf::{DebugInfo, RUNTIME};
use crate::gap::Gap;
use crate::layout::{Layouts, Structure, Structures};
use crate::types::{Shape, Type, TypeRef};
use crate::variables::NAMES;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuntimeInfo {
    /// The unnamed type of `runtime.debug` goes by the name of that variable.
    pub(crate) structures: Structures,
    /// Addresses, of the file.
    pub(crate) variables: HashMap<String, u64>,
    /// Elements of `runtime.waitReasonStrings`.
    pub(crate) wait_reasons: Option<u64>,
}

impl RuntimeInfo {
    pub(crate) fn read(debug: &DebugInfo) -> Result<Self, Gap> {
        let mut found = RuntimeInfo::default();
        let names: Vec<&'static str> = Layouts::TYPES.iter().chain(&NAMES).copied().collect();
        for (name, (tag, offset)) in
            debug.top_level(RUNTIME, &names, &[DW_TAG_structure_type, DW_TAG_variable])?
        {
            if tag == DW_TAG_structure_type {
                let of = debug.type_of(TypeRef::Debug(offset))?;
                found.structures.insert(name.to_owned(), structure(&of));
                continue;
            }
            let Some(variable) = debug.package_variable(offset)? else { continue };
            found.variables.insert(name.to_owned(), variable.address);
            match name {
                "runtime.debug" => {
                    let of = debug.type_of(variable.of)?;
                    found.structures.insert(name.to_owned(), structure(&of));
                }
                "runtime.waitReasonStrings" => {
                    if let Shape::Array { length, .. } = debug.type_of(variable.of)?.shape {
                        found.wait_reasons = Some(length);
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

fn structure(of: &Type) -> Structure {
    let fields = match &of.shape {
        Shape::Struct(fields) => fields.iter().map(|field| (field.name.clone(), field.offset)).collect(),
        _ => HashMap::new(),
    };
    Structure { size: of.size, fields }
}
