//! The HTTP API, `/api/v1`. Its shapes are in [`crate::api`].
//!
//! | request | |
//! | --- | --- |
//! | `POST /api/v1/orders` | order a snapshot; with a known id, ask for the same one again |
//! | `GET /api/v1/orders/ID/events` | what happens, from the beginning, as server-sent events |
//! | `DELETE /api/v1/orders/ID` | cancel |
//! | `GET /api/v1/snapshots` | list, the newest first (`?limit=`) |
//! | `GET`, `DELETE /api/v1/snapshots/ID` | download, delete |
//! | `GET /api/v1/nodes` | registered nodes |
//! | `GET /api/v1/probe-sets`, `.../NAME`, `.../NAME/VERSION` | probe sets with their history; version 0 is the newest one |
//! | `POST /api/v1/probe-sets/NAME` | push a new version |
//! | `GET /api/v1/symbols` | files with debug information that nodes can have |
//! | `PUT`, `DELETE /api/v1/symbols/BUILD_ID` | push one, delete it |
//! | `GET /healthz`, `GET /metrics` | for supervisors and Prometheus |
//!
//! It has no users yet, so that it listens on loopback addresses only, and answers only requests for such a host: a web
//! page that points a name of its own at 127.0.0.1 gets nothing.

mod error;
mod listener;
mod metrics;
mod orders;
mod probe_sets;
mod snapshots;
mod symbols;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use stillframe_actors::clock::Clock;
use stillframe_actors::coordinator::actor::Handle;
use stillframe_actors::time::nanoseconds;
use stillframe_node::symbols::store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::archive::Archive;
use super::gate::Refused;
use super::orders::Orders;
use super::probe_sets::ProbeSets;
use crate::api::{Node, NodeList};
use error::ApiError;
use listener::Bounded;
pub use symbols::Uploads;

/// The largest order has 512 patterns of 1 KiB, and 256 KiB of probes, of which JSON may double each byte.
const BODY_BYTES_MAX: usize = 3 << 19;
/// Until an answer begins.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The requests one of which has a large body.
const SYMBOLS_PREFIX: &str = "/api/v1/symbols/";

/// What the API is about.
#[derive(Clone)]
pub struct Shared {
    pub coordinator: Handle,
    pub orders: Orders,
    pub archive: Archive,
    pub refused: Arc<Refused>,
    pub probe_sets: ProbeSets,
    pub symbols: Store,
    pub uploads: Uploads,
    pub clock: Clock,
}

/// Serves until `stopped` is true.
pub async fn serve(
    listener: TcpListener,
    shared: Shared,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let stop = async move {
        // Whoever could say it is gone: that is the end, too.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    axum::serve(Bounded::new(listener), router(shared)).with_graceful_shutdown(stop).await
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/api/v1/orders", post(orders::order))
        .route("/api/v1/orders/{id}", delete(orders::cancel))
        .route("/api/v1/orders/{id}/events", get(orders::events))
        .route("/api/v1/snapshots", get(snapshots::list))
        .route("/api/v1/snapshots/{id}", get(snapshots::download).delete(snapshots::delete))
        .route("/api/v1/nodes", get(nodes))
        .route("/api/v1/probe-sets", get(probe_sets::list))
        .route("/api/v1/probe-sets/{name}", get(probe_sets::history).post(probe_sets::push))
        .route("/api/v1/probe-sets/{name}/{version}", get(probe_sets::text))
        .route("/api/v1/symbols", get(symbols::list))
        .route("/api/v1/symbols/{build_id}", put(symbols::put).delete(symbols::delete))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics::metrics))
        .fallback(|| async { ApiError::no_such("page", "the API is under /api/v1") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "usage",
                "this cannot be done to it",
                "see the API's description",
            )
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(guard))
        .with_state(shared)
}

/// What holds for every request.
async fn guard(request: Request, next: Next) -> Response {
    if !is_for_loopback(request.headers()) {
        let message = "the request is for another host than this one's loopback address";
        let remedy = "ask for 127.0.0.1, [::1] or localhost";
        return ApiError::new(StatusCode::MISDIRECTED_REQUEST, "permission", message, remedy).into_response();
    }
    let is_upload = request.method() == Method::PUT && request.uri().path().starts_with(SYMBOLS_PREFIX);
    let within = if is_upload { symbols::UPLOAD_WITHIN } else { ANSWER_WITHIN };
    match tokio::time::timeout(within, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("there was no answer within {within:?}");
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "limit", message, "try again").into_response()
        }
    }
}

fn is_for_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    // `[::1]:7480`, `127.0.0.1:7480`, `localhost`
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            return rest.split_once(']').is_some_and(|(ip, _)| ip.parse() == Ok(Ipv6Addr::LOCALHOST));
        }
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

async fn nodes(State(shared): State<Shared>) -> Json<NodeList> {
    let now = shared.clock.now().moment;
    let overview = shared.coordinator.overview.borrow().clone();
    let nodes = overview.nodes.into_iter().map(|(name, node)| Node {
        name,
        hostname: node.host.hostname,
        kernel: node.host.kernel,
        arch: node.host.arch,
        version: node.host.node_version,
        generation: node.generation.0,
        clock_offset_ns: node.clock.map(|clock| clock.offset_ns),
        clock_error_ns: node.clock.map(|clock| clock.error_ns),
        heard_ns_ago: nanoseconds(now.since(node.heard)),
    });
    Json(NodeList { nodes: nodes.collect() })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_requests_for_loopback_are_answered() {
        let is_for = |host: &'static str| {
            is_for_loopback(&HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]))
        };
        for host in ["127.0.0.1:7480", "localhost", "LOCALHOST:1", "[::1]:7480", "127.8.9.1"] {
            assert!(is_for(host), "{host}");
        }
        for host in [
            "evil.example:7480",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[fe80::1]:7480",
            "",
            "localhost.evil",
            "[::1",
        ] {
            assert!(!is_for(host), "{host}");
        }
        assert!(!is_for_loopback(&HeaderMap::new()));
    }
}
