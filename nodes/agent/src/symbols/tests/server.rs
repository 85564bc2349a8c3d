//! debuginfod, by a server that does what it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::*;

/// What it answers to `GET /buildid/ID/WHAT`.
#[derive(Clone)]
enum Answer {
    File(Vec<u8>),
    /// With chunks of unknown number.
    Chunked(Vec<u8>),
    /// Announced whole, and cut.
    Truncated(Vec<u8>),
    Status(u16),
    /// Ever more.
    Endless,
    /// Announced with this length.
    Announced(u64),
    /// Nothing until the test says so.
    Waits(Arc<Mutex<Receiver<()>>>, Vec<u8>),
    Silent,
}

struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(debuginfo: Answer, executable: Answer) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (debuginfo, executable, heard) =
                    (debuginfo.clone(), executable.clone(), Arc::clone(&heard));
                std::thread::spawn(move || {
                    let Some(path) = path(&stream) else { return };
                    heard.lock().unwrap().push(path.clone());
                    let answer = match path.strip_prefix(&format!("/buildid/{ID_TEXT}/")) {
                        Some("debuginfo") => debuginfo,
                        Some("executable") => executable,
                        _ => Answer::Status(404),
                    };
                    // The client may have seen enough.
                    let _ = answer.say(stream);
                });
            }
        });
        Server { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|path| path.rsplit('/').next().unwrap().to_owned()).collect()
    }
}

fn path(stream: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    lines.map_while(Result::ok).find(String::is_empty)?;
    first.strip_prefix("GET ")?.split(' ').next().map(str::to_owned)
}

impl Answer {
    fn say(self, mut stream: TcpStream) -> std::io::Result<()> {
        let head =
            |length: u64| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        match self {
            Answer::File(bytes) => {
                stream.write_all(head(bytes.len() as u64).as_bytes())?;
                stream.write_all(&bytes)
            }
            Answer::Chunked(bytes) => {
                stream.write_all(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
                )?;
                for piece in bytes.chunks(100) {
                    write!(stream, "{:x}\r\n", piece.len())?;
                    stream.write_all(piece)?;
                    stream.write_all(b"\r\n")?;
                }
                stream.write_all(b"0\r\n\r\n")
            }
            Answer::Truncated(bytes) => {
                stream.write_all(head(bytes.len() as u64).as_bytes())?;
                stream.write_all(&bytes[..bytes.len() / 2])
            }
            Answer::Status(status) => write!(
                stream,
                "HTTP/1.1 {status} Status\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
            ),
            Answer::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                loop {
                    stream.write_all(&[0x7f; 4_096])?;
                }
            }
            Answer::Announced(length) => stream.write_all(head(length).as_bytes()),
            Answer::Waits(go, bytes) => {
                let _ = go.lock().unwrap().recv();
                Answer::File(bytes).say(stream)
            }
            Answer::Silent => {
                // Until the client has gone.
                let _ = stream.read(&mut [0; 1]);
                Ok(())
            }
        }
    }
}

fn host(servers: &[&Server]) -> Host {
    let mut host = Host::new(&stripped());
    host.config.debuginfod.urls = servers.iter().map(|server| server.url.clone()).collect();
    host
}

#[test]
fn a_server_that_has_it_is_asked_once() {
    for answer in [Answer::File(separate().bytes()), Answer::Chunked(separate().bytes())] {
        let server = Server::start(answer, Answer::Status(404));
        let host = host(&[&server]);
        assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO);
        // Neither the builds that were decompressed nor this process remember it.
        std::fs::remove_dir_all(host.config.builds().unwrap()).unwrap();
        assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO);
        assert_eq!(server.asked(), ["debuginfo"]);
    }
}

#[test]
fn nothing_is_asked_that_is_not_named() {
    let server = Server::start(Answer::File(separate().bytes()), Answer::Status(404));
    let host = Host::new(&stripped());
    reason(host.ask(&host.symbols()));
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn an_executable_that_was_not_stripped_will_do() {
    let whole = Elf::of_build(&ID).with(".text", b"code").with(".debug_info", INFO);
    let server = Server::start(Answer::Status(404), Answer::File(whole.bytes()));
    let host = host(&[&server]);
    assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO);
    assert_eq!(server.asked(), ["debuginfo", "executable"]);
}

