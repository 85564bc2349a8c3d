//! What is believed of a variable's place, over debug information written by hand; and damage.

use proptest::prelude::*;

use super::sample::{END, START, Sample, at_line, frame, of_sections, parts, register};
use super::{Call, Evidence, StackObject};
use crate::gap::Gap;
use crate::types::{Shape, TypeRef};
use crate::variable::{FrameVariables, Location, Piece, Role, Variable};

const PC: u64 = START + 0x40;

fn variables(sample: Sample, evidence: &Evidence) -> Vec<FrameVariables> {
    sample.debug_info().variables(PC, evidence).unwrap()
}

fn find<'f>(frames: &'f [FrameVariables], name: &str) -> &'f Variable {
    frames.iter().flat_map(|frame| &frame.variables).find(|v| v.name == name).unwrap()
}

fn place(frames: &[FrameVariables], name: &str) -> Location {
    find(frames, name).location.clone()
}

fn missing(gap: Gap) -> Location {
    Location::Missing(gap)
}

#[test]
fn a_place_all_over_the_function_counts_from_below_the_declaration() {
    let mut sample = Sample::new("go1.27.3");
    let int = sample.types.int;
    sample.function("main.f");
    sample.parameter("argument", false, int, &frame(8));
    sample.parameter("named", true, int, &frame(16));
    sample.parameter("~r0", true, int, &frame(24));
    sample.parameter("gone", false, int, &[]);
    sample.local("above", 9, int, &frame(-24));
    sample.local("same", 10, int, &frame(-32));
    sample.local("below", 11, int, &frame(-40));
    sample.local(".autotmp_3", 1, int, &frame(-48));
    let frames = variables(sample, &at_line(PC, 10));
    let names: Vec<&str> = frames[0].variables.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["argument", "gone", "named", "~r0", "above", "same", "below"]);
    assert_eq!(place(&frames, "argument"), Location::Frame(8));
    assert_eq!(place(&frames, "named"), Location::Frame(16));
    assert_eq!(place(&frames, "~r0"), missing(Gap::SlotNotLive));
    assert_eq!(place(&frames, "gone"), missing(Gap::OptimizedOut));
    assert_eq!(place(&frames, "above"), Location::Frame(-24));
    assert_eq!(place(&frames, "same"), missing(Gap::NotDeclared));
    assert_eq!(place(&frames, "below"), missing(Gap::NotDeclared));
    assert_eq!(find(&frames, "named").role, Role::Result);
}

#[test]
fn lists_and_the_parts_of_split_values() {
    // Each by itself: of several in one place none is believed.
    let of_list = |list: &[(u64, u64, Vec<u8>)], of: fn(&Sample) -> u32| {
        let mut sample = Sample::new("go1.27.3");
        let of = of(&sample);
        sample.function("main.f");
        sample.listed("x", 6, of, list);
        place(&variables(sample, &at_line(PC, 10)), "x")
    };
    let here = |found: Vec<u8>, of: fn(&Sample) -> u32| of_list(&[(0x20, 0x60, found)], of);
    let int: fn(&Sample) -> u32 = |sample| sample.types.int;
    let string: fn(&Sample) -> u32 = |sample| sample.types.string;
    let piece = |length, location| Piece { length, location };

    assert_eq!(of_list(&[(0, 0x20, frame(-24))], int), missing(Gap::OptimizedOut));
    assert_eq!(here(frame(-24), int), Location::Frame(-24));
    assert_eq!(here(register(3), int), Location::Register(3));

    let adjacent = parts(&[(frame(-40), 8), (frame(-32), 8)]);
    assert_eq!(here(adjacent, string), Location::Frame(-40));
    let apart = vec![piece(8, Location::Frame(-40)), piece(8, Location::Register(0))];
    assert_eq!(here(parts(&[(frame(-40), 8), (register(0), 8)]), string), Location::Pieces(apart));
    let half = vec![piece(8, Location::Frame(-40)), piece(8, missing(Gap::OptimizedOutInPart))];
    assert_eq!(here(parts(&[(frame(-40), 8), (vec![], 8)]), string), Location::Pieces(half));
    assert_eq!(here(parts(&[(vec![], 8), (vec![], 8)]), string), missing(Gap::OptimizedOut));
    let twice = vec![piece(8, Location::Frame(-40)), piece(8, Location::Frame(-24))];
    let named_twice = parts(&[(frame(-40), 8), (frame(-24), 8), (frame(-24), 8)]);
    assert_eq!(here(named_twice, string), Location::Pieces(twice));

    let padded = vec![
        piece(1, Location::Frame(-40)),
        piece(7, missing(Gap::OptimizedOut)),
        piece(8, Location::Frame(-24)),
    ];
    let without_padding = parts(&[(frame(-40), 1), (frame(-24), 8)]);
    assert_eq!(here(without_padding, |sample| sample.types.padded), Location::Pieces(padded));
    // Two of four fields, and which ones debug information does not say.
    let fields = parts(&[(frame(-40), 8), (frame(-24), 8)]);
    assert_eq!(here(fields, |sample| sample.types.large), missing(Gap::OptimizedOutInPart));
    let length = [(0x10, 0x20, register(0)), (0x20, 0x60, frame(-24))];
    assert_eq!(of_list(&length, string), missing(Gap::OptimizedOutInPart));
}

