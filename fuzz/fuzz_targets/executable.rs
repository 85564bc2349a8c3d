//! A real executable with damage: everything that is read of a build, debug information included.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use stillframe_fuzz::{Patch, prepared};
use stillframe_golang::build::Build;

static PROGRAM: LazyLock<Vec<u8>> = LazyLock::new(|| prepared("program"));

fuzz_target!(|patches: Vec<Patch>| {
    let mut file = PROGRAM.clone();
    for patch in &patches {
        let at = patch.at as usize % file.len();
        patch.bytes.apply(&mut file[at..]);
    }
    let _ = Build::read(Arc::new(file));
});
