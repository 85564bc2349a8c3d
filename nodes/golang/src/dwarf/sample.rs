//! A small program's debug information, written by hand the way Go's linker writes it (DWARF 5): for tests.

use std::sync::Arc;

use super::{Call, DebugInfo, Evidence, Section};
use crate::executable::Bytes;

/// Of the function `main.f`.
pub(super) const START: u64 = 0x1000;
pub(super) const END: u64 = 0x1100;

/// Attributes and forms of the entries below, by their number.
type Abbreviation = (u64, u64, bool, &'static [(u64, u64)]);

const ABBREVIATIONS: &[Abbreviation] = &[
    (1, 0x11, true, &[(0x03, 0x08), (0x13, 0x0b), (0x11, 0x01), (0x12, 0x0f), (0x25, 0x08)]),
    (2, 0x2e, true, &[(0x03, 0x08), (0x11, 0x01), (0x12, 0x0f), (0x40, 0x0a)]),
    // Parameters and variables: where they are is a block, or a list.
    (3, 0x05, false, &[(0x03, 0x08), (0x4b, 0x0c), (0x3b, 0x0f), (0x49, 0x10), (0x02, 0x0a)]),
    (4, 0x05, false, &[(0x03, 0x08), (0x4b, 0x0c), (0x3b, 0x0f), (0x49, 0x10), (0x02, 0x17)]),
    (5, 0x34, false, &[(0x03, 0x08), (0x3b, 0x0f), (0x49, 0x10), (0x02, 0x0a)]),
    (6, 0x34, false, &[(0x03, 0x08), (0x3b, 0x0f), (0x49, 0x10), (0x02, 0x17)]),
    (7, 0x0b, true, &[(0x11, 0x01), (0x12, 0x01)]),
    (8, 0x1d, true, &[(0x31, 0x10), (0x11, 0x01), (0x12, 0x01), (0x59, 0x0f)]),
    (9, 0x2e, true, &[(0x03, 0x08), (0x20, 0x0b)]),
    (10, 0x05, false, &[(0x03, 0x08), (0x4b, 0x0c), (0x49, 0x10)]),
    (11, 0x05, false, &[(0x31, 0x10), (0x02, 0x0a)]),
    // Types.
    (12, 0x24, false, &[(0x03, 0x08), (0x3e, 0x0b), (0x0b, 0x0b), (0x2900, 0x0b), (0x2904, 0x01)]),
    (13, 0x13, true, &[(0x03, 0x08), (0x0b, 0x0f), (0x2900, 0x0b), (0x2904, 0x01)]),
    (14, 0x0d, false, &[(0x03, 0x08), (0x38, 0x0f), (0x49, 0x10), (0x2903, 0x0c)]),
    (15, 0x16, false, &[(0x03, 0x08), (0x49, 0x10)]),
    (16, 0x0f, false, &[(0x03, 0x08), (0x49, 0x10), (0x2900, 0x0b), (0x2904, 0x01)]),
    (17, 0x16, false, &[(0x03, 0x08), (0x49, 0x10), (0x2906, 0x0f)]),
    // A package-level variable.
    (18, 0x34, false, &[(0x03, 0x08), (0x02, 0x0a), (0x49, 0x10)]),
];

pub(super) fn uleb(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        out.push(if value == 0 { byte } else { byte | 0x80 });
        if value == 0 {
            break;
        }
    }
}

/// DW_OP_fbreg.
pub(super) fn frame(offset: i8) -> Vec<u8> {
    vec![0x91, (offset as u8) & 0x7f]
}

/// DW_OP_reg0 and so on.
pub(super) fn register(number: u8) -> Vec<u8> {
    vec![0x50 + number]
}

/// DW_OP_piece behind each; an empty one is nowhere.
pub(super) fn parts(parts: &[(Vec<u8>, u8)]) -> Vec<u8> {
    parts.iter().flat_map(|(place, length)| [place.as_slice(), &[0x93, *length]].concat()).collect()
}

/// Offsets of the types.
#[derive(Clone, Copy, Default)]
pub(super) struct Types {
    pub(super) int: u32,
    pub(super) byte: u32,
    pub(super) string: u32,
    /// `struct { a byte; b int }`.
    pub(super) padded: u32,
    /// Four ints.
    pub(super) large: u32,
    /// Five ints.
    pub(super) five: u32,
    pub(super) pointer_to_int: u32,
}

