//! A coordinator and its nodes, on hosts of their own, with the command line under test.

use std::ffi::OsStr;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::agent::send;
use crate::hosts::{Hosts, Within, child_of};
use crate::programs::{PATIENCE, Program, Running, poll};
use crate::stillframe::{self, Ran, binary, isolate, run_command};

/// The host that has the coordinator.
pub const COORDINATOR: &str = "coordinator";
const USERS_AT: &str = "http://127.0.0.1:7480";
const NODES_PORT: u16 = 7443;

/// A server under test; killed when dropped.
pub struct Server {
    child: Child,
    /// The process itself, which may be a child of the child.
    pub pid: u32,
    log: PathBuf,
}

impl Server {
    fn start(command: &mut Command, is_child: bool, log: PathBuf) -> Server {
        let file = File::options().create(true).append(true).open(&log).expect("the folder is writable");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let pid = if is_child { child.id() } else { child_of(child.id()) };
        Server { child, pid, log }
    }

    /// All that it has logged, and those that ran before it under its name.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log is readable")
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let ended = poll(PATIENCE, || self.child.try_wait().expect("it is our child"));
        ended.unwrap_or_else(|| panic!("pid {} does not end:\n{}", self.pid, self.log()))
    }

    pub fn kill(&mut self) {
        send(self.pid, Signal::SIGKILL);
        self.child.wait().expect("it is our child");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub struct Cluster {
    // Before the hosts, as all fields are dropped in their order.
    pub coordinator: Server,
    pub nodes: Vec<Server>,
    pub hosts: Hosts,
    pub folder: TempDir,
    names: Vec<String>,
}

impl Cluster {
    /// `network`: see [`Hosts::make`]; each test has its own.
    pub fn start(network: &str, names: &[&str]) -> Cluster {
        let all: Vec<&str> = std::iter::once(COORDINATOR).chain(names.iter().copied()).collect();
        let hosts = Hosts::make(network, &all);
        let folder = tempfile::tempdir().expect("the folder for temporary files is writable");
        let coordinator = serve(&hosts, &folder);
        let credentials = folder.path().join("node.pem");
        let data = folder.path().join("data");
        let mut command = stillframe::command();
        command.arg("node-credentials").arg("--data").arg(data).arg("-o").arg(&credentials);
        let ran = run_command(&mut command);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let mut cluster = Cluster { coordinator, nodes: Vec::new(), hosts, folder, names };
        cluster.nodes = cluster.names.iter().map(|name| cluster.node(name)).collect();
        cluster.await_nodes();
        cluster
    }

    /// Starts a node on a host.
    pub fn node(&self, host: &str) -> Server {
        self.node_with(host, &[])
    }

    pub fn node_with(&self, host: &str, arguments: &[&OsStr]) -> Server {
        let mut command = self.hosts.command(host, Within::Host, binary());
        isolate(&mut command).args(["node", "--coordinator"]);
        command.arg(format!("{}:{NODES_PORT}", self.hosts.address(COORDINATOR)));
        command.arg("--credentials").arg(self.folder.path().join("node.pem")).args(arguments);
        Server::start(&mut command, false, self.folder.path().join(format!("node-{host}.log")))
    }

    /// Starts the coordinator again, on its data.
    pub fn restart_coordinator(&mut self) {
        self.coordinator.kill();
        self.coordinator = serve(&self.hosts, &self.folder);
    }

    /// Waits until all nodes are registered.
    pub fn await_nodes(&self) {
        let all = || {
            let ran = self.run(&["nodes", "--json"]);
            let answer: Value = serde_json::from_str(&ran.stdout).ok()?;
            let names: Vec<&str> =
                answer["nodes"].as_array()?.iter().filter_map(|n| n["name"].as_str()).collect();
            self.names.iter().all(|name| names.contains(&name.as_str())).then_some(())
        };
        if poll(PATIENCE, all).is_none() {
            let logs: Vec<String> = self.nodes.iter().map(Server::log).collect();
            panic!("not all nodes are registered:\n{}\n{}", self.coordinator.log(), logs.join("\n"));
        }
    }

    /// A verb of the command line that speaks to the coordinator, ready to run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = client(&self.hosts);
        command.args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        run_command(&mut self.command(arguments))
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("snapshot.db")
    }

    /// Of the coordinator's folder of snapshots.
    pub fn kept(&self) -> Vec<String> {
        let folder = self.folder.path().join("data/snapshots");
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// A program that prints `ready <pid> ...`, among the processes of a host, with the network of this test. And its pid
    /// as this test sees it.
    pub fn program(&self, host: &str, program: &Program) -> (Running, u32) {
        self.program_with(host, program, &[])
    }

    pub fn program_with(&self, host: &str, program: &Program, arguments: &[&OsStr]) -> (Running, u32) {
        let mut command = self.hosts.command(host, Within::Processes, &program.path);
        let running = Running::start(command.args(arguments), None);
        let pid = child_of(running.pid());
        (running, pid)
    }
}

fn client(hosts: &Hosts) -> Command {
    let mut command = hosts.command(COORDINATOR, Within::Network, binary());
    isolate(&mut command).env("STILLFRAME_COORDINATOR", USERS_AT);
    command
}

fn serve(hosts: &Hosts, folder: &TempDir) -> Server {
    let mut command = hosts.command(COORDINATOR, Within::Network, binary());
    isolate(&mut command).args([
        "serve",
        "--listen",
        &format!("{}:{NODES_PORT}", hosts.address(COORDINATOR)),
        "--data",
    ]);
    command.arg(folder.path().join("data"));
    let server = Server::start(&mut command, true, folder.path().join("coordinator.log"));
    let answers = || (run_command(client(hosts).arg("nodes")).code == Some(0)).then_some(());
    assert!(poll(PATIENCE, answers).is_some(), "the coordinator does not answer:\n{}", server.log());
    server
}