#[test]
fn of_variables_in_one_place_none_is_believed() {
    let mut sample = Sample::new("go1.27.3");
    let int = sample.types.int;
    sample.function("main.f");
    sample.listed("p", 6, int, &[(0x20, 0x60, frame(-24))]);
    sample.listed("next", 6, int, &[(0x20, 0x60, frame(-24))]);
    sample.listed("other", 6, int, &[(0x20, 0x60, frame(-32))]);
    let frames = variables(sample, &at_line(PC, 10));
    assert_eq!(place(&frames, "p"), missing(Gap::SlotNotLive));
    assert_eq!(place(&frames, "next"), missing(Gap::SlotNotLive));
    assert_eq!(place(&frames, "other"), Location::Frame(-32));
}

#[test]
fn a_large_local_is_believed_where_it_shares_no_slot() {
    let object = Evidence { stack_objects: vec![StackObject { offset: -48, size: 32 }], ..at_line(PC, 10) };
    for (version, evidence, expected) in [
        ("go1.27.3", at_line(PC, 10), missing(Gap::SlotNotLive)),
        ("go1.27.3", object, Location::Frame(-48)),
        ("go1.22.10", at_line(PC, 10), Location::Frame(-48)),
    ] {
        let mut sample = Sample::new(version);
        let large = sample.types.large;
        sample.function("main.f");
        sample.listed("large", 6, large, &[(0x20, 0xc0, frame(-48))]);
        assert_eq!(place(&variables(sample, &evidence), "large"), expected, "{version}");
    }
}

#[test]
fn an_argument_too_large_for_registers_is_in_its_own_slot() {
    let slots = |large: Vec<(u8, u8)>| Evidence {
        arguments: vec![vec![(0, 8)], large],
        live_pointers: vec![0, 24],
        ..at_line(PC, 10)
    };
    let not_read =
        Evidence { live_pointers: vec![0], ..slots((8..48).step_by(8).map(|at| (at, 8)).collect()) };
    let words = |sizes: &[u8]| {
        sizes.iter().zip([8, 16, 24, 32, 40]).map(|(&size, at)| (at, size)).collect::<Vec<_>>()
    };
    for (moved, evidence, expected) in [
        (false, slots(words(&[8; 5])), Location::Frame(8)),
        // Of another type, not told, not read any more, and moved to the heap.
        (false, slots(words(&[8, 8, 8, 8, 1])), missing(Gap::OptimizedOut)),
        (false, at_line(PC, 10), missing(Gap::OptimizedOut)),
        (false, not_read, missing(Gap::OptimizedOut)),
        (true, slots(words(&[8; 5])), missing(Gap::OptimizedOut)),
    ] {
        let mut sample = Sample::new("go1.27.3");
        let types = sample.types;
        sample.function("main.f");
        sample.parameter("receiver", false, types.int, &[]);
        sample.parameter("large", false, types.five, &[]);
        if moved {
            sample.local("&large", 5, types.pointer_to_int, &[]);
        }
        let frames = variables(sample, &evidence);
        assert_eq!(place(&frames, "large"), expected, "{evidence:?}");
        assert_eq!(place(&frames, "receiver"), missing(Gap::OptimizedOut));
    }
}

