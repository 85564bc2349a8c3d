//! What Stillframe makes of debug information, beside what GNU readelf prints of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use stillframe_golang::build::Build;
use stillframe_golang::dwarf::{DebugInfo, Evidence};
use stillframe_golang::gap::Gap;
use stillframe_golang::types::{Shape, TypeRef};
use stillframe_golang::variable::{Location, Role, Variable};
use stillframe_tests::programs::{Kind, Program};
use stillframe_tests::readelf::{Entry, Listed, entries, location_lists};
use stillframe_tests::row;
use stillframe_tests::table::table;

/// Packages whose functions are compared.
const PACKAGES: [&str; 4] = ["main.", "net/http.", "context.", "fmt."];

fn programs() -> Vec<Program> {
    let with_debug_info = |p: &Program| matches!(p.kind, Kind::Normal | Kind::Pie | Kind::Cgo);
    Program::all("still").into_iter().filter(with_debug_info).collect()
}

fn build(program: &Program) -> Build {
    let file = std::fs::read(&program.path).unwrap();
    Build::read(Arc::new(file)).unwrap_or_else(|e| panic!("{}: {e}", program.path.display()))
}

#[test]
fn structs_are_as_readelf_prints_them() {
    let mut rows = vec![row!["program", "structs", "fields"]];
    for program in programs() {
        let debug = build(&program).debug_info().unwrap();
        let entries = entries(&program.path);
        let (mut structs, mut fields) = (0, 0);
        for (index, entry) in entries.iter().enumerate() {
            // `reflect.Struct`.
            if entry.tag != "DW_TAG_structure_type" || entry.number("2900") != Some(25) {
                continue;
            }
            let name = entry.name().unwrap();
            let context = || format!("{}: {name}", program.path.display());
            let of = debug.type_of(TypeRef::Debug(entry.offset)).unwrap();
            assert_eq!(
                (of.name.as_str(), Some(of.size)),
                (name, entry.number("DW_AT_byte_size")),
                "{}",
                context()
            );
            let Shape::Struct(found) = &of.shape else { panic!("{}: {:?}", context(), of.shape) };
            let members = entries[index + 1..].iter().take_while(|member| member.depth > entry.depth);
            let members: Vec<_> = members.filter(|member| member.tag == "DW_TAG_member").collect();
            assert_eq!(members.len(), found.len(), "{}", context());
            for (member, field) in members.iter().zip(found) {
                assert_eq!(Some(field.name.as_str()), member.name(), "{}", context());
                assert_eq!(Some(field.offset), member.number("DW_AT_data_member_location"), "{}", context());
                assert_eq!(Some(u64::from(field.is_embedded)), member.number("2903"), "{}", context());
            }
            fields += found.len();
            structs += 1;
            if let Some(descriptor) = entry.number("2904").filter(|&at| at != 0) {
                let by_descriptor = debug.by_runtime_offset(descriptor).unwrap();
                assert_eq!(by_descriptor, Some(TypeRef::Debug(entry.offset)), "{}", context());
                let by_name = debug.by_name(name).unwrap().map(|of| debug.type_of(of).unwrap());
                assert_eq!(by_name.map(|of| of.name.clone()).as_deref(), Some(name), "{}", context());
            }
        }
        assert!(structs > 1_000, "{}: {structs} structs", program.path.display());
        rows.push(row![program.path.file_name().unwrap().to_string_lossy(), structs, fields]);
    }
    println!("{}", table(&rows));
}

/// A function with code whose variables have names of their own: it was inlined nowhere.
struct Function<'e> {
    name: &'e str,
    low_pc: u64,
    high_pc: u64,
    /// Variables that are not those of calls inlined into it.
    variables: HashMap<&'e str, Vec<&'e Entry>>,
}

