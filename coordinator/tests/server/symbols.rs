//! Debug information: pushed by the command line, kept by the coordinator, handed to nodes that ask.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stillframe_actors::capture::actor::{CaptureOrder, Host, Link, Spool};
use stillframe_actors::connection::Later;
use stillframe_actors::node;
use stillframe_actors::node::actor::Status;
use stillframe_actors::node::state::Identity;
use stillframe_actors::order::Stop;
use stillframe_actors::symbols::ask;
use stillframe_node::symbols::config::Config as SymbolsConfig;
use stillframe_node::symbols::{Coordinator, Missing, Symbols, Wanted};
use stillframe_wire::facts::PauseWindow;
use stillframe_wire::message::{InstanceId, ReadyTarget, Refusal, Selector};
use stillframe_wire::symbols::SYMBOLS_ASKED_MAX;
use tokio::io::AsyncReadExt;

use crate::cluster::*;
use crate::elf::Elf;

const ID: &str = "abcdef01";
/// More than fits into a stream's window at once.
const INFO_BYTES: usize = 20 << 20;

fn debug_file() -> Vec<u8> {
    let info: Vec<u8> = (0..INFO_BYTES as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    Elf::of_build(&[0xab, 0xcd, 0xef, 1]).with(".debug_info", &info).with(".debug_abbrev", b"a").bytes()
}

fn write(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// A host that captures nothing, and asks for symbols.
#[derive(Default)]
struct Asking {
    coordinator: Coordinator,
    link: Mutex<Option<Link>>,
}

impl Host for Asking {
    fn find(&self, _: Selector, _: Stop, _: Arc<str>) -> Later<(Vec<ReadyTarget>, Duration)> {
        Box::pin(async { (Vec::new(), Duration::ZERO) })
    }

    fn capture(
        &self,
        _: CaptureOrder,
        _: Box<dyn FnOnce(PauseWindow) + Send>,
    ) -> Later<Result<Box<dyn Spool>, Refusal>> {
        Box::pin(std::future::pending())
    }

    fn linked(&self, link: Link) {
        *self.link.lock().unwrap() = Some(link.clone());
        self.coordinator.linked(link);
    }
}

/// A node that is registered, and how it asks.
async fn node(
    data: &Path,
    server: &stillframe::server::Server,
) -> (Arc<Asking>, tokio::sync::watch::Receiver<Status>) {
    let host = Arc::new(Asking::default());
    let identity = Identity { name: "a".into(), instance: InstanceId(1), host: host_facts("a") };
    let dial = dial(&credentials(data), server.listen);
    let (_, mut status) = node::actor::start(identity, dial, host.clone(), 1, clock());
    let registered = status.wait_for(|status| matches!(status, Status::Registered(_)));
    tokio::time::timeout(PATIENCE, registered).await.unwrap().unwrap();
    (host, status)
}

fn symbols(folder: &Path, coordinator: &Coordinator) -> Symbols {
    let mut config = SymbolsConfig::of_environment(PATIENCE);
    config.folder = Some(folder.join("cache"));
    config.debug_folders.clear();
    config.debuginfod.urls.clear();
    config.debuginfod.client_cache.clear();
    Symbols::new(config, Some(coordinator.clone()))
}

/// What a node finds for a stripped executable of that build.
async fn found(symbols: &Symbols, folder: &Path) -> Result<Vec<u8>, Missing> {
    let stripped = Elf::of_build(&[0xab, 0xcd, 0xef, 1]).with(".text", b"code").bytes();
    let executable = std::fs::File::open(write(folder, "program", &stripped)).unwrap();
    let symbols = symbols.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let wanted = Wanted { build_id: ID, executable: &executable, path: None, pid: None };
        let found = symbols.sections(&wanted, symbols.patience());
        found.map(|sections| (*sections.get(".debug_info").unwrap()).as_ref().to_vec())
    });
    asked.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_reaches_a_node_and_what_is_deleted_does_not() {
    let (data, folder) = (folder(), folder());
    let server = serve(data.path()).await;
    let (host, _status) = node(data.path(), &server).await;
    let file = debug_file();
    let path = write(folder.path(), "program.debug", &file);

    let symbols = symbols(folder.path(), &host.coordinator);
    assert_eq!(found(&symbols, folder.path()).await, Err(Missing::Nowhere(Vec::new())));

    let pushed = json(server.http, &["symbols", "push", text(&path)]).await;
    assert_eq!((pushed["build_id"].as_str(), pushed["bytes"].as_u64()), (Some(ID), Some(file.len() as u64)));
    let list = json(server.http, &["symbols", "list"]).await;
    assert_eq!(list["symbols"][0]["build_id"], ID);
    assert_eq!(list["symbols"].as_array().unwrap().len(), 1);

    // That there was none does not count for long.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let info = found(&symbols, folder.path()).await.unwrap();
    assert_eq!(info.len(), INFO_BYTES);
    assert!(file.windows(64).any(|window| window == &info[..64]));
    // What came is kept by the node.
    assert_eq!(std::fs::read(folder.path().join("cache/symbols/abcdef01.debug")).unwrap(), file);

    json(server.http, &["symbols", "delete", ID]).await;
    assert_eq!(json(server.http, &["symbols", "list"]).await["symbols"].as_array().unwrap().len(), 0);
    let (code, _, errors) = run(server.http, &["symbols", "delete", ID]).await;
    assert_eq!(code, 2, "{errors}");
    let link = host.link.lock().unwrap().clone().unwrap();
    let streams = link.borrow().clone().unwrap();
    assert!(ask(&*streams, ID).await.unwrap().is_none());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_come_at_the_same_time_and_get_the_whole_file() {
    let (data, folder) = (folder(), folder());
    let server = serve(data.path()).await;
    let (host, _status) = node(data.path(), &server).await;
    let file = Arc::new(debug_file());
    json(server.http, &["symbols", "push", text(&write(folder.path(), "x", &file))]).await;
    let link = host.link.lock().unwrap().clone().unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for question in 0..SYMBOLS_ASKED_MAX {
        let (link, file) = (link.clone(), Arc::clone(&file));
        asking.spawn(async move {
            let streams = link.borrow().clone().unwrap();
            let id = if question % 3 == 2 { "../../../lock" } else { ID };
            let Some((bytes, mut reading)) = ask(&*streams, id).await.unwrap() else {
                assert_eq!(question % 3, 2);
                return;
            };
            let mut all = Vec::new();
            reading.read_to_end(&mut all).await.unwrap();
            assert_eq!((bytes, all.len()), (file.len() as u64, file.len()));
            assert!(all == *file);
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_no_use_is_refused_and_not_kept() {
    let (data, folder) = (folder(), folder());
    let server = serve(data.path()).await;
    let stripped = Elf::of_build(&[0xab, 0xcd, 0xef, 1]).with(".text", b"code").bytes();
    for (content, why) in [(&stripped[..], "no debug information"), (b"text", "no ELF file")] {
        let path = write(folder.path(), "file", content);
        let (code, _, errors) = run(server.http, &["symbols", "push", text(&path)]).await;
        assert!(code == 8 && errors.contains(why), "{errors}");
    }
    // Without the command line, which looks first.
    let ascii = "x".repeat(1000);
    for (expected, id, body) in
        [(422, ID, ascii.as_str()), (400, "..%2f..%2flock", "x"), (400, "xyz", "x"), (422, ID, "")]
    {
        let (status, answer) = request(server.http, "PUT", &format!("/api/v1/symbols/{id}"), body).await;
        assert_eq!(status, expected, "{answer}");
    }
    // A body that ends early.
    let head = format!(
        "PUT /api/v1/symbols/{ID} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 3\r\n\r\n",
        server.http
    );
    let other = Elf::of_build(&[1, 2, 3, 4]).with(".debug_info", b"x").bytes();
    let path = write(folder.path(), "other", &other);
    json(server.http, &["symbols", "push", text(&path)]).await;
    let (status, answer) = exchange(server.http, format!("{head}abc")).await;
    assert_eq!(status, 422, "{answer}");
    assert_eq!(files_in(&data.path().join("symbols")).len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_coordinator_it_is_kept_on_this_host() {
    let folder = folder();
    let path = write(folder.path(), "program.debug", &debug_file());
    let run = |arguments: &[&str]| {
        let mut command = command("127.0.0.1:1".parse().unwrap(), arguments);
        command.env("XDG_CACHE_HOME", folder.path().join("cache"));
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(run(&["symbols", "push", "--local", text(&path)]), (0, format!("{ID}\n")));
    let (code, list) = run(&["symbols", "list", "--local"]);
    assert!(code == 0 && list.contains(ID), "{list}");
    assert!(folder.path().join("cache/stillframe/symbols/abcdef01.debug").exists());
    assert_eq!(run(&["symbols", "delete", ID, "--local"]).0, 0);
    assert_eq!(run(&["symbols", "delete", ID, "--local"]).0, 2);
    assert_eq!(run(&["symbols", "list"]).0, 12, "the coordinator of the environment is not there");
}