#[test]
fn a_name_means_the_innermost_declaration_that_has_been_passed() {
    for (line, expected) in [(10, Location::Frame(-24)), (30, Location::Frame(-32))] {
        let mut sample = Sample::new("go1.27.3");
        let int = sample.types.int;
        sample.function("main.f");
        sample.local("x", 6, int, &frame(-24));
        sample.block_of(START + 0x30..START + 0x50);
        sample.local("x", 20, int, &frame(-32));
        sample.end();
        sample.block_of(START + 0x50..START + 0x60);
        sample.local("other", 6, int, &frame(-40));
        sample.end();
        let frames = variables(sample, &at_line(PC, line));
        assert_eq!(place(&frames, "x"), expected);
        assert_eq!(frames[0].variables.len(), 1, "{frames:?}");
    }
}

#[test]
fn what_was_moved_to_the_heap_is_behind_its_address() {
    let mut sample = Sample::new("go1.27.3");
    let types = sample.types;
    sample.function("main.f");
    // fbreg and deref, all over the function: written even where the address never had a slot.
    let everywhere = [frame(-16), vec![0x06]].concat();
    sample.listed("x", 6, types.int, &[(0, END - START, everywhere.clone())]);
    sample.listed("&x", 6, types.pointer_to_int, &[(0x20, 0x60, frame(-24))]);
    sample.listed("y", 7, types.int, &[(0, END - START, everywhere)]);
    let frames = variables(sample, &at_line(PC, 10));
    assert_eq!(place(&frames, "x"), Location::Through(Box::new(Location::Frame(-24))));
    assert_eq!(find(&frames, "x").of, TypeRef::Debug(types.int.into()));
    assert_eq!(place(&frames, "y"), missing(Gap::SlotNotLive));
}

#[test]
fn inlined_calls_come_before_the_function_around_them() {
    let mut sample = Sample::new("go1.27.3");
    let int = sample.types.int;
    let outer = sample.inlinable("main.outer", "a", int);
    let inner = sample.inlinable("main.inner", "b", int);
    let elsewhere = sample.inlinable("main.elsewhere", "c", int);
    sample.function("main.f");
    sample.local("local", 6, int, &frame(-24));
    sample.inlined(outer, START + 0x30..START + 0x50, &frame(-32));
    sample.inlined(inner, START + 0x38..START + 0x48, &frame(-40));
    sample.end();
    sample.end();
    sample.inlined(elsewhere, START + 0x50..START + 0x58, &frame(-48));
    sample.end();
    let calls = [("main.inner", 3), ("main.outer", 4), ("main.f", 10)];
    let calls = calls.map(|(function, line)| Call { function: function.to_owned(), line, scope_pc: PC });
    let frames = variables(sample, &Evidence { calls: calls.to_vec(), ..Evidence::default() });
    let names: Vec<(&str, &str)> =
        frames.iter().map(|f| (f.function.as_str(), f.variables[0].name.as_str())).collect();
    assert_eq!(names, [("main.inner", "b"), ("main.outer", "a"), ("main.f", "local")]);
    assert_eq!(place(&frames, "b"), Location::Frame(-40));
    assert_eq!(find(&frames, "a").role, Role::Argument);
}

