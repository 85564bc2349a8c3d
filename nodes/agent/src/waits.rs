//! What goroutines wait for, as wire types: details as JSON, times as Unix times of the node's clock.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use stillframe_golang::waits::{Channel, Detail, Kind, Wait};
use stillframe_wire::facts::{self, PauseWindow};
use syscalls::Sysno;

/// When the process stood still, by two clocks; `None`: nobody knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks(Option<(i64, i64)>);

impl Clocks {
    /// `monotonic_ns`: of the same moment as the window's beginning.
    pub(crate) fn of(pause: Option<&PauseWindow>, monotonic_ns: Option<i64>) -> Self {
        Clocks(monotonic_ns.zip(pause.map(|pause| pause.frozen_start_unix_ns)))
    }

    /// The moment in which it stood still, by CLOCK_MONOTONIC.
    pub(crate) fn stopped_monotonic_ns(self) -> Option<i64> {
        self.0.map(|(monotonic, _)| monotonic)
    }

    pub(crate) fn unix_ns(self, monotonic_ns: Option<i64>) -> Option<i64> {
        let (monotonic, unix) = self.0?;
        monotonic_ns?.checked_sub(monotonic)?.checked_add(unix)
    }
}

/// `open_files`: what descriptors name that are no sockets.
pub(crate) fn wait(wait: Wait, clocks: Clocks, open_files: &HashMap<u32, String>) -> facts::Wait {
    let detail = detail(wait.kind, wait.detail, clocks, open_files);
    facts::Wait {
        kind: wait.kind.name().to_owned(),
        any: wait.any,
        address: wait.address,
        detail: if detail.is_empty() { String::new() } else { Value::Object(detail).to_string() },
    }
}

fn detail(
    kind: Kind,
    detail: Detail,
    clocks: Clocks,
    open_files: &HashMap<u32, String>,
) -> Map<String, Value> {
    let mut object = Map::new();
    let mut add = |name: &str, value: Value| {
        object.insert(name.to_owned(), value);
    };
    match detail {
        Detail::Nothing => {}
        Detail::Channel(Channel { sends, length, capacity, fires_ns }) => {
            if let (Kind::Select, Some(sends)) = (kind, sends) {
                add("direction", json!(if sends { "send" } else { "receive" }));
            }
            add("length", json!(length));
            add("capacity", json!(capacity));
            if let Some(at) = clocks.unix_ns(fires_ns) {
                add("fires_unix_ns", json!(at));
            }
        }
        Detail::Mutex { locked, starving, waiters } => {
            add("locked", json!(locked));
            add("starving", json!(starving));
            add("waiters", json!(waiters));
        }
        Detail::ReadWriteMutex { readers, writer } => {
            add("readers", json!(readers));
            add("writer", json!(writer));
        }
        Detail::WaitGroup { counter, waiters } => {
            add("counter", json!(counter));
            add("waiters", json!(waiters));
        }
        Detail::Sleep { until_ns } => {
            if let Some(at) = clocks.unix_ns(until_ns) {
                add("until_unix_ns", json!(at));
            }
        }
        Detail::File { descriptor, deadline_ns } => {
            add("fd", json!(descriptor));
            if let Some(file) = u32::try_from(descriptor).ok().and_then(|fd| open_files.get(&fd)) {
                add("file", json!(file));
            }
            if let Some(at) = clocks.unix_ns(deadline_ns) {
                add("deadline_unix_ns", json!(at));
            }
        }
        Detail::SystemCall { number, arguments } => {
            let name = usize::try_from(number).ok().and_then(Sysno::new);
            if let Some(name) = name {
                add("name", json!(name.name()));
            }
            add("number", json!(number));
            add("arguments", json!(arguments.map(|argument| format!("{argument:#x}"))));
        }
        Detail::Reason(reason) => add("reason", json!(reason)),
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: Kind, detail: Detail) -> String {
        let clocks = Clocks(Some((1_000, 1_700_000_000_000_000_000)));
        let open_files = HashMap::from([(9, "pipe:[5]".to_owned())]);
        wait(Wait { kind, any: false, address: None, detail }, clocks, &open_files).detail
    }

    #[test]
    fn times_are_unix_times() {
        let sleep = Detail::Sleep { until_ns: Some(3_000) };
        assert_eq!(text(Kind::Sleep, sleep), r#"{"until_unix_ns":1700000000000002000}"#);
        let file = Detail::File { descriptor: 7, deadline_ns: None };
        assert_eq!(text(Kind::NetRead, file), r#"{"fd":7}"#);
        let pipe = Detail::File { descriptor: 9, deadline_ns: None };
        assert_eq!(text(Kind::NetRead, pipe), r#"{"fd":9,"file":"pipe:[5]"}"#);
        let unknown = wait(
            Wait {
                kind: Kind::Sleep,
                any: false,
                address: None,
                detail: Detail::Sleep { until_ns: Some(1) },
            },
            Clocks(None),
            &HashMap::new(),
        );
        assert_eq!(unknown.detail, "");
    }

    #[test]
    fn only_a_select_says_the_direction() {
        let channel = Detail::Channel(Channel { sends: Some(true), length: 1, capacity: 2, fires_ns: None });
        let of_select: Value = serde_json::from_str(&text(Kind::Select, channel.clone())).unwrap();
        assert_eq!(of_select, json!({ "direction": "send", "length": 1, "capacity": 2 }));
        let of_send: Value = serde_json::from_str(&text(Kind::ChannelSend, channel)).unwrap();
        assert_eq!(of_send, json!({ "length": 1, "capacity": 2 }));
    }

    #[test]
    fn system_calls_have_names() {
        let call = Detail::SystemCall { number: Sysno::futex as i64, arguments: [16, 0, 0, 0, 0, 0] };
        let call: Value = serde_json::from_str(&text(Kind::SystemCall, call)).unwrap();
        assert_eq!((&call["name"], &call["arguments"][0]), (&json!("futex"), &json!("0x10")));
        let unknown = Detail::SystemCall { number: i64::MAX, arguments: [0; 6] };
        assert!(!text(Kind::SystemCall, unknown).contains("name"));
    }
}
