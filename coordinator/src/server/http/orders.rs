//! Orders: made, followed, cancelled.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use stillframe_actors::coordinator::state::Event as CoordinatorEvent;
use stillframe_actors::order::{Order, Stop};
use stillframe_wire::limits::{PROBES_BYTES_MAX, TEXT_BYTES_MAX};
use stillframe_wire::message::{OrderId, Selector};
use uuid::Uuid;

use super::Shared;
use super::error::{ApiError, blocking};
use crate::api::{Content, Event, OrderRequest, OrderState, State as OrderPhase};
use crate::probe_sets;
use crate::server::orders::{Asked, Log};

const WITHIN_NS: std::ops::RangeInclusive<u64> = 1_000_000_000..=3_600_000_000_000;
const PAUSE_NS: std::ops::RangeInclusive<u64> = 1_000..=60_000_000_000;
const REQUESTED_BY_BYTES_MAX: usize = 256;
/// A client that hears nothing for longer knows that the connection is dead.
const ALIVE_EVERY: Duration = Duration::from_secs(5);

fn check(request: OrderRequest) -> Result<Order, ApiError> {
    let OrderRequest { id, selector, max_pause_ns, hold_ns, probes, within_ns, label, requested_by } =
        request;
    if id.get_version_num() != 7 {
        return Err(ApiError::usage(format!("{id} is no UUIDv7"), "draw a new one for each order"));
    }
    if !WITHIN_NS.contains(&within_ns) {
        return Err(ApiError::usage(format!("an order within {within_ns} ns"), "allow between 1 s and 1 h"));
    }
    if let Some(pause) = max_pause_ns.filter(|pause| !PAUSE_NS.contains(pause)) {
        return Err(ApiError::usage(format!("a pause of {pause} ns"), "allow between 1 us and 60 s"));
    }
    if hold_ns > *PAUSE_NS.end() {
        return Err(ApiError::usage(format!("a hold of {hold_ns} ns"), "allow at most 60 s"));
    }
    for (what, text, limit) in [
        ("the label", &label, TEXT_BYTES_MAX),
        ("the name of who asks", &requested_by, REQUESTED_BY_BYTES_MAX),
    ] {
        if text.as_ref().is_some_and(|text| text.len() > limit) {
            return Err(ApiError::usage(format!("{what} is too long"), format!("it may have {limit} bytes")));
        }
    }
    if probes.len() > PROBES_BYTES_MAX {
        let message = format!("probes of {} bytes", probes.len());
        return Err(ApiError::usage(
            message,
            format!("an order has at most {PROBES_BYTES_MAX} bytes of them"),
        ));
    }
    probe_sets::check(&probes).map_err(|errors| {
        ApiError::usage(format!("the probes are wrong: {errors}"), "correct them; nothing was ordered")
    })?;
    let crate::api::Selector { hosts, programs, pids } = selector;
    let selector = Selector { hosts, programs, pids };
    selector.check().map_err(|error| ApiError::usage(error.to_string(), "shorten the selection"))?;
    Ok(Order {
        id: OrderId(id.as_u128()),
        selector,
        stop: Stop { max: max_pause_ns.map(Duration::from_nanos), hold: Duration::from_nanos(hold_ns) },
        probes: probes.into(),
        within: Duration::from_nanos(within_ns),
        label,
        requested_by,
    })
}

/// `None`: there is no file of this id.
async fn finished(shared: &Shared, id: Uuid) -> Result<Option<Event>, ApiError> {
    let archive = shared.archive.clone();
    let entry = blocking(move || archive.entry(id)).await?;
    Ok(entry.map(|entry| match entry.content {
        Content::Whole { complete, goroutines, .. } => Event::Committed {
            complete,
            goroutines: u64::try_from(goroutines).unwrap_or(0),
            bytes: entry.bytes,
        },
        Content::Damaged { damaged } => Event::Failed {
            class: "bad_file".to_owned(),
            message: damaged,
            remedy: "delete it at the coordinator, and take a new one".to_owned(),
        },
    }))
}

