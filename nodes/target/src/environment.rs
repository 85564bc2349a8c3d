//! What a process was started with (proc_pid_environ(5)): `NAME=value`, each with a zero byte behind it. It lies in the
//! process's own memory, so it takes the permission to read that, and the process may have written over it.

use crate::process::ProcessError;
use std::fs::File;
use std::io::{self, Read};

/// Arguments and environment together have at most 6 MiB at an exec (fs/exec.c, `bprm_stack_limits`).
const BYTES_MAX: u64 = 8 << 20;

/// `/proc/PID/environ`, open: who holds it may read it, and it stays that of the program that ran then.
#[derive(Debug)]
pub struct Environment {
    pid: u32,
    file: File,
}

impl Environment {
    pub(crate) fn open(pid: u32) -> Result<Environment, ProcessError> {
        let file = File::open(format!("/proc/{pid}/environ"));
        file.map(|file| Environment::of(pid, file)).map_err(|error| ProcessError::on(pid, "environ", error))
    }

    /// That of process `pid`, which somebody else opened.
    pub(crate) fn of(pid: u32, file: File) -> Environment {
        Environment { pid, file }
    }

    /// All of it, or none.
    pub fn read(self) -> Result<Vec<u8>, ProcessError> {
        let Environment { pid, file } = self;
        let mut bytes = Vec::new();
        let read = file.take(BYTES_MAX).read_to_end(&mut bytes).and_then(|length| match length as u64 {
            BYTES_MAX => Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes"))),
            _ => Ok(bytes),
        });
        read.map_err(|error| ProcessError::on(pid, "environ", error))
    }

    pub(crate) fn into_file(self) -> File {
        self.file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_was_started_with_a_path() {
        let bytes = Environment::open(std::process::id()).unwrap().read().unwrap();
        let path = format!("PATH={}", std::env::var("PATH").unwrap());
        assert!(bytes.split(|byte| *byte == 0).any(|entry| entry == path.as_bytes()));
    }

    #[test]
    fn one_without_end_is_none() {
        let endless = Environment::of(7, File::open("/dev/zero").unwrap());
        let error = endless.read().unwrap_err().to_string();
        assert!(error.starts_with("pid 7: /proc/7/environ: it has more than 8388608 bytes"), "{error}");
    }
}
