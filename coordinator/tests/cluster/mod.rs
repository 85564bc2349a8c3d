//! A coordinator's server with scripted nodes over QUIC, and the command line that talks to it.

use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use stillframe::server::{Config, Server, StartError, write_node_credentials};
use stillframe_actors::capture::actor::{Host, Spool};
use stillframe_actors::clock::Clock;
use stillframe_actors::connection::{Later, Reading, write_frame};
use stillframe_actors::node;
use stillframe_actors::node::actor::Status;
use stillframe_actors::node::state::Identity;
use stillframe_actors::quic::{self, Credentials, Quic};
use stillframe_wire::batch::batches;
use stillframe_wire::facts::{HostFacts, PauseWindow};
use stillframe_wire::message::{FailureClass, InstanceId, ReadyTarget, Refusal, Selector};
use tokio::sync::watch;

use crate::synthetic;

pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn clock() -> Clock {
    let started = UNIX_EPOCH.elapsed().unwrap();
    let zero = tokio::time::Instant::now();
    Clock::new(move || (started + zero.elapsed()).as_nanos() as i64)
}

fn now_unix_ns() -> i64 {
    UNIX_EPOCH.elapsed().unwrap().as_nanos() as i64
}

/// One process that can be captured, and maybe one that ends meanwhile.
pub struct Scripted {
    pub pid: u32,
    pub goroutines: u64,
    pub with_lost: bool,
    /// While it is set no capture ends.
    pub stuck: Arc<AtomicBool>,
}

impl Scripted {
    pub fn new(pid: u32, goroutines: u64) -> Scripted {
        Scripted { pid, goroutines, with_lost: false, stuck: Arc::default() }
    }
}

struct Memory {
    goroutines: u64,
    bytes: Vec<u8>,
}

impl Spool for Memory {
    fn goroutines(&self) -> u64 {
        self.goroutines
    }

    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self) -> io::Result<Reading> {
        Ok(Box::new(Cursor::new(self.bytes.clone())))
    }
}

impl Host for Scripted {
    fn find(&self, selector: Selector) -> Later<(Vec<ReadyTarget>, Duration)> {
        let target = |pid| ReadyTarget { pid, program: "shop".into(), refusal: None };
        let mut targets = vec![target(self.pid)];
        targets.extend(self.with_lost.then(|| target(1)));
        targets.retain(|target| selector.pids.is_empty() || selector.pids.contains(&target.pid));
        Box::pin(async move { (targets, Duration::from_millis(1)) })
    }

    fn capture(
        &self,
        pid: u32,
        _: Option<Duration>,
        resumed: Box<dyn FnOnce(PauseWindow) + Send>,
    ) -> Later<Result<Box<dyn Spool>, Refusal>> {
        let (own, goroutines, stuck) = (self.pid, self.goroutines, Arc::clone(&self.stuck));
        Box::pin(async move {
            if pid != own {
                return Err(Refusal { class: FailureClass::Vanished, reason: "it ended".into() });
            }
            let facts = synthetic::process(pid, goroutines, 10);
            resumed(facts.pause.unwrap());
            while stuck.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let mut bytes = Vec::new();
            for batch in batches(facts) {
                write_frame(&mut bytes, &batch).await.unwrap();
            }
            Ok(Box::new(Memory { goroutines, bytes }) as Box<dyn Spool>)
        })
    }
}

pub fn config(data: &Path) -> Config {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Config { data: data.to_owned(), listen: any, http: any, segmentation: true }
}

pub async fn try_serve(data: &Path) -> Result<Server, StartError> {
    Server::start(&config(data), clock()).await
}

/// On a free port each.
pub async fn serve(data: &Path) -> Server {
    try_serve(data).await.unwrap()
}

/// With the credentials of a data folder, which need not be the coordinator's own.
pub fn node(data: &Path, coordinator: SocketAddr, name: &str, host: Scripted) -> watch::Receiver<Status> {
    node_with(&credentials(data), coordinator, name, host)
}

/// As `stillframe node-credentials` gives them.
pub fn credentials(data: &Path) -> Credentials {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.pem");
    write_node_credentials(data, &file, now_unix_ns()).unwrap();
    Credentials::from_pem(&std::fs::read_to_string(&file).unwrap()).unwrap()
}

pub fn node_with(
    credentials: &Credentials,
    coordinator: SocketAddr,
    name: &str,
    host: Scripted,
) -> watch::Receiver<Status> {
    let client = quic::client_config(credentials.client().unwrap(), quic::transport(true)).unwrap();
    let endpoint = quic::bind("127.0.0.1:0".parse().unwrap(), None, &[8; 64]).unwrap();
    let dial = Arc::new(Quic { endpoint, client, coordinator });
    let instance = u64::from(host.pid);
    let facts = HostFacts { hostname: format!("host-{name}"), ..synthetic::host() };
    let identity = Identity { name: name.into(), instance: InstanceId(instance), host: facts };
    // It runs until the test's runtime ends.
    let (_, status) = node::actor::start(identity, dial, Arc::new(host), instance, clock());
    status
}

pub async fn until(status: &mut watch::Receiver<Status>, is: impl FnMut(&Status) -> bool) {
    tokio::time::timeout(PATIENCE, status.wait_for(is)).await.expect("in time").unwrap();
}

pub async fn registered(status: &mut watch::Receiver<Status>) {
    until(status, |status| matches!(status, Status::Registered(_))).await;
}

pub fn command(http: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillframe"));
    command.args(arguments).env("STILLFRAME_COORDINATOR", format!("http://{http}"));
    command
}

/// The command line; its exit code, stdout and stderr.
pub async fn run(http: SocketAddr, arguments: &[&str]) -> (i32, String, String) {
    let mut command = command(http, arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    ended(output)
}

pub fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A run that must go well, and its JSON.
pub async fn json(http: SocketAddr, arguments: &[&str]) -> Value {
    let mut arguments = arguments.to_vec();
    arguments.push("--json");
    let (code, out, errors) = run(http, &arguments).await;
    assert_eq!(code, 0, "{arguments:?}: {errors}");
    serde_json::from_str(&out).unwrap()
}

/// A command that runs beside the test.
pub struct Beside {
    child: Child,
    errors: BufReader<std::process::ChildStderr>,
    pub said: String,
}

impl Beside {
    pub fn start(mut command: Command) -> Beside {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        Beside { child, errors, said: String::new() }
    }

    /// Reads stderr until a line has this text.
    pub fn until(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.errors.read_line(&mut line).unwrap();
            self.said.push_str(&line);
            assert_ne!(read, 0, "{text} was not said: {}", self.said);
            if line.contains(text) {
                return line;
            }
        }
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Its exit code; `None`: a signal ended it.
    pub fn end(&mut self) -> Option<i32> {
        self.errors.read_to_string(&mut self.said).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It has ended, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One HTTP exchange, byte by byte; the status and the whole answer.
pub async fn exchange(http: SocketAddr, request: String) -> (u16, String) {
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // A server that has seen enough may answer and close before it has read all.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    let answer = answer.await.unwrap();
    let status = answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap();
    (status, answer)
}

pub async fn request(http: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(http, text).await
}

pub fn snapshots(data: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> =
        std::fs::read_dir(data.join("snapshots")).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}
