//! Requests that are none, and addresses that are wrong.

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::cluster::*;

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_get_an_error_with_a_remedy() {
    let data = folder();
    std::fs::write(data.path().join("secret"), "secret").unwrap();
    let server = serve(data.path()).await;
    let http = server.http;
    let with_host =
        |host: &str| format!("GET /api/v1/nodes HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    assert_eq!(exchange(http, with_host("localhost:1")).await.0, 200);
    let mut answers = vec![(421, exchange(http, with_host("evil.example")).await)];
    let large = format!("{{\"label\":\"{}\"}}", "x".repeat(2 << 20));
    let unknown = format!("/api/v1/orders/{}", Uuid::now_v7());
    for (expected, method, path, body) in [
        (400, "GET", "/api/v1/snapshots/..%2fsecret", ""),
        (400, "GET", "/api/v1/snapshots/%2e%2e%2fsecret", ""),
        (404, "GET", "/api/v1/snapshots/../../secret", ""),
        (400, "DELETE", "/api/v1/snapshots/lock", ""),
        (404, "DELETE", unknown.as_str(), ""),
        (404, "GET", "/", ""),
        (405, "PUT", "/api/v1/orders", "{}"),
        (400, "POST", "/api/v1/orders", "{"),
        (422, "POST", "/api/v1/orders", "{\"unknown\":1}"),
        (413, "POST", "/api/v1/orders", &large),
        (400, "GET", "/api/v1/snapshots?limit=x", ""),
        (400, "POST", "/api/v1/orders", &order(Uuid::nil(), "x")),
    ] {
        answers.push((expected, request(http, method, path, body).await));
    }
    for (expected, (status, answer)) in &answers {
        assert_eq!(status, expected, "{answer}");
        let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let error = &body["error"];
        assert!(["class", "message", "remedy"].iter().all(|part| error[part].is_string()), "{answer}");
        assert!(!answer.contains("secret\n"), "{answer}");
    }
    assert_eq!(request(http, "GET", "/healthz", "").await.0, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_is_named_with_the_remedy() {
    let out = folder();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Other servers: one that has no such page, one that has a page for everything, and one that speaks no HTTP.
    let pages: [&'static str; 3] = [
        "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>",
        "220 mail.example ESMTP\r\n",
    ];
    let others = pages.map(|page| {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in other.incoming() {
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
                // All of the request: a connection that is closed before is reset.
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                // The client may have seen enough.
                let _ = stream.write_all(page.as_bytes());
            }
        });
        (address, "no coordinator")
    });
    let file = out.path().join("s.db");
    let id = Uuid::now_v7().to_string();
    for (http, says) in [(closed, "does not answer")].into_iter().chain(others) {
        for arguments in [
            &["nodes"][..],
            &["snapshots"],
            &["snapshots", "delete", &id],
            &["snapshot", "--all", "-o", text(&file)],
        ] {
            let (code, printed, said) = run(http, arguments).await;
            assert_eq!((code, &*printed), (12, ""), "{arguments:?} {said}");
            assert!(said.contains(says) && said.contains(&http.to_string()), "{said}");
            assert!(said.contains("help:") && said.contains("--coordinator"), "{said}");
        }
        assert!(!file.exists());
    }
    for wrong in ["https://x", "x:7480", "http://", "http://a b"] {
        let (code, _, said) = run(closed, &["nodes", "--coordinator", wrong]).await;
        assert_eq!(code, 2, "{wrong}: {said}");
        assert!(said.contains("help:"), "{said}");
    }
}