#[derive(Default)]
pub(super) struct Sample {
    info: Vec<u8>,
    lists: Vec<u8>,
    unit: usize,
    pub(super) types: Types,
}

impl Sample {
    /// With the unit `runtime`, and `main` begun; `version` is that of the producer.
    pub(super) fn new(version: &str) -> Self {
        let mut sample = Sample::default();
        sample.lists.extend([0; 12]);
        sample.begin_unit("runtime", 0, 0, version);
        let mut types = Types { int: sample.base("int", 5, 8, 2, 0x40), ..Types::default() };
        types.byte = sample.base("uint8", 7, 1, 8, 0x80);
        types.string = sample.structure("string", 16, 24, &[("str", 0, types.int), ("len", 8, types.int)]);
        types.padded = sample.structure("main.Padded", 16, 25, &[("a", 0, types.byte), ("b", 8, types.int)]);
        let four = [("a", 0, types.int), ("b", 8, types.int), ("c", 16, types.int), ("d", 24, types.int)];
        types.large = sample.structure("main.Large", 32, 25, &four);
        let five = [four.as_slice(), &[("e", 32, types.int)]].concat();
        types.five = sample.structure("main.Five", 40, 25, &five);
        types.pointer_to_int = sample.entry(16);
        sample.text("*int");
        sample.word(types.int);
        sample.info.push(22);
        sample.info.extend(0xc0u64.to_le_bytes());
        let alias = sample.entry(15);
        sample.text("main.Large");
        sample.word(types.large);
        // Variables name the type by its alias.
        types.large = alias;
        sample.end();
        sample.end_unit();
        sample.types = types;
        sample.begin_unit("main", START, END - START, version);
        sample
    }

    fn begin_unit(&mut self, name: &str, low_pc: u64, length: u64, version: &str) {
        self.unit = self.info.len();
        self.info.extend([0, 0, 0, 0, 5, 0, 1, 8, 0, 0, 0, 0]);
        self.entry(1);
        self.text(name);
        self.info.push(0x16);
        self.info.extend(low_pc.to_le_bytes());
        uleb(&mut self.info, length);
        self.text(&format!("Go cmd/compile {version}; regabi"));
    }

