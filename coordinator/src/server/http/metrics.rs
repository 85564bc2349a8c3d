//! Counts, in Prometheus' text format.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::Shared;

pub async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let (nodes, waiting, running, refused_names) = {
        let overview = shared.coordinator.overview.borrow();
        let running = usize::from(overview.running.is_some());
        (overview.nodes.len(), overview.waiting.len(), running, overview.refused_names)
    };
    let outcomes = shared.orders.outcomes();
    let refused = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    let (handshake, late, busy) =
        (refused(&shared.refused.handshake), refused(&shared.refused.late), refused(&shared.refused.busy));
    let refusals = &shared.coordinator.refusals;
    let (sessions, streams) = (refused(&refusals.sessions), refused(&refusals.streams));
    let (complete, partial, failed) = (outcomes.complete, outcomes.partial, outcomes.failed);
    let text = format!(
        "# HELP stillframe_nodes Registered nodes.
# TYPE stillframe_nodes gauge
stillframe_nodes {nodes}
# HELP stillframe_orders_open Orders that wait or run.
# TYPE stillframe_orders_open gauge
stillframe_orders_open{{state=\"waiting\"}} {waiting}
stillframe_orders_open{{state=\"running\"}} {running}
# HELP stillframe_orders_total Orders that have ended.
# TYPE stillframe_orders_total counter
stillframe_orders_total{{outcome=\"complete\"}} {complete}
stillframe_orders_total{{outcome=\"partial\"}} {partial}
stillframe_orders_total{{outcome=\"failed\"}} {failed}
# HELP stillframe_refused_names_total Nodes that were refused because their name was taken.
# TYPE stillframe_refused_names_total counter
stillframe_refused_names_total {refused_names}
# HELP stillframe_refused_sessions_total Sessions that were refused, for a name, a version, or what was sent.
# TYPE stillframe_refused_sessions_total counter
stillframe_refused_sessions_total {sessions}
# HELP stillframe_refused_streams_total Data streams that did not say what they are of.
# TYPE stillframe_refused_streams_total counter
stillframe_refused_streams_total {streams}
# HELP stillframe_refused_connections_total Peers that did not get past the handshake.
# TYPE stillframe_refused_connections_total counter
stillframe_refused_connections_total{{reason=\"handshake\"}} {handshake}
stillframe_refused_connections_total{{reason=\"late\"}} {late}
stillframe_refused_connections_total{{reason=\"busy\"}} {busy}
"
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