#[test]
fn types_by_name_by_descriptor_and_by_parameter() {
    let mut sample = Sample::new("go1.27.3");
    let types = sample.types;
    sample.package_variable("main.count", 0x5000, types.int);
    sample.function("main.f");
    let parameter = sample.type_parameter();
    sample.parameter("t", false, parameter, &frame(8));
    let debug = sample.debug_info();
    let frames = debug.variables(PC, &at_line(PC, 10)).unwrap();
    assert_eq!(find(&frames, "t").dictionary_index, Some(3));
    assert_eq!(find(&frames, "t").of, TypeRef::Debug(types.int.into()));
    let large = debug.by_name("main.Large").unwrap().unwrap();
    assert_ne!(large, TypeRef::Debug(types.large.into()), "the alias");
    assert_eq!(debug.type_of(TypeRef::Debug(types.large.into())).unwrap(), debug.type_of(large).unwrap());
    assert_eq!(debug.type_of(large).unwrap().size, 32);
    assert_eq!(debug.by_runtime_offset(0x40).unwrap(), Some(TypeRef::Debug(types.int.into())));
    assert_eq!(debug.by_runtime_offset(0x41).unwrap(), None);
    assert_eq!(debug.by_name("main.Small").unwrap(), None);
    assert_eq!(debug.similar("main.Lagre").unwrap(), ["main.Large"]);
    let count = debug.variable("main.count").unwrap().unwrap();
    assert_eq!((count.address, &debug.type_of(count.of).unwrap().shape), (0x5000, &Shape::Int));
    assert_eq!(debug.variable("main.counts").unwrap(), None);
    let survey = debug.function_variables("main.f", &mut [(PC, at_line(PC, 10))].into_iter()).unwrap();
    assert_eq!((survey.sites, survey.variables[0].name.as_str(), survey.variables[0].kept), (1, "t", 1));
}

/// Everything that the sample has.
fn whole() -> Sample {
    let mut sample = Sample::new("go1.27.3");
    let types = sample.types;
    let outer = sample.inlinable("main.outer", "a", types.int);
    sample.package_variable("main.count", 0x5000, types.int);
    sample.function("main.f");
    let parameter = sample.type_parameter();
    sample.parameter("t", false, parameter, &frame(8));
    sample.local("above", 9, types.large, &frame(-24));
    sample.listed("&x", 6, types.pointer_to_int, &[(0x20, 0x60, frame(-24))]);
    sample.listed("s", 6, types.string, &[(0x20, 0x60, parts(&[(frame(-40), 8), (register(0), 8)]))]);
    sample.block_of(START + 0x30..START + 0x50);
    sample.local("x", 20, types.padded, &frame(-32));
    sample.end();
    sample.inlined(outer, START + 0x30..START + 0x50, &frame(-32));
    sample.end();
    sample
}

fn ask_all(sections: &[(super::Section, Vec<u8>)]) {
    let debug = of_sections(sections);
    for pc in [START, PC, END - 1, END, u64::MAX] {
        let Ok(frames) = debug.variables(pc, &at_line(pc, 10)) else { continue };
        for variable in frames.iter().flat_map(|frame| &frame.variables) {
            let _ = debug.type_of(variable.of);
        }
    }
    let _ = debug.by_name("main.Large");
    let _ = debug.by_runtime_offset(0x40);
    let _ = debug.similar("main.Lagre");
    let _ = debug.variable("main.count");
    let _ = debug.type_index_bytes();
    let _ = debug.function_variables("main.f", &mut [(PC, at_line(PC, 10))].into_iter());
    let length = sections[0].1.len() as u64;
    (0..length).for_each(|at| drop(debug.type_of(TypeRef::Debug(at))));
}

#[test]
fn every_changed_byte_ends_in_an_answer_or_a_gap() {
    let sections = whole().sections();
    for which in 0..sections.len() {
        for at in 0..sections[which].1.len() {
            for change in [1, 0x80, 0xff] {
                let mut damaged = sections.clone();
                damaged[which].1[at] ^= change;
                ask_all(&damaged);
            }
        }
    }
}

proptest! {
    #[test]
    fn damage_ends_in_an_answer_or_a_gap(
        changes in prop::collection::vec((0usize..3, any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of((0usize..3, any::<prop::sample::Index>())),
    ) {
        let mut sections = whole().sections();
        for (which, at, byte) in changes {
            let bytes = &mut sections[which].1;
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some((which, at)) = cut {
            let bytes = &mut sections[which].1;
            let at = at.index(bytes.len()).max(1);
            bytes.truncate(at);
        }
        ask_all(&sections);
    }
}