#[test]
fn the_next_server_is_asked_when_one_has_nothing_or_fails() {
    for bad in [Answer::Status(404), Answer::Status(500), Answer::File(b"<html>".to_vec())] {
        let first = Server::start(bad, Answer::Status(404));
        let second = Server::start(Answer::File(separate().bytes()), Answer::Status(404));
        let host = host(&[&first, &second]);
        assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO);
    }
}

#[test]
fn that_no_server_has_it_is_remembered_for_a_time() {
    let server = Server::start(Answer::Status(404), Answer::Status(404));
    let host = host(&[&server]);
    for _ in 0..2 {
        // Each time another process.
        let reason = reason(host.ask(&host.symbols()));
        assert!(reason.starts_with("no debug information:"), "{reason}");
    }
    assert_eq!(server.asked(), ["debuginfo", "executable"]);
    super::super::folder::set_used(&host.config.symbols().unwrap().join("abcdef01.absent"), 1_000);
    reason(host.ask(&host.symbols()));
    assert_eq!(server.asked().len(), 4);
    // What is pushed then is there at once.
    host.push(&separate().bytes()).unwrap();
    assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO);
}

#[test]
fn what_the_standard_client_did_not_find_is_not_asked_for() {
    let server = Server::start(Answer::File(separate().bytes()), Answer::Status(404));
    let host = host(&[&server]);
    let marker = write(&host.path("debuginfod_client/abcdef01/debuginfo"), b"");
    reason(host.ask(&host.symbols()));
    assert_eq!(server.asked(), [""; 0]);
    super::super::folder::set_used(&marker, 1_000);
    assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO);
}

#[test]
fn bad_answers_are_named_and_nothing_of_them_is_kept() {
    let other = Elf::of_build(&[1, 2, 3, 4]).with(".debug_info", INFO);
    for (answer, why) in [
        (Answer::Status(500), "500"),
        (Answer::Truncated(separate().bytes()), "/debuginfo:"),
        (Answer::File(separate().bytes()[..300].to_vec()), "damaged ELF file"),
        (Answer::File(other.bytes()), "it is of another build (01020304)"),
        (Answer::File(stripped().bytes()), "it has no debug information"),
        (Answer::File(b"<html>not here</html>".to_vec()), "it is no ELF file"),
        (Answer::Endless, "more than 1048576 bytes (DEBUGINFOD_MAXSIZE)"),
        (Answer::Announced(1 << 40), "more than 1048576 bytes (DEBUGINFOD_MAXSIZE)"),
    ] {
        let server = Server::start(answer, Answer::Status(404));
        let host = host(&[&server]);
        let reason = reason(host.ask(&host.symbols()));
        assert!(reason.contains(why) && reason.contains(&server.url), "{why}: {reason}");
        let kept: Vec<String> = std::fs::read_dir(host.config.symbols().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(kept.iter().all(|name| name == "abcdef01.absent"), "{why}: {kept:?}");
    }
}

#[test]
fn a_slow_server_delays_for_a_bounded_time_and_its_file_is_there_later() {
    let (let_go, go) = channel();
    let waits = Answer::Waits(Arc::new(Mutex::new(go)), separate().bytes());
    let server = Server::start(waits, Answer::Status(404));
    let mut host = host(&[&server]);
    host.config.wait = Duration::from_millis(100);
    let symbols = host.symbols();
    for _ in 0..3 {
        let began = Instant::now();
        assert!(matches!(host.ask(&symbols), Err(Missing::Pending)));
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    let_go.send(()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let sections = loop {
        match host.ask(&symbols) {
            Ok(sections) => break sections,
            Err(missing) => assert_eq!(missing, Missing::Pending),
        }
        assert!(Instant::now() < deadline);
    };
    assert_eq!(section(&sections, ".debug_info"), INFO);
    assert_eq!(server.asked(), ["debuginfo"]);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let server = Server::start(Answer::Silent, Answer::Silent);
    let mut host = host(&[&server]);
    host.config.debuginfod.answer_within = Duration::from_millis(200);
    let reason = reason(host.ask(&host.symbols()));
    assert!(reason.contains("timeout"), "{reason}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let mut host = Host::new(&stripped());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    host.config.debuginfod.urls = vec![format!("http://{closed}")];
    let reason = reason(host.ask(&host.symbols()));
    assert!(reason.contains(&closed.to_string()), "{reason}");
}

#[test]
fn without_a_folder_it_is_fetched_all_the_same() {
    let server = Server::start(Answer::File(separate().bytes()), Answer::Status(404));
    let mut host = host(&[&server]);
    host.config.folder = None;
    assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO);
}
