//! What the decoder has to know of the process, besides its memory and its types.

use crate::layout::Channel;
use crate::runtime::Runtime;
use crate::types::TypeRef;

/// Of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// 26 in Go 1.26.
    pub minor: u32,
    pub maps: Maps,
    /// Where type descriptors of the program lie: `moduledata.types` and `moduledata.etypes`. Those that `reflect` has made
    /// are elsewhere.
    pub types: u64,
    pub types_end: u64,
    pub(crate) channel: Channel,
    /// Address of `net/netip.z4`, where that is known.
    pub(crate) netip_z4: Option<u64>,
}

/// How maps are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maps {
    /// Buckets: up to Go 1.23, and with GOEXPERIMENT=noswissmap in 1.24 and 1.25.
    Classic,
    /// Groups of keys and elements in turn.
    Swiss,
    /// Groups of keys, then elements: GOEXPERIMENT=mapsplitgroup, which Go 1.27 has.
    SwissSplit,
}

impl Maps {
    // internal/buildcfg/exp.go and internal/goexperiment/flags.go: the version's text names what differs from the default.
    fn of(minor: u32, experiments: &[String]) -> Self {
        let with = |name: &str| experiments.iter().any(|e| e == name);
        match minor {
            ..=23 => Maps::Classic,
            24 | 25 if with("noswissmap") => Maps::Classic,
            _ if with("mapsplitgroup") => Maps::SwissSplit,
            _ => Maps::Swiss,
        }
    }
}

impl Facts {
    pub fn of(runtime: &Runtime<'_>) -> Self {
        let build = runtime.build;
        Facts {
            minor: build.minor,
            maps: Maps::of(build.minor, &build.identity.info.version.experiments),
            types: runtime.types,
            types_end: runtime.types_end,
            channel: build.layouts.channel.clone(),
            netip_z4: build.variables.netip_z4.map(|address| runtime.address(address)),
        }
    }
}

/// What is known of the program's code.
pub trait Code {
    /// The function that begins at `pc`.
    fn function(&self, pc: u64) -> Option<String>;

    /// What a closure whose code begins at `pc` has captured, where debug information tells (`go_closure_offset`, Go 1.23
    /// and later). Empty: nothing, or not known.
    fn captured(&self, pc: u64) -> Vec<Captured>;
}

/// A variable that a closure holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    pub name: String,
    /// The variable's type.
    pub of: TypeRef,
    /// From the start of the closure.
    pub offset: u64,
    /// What lies there is a pointer to the variable.
    pub by_reference: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_of_the_release_and_its_experiments() {
        let of = |minor, experiments: &[&str]| {
            Maps::of(minor, &experiments.iter().map(|e| e.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(of(23, &[]), Maps::Classic);
        assert_eq!(of(24, &[]), Maps::Swiss);
        assert_eq!(of(25, &["nodwarf5", "noswissmap"]), Maps::Classic);
        assert_eq!(of(27, &["mapsplitgroup"]), Maps::SwissSplit);
    }
}
