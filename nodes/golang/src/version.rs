//! Go's versions, and the numbers that differ between them.

use std::fmt;

/// Minor versions (1.N) whose runtime Stillframe knows.
pub const MINOR_OLDEST: u32 = 21;
pub const MINOR_NEWEST: u32 = 27;

/// `go1.26.6`, with whatever stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoVersion {
    text: String,
    /// 26 in `go1.26.6`; `None` where the text is not of that form.
    pub minor: Option<u32>,
    /// 6 in `go1.26.6`; `None` for a release candidate or a development version. `go1.26` is 0.
    pub patch: Option<u32>,
    /// Experiments that differ from the version's default: `nodwarf5`.
    pub experiments: Vec<String>,
}

impl GoVersion {
    /// Never fails: a version that is not understood has no minor number.
    ///
    /// Forms: `go1.26.6`, `go1.27rc1`, `go1.26.6 X:nodwarf5,synctest`, `go1.26.6-vendor`,
    /// `devel go1.28-abcdef Tue ...` (`internal/buildcfg`, `cmd/dist/build.go`); since 1.26
    /// `go1.27.3-X:nodwarf5` (cmd/link/internal/ld/main.go).
    pub fn parse(text: &str) -> Self {
        let (plain, experiments) =
            text.split_once(" X:").or_else(|| text.split_once("-X:")).unwrap_or((text, ""));
        let number = plain.trim_start_matches("devel ").strip_prefix("go1.").unwrap_or_default();
        let (minor, behind) = digits(number);
        let patch = match behind.strip_prefix('.') {
            Some(patch) => digits(patch).0.parse().ok(),
            None if behind.is_empty() => Some(0),
            None => None,
        };
        GoVersion {
            text: plain.chars().take(100).collect(),
            minor: minor.parse().ok(),
            patch: patch.filter(|_| !plain.starts_with("devel")),
            experiments: experiments
                .split([',', ' '])
                .filter(|e| !e.is_empty())
                .take(100)
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// The digits that a text begins with, and what is behind them.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len())
}

impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a function is to the runtime (`internal/abi/symtab.go`, type FuncID), as far as tracebacks care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FunctionKind {
    Normal,
    AsyncPreempt,
    CgoCallback,
    CoroutineStart,
    DebugCall,
    Gopanic,
    HandleAsyncEvent,
    Panicwrap,
    RunCleanups,
    /// `runfinq` up to Go 1.24.
    RunFinalizers,
    RuntimeMain,
    Sigpanic,
    Wrapper,
    /// Any other that the runtime names.
    Other,
}

impl FunctionKind {
    /// Source: `internal/abi/symtab.go`, FuncID.
    //
    // @go const internal/abi.FuncIDNormal = 0
    // @go const internal/abi.FuncID_asyncPreempt = 3
    // @go const internal/abi.FuncID_cgocallback = 4
    // @go const internal/abi.FuncID_corostart = none (1.21), 5 (1.22..)
    // @go const internal/abi.FuncID_debugCallV2 = 5 (1.21), 6 (1.22..)
    // @go const internal/abi.FuncID_gopanic = 9 (1.21), 10 (1.22..)
    // @go const internal/abi.FuncID_handleAsyncEvent = 10 (1.21), 11 (1.22..)
    // @go const internal/abi.FuncID_panicwrap = 14 (1.21), 15 (1.22..)
    // @go const internal/abi.FuncID_runfinq = 16 (1.21), 17 (1.22..1.24), none (1.25..)
    // @go const internal/abi.FuncID_runFinalizers = none (..1.24), 18 (1.25..)
    // @go const internal/abi.FuncID_runCleanups = none (..1.24), 19 (1.25..)
    // @go const internal/abi.FuncID_runtime_main = 17 (1.21), 18 (1.22..1.24), 17 (1.25..)
    // @go const internal/abi.FuncID_sigpanic = 18 (1.21), 19 (1.22..1.24), 20 (1.25..)
    // @go const internal/abi.FuncIDWrapper = 21 (1.21), 22 (1.22..1.24), 23 (1.25..)
    pub(crate) fn of(id: u8, minor: u32) -> Self {
        use FunctionKind::*;
        match (id, minor) {
            (0, _) => Normal,
            (3, _) => AsyncPreempt,
            (4, _) => CgoCallback,
            (5, ..=21) => DebugCall,
            (9, ..=21) => Gopanic,
            (10, ..=21) => HandleAsyncEvent,
            (14, ..=21) => Panicwrap,
            (16, ..=21) => RunFinalizers,
            (17, ..=21) => RuntimeMain,
            (18, ..=21) => Sigpanic,
            (21, ..=21) => Wrapper,
            (_, ..=21) => Other,
            (5, _) => CoroutineStart,
            (6, _) => DebugCall,
            (10, _) => Gopanic,
            (11, _) => HandleAsyncEvent,
            (15, _) => Panicwrap,
            (17, ..=24) => RunFinalizers,
            (18, ..=24) => RuntimeMain,
            (19, ..=24) => Sigpanic,
            (22, ..=24) => Wrapper,
            (_, ..=24) => Other,
            (17, _) => RuntimeMain,
            (18, _) => RunFinalizers,
            (19, _) => RunCleanups,
            (20, _) => Sigpanic,
            (23, _) => Wrapper,
            _ => Other,
        }
    }

    /// Called by the signal handler in the place of an instruction, not by a call.
    //
    // @go source runtime.(*unwinder).symPC
    pub(crate) fn is_injected(self) -> bool {
        matches!(self, FunctionKind::Sigpanic | FunctionKind::AsyncPreempt | FunctionKind::DebugCall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_every_form_are_read() {
        let minor = |text: &str| GoVersion::parse(text).minor;
        assert_eq!(minor("go1.26.6"), Some(26));
        assert_eq!(minor("go1.27rc1"), Some(27));
        assert_eq!(minor("devel go1.28-abcdef Tue"), Some(28));
        assert_eq!(minor("go1.24.3-fips"), Some(24));
        assert_eq!(minor("gollvm"), None);
        assert_eq!(minor("go1."), None);
        assert_eq!(minor("go1.99999999999"), None);
        let patch = |text: &str| GoVersion::parse(text).patch;
        assert_eq!(patch("go1.26.6"), Some(6));
        assert_eq!(patch("go1.21"), Some(0));
        assert_eq!(patch("go1.24.3-fips"), Some(3));
        assert_eq!(patch("go1.27rc1"), None);
        assert_eq!(patch("devel go1.28-abcdef Tue"), None);
        let version = GoVersion::parse("go1.26.6 X:nodwarf5,synctest");
        assert_eq!(version.experiments, ["nodwarf5", "synctest"]);
        assert_eq!(version.to_string(), "go1.26.6");
        let version = GoVersion::parse("go1.27.3-X:mapsplitgroup");
        assert_eq!(version.experiments, ["mapsplitgroup"]);
        assert_eq!((version.minor, version.patch), (Some(27), Some(3)));
    }
}
