//! Files with debug information: put as a stream, listed, deleted.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use futures_util::StreamExt;
use stillframe_node::symbols::build_id::BuildId;
use stillframe_node::symbols::store::StoreError;
use tokio::sync::Semaphore;

use super::Shared;
use super::error::{ApiError, blocking};
use crate::api::symbols::{SymbolsEntry, SymbolsList};
use crate::server::symbols::entry;

/// Files that come at the same time.
const UPLOADS_MAX: usize = 4;
/// Between two pieces of one.
const SILENT_MAX: Duration = Duration::from_secs(30);
/// One file.
pub const UPLOAD_WITHIN: Duration = Duration::from_secs(3_600);

/// Permits for those that come.
#[derive(Clone)]
pub struct Uploads(Arc<Semaphore>);

impl Default for Uploads {
    fn default() -> Uploads {
        Uploads(Arc::new(Semaphore::new(UPLOADS_MAX)))
    }
}

const REMEDY: &str = "push an unstripped executable, or what `objcopy --only-keep-debug` made of it";

fn build_id(path: Result<Path<String>, PathRejection>) -> Result<BuildId, ApiError> {
    let Path(text) = path?;
    BuildId::parse(&text)
        .map_err(|error| ApiError::usage(error.to_string(), "`stillframe ps` shows build ids"))
}

pub async fn put(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<(StatusCode, Json<SymbolsEntry>), ApiError> {
    let build = build_id(path)?;
    let Ok(_permit) = Arc::clone(&shared.uploads.0).try_acquire_owned() else {
        let message = format!("{UPLOADS_MAX} files come already");
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "limit", message, "try again later"));
    };
    let store = shared.symbols.clone();
    let mut receiving = blocking(move || store.receive()).await?;
    let mut pieces = body.into_data_stream();
    loop {
        let piece = tokio::time::timeout(SILENT_MAX, pieces.next()).await;
        let piece = piece.map_err(|_| late(&format!("nothing came for {SILENT_MAX:?}")))?;
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|error| late(&format!("the file did not come whole: {error}")))?;
        let written = tokio::task::spawn_blocking(move || {
            let written = receiving.write(&piece);
            written.map(|()| receiving)
        });
        receiving = written.await.map_err(std::io::Error::other)?.map_err(refused)?;
    }
    let (store, expected) = (shared.symbols.clone(), build.clone());
    let kept = tokio::task::spawn_blocking(move || store.keep(receiving, Some(&expected)));
    let kept = kept.await.map_err(std::io::Error::other)?.map_err(refused)?;
    tracing::info!(%build, bytes = kept.bytes, "debug information was pushed");
    Ok((StatusCode::CREATED, Json(entry(kept))))
}

fn late(message: &str) -> ApiError {
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "usage", message, "push it again")
}

fn refused(error: StoreError) -> ApiError {
    let message = error.to_string();
    match error {
        StoreError::Io(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "limit", message, REMEDY)
        }
        StoreError::Io(error) => {
            tracing::error!(%error, "the folder of symbols cannot be used");
            let remedy = "see to the disk of the coordinator's host";
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected", message, remedy)
        }
        StoreError::TooLong(_) => ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "limit", message, REMEDY),
        StoreError::NotOfUse(_) => {
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_file", message, REMEDY)
        }
    }
}

pub async fn list(State(shared): State<Shared>) -> Result<Json<SymbolsList>, ApiError> {
    let store = shared.symbols.clone();
    let symbols = blocking(move || store.list()).await?.into_iter().map(entry).collect();
    Ok(Json(SymbolsList { symbols, bytes_max: shared.symbols.bytes_max() }))
}

pub async fn delete(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let build = build_id(path)?;
    let (store, deleted) = (shared.symbols.clone(), build.clone());
    if !blocking(move || store.delete(&deleted)).await? {
        return Err(ApiError::no_such("file of symbols", "`stillframe symbols list` lists them"));
    }
    tracing::info!(%build, "pushed debug information was deleted");
    Ok(StatusCode::NO_CONTENT)
}
