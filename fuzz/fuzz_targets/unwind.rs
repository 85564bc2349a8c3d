//! The real memory and registers of a process with damage: goroutine records, threads, stacks, labels.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use stillframe_fuzz::recorded::Recorded;
use stillframe_fuzz::{Patch, prepared};
use stillframe_golang::build::Build;
use stillframe_golang::decode::decode;
use stillframe_golang::gather::gather;
use stillframe_golang::memory::Image;
use stillframe_golang::runtime::Runtime;

static BUILD: LazyLock<Build> = LazyLock::new(|| Build::read(Arc::new(prepared("program"))).unwrap());
static RECORDED: LazyLock<Recorded> = LazyLock::new(|| Recorded::from_bytes(&prepared("memory")));

#[derive(arbitrary::Arbitrary, Debug)]
struct Input {
    patches: Vec<Patch>,
    registers: Vec<(u8, u8, u64)>,
    now: i64,
    rounds: Option<u8>,
}

fuzz_target!(|input: Input| {
    let bias = BUILD.identity.executable.load_bias(RECORDED.entry);
    let runtime = Runtime::locate(&BUILD, &RECORDED.image, bias).expect("the recording is whole");
    let mut segments = RECORDED.image.segments().to_vec();
    for patch in &input.patches {
        let index = patch.at as usize % segments.len();
        let segment = &mut segments[index];
        let at = (patch.at as usize / 7) % segment.bytes.len();
        patch.bytes.apply(&mut segment.bytes[at..]);
    }
    let mut threads = RECORDED.threads.clone();
    for (thread, register, value) in &input.registers {
        let index = usize::from(*thread) % threads.len();
        if let Some(registers) = &mut threads[index].registers {
            let count = registers.general.len();
            match registers.general.get_mut(usize::from(*register) % (count + 1)) {
                Some(place) => *place = *value,
                None => registers.pc = *value,
            }
        }
    }
    let image = Image::from_segments(segments);
    let left = std::cell::Cell::new(input.rounds.map_or(u32::MAX, u32::from));
    let gathered = gather(&runtime, &image, &threads, None, None, &|| {
        left.set(left.get().saturating_sub(1));
        left.get() > 0
    });
    decode(&runtime, gathered, &threads, Some(input.now));
});
