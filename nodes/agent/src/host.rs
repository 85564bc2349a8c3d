//! What the host is.

use std::fs::File;
use std::io::Read;
use stillframe_wire::facts::HostFacts;

/// Of the kernel that runs: random(4), `boot_id`. Empty: it does not say.
fn boot_id() -> String {
    const BYTES_MAX: u64 = 64;
    let mut text = String::new();
    match File::open("/proc/sys/kernel/random/boot_id")
        .and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text))
    {
        Ok(_) => text.trim_end().to_owned(),
        Err(_) => String::new(),
    }
}

pub fn facts() -> HostFacts {
    let text = |s: &std::ffi::OsStr| s.to_string_lossy().into_owned();
    let uname = nix::sys::utsname::uname();
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    HostFacts {
        hostname: uname.as_ref().map(|u| text(u.nodename())).unwrap_or_default(),
        kernel: uname.as_ref().map(|u| text(u.release())).unwrap_or_default(),
        arch: arch.to_owned(),
        node_version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: boot_id(),
    }
}
