//! Users of a coordinator: the built command line, and HTTP byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use uuid::Uuid;

use super::{PATIENCE, text};

pub fn command(http: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillframe"));
    command.args(arguments).env("STILLFRAME_COORDINATOR", format!("http://{http}")).stdin(Stdio::null());
    command
}

/// The command line; its exit code, stdout and stderr.
pub async fn run(http: SocketAddr, arguments: &[&str]) -> (i32, String, String) {
    let mut command = command(http, arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    ended(output)
}

fn ended(output: Output) -> (i32, String, String) {
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

/// What a snapshot file answers.
pub async fn rows(file: &Path, query: &str) -> Value {
    let nobody = "127.0.0.1:1".parse().unwrap();
    json(nobody, &["sql", text(file), query]).await
}

/// A command that runs beside the test.
pub struct Beside {
    child: Child,
    errors: BufReader<ChildStderr>,
    pub said: String,
}

pub fn start(mut command: Command) -> Beside {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let errors = BufReader::new(child.stderr.take().unwrap());
    Beside { child, errors, said: String::new() }
}

impl Beside {
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

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
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

/// One HTTP exchange; the status and the whole answer.
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
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    exchange(http, head + body).await
}

/// The body of an order of everything.
pub fn order(id: Uuid, label: &str) -> String {
    serde_json::json!({ "id": id, "within_ns": 60_000_000_000_u64, "label": label }).to_string()
}

/// All events of an order, once it has ended.
pub async fn events(http: SocketAddr, id: Uuid) -> Vec<Value> {
    let (status, answer) = request(http, "GET", &format!("/api/v1/orders/{id}/events"), "").await;
    assert_eq!(status, 200, "{answer}");
    let of_line = |line: &str| serde_json::from_str(line.strip_prefix("data: ")?).ok();
    answer.lines().filter_map(of_line).collect()
}

/// One of the coordinator's counts, by its name and labels.
pub async fn metric(http: SocketAddr, name: &str) -> u64 {
    let (_, answer) = request(http, "GET", "/metrics", "").await;
    let value = answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("{name}: {answer}"))
}
