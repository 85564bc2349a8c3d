//! Any bytes as an executable: ELF, build id and Go build information.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use stillframe_golang::build::Identity;

fuzz_target!(|bytes: Vec<u8>| {
    if let Ok(identity) = Identity::read(Arc::new(bytes)) {
        let _ = identity.check();
    }
});
