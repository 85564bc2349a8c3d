//! From the domain's types to what is said on a socket, and back. Nothing is lost but the allocation of an error's text.

use super::message::*;
use crate::freeze::{Ended, FreezeError, Pause, Unstopped, UnstoppedReason};
use crate::process::{Fate, Namespaces, Process, ProcessError};
use std::io;
use stillframe_golang::thread::{Registers, Thread};

/// `$a` and `$b` are enums with these variants, which hold the same.
macro_rules! same_variants {
    ($a:ty, $b:ty, $($variant:ident),+) => {
        impl From<$a> for $b {
            fn from(value: $a) -> Self {
                match value { $(<$a>::$variant => <$b>::$variant),+ }
            }
        }
        impl From<$b> for $a {
            fn from(value: $b) -> Self {
                match value { $(<$b>::$variant => <$a>::$variant),+ }
            }
        }
    };
}

same_variants!(Fate, FateRecord, Same, Execed, Gone);
same_variants!(Ended, EndedRecord, Asked, Budget, Died, Failed);
same_variants!(UnstoppedReason, UnstoppedReasonRecord, Vfork, Uninterruptible, NotScheduled);

impl From<Process> for ProcessRecord {
    fn from(process: Process) -> Self {
        let Namespaces { mount, network, pid, user } = process.namespaces;
        ProcessRecord {
            pid: process.pid,
            ns_pid: process.ns_pid,
            in_pid_namespace: process.in_pid_namespace,
            uid: process.uid,
            started_unix_ns: process.started_unix_ns,
            start_ticks: process.start_ticks,
            start_stack: process.start_stack,
            exe: process.exe,
            comm: process.comm,
            cmdline: process.cmdline,
            threads: process.threads,
            container_id: process.container_id,
            namespaces: [mount, network, pid, user],
        }
    }
}

impl From<ProcessRecord> for Process {
    fn from(record: ProcessRecord) -> Self {
        let [mount, network, pid, user] = record.namespaces;
        Process {
            pid: record.pid,
            ns_pid: record.ns_pid,
            in_pid_namespace: record.in_pid_namespace,
            uid: record.uid,
            started_unix_ns: record.started_unix_ns,
            start_ticks: record.start_ticks,
            start_stack: record.start_stack,
            exe: record.exe,
            comm: record.comm,
            cmdline: record.cmdline,
            threads: record.threads,
            container_id: record.container_id,
            namespaces: Namespaces { mount, network, pid, user },
        }
    }
}

impl From<Thread> for ThreadRecord {
    fn from(Thread { tid, ns_tid, registers }: Thread) -> Self {
        let registers = registers.map(|Registers { pc, general, thread_pointer, syscall_number }| {
            RegistersRecord { pc, general, thread_pointer, syscall_number }
        });
        ThreadRecord { tid, ns_tid, registers }
    }
}

impl From<ThreadRecord> for Thread {
    fn from(ThreadRecord { tid, ns_tid, registers }: ThreadRecord) -> Self {
        let registers = registers.map(|RegistersRecord { pc, general, thread_pointer, syscall_number }| {
            Registers { pc, general, thread_pointer, syscall_number }
        });
        Thread { tid, ns_tid, registers }
    }
}

impl From<Unstopped> for UnstoppedRecord {
    fn from(Unstopped { tid, reason }: Unstopped) -> Self {
        UnstoppedRecord { tid, reason: reason.into() }
    }
}

impl From<UnstoppedRecord> for Unstopped {
    fn from(UnstoppedRecord { tid, reason }: UnstoppedRecord) -> Self {
        Unstopped { tid, reason: reason.into() }
    }
}

impl From<Pause> for PauseRecord {
    fn from(pause: Pause) -> Self {
        let Pause { pause_start_ns, pause, frozen_start_ns, frozen, frozen_monotonic_ns, ended } = pause;
        let ended = ended.into();
        PauseRecord { pause_start_ns, pause, frozen_start_ns, frozen, frozen_monotonic_ns, ended }
    }
}

impl From<PauseRecord> for Pause {
    fn from(record: PauseRecord) -> Self {
        let PauseRecord { pause_start_ns, pause, frozen_start_ns, frozen, frozen_monotonic_ns, ended } =
            record;
        Pause { pause_start_ns, pause, frozen_start_ns, frozen, frozen_monotonic_ns, ended: ended.into() }
    }
}

impl From<io::Error> for SystemFailure {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => SystemFailure::Number(number),
            None => SystemFailure::Text(error.to_string()),
        }
    }
}

impl From<SystemFailure> for io::Error {
    fn from(failure: SystemFailure) -> Self {
        match failure {
            SystemFailure::Number(number) => io::Error::from_raw_os_error(number),
            SystemFailure::Text(text) => io::Error::other(text),
        }
    }
}

impl From<ProcessError> for ProcessFailure {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::NotFound { pid } => ProcessFailure::NotFound { pid },
            ProcessError::Exited { pid } => ProcessFailure::Exited { pid },
            ProcessError::Denied { pid, file, remedy } => {
                ProcessFailure::Denied { pid, file: file.into_owned(), remedy }
            }
            ProcessError::Unreadable { pid, file, source } => {
                ProcessFailure::Unreadable { pid, file: file.into_owned(), source: source.into() }
            }
            ProcessError::NoProc(source) => ProcessFailure::NoProc(source.into()),
        }
    }
}