fn functions(entries: &[Entry]) -> Vec<Function<'_>> {
    let mut functions = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let (Some(name), Some(low_pc)) = (entry.name(), entry.low_pc()) else { continue };
        if entry.tag != "DW_TAG_subprogram" || !PACKAGES.iter().any(|package| name.starts_with(package)) {
            continue;
        }
        let mut variables: HashMap<_, Vec<_>> = HashMap::new();
        let mut inlined = None;
        for child in entries[index + 1..].iter().take_while(|child| child.depth > entry.depth) {
            if inlined.is_some_and(|depth| child.depth <= depth) {
                inlined = None;
            }
            match (child.tag.as_str(), child.name()) {
                ("DW_TAG_inlined_subroutine", _) => inlined = inlined.or(Some(child.depth)),
                ("DW_TAG_variable" | "DW_TAG_formal_parameter", Some(name)) if inlined.is_none() => {
                    variables.entry(name).or_default().push(child);
                }
                _ => {}
            }
        }
        // An address, or since DWARF 5 a length.
        let high_pc = entry.number("DW_AT_high_pc").unwrap();
        let high_pc = if high_pc > low_pc { high_pc } else { low_pc + high_pc };
        functions.push(Function { name, low_pc, high_pc, variables });
    }
    functions
}

/// What readelf says of a variable at a program counter: an expression for each entry of its name.
fn expressions(
    function: &Function<'_>,
    (variable, line): (&str, u32),
    lists: &HashMap<u64, Vec<Listed>>,
    version: u32,
    pc: u64,
) -> Vec<String> {
    let from = if version >= 5 { pc - function.low_pc } else { pc };
    let entries = function.variables.get(variable).into_iter().flatten();
    let declared_there = entries.filter(|entry| entry.number("DW_AT_decl_line") == Some(line.into()));
    let found = declared_there.filter_map(|entry| {
        let listed = |at| {
            let list = lists.get(&at).unwrap_or_else(|| panic!("{}: no list at {at:#x}", function.name));
            list.iter()
                .find(|listed| (listed.start..listed.end).contains(&from))
                .map(|l| l.expression.clone())
        };
        match entry.list() {
            Some(at) => listed(at),
            None => entry.expression().map(str::to_owned),
        }
    });
    found.filter(|expression| !expression.is_empty()).collect()
}

/// `location` in readelf's words, without padding.
fn in_words(location: &Location) -> Option<String> {
    const AMD64: [&str; 16] = [
        "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
        "r14", "r15",
    ];
    match location {
        Location::Frame(0) => Some("DW_OP_call_frame_cfa".to_owned()),
        Location::Frame(offset) => Some(format!("DW_OP_fbreg: {offset}")),
        Location::Register(n) if *n < 16 => Some(format!("DW_OP_reg{n} ({})", AMD64[usize::from(*n)])),
        Location::Register(n) => Some(format!("DW_OP_reg{n} (xmm{})", n - 17)),
        _ => None,
    }
}

/// Whether a location is what an expression says.
fn agrees(location: &Location, expression: &str) -> bool {
    match location {
        Location::Through(location) => agrees(location, expression),
        Location::Frame(start) if expression.contains("DW_OP_piece") => {
            // Slots side by side are the value.
            let mut at = *start;
            let mut words = expression.split("; ");
            let mut before = None;
            while let (Some(place), Some(length)) = (words.next(), words.next()) {
                // A part that stands twice in the list.
                if before.replace(place) == Some(place) {
                    continue;
                }
                let length: i64 = length.strip_prefix("DW_OP_piece: ").unwrap().parse().unwrap();
                at = (at + length - 1).div_euclid(length) * length;
                if in_words(&Location::Frame(at)).as_deref() != Some(place) {
                    return false;
                }
                at += length;
            }
            true
        }
        Location::Pieces(pieces) => {
            let mut words = Vec::new();
            for piece in pieces.iter().filter(|p| p.location != Location::Missing(Gap::OptimizedOut)) {
                words.extend(in_words(&piece.location));
                words.push(format!("DW_OP_piece: {}", piece.length));
            }
            // A part that stands twice in the list stands once here.
            let mut parts: Vec<String> = Vec::new();
            for part in
                expression.split_inclusive("DW_OP_piece: 8; ").map(|p| p.trim_end_matches("; ").to_owned())
            {
                if parts.last() != Some(&part) || part.starts_with("DW_OP_piece") {
                    parts.push(part);
                }
            }
            words.join("; ") == expression || words.join("; ") == parts.join("; ")
        }
        location => in_words(location).as_deref() == Some(expression),
    }
}

