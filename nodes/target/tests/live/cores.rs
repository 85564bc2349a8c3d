//! Core files made by gdb are read, and gdb reads ours.

use crate::common::{Target, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use stillframe_golang::memory::{Image, Memory, Segment};
use stillframe_golang::thread::Thread;
use stillframe_target::auxiliary;
use stillframe_target::core::CoreFile;
use stillframe_target::executable::Executable;
use stillframe_target::freeze::freeze;
use stillframe_target::mappings::{FileMapping, exe_base, mappings};
use stillframe_target::process;
use stillframe_target::recording::{Recording, write_recording};
use stillframe_target::registers::Machine;

const BUDGET: Duration = Duration::from_secs(10);

/// Whether a tool is there; says so if not.
fn is_there(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    if !there {
        println!("skipped: {tool} is not installed");
    }
    there
}

fn stopped_target() -> Target {
    let target = Target::go("idle", &[]);
    target.line();
    kill(Pid::from_raw(target.pid() as i32), Signal::SIGSTOP).unwrap();
    wait_until("it is stopped", || target.states().iter().all(|(state, _)| *state == 'T'));
    target
}

fn sorted(threads: &[Thread]) -> Vec<Thread> {
    let mut threads = threads.to_vec();
    threads.sort_by_key(|t| t.tid);
    threads
}

fn sp(thread: &Thread) -> u64 {
    let number = if Machine::HERE == Machine::Amd64 { 7 } else { 31 };
    thread.registers.as_ref().unwrap().general[number]
}

#[test]
fn a_core_of_gcore_equals_the_frozen_process() {
    if !is_there("gcore") {
        return;
    }
    let target = stopped_target();
    let pid = target.pid();
    let frozen = freeze(&target.process(), BUDGET).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let threads = frozen.threads().to_vec();
    let ranges: Vec<(u64, usize)> = mappings(pid)
        .unwrap()
        .iter()
        .filter(|m| m.readable && m.writable && m.path != "[vvar]")
        .map(|m| (m.start, (m.end - m.start).min(1 << 20) as usize))
        .collect();
    let live: Vec<_> =
        ranges.iter().map(|(start, length)| frozen.memory().read_bytes(*start, *length)).collect();
    assert!(frozen.is_frozen());
    frozen.resume();

    let made = Command::new("gcore")
        .arg("-o")
        .arg(folder.path().join("core"))
        .arg(pid.to_string())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let core = CoreFile::open(folder.path().join(format!("core.{pid}"))).unwrap();

    assert_eq!(core.machine(), Machine::HERE);
    assert_eq!(core.pid(), Some(pid));
    assert!(!core.is_recording() && !core.is_cut() && core.pause().is_none());
    assert_eq!(sorted(core.threads()), sorted(&threads));
    assert_eq!(core.auxiliary(), &auxiliary::of_process(pid).unwrap());
    let mut bytes = 0;
    for ((start, length), live) in ranges.iter().zip(live) {
        if let (Ok(live), Ok(of_core)) = (live, core.read_bytes(*start, *length)) {
            assert!(live == of_core, "memory at {start:#x} differs");
            bytes += length;
        }
    }
    println!("{} threads and {bytes} bytes of memory are equal", threads.len());
    assert!(bytes > 1 << 20);
    let of_executable: Vec<&FileMapping> =
        core.mappings().iter().filter(|m| m.path.contains("/idle-")).collect();
    assert!(!of_executable.is_empty());
    let live: Vec<FileMapping> = mappings(pid).unwrap().iter().filter_map(|m| m.of_file()).collect();
    assert!(of_executable.iter().all(|m| live.contains(m)), "{of_executable:?} {live:?}");
}

#[test]
fn gdb_reads_a_recording() {
    if !is_there("gdb") {
        return;
    }
    let target = stopped_target();
    let pid = target.pid();
    let folder = tempfile::tempdir().unwrap();
    let auxiliary = auxiliary::of_process(pid).unwrap();
    let mappings: Vec<FileMapping> = mappings(pid).unwrap().iter().filter_map(|m| m.of_file()).collect();
    let frozen = freeze(&target.process(), BUDGET).unwrap();
    let memory = frozen.memory();
    let stacks = frozen.threads().iter().map(sp);
    let image = Image::from_segments(
        stacks.map(|sp| Segment { address: sp, bytes: memory.read_bytes(sp, 64).unwrap() }),
    );
    assert!(frozen.is_frozen());
    let threads = frozen.threads().to_vec();
    let pause = frozen.resume();

    let path: PathBuf = folder.path().join("recording.core");
    let recording = Recording {
        pid,
        machine: Machine::HERE,
        image: &image,
        threads: &threads,
        auxiliary: &auxiliary,
        mappings: &mappings,
        pause: Some(pause),
    };
    write_recording(&mut BufWriter::new(File::create(&path).unwrap()), &recording).unwrap();
    let core = CoreFile::open(&path).unwrap();
    assert_eq!((core.threads(), core.pause()), (&*threads, Some(pause)));

    let script = "printf \"<%d %#lx %#lx>\\n\", $_thread, $pc, *(unsigned long*)$sp";
    let output = Command::new("gdb")
        .args(["-nx", "-batch", "-ex", &format!("thread apply all -q {script}"), "-c"])
        .arg(&path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for (i, thread) in threads.iter().enumerate() {
        let top = core.read_u64(sp(thread)).unwrap();
        let top = if top == 0 { "0".to_owned() } else { format!("{top:#x}") };
        let expected = format!("<{} {:#x} {top}>", i + 1, thread.registers.as_ref().unwrap().pc);
        assert!(
            text.contains(&expected),
            "{expected} is not in {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_base_and_the_executable_of_a_go_program() {
    let target = Target::go("idle", &[]);
    target.line();
    let pid = target.pid();
    let executable = Executable::open(pid).unwrap();
    let header = executable.read(0, 64).unwrap();
    let base = exe_base(
        &mappings(pid).unwrap(),
        auxiliary::of_process(pid).unwrap().entry(),
        Some(executable.identity()),
    );
    let memory = stillframe_target::memory::LiveMemory::new(pid).unwrap();
    assert_eq!(memory.read_bytes(base.unwrap(), 64).unwrap(), header);
    assert_eq!(executable.identity(), Executable::open(pid).unwrap().identity());
}

#[test]
fn a_deleted_executable_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gone");
    std::fs::copy(crate::common::build_go("idle"), &path).unwrap();
    let target = Target::start(&mut Command::new(&path));
    target.line();
    std::fs::remove_file(&path).unwrap();
    let found = process::find(target.pid()).unwrap();
    assert_eq!(found.exe.unwrap(), format!("{} (deleted)", path.display()));
    assert_eq!(Executable::open(target.pid()).unwrap().read(0, 4).unwrap(), b"\x7fELF");
}