    fn end_unit(&mut self) {
        let length = (self.info.len() - self.unit - 4) as u32;
        self.info[self.unit..self.unit + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn entry(&mut self, abbreviation: u64) -> u32 {
        let at = self.info.len() as u32;
        uleb(&mut self.info, abbreviation);
        at
    }

    fn text(&mut self, text: &str) {
        self.info.extend(text.as_bytes());
        self.info.push(0);
    }

    fn word(&mut self, word: u32) {
        self.info.extend(word.to_le_bytes());
    }

    fn block(&mut self, bytes: &[u8]) {
        self.info.push(bytes.len() as u8);
        self.info.extend(bytes);
    }

    /// Ends a list of children.
    pub(super) fn end(&mut self) {
        self.info.push(0);
    }

    fn base(&mut self, name: &str, encoding: u8, size: u8, kind: u8, descriptor: u64) -> u32 {
        let at = self.entry(12);
        self.text(name);
        self.info.extend([encoding, size, kind]);
        self.info.extend(descriptor.to_le_bytes());
        at
    }

    fn structure(&mut self, name: &str, size: u64, kind: u8, fields: &[(&str, u64, u32)]) -> u32 {
        let at = self.entry(13);
        self.text(name);
        uleb(&mut self.info, size);
        self.info.push(kind);
        self.info.extend(0u64.to_le_bytes());
        for (name, offset, of) in fields {
            self.entry(14);
            self.text(name);
            uleb(&mut self.info, *offset);
            self.word(*of);
            self.info.push(0);
        }
        self.end();
        at
    }

    pub(super) fn function(&mut self, name: &str) {
        self.entry(2);
        self.text(name);
        self.info.extend(START.to_le_bytes());
        uleb(&mut self.info, END - START);
        self.block(&[0x9c]);
    }

    /// A function that is inlined, with a parameter; the parameter's offset and the function's.
    pub(super) fn inlinable(&mut self, name: &str, parameter: &str, of: u32) -> (u32, u32) {
        let function = self.entry(9);
        self.text(name);
        self.info.push(1);
        let at = self.entry(10);
        self.text(parameter);
        self.info.push(0);
        self.word(of);
        self.end();
        (at, function)
    }

    /// A call inlined, with its parameter: open until [`Sample::end`].
    pub(super) fn inlined(&mut self, of: (u32, u32), pcs: std::ops::Range<u64>, place: &[u8]) {
        self.entry(8);
        self.word(of.1);
        self.info.extend(pcs.start.to_le_bytes());
        self.info.extend(pcs.end.to_le_bytes());
        uleb(&mut self.info, 7);
        self.entry(11);
        self.word(of.0);
        self.block(place);
    }

    pub(super) fn block_of(&mut self, pcs: std::ops::Range<u64>) {
        self.entry(7);
        self.info.extend(pcs.start.to_le_bytes());
        self.info.extend(pcs.end.to_le_bytes());
    }

    pub(super) fn parameter(&mut self, name: &str, is_result: bool, of: u32, place: &[u8]) {
        self.entry(3);
        self.text(name);
        self.info.push(is_result.into());
        uleb(&mut self.info, 5);
        self.word(of);
        self.block(place);
    }

    pub(super) fn local(&mut self, name: &str, line: u64, of: u32, place: &[u8]) {
        self.entry(5);
        self.text(name);
        uleb(&mut self.info, line);
        self.word(of);
        self.block(place);
    }

    /// `list`: offsets from the start of the function, and where it is there.
    pub(super) fn listed(&mut self, name: &str, line: u64, of: u32, list: &[(u64, u64, Vec<u8>)]) {
        self.entry(6);
        self.text(name);
        uleb(&mut self.info, line);
        self.word(of);
        self.word(self.lists.len() as u32);
        for (start, end, place) in list {
            // DW_LLE_offset_pair.
            self.lists.push(4);
            uleb(&mut self.lists, *start);
            uleb(&mut self.lists, *end);
            uleb(&mut self.lists, place.len() as u64);
            self.lists.extend(place);
        }
        self.lists.push(0);
    }

    pub(super) fn type_parameter(&mut self) -> u32 {
        let at = self.entry(17);
        self.text(".param0");
        self.word(self.types.int);
        uleb(&mut self.info, 3);
        at
    }

    pub(super) fn package_variable(&mut self, name: &str, address: u64, of: u32) {
        self.entry(18);
        self.text(name);
        self.info.push(9);
        self.info.push(0x03);
        self.info.extend(address.to_le_bytes());
        self.word(of);
    }

    /// Ends the function and the unit.
    pub(super) fn sections(mut self) -> Vec<(Section, Vec<u8>)> {
        self.end();
        self.end();
        self.end_unit();
        let mut abbreviations = Vec::new();
        for (code, tag, children, attributes) in ABBREVIATIONS {
            uleb(&mut abbreviations, *code);
            uleb(&mut abbreviations, *tag);
            abbreviations.push(u8::from(*children));
            for (name, form) in attributes.iter().chain(&[(0, 0)]) {
                uleb(&mut abbreviations, *name);
                uleb(&mut abbreviations, *form);
            }
        }
        abbreviations.push(0);
        vec![
            (Section::Info, self.info),
            (Section::Abbreviations, abbreviations),
            (Section::LocationLists, self.lists),
        ]
    }

    pub(super) fn debug_info(self) -> DebugInfo {
        of_sections(&self.sections())
    }
}

pub(super) fn of_sections(sections: &[(Section, Vec<u8>)]) -> DebugInfo {
    let find = |section| sections.iter().find(|(other, _)| *other == section);
    let debug =
        DebugInfo::of_sections(|section| find(section).map(|(_, bytes)| Arc::new(bytes.clone()) as Bytes));
    debug.expect("sections")
}

/// `main.f` stands at this line.
pub(super) fn at_line(pc: u64, line: u32) -> Evidence {
    let call = Call { function: "main.f".to_owned(), line, scope_pc: pc };
    Evidence { calls: vec![call], ..Evidence::default() }
}
