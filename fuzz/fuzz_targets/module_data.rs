//! The real memory of a process with damage, in what the runtime says of the program: module data and wait reasons.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use stillframe_fuzz::recorded::Recorded;
use stillframe_fuzz::{Patch, prepared};
use stillframe_golang::build::Build;
use stillframe_golang::memory::Image;
use stillframe_golang::runtime::Runtime;

static BUILD: LazyLock<Build> = LazyLock::new(|| Build::read(Arc::new(prepared("program"))).unwrap());
static RECORDED: LazyLock<Recorded> = LazyLock::new(|| Recorded::from_bytes(&prepared("memory")));

#[derive(arbitrary::Arbitrary, Debug)]
struct Input {
    bias: Option<u64>,
    patches: Vec<Patch>,
}

fuzz_target!(|input: Input| {
    let bias = input.bias.unwrap_or_else(|| BUILD.identity.executable.load_bias(RECORDED.entry));
    // Small segments are those that `Runtime::locate` has read.
    let mut segments = RECORDED.image.segments().to_vec();
    let small: Vec<usize> = (0..segments.len()).filter(|&i| segments[i].bytes.len() <= 1024).collect();
    for patch in &input.patches {
        let segment = &mut segments[small[patch.at as usize % small.len()]];
        let at = (patch.at as usize / small.len()) % segment.bytes.len();
        patch.bytes.apply(&mut segment.bytes[at..]);
    }
    let _ = Runtime::locate(&BUILD, &Image::from_segments(segments), bias);
});
