//! Targets in containers with namespaces of their own, from the host and from a node in another container; and targets whose
//! executable is gone or another one since they started. What Go itself prints of their stacks is the oracle.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use stillframe_tests::comparison::{Comparison, compare_text};
use stillframe_tests::containers::{Container, Specification};
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, PATIENCE, Program, Running, poll};
use stillframe_tests::stillframe::{Ran, binary, dump, run, run_command, snapshot};
use stillframe_tests::traceback::{Goroutine, Traceback};

/// What README asks for.
const PTRACE: &str = "CAP_SYS_PTRACE";
const READ: &str = "CAP_DAC_READ_SEARCH";
/// For sockets only.
const ADMIN: &str = "CAP_SYS_ADMIN";

/// Exit code: `stillframe help exit-codes`.
const PERMISSION: i32 = 5;

/// Goroutines that `still` parks, at the least.
const GOROUTINES_MIN: usize = 240;
/// The main goroutine, which writes the text, and the one that handles the signal.
const NOT_COMPARED_MAX: usize = 3;

fn programs() -> Vec<Program> {
    let wanted = |p: &Program| {
        matches!((p.minor(), p.kind), (21, Kind::PieStripped) | (24, Kind::Cgo) | (27, Kind::Stripped))
    };
    let found: Vec<Program> = Program::all("still").into_iter().filter(wanted).collect();
    assert_eq!(found.len(), 3, "of {wanted:?}", wanted = ["1.21 pie-stripped", "1.24 cgo", "1.27 stripped"]);
    found
}

/// With a user namespace, as rootless containers have; and without, as Kubernetes starts them.
const USER_NAMESPACE: &[&str] = &["pid", "mount", "user", "network", "ipc", "uts"];
const NO_USER_NAMESPACE: &[&str] = &["pid", "mount", "network", "ipc", "uts"];

/// The program in a container, as a user of its own, readable to nobody else.
fn target(program: &Program, namespaces: &'static [&'static str]) -> (Container, u32) {
    let container = Container::new(&Specification {
        arguments: vec!["/still".into()],
        environment: vec!["PATH=/usr/bin".into(), "STILL_STACK=/tmp/stack".into()],
        namespaces,
        user: 1000,
        capabilities: Vec::new(),
        read_only: false,
        mounts: Vec::new(),
    });
    let copy = container.root().join("still");
    copy_file(&program.path, &copy);
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o500)).unwrap();
    let pid = container.start();
    (container, pid)
}

/// `stillframe snapshot` in a container that sees the host's processes and has these capabilities.
fn snapshot_in_container(pid: u32, file: &Path, capabilities: &[&'static str]) -> Ran {
    let (folder, name) = (file.parent().unwrap(), file.file_name().unwrap().to_str().unwrap());
    let program = format!("/stillframe/{}", binary().file_name().unwrap().to_str().unwrap());
    let arguments =
        ["snapshot", "--max-pause", "5s", "--pid", &pid.to_string(), "-o", &format!("/out/{name}")];
    let container = Container::new(&Specification {
        arguments: std::iter::once(program.as_str()).chain(arguments).map(str::to_owned).collect(),
        environment: vec!["PATH=/usr/bin".into(), "TMPDIR=/out".into()],
        namespaces: &["mount", "network", "ipc", "uts"],
        user: 0,
        capabilities: capabilities.to_vec(),
        read_only: true,
        mounts: vec![
            (binary().parent().unwrap().to_owned(), "/stillframe", "ro"),
            (folder.to_owned(), "/out", "rw"),
        ],
    });
    run_command(&mut container.command())
}

#[test]
fn targets_in_containers_are_captured_from_the_host_and_from_a_node_in_a_container() {
    let namespaces = [USER_NAMESPACE, NO_USER_NAMESPACE, USER_NAMESPACE];
    for (program, namespaces) in programs().into_iter().zip(namespaces) {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let (container, pid) = target(&program, namespaces);
        let what = |how: &str| format!("{program} with {namespaces:?}, {how}");
        let on_host = snapshot(pid, &file("host.db"));
        let in_container = snapshot_in_container(pid, &file("container.db"), &[PTRACE, READ, ADMIN]);
        let with_less = snapshot_in_container(pid, &file("less.db"), &[PTRACE, READ]);
        let go = printed(pid, &container.root().join("tmp/stack"));
        let after = snapshot(pid, &file("after.db"));
        assert_free(pid, &what("after four snapshots"));
        for (ran, name, gaps) in
            [(on_host, "host.db", 0), (in_container, "container.db", 0), (with_less, "less.db", 1)]
        {
            assert_eq!(ran.code, Some(0), "{}: {ran:?}", what(name));
            assert_whole(&what(name), &file(name), 1, gaps);
            assert_agrees(&what(name), &file(name), &go, &file("after.db"));
        }
        assert_eq!(after.code, Some(0), "{}: {after:?}", what("after"));
    }
}

/// Root may trace what runs in a user namespace that root made (user_namespaces(7)): the capability is needed without one.
#[test]
fn a_missing_capability_is_named_and_the_target_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let program = programs().pop().unwrap();
    let (_container, pid) = target(&program, NO_USER_NAMESPACE);
    for capabilities in [&[READ][..], &[]] {
        let file = folder.path().join("refused.db");
        let ran = snapshot_in_container(pid, &file, capabilities);
        assert_eq!(ran.code, Some(PERMISSION), "{capabilities:?}: {ran:?}");
        assert!(ran.stderr.contains(PTRACE), "{capabilities:?}: {ran:?}");
        assert!(!file.exists(), "{capabilities:?}: a file was left");
        assert_free(pid, &format!("{capabilities:?}"));
    }
    let file = folder.path().join("unreadable.db");
    let ran = snapshot_in_container(pid, &file, &[PTRACE]);
    assert_eq!(ran.code, Some(PERMISSION), "{ran:?}");
    assert!(ran.stderr.contains(READ), "{ran:?}");
    assert_free(pid, "without the right to read its executable");
}

