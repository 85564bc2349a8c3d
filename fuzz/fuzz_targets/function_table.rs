//! Any bytes as a function table, with the inline trees and argument programs behind it.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use stillframe_fuzz::{ADDRESS, elf};
use stillframe_golang::executable::Executable;
use stillframe_golang::function_table::FunctionTable;

#[derive(Arbitrary, Debug)]
struct Input {
    /// A valid header is put before the bytes: its words would take the fuzzer long to find.
    functions: u16,
    parts: [u16; 5],
    data: u16,
    minor: u8,
    pcs: Vec<u32>,
    bytes: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let mut content = vec![0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
    let mut words = vec![u64::from(input.functions), 1, 0];
    let mut parts = input.parts.map(|p| 72 + u64::from(p) % (input.bytes.len() as u64 + 2));
    parts.sort_unstable();
    words.extend(parts);
    content.extend(words.iter().flat_map(|w| w.to_le_bytes()));
    content.extend(&input.bytes);
    let data = ADDRESS + 120 + u64::from(input.data);
    let executable = Executable::parse(Arc::new(elf(&content))).expect("the file around it is whole");
    let Ok(table) = FunctionTable::read(&executable) else { return };
    let functions = table.functions(&executable, data, 20 + u32::from(input.minor % 10)).expect("it has just been read");
    let _ = functions.text_length();
    for pc in input.pcs.iter().map(|&pc| u64::from(pc)).take(64) {
        let Some(function) = functions.find(pc) else { continue };
        let _ = functions.name(&function);
        let _ = functions.stack_delta(&function, pc);
        let _ = functions.logical_frames(&function, pc);
        let _ = functions.argument_info(&function);
        let _ = functions.argument_liveness_index(&function, pc);
    }
});
