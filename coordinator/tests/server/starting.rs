//! What a coordinator needs to start, and what it says when it cannot.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;
use stillframe::server::StartError;
use stillframe::server::data_folder::FolderError;
use stillframe_actors::quic::Credentials;

use crate::cluster::*;

/// `stillframe serve`, which is to fail; its exit code, class and message.
fn refused(arguments: &[&str]) -> (i32, String, String) {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_stillframe"));
    serve.args(["--json", "serve"]).args(arguments);
    let mut serve = start(serve);
    let code = serve.end().unwrap();
    let last: Value = serde_json::from_str(serve.said.lines().last().unwrap()).unwrap();
    let text = |part| last["error"][part].as_str().unwrap_or_else(|| panic!("{}", serve.said)).to_owned();
    assert!(!text("remedy").is_empty());
    (code, text("class"), text("message"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_is_for_one_coordinator() {
    let (data, other) = (folder(), folder());
    let server = serve(data.path()).await;
    let second = try_serve(&config(data.path())).await;
    assert!(matches!(second, Err(StartError::Folder(FolderError::InUse { .. }))));
    let any = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let (code, class, message) = refused(&[&any[..], &["--data", text(data.path())]].concat());
    assert_eq!((code, &*class), (9, "output"), "{message}");
    assert!(message.contains("another coordinator uses this folder"), "{message}");
    // Nor is an address for two.
    let (listen, http) = (server.listen.to_string(), server.http.to_string());
    let taken = ["--listen", "127.0.0.1:0", "--http", &http, "--data", text(other.path())];
    let (code, _, message) = refused(&taken);
    assert!(code == 1 && message.contains(&format!("{http}/tcp: ")), "{code} {message}");
    let taken = ["--listen", &listen, "--http", "127.0.0.1:0", "--data", text(other.path())];
    let (code, _, message) = refused(&taken);
    assert!(code == 1 && message.contains(&format!("{listen}/udp: ")), "{code} {message}");
    // And the first one is none the worse for it.
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 20)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_that_cannot_be_written_is_named() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("data");
    // Not even the superuser writes there.
    for data in [text(&file), text(&below), "/proc/self/data"] {
        let (code, class, message) =
            refused(&["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data]);
        assert_eq!((code, &*class), (9, "output"), "{message}");
        assert!(message.starts_with(data), "{message}");
    }
    // A key that is damaged is no reason to make a new CA.
    let data = folder.path().join("data");
    serve(&data).await.stop().await;
    std::fs::write(data.join("pki/ca.key"), "nothing").unwrap();
    let any = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", text(&data)];
    let (code, class, message) = refused(&any);
    assert_eq!((code, &*class), (8, "bad_file"), "{message}");
    assert_eq!(std::fs::read(data.join("pki/ca.key")).unwrap(), b"nothing");
}

#[test]
fn users_are_not_authenticated_so_that_only_loopback_is_served() {
    let folder = folder();
    let data = folder.path().join("data");
    for http in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7480"] {
        let (code, class, message) =
            refused(&["--listen", "127.0.0.1:0", "--http", http, "--data", text(&data)]);
        assert_eq!((code, &*class), (2, "usage"), "{message}");
        assert!(message.contains("loopback"), "{message}");
    }
    assert!(!data.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_for_their_owner_and_overwrite_nothing() {
    let (data, out) = (folder(), folder());
    let nobody = "127.0.0.1:1".parse().unwrap();
    let pem = out.path().join("node.pem");
    let arguments = ["node-credentials", "--data", text(data.path()), "-o", text(&pem)];
    // Before there is a coordinator, and while there is one: of the same CA.
    let made = json(nobody, &arguments).await;
    assert_eq!(made["file"], text(&pem));
    assert_eq!(std::fs::metadata(&pem).unwrap().permissions(), Permissions::from_mode(0o100_600));
    let first = std::fs::read_to_string(&pem).unwrap();
    let server = serve(data.path()).await;
    let (code, printed, said) = run(nobody, &arguments).await;
    assert_eq!((code, &*printed), (9, ""), "{said}");
    assert!(said.contains("node.pem") && said.contains("exists") && said.contains("help:"), "{said}");
    assert_eq!(std::fs::read_to_string(&pem).unwrap(), first);
    let second = out.path().join("second.pem");
    json(nobody, &["node-credentials", "--data", text(data.path()), "-o", text(&second)]).await;
    let first = Credentials::from_pem(&first).unwrap();
    let second = Credentials::from_pem(&std::fs::read_to_string(&second).unwrap()).unwrap();
    assert_eq!(first.ca, second.ca);
    for (name, pid, credentials) in [("a", 10, first), ("b", 11, second)] {
        Node::start_with(&credentials, server.listen, name, Scripted::new(pid, 20)).registered().await;
    }
    server.stop().await;
}
