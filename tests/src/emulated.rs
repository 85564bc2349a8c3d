//! Go programs for arm64, run by qemu-user, and copies of what a capture reads of them: recordings, which Stillframe takes as
//! core files.
//!
//! qemu-user maps the program's memory into its own, at the same addresses (`guest_base` is 0 where a 64-bit program runs on
//! a 64-bit host), and gives each of the program's threads one of its own with the same id. What it does not show is their
//! registers: the recordings are of goroutines that are parked, or in a system call.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use stillframe_golang::build::Build;
use stillframe_golang::gather::gather;
use stillframe_golang::memory::{Image, Memory, Segment, Unreadable};
use stillframe_golang::runtime::Runtime;
use stillframe_target::auxiliary::Auxiliary;
use stillframe_target::freeze::{Ended, Pause};
use stillframe_target::mappings::mappings;
use stillframe_target::memory::LiveMemory;
use stillframe_target::recording::{Recording, write_recording};
use stillframe_target::registers::Machine;

use crate::process_state::threads;
use crate::programs::{PATIENCE, Running, pause, poll};

/// Debian's package qemu-user.
const EMULATOR: &str = "qemu-aarch64";
/// Where position-independent programs find their loader: Debian's package libc6-arm64-cross.
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";

/// getauxval(3).
const AT_ENTRY: u64 = 9;

/// Whether programs for arm64 can be run here.
pub fn is_there() -> bool {
    let runs = Command::new(EMULATOR).arg("--version").output().is_ok_and(|ran| ran.status.success());
    runs && Path::new(LIBRARIES).join("lib/ld-linux-aarch64.so.1").exists()
}

/// A program for arm64 that stands still.
pub struct Emulated {
    pub process: Running,
    exe: PathBuf,
    build: Build,
}

impl Emulated {
    /// Starts a program that says `ready`. `set` may set its environment.
    pub fn start(exe: &Path, errors: Option<&Path>, set: impl FnOnce(&mut Command)) -> Emulated {
        let mut command = Command::new(EMULATOR);
        set(command.args(["-L", LIBRARIES]).arg(exe));
        let bytes = std::fs::read(exe).unwrap_or_else(|e| panic!("{}: {e}", exe.display()));
        let build = Build::read(Arc::new(bytes)).unwrap_or_else(|e| panic!("{}: {e}", exe.display()));
        Emulated { process: Running::start(&mut command, errors), exe: exe.to_owned(), build }
    }

    /// Waits until it has nothing to do, stops it, writes what a capture reads of it, and lets it go on.
    pub fn record(&self, core: &Path) {
        let pid = self.process.pid();
        self.await_quiet();
        let begun = Instant::now();
        let pause_start_ns = unix_ns();
        self.process.signal(Signal::SIGSTOP);
        let stopped = || threads(pid).iter().all(|thread| thread.state == 'T').then_some(());
        poll(PATIENCE, stopped).unwrap_or_else(|| panic!("pid {pid} does not stop"));
        let (frozen, frozen_start_ns, frozen_monotonic_ns) = (Instant::now(), unix_ns(), monotonic_ns());

        let executable = &self.build.identity.executable;
        let entry = self.entry();
        let recorder = Recorder { memory: LiveMemory::new(pid).unwrap(), read: Mutex::default() };
        let runtime = Runtime::locate(&self.build, &recorder, executable.load_bias(entry))
            .unwrap_or_else(|e| panic!("{}: {e}", self.exe.display()));
        gather(&runtime, &recorder, &[], None, None, &|| true);
        let frozen = frozen.elapsed();
        self.process.signal(Signal::SIGCONT);

        let lasted = begun.elapsed();
        let ended = Ended::Asked;
        let recording = Recording {
            pid,
            machine: Machine::Arm64,
            image: &Image::from_segments(recorder.read.into_inner().unwrap()),
            threads: &[],
            auxiliary: &Auxiliary { entries: vec![(AT_ENTRY, entry)] },
            mappings: &[],
            pause: Some(Pause {
                pause_start_ns,
                pause: lasted,
                frozen_start_ns,
                frozen,
                frozen_monotonic_ns,
                ended,
            }),
        };
        let file = std::fs::File::create(core).unwrap_or_else(|e| panic!("{}: {e}", core.display()));
        write_recording(&mut std::io::BufWriter::new(file), &recording).unwrap();
    }

    /// Until no thread of it has run in a few looks.
    fn await_quiet(&self) {
        const LOOKS: usize = 10;
        let mut quiet = 0;
        let look = || {
            pause(Duration::from_millis(20));
            let sleeps = threads(self.process.pid()).iter().all(|thread| thread.state == 'S');
            quiet = if sleeps { quiet + 1 } else { 0 };
            (quiet >= LOOKS).then_some(())
        };
        poll(PATIENCE, look).unwrap_or_else(|| panic!("{} does not stand still", self.exe.display()));
    }

    /// Where the program begins in memory: the auxiliary vector that the kernel shows is the emulator's.
    fn entry(&self) -> u64 {
        let executable = &self.build.identity.executable;
        let exe = self.exe.canonicalize().unwrap();
        let found = mappings(self.process.pid()).unwrap();
        let first = found.iter().find(|m| Path::new(&m.path) == exe && m.offset == 0);
        let first = first.unwrap_or_else(|| panic!("{} is not mapped", exe.display()));
        let headers =
            executable.segments.iter().find(|s| s.file_offset == 0).expect("its headers are loaded");
        if !executable.position_independent {
            assert_eq!(first.start, headers.address, "{EMULATOR} maps the program to other addresses");
        }
        executable.entry - headers.address + first.start
    }
}

fn unix_ns() -> i64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("it is later than 1970").as_nanos() as i64
}

fn monotonic_ns() -> i64 {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has this clock"));
    now.as_nanos() as i64
}

/// Hands through every read, and keeps what was read.
struct Recorder {
    memory: LiveMemory,
    read: Mutex<Vec<Segment>>,
}

impl Memory for Recorder {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.memory.read(address, buffer)?;
        self.read.lock().unwrap().push(Segment { address, bytes: buffer.to_vec() });
        Ok(())
    }
}
