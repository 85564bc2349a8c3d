//! What to do about a refused permission.

use crate::privilege::{may_read_all, may_trace_all};

/// What the user has to change so that tracing a process is permitted (ptrace(2), "Ptrace access mode checking" and
/// "/proc/sys/kernel/yama/ptrace_scope").
pub(crate) fn for_denied_tracing() -> String {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok();
    advice(scope.as_deref().map(str::trim))
}

/// The same for a file of the process that could not be opened: a process that may be traced has files that only their owner
/// may read (capabilities(7)).
pub(crate) fn for_denied_file() -> String {
    if may_trace_all() && !may_read_all() {
        return "grant CAP_DAC_READ_SEARCH, too: only its owner may read it".to_owned();
    }
    for_denied_tracing()
}

fn advice(scope: Option<&str>) -> String {
    match scope {
        Some("3") => {
            "kernel.yama.ptrace_scope is 3, which forbids tracing to everyone until the next boot; set it to 2 or \
             lower and reboot"
                .to_owned()
        }
        Some(scope) => {
            format!("run as root or grant CAP_SYS_PTRACE (kernel.yama.ptrace_scope is {scope})")
        }
        None => "run as root or grant CAP_SYS_PTRACE".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_named() {
        assert_eq!(advice(Some("1")), "run as root or grant CAP_SYS_PTRACE (kernel.yama.ptrace_scope is 1)");
        assert!(advice(Some("3")).contains("reboot"));
        assert_eq!(advice(None), "run as root or grant CAP_SYS_PTRACE");
    }
}
