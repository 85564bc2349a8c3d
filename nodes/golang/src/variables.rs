//! Where the runtime's variables are: from debug information, else from the symbol table (`-ldflags=-w` leaves it), else
//! from the code of functions that use them (`-s`, `strip`). Function names are always there: tracebacks need them.
//!
//! What the code says was compared with the symbol tables of unstripped builds (Go 1.21 to 1.27, amd64 and arm64). It is
//! checked once more on the memory of each process (`validation.rs`).

use std::collections::HashMap;

use crate::debug_info::RuntimeInfo;
use crate::executable::Executable;
use crate::function_table::FunctionTable;
use crate::layout::ModuleData;
use crate::references::{Access, Reference, references};
use crate::relocations::Relocations;

/// Of one function; the longest of those that are looked into has 3,000 bytes.
const CODE_BYTES_MAX: u64 = 64 << 10;

/// The first Go version with labels in tracebacks.
//
// @go size runtime.debug.tracebacklabels = none (..1.25), 4 (1.26..)
const MINOR_WITH_TRACEBACK_LABELS: u32 = 26;

/// Names of the variables, as debug information and symbol tables have them.
pub(crate) const NAMES: [&str; 10] = [
    "net/netip.z4",
    "runtime.allglen",
    "runtime.allgptr",
    "runtime.allm",
    "runtime.allp",
    "runtime.debug",
    "runtime.fingStatus",
    "runtime.firstmoduledata",
    "runtime.sched",
    "runtime.waitReasonStrings",
];

/// Addresses, of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variables {
    pub(crate) allglen: u64,
    pub(crate) allgptr: u64,
    pub(crate) allm: u64,
    /// `None` where symbols were removed, as with `sched`.
    pub(crate) allp: Option<u64>,
    pub(crate) sched: Option<u64>,
    pub(crate) module_data: u64,
    /// `None` in programs without finalizers.
    pub(crate) finalizer_status: Option<u64>,
    /// And how many.
    pub(crate) wait_reasons: Option<(u64, u64)>,
    /// `debug.tracebacklabels`.
    pub(crate) traceback_labels: Option<u64>,
    /// `None` in programs without `net/netip`, and where symbols were removed.
    pub(crate) netip_z4: Option<u64>,
}

/// What is known of a build beside its code.
pub(crate) struct Known<'a> {
    pub(crate) minor: u32,
    pub(crate) executable: &'a Executable,
    pub(crate) table: &'a FunctionTable,
    pub(crate) info: &'a RuntimeInfo,
    pub(crate) module_data: &'a ModuleData,
}

impl Variables {
    /// Or the name of the one that was not found.
    pub(crate) fn find(known: &Known<'_>) -> Result<Self, &'static str> {
        // Debug information has all of them that there are.
        let unknown = known.info.variables.is_empty();
        let symbols = if unknown { known.executable.symbols(&NAMES) } else { HashMap::new() };
        let named = |name: &str| {
            let symbol = symbols.get(name).map(|&(address, _)| address);
            known.info.variables.get(name).copied().or(symbol)
        };
        let mut code = None;
        let mut or_in_code = |name: &'static str, pick: fn(&InCode) -> Option<u64>| {
            named(name).or_else(|| pick(code.get_or_insert_with(|| InCode::read(known)))).ok_or(name)
        };
        let debug_field =
            known.info.structures.get("runtime.debug").and_then(|d| d.fields.get("tracebacklabels"));
        let debug = named("runtime.debug").zip(debug_field).and_then(|(debug, at)| debug.checked_add(*at));
        let strings =
            known.info.wait_reasons.or_else(|| Some(symbols.get("runtime.waitReasonStrings")?.1 / 16));
        Ok(Variables {
            allglen: or_in_code("runtime.allglen", |code| code.allglen)?,
            allgptr: or_in_code("runtime.allgptr", |code| code.allgptr)?,
            allm: or_in_code("runtime.allm", |code| code.allm)?,
            module_data: or_in_code("runtime.firstmoduledata", |code| code.module_data)?,
            finalizer_status: or_in_code("runtime.fingStatus", |code| code.finalizer_status).ok(),
            wait_reasons: named("runtime.waitReasonStrings").zip(strings),
            traceback_labels: (known.minor >= MINOR_WITH_TRACEBACK_LABELS)
                .then(|| debug.or_else(|| or_in_code("runtime.debug", |code| code.traceback_labels).ok()))
                .flatten(),
            netip_z4: named("net/netip.z4"),
            allp: named("runtime.allp"),
            sched: named("runtime.sched"),
        })
    }
}

