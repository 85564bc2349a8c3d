//! What the `busy` program says of itself.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::programs::PATIENCE;

/// An answer of `GET /health`.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub ok: bool,
    /// Why it is not.
    pub reason: String,
    pub heartbeat: u64,
    pub callfree_progress: u64,
    pub http_requests: u64,
    pub checks: u64,
    pub cgo_calls: u64,
    /// The longest that its heartbeat stood.
    pub max_gap_ns: u64,
    /// Rounds of each of its loads.
    pub loads: BTreeMap<String, u64>,
}

impl Health {
    /// Asks; fails if there is no answer.
    pub fn of(port: u16) -> Health {
        Health::get(port, "/health")
    }

    /// Asks, and lets the longest gap be measured anew from then on.
    pub fn reset_gap(port: u16) -> Health {
        Health::get(port, "/health?reset=gap")
    }

    fn get(port: u16, path: &str) -> Health {
        let body = get(port, path).unwrap_or_else(|e| panic!("GET /health of port {port}: {e}"));
        let json: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"));
        let number = |name: &str| json[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {body}"));
        let loads = json["loads"].as_object().unwrap_or_else(|| panic!("no loads in {body}"));
        Health {
            ok: json["ok"].as_bool().unwrap_or_else(|| panic!("no ok in {body}")),
            reason: json["reason"].as_str().unwrap_or_default().to_owned(),
            heartbeat: number("heartbeat"),
            callfree_progress: number("callfree_progress"),
            http_requests: number("http_requests"),
            checks: number("checks"),
            cgo_calls: number("cgo_calls"),
            max_gap_ns: number("max_gap_ns"),
            loads: loads.iter().map(|(name, n)| (name.clone(), n.as_u64().unwrap_or(0))).collect(),
        }
    }

    /// What of it did not grow since `before`. `cgo`: the program calls C.
    pub fn stalled_since<'a>(&'a self, before: &'a Health, cgo: bool) -> Vec<&'a str> {
        let mut parts = vec![
            ("heartbeat", before.heartbeat, self.heartbeat),
            ("callfree_progress", before.callfree_progress, self.callfree_progress),
            ("http_requests", before.http_requests, self.http_requests),
            ("checks", before.checks, self.checks),
        ];
        parts.extend(cgo.then_some(("cgo_calls", before.cgo_calls, self.cgo_calls)));
        let before_of = |name: &str| before.loads.get(name).copied().unwrap_or(0);
        parts.extend(self.loads.iter().map(|(name, now)| (name.as_str(), before_of(name), *now)));
        parts.into_iter().filter(|(_, before, now)| now <= before).map(|(name, ..)| name).collect()
    }
}

/// The body of the answer to an HTTP/1.0 request.
fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(if head.starts_with("HTTP/") { body.to_owned() } else { answer })
}