#[test]
fn an_executable_that_is_gone_or_another_one_is_read_where_the_process_has_it() {
    let all = programs();
    let (program, other) = (&all[2], &all[0]);
    for (what, replaced) in [("deleted", false), ("replaced", true)] {
        let folder = tempfile::tempdir().unwrap();
        let (copy, stack) = (folder.path().join("still"), folder.path().join("stack"));
        copy_file(&program.path, &copy);
        let mut command = std::process::Command::new(&copy);
        let process = Running::start(command.env("STILL_STACK", &stack).env_remove("GOTRACEBACK"), None);
        std::fs::remove_file(&copy).unwrap();
        if replaced {
            copy_file(&other.path, &copy);
        }
        let (before, after) = (folder.path().join("before.db"), folder.path().join("after.db"));
        let ran = snapshot(process.pid(), &before);
        assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
        let go = printed(process.pid(), &stack);
        assert_eq!(snapshot(process.pid(), &after).code, Some(0), "{what}");
        assert_free(process.pid(), what);
        assert_whole(what, &before, process.pid(), 0);
        assert_agrees(what, &before, &go, &after);
    }
}

/// By another process: a file that this one has open for writing cannot be started while a test beside forks (ETXTBSY).
fn copy_file(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").args([from, to]).status().unwrap();
    assert!(status.success(), "cp {} {}: {status}", from.display(), to.display());
}

/// What Go prints of all goroutines when the program is asked for it.
fn printed(pid: u32, stack: &Path) -> Traceback {
    kill(Pid::from_raw(pid as i32), Signal::SIGUSR1).unwrap();
    let text = poll(PATIENCE, || std::fs::read_to_string(stack).ok());
    Traceback::parse(&text.expect("it writes its stacks")).unwrap()
}

/// No gap but so many about its sockets, every stack to its end, and the process's number in its own namespace.
fn assert_whole(what: &str, file: &Path, ns_pid: u32, gaps: u32) {
    let query = "SELECT (SELECT count(*) FROM gaps WHERE what <> 'sockets') AS others, \
                 (SELECT count(*) FROM gaps) AS gaps, \
                 (SELECT count(*) FROM stacks WHERE stop_reason <> 'complete') AS cut, \
                 (SELECT count(*) FROM goroutines) AS goroutines, ns_pid FROM processes";
    let ran = run(&["sql".as_ref(), "--json".as_ref(), file.as_os_str(), query.as_ref()]);
    assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
    let rows: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{what}: {e}: {ran:?}"));
    let text = rows.to_string();
    let numbers = [("gaps", gaps), ("others", 0), ("cut", 0), ("ns_pid", ns_pid)];
    for expected in numbers.map(|(name, number)| format!("\"{name}\":{number}")) {
        assert!(text.contains(&expected), "{what}: {expected} is not in {text}");
    }
}

fn assert_agrees(what: &str, before: &Path, go: &Traceback, after: &Path) {
    let (before, after) = (parse(before), parse(after));
    let (before, after): (BTreeMap<u64, &Goroutine>, _) = (before.by_goid(), after.by_goid());
    let mut comparison = Comparison::default();
    for (goid, go) in go.by_goid() {
        match (before.get(&goid), after.get(&goid)) {
            (Some(before), Some(after)) => compare_text(before, after, go, &mut comparison),
            (before, after) => comparison.differ(goid, "dumped", before.is_some(), after.is_some()),
        }
    }
    assert!(comparison.differences.is_empty(), "{what}: {}", comparison.differences.join("\n"));
    assert!(comparison.goroutines >= GOROUTINES_MIN - NOT_COMPARED_MAX, "{what}: {}", comparison.goroutines);
    assert!(comparison.not_compared.len() <= NOT_COMPARED_MAX, "{what}: {:?}", comparison.not_compared);
}

fn parse(file: &Path) -> Traceback {
    Traceback::parse(&dump(file, false)).unwrap()
}
