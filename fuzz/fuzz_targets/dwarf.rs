//! Real debug information with damage: variables at program counters, types, the index of types.
#![no_main]

use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use stillframe_fuzz::{Bytes, Patch, prepared};
use stillframe_golang::build::Build;
use stillframe_golang::dwarf::{DebugInfo, Evidence, Section};
use stillframe_golang::types::TypeRef;

#[derive(Arbitrary, Debug)]
struct Input {
    /// Each with the section that it damages.
    patches: Vec<(u8, Patch)>,
    /// Of the places below.
    places: [u16; 4],
    offsets: [u32; 4],
}

struct Prepared {
    sections: [Vec<u8>; Section::ALL.len()],
    /// Program counters in callers, with what the function table says of them.
    places: Vec<(u64, Evidence)>,
}

/// Packages whose functions are asked for.
const PACKAGES: [&str; 4] = ["main.", "sync.", "runtime.g", "fmt."];

static PREPARED: LazyLock<Prepared> = LazyLock::new(|| {
    let build = Build::read(Arc::new(prepared("program"))).expect("a Go program");
    let debug = build.debug_info().expect("debug information");
    let code = build.code_of_file().expect("code");
    let names = code.functions.all().map(|function| code.functions.name(&function));
    let names = names.filter(|name| PACKAGES.iter().any(|package| name.starts_with(package)));
    let pcs = names.flat_map(|name| code.call_sites(name)).map(|return_address| return_address - 1);
    Prepared {
        sections: Section::ALL.map(|section| (*debug.section(section).expect("a section")).as_ref().to_vec()),
        places: pcs.filter_map(|pc| Some((pc, code.evidence(pc)?))).collect(),
    }
});

fuzz_target!(|input: Input| {
    let prepared = &*PREPARED;
    let mut sections = prepared.sections.clone();
    for (section, patch) in &input.patches {
        let bytes = &mut sections[usize::from(*section) % Section::ALL.len()];
        if !bytes.is_empty() {
            let at = patch.at as usize % bytes.len();
            patch.bytes.apply(&mut bytes[at..]);
        }
    }
    let info_length = sections[Section::Info as usize].len() as u64;
    let sections = sections.map(|bytes| Arc::new(bytes) as Bytes);
    let Some(debug) = DebugInfo::of_sections(|section| Some(sections[section as usize].clone())) else { return };
    for place in input.places {
        let (pc, evidence) = &prepared.places[usize::from(place) % prepared.places.len()];
        for variable in debug.variables(*pc, evidence).into_iter().flatten().flat_map(|frame| frame.variables) {
            let _ = debug.type_of(variable.of);
        }
    }
    for offset in input.offsets {
        let _ = debug.type_of(TypeRef::Debug(u64::from(offset) % info_length));
    }
    let _ = debug.by_name("main.main");
    let _ = debug.variable("runtime.allglen");
});