pub async fn order(
    State(shared): State<Shared>,
    request: Result<Json<OrderRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<OrderState>), ApiError> {
    let Json(request) = request?;
    let id = request.id;
    let order = check(request)?;
    // An order from before a restart, or from long ago.
    if shared.orders.log(order.id).is_none() && finished(&shared, id).await?.is_some() {
        return Ok((StatusCode::OK, Json(OrderState { id, state: OrderPhase::Ended })));
    }
    match shared.orders.ask(&order) {
        Asked::New => {
            tracing::info!(%id, label = order.label.as_deref(), requested_by = order.requested_by.as_deref(), "ordered");
            shared.coordinator.mailbox.tell(CoordinatorEvent::Order(order));
            Ok((StatusCode::ACCEPTED, Json(OrderState { id, state: OrderPhase::Accepted })))
        }
        Asked::Known(log) => {
            let state = if log.has_ended() { OrderPhase::Ended } else { OrderPhase::Accepted };
            Ok((StatusCode::OK, Json(OrderState { id, state })))
        }
        Asked::Conflict => {
            let message = format!("{id} is the id of another order");
            Err(ApiError::new(StatusCode::CONFLICT, "usage", message, "draw a new id for each order"))
        }
    }
}

fn no_such_order() -> ApiError {
    ApiError::no_such(
        "order",
        "orders that ended long ago are forgotten; `stillframe snapshots` lists their files",
    )
}

pub async fn cancel(
    State(shared): State<Shared>,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<(StatusCode, Json<OrderState>), ApiError> {
    let Path(id) = id?;
    let order = OrderId(id.as_u128());
    let log = shared.orders.log(order).ok_or_else(no_such_order)?;
    if log.has_ended() {
        return Ok((StatusCode::OK, Json(OrderState { id, state: OrderPhase::Ended })));
    }
    let reason = "it was cancelled".to_owned();
    shared.coordinator.mailbox.tell(CoordinatorEvent::Cancel { order, reason });
    Ok((StatusCode::ACCEPTED, Json(OrderState { id, state: OrderPhase::Accepted })))
}

/// Where an order's events come from.
enum Source {
    Log {
        log: Arc<Log>,
        from: u64,
    },
    /// Only the end is known.
    Only,
}

struct Following {
    ready: VecDeque<Event>,
    source: Source,
}

impl Following {
    async fn next(&mut self) -> Option<Event> {
        if self.ready.is_empty()
            && let Source::Log { log, from } = &mut self.source
        {
            let (events, next) = log.after(*from).await?;
            self.ready.extend(events);
            *from = next;
        }
        self.ready.pop_front()
    }
}

pub async fn events(
    State(shared): State<Shared>,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, ApiError> {
    let Path(id) = id?;
    let following = match shared.orders.log(OrderId(id.as_u128())) {
        Some(log) => Following { ready: VecDeque::new(), source: Source::Log { log, from: 0 } },
        None => {
            let end = finished(&shared, id).await?.ok_or_else(no_such_order)?;
            Following { ready: [end].into(), source: Source::Only }
        }
    };
    let stream = stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        // Its texts and numbers can all be written as JSON.
        let event = sse::Event::default().json_data(&event).ok()?;
        Some((Ok(event), following))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> OrderRequest {
        OrderRequest {
            id: Uuid::now_v7(),
            selector: crate::api::Selector::default(),
            max_pause_ns: Some(50_000_000),
            hold_ns: 2_000_000,
            probes: String::new(),
            within_ns: 120_000_000_000,
            label: Some("x".into()),
            requested_by: None,
        }
    }

    #[test]
    fn what_cannot_be_ordered_is_refused() {
        let order = check(request()).unwrap();
        assert_eq!(
            (order.stop.max, order.stop.hold, order.within),
            (Some(Duration::from_millis(50)), Duration::from_millis(2), Duration::from_secs(120))
        );
        let patterns = |count| vec!["*".to_owned(); count];
        let selector = crate::api::Selector { hosts: patterns(257), ..Default::default() };
        for wrong in [
            OrderRequest { id: Uuid::nil(), ..request() },
            OrderRequest { within_ns: 0, ..request() },
            OrderRequest { within_ns: u64::MAX, ..request() },
            OrderRequest { max_pause_ns: Some(0), ..request() },
            OrderRequest { max_pause_ns: Some(u64::MAX), ..request() },
            OrderRequest { hold_ns: u64::MAX, ..request() },
            OrderRequest { label: Some("x".repeat(TEXT_BYTES_MAX + 1)), ..request() },
            OrderRequest { requested_by: Some("x".repeat(257)), ..request() },
            OrderRequest { selector, ..request() },
            OrderRequest { probes: "#".repeat(PROBES_BYTES_MAX + 1), ..request() },
            OrderRequest { probes: "[[probe]".into(), ..request() },
        ] {
            assert!(check(wrong.clone()).is_err(), "{wrong:?}");
        }
    }
}