/// What the code tells.
#[derive(Default)]
struct InCode {
    allglen: Option<u64>,
    allgptr: Option<u64>,
    allm: Option<u64>,
    module_data: Option<u64>,
    finalizer_status: Option<u64>,
    traceback_labels: Option<u64>,
}

impl InCode {
    fn read(known: &Known<'_>) -> Self {
        let Known { executable, table, module_data, .. } = *known;
        let relocations = Relocations::read(executable);
        let Some(module) = find_module_data(known, &relocations) else { return InCode::default() };
        let text = relocations.word(executable, module.wrapping_add(module_data.text as u64));
        let used = |function: &str| {
            let code = text.and_then(|text| Some((text, table.code(executable, function)?)));
            let code = code
                .and_then(|(text, at)| Some((text.checked_add(at.start)?, at.end.checked_sub(at.start)?)));
            let Some((pc, length)) = code else { return Vec::new() };
            let bytes = executable.initial_bytes(pc).unwrap_or_default();
            let length = length.min(CODE_BYTES_MAX).min(bytes.len() as u64) as usize;
            references(executable.architecture, &bytes[..length], pc)
        };
        // `atomicAllG` is inlined: first the length, then the array (runtime/proc.go).
        //
        // @go source runtime.{atomicAllG,forEachGRace,createfing,mcommoninit,gotraceback}
        // @go size runtime.{allglen,allgptr} = 8
        let all_g = loads(&used("runtime.forEachGRace"), 8);
        let status = loads(&used("runtime.createfing"), 4);
        let header = loads(&used("runtime.goroutineheader"), 4);
        InCode {
            allglen: all_g.first().copied(),
            allgptr: all_g.get(1).copied(),
            allm: loaded_and_published(&used("runtime.mcommoninit")),
            module_data: Some(module),
            finalizer_status: status.first().copied(),
            // Behind `traceback_cache` (`gotraceback`, inlined).
            traceback_labels: header.get(1).copied().filter(|_| header.len() == 2),
        }
    }
}

/// Different addresses that so many bytes are loaded from, in the order of the code.
fn loads(references: &[Reference], bytes: usize) -> Vec<u64> {
    let mut found = Vec::new();
    for reference in references.iter().filter(|r| r.access == Access::Load(bytes)) {
        if !found.contains(&reference.address) {
            found.push(reference.address);
        }
    }
    found
}

/// `mp.alllink = allm; atomicstorep(&allm, mp)`: no other variable of `mcommoninit` is loaded and has its address taken.
fn loaded_and_published(references: &[Reference]) -> Option<u64> {
    let taken = |address: u64| references.contains(&Reference { address, access: Access::Address });
    let mut found = loads(references, 8).into_iter().filter(|&address| taken(address));
    found.next().filter(|_| found.next().is_none())
}

/// `runtime.firstmoduledata` begins with a pointer to the function table and one to its names.
//
// @go offset runtime.moduledata.pcHeader = 0
// @go offset runtime.moduledata.funcnametab = 8
fn find_module_data(known: &Known<'_>, relocations: &Relocations) -> Option<u64> {
    let (table, layout) = (known.table, known.module_data);
    let found = relocations.find(known.executable, table.address).into_iter();
    let mut found = found.filter_map(|at| at.checked_sub(layout.pc_header as u64)).filter(|module| {
        let names = relocations.word(known.executable, module.wrapping_add(layout.funcnametab as u64));
        names == table.address.checked_add(table.names_offset())
    });
    found.next().filter(|first| found.all(|other| other == *first))
}
