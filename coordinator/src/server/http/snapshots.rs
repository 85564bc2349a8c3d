//! Finished snapshots: listed, downloaded, deleted.

use std::fs::File;
use std::io;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use stillframe_wire::message::OrderId;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::Shared;
use super::error::{ApiError, blocking};
use crate::api::{SNAPSHOT_TYPE, SnapshotList};
use crate::server::archive::LISTED_MAX;

/// Of one read from the disk.
const CHUNK_BYTES: usize = 256 << 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    limit: Option<usize>,
}

pub async fn list(
    State(shared): State<Shared>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<SnapshotList>, ApiError> {
    let Query(ListQuery { limit }) = query?;
    let limit = limit.unwrap_or(LISTED_MAX).min(LISTED_MAX);
    Ok(Json(blocking(move || shared.archive.list(limit)).await?))
}

fn no_such_snapshot() -> ApiError {
    ApiError::no_such("snapshot", "`stillframe snapshots` lists them")
}

pub async fn download(
    State(shared): State<Shared>,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(id) = id?;
    let path = shared.archive.path(id);
    let opened = blocking(move || match File::open(&path) {
        Ok(file) => Ok(Some((file.metadata()?.len(), file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    });
    let (bytes, file) = opened.await?.ok_or_else(no_such_snapshot)?;
    let headers = [
        (header::CONTENT_TYPE, SNAPSHOT_TYPE.to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.db\"")),
    ];
    let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), CHUNK_BYTES);
    Ok((headers, Body::from_stream(stream)).into_response())
}

pub async fn delete(
    State(shared): State<Shared>,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path(id) = id?;
    let archive = shared.archive.clone();
    if !blocking(move || archive.delete(id)).await? {
        return Err(no_such_snapshot());
    }
    shared.orders.forget(OrderId(id.as_u128()));
    tracing::info!(%id, "a snapshot was deleted");
    Ok(StatusCode::NO_CONTENT)
}
