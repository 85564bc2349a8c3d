//! What the host is.

use stillframe_wire::facts::HostFacts;

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
    }
}
