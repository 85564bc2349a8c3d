//! Hosts on this machine: a network, processes and a name of its own each, as `tools/hosts.sh` makes them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::agent::send;
use crate::programs::{PATIENCE, poll};

/// Gone, with all that runs there, when dropped.
pub struct Hosts {
    hosts: BTreeMap<String, Host>,
    /// Of nsenter, for a user who is not root.
    as_user: Vec<String>,
}

struct Host {
    pid: u32,
    address: String,
}

/// Which part of a host a process lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// All of it.
    Host,
    /// Its processes and its name, with the network of this test.
    Processes,
    /// Its network and its name, with the processes of this test.
    Network,
}

impl Hosts {
    /// `network`: the first three bytes of their addresses, as text. The first host has the bridge. Fails where the kernel
    /// permits no namespaces.
    pub fn make(network: &str, names: &[&str]) -> Hosts {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/hosts.sh");
        let text = r#"set -eu; source "$1"; shift; make_hosts "$@"; echo "user ${hosts_user[*]}"
            for name in "${!host_pid[@]}"; do echo "host $name ${host_pid[$name]} $(address_of "$name")"; done"#;
        let output = Command::new("bash").args(["-c", text, "hosts", script, network]).args(names).output();
        let output = output.expect("bash runs");
        let said = String::from_utf8(output.stdout).expect("names are plain");
        assert!(output.status.success(), "no hosts can be made: {}", String::from_utf8_lossy(&output.stderr));
        let mut made = Hosts { hosts: BTreeMap::new(), as_user: Vec::new() };
        for line in said.lines() {
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["user", options @ ..] => made.as_user = options.iter().map(|o| (*o).to_owned()).collect(),
                ["host", name, pid, address] => {
                    let host = Host { pid: pid.parse().expect("a pid"), address: (*address).to_owned() };
                    made.hosts.insert((*name).to_owned(), host);
                }
                _ => panic!("tools/hosts.sh says {line:?}"),
            }
        }
        assert_eq!(made.hosts.len(), names.len(), "{said}");
        made
    }

    pub fn address(&self, host: &str) -> &str {
        &self.host(host).address
    }

    /// A program there. It is the child's only child, except in [`Within::Network`], where it is the child itself.
    pub fn command(&self, host: &str, within: Within, program: impl AsRef<OsStr>) -> Command {
        let namespaces: &[&str] = match within {
            Within::Host => &["--net", "--uts", "--pid", "--mount"],
            Within::Processes => &["--uts", "--pid", "--mount"],
            Within::Network => &["--net", "--uts"],
        };
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.host(host).pid.to_string());
        command.args(&self.as_user).args(namespaces).arg("--").arg(program);
        command
    }

    fn host(&self, name: &str) -> &Host {
        self.hosts.get(name).unwrap_or_else(|| panic!("there is no host {name}"))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in self.hosts.values() {
            send(host.pid, Signal::SIGKILL);
        }
    }
}

/// The only child of a process, once it is there (proc_pid_task_children: /proc/PID/task/TID/children).
pub fn child_of(pid: u32) -> u32 {
    let child = || {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    };
    poll(PATIENCE, child).unwrap_or_else(|| panic!("pid {pid} has no child"))
}
