//! Writes what the linker has found into a file.

use std::sync::Arc;

use rusqlite::{Connection, params};
use serde_json::{Map, Value};
use stillframe_actors::linker::facts::Evidence;
use stillframe_actors::linker::{Found, Join, Place};

use super::ends;

/// Reads, joins and writes all of a file: for who has no linker at hand. What was joined before is joined anew.
pub(super) fn link(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "delete from links where client_endpoint_id is not null; update endpoints set unmatched = null;",
    )?;
    let mut join = Join::default();
    let mut next = Some(Place::Start);
    while let Some(place) = next {
        let part = ends::read(connection, place)?;
        next = part.next;
        join.add(part);
    }
    while let Some(found) = join.found() {
        keep(connection, &found)?;
    }
    Ok(())
}

/// Writes a part of what was found.
pub(super) fn keep(connection: &Connection, found: &Found) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "insert into links (client_goroutine_id, server_goroutine_id, client_endpoint_id, server_endpoint_id, protocol,
                            state, confidence, evidence)
         values (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for link in &found.links {
        insert.execute(params![
            link.client.goroutine,
            link.server.map(|server| server.goroutine),
            link.client.end,
            link.server.map(|server| server.end),
            link.protocol,
            link.state.name(),
            link.confidence.name(),
            evidence(&link.evidence),
        ])?;
    }
    let mut explain =
        connection.prepare_cached("update endpoints set unmatched = ? where endpoint_id = ?")?;
    for (end, reason) in &found.unmatched {
        explain.execute(params![reason, end])?;
    }
    Ok(())
}

/// As JSON; what is not known is not in it.
fn evidence(evidence: &Evidence) -> String {
    let Evidence {
        client_socket,
        server_socket,
        is_translated,
        stream,
        same_method,
        trace,
        unread_bytes,
        overlap_ns,
    } = evidence;
    let socket = |socket: &Option<(Arc<str>, Arc<str>)>| {
        let (local, remote) = socket.as_ref()?;
        let parts = [("local", local), ("remote", remote)].into_iter().filter(|(_, text)| !text.is_empty());
        Some(Value::Object(parts.map(|(name, text)| (name.to_owned(), Value::from(&**text))).collect()))
    };
    let parts: Map<String, Value> = [
        ("client_socket", socket(client_socket)),
        ("server_socket", socket(server_socket)),
        ("translated", is_translated.then_some(Value::Bool(true))),
        ("stream_id", stream.map(Value::from)),
        ("same_method", same_method.then_some(Value::Bool(true))),
        ("trace", trace.as_deref().map(Value::from)),
        ("unread_bytes", unread_bytes.map(Value::from)),
        ("overlap_ns", overlap_ns.map(Value::from)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();
    Value::Object(parts).to_string()
}