#[test]
fn places_are_as_readelf_prints_them() {
    let mut rows = vec![row![
        "program",
        "calls",
        "variables",
        "places",
        "further places",
        "gaps",
        "not where readelf has a place"
    ]];
    for program in programs() {
        let build = build(&program);
        let debug = build.debug_info().unwrap();
        let (entries, lists) = (entries(&program.path), location_lists(&program.path));
        // Since Go 1.25; readelf then prints offsets from the function.
        let version = if program.minor() >= 25 { 5 } else { 4 };
        let code = build.code_of_file().unwrap();
        let (mut calls, mut variables, mut places, mut recovered, mut refused) =
            (0, 0, 0, 0, BTreeMap::new());
        for function in functions(&entries) {
            for return_address in code.call_sites(function.name) {
                let pc = return_address - 1;
                // As debug information has it: what the code does with its slots is another question.
                let evidence = Evidence { slots: None, ..code.evidence(pc).unwrap() };
                let frames = debug.variables(pc, &evidence).unwrap();
                assert_eq!(frames.len(), evidence.calls.len(), "{} at {pc:#x}", function.name);
                let frame = frames.last().unwrap();
                if frame.function != function.name || !(function.low_pc..function.high_pc).contains(&pc) {
                    // Another function of the same name.
                    continue;
                }
                calls += 1;
                for variable in &frame.variables {
                    variables += 1;
                    let said = said(&function, variable, &lists, version, pc);
                    let context = || {
                        format!(
                            "{}: {} at {pc:#x}: {variable:?}: {said:?}",
                            program.path.display(),
                            function.name
                        )
                    };
                    match &variable.location {
                        Location::Missing(gap) => {
                            if *gap == Gap::OptimizedOut {
                                let whole = said.iter().any(|e| !e.starts_with("DW_OP_piece"));
                                assert!(!whole, "{}", context());
                            } else if !said.is_empty() {
                                *refused.entry(gap.to_string()).or_insert(0) += 1;
                            }
                        }
                        // Too large for registers; readelf has it nowhere, or in what it was passed in: see
                        // `argument_slot.rs`.
                        Location::Frame(0..)
                            if variable.role == Role::Argument
                                && debug.type_of(variable.of).unwrap().size > 32
                                && said.iter().all(|e| e.contains("DW_OP_piece")) =>
                        {
                            recovered += 1;
                        }
                        location => {
                            places += 1;
                            assert!(said.iter().any(|e| agrees(location, e)), "{}", context());
                        }
                    }
                }
            }
        }
        assert!(calls > 5_000 && places > 10_000, "{}: {calls} calls, {places}", program.path.display());
        let refused: Vec<String> = refused.iter().map(|(gap, count)| format!("{count} {gap}")).collect();
        rows.push(row![
            program.path.file_name().unwrap().to_string_lossy(),
            calls,
            variables,
            places,
            recovered,
            variables - places - recovered,
            refused.join(", ")
        ]);
    }
    println!("{}", table(&rows));
}

fn said(
    function: &Function<'_>,
    variable: &Variable,
    lists: &HashMap<u64, Vec<Listed>>,
    version: u32,
    pc: u64,
) -> Vec<String> {
    let (name, line) = (variable.name.as_str(), variable.declared_line);
    let mut said = expressions(function, (name, line), lists, version, pc);
    said.extend(expressions(function, (&format!("&{name}"), line), lists, version, pc));
    said
}

/// A separate file of sections, decompressed: what a cache on disk hands in.
#[test]
fn sections_that_are_handed_in_say_the_same() {
    use stillframe_golang::dwarf::Section;
    for program in programs() {
        let build = build(&program);
        let debug = build.debug_info().unwrap();
        let handed = DebugInfo::of_sections(|section: Section| debug.section(section).ok()).unwrap();
        assert!(handed.set_type_index(&debug.type_index_bytes().unwrap()).unwrap());
        assert_eq!(handed.by_name("net/http.Request").unwrap(), debug.by_name("net/http.Request").unwrap());
        let code = build.code_of_file().unwrap();
        for return_address in code.call_sites("main.main") {
            let evidence = Evidence { slots: None, ..code.evidence(return_address - 1).unwrap() };
            let variables = |debug: &DebugInfo| debug.variables(return_address - 1, &evidence).unwrap();
            assert_eq!(variables(&handed), variables(&debug));
        }
    }
}