impl From<ProcessFailure> for ProcessError {
    fn from(failure: ProcessFailure) -> Self {
        match failure {
            ProcessFailure::NotFound { pid } => ProcessError::NotFound { pid },
            ProcessFailure::Exited { pid } => ProcessError::Exited { pid },
            ProcessFailure::Denied { pid, file, remedy } => {
                ProcessError::Denied { pid, file: file.into(), remedy }
            }
            ProcessFailure::Unreadable { pid, file, source } => {
                ProcessError::Unreadable { pid, file: file.into(), source: source.into() }
            }
            ProcessFailure::NoProc(source) => ProcessError::NoProc(source.into()),
        }
    }
}

impl From<FreezeError> for FreezeFailure {
    fn from(error: FreezeError) -> Self {
        match error {
            FreezeError::Itself { pid } => FreezeFailure::Itself { pid },
            FreezeError::KernelThread { pid } => FreezeFailure::KernelThread { pid },
            FreezeError::Exited { pid } => FreezeFailure::Exited { pid },
            FreezeError::Replaced { pid } => FreezeFailure::Replaced { pid },
            FreezeError::Execed { pid } => FreezeFailure::Execed { pid },
            FreezeError::AlreadyTraced { pid, tracer } => FreezeFailure::AlreadyTraced { pid, tracer },
            FreezeError::Denied { pid, remedy } => FreezeFailure::Denied { pid, remedy },
            FreezeError::Budget { pid, budget, budget_max } => {
                FreezeFailure::Budget { pid, budget, budget_max }
            }
            FreezeError::System { pid, doing, source } => {
                FreezeFailure::System { pid, doing: doing.into_owned(), source: source.into() }
            }
            FreezeError::Lost { pid } => FreezeFailure::Lost { pid },
            FreezeError::Process(error) => FreezeFailure::Process(error.into()),
        }
    }
}

impl From<FreezeFailure> for FreezeError {
    fn from(failure: FreezeFailure) -> Self {
        match failure {
            FreezeFailure::Itself { pid } => FreezeError::Itself { pid },
            FreezeFailure::KernelThread { pid } => FreezeError::KernelThread { pid },
            FreezeFailure::Exited { pid } => FreezeError::Exited { pid },
            FreezeFailure::Replaced { pid } => FreezeError::Replaced { pid },
            FreezeFailure::Execed { pid } => FreezeError::Execed { pid },
            FreezeFailure::AlreadyTraced { pid, tracer } => FreezeError::AlreadyTraced { pid, tracer },
            FreezeFailure::Denied { pid, remedy } => FreezeError::Denied { pid, remedy },
            FreezeFailure::Budget { pid, budget, budget_max } => {
                FreezeError::Budget { pid, budget, budget_max }
            }
            FreezeFailure::System { pid, doing, source } => {
                FreezeError::System { pid, doing: doing.into(), source: source.into() }
            }
            FreezeFailure::Lost { pid } => FreezeError::Lost { pid },
            FreezeFailure::Process(failure) => FreezeError::Process(failure.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use stillframe_wire::codec;

    /// There and back: the same class, with the same text.
    fn crosses(error: FreezeError) {
        let (class, text) = (std::mem::discriminant(&error), error.to_string());
        let body = codec::encode(&FreezeFailure::from(error)).unwrap();
        let back = FreezeError::from(codec::decode::<FreezeFailure>(&body).unwrap());
        assert_eq!((std::mem::discriminant(&back), back.to_string()), (class, text));
    }

    #[test]
    fn every_error_keeps_its_class_and_its_text() {
        let pid = 4711;
        let remedy = || "run as root".to_owned();
        let source = || io::Error::from_raw_os_error(nix::libc::EIO);
        let budget = Duration::from_micros(1);
        for error in [
            FreezeError::Itself { pid },
            FreezeError::KernelThread { pid },
            FreezeError::Exited { pid },
            FreezeError::Replaced { pid },
            FreezeError::Execed { pid },
            FreezeError::AlreadyTraced { pid, tracer: 1 },
            FreezeError::Denied { pid, remedy: remedy() },
            FreezeError::Budget { pid, budget, budget_max: crate::freeze::BUDGET_MAX },
            FreezeError::System { pid, doing: "stat".into(), source: source() },
            FreezeError::System { pid, doing: "stat".into(), source: io::Error::other("not a stat") },
            FreezeError::Lost { pid },
            FreezeError::Process(ProcessError::NotFound { pid }),
            FreezeError::Process(ProcessError::Exited { pid }),
            FreezeError::Process(ProcessError::Denied { pid, file: "exe".into(), remedy: remedy() }),
            FreezeError::Process(ProcessError::Unreadable { pid, file: "exe".into(), source: source() }),
            FreezeError::Process(ProcessError::NoProc(source())),
        ] {
            crosses(error);
        }
    }

    #[test]
    fn a_process_crosses_whole() {
        let process = crate::process::find(std::process::id()).unwrap();
        let body = codec::encode(&ProcessRecord::from(process.clone())).unwrap();
        assert_eq!(Process::from(codec::decode::<ProcessRecord>(&body).unwrap()), process);
    }

    #[test]
    fn the_threads_of_one_frame_fit_into_it() {
        let registers = RegistersRecord {
            pc: u64::MAX,
            general: vec![u64::MAX; crate::registers::WORDS_MAX],
            thread_pointer: u64::MAX,
            syscall_number: i64::MIN,
        };
        let thread = ThreadRecord { tid: u32::MAX, ns_tid: u32::MAX, registers: Some(registers) };
        let threads = vec![thread; THREADS_PER_FRAME];
        assert!(codec::encode(&TargetReply::Threads { threads, more: true }).is_ok());
    }
}
