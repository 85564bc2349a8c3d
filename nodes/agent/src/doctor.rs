//! Whether captures can work on this host, and of one process; what to do where they cannot.
//!
//! Nothing is stopped for it.

use std::sync::Arc;

use stillframe_golang::build::Build;
use stillframe_golang::runtime::Runtime;
use stillframe_target::freezer::Freezer;

use crate::targets;

/// How one check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Good,
    /// Captures work, but less well.
    Warning,
    /// Captures do not work.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub outcome: Outcome,
    pub detail: String,
    /// What to do.
    pub remedy: Option<&'static str>,
}

/// Processes that may not be looked at, named one by one.
const DENIED_SHOWN_MAX: usize = 3;

/// Checks the host, and `pid` if one is given.
pub fn diagnose(freezer: &Freezer, pid: Option<u32>) -> Vec<Check> {
    let privileged = freezer.may_trace_all();
    let mut checks =
        vec![architecture(), privilege(privileged), yama(privileged), cpu_quota(), visible_targets(freezer)];
    if let Some(pid) = pid {
        checks.extend(target(freezer, pid));
    }
    checks
}

fn check(name: &'static str, outcome: Outcome, detail: impl Into<String>, remedy: &'static str) -> Check {
    let remedy = (outcome != Outcome::Good).then_some(remedy);
    Check { name, outcome, detail: detail.into(), remedy }
}

fn architecture() -> Check {
    let host = crate::host::facts();
    let outcome = if host.arch == "amd64" { Outcome::Good } else { Outcome::Failed };
    let detail = format!("{}, Linux {}", host.arch, host.kernel);
    check("architecture", outcome, detail, "run Stillframe on an amd64 host")
}

fn privilege(privileged: bool) -> Check {
    let (outcome, detail) = if privileged {
        (Outcome::Good, "CAP_SYS_PTRACE is there: processes of all users can be captured")
    } else {
        (Outcome::Warning, "no CAP_SYS_PTRACE: only processes of this user can be captured")
    };
    let remedy = "run as root, or: setcap cap_sys_ptrace,cap_dac_read_search=ep $(which stillframe)";
    check("privilege", outcome, detail, remedy)
}

/// Documentation/admin-guide/LSM/Yama.rst of the kernel.
fn yama(privileged: bool) -> Check {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    let scope = scope.as_deref().map_or("0", str::trim);
    let outcome = match scope {
        "0" => Outcome::Good,
        "3" => Outcome::Failed,
        _ if privileged => Outcome::Good,
        _ => Outcome::Failed,
    };
    let remedy = if scope == "3" {
        "kernel.yama.ptrace_scope is 3, which only a reboot lifts: set it to 2 or less at boot"
    } else {
        "grant CAP_SYS_PTRACE, or: sysctl kernel.yama.ptrace_scope=0"
    };
    check("ptrace scope", outcome, format!("kernel.yama.ptrace_scope = {scope}"), remedy)
}

/// A tracer that is denied the processor keeps its target waiting (cgroup-v2, cpu.max; cgroup-v1, cpu.cfs_quota_us).
fn cpu_quota() -> Check {
    let cgroups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let unified = cgroups.lines().find_map(|line| line.strip_prefix("0::"));
    let legacy = cgroups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        parts.next()?.split(',').any(|c| c == "cpu").then(|| parts.next()).flatten()
    });
    let quota = |path: String| std::fs::read_to_string(path).ok().map(|q| q.trim().to_owned());
    let limited = unified
        .and_then(|path| quota(format!("/sys/fs/cgroup{path}/cpu.max")))
        .filter(|q| !q.starts_with("max"))
        .or_else(|| {
            legacy
                .and_then(|p| quota(format!("/sys/fs/cgroup/cpu{p}/cpu.cfs_quota_us")))
                .filter(|q| q != "-1")
        });
    match limited {
        None => check("CPU quota", Outcome::Good, "none", ""),
        Some(quota) => check(
            "CPU quota",
            Outcome::Warning,
            format!("this process may be denied the processor while a target waits ({quota})"),
            "run Stillframe outside of a CPU-limited cgroup (no CPU limit on its container)",
        ),
    }
}

fn visible_targets(freezer: &Freezer) -> Check {
    match targets::list(freezer) {
        Err(error) => check("targets", Outcome::Failed, error.to_string(), "mount /proc"),
        Ok(found) => {
            let refused = found.targets.iter().filter(|t| t.refusal.is_some()).count();
            let mut detail =
                format!("{} Go processes, {refused} of them of an unsupported build", found.targets.len());
            for denied in found.denied.iter().take(DENIED_SHOWN_MAX) {
                detail.push_str("; ");
                detail.push_str(denied);
            }
            if let Some(more @ 1..) = found.denied.len().checked_sub(DENIED_SHOWN_MAX) {
                detail.push_str(&format!("; and {more} more processes may not be looked at"));
            }
            let outcome = if found.denied.is_empty() { Outcome::Good } else { Outcome::Warning };
            check(
                "targets",
                outcome,
                detail,
                "run as root with CAP_SYS_PTRACE to see the processes of all users",
            )
        }
    }
}

/// Everything up to the freeze, without freezing.
fn target(freezer: &Freezer, pid: u32) -> Vec<Check> {
    const TRY: &str = "see `stillframe ps` for the processes that can be captured";
    let mut checks = Vec::new();
    let target = match freezer.open(pid) {
        Ok(target) => target,
        Err(error) => return vec![check("process", Outcome::Failed, error.to_string(), TRY)],
    };
    let Some(exe) = target.process().exe.clone() else {
        return vec![check("process", Outcome::Failed, format!("pid {pid} is a kernel thread"), TRY)];
    };
    checks.push(check("process", Outcome::Good, format!("pid {pid} runs {exe}"), ""));
    let executable = target.executable().map_err(|e| e.to_string());
    let bytes = executable.and_then(|e| e.read(0, e.length()).map_err(|e| e.to_string()));
    let build = bytes.and_then(|bytes| Build::read(Arc::new(bytes)).map_err(|e| e.to_string()));
    let build = match build {
        Ok(build) => build,
        Err(error) => {
            checks.push(check("build", Outcome::Failed, error, TRY));
            return checks;
        }
    };
    let info = &build.identity.info;
    let cgo = info.settings.iter().any(|(key, value)| key == "CGO_ENABLED" && value == "1");
    checks.push(check(
        "build",
        Outcome::Good,
        format!("{}, build id {}", info.version, build.identity.id),
        "",
    ));
    if cgo {
        checks.push(check(
            "C code",
            Outcome::Warning,
            "built with cgo: a system call that C code is blocked in may return EINTR when the target is stopped",
            "Go's own runtime retries; make sure that the C code does, too (signal(7))",
        ));
    }
    let entry = target.auxiliary().ok().and_then(|a| a.entry());
    let bias = build.identity.executable.load_bias(entry.unwrap_or(build.identity.executable.entry));
    let memory = target.memory();
    checks.push(match Runtime::locate(&build, memory, bias).map(|runtime| runtime.goroutine_count(memory)) {
        Ok(count) => check("memory", Outcome::Good, format!("readable; records of {count} goroutines"), ""),
        Err(error) => check(
            "memory",
            Outcome::Failed,
            error.to_string(),
            "run as root or as the user of the process, with CAP_SYS_PTRACE if it changed its user",
        ),
    });
    checks
}
